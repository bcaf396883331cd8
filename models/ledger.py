"""The ledger: what became of every item that a source holds. It is what proves that nothing was silently lost.

Outcomes: ``unopened`` (listed, not yet read) · ``logged`` · ``held`` · ``ignored`` (with a reason) · ``internal`` (between
colleagues: nothing else is kept) · ``owed`` (could not be read, will be tried again) · ``unreadable`` (given up, visible,
with a retry) · ``gone`` (deleted before it could be read).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Index, bindparam, update
from sqlmodel import Field, Session, SQLModel, UniqueConstraint, and_, col, func, or_, select

from models.bulk import among
from models.db import chunks, insert_new, table
from models.fields import digest, instant

OUTCOMES = ("unopened", "logged", "held", "ignored", "internal", "owed", "unreadable", "gone")
TO_OPEN = "to be opened"
"""Reason of an owed item whose headers were read, and which concerns a contact."""
WROTE, WRITTEN = 1, 2
SETTLED = ("logged", "held", "ignored", "internal")
STRIKES = 5
"""Failed attempts until an owed item is called unreadable."""


class LedgerEntry(SQLModel, table=True):
    """One item of one source. ``month`` is ``YYYY-MM`` of when it happened, empty while unknown. ``state`` is where the
    provider has it: present | trash | spam | deleted. ``priority``: 1 when it is to be opened soon. ``listed_at``: when an
    audit saw it in the provider's list."""

    __tablename__ = "ledger_entry"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("source_id", "item_id"),
        Index("ix_ledger_outcome", "source_id", "outcome", "priority"),
        Index("ix_ledger_owed", "outcome", "next_try_at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    source_id: int = Field(foreign_key="source.id", ondelete="CASCADE")
    item_id: str
    outcome: str = "unopened"
    reason: str = ""
    month: str = ""
    state: str = "present"
    priority: int = 0
    attempts: int = 0
    next_try_at: datetime | None = instant(None)
    error: str = ""
    interaction_id: int | None = Field(default=None, index=True)
    listed_at: datetime | None = instant(None)
    updated_at: datetime = instant()


class LedgerHash(SQLModel, table=True):
    """A keyed hash of an address on an ignored item, so that it is found again when its owner becomes a contact. ``way``:
    ``WROTE`` when a person wrote the mail from it, ``WRITTEN`` when the mailbox's owner wrote to it, else 0."""

    __tablename__ = "ledger_hash"  # pyright: ignore[reportAssignmentType]
    entry_id: int = Field(foreign_key="ledger_entry.id", primary_key=True, ondelete="CASCADE")
    hash: bytes = digest(primary_key=True, index=True)
    way: int = 0


_ENTRIES = select(LedgerEntry).where(LedgerEntry.source_id == bindparam("source"), among(col(LedgerEntry.item_id)))

_AWAY = _ENTRIES.where(LedgerEntry.state != "present").order_by(col(LedgerEntry.id))


def entries_for(session: Session, source_id: int, item_ids: Iterable[str]) -> dict[str, LedgerEntry]:
    """The entries of some items, by item id."""
    asked = {"source": source_id, "keys": list(item_ids)}
    return {row.item_id: row for row in session.exec(_ENTRIES, params=asked)} if asked["keys"] else {}


def away(session: Session, source_id: int, item_ids: Iterable[str]) -> list[LedgerEntry]:
    """The entries of some items that the ledger does not call present."""
    asked = {"source": source_id, "keys": list(item_ids)}
    return list(session.exec(_AWAY, params=asked)) if asked["keys"] else []


def list_items(
    session: Session, source_id: int, item_ids: Iterable[str], *, priority: int, reason: str, now: datetime
) -> None:
    """Enter items that are known by id only; those already in the ledger stay as they are."""
    insert_new(
        session,
        LedgerEntry,
        [
            {
                "source_id": source_id,
                "item_id": item_id,
                "outcome": "unopened",
                "reason": reason,
                "priority": priority,
                "updated_at": now,
            }
            for item_id in item_ids
        ],
    )


def next_unopened(session: Session, source_id: int, limit: int) -> list[str]:
    """Items to open next, in the order in which they were listed (newest first)."""
    return list(
        session.exec(
            select(LedgerEntry.item_id)
            .where(LedgerEntry.source_id == source_id, LedgerEntry.outcome == "unopened", LedgerEntry.priority > 0)
            .order_by(col(LedgerEntry.priority).desc(), col(LedgerEntry.id))
            .limit(limit)
        ).all()
    )


def due_owed(session: Session, source_id: int, *, now: datetime, limit: int) -> list[str]:
    """Owed items whose next try has come, and settled ones of which the provider said that they do not exist."""
    never_tried = and_(LedgerEntry.outcome == "owed", col(LedgerEntry.next_try_at).is_(None))
    again = and_(col(LedgerEntry.outcome).in_(("owed", *SETTLED)), col(LedgerEntry.next_try_at) <= now)
    return list(
        session.exec(
            select(LedgerEntry.item_id)
            .where(LedgerEntry.source_id == source_id, or_(never_tried, again))
            .order_by(col(LedgerEntry.id))
            .limit(limit)
        ).all()
    )


def next_try(attempts: int, now: datetime) -> datetime:
    """When an owed item is tried again: 5 s, then doubling up to six hours."""
    return now + timedelta(seconds=min(5 * 2**attempts, 21_600))


def summary(session: Session, source_ids: Iterable[int]) -> dict[tuple[str, str], int]:
    """How many items by (outcome, reason)."""
    rows = session.exec(
        select(LedgerEntry.outcome, LedgerEntry.reason, func.count())
        .where(col(LedgerEntry.source_id).in_(list(source_ids)))
        .group_by(LedgerEntry.outcome, LedgerEntry.reason)
    ).all()
    return {(outcome, reason): count for outcome, reason, count in rows}


def deleted_since(session: Session, source_ids: Iterable[int]) -> dict[tuple[str, str], int]:
    """How many items by (outcome, reason) were accounted for and are no longer in the mailbox."""
    rows = session.exec(
        select(LedgerEntry.outcome, LedgerEntry.reason, func.count())
        .where(
            col(LedgerEntry.source_id).in_(list(source_ids)),
            LedgerEntry.state == "deleted",
            LedgerEntry.outcome != "gone",
        )
        .group_by(LedgerEntry.outcome, LedgerEntry.reason)
    ).all()
    return {(outcome, reason): count for outcome, reason, count in rows}


def retry_unreadable(session: Session, source_ids: Iterable[int], *, now: datetime) -> int:
    """Owe the unreadable items again, from now; how many."""
    entries = table(LedgerEntry)
    done = session.connection().execute(
        update(entries)
        .where(entries.c.source_id.in_(list(source_ids)), entries.c.outcome == "unreadable")
        .values(outcome="owed", attempts=0, next_try_at=now, updated_at=now)
    )
    return done.rowcount


def reopen_hashes(session: Session, hashes: Iterable[bytes], *, now: datetime) -> set[int]:
    """Ask for another look at the ignored items on which any of these addresses stood; the sources they are in."""
    touched: set[int] = set()
    entries = table(LedgerEntry)
    for part in chunks(hashes):
        ids = session.exec(
            select(LedgerEntry.id, LedgerEntry.source_id)
            .join(LedgerHash, col(LedgerHash.entry_id) == LedgerEntry.id)
            .where(col(LedgerHash.hash).in_(part), col(LedgerEntry.outcome).in_(("ignored", "unopened")))
        ).all()
        touched |= {source_id for _, source_id in ids}
        for some in chunks({entry_id for entry_id, _ in ids}):
            session.connection().execute(
                update(entries)
                .where(entries.c.id.in_(some))
                .values(outcome="owed", reason="a new contact", attempts=0, next_try_at=now, updated_at=now)
            )
    return touched
