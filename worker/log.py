"""Decisions become rows: one page, one transaction, a bounded number of statements.

Invariants: an item is accounted for exactly once in the ledger; an interaction exists once however many copies there are;
a link that a person removed stays removed; an event is announced once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from connectors.items import Meeting, Message
from models.account import Account, Source
from models.db import chunks, insert_ids, insert_many, insert_new, table, upsert
from models.deal import Deal
from models.event import announce, event_row
from models.interaction import Copy, Held, Interaction, InteractionCompany, InteractionContact, Link, ThreadKey
from models.keyring import Hasher
from models.ledger import LedgerEntry, LedgerHash
from models.linking import logged_payload
from models.privacy import CopyLevel, decide_sight
from models.suggestion import Signal
from worker import identity, rows, threads
from worker.book import Book
from worker.match import Decision
from worker.timeline_view import Line
from worker.view import View

HISTORY_GRACE = timedelta(minutes=10)


@dataclass(slots=True)
class Case:
    """One item on its way into the timeline. ``row`` is its interaction (stored or about to be); ``known_thread`` the
    conversation of one that is stored (0: none); ``released``: it was held and this copy settles where it belongs."""

    item: Message | Meeting
    view: View
    decision: Decision
    identity: str = ""
    fingerprint: str = ""
    interaction_id: int = 0
    known_thread: int = 0
    fresh: bool = False
    released: bool = False
    row: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Logging:
    """What one page's transaction works with."""

    session: Session
    source: Source
    account: Account
    book: Book
    hasher: Hasher
    now: datetime
    announce_all: bool = False


def settle(work: Logging, cases: Sequence[Case]) -> list[Case]:
    """Store what became of each item; the cases whose interaction is new."""
    kept = [case for case in cases if case.decision.concerns_us]
    _find_same(work, kept)
    _lead_to_threads(work, kept)
    _store_new(work, kept)
    _store_copies(work, kept)
    _store_links(work, kept)
    _store_ledger(work, cases)
    _touch_deals(work, kept)
    _announce(work, kept)
    return [case for case in kept if case.fresh]


def _find_same(work: Logging, cases: Sequence[Case]) -> None:
    """Give each case the interaction that already stands for it: of the database, or of an earlier case of this page."""
    for case in cases:
        if isinstance(case.item, Meeting):
            case.identity = identity.of_meeting(case.item)
        else:
            case.identity, case.fingerprint = identity.of_message(case.item)
    stored = _stored(work.session, cases)
    here = _in_this_mailbox(work, stored)
    first: dict[str, Case] = {}
    alike: dict[str, Case] = {}
    for case in cases:
        names = (case.identity, _second_name(case))
        match = next((row for name in names for row in stored.get(name, []) if _same(row, case)), None)
        match = match or next((row for row in stored.get(case.fingerprint, []) if _renamed(row, case, here)), None)
        if match is not None:
            case.interaction_id, case.known_thread = match.id or 0, match.thread_id or 0
            here.add(case.interaction_id)
            _fill(work, match, case)
            continue
        twin = next((first[name] for name in names if name in first and _twins(first[name], case)), None)
        twin = twin or _nameless_twin(alike.get(case.fingerprint), case)
        if twin is not None:
            case.identity = twin.identity
            continue
        if case.identity in stored or case.identity in first:
            case.identity = _second_name(case)
        first[case.identity] = case
        alike.setdefault(case.fingerprint, case)
        case.fresh = True


def _lead_to_threads(work: Logging, cases: Sequence[Case]) -> None:
    """Another mailbox's copy leads to its conversation as well: by the Message-ID that a relay gave it, by the grouping of
    that mailbox."""
    found = {
        key: case.known_thread
        for case in cases
        if case.known_thread
        for key in (case.view.own_key, *case.view.thread_keys)
        if key and key not in work.book.threads
    }
    insert_new(work.session, ThreadKey, [{"key": key, "thread_id": thread} for key, thread in found.items()])
    work.book.threads |= found


def _second_name(case: Case) -> str:
    """The identity of a mail whose Message-ID another mail has used already."""
    return f"{case.identity}#{case.fingerprint}"


