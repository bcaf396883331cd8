"""One mail to people of several customers: it stands with each of them, and a question about one waits for a person."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import col, select

from models.contact import add_contact
from models.db import Database
from models.interaction import Held, Interaction, Link
from models.keyring import Keyring
from models.linking import choose_deal, undo_choice
from models.reach import contact_changed, deal_changed
from tests.models.cast import buyer, firm, member, sale
from tests.support import BUYER, NOW, REP
from tests.worker.scene import Desk, note, on_deals, outcomes
from worker.rematch import rematch

PAT = "pat@southgate.example"


def _cast(db: Database, *, of_pat: tuple[str, ...] = ("Harbour",)) -> None:
    """Bea of Northwind with her Windmill; Pat of Southgate with deals of their company."""
    with db.write() as session:
        sale(session, "Windmill", company_id=firm(session).id, people=[(buyer(session), "")])
        south = firm(session, "Southgate", "southgate.example")
        buyer(session, PAT, name="Pat Southgate", company_id=south.id)
        for name in of_pat:
            sale(session, name, company_id=south.id)


def test_it_stands_on_the_one_deal_of_each(any_db: Database, keyring: Keyring) -> None:
    _cast(any_db)
    Desk(any_db, keyring).take(note(REP, [BUYER, PAT], "The joint visit"))
    with any_db.read() as session:
        assert sorted(on_deals(session)) == [
            ("The joint visit", "Harbour", "address"),
            ("The joint visit", "Windmill", "address"),
        ]


def test_an_answer_of_one_of_them_stays_with_that_one(any_db: Database, keyring: Keyring) -> None:
    _cast(any_db)
    desk = Desk(any_db, keyring)
    desk.take(note(REP, [BUYER, PAT], "The joint visit", message_id="joint@acme.example"))
    desk.take(note(PAT, REP, "Re: The joint visit", references=("joint@acme.example",)))
    with any_db.read() as session:
        assert [row for row in on_deals(session) if row[0].startswith("Re:")] == [
            ("Re: The joint visit", "Harbour", "thread")
        ]


def test_a_question_about_one_tells_where_else_it_stands(any_db: Database, keyring: Keyring) -> None:
    _cast(any_db, of_pat=("Harbour", "Lighthouse"))
    Desk(any_db, keyring).take(note(REP, [BUYER, PAT], "The joint visit"))
    with any_db.write() as session:
        assert outcomes(session) == {"held": 1}
        held = session.exec(select(Held)).one()
        assert [bool(one.get("sure")) for one in held.candidates] == [False, False, True]
        user = member(session)
        choose_deal(session, held, held.candidates[0]["deal_id"], user_id=user.id or 0, now=NOW)
        assert len(on_deals(session)) == 2 and ("The joint visit", "Windmill", "address") in on_deals(session)
        undo_choice(session, held, now=NOW + timedelta(seconds=1))
        assert on_deals(session) == [] and outcomes(session) == {"held": 1}


def test_a_customer_who_is_entered_later_gets_it_too(any_db: Database, keyring: Keyring) -> None:
    """Field note: adding a contact brings its earlier mail, also what stands with another customer already."""
    with any_db.write() as session:
        sale(session, "Windmill", company_id=firm(session).id, people=[(buyer(session), "")])
    Desk(any_db, keyring).take(note(REP, [BUYER, PAT], "The joint visit"))
    with any_db.write() as session:
        person = add_contact(session, name="Pat", emails=[PAT], now=NOW)
        contact_changed(session, keyring, person.id or 0, NOW)
        deal_changed(session, sale(session, "Harbour", people=[(person, "")]).id or 0, NOW)
    while rematch(any_db, NOW + timedelta(seconds=5)):
        pass
    with any_db.read() as session:
        assert sorted(deal for _, deal, _ in on_deals(session)) == ["Harbour", "Windmill"]


def test_what_a_person_took_off_stays_off(any_db: Database, keyring: Keyring) -> None:
    _cast(any_db)
    Desk(any_db, keyring).take(note(REP, [BUYER, PAT], "The joint visit"))
    with any_db.write() as session:
        for link in session.exec(select(Link)):
            link.removed_at = NOW
            session.add(link)
        for row in session.exec(select(Interaction).where(col(Interaction.rematch_at).is_(None))):
            row.rematch_at = NOW
            session.add(row)
    while rematch(any_db, NOW + timedelta(seconds=5)):
        pass
    with any_db.read() as session:
        assert on_deals(session) == []


def test_a_newcomer_with_several_deals_raises_no_question_in_a_conversation(any_db: Database, keyring: Keyring) -> None:
    _cast(any_db, of_pat=("Harbour", "Lighthouse"))
    desk = Desk(any_db, keyring)
    desk.take(note(BUYER, REP, "Plan", message_id="plan@northwind.example"))
    desk.take(note(REP, [BUYER, PAT], "Re: Plan", references=("plan@northwind.example",)))
    with any_db.read() as session:
        assert outcomes(session) == {"logged": 2}
        assert {deal for _, deal, _ in on_deals(session)} == {"Windmill"}
