"""A thought about a deal: its clocks, its one open suggestion, and when it thinks again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from models.db import Database
from models.deal import Actor, Deal, move_deal
from models.keyring import Keyring
from models.suggestion import Suggestion, dismiss
from tests.models.cast import buyer, count, firm, member, sale, stage, told
from tests.support import BUYER, NOW, REP
from tests.worker.scene import Desk, at_rest, note, talk
from worker.think import AGAIN, due_deals, think
from worker.upkeep import keep_up

YES = "We accept your offer, please go ahead and send the contract."


def _cast(db: Database, **more: Any) -> int:
    with db.write() as session:
        deal = sale(session, company_id=firm(session).id, people=[(buyer(session), "buyer")], **more)
        return deal.id or 0


def _deal(db: Database, deal_id: int) -> Deal:
    with db.read() as session:
        return session.get_one(Deal, deal_id)


def test_a_written_to_and_fro_is_suggested_once_with_its_evidence(any_db: Database, keyring: Keyring) -> None:
    deal_id = _cast(any_db)
    Desk(any_db, keyring).take(note(REP, BUYER, at=NOW - timedelta(hours=2), outbound=True), note(at=NOW))
    for _ in range(3):
        think(any_db, deal_id, NOW)
    with any_db.write() as session:
        row = session.exec(select(Suggestion)).one()
        assert (row.state, row.meaning, row.deal_version) == ("open", "contacted", 1) and row.evidence
        assert len(told(session, "deal.stage_suggested")) == 1
        assert session.get_one(Deal, deal_id).suggest_at == NOW + AGAIN


def test_what_the_backfill_suggests_is_shown_but_not_announced(db: Database, keyring: Keyring) -> None:
    deal_id = _cast(db)
    days = timedelta(days=2)
    Desk(db, keyring).take(note(REP, BUYER, at=NOW - 2 * days, outbound=True), note(at=NOW - days))
    think(db, deal_id, NOW)
    with db.read() as session:
        assert session.exec(select(Suggestion.state)).one() == "open" and not told(session, "deal.stage_suggested")


def test_what_was_dismissed_does_not_come_back_for_the_same_evidence(any_db: Database, keyring: Keyring) -> None:
    """Field note 23."""
    deal_id = _cast(any_db)
    Desk(any_db, keyring).take(
        note(REP, BUYER, at=NOW - timedelta(hours=2), outbound=True), note(at=NOW - timedelta(hours=1))
    )
    think(any_db, deal_id, NOW)
    with any_db.write() as session:
        row = session.exec(select(Suggestion)).one()
        dismiss(session, row, actor_id=member(session).id or 0, now=NOW)
        session.get_one(Deal, deal_id).suggest_at = NOW
    think(any_db, deal_id, NOW)
    with any_db.read() as session:
        assert [row.state for row in session.exec(select(Suggestion))] == ["dismissed"]


def test_a_deal_that_moved_on_by_hand_loses_its_suggestion(any_db: Database, keyring: Keyring) -> None:
    deal_id = _cast(any_db)
    Desk(any_db, keyring).take(note(REP, BUYER, at=NOW - timedelta(hours=2), outbound=True), note())
    think(any_db, deal_id, NOW)
    with any_db.write() as session:
        deal = session.get_one(Deal, deal_id)
        move_deal(session, deal, stage(session, "Lost"), actor=Actor(None), now=NOW, reason="price")
    think(any_db, deal_id, NOW)
    with any_db.read() as session:
        assert session.exec(select(Suggestion.state)).one() != "open"
        assert session.get_one(Deal, deal_id).suggest_at is None, "a closed deal thinks no more"


def test_machines_and_meetings_to_come_are_no_touch(any_db: Database, keyring: Keyring) -> None:
    """Field note 14: they never set a clock."""
    deal_id = _cast(any_db)
    mail, calendar = Desk(any_db, keyring), Desk(any_db, keyring, kind="calendar")
    mail.take(note(at=NOW - timedelta(days=5)), note(REP, BUYER, at=NOW - timedelta(days=3), outbound=True))
    mail.take(note(machine="auto_reply", at=NOW - timedelta(days=2)), note(machine="bulk", at=NOW - timedelta(days=1)))
    calendar.take(talk(BUYER), talk(BUYER, start=NOW - timedelta(days=1), status="cancelled"))
    think(any_db, deal_id, NOW)
    deal = _deal(any_db, deal_id)
    assert deal.last_touch_at == NOW - timedelta(days=3) and deal.customer_touch_at == NOW - timedelta(days=5)
    calendar.take(talk(BUYER, start=NOW - timedelta(hours=3)))
    think(any_db, deal_id, NOW)
    deal = _deal(any_db, deal_id)
    assert deal.last_touch_at == deal.customer_touch_at == NOW - timedelta(hours=2)


def test_every_deal_gets_its_turn_and_one_that_fails_stops_nobody(
    db: Database, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Field note 12."""
    first = _cast(db)
    with db.write() as session:
        second = sale(session, "Other").id or 0
    work = at_rest(db, keyring)
    assert set(due_deals(db, NOW)) == {first, second}
    real = think

    def faulty(db: Database, deal_id: int, now: Any) -> None:
        if deal_id == first:
            raise ZeroDivisionError
        real(db, deal_id, now)

    with monkeypatch.context() as patch:
        patch.setattr("worker.think.think", faulty)
        keep_up(work)
    assert _deal(db, first).suggest_at == NOW + timedelta(hours=1)
    assert _deal(db, second).suggest_at == NOW + AGAIN and due_deals(db, NOW) == []
    think(db, first, NOW + timedelta(hours=1))
    assert _deal(db, first).suggest_at == NOW + timedelta(hours=1) + AGAIN


def test_won_is_never_more_than_a_suggestion(any_db: Database, keyring: Keyring) -> None:
    deal_id = _cast(any_db, stage="Proposal")
    Desk(any_db, keyring).take(note(text=YES))
    think(any_db, deal_id, NOW)
    with any_db.read() as session:
        assert session.exec(select(Suggestion.meaning)).one() == "won" and count(session, Suggestion) == 1
        assert session.get_one(Deal, deal_id).stage_id == stage(session, "Proposal").id


def test_a_yes_from_before_the_deal_began_is_no_yes_to_it(any_db: Database, keyring: Keyring) -> None:
    """Mail of its people that reaches back before its creation is its own; what was agreed in it is not."""
    deal_id = _cast(any_db, at=NOW - timedelta(days=5), stage="Proposal")
    Desk(any_db, keyring).take(note(subject="Offer", text=YES, at=NOW - timedelta(days=20)))
    think(any_db, deal_id, NOW)
    with any_db.read() as session:
        assert [row.meaning for row in session.exec(select(Suggestion)) if row.meaning == "won"] == []
    Desk(any_db, keyring).take(note(subject="Offer", text=YES, at=NOW - timedelta(hours=1)))
    think(any_db, deal_id, NOW)
    with any_db.read() as session:
        assert [row.meaning for row in session.exec(select(Suggestion)) if row.state == "open"] == ["won"]