def _stored(session: Session, cases: Sequence[Case]) -> dict[str, list[Interaction]]:
    found: dict[str, list[Interaction]] = {}
    for part in chunks({name for case in cases for name in (case.identity, _second_name(case))}):
        for row in session.exec(select(Interaction).where(col(Interaction.identity).in_(part))):
            found.setdefault(row.identity, []).append(row)
    for part in chunks({case.fingerprint for case in cases if case.fingerprint}):
        for row in session.exec(select(Interaction).where(col(Interaction.fingerprint).in_(part))):
            found.setdefault(row.fingerprint, []).append(row)
    return found


def _same(row: Interaction, case: Case) -> bool:
    if row.kind == "meeting":
        return True
    if row.fingerprint and row.fingerprint == case.fingerprint:
        return True
    stored = next((party["address"] for party in row.parties if party["role"] == "from"), "")
    return identity.agree((stored, row.occurred_at, row.subject), (_sender(case), case.view.at, case.item.subject))


def _twins(one: Case, other: Case) -> bool:
    if one.view.kind == "meeting" or one.fingerprint == other.fingerprint:
        return True
    return identity.agree(
        (_sender(one), one.view.at, one.item.subject), (_sender(other), other.view.at, other.item.subject)
    )


def _fill(work: Logging, row: Interaction, case: Case) -> None:
    """Another copy was opened further than the first: what the first mailbox kept closed is known now."""
    if isinstance(case.item, Meeting) or row.text or case.item.body is None:
        return
    fuller = rows.mail_row(
        case.item, case.view, case.decision, work.book, identity=row.identity, fingerprint="", now=work.now
    )
    for name in ("snippet", "text", "new_text", "links", "attachments"):
        setattr(row, name, fuller[name])
    work.session.add(row)
    work.session.flush()
    _store_signals(work, [replace(case, row=row.model_dump())])
    on = select(Link.deal_id).where(Link.interaction_id == row.id, col(Link.removed_at).is_(None))
    deals = table(Deal)
    work.session.connection().execute(update(deals).where(deals.c.id.in_(on)).values(suggest_at=work.now))


def _sender(case: Case) -> str:
    return next((person.address for person in case.view.people if person.role == "from"), "")


def _renamed(row: Interaction, case: Case, here: set[int]) -> bool:
    """A fingerprint decides where one of the two has no Message-ID, or where a relay gave each mailbox's copy another one;
    a mailbox that holds both holds two mails."""
    nameless = row.identity.startswith("f:") or case.identity.startswith("f:")
    return row.kind == "email" and (nameless or row.id not in here)


def _in_this_mailbox(work: Logging, stored: dict[str, list[Interaction]]) -> set[int]:
    """Which of these interactions have a copy in the account at work."""
    ids = {row.id for found in stored.values() for row in found}
    here: set[int] = set()
    for part in chunks(ids):
        rows = select(Copy.interaction_id).where(col(Copy.interaction_id).in_(part), Copy.account_id == work.account.id)
        here |= set(work.session.exec(rows).all())
    return here


def _nameless_twin(other: Case | None, case: Case) -> Case | None:
    """Of an earlier case of this page, and so of this mailbox: one of the two has no Message-ID."""
    if other is None or not case.fingerprint:
        return None
    return other if "f:" in (other.identity[:2], case.identity[:2]) else None


