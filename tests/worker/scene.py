"""What these tests look at: a house at work on the sandbox, its rows, and every column of every table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select as choose
from sqlmodel import Session, col, select

import house as building
import sandbox
from connectors.items import Listed, Meeting, Message, Page, Party
from models import tables
from models.account import Account, Source
from models.db import Database
from models.deal import Deal
from models.event import Event
from models.interaction import Copy, Interaction, Link
from models.keyring import Keyring
from models.ledger import LedgerEntry
from tests.models.cast import buyer, firm, mailbox, member, sale
from tests.support import BUYER, COLLEAGUE, NOW, REP, connect
from worker.context import Pace, Work
from worker.intake import Holding, take

RECENT = timedelta(days=3)
AT_WORK: list[Work] = []
"""Workers of the present test, to be closed after it."""
_next = iter(range(1, 10**6))


def people(house: building.House, *, deal: str = "Windmill", own: str = REP) -> int:
    """Bea of Northwind and her open deal, from before any mail; the deal's id."""
    with house.db.write() as session:
        company = firm(session)
        person = buyer(session)
        made = sale(
            session,
            deal,
            at=datetime.now(UTC) - timedelta(days=60),
            company_id=company.id,
            owner_id=member(session, own).id,
            people=[(person, "buyer")],
        )
        return made.id or 0


def opened(house: building.House, world: sandbox.World, *emails: str) -> tuple[Work, list[Account]]:
    """A worker and its connected mailboxes (not yet synced)."""
    work = house.work()
    AT_WORK.append(work)
    return work, [connect(house, world, email) for email in emails or (REP,)]


def outcomes(session: Session, kind: str = "mail") -> Counter[str]:
    """How many items of the mailboxes ended how."""
    rows = session.exec(
        select(LedgerEntry.outcome).join(Source, col(Source.id) == LedgerEntry.source_id).where(Source.kind == kind)
    )
    return Counter(rows)


def entry(session: Session, item_id: str) -> LedgerEntry:
    """What the ledger says of one item."""
    return session.exec(select(LedgerEntry).where(LedgerEntry.item_id == item_id)).one()


def subjects(session: Session) -> list[str]:
    """Of everything on the timeline, oldest first."""
    return list(session.exec(select(Interaction.subject).order_by(col(Interaction.occurred_at))).all())


def on_deals(session: Session) -> list[tuple[str, str, str]]:
    """(subject, deal, rule) of every link that stands."""
    rows = session.exec(
        select(Interaction.subject, Deal.name, Link.rule)
        .join(Link, col(Link.interaction_id) == Interaction.id)
        .join(Deal, col(Deal.id) == Link.deal_id)
        .where(col(Link.removed_at).is_(None))
        .order_by(col(Interaction.occurred_at), col(Deal.id))
    )
    return list(rows.all())


def kinds(session: Session) -> Counter[str]:
    """Events by their kind."""
    return Counter(session.exec(select(Event.kind)).all())


def states(session: Session) -> list[str]:
    """The state of every copy, by its id."""
    return list(session.exec(select(Copy.state).order_by(col(Copy.id))).all())


def places_of(db: Database, word: str) -> list[str]:
    """Every table.column in which a word stands anywhere."""
    found = []
    with db.engine.connect() as connection:
        for table in tables.metadata.sorted_tables:
            for row in connection.execute(choose(table)).mappings():
                found += [f"{table.name}.{name}" for name, value in row.items() if word in _text(value)]
    return found


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class Desk:
    """Items straight into the books, without a provider: one source under a lease, one page at a time."""

    def __init__(self, db: Database, keyring: Keyring, email: str = REP, *, kind: str = "mail", **account: Any) -> None:
        self.db, self.keyring, self.now = db, keyring, NOW
        with db.write() as session:
            self.account, source = mailbox(session, email, kind=kind, **account)
            source.lease_owner = "desk"
            source.cursor = "start"
            session.add(source)
            self.source = source.id or 0

    @property
    def holding(self) -> Holding:
        return Holding(self.source, "desk", 60)

    def take(self, *items: Any, now: datetime | None = None, **changes: Any) -> list[int]:
        """One page."""
        return take(self.db, self.keyring, self.holding, items, now=now or self.now, changes=changes)


def note(
    sender: str = BUYER,
    to: str | Iterable[str] = REP,
    subject: str = "Hello",
    *,
    text: str | None = "Hello there.",
    at: datetime = NOW,
    message_id: str | None = None,
    **fields: Any,
) -> Message:
    """A mail as a connector hands it over. ``text`` None: only headers were opened."""
    from connectors.items import Body

    number = next(_next)
    receivers = [to] if isinstance(to, str) else list(to)
    given: dict[str, Any] = {
        "item_id": f"item{number}",
        "thread": "",
        "at": at,
        "sent_at": at,
        "parties": (Party("from", sender), *(Party("to", one) for one in receivers)),
        "subject": subject,
        "message_id": f"{number}@test.example" if message_id is None else message_id,
        "body": None if text is None else Body(text, text),
    }
    return Message(**(given | fields))


def talk(
    *attendees: str,
    organizer: str = REP,
    start: datetime = NOW + timedelta(days=1),
    minutes: int = 60,
    answers: dict[str, str] | None = None,
    **fields: Any,
) -> Meeting:
    """A meeting as a connector hands it over."""
    number = next(_next)
    given: dict[str, Any] = {
        "item_id": f"event{number}",
        "uid": f"uid{number}@cal.example",
        "original_start": datetime(1970, 1, 1, tzinfo=UTC),
        "start": start,
        "end": start + timedelta(minutes=minutes),
        "subject": "Kick-off",
        "parties": (
            Party("organizer", organizer),
            *(Party("attendee", one, response=(answers or {}).get(one, "none")) for one in attendees),  # type: ignore[arg-type]
        ),
    }
    return Meeting(**(given | fields))


def at_rest(db: Database, keyring: Keyring, now: datetime = NOW) -> Work:
    """A worker without providers, on a clock that stands still."""
    return Work(db, keyring, {}, Pace(), now=lambda: now)


__all__ = ["COLLEAGUE", "Listed", "Page"]


def northwind(db: Database, *deals: str) -> None:
    """A firm, its buyer, and deals with them by these names."""
    with db.write() as session:
        company, person = firm(session), buyer(session)
        for name in deals or ("Windmill",):
            sale(session, name, company_id=company.id, people=[(person, "")])
