"""What became of every item."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from models.db import Database
from models.ledger import (
    LedgerEntry,
    LedgerHash,
    due_owed,
    entries_for,
    list_items,
    next_try,
    next_unopened,
    reopen_hashes,
    retry_unreadable,
    summary,
)
from tests.models.cast import mailbox
from tests.support import NOW


def _entry(session: Session, source_id: int, item_id: str, outcome: str, **more: object) -> LedgerEntry:
    row = LedgerEntry(source_id=source_id, item_id=item_id, outcome=outcome, updated_at=NOW, **more)
    session.add(row)
    session.flush()
    return row


def test_listing_enters_what_is_new_and_leaves_the_rest_alone(any_db: Database) -> None:
    with any_db.write() as session:
        source = mailbox(session)[1].id or 0
        _entry(session, source, "known", "logged")
        for _ in range(2):
            list_items(session, source, ["known", "b", "a"], priority=1, reason="", now=NOW)
        list_items(session, source, ["old"], priority=0, reason="older", now=NOW)
        list_items(session, source, ["urgent"], priority=2, reason="", now=NOW)
        found = entries_for(session, source, ["known", "a", "old", "unheard of"])
        assert {key: row.outcome for key, row in found.items()} == {
            "known": "logged",
            "a": "unopened",
            "old": "unopened",
        }
        assert next_unopened(session, source, 10) == ["urgent", "b", "a"]
        assert next_unopened(session, source, 1) == ["urgent"]
        other = mailbox(session, kind="calendar")[1].id or 0
        assert entries_for(session, other, ["known"]) == {}


def test_owed_items_come_due_and_the_waits_double(any_db: Database) -> None:
    with any_db.write() as session:
        source = mailbox(session)[1].id or 0
        _entry(session, source, "now", "owed")
        _entry(session, source, "later", "owed", next_try_at=NOW + timedelta(seconds=1))
        _entry(session, source, "never", "unreadable")
        assert due_owed(session, source, now=NOW, limit=9) == ["now"]
        assert due_owed(session, source, now=NOW + timedelta(seconds=1), limit=9) == ["now", "later"]
        assert due_owed(session, source, now=NOW + timedelta(seconds=1), limit=1) == ["now"]


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 10), (2, 20), (4, 80), (30, 21_600)])
def test_the_wait_for_the_next_try_grows_to_six_hours(attempts: int, seconds: int) -> None:
    assert next_try(attempts, NOW) - NOW == timedelta(seconds=seconds)


def test_unreadable_items_have_a_way_back(any_db: Database) -> None:
    """Field note 12: unreadable is no dead end."""
    with any_db.write() as session:
        source = mailbox(session)[1].id or 0
        row = _entry(session, source, "bad", "unreadable", attempts=5)
        other = _entry(session, mailbox(session, kind="calendar")[1].id or 0, "bad", "unreadable", attempts=5)
        assert retry_unreadable(session, [source], now=NOW) == 1
        session.refresh(row)
        session.refresh(other)
        assert (row.outcome, row.attempts, other.outcome) == ("owed", 0, "unreadable")
        assert due_owed(session, source, now=NOW, limit=9) == ["bad"]


def test_the_sum_is_by_outcome_and_reason(any_db: Database) -> None:
    with any_db.write() as session:
        source = mailbox(session)[1].id or 0
        for number, (outcome, reason) in enumerate([("ignored", "spam"), ("ignored", "spam"), ("logged", "address")]):
            _entry(session, source, str(number), outcome, reason=reason)
        assert summary(session, [source]) == {("ignored", "spam"): 2, ("logged", "address"): 1}
        assert summary(session, []) == {}


def test_a_new_contacts_hash_reopens_what_was_ignored_and_nothing_else(any_db: Database) -> None:
    with any_db.write() as session:
        source = mailbox(session)[1].id or 0
        for outcome in ("ignored", "unopened", "logged", "internal", "gone"):
            row = _entry(session, source, outcome, outcome, attempts=3)
            session.add(LedgerHash(entry_id=row.id or 0, hash=b"a" * 16))
        other = _entry(session, source, "stranger", "ignored")
        session.add(LedgerHash(entry_id=other.id or 0, hash=b"b" * 16))
        session.flush()
        assert reopen_hashes(session, [b"a" * 16], now=NOW) == {source}
        assert reopen_hashes(session, [b"c" * 16], now=NOW) == set()
        rows = session.exec(select(LedgerEntry).where(LedgerEntry.outcome == "owed")).all()
        assert {row.item_id for row in rows} == {"ignored", "unopened"}
