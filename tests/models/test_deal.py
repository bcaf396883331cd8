"""A deal's way through the stages: each move with its history and its events in one transaction."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlmodel import Session, col, select

from models.db import Database
from models.deal import (
    Actor,
    Deal,
    DealContact,
    StageChange,
    deal_payload,
    move_deal,
    set_deal_contacts,
    stage_at,
    undo_move,
)
from models.errors import Conflict, Invalid, NotFound
from models.event import Event
from models.pipeline import add_pipeline, stages_of
from tests.models.cast import buyer, count, firm, member, sale, stage, told
from tests.support import NOW

LATER = NOW + timedelta(days=1)


def _changes(session: Session, deal: Deal) -> list[StageChange]:
    return list(
        session.exec(select(StageChange).where(StageChange.deal_id == deal.id).order_by(col(StageChange.id))).all()
    )


def test_a_new_deal_starts_in_the_first_stage_with_its_history_and_its_event(any_db: Database) -> None:
    with any_db.write() as session:
        owner, person = member(session), buyer(session)
        company = firm(session)
        deal = sale(
            session,
            company_id=company.id,
            owner_id=owner.id,
            amount_minor=125_050,
            currency="usd",
            people=[(person, "decision maker")],
            expected_close=date(2026, 12, 1),
        )
        assert (deal.stage_id, deal.version, deal.suggest_at) == (stage(session, "Lead").id, 1, NOW)
        first = _changes(session, deal)
        assert [(c.from_stage_id, c.to_stage_id, c.at, c.user_id) for c in first] == [
            (None, deal.stage_id, deal.created_at, owner.id)
        ]
        event = told(session, "deal.created")[0]
        assert event.deal_id == deal.id
        assert event.payload == deal_payload(session, deal)
        assert event.payload["amount"] == 1250.5 and event.payload["currency"] == "USD"
        assert event.payload["company"]["name"] == "Northwind" and event.payload["owner"]["id"] == owner.id
        assert event.payload["stage_meaning"] == "lead" and event.payload["expected_close"] == "2026-12-01"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"name": " "}, Invalid),
        ({"amount_minor": -1}, Invalid),
        ({"currency": "EURO"}, Invalid),
        ({"currency": "12€"}, Invalid),
        ({"company_id": 99}, NotFound),
        ({"owner_id": 99}, NotFound),
    ],
)
def test_a_deal_that_makes_no_sense_is_refused(db: Database, wrong: dict, error: type[Exception]) -> None:
    with db.write() as session, pytest.raises(error):
        sale(session, **wrong)


def test_a_move_writes_the_deal_its_history_and_its_event(any_db: Database) -> None:
    with any_db.write() as session:
        user = member(session)
        deal, target = sale(session), stage(session, "Qualified")
        change = move_deal(session, deal, target, actor=Actor(user.id, "api"), now=NOW)
        assert change is not None and change.from_stage_id == stage(session, "Lead").id
        assert (deal.stage_id, deal.stage_since, deal.version, deal.closed_at) == (target.id, NOW, 2, None)
        event = told(session, "deal.stage_changed")[0]
        assert (event.payload["from"]["name"], event.payload["to"]["name"]) == ("Lead", "Qualified")
        assert (event.payload["source"], event.payload["user_id"]) == ("api", user.id)
        assert event.payload["deal"]["stage"] == "Qualified"
        assert move_deal(session, deal, target, actor=Actor(user.id), now=LATER) is None
        assert len(_changes(session, deal)) == 2 and len(told(session, "deal.stage_changed")) == 1


def test_a_move_that_fails_halfway_leaves_nothing(any_db: Database) -> None:
    with any_db.write() as session:
        deal_id, before = sale(session).id, count(session, Event)
    with pytest.raises(ZeroDivisionError), any_db.write() as session:
        deal = session.get_one(Deal, deal_id)
        move_deal(session, deal, stage(session, "Won"), actor=Actor(None), now=NOW)
        raise ZeroDivisionError
    with any_db.read() as session:
        deal = session.get_one(Deal, deal_id)
        assert deal.stage_id == stage(session, "Lead").id and deal.version == 1
        assert count(session, Event) == before and len(_changes(session, deal)) == 1


@pytest.mark.parametrize(
    ("way", "kinds"),
    [
        (["Won"], ["deal.stage_changed", "deal.won"]),
        (["Lost"], ["deal.stage_changed", "deal.lost"]),
        (["Fridge"], ["deal.stage_changed", "deal.shelved"]),
        (["Fridge", "Proposal"], ["deal.stage_changed", "deal.shelved", "deal.stage_changed", "deal.revived"]),
        (["Fridge", "Won"], ["deal.stage_changed", "deal.shelved", "deal.stage_changed", "deal.won"]),
    ],
)
def test_each_kind_of_move_says_what_it_means(db: Database, way: list[str], kinds: list[str]) -> None:
    with db.write() as session:
        deal = sale(session)
        for name in way:
            move_deal(session, deal, stage(session, name), actor=Actor(None), now=NOW)
        assert [event.kind for event in told(session) if event.kind != "deal.created"] == kinds


def test_closing_reopening_and_shelving_keep_the_deals_columns_true(any_db: Database) -> None:
    with any_db.write() as session:
        deal = sale(session, stage="Proposal", amount_minor=100)
        move_deal(session, deal, stage(session, "Won"), actor=Actor(None), now=NOW, reason="price", amount_minor=900)
        assert (deal.closed_at, deal.close_reason, deal.amount_minor) == (NOW, "price", 900)
        move_deal(session, deal, stage(session, "Proposal"), actor=Actor(None), now=LATER)
        assert (deal.closed_at, deal.close_reason) == (None, "")
        wake = date(2027, 1, 1)
        move_deal(session, deal, stage(session, "Fridge"), actor=Actor(None), now=LATER, wake_on=wake)
        assert (deal.wake_on, deal.shelved_from_id) == (wake, stage(session, "Proposal").id)
        move_deal(session, deal, stage(session, "Contacted"), actor=Actor(None), now=LATER)
        assert (deal.wake_on, deal.shelved_from_id) == (None, None)


def test_a_stage_of_another_pipeline_and_a_negative_amount_are_refused(db: Database) -> None:
    with db.write() as session:
        deal = sale(session)
        other = stages_of(session, add_pipeline(session, "Other", [("A", "lead", 1)]).id or 0)[0]
        with pytest.raises(Invalid):
            move_deal(session, deal, other, actor=Actor(None), now=NOW)
        with pytest.raises(Invalid):
            move_deal(session, deal, stage(session, "Won"), actor=Actor(None), now=NOW, amount_minor=-1)
        assert deal.version == 1


def test_undo_puts_back_everything_the_move_changed(any_db: Database) -> None:
    with any_db.write() as session:
        deal = sale(session, stage="Proposal", amount_minor=100)
        since = deal.stage_since
        change = move_deal(
            session, deal, stage(session, "Won"), actor=Actor(None), now=NOW, reason="price", amount_minor=900
        )
        assert change is not None
        undo_move(session, change, actor=Actor(None), now=LATER)
        assert (deal.stage_id, deal.stage_since) == (stage(session, "Proposal").id, since)
        assert (deal.closed_at, deal.close_reason, deal.amount_minor, deal.version) == (None, "", 100, 3)
        last = told(session)[-1]
        assert (last.kind, last.payload["undo"], last.payload["to"]["name"]) == ("deal.stage_changed", True, "Proposal")
        with pytest.raises(Conflict, match="taken back before"):
            undo_move(session, change, actor=Actor(None), now=LATER)


def test_undo_of_leaving_the_fridge_remembers_when_to_wake(any_db: Database) -> None:
    """Field note 12: without its date a deal that went back to the fridge would never thaw."""
    with any_db.write() as session:
        deal = sale(session, stage="Proposal")
        wake = date(2027, 1, 1)
        move_deal(session, deal, stage(session, "Fridge"), actor=Actor(None), now=NOW, wake_on=wake)
        out = move_deal(session, deal, stage(session, "Proposal"), actor=Actor(None), now=LATER)
        assert out is not None
        undo_move(session, out, actor=Actor(None), now=LATER)
        assert (deal.wake_on, deal.shelved_from_id) == (wake, stage(session, "Proposal").id)


def test_undo_is_refused_once_the_deal_has_moved_on(any_db: Database) -> None:
    with any_db.write() as session:
        deal = sale(session)
        first = move_deal(session, deal, stage(session, "Contacted"), actor=Actor(None), now=NOW)
        move_deal(session, deal, stage(session, "Qualified"), actor=Actor(None), now=NOW)
        assert first is not None
        with pytest.raises(Conflict, match="moved on"):
            undo_move(session, first, actor=Actor(None), now=LATER)
        with pytest.raises(NotFound):
            undo_move(session, _changes(session, deal)[0], actor=Actor(None), now=LATER)


def test_the_stage_at_a_moment_follows_the_moves_that_still_count(any_db: Database) -> None:
    with any_db.write() as session:
        deal = sale(session, at=NOW - timedelta(days=30))
        move_deal(session, deal, stage(session, "Contacted"), actor=Actor(None), now=NOW - timedelta(days=20))
        gone = move_deal(session, deal, stage(session, "Won"), actor=Actor(None), now=NOW - timedelta(days=10))
        assert gone is not None
        undo_move(session, gone, actor=Actor(None), now=NOW)
        for days, name in ((90, "Lead"), (25, "Lead"), (20, "Contacted"), (5, "Contacted")):
            assert stage_at(session, deal, NOW - timedelta(days=days)) == stage(session, name).id


def test_the_people_of_a_deal_are_replaced_and_the_new_ones_told(any_db: Database) -> None:
    with any_db.write() as session:
        bea, bob = buyer(session), buyer(session, "bob@northwind.example")
        deal = sale(session, people=[(bea, "buyer")])
        assert set_deal_contacts(session, deal, [(bea.id or 0, "champion"), (bob.id or 0, "")]) == [bob.id]
        assert set_deal_contacts(session, deal, [(bob.id or 0, "legal")]) == []
        rows = session.exec(select(DealContact.contact_id, DealContact.role)).all()
        assert rows == [(bob.id, "legal")]
        with pytest.raises(NotFound):
            set_deal_contacts(session, deal, [(99, "")])
