"""Suggested moves: decided by a person, undoable, never twice for the same evidence."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from models.db import Database
from models.deal import Actor, Deal, StageChange, move_deal
from models.errors import Conflict, Invalid, NotFound
from models.suggestion import (
    Suggestion,
    accept,
    dismiss,
    evidence_key,
    get_suggestion,
    open_suggestion,
    propose,
    undo_acceptance,
    undo_dismissal,
    withdraw,
)
from tests.models.cast import count, member, sale, stage, told
from tests.support import NOW

LATER = NOW + timedelta(hours=1)


def _evidence(*ids: int, rule: str = "accept.go") -> list[dict[str, Any]]:
    return [{"interaction_id": key, "rule": rule, "quote": "let us go", "start": 0, "end": 9} for key in ids]


def _suggest(session: Session, deal: Deal, to: str = "Proposal", *ids: int, **more: Any) -> Suggestion | None:
    return propose(
        session,
        deal,
        stage(session, to),
        rule="accept.go",
        reason="They said yes.",
        confidence=0.87654,
        evidence=more.pop("evidence", _evidence(*(ids or (7,)))),
        now=more.pop("now", NOW),
        **more,
    )


def _opened(session: Session, deal: Deal, to: str = "Proposal", *ids: int, **more: Any) -> Suggestion:
    found = _suggest(session, deal, to, *ids, **more)
    assert found is not None
    return found


def test_a_suggestion_carries_its_evidence_and_its_event_does_not_quote_it(any_db: Database) -> None:
    with any_db.write() as session:
        made = _opened(session, sale(session))
        assert (made.state, made.meaning, made.deal_version, made.confidence) == ("open", "proposal", 1, 0.877)
        assert made.evidence[0]["quote"] == "let us go"
        payload = told(session, "deal.stage_suggested")[0].payload
        assert payload["evidence"] == [{"interaction_id": 7, "rule": "accept.go"}]
        assert "let us go" not in str(payload)


def test_the_same_evidence_asks_once_however_often_and_in_whatever_order(any_db: Database) -> None:
    """Field note 23: duplicated evidence is no new evidence."""
    with any_db.write() as session:
        deal = sale(session)
        made = _opened(session, deal, "Proposal", 7, 8)
        assert _suggest(session, deal, "Proposal", 8, 7) is None
        assert _suggest(session, deal, "Proposal", 8, 7, 8, 7) is None
        assert open_suggestion(session, deal.id or 0) is made
        assert len(told(session, "deal.stage_suggested")) == 1
        dismiss(session, made, actor_id=1, now=NOW)
        assert _suggest(session, deal, "Proposal", 7, 7, 8) is None


def test_newer_evidence_supersedes_and_one_stays_open(any_db: Database) -> None:
    with any_db.write() as session:
        deal = sale(session)
        first = _opened(session, deal, "Contacted", 7)
        second = _opened(session, deal, "Proposal", 9)
        assert (first.state, second.state) == ("superseded", "open")
        assert open_suggestion(session, deal.id or 0) is second


def test_the_database_itself_allows_one_open_suggestion_a_deal(any_db: Database) -> None:
    with any_db.write() as session:
        made = _opened(session, sale(session))
    copy = made.model_dump(exclude={"id"}) | {"evidence_key": "other"}
    with pytest.raises(IntegrityError), any_db.write() as session:
        session.add(Suggestion(**copy))


def test_acceptance_moves_the_deal_and_names_the_suggestion(any_db: Database) -> None:
    with any_db.write() as session:
        user, deal = member(session), sale(session, stage="Contacted")
        made = _opened(session, deal, "Fridge", wake_on=date(2027, 1, 1))
        accept(session, made, actor_id=user.id or 0, now=LATER)
        assert deal.stage_id == stage(session, "Fridge").id and deal.wake_on == date(2027, 1, 1)
        assert (made.state, made.decided_by, made.decided_at) == ("accepted", user.id, LATER)
        change = session.exec(select(StageChange).where(StageChange.suggestion_id == made.id)).one()
        assert (change.source, change.user_id) == ("suggestion", user.id)
        moved = told(session, "deal.stage_changed")[0].payload
        assert (moved["source"], moved["suggestion_id"]) == ("suggestion", made.id)
        assert told(session, "suggestion.accepted")[0].payload["state"] == "accepted"
        with pytest.raises(Conflict, match="accepted already"):
            accept(session, made, actor_id=user.id or 0, now=LATER)
        with pytest.raises(Conflict, match="accepted already"):
            dismiss(session, made, actor_id=user.id or 0, now=LATER)


def test_acceptance_may_choose_another_stage_with_reason_and_amount(any_db: Database) -> None:
    with any_db.write() as session:
        deal = sale(session)
        made = _opened(session, deal)
        with pytest.raises(Invalid):
            accept(session, made, actor_id=1, now=NOW, amount_minor=-5)
        accept(session, made, actor_id=1, now=NOW, stage=stage(session, "Won"), reason="price", amount_minor=500)
        assert (deal.close_reason, deal.amount_minor, deal.closed_at) == ("price", 500, NOW)


def test_a_deal_that_moved_meanwhile_makes_the_suggestion_stale(any_db: Database) -> None:
    with any_db.write() as session:
        deal = sale(session)
        made = _opened(session, deal)
        move_deal(session, deal, stage(session, "Contacted"), actor=Actor(None), now=NOW)
        with pytest.raises(Conflict, match="has moved since"):
            accept(session, made, actor_id=1, now=NOW)
        assert made.state == "open" and deal.version == 2


def test_a_stage_that_means_something_else_now_is_not_entered_by_an_old_suggestion(any_db: Database) -> None:
    """Field note 23: the stage was renamed, then given another meaning, between proposal and approval."""
    with any_db.write() as session:
        deal, target = sale(session), stage(session, "Proposal")
        made = _opened(session, deal)
        target.name, target.meaning = "Dead", "lost"
        session.add(target)
        session.flush()
        with pytest.raises(Conflict, match="now means lost"):
            accept(session, made, actor_id=1, now=NOW)
        target.meaning = "proposal"
        session.flush()
        accept(session, made, actor_id=1, now=NOW)
        assert deal.stage_id == target.id


def test_a_stage_that_is_gone_is_told(db: Database) -> None:
    with db.write() as session:
        made = _opened(session, sale(session))
        made.to_stage_id = 999
        with pytest.raises(NotFound):
            accept(session, made, actor_id=1, now=NOW)
        with pytest.raises(NotFound):
            get_suggestion(session, 999)
        assert get_suggestion(session, made.id or 0) is made


def test_undoing_an_acceptance_brings_deal_and_question_back(any_db: Database) -> None:
    with any_db.write() as session:
        deal = sale(session, amount_minor=10)
        made = _opened(session, deal, "Proposal")
        accept(session, made, actor_id=1, now=NOW, amount_minor=99)
        later = _opened(session, deal, "Won", 12)
        undo_acceptance(session, made, actor_id=1, now=LATER)
        assert deal.stage_id == stage(session, "Lead").id and deal.amount_minor == 10
        assert (made.state, made.decided_at, later.state) == ("open", None, "superseded")
        accept(session, made, actor_id=1, now=LATER)
        assert deal.stage_id == stage(session, "Proposal").id


def test_an_acceptance_cannot_be_undone_twice_or_after_another_move(any_db: Database) -> None:
    with any_db.write() as session:
        deal = sale(session)
        made = _opened(session, deal)
        with pytest.raises(Conflict):
            undo_acceptance(session, made, actor_id=1, now=NOW)
        accept(session, made, actor_id=1, now=NOW)
        move_deal(session, deal, stage(session, "Qualified"), actor=Actor(None), now=NOW)
        with pytest.raises(Conflict, match="moved on"):
            undo_acceptance(session, made, actor_id=1, now=NOW)
        assert made.state == "accepted"


def test_what_was_dismissed_stays_dismissed_until_there_is_something_new(any_db: Database) -> None:
    """Field note 23: dismissed evidence does not come back."""
    with any_db.write() as session:
        deal = sale(session)
        made = _opened(session, deal)
        dismiss(session, made, actor_id=1, now=NOW, why="not now")
        assert (made.state, made.dismissal, deal.suggest_at) == ("dismissed", "not now", NOW)
        assert told(session, "suggestion.dismissed")[0].payload["dismissal"] == "not now"
        assert _suggest(session, deal) is None
        assert open_suggestion(session, deal.id or 0) is None
        assert _suggest(session, deal, "Proposal", 7, 8) is not None


def test_a_refused_answer_also_withdraws_what_stood_open_for_less(any_db: Database) -> None:
    with any_db.write() as session:
        deal = sale(session)
        dismiss(session, _opened(session, deal), actor_id=1, now=NOW)
        other = _opened(session, deal, "Contacted", 3)
        assert _suggest(session, deal) is None
        assert other.state == "stale"


def test_undoing_a_dismissal_opens_the_question_again(any_db: Database) -> None:
    with any_db.write() as session:
        deal = sale(session)
        made = _opened(session, deal)
        with pytest.raises(Conflict):
            undo_dismissal(session, made)
        dismiss(session, made, actor_id=1, now=NOW, why="no")
        undo_dismissal(session, made)
        assert (made.state, made.dismissal, made.decided_by) == ("open", "", None)
        assert _suggest(session, deal) is None
        dismiss(session, made, actor_id=1, now=LATER)
        assert len(told(session, "suggestion.dismissed")) == 2
        move_deal(session, deal, stage(session, "Won"), actor=Actor(None), now=NOW)
        with pytest.raises(Conflict, match="moved since"):
            undo_dismissal(session, made)


def test_silence_is_remembered_by_the_touch_it_counts_from(any_db: Database) -> None:
    with any_db.write() as session:
        deal = sale(session)
        quiet = _opened(session, deal, "Fridge", evidence=[])
        dismiss(session, quiet, actor_id=1, now=NOW)
        assert _suggest(session, deal, "Fridge", evidence=[]) is None
        deal.customer_touch_at = NOW
        assert evidence_key("fridge", [], deal) != quiet.evidence_key
        assert _suggest(session, deal, "Fridge", evidence=[]) is not None


def test_a_backfilled_suggestion_announces_nothing(any_db: Database) -> None:
    with any_db.write() as session:
        _opened(session, sale(session), announced=False)
        assert told(session, "deal.stage_suggested") == []


def test_withdrawing_touches_only_what_is_open(db: Database) -> None:
    with db.write() as session:
        deal = sale(session)
        made = _opened(session, deal)
        dismiss(session, made, actor_id=1, now=NOW)
        withdraw(session, made, now=LATER)
        withdraw(session, None, now=LATER)
        assert made.state == "dismissed" and count(session, Suggestion) == 1
