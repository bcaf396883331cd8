"""Health, computed from debts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from models.account import Source, Walk
from models.db import Database
from models.health import account_health, ledger_sum
from models.ledger import LedgerEntry
from tests.models.cast import mailbox
from tests.support import NOW


@pytest.mark.parametrize(
    ("account", "source", "owed", "walking", "state", "says"),
    [
        ({}, {}, 0, False, "ok", "Up to date"),
        ({}, {"synced_at": None}, 0, False, "syncing", "first sync"),
        ({}, {}, 0, True, "syncing", "first sync"),
        ({}, {}, 2, False, "owed", "2 owed"),
        ({}, {"error": "x", "error_sentence": "The line broke."}, 0, False, "owed", "The line broke."),
        ({"throttled_until": NOW + timedelta(minutes=5)}, {}, 2, False, "throttled", "nothing is lost"),
        ({"throttled_until": NOW - timedelta(minutes=5)}, {}, 0, False, "ok", "Up to date"),
        ({"refused": "reconnect", "refused_sentence": "Please reconnect."}, {}, 2, True, "reconnect", "Please"),
        ({"disconnected_at": NOW, "refused": "reconnect"}, {}, 0, False, "disconnected", "stays on the deals"),
        ({}, {"gone_at": NOW, "error": "gone"}, 0, False, "gone", "Nothing of this account is there any more"),
    ],
)
def test_the_heaviest_debt_names_the_state(
    db: Database, account: dict[str, Any], source: dict[str, Any], owed: int, walking: bool, state: str, says: str
) -> None:
    """Field note 2: with two items owed it says "2 owed", not "synced"."""
    with db.write() as session:
        row, box = mailbox(session)
        box.synced_at = NOW - timedelta(minutes=1)
        for target, values in ((row, account), (box, source)):
            for name, value in values.items():
                setattr(target, name, value)
        for number in range(owed):
            session.add(
                LedgerEntry(
                    source_id=box.id or 0, item_id=str(number), outcome="owed", updated_at=NOW - timedelta(days=1)
                )
            )
        if walking:
            session.add(Walk(source_id=box.id or 0, kind="sweep", seen=40, created_at=NOW))
        session.flush()
        health = account_health(session, row, now=NOW)
        assert health.state == state and says in health.sentence
        assert health.owed == owed and (health.oldest_owed_at is not None) == bool(owed)
        assert health.walks == (["sweep"] if walking else []) and health.seen == (40 if walking else 0)
        if box.synced_at and not box.gone_at:
            assert health.lag_seconds == 60


def test_the_sum_adds_up_and_what_was_deleted_is_no_longer_in_the_mailbox(any_db: Database) -> None:
    """Field note 7: in mailbox = logged + held + ignored + internal + owed + unreadable + unopened."""
    with any_db.write() as session:
        source = mailbox(session)[1]
        rows = [
            *(("logged", "address", "present"), ("logged", "address", "trash"), ("logged", "address", "deleted")),
            *(("ignored", "spam", "spam"), ("ignored", "no contact", "present"), ("ignored", "no contact", "deleted")),
            *(("internal", "", "present"), ("owed", "", "present"), ("unreadable", "", "present")),
            *(("gone", "deleted before it was read", "deleted"), ("unopened", "", "present"), ("held", "", "present")),
        ]
        for number, (outcome, reason, state) in enumerate(rows):
            session.add(
                LedgerEntry(
                    source_id=source.id or 0,
                    item_id=str(number),
                    outcome=outcome,
                    reason=reason,
                    state=state,
                    updated_at=NOW,
                )
            )
        session.flush()
        found = ledger_sum(session, [source.id or 0])
        assert (found.logged, found.held, found.ignored, found.internal) == (2, 1, 2, 1)
        assert (found.owed, found.unreadable, found.unopened, found.gone) == (1, 1, 1, 3)
        assert found.total == 9 == len(rows) - found.gone
        assert found.ignored_by_reason == {"spam": 1, "no contact": 1}
        assert (found.missing, found.checked_at) == (None, None)


def test_missing_is_what_the_last_audits_found(any_db: Database) -> None:
    with any_db.write() as session:
        one, two = mailbox(session)[1], mailbox(session, kind="calendar")[1]
        one.facts = {"audited_at": NOW.isoformat(), "missing": 2}
        two.facts = {"audited_at": (NOW - timedelta(days=1)).isoformat(), "missing": 1}
        session.flush()
        ids = [key for key in session.exec(select(Source.id)).all() if key is not None]
        found = ledger_sum(session, ids)
        assert (found.missing, found.checked_at) == (3, NOW - timedelta(days=1))