def _store_new(work: Logging, cases: Sequence[Case]) -> None:
    fresh = [case for case in cases if case.fresh]
    thread_of = threads.assign(work.session, [case.view for case in fresh], work.book.threads, now=work.now)
    for case in fresh:
        if isinstance(case.item, Meeting):
            case.row = rows.meeting_row(
                case.item, case.view, case.decision, work.book, identity=case.identity, now=work.now
            )
        else:
            case.row = rows.mail_row(
                case.item,
                case.view,
                case.decision,
                work.book,
                identity=case.identity,
                fingerprint=case.fingerprint,
                now=work.now,
            )
        case.row["thread_id"] = thread_of[case.view.item_id]
    ids = insert_ids(work.session, Interaction, [case.row for case in fresh])
    by_identity: dict[str, int] = {}
    for case, interaction_id in zip(fresh, ids, strict=True):
        case.interaction_id = case.row["id"] = interaction_id
        by_identity[case.identity] = interaction_id
    for case in cases:
        if not case.interaction_id:
            case.interaction_id = by_identity[case.identity]
    insert_new(
        work.session,
        InteractionContact,
        [
            {"interaction_id": case.interaction_id, "contact_id": contact_id}
            for case in cases
            for contact_id in case.decision.contacts
        ],
    )
    insert_new(
        work.session,
        InteractionCompany,
        [
            {"interaction_id": case.interaction_id, "company_id": company_id}
            for case in cases
            for company_id in case.decision.companies
        ],
    )


def _store_copies(work: Logging, cases: Sequence[Case]) -> None:
    insert_new(
        work.session,
        Copy,
        [
            {
                "interaction_id": case.interaction_id,
                "source_id": work.source.id,
                "account_id": work.account.id,
                "item_id": case.item.item_id,
                "state": "present",
                "seen_at": work.now,
            }
            for case in cases
        ],
    )


def _store_links(work: Logging, cases: Sequence[Case]) -> None:
    """Links, what is held, and signals. A case that only adds a copy adds no link where there is one (or where a person
    said that there is none), and asks nothing that was not asked of the first copy."""
    known = [case.interaction_id for case in cases if not case.fresh]
    held, settled = _questions(work.session, known)
    settled |= _linked(work.session, known)
    fresh = {case.interaction_id for case in cases if case.fresh}
    for case in cases:
        if case.fresh or case.interaction_id in fresh:
            continue
        asks = case.decision.outcome == "held" and case.interaction_id not in held
        if case.interaction_id in settled or asks:
            case.decision = _as_logged(case.decision)
        case.released = case.interaction_id in held and case.decision.outcome == "logged"
    insert_new(
        work.session,
        Link,
        [
            {
                "interaction_id": case.interaction_id,
                "deal_id": link.deal_id,
                "rule": link.rule,
                "score": link.score,
                "reasons": list(link.reasons),
                "stage_id": link.stage_id,
                "made_at": work.now,
            }
            for case in cases
            for link in case.decision.links
        ],
    )
    insert_new(work.session, Held, [held_row(work, case) for case in cases if case.decision.outcome == "held"])
    release_held(work.session, [case.interaction_id for case in cases if case.released], work.now)
    _store_signals(work, [case for case in cases if case.fresh])


def _as_logged(decision: Decision) -> Decision:
    return replace(decision, outcome="logged", links=(), candidates=())


def _questions(session: Session, interaction_ids: Sequence[int]) -> tuple[set[int], set[int]]:
    """Of some interactions: those that wait for a person, and those that a person has decided."""
    waiting: set[int] = set()
    decided: set[int] = set()
    for part in chunks(set(interaction_ids)):
        for held in session.exec(select(Held).where(col(Held.interaction_id).in_(part))):
            (waiting if held.state == "open" else decided).add(held.interaction_id)
    return waiting, decided


def held_row(work: Logging, case: Case) -> dict[str, Any]:
    """An item that waits for its mailbox's owner."""
    return {
        "interaction_id": case.interaction_id,
        "account_id": work.account.id,
        "user_id": work.account.user_id,
        "candidates": candidate_rows(case.decision),
        "reason": case.decision.reason,
        "state": "open",
        "created_at": work.now,
    }


def candidate_rows(decision: Decision) -> list[dict[str, Any]]:
    """The deals among which a person chooses, as they are kept with the question."""
    return [
        {"deal_id": link.deal_id, "score": link.score, "rule": link.rule, "reasons": list(link.reasons)}
        | ({"sure": True} if link.sure else {})
        for link in decision.candidates
    ]


