"""Deciding again: people and deals that come later find their mail; what a person said stays said."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlmodel import Session, col, select

from models.account import Source
from models.contact import add_contact
from models.db import Database, table
from models.deal import set_deal_contacts
from models.interaction import Held, Interaction, InteractionContact, Link
from models.keyring import Keyring
from models.ledger import LedgerEntry
from models.linking import choose_deal, choose_none, unlink
from models.reach import contact_changed, deal_changed
from tests.models.cast import buyer, count, firm, member, sale, told
from tests.support import BUYER, NOW, OUTSIDER, REP
from tests.worker.scene import Desk, note, on_deals, outcomes
from worker.rematch import PAGE, rematch

SOON = NOW + timedelta(seconds=5)


def _again(db: Database, now: datetime = SOON) -> int:
    """Until nothing asks any more; how many were decided."""
    total = 0
    while done := rematch(db, now):
        total += done
    return total


def _ask(session: Session) -> None:
    session.connection().execute(update(table(Interaction)).values(rematch_at=NOW))


def test_a_new_deal_takes_in_the_mail_of_its_people_at_the_stage_of_that_day(
    any_db: Database, keyring: Keyring
) -> None:
    with any_db.write() as session:
        firm(session), buyer(session)
    Desk(any_db, keyring).take(note(), note(at=NOW - timedelta(days=80)), note(at=NOW - timedelta(days=200)))
    with any_db.write() as session:
        assert on_deals(session) == []
        person = session.exec(select(InteractionContact.contact_id).distinct()).one()
        deal = sale(session, at=NOW - timedelta(days=1))
        set_deal_contacts(session, deal, [(person, "buyer")])
        deal.suggest_at = None
        deal_changed(session, deal.id or 0, NOW)
        first = deal.stage_id
    assert _again(any_db) == 3 and _again(any_db) == 0
    with any_db.read() as session:
        links = session.exec(select(Link)).all()
        assert len(links) == 2, "reach back is ninety days"
        assert {link.stage_id for link in links} == {first} and all(link.reasons for link in links)
        assert told(session, "deal.created") and outcomes(session) == {"logged": 3}


def test_a_contact_who_is_entered_later_is_known_on_what_is_stored(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        sale(session, company_id=firm(session).id, people=[(buyer(session), "")])
    desk = Desk(any_db, keyring)
    together, alone = note(BUYER, [REP, OUTSIDER]), note("zoe+crm@stranger.example", REP)
    desk.take(together, alone)
    with any_db.write() as session:
        zoe = add_contact(session, name="Zoe", emails=[OUTSIDER], now=NOW)
        contact_changed(session, keyring, zoe.id or 0, NOW)
        entry = session.exec(select(LedgerEntry).where(LedgerEntry.item_id == alone.item_id)).one()
        assert entry.outcome in ("owed", "unopened"), (
            "found without its tag among what was ignored, and asked for again"
        )
        assert session.get_one(Source, desk.source).next_sync_at == NOW
    _again(any_db)
    with any_db.read() as session:
        row = session.exec(select(Interaction)).one()
        assert {party["contact_id"] is not None for party in row.parties if not party["ours"]} == {True}
        assert count(session, InteractionContact) == 2 and len(on_deals(session)) == 1


def test_a_second_deal_asks_only_about_what_stands_nowhere(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        company, person = firm(session), buyer(session)
        sale(session, "Alpha", company_id=company.id, people=[(person, "")])
    desk = Desk(any_db, keyring)
    desk.take(note(subject="On Alpha"))
    with any_db.write() as session:
        unlink(session, session.exec(select(Interaction)).one(), 1, now=NOW)
    desk.take(note(subject="On Alpha too"))
    with any_db.write() as session:
        _ask(session)
        sale(session, "Beta", company_id=company.id, people=[(person, "")])
    _again(any_db)
    with any_db.read() as session:
        assert on_deals(session) == [("On Alpha too", "Alpha", "address")], "taken off stays off; put on stays on"
        assert count(session, Held) == 0


def test_what_fits_two_deals_of_later_is_asked_once(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        company, person = firm(session), buyer(session)
    Desk(any_db, keyring).take(note())
    with any_db.write() as session:
        for name in ("Alpha", "Beta"):
            deal_changed(session, sale(session, name, company_id=company.id, people=[(person, "")]).id or 0, NOW)
    _again(any_db)
    with any_db.write() as session:
        held = session.exec(select(Held)).one()
        assert {one["deal_id"] for one in held.candidates} == {1, 2} and outcomes(session) == {"held": 1}
        assert [event.user_id for event in told(session, "interaction.held")] == [held.user_id]
        _ask(session)
    _again(any_db)
    with any_db.write() as session:
        held = session.exec(select(Held)).one()
        assert len(told(session, "interaction.held")) == 1
        choose_deal(session, held, 2, user_id=held.user_id, now=NOW)
        _ask(session)
    _again(any_db)
    with any_db.read() as session:
        assert on_deals(session) == [("Hello", "Beta", "person")]


def test_a_question_is_settled_by_what_is_entered_since(any_db: Database, keyring: Keyring) -> None:
    """Field note 12: a question that answers itself does not wait for ever."""
    with any_db.write() as session:
        company, person = firm(session), buyer(session)
        alpha, _ = (sale(session, name, company_id=company.id) for name in ("Alpha", "Beta"))
    Desk(any_db, keyring).take(note())
    with any_db.write() as session:
        assert outcomes(session) == {"held": 1}
        set_deal_contacts(session, session.merge(alpha), [(person.id or 0, "buyer")])
        deal_changed(session, alpha.id or 0, NOW)
    _again(any_db)
    with any_db.read() as session:
        assert on_deals(session) == [("Hello", "Alpha", "address")] and outcomes(session) == {"logged": 1}
        assert session.exec(select(Held.state)).one() == "chosen" and not session.exec(select(Interaction.held)).one()
        assert len(told(session, "interaction.logged")) == 1


def test_no_deal_by_hand_stays_no_deal(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        company, person = firm(session), buyer(session)
        for name in ("Alpha", "Beta"):
            sale(session, name, company_id=company.id, people=[(person, "")])
    Desk(any_db, keyring).take(note())
    with any_db.write() as session:
        choose_none(session, session.exec(select(Held)).one(), user_id=member(session).id or 0, now=NOW)
        deal_changed(session, sale(session, "Gamma", people=[(person, "buyer")]).id or 0, NOW)
    _again(any_db)
    with any_db.read() as session:
        assert on_deals(session) == []


def test_it_goes_page_by_page_and_waits_for_its_time(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        firm(session)
    Desk(db, keyring).take(*(note() for _ in range(PAGE + 1)))
    with db.write() as session:
        _ask(session)
    assert rematch(db, NOW - timedelta(seconds=1)) == 0
    assert [rematch(db, SOON), rematch(db, SOON), rematch(db, SOON)] == [PAGE, 1, 0]
    with db.read() as session:
        assert session.exec(select(Interaction.id).where(col(Interaction.rematch_at).is_not(None))).all() == []
