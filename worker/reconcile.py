"""The audit: what the provider holds against what the ledger says, with the difference repaired and told.

Algorithm, resumable from its walk: (1) list every id, newest first; each one listed is stamped in the ledger, each one
that the ledger lacks is a hole, entered at once and read first; (2) what the ledger calls present and was not listed has
vanished: its headers are asked for, so that it is marked as deleted, trashed or spam; nothing logged is ever erased.

Invariants: an answer that is empty or has lost more than a fifth of what was there is not believed (``shrunken``): nothing
is marked, and the account says so. A calendar is listed afresh instead; what is still to come and was not listed, without
a tombstone, is taken off that calendar.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, update
from sqlmodel import Session, col, func, select

from connectors.base import Mailbox
from connectors.items import Item, Meeting, Removed, Unreadable
from models.account import Source, Walk
from models.db import chunks, table
from models.fields import EPOCH
from models.interaction import Interaction
from models.ledger import LedgerEntry, away, entries_for
from worker.context import Work
from worker.intake import Holding, set_state, take

READ_AT_ONCE = 100
FEW = 20
"""So many vanished items are believed whatever share they are."""
SHARE = 5
"""One in so many may vanish between two audits."""
UNLISTED = ("draft", "chat")
SHRUNKEN = "The provider suddenly lists far fewer items than before; nothing was marked as deleted. Look at the mailbox itself."


def holes(session: Session, source_id: int, ids: Sequence[str]) -> list[str]:
    """The ids that the ledger lacks."""
    known = entries_for(session, source_id, ids)
    return [item_id for item_id in ids if item_id not in known]


def welcome_back(session: Session, source: Source, ids: Sequence[str], now: datetime) -> None:
    """What is listed among the mail although the ledger calls it trashed, spam or deleted was rescued while nobody was told:
    it is there again, and what was never read in its time is owed."""
    back = away(session, source.id or 0, ids)
    unread = [e for e in back if e.outcome == "gone" or (e.outcome == "ignored" and e.reason in ("trash", "spam"))]
    set_state(session, source, [entry.item_id for entry in back], "present", now)
    ledger = table(LedgerEntry)
    for part in chunks(entry.id for entry in unread):
        session.connection().execute(
            update(ledger)
            .where(ledger.c.id.in_(part))
            .values(outcome="owed", reason="there again", attempts=0, next_try_at=now, updated_at=now)
        )


def stamp(session: Session, source_id: int, ids: Sequence[str], now: datetime) -> None:
    """These were listed by the provider now."""
    ledger = table(LedgerEntry)
    for part in chunks(ids):
        session.connection().execute(
            update(ledger).where(ledger.c.source_id == source_id, ledger.c.item_id.in_(part)).values(listed_at=now)
        )


def vanished(source_id: int, since: datetime) -> Any:
    """The entries that were there before ``since`` and were not listed from then on."""
    return (
        select(LedgerEntry.item_id)
        .where(
            LedgerEntry.source_id == source_id,
            LedgerEntry.state == "present",
            LedgerEntry.outcome != "gone",
            col(LedgerEntry.reason).not_in(UNLISTED),
            or_(col(LedgerEntry.listed_at).is_(None), col(LedgerEntry.listed_at) < since),
            col(LedgerEntry.updated_at) < since,
        )
        .order_by(col(LedgerEntry.id))
    )


def believable(session: Session, source_id: int, missing: int) -> bool:
    """Whether so many items may have left since the last look."""
    there = session.exec(
        select(func.count()).where(
            LedgerEntry.source_id == source_id, LedgerEntry.state == "present", LedgerEntry.outcome != "gone"
        )
    ).one()
    return missing <= max(FEW, there // SHARE) and (missing < there or missing == 1)


def look_after(work: Work, box: Mailbox, walk: Walk, holding: Holding) -> bool:
    """After the list: the next vanished items are looked at one by one. False: none is left, or so many that the list is
    not believed; the facts are on the source then."""
    since, now = walk.created_at, work.now()
    with work.db.write() as session:
        gone = list(session.exec(vanished(holding.source_id, since)).all())
        believed = bool(walk.state.get("believed")) or believable(session, holding.source_id, len(gone))
        if not gone or not believed:
            counts = {"found": "holes", "vanished": "vanished", "missing": "missing"}
            found = {name: int(walk.state.get(key, 0)) for name, key in counts.items()}
            conclude(session, holding.source_id, now, found | {"shrunken": SHRUNKEN if gone else ""})
            return False
        stamp(session, holding.source_id, gone[:READ_AT_ONCE], now)
    found = [_certainly(item) for item in box.headers(gone[:READ_AT_ONCE])]
    take(work.db, work.keyring, holding, found, now=now)
    walk.state = walk.state | {
        "believed": True,
        "vanished": int(walk.state.get("vanished", 0)) + len(gone[:READ_AT_ONCE]),
    }
    return True


def _certainly(item: Item) -> Item:
    """What was not listed and is not found either has been deleted."""
    return Removed(item.item_id, "deleted") if isinstance(item, Unreadable) and item.gone else item


def conclude(session: Session, source_id: int, now: datetime, found: dict[str, Any]) -> None:
    """Write down what an audit found: holes that were ``found`` and entered, what had ``vanished``, what is still
    ``missing`` after that."""
    source = session.get(Source, source_id)
    if source is not None:
        source.facts = source.facts | found | {"audited_at": now.isoformat()}
        session.add(source)


# ---- calendars


def open_audit(session: Session, source_id: int) -> Walk | None:
    """The audit that was asked for and is not done."""
    return session.exec(
        select(Walk).where(Walk.source_id == source_id, Walk.kind == "audit", col(Walk.done_at).is_(None))
    ).first()


def count_page(session: Session, source_id: int, items: Sequence[Item]) -> int:
    """How many meetings of a page the ledger lacks."""
    ids = [item.item_id for item in items if isinstance(item, Meeting) and item.status != "cancelled"]
    return len(holes(session, source_id, ids))


def settle_calendar(work: Work, holding: Holding, since: datetime, found: int, *, until: datetime | None) -> None:
    """After a calendar was listed afresh: what is still to come (``until`` where the list ends) and was not listed is taken off
    this calendar, as long as the list has not shrunk: a series that was moved leaves as many occurrences as it brings
    (``found``)."""
    now = work.now()
    with work.db.read() as session:
        coming = select(LedgerEntry.item_id).join(Interaction, col(Interaction.id) == LedgerEntry.interaction_id)
        if until is not None:
            coming = coming.where(col(Interaction.occurred_at) < until)
        gone = session.exec(
            coming.where(
                col(LedgerEntry.item_id).in_(vanished(holding.source_id, since)),
                LedgerEntry.source_id == holding.source_id,
                col(Interaction.occurred_at) > now,
            )
        ).all()
        believed = believable(session, holding.source_id, len(gone) - found)
    lost = [Meeting(key, "", EPOCH, EPOCH, EPOCH, "cancelled", sparse=True) for key in gone] if believed else []
    if lost:
        take(work.db, work.keyring, holding, lost, now=now)
    with work.db.write() as session:
        shrunken = SHRUNKEN if gone and not believed else ""
        conclude(
            session, holding.source_id, now, {"found": found, "vanished": len(lost), "missing": 0, "shrunken": shrunken}
        )
        walk = open_audit(session, holding.source_id)
        if walk is not None:
            walk.done_at = now
            session.add(walk)
