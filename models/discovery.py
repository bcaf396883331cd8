"""People whom a user corresponds with and whom the address book does not know: offers for contacts.

What is kept of them, and of whom: a row with address and name only where **the mailbox's owner wrote to them**, for that owner
alone. Who merely wrote to us leaves a keyed hash on the ledger entry and nothing else; ``LedgerHash.way`` says with it
whether a person wrote the mail or our user did, and the counts are made from those, so that an item that is read twice
counts once. Never kept: colleagues, blocked people, machines. Undecided rows are forgotten after ``KEPT``; of somebody who is
never to be offered again only the hash stays, once ``UNDO`` is over.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, or_, update
from sqlmodel import Field, Session, SQLModel, UniqueConstraint, col, func, select

from models.account import Account, Source
from models.addresses import domain_of, lineage
from models.contact import Company, CompanyDomain, ContactAddress, is_free_mail
from models.db import chunks, insert_new, table
from models.event import Event, announce, event_row
from models.fields import digest, instant, json_dict
from models.ledger import WRITTEN, WROTE, LedgerEntry, LedgerHash
from models.ours import blocked_values, is_blocked, load_ours
from models.roles import is_role, likely_firm, likely_name
from models.setting import team_settings

KEPT = timedelta(days=90)
"""An offer that nobody decides about is forgotten after this time without mail."""
EARLY = timedelta(days=14)
"""So long somebody is offered to whom we wrote while the address book was empty, although no answer has been read yet."""
UNDO = timedelta(hours=1)
MOST = 2_000
"""Offers shown at the most."""


class Discovery(SQLModel, table=True):
    """Somebody whom a user wrote to. ``hash`` is the keyed hash of the address; ``early``: found while the address book was
    empty. ``state``: open | accepted | ignored | never. ``batch`` names what was decided together; ``made`` is what an acceptance made, for its undo."""

    __table_args__ = (UniqueConstraint("user_id", "hash"),)
    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE")
    hash: bytes = digest()
    address: str = ""
    name: str = ""
    inbound: int = 0
    outbound: int = 0
    last_at: datetime = instant()
    early: bool = False
    state: str = Field(default="open", index=True)
    found_at: datetime = instant()
    kept_at: datetime = instant(index=True)
    decided_at: datetime | None = instant(None)
    batch: str = Field(default="", index=True)
    contact_id: int | None = Field(default=None, index=True)
    made: dict[str, Any] = json_dict()


@dataclass(frozen=True, slots=True)
class Exchange:
    """An unknown person on one mail. ``way``: WROTE (they wrote it) or WRITTEN (our user wrote to them)."""

    address: str
    hash: bytes
    name: str
    way: int
    at: datetime


def note_exchanges(
    session: Session, user_id: int, found: Sequence[Exchange], *, early: bool, since: datetime, now: datetime
) -> None:
    """Bring up to date what is kept of these people; the ledger must hold their hashes already. ``since``: only what happened
    from then on is announced. Safe under races: of many who see the same person first, one makes the row."""
    fresh = {one.hash: one for one in found if one.way == WRITTEN}
    insert_new(session, Discovery, [_row(user_id, one, early, now) for one in sorted(fresh.values(), key=_by_hash)])
    latest = {}
    for one in sorted(found, key=lambda one: (one.at, one.way == WROTE)):
        latest.setdefault(one.hash, []).append(one)
    told = []
    for part in chunks(sorted(latest)):
        rows = session.exec(
            select(Discovery)
            .where(Discovery.user_id == user_id, Discovery.state == "open", col(Discovery.hash).in_(part))
            .order_by(col(Discovery.id))
            .with_for_update()
        ).all()
        counts = _counts(session, user_id, [row.hash for row in rows])
        for row in rows:
            row.inbound, row.outbound = counts.get((row.hash, WROTE), 0), counts.get((row.hash, WRITTEN), 0)
            row.name = _name(row.name, latest[row.hash])
            row.last_at, row.kept_at = max(row.last_at, latest[row.hash][-1].at), now
            session.add(row)
            if row.inbound and row.outbound and latest[row.hash][-1].at >= since:
                told.append(row)
    session.flush()
    _announce(session, told, now)


def offered(user_id: int, now: datetime) -> list[Any]:
    """The conditions under which a row is an offer to a user."""
    taken = select(ContactAddress.address).where(ContactAddress.address == Discovery.address)
    return [
        Discovery.user_id == user_id,
        Discovery.state == "open",
        Discovery.address != "",
        Discovery.outbound > 0,
        or_(col(Discovery.inbound) > 0, col(Discovery.early) & (col(Discovery.found_at) >= now - EARLY)),
        ~taken.exists(),
    ]


def offers(session: Session, user_id: int, *, now: datetime) -> list[Discovery]:
    """Whom a user may take into the address book: those who answered first, then by how much was exchanged."""
    rows = session.exec(
        select(Discovery)
        .where(*offered(user_id, now))
        .order_by(
            case((col(Discovery.inbound) > 0, 0), else_=1),
            (col(Discovery.inbound) + col(Discovery.outbound)).desc(),
            col(Discovery.last_at).desc(),
            col(Discovery.id).desc(),
        )
        .limit(MOST)
    ).all()
    return still_strangers(session, user_id, rows)


def count_offers(session: Session, user_id: int, *, now: datetime) -> int:
    """How many offers there are, cheaply."""
    return session.exec(select(func.count()).select_from(Discovery).where(*offered(user_id, now))).one()


def firms_of(session: Session, rows: Iterable[Discovery]) -> dict[str, tuple[int | None, str]]:
    """By domain: the company that owns it, or the name that a new one would get; free mail has none."""
    domains = {domain_of(row.address) for row in rows if row.address}
    names = {one for domain in domains for one in lineage(domain) if not is_free_mail(one)}
    known: dict[str, tuple[int | None, str]] = {}
    for part in chunks(names):
        owners = select(CompanyDomain.domain, Company.id, Company.name).join(
            Company, col(Company.id) == CompanyDomain.company_id
        )
        for domain, company_id, name in session.exec(owners.where(col(CompanyDomain.domain).in_(part))):
            known[domain] = (company_id, name)
    found: dict[str, tuple[int | None, str]] = {}
    for domain in domains:
        if not is_free_mail(domain):
            owner = next((known[one] for one in lineage(domain) if one in known), None)
            found[domain] = owner or (None, likely_firm(domain))
    return found


def tidy(session: Session, *, now: datetime) -> int:
    """Forget what must not be kept any longer; how many rows."""
    old = session.exec(
        select(Discovery).where(col(Discovery.state).in_(("open", "ignored")), Discovery.kept_at < now - KEPT)
    ).all()
    for row in old:
        session.delete(row)
    refused = session.exec(
        select(Discovery).where(
            Discovery.state == "never", Discovery.address != "", col(Discovery.decided_at) < now - UNDO
        )
    ).all()
    for row in refused:
        row.address = row.name = row.batch = ""
        row.inbound = row.outbound = 0
        session.add(row)
    session.flush()
    _redact(session, [*old, *refused])
    return len(old) + len(refused)


def untidy(now: datetime) -> Any:
    """A query that finds something when ``tidy`` has work to do."""
    old = col(Discovery.state).in_(("open", "ignored")) & (col(Discovery.kept_at) < now - KEPT)
    refused = (
        (col(Discovery.state) == "never") & (col(Discovery.address) != "") & (col(Discovery.decided_at) < now - UNDO)
    )
    return select(Discovery.id).where(or_(old, refused))


def drop_strangers(session: Session, user_id: int | None, value: str) -> int:
    """Forget the undecided whom a new block names: of everybody (None) or of one user; how many."""
    rows = session.exec(select(Discovery).where(Discovery.state == "open", Discovery.address != "")).all()
    gone = [row for row in rows if user_id in (None, row.user_id) and is_blocked(row.address, {value})]
    for row in gone:
        session.delete(row)
    session.flush()
    _redact(session, gone)
    return len(gone)


def shown_name(row: Discovery) -> str:
    """What to call somebody: as they write themselves, else as their address tells, else the address."""
    return row.name or likely_name(row.address) or row.address


def still_strangers(session: Session, user_id: int, rows: Sequence[Discovery]) -> list[Discovery]:
    """The rows without those who have become colleagues or were blocked since."""
    ours = load_ours(session, team_settings(session))
    blocked, _ = blocked_values(session, user_id)
    return [row for row in rows if not ours.has(row.address) and not is_blocked(row.address, blocked)]


def _row(user_id: int, one: Exchange, early: bool, now: datetime) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "hash": one.hash,
        "address": one.address,
        "name": one.name,
        "inbound": 0,
        "outbound": 0,
        "last_at": one.at,
        "early": early and not is_role(one.address),
        "state": "open",
        "found_at": now,
        "kept_at": now,
        "decided_at": None,
        "batch": "",
        "contact_id": None,
        "made": {},
    }


def _by_hash(one: Exchange) -> bytes:
    """One order for all who insert, so that none waits for another in a circle."""
    return one.hash


def _counts(session: Session, user_id: int, hashes: Sequence[bytes]) -> dict[tuple[bytes, int], int]:
    """How many mails each way, by (hash, way): from the ledger, so each item once."""
    rows = session.exec(
        select(LedgerHash.hash, LedgerHash.way, func.count())
        .join(LedgerEntry, col(LedgerEntry.id) == LedgerHash.entry_id)
        .join(Source, col(Source.id) == LedgerEntry.source_id)
        .join(Account, col(Account.id) == Source.account_id)
        .where(col(LedgerHash.hash).in_(hashes), col(LedgerHash.way) > 0, Account.user_id == user_id)
        .group_by(col(LedgerHash.hash), col(LedgerHash.way))
    ).all()
    return {(digest_, way): count for digest_, way, count in rows}


def _name(known: str, exchanges: Sequence[Exchange]) -> str:
    """The newest name they gave themselves, else what was known, else what our user calls them."""
    own = [one.name for one in exchanges if one.way == WROTE and one.name]
    given = [one.name for one in exchanges if one.name]
    return (own[-1] if own else known or (given[-1] if given else ""))[:200]


def _announce(session: Session, rows: Sequence[Discovery], now: datetime) -> None:
    firms = firms_of(session, rows)
    events = []
    for row in rows:
        firm = firms.get(domain_of(row.address))
        payload = {
            "id": row.id,
            "address": row.address,
            "name": shown_name(row),
            "company": firm[1] if firm else None,
            "seen": row.inbound + row.outbound,
        }
        events.append(event_row("contact.discovered", _once(row), payload, now=now, user_id=row.user_id))
    announce(session, *events)


def _once(row: Discovery) -> str:
    return f"{row.user_id}:{row.hash.hex()}"


def _redact(session: Session, rows: Sequence[Discovery]) -> None:
    """The feed forgets with us: an event that told of them keeps its place and says nothing."""
    events = table(Event)
    for part in chunks(f"contact.discovered:{_once(row)}" for row in rows):
        session.connection().execute(
            update(events)
            .where(events.c.once.in_(part))
            .values(payload={"id": None, "address": None, "name": None, "company": None, "seen": 0})
        )