def release_held(session: Session, interaction_ids: Iterable[int], now: datetime) -> None:
    """What was held is settled by another copy or by a later decision."""
    held, interactions = table(Held), table(Interaction)
    for part in chunks(interaction_ids):
        session.connection().execute(
            update(held)
            .where(held.c.interaction_id.in_(part), held.c.state == "open")
            .values(state="chosen", decided_at=now)
        )
        session.connection().execute(
            update(interactions).where(interactions.c.id.in_(part), interactions.c.held).values(held=False)
        )


def _linked(session: Session, interaction_ids: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for part in chunks(set(interaction_ids)):
        found |= set(session.exec(select(Link.interaction_id).where(col(Link.interaction_id).in_(part))).all())
    return found


def _store_signals(work: Logging, cases: Sequence[Case]) -> None:
    from worker.signals import read

    found = []
    for case in cases:
        if not case.row.get("new_text") and case.view.kind == "email" and not case.row.get("attachments"):
            continue
        for signal in read(line_of(case.row, lambda domain: work.book.company_at(domain) is not None)):
            found.append(
                {
                    "interaction_id": case.interaction_id,
                    "kind": signal.kind,
                    "rule": signal.rule,
                    "quote": signal.quote,
                    "start": signal.start,
                    "end": signal.end,
                    "weight": signal.weight,
                    "lang": signal.lang,
                    "value": signal.value,
                }
            )
    insert_many(work.session, Signal, found)


LINE_FIELDS = (
    "id",
    "kind",
    "direction",
    "occurred_at",
    "ends_at",
    "parties",
    "subject",
    "new_text",
    "machine",
    "machine_reason",
    "attachments",
    "links",
    "forwarded",
    "status",
)
"""The columns of an interaction that ``line_of`` looks at."""


def line_of(row: dict[str, Any], knows: Callable[[str], bool] = lambda domain: False) -> Line:
    """An interaction's row as the rules of suggestion see it. ``knows`` says whether a domain is a customer's."""
    sender = next((p for p in row["parties"] if p["role"] in ("from", "sender", "organizer")), None)
    known = sender is not None and (
        sender["ours"] or sender["contact_id"] is not None or knows(sender["address"].rpartition("@")[2])
    )
    return Line(
        id=row["id"],
        kind=row["kind"],
        direction=row["direction"],
        at=row["occurred_at"],
        end=row["ends_at"],
        sender=sender["address"] if sender else "",
        sender_name=sender["name"] if sender else "",
        sender_ours=bool(sender and sender["ours"]),
        sender_known=known,
        recipients=tuple(p["address"] for p in row["parties"] if p["role"] in ("to", "cc")),
        subject=row["subject"],
        new=row["new_text"],
        machine=row["machine"] or None,
        machine_reason=row["machine_reason"],
        attachments=tuple((a["name"], a["mime"], a["size"]) for a in row["attachments"]),
        links=tuple(row["links"]),
        forwarded=row["forwarded"],
        status=row["status"],
        attendees=tuple((p["address"], p["response"], p["ours"]) for p in row["parties"]),
    )


def _store_ledger(work: Logging, cases: Sequence[Case]) -> None:
    """One entry an item: inserted, or brought up to date when it was known as unopened, owed or ignored."""
    entries = []
    for case in cases:
        entries.append(
            {
                "source_id": work.source.id,
                "item_id": case.item.item_id,
                "outcome": case.decision.outcome,
                "reason": case.decision.reason[:200],
                "month": rows.month(case.view.at),
                "state": case.view.place if case.view.place in ("spam", "trash") else "present",
                "priority": 0,
                "attempts": 0,
                "next_try_at": None,
                "error": "",
                "interaction_id": case.interaction_id or None,
                "updated_at": work.now,
            }
        )
    write_entries(work.session, entries)
    _store_hashes(work, cases)


def write_entries(session: Session, entries: Sequence[dict[str, Any]]) -> None:
    """Insert ledger entries or overwrite the ones there are."""
    upsert(session, LedgerEntry, entries, ("source_id", "item_id"))


def _store_hashes(work: Logging, cases: Sequence[Case]) -> None:
    """Ignored items leave hashes of their outsiders; logged ones of those who are no contacts yet. Internal, private and
    draft items leave none, also when they had left some before anybody knew."""
    _forget_hashes(work, [case.item.item_id for case in cases if case.decision.outcome == "internal"])
    forms: dict[str, set[str]] = {}
    for case in cases:
        outcome = case.decision.outcome
        if outcome == "internal" or (outcome == "ignored" and case.decision.reason in ("draft", "private event")):
            continue
        found = rows.outside_forms(case.view, work.book, unknown_only=outcome != "ignored")
        if found:
            forms[case.item.item_id] = found
    ids: dict[str, int] = {}
    for part in chunks(forms):
        ids.update(
            work.session.exec(
                select(LedgerEntry.item_id, LedgerEntry.id).where(
                    LedgerEntry.source_id == work.source.id, col(LedgerEntry.item_id).in_(part)
                )
            ).all()  # pyright: ignore[reportArgumentType]
        )
    digests = {form: work.hasher.digest(form) for found in forms.values() for form in found}
    insert_new(
        work.session,
        LedgerHash,
        [{"entry_id": ids[item_id], "hash": digests[form]} for item_id, found in forms.items() for form in found],
    )


def _forget_hashes(work: Logging, item_ids: Sequence[str]) -> None:
    ledger, hashes = table(LedgerEntry), table(LedgerHash)
    for part in chunks(item_ids):
        entries = select(ledger.c.id).where(ledger.c.source_id == work.source.id, ledger.c.item_id.in_(part))
        work.session.connection().execute(delete(hashes).where(hashes.c.entry_id.in_(entries)))


def _touch_deals(work: Logging, cases: Sequence[Case]) -> None:
    """Ask for a thought about each deal that something was logged on."""
    touched = {link.deal_id for case in cases for link in case.decision.links}
    deals = table(Deal)
    for part in chunks(touched):
        work.session.connection().execute(update(deals).where(deals.c.id.in_(part)).values(suggest_at=work.now))


def _announce(work: Logging, cases: Sequence[Case]) -> None:
    """``interaction.logged`` for each link of what is new, ``interaction.held`` for its owner alone. Nothing from before
    the account was connected, unless the team asked for that."""
    since = work.account.connected_at - HISTORY_GRACE
    events = []
    for case in cases:
        if not (case.fresh or case.released) or not (work.announce_all or case.view.at >= since):
            continue
        if case.released:
            case.row = work.session.get_one(Interaction, case.interaction_id).model_dump()
        if case.decision.outcome == "held":
            payload = _payload(work, case, owner=True) | {"candidates": held_row(work, case)["candidates"]}
            events.append(
                event_row(
                    "interaction.held",
                    str(case.interaction_id),
                    payload,
                    now=work.now,
                    user_id=work.account.user_id,
                )
            )
            continue
        payload = _payload(work, case, owner=False)
        targets = [link.deal_id for link in case.decision.links] or [None]
        for deal_id in targets:
            once = f"{case.interaction_id}:{deal_id or ''}"
            events.append(event_row("interaction.logged", once, payload, now=work.now, deal_id=deal_id))
        events += meeting_events(case.row, payload, case.decision, work.now)
    announce(work.session, *events)


def meeting_events(
    row: dict[str, Any], payload: dict[str, Any], decision: Decision, now: datetime
) -> list[dict[str, Any]]:
    """``meeting.scheduled`` for one that lies ahead."""
    if row.get("kind") != "meeting" or row["status"] == "cancelled" or row["occurred_at"] <= now:
        return []
    deal_id = decision.links[0].deal_id if decision.links else None
    return [event_row("meeting.scheduled", str(row["id"]), payload, now=now, deal_id=deal_id)]


def _payload(work: Logging, case: Case, *, owner: bool) -> dict[str, Any]:
    level = CopyLevel(work.account.user_id, work.account.visibility)
    sight = decide_sight(viewer_id=work.account.user_id if owner else None, held=False, override="", copies=[level])
    links = [
        {"deal_id": link.deal_id, "rule": link.rule, "score": link.score, "reasons": list(link.reasons)}
        for link in case.decision.links
    ]
    return logged_payload(case.row, links, subject=sight.subject, text=sight.text)
