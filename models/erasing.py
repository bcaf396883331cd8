"""Erasing a person: one transaction, after which none of their addresses, names or words stands in any row.

Vocabulary: *whole* is a mail or meeting between us and them alone: it is deleted. *Mixed* is one with other outsiders: their
place on it is taken by nobody, and what they wrote on it goes. *Mentions* are texts elsewhere in which they are named.

Steps: find (by contact, by address) -> delete the whole -> thin out the mixed and their conversations (quoted replies repeat
words of theirs, so only what each sender wrote this time stays) -> mask mentions in every column that holds people's words ->
forget what would lead back to them -> leave keyed hashes. A page that is being stored at the same moment waits, and then sees
the hashes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import String, cast, delete, or_, text, update
from sqlmodel import Session, SQLModel, col, func, select

from models.addresses import DOTLESS, canonical, weak
from models.contact import Contact, ContactAddress
from models.db import Database, chunks, table
from models.deal import Deal
from models.erasure import NAMED, NOBODY, WHY, Erasure, leave_tombstones
from models.errors import Conflict
from models.event import Event
from models.existing import existing
from models.interaction import Choice, Copy, Held, Interaction, InteractionContact, Link, Thread, ThreadKey
from models.keyring import Keyring, hasher
from models.ledger import LedgerEntry, LedgerHash
from models.leftovers import forget_elsewhere
from models.ours import load_ours
from models.redaction import Redactor, outside, redactor
from models.setting import team_settings
from models.suggestion import Signal, Suggestion, withdraw
from models.webhook import Attempt, Delivery

AUTHORS = ("from", "sender", "organizer")


@dataclass
class Person:
    """Whom this is about. ``near`` is what to look for where they took part, ``far`` elsewhere."""

    contact_id: int
    addresses: set[str]
    near: Redactor
    far: Redactor

    def is_on(self, party: dict[str, Any]) -> bool:
        """Whether a party is this person."""
        address = canonical(str(party.get("address", "")))
        known = address in self.addresses or weak(address) in {weak(one) for one in self.addresses}
        return known or party.get("contact_id") == self.contact_id


def erase(session: Session, keyring: Keyring, contact_id: int, *, user_id: int, by: str, now: datetime) -> Erasure:
    """Erase a contact; the receipt. Raises NotFound, Conflict (a colleague's address)."""
    contact = existing(session, Contact, contact_id, "contact")
    _still(session)
    rows, person = _find(session, contact)
    counts: Counter[str] = Counter()
    whole = [row for row in rows if _alone(row, person)]
    mixed = [row for row in rows if row not in whole]
    deals = _deals(session, [row.id or 0 for row in rows])
    threads = {row.thread_id for row in rows if row.thread_id}
    _thin_out(session, person, mixed, counts, now)
    _cut_quotes(session, person, threads - {None}, {row.id or 0 for row in rows}, counts, now)
    _delete_whole(session, [row.id or 0 for row in whole], counts, now)
    _mask_mentions(session, person, counts, now)
    _forget_paths(session, keyring, person, threads, counts)
    forget_elsewhere(session, keyring, contact_id, person.addresses, person.far, counts)
    made = Erasure(contact_id=contact_id, user_id=user_id, by=by, made_at=now)
    session.add(made)
    session.flush()
    counts["tombstones"] = leave_tombstones(session, hasher(session, keyring), made, person.addresses)
    counts["addresses"] = _count(session, ContactAddress, col(ContactAddress.contact_id) == contact_id)
    counts["contacts"] = 1
    session.delete(contact)
    _think_again(session, deals, now)
    made.counts = {name: number for name, number in counts.items() if number}
    session.add(made)
    session.flush()
    return made


def _still(session: Session) -> None:
    """Keep every page that is being stored out until this is over (they all begin with their source); and let SQLite write
    zeros over what is deleted."""
    if session.connection().dialect.name == "postgresql":
        session.connection().execute(text("LOCK TABLE source IN SHARE ROW EXCLUSIVE MODE"))
    else:
        session.connection().execute(text("PRAGMA secure_delete = ON"))


# ---- who, and where


def _find(session: Session, contact: Contact) -> tuple[list[Interaction], Person]:
    """The mails and meetings that they took part in, and the names and addresses under which they did."""
    held = select(ContactAddress.address).where(ContactAddress.contact_id == contact.id)
    addresses = set(session.exec(held).all())
    ours = load_ours(session, team_settings(session))
    if any(ours.has(one) for one in addresses):
        raise Conflict(f"{contact.name} has an address of the team's own; a colleague is not erased here.")
    person = _person(contact, addresses, [contact.name])
    rows = {row.id: row for row in _with_contact(session, contact.id or 0)}
    rows |= {row.id: row for row in _with_addresses(session, addresses)}
    there = [row for row in rows.values() if any(person.is_on(party) for party in row.parties)]
    parties = [party for row in there for party in row.parties if person.is_on(party)]
    addresses |= {canonical(party["address"]) for party in parties} - {"", NOBODY}
    return there, _person(contact, addresses, [contact.name, *(str(party.get("name", "")) for party in parties)])


def _person(contact: Contact, addresses: set[str], names: Iterable[str]) -> Person:
    near = redactor(addresses, names, [contact.phone])
    return Person(contact.id or 0, addresses, near, outside(near))


def _with_contact(session: Session, contact_id: int) -> list[Interaction]:
    on = select(InteractionContact.interaction_id).where(InteractionContact.contact_id == contact_id)
    return list(session.exec(select(Interaction).where(col(Interaction.id).in_(on))).all())


def _with_addresses(session: Session, addresses: set[str]) -> list[Interaction]:
    """By what stands in the parties: each address, also with a plus tag, which no contact need have."""
    column = cast(col(Interaction.parties), String)
    wanted = [column.icontains(one, autoescape=True) for one in addresses]
    for one in addresses:
        local, _, domain = one.rpartition("@")
        if domain not in DOTLESS:
            tagged = f"{local.partition('+')[0]}+"
            wanted.append(column.icontains(tagged, autoescape=True) & column.icontains(f"@{domain}", autoescape=True))
    return list(session.exec(select(Interaction).where(or_(*wanted))).all())


def _alone(row: Interaction, person: Person) -> bool:
    """Whether nobody but us was there with them."""
    others = [p for p in row.parties if not p.get("ours") and p.get("role") != "reply_to" and not person.is_on(p)]
    return not [p for p in others if p.get("address") != NOBODY]


# ---- the mails and meetings


def _delete_whole(session: Session, ids: list[int], counts: Counter[str], now: datetime) -> None:
    ledger, hashes = table(LedgerEntry), table(LedgerHash)
    for part in chunks(ids):
        for name, model in (("copies", Copy), ("links", Link), ("held", Held), ("signals", Signal)):
            counts[name] += _count(session, model, model.interaction_id.in_(part))  # pyright: ignore[reportAttributeAccessIssue]
        entries = select(ledger.c.id).where(ledger.c.interaction_id.in_(part))
        gone = session.connection().execute(delete(hashes).where(hashes.c.entry_id.in_(entries)))
        counts["ledger_hashes"] += gone.rowcount
        marked = session.connection().execute(
            update(ledger)
            .where(ledger.c.interaction_id.in_(part))
            .values(outcome="ignored", reason=WHY, interaction_id=None, updated_at=now)
        )
        counts["ledger_entries"] += marked.rowcount
    for row in _events(session, ids):
        row.payload = hollow(row.payload)
        session.add(row)
        counts["events"] += 1
    counts["attempts"] += _blank_attempts(session, ids)
    _forget_quotes(session, set(ids), None, counts, now)
    session.flush()
    for part in chunks(ids):
        interactions = table(Interaction)
        done = session.connection().execute(delete(interactions).where(interactions.c.id.in_(part)))
        counts["interactions_deleted"] += done.rowcount
    session.expire_all()


def hollow(payload: dict[str, Any]) -> dict[str, Any]:
    """An event of something that was erased: its shape, its place in the order, and nothing of what it told."""
    links = [link | {"reasons": []} for link in payload.get("links") or []]
    candidates = (
        {"candidates": [one | {"reasons": []} for one in payload["candidates"]]} if "candidates" in payload else {}
    )
    return payload | {"subject": None, "snippet": None, "parties": [], "links": links, "erased": True} | candidates


def _thin_out(session: Session, person: Person, rows: list[Interaction], counts: Counter[str], now: datetime) -> None:
    """Mails and meetings with others on them: nobody in their place; of their own ones no word, of others' ones no quote."""
    theirs: set[int] = set()
    for row in rows:
        if any(person.is_on(party) and party.get("role") in AUTHORS for party in row.parties):
            theirs.add(row.id or 0)
            row.subject = row.snippet = row.text = row.new_text = ""
            row.attachments, row.links = [], []
        row.parties = [_nobody(party) if person.is_on(party) else party for party in row.parties]
        _mask_words(row, person.near, now)
        session.add(row)
    counts["interactions_redacted"] += len(rows)
    ids = [row.id or 0 for row in rows]
    for event in _events(session, ids):
        told = event.payload | ({"subject": None, "snippet": None} if event.interaction_id in theirs else {})
        told["parties"] = [_nobody(p) if person.is_on(p) else p for p in told.get("parties") or []]
        event.payload = person.near.mask_all(told)
        session.add(event)
        counts["events"] += 1
    counts["attempts"] += _blank_attempts(session, ids)
    _mask_around(session, person.near, ids, counts)
    _forget_quotes(session, theirs, None, counts, now)
    _forget_quotes(session, set(ids) - theirs, person.near, counts, now)
    signals = table(Signal)
    for part in chunks(theirs):
        done = session.connection().execute(delete(signals).where(signals.c.interaction_id.in_(part)))
        counts["signals"] += done.rowcount
    session.flush()


def _cut_quotes(
    session: Session, person: Person, threads: set[Any], but: set[int], counts: Counter[str], now: datetime
) -> None:
    """The rest of their conversations: what was quoted below may be theirs."""
    ids: set[int] = set()
    for part in chunks(threads):
        for row in session.exec(select(Interaction).where(col(Interaction.thread_id).in_(part))).all():
            if row.id not in but:
                _mask_words(row, person.near, now)
                session.add(row)
                ids.add(row.id or 0)
    counts["interactions_redacted"] += len(ids)
    for event in _events(session, list(ids)):
        event.payload = person.near.mask_all(event.payload)
        session.add(event)
    _mask_around(session, person.near, list(ids), counts)
    _forget_quotes(session, ids, person.near, counts, now)
    session.flush()


def _mask_words(row: Interaction, hide: Redactor, now: datetime) -> None:
    """What a row says, without what is to vanish and without what was quoted below; no copy fills it again."""
    row.new_text = hide.mask(row.new_text)
    row.text = row.new_text
    row.subject, row.snippet = hide.mask(row.subject), hide.mask(row.snippet)
    row.machine_reason = hide.mask(row.machine_reason)
    row.attachments, row.links = hide.mask_all(row.attachments), [one for one in row.links if not hide.finds(one)]
    row.parties = [party if party.get("ours") else _unnamed(party, hide) for party in row.parties]
    row.erased_at = now


def _unnamed(party: dict[str, Any], hide: Redactor) -> dict[str, Any]:
    """Another party keeps address and name, unless the name is the erased person's whole one."""
    plain = outside(hide)
    return party | {"name": plain.mask(str(party.get("name", "")))} if party.get("address") != NOBODY else party


def _nobody(party: dict[str, Any]) -> dict[str, Any]:
    return party | {"address": NOBODY, "name": NAMED, "contact_id": None}


# ---- what stands around them


def _mask_around(session: Session, hide: Redactor, ids: list[int], counts: Counter[str]) -> None:
    """Reasons, candidates and quotes that name them."""
    for part in chunks(ids):
        for model, names in ((Link, ("reasons",)), (Held, ("candidates", "reason")), (Signal, ("quote", "value"))):
            rows = session.exec(select(model).where(model.interaction_id.in_(part)))  # pyright: ignore
            counts["reasons"] += sum(_mask_row(session, row, names, hide) for row in rows)


def _mask_row(session: Session, row: Any, names: Iterable[str], hide: Redactor) -> bool:
    changed = False
    for name in names:
        value = getattr(row, name)
        masked = hide.mask_all(value)
        if masked != value:
            setattr(row, name, masked)
            changed = True
    if changed:
        session.add(row)
    return changed


def _forget_quotes(session: Session, ids: set[int], hide: Redactor | None, counts: Counter[str], now: datetime) -> None:
    """Quotes in suggestions: without ``hide`` all of them go, and what is still open falls."""
    if not ids:
        return
    for row in session.exec(select(Suggestion)).all():
        if not any(item.get("interaction_id") in ids for item in row.evidence):
            continue
        row.evidence = [_without(item, hide) if item.get("interaction_id") in ids else item for item in row.evidence]
        if hide is not None:
            row.reason = hide.mask(row.reason)
        else:
            withdraw(session, row, now=now)
        session.add(row)
        counts["suggestions"] += 1


def _without(item: dict[str, Any], hide: Redactor | None) -> dict[str, Any]:
    if hide is not None:
        return item | {"quote": hide.mask(str(item.get("quote", "")))}
    return item | {"quote": "", "start": -1, "end": -1}


def _events(session: Session, ids: list[int]) -> Iterator[Event]:
    for part in chunks(ids):
        yield from session.exec(select(Event).where(col(Event.interaction_id).in_(part))).all()


def _blank_attempts(session: Session, ids: list[int]) -> int:
    """What receivers answered may repeat what they were sent."""
    attempts, done = table(Attempt), 0
    for part in chunks(ids):
        sent = (
            select(Delivery.id)
            .join(Event, col(Event.id) == Delivery.event_id)
            .where(col(Event.interaction_id).in_(part))
        )
        told = update(attempts).where(attempts.c.delivery_id.in_(sent), attempts.c.answer != "").values(answer="")
        done += session.connection().execute(told).rowcount
    return done


def _mask_mentions(session: Session, person: Person, counts: Counter[str], now: datetime) -> None:
    """Mails of others that name them."""
    named = person.far.within(
        Interaction.subject,
        Interaction.text,
        Interaction.new_text,
        Interaction.snippet,
        Interaction.machine_reason,
        Interaction.attachments,
        Interaction.links,
        Interaction.parties,
    )
    for row in session.exec(select(Interaction).where(named)).all():
        texts = (row.subject, row.text, row.new_text, row.snippet, row.machine_reason, str(row.attachments))
        if any(person.far.finds(one) for one in (*texts, *row.links, *(str(p.get("name")) for p in row.parties))):
            _mask_words(row, person.far, now)
            session.add(row)
            counts["mentions"] += 1
    session.flush()


# ---- what would lead back


def _forget_paths(session: Session, keyring: Keyring, person: Person, threads: set[Any], counts: Counter[str]) -> None:
    """Ledger hashes, conversations that nothing is left of, keys that spell an address, what was taught about them."""
    digest = hasher(session, keyring).digest
    forms = {form for one in person.addresses for form in (one, weak(one))}
    hashes = table(LedgerHash)
    gone = session.connection().execute(delete(hashes).where(hashes.c.hash.in_([digest(form) for form in forms])))
    counts["ledger_hashes"] += gone.rowcount
    _forget_threads(session, threads, counts)
    for row in session.exec(select(ThreadKey).where(person.far.within(ThreadKey.key))).all():
        session.delete(row)
        counts["thread_keys"] += 1
    taught = session.exec(select(Choice).where(Choice.kind == "contact", Choice.key == str(person.contact_id)))
    for row in taught.all():
        session.delete(row)
        counts["choices"] += 1
    for row in session.exec(select(Interaction).where(person.far.within(Interaction.identity))).all():
        row.identity = f"e:{digest(row.identity).hex()}"
        session.add(row)
    session.flush()


def _forget_threads(session: Session, threads: set[Any], counts: Counter[str]) -> None:
    for part in chunks(threads - {None}):
        alive = set(session.exec(select(Interaction.thread_id).where(col(Interaction.thread_id).in_(part))).all())
        for row in session.exec(select(Thread).where(col(Thread.id).in_(set(part) - alive))).all():
            for choice in session.exec(select(Choice).where(Choice.kind == "thread", Choice.key == str(row.id))).all():
                session.delete(choice)
                counts["choices"] += 1
            session.delete(row)
            counts["threads"] += 1
    session.flush()


def _deals(session: Session, ids: list[int]) -> set[int]:
    found: set[int] = set()
    for part in chunks(ids):
        found |= set(session.exec(select(Link.deal_id).where(col(Link.interaction_id).in_(part))).all())
    return found


def _think_again(session: Session, deals: set[int], now: datetime) -> None:
    rows = table(Deal)
    for part in chunks(deals):
        session.connection().execute(update(rows).where(rows.c.id.in_(part)).values(suggest_at=now))


def _count(session: Session, model: type[SQLModel], condition: Any) -> int:
    return session.exec(select(func.count()).select_from(model).where(condition)).one()


def preview(db: Database, keyring: Keyring, contact_id: int, *, now: datetime) -> dict[str, int]:
    """What an erasure would count: it is done and taken back. Raises NotFound, Conflict."""
    with db.write() as session:
        counts = dict(erase(session, keyring, contact_id, user_id=0, by="", now=now).counts)
        session.rollback()
    return counts
