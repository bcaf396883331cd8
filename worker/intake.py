"""Each item, once: what a page holds becomes rows, and the page's cursor moves in the same transaction.

Two halves around the wire. ``to_open`` looks at headers and says which items concern a contact: only those are opened.
``take`` decides again on what was read, with the address book of that moment, and stores everything.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session

from connectors.items import Item, Listed, Meeting, Message, Removed, Unreadable
from models.account import Account, Source, keep_lease, source_and_account
from models.db import Database, chunks, table
from models.interaction import Copy
from models.keyring import Keyring, hasher
from models.ledger import STRIKES, TO_OPEN, LedgerEntry, entries_for, list_items, next_try
from worker import book as books
from worker import copies, match, meetings, veil, view
from worker.accounting import write_entries
from worker.case import Case, Logging
from worker.log import settle

NOT_YET_VISIBLE = 2
"""Times that an item which is said not to exist is asked for again (provider-contract 1.3)."""


RACES = 4
"""Times that a page is stored again after losing a race with another worker."""


class LeaseLost(Exception):
    """Somebody else holds the source now; nothing was written."""


@dataclass(frozen=True, slots=True)
class Holding:
    """The lease under which a page is taken."""

    source_id: int
    owner: str
    seconds: float


def to_open(db: Database, source_id: int, items: Sequence[Item]) -> list[Listed]:
    """Which header-only messages concern a contact, so that their text may be opened; what the account's level or an
    earlier logging makes unnecessary is left closed."""
    messages = [item for item in items if isinstance(item, Message) and item.body is None]
    if not messages:
        return []
    with db.read() as session:
        source, account = _source(session, source_id)
        if account.visibility != "full":
            return []
        known = entries_for(session, source_id, [message.item_id for message in messages])
        veiled = veil.veiled(session, {message.item_id: message for message in messages})
        views = {item_id: view.of_message(message, source_id) for item_id, message in veiled.items()}
        book = books.load(session, list(views.values()), account)
    wanted = []
    for message in messages:
        entry = known.get(message.item_id)
        if entry is not None and entry.outcome in ("logged", "held"):
            continue
        if match.decide(views[message.item_id], book).concerns_us:
            wanted.append(Listed(message.item_id, message.thread))
    return wanted


def take(
    db: Database,
    keyring: Keyring,
    holding: Holding,
    items: Sequence[Item],
    *,
    now: datetime,
    changes: dict[str, Any] | None = None,
    listed_priority: int = 1,
    listed_reason: str = "",
) -> list[int]:
    """Account for every item of a page and move the source on (``changes``: columns of the source, its cursor among
    them). One transaction; run again when another worker stored the same mail at the same moment. Returns the deals
    that were touched. Raises LeaseLost."""
    for again in range(RACES):
        try:
            return _take(db, keyring, holding, items, now, changes or {}, listed_priority, listed_reason)
        except (IntegrityError, OperationalError):
            if again == RACES - 1:
                raise
            time.sleep(0.05 * (again + 1))
    return []


def _take(
    db: Database,
    keyring: Keyring,
    holding: Holding,
    items: Sequence[Item],
    now: datetime,
    changes: dict[str, Any],
    listed_priority: int,
    listed_reason: str,
) -> list[int]:
    with db.write() as session:
        if not keep_lease(session, holding.source_id, holding.owner, now=now, seconds=holding.seconds):
            raise LeaseLost(f"source {holding.source_id}")
        source, account = _source(session, holding.source_id)
        known = entries_for(session, holding.source_id, [item.item_id for item in items])
        listed = [item.item_id for item in items if isinstance(item, Listed)]
        list_items(session, holding.source_id, listed, priority=listed_priority, reason=listed_reason, now=now)
        _remove(session, source, [item for item in items if isinstance(item, Removed)], known, now)
        _owe(session, source, [item for item in items if isinstance(item, Unreadable)], known, now)
        touched = _decide(session, keyring, source, account, items, known, now)
        if changes:
            sources = table(Source)
            session.connection().execute(update(sources).where(sources.c.id == holding.source_id).values(**changes))
        return touched


def _source(session: Session, source_id: int) -> tuple[Source, Account]:
    found = source_and_account(session, source_id)
    if found is None:
        raise LeaseLost(f"source {source_id} is gone")
    return found


def _closed(item: Item) -> Item:
    """What an account may keep whose level allows no text: who, when and the subject."""
    if isinstance(item, Message):
        return replace(item, body=None, attachments=())
    return replace(item, description="", join_url="") if isinstance(item, Meeting) else item


def _decide(
    session: Session,
    keyring: Keyring,
    source: Source,
    account: Account,
    items: Sequence[Item],
    known: dict[str, LedgerEntry],
    now: datetime,
) -> list[int]:
    kept = items if account.visibility == "full" else [_closed(item) for item in items]
    contents = veil.veiled(session, {item.item_id: item for item in kept if isinstance(item, Message | Meeting)})
    views = {
        item_id: view.of_message(item, source.id or 0) if isinstance(item, Message) else view.of_meeting(item)
        for item_id, item in contents.items()
    }
    if not views:
        return []
    book = books.load(session, list(views.values()), account)
    copies.disown(session, {key: item for key, item in contents.items() if isinstance(item, Message)}, views, book)
    work = Logging(session, source, account, book, hasher(session, keyring), now, book.settings["announce_backfill"])
    cases: list[Case] = []
    closed: list[str] = []
    again: list[tuple[Message | Meeting, LedgerEntry | None]] = []
    for item_id, item in contents.items():
        entry = known.get(item_id)
        if entry is not None and entry.outcome in ("logged", "held"):
            again.append((item, entry))
            continue
        if isinstance(item, Meeting) and item.sparse:
            again.append((item, entry))
            continue
        decision = match.decide(views[item_id], book)
        if decision.concerns_us and isinstance(item, Message) and item.body is None and account.visibility == "full":
            closed.append(item_id)
            continue
        cases.append(Case(item, views[item_id], decision))
    write_entries(session, [_owed(source, i, now, known.get(i), reason=TO_OPEN) for i in closed])
    settle(work, cases)
    meetings.update_known(work, [case for case in cases if isinstance(case.item, Meeting) and not case.fresh])
    _seen_again(work, again)
    return sorted({link.deal_id for case in cases for link in case.decision.links})


def _seen_again(work: Logging, again: Sequence[tuple[Message | Meeting, LedgerEntry | None]]) -> None:
    """What is on the timeline already: its copy is there (again), and a meeting may have changed."""
    present = [item.item_id for item, entry in again if isinstance(item, Message) and entry and item.place == "mail"]
    gone = {
        place: [i.item_id for i, entry in again if isinstance(i, Message) and entry and i.place == place]
        for place in ("spam", "trash")
    }
    set_state(work.session, work.source, present, "present", work.now)
    for place, ids in gone.items():
        set_state(work.session, work.source, ids, place, work.now)
    trust(work.session, work.source, [item_id for ids in (present, *gone.values()) for item_id in ids])
    meetings.update_stored(work, [(item, entry) for item, entry in again if isinstance(item, Meeting)])


def _remove(
    session: Session, source: Source, removed: Sequence[Removed], known: dict[str, LedgerEntry], now: datetime
) -> None:
    """Deletion never erases what was logged: the copy is marked. What was never read is gone; in spam or trash it is
    ignored there until it is rescued."""
    for reason in ("deleted", "trash", "spam"):
        ids = [item.item_id for item in removed if item.reason == reason]
        set_state(session, source, [i for i in ids if i in known], reason, now)
        unread = [i for i in ids if i not in known or known[i].outcome in ("unopened", "owed", "unreadable")]
        outcome, why = ("gone", "deleted before it was read") if reason == "deleted" else ("ignored", reason)
        kept = [i for i in unread if reason != "deleted" or i in known]
        write_entries(session, [_entry(source, i, outcome, why, now, known.get(i), state=reason) for i in kept])


def set_state(session: Session, source: Source, item_ids: Sequence[str], state: str, now: datetime) -> None:
    copies, ledger = table(Copy), table(LedgerEntry)
    for part in chunks(item_ids):
        session.connection().execute(
            update(copies)
            .where(copies.c.source_id == source.id, copies.c.item_id.in_(part))
            .values(state=state, seen_at=now)
        )
        session.connection().execute(
            update(ledger)
            .where(ledger.c.source_id == source.id, ledger.c.item_id.in_(part), ledger.c.state != state)
            .values(state=state, updated_at=now)
        )


def _owe(
    session: Session, source: Source, faults: Sequence[Unreadable], known: dict[str, LedgerEntry], now: datetime
) -> None:
    """An item that could not be read is owed, with a time for the next try; after enough strikes it is unreadable; when
    the provider keeps saying that there is none, it is gone. What is logged already stays logged; that the provider has no
    such item any more is marked on its copy."""
    entries = []
    for fault in faults:
        entry = known.get(fault.item_id)
        settled = entry is not None and entry.outcome in ("logged", "held", "internal", "ignored")
        if entry is not None and settled and fault.gone:
            _doubt(session, source, entry, now)
            continue
        if entry is not None and entry.outcome in ("logged", "held", "internal"):
            continue
        attempts = (entry.attempts if entry else 0) + (1 if fault.strike else 0)
        reason = TO_OPEN if entry is not None and entry.reason == TO_OPEN else "could not be read"
        row = _owed(source, fault.item_id, now, entry, reason=reason, attempts=attempts, error=fault.error)
        if fault.gone and attempts > NOT_YET_VISIBLE:
            row |= {"outcome": "gone", "reason": "deleted before it was read", "next_try_at": None, "state": "deleted"}
        elif attempts >= STRIKES:
            row |= {"outcome": "unreadable", "next_try_at": None}
        elif not fault.strike:
            row["next_try_at"] = now + timedelta(seconds=5)
        entries.append(row)
    write_entries(session, entries)


def _doubt(session: Session, source: Source, entry: LedgerEntry, now: datetime) -> None:
    """What is settled and said not to exist may only be out of sight for a moment: it is asked for again, and called
    deleted when it is still not there (provider-contract 1.3, 8.3)."""
    attempts = entry.attempts + 1
    if attempts > NOT_YET_VISIBLE:
        set_state(session, source, [entry.item_id], "deleted", now)
        trust(session, source, [entry.item_id])
        return
    ledger = table(LedgerEntry)
    session.connection().execute(
        update(ledger)
        .where(ledger.c.source_id == source.id, ledger.c.item_id == entry.item_id)
        .values(attempts=attempts, next_try_at=next_try(attempts, now))
    )


def trust(session: Session, source: Source, item_ids: Sequence[str]) -> None:
    """There is no doubt any more where these items are."""
    ledger = table(LedgerEntry)
    for part in chunks(item_ids):
        session.connection().execute(
            update(ledger)
            .where(ledger.c.source_id == source.id, ledger.c.item_id.in_(part), ledger.c.next_try_at.is_not(None))
            .values(attempts=0, next_try_at=None)
        )


def _owed(
    source: Source,
    item_id: str,
    now: datetime,
    known: LedgerEntry | None,
    *,
    reason: str,
    attempts: int = 0,
    error: str = "",
) -> dict[str, Any]:
    row = _entry(source, item_id, "owed", reason, now, known)
    return row | {
        "attempts": attempts,
        "next_try_at": next_try(attempts, now) if attempts else now,
        "error": error[:60],
    }


def _entry(
    source: Source,
    item_id: str,
    outcome: str,
    reason: str,
    now: datetime,
    known: LedgerEntry | None,
    *,
    state: str = "present",
) -> dict[str, Any]:
    """A ledger entry; what was known of the item before (its month, its interaction) stays known."""
    return {
        "source_id": source.id,
        "item_id": item_id,
        "outcome": outcome,
        "reason": reason,
        "state": state,
        "priority": 0,
        "attempts": 0,
        "next_try_at": None,
        "error": "",
        "interaction_id": known.interaction_id if known else None,
        "month": known.month if known else "",
        "updated_at": now,
    }
