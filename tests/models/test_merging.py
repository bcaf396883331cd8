"""Two cards made one and two again: everything moves, undo restores exactly, and what came since goes where it belongs."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select as choose
from sqlmodel import Session, col, select

from models.contact import (
    Company,
    CompanyDomain,
    Contact,
    ContactAddress,
    add_contact,
    addresses_of,
    set_addresses,
)
from models.db import Database, table
from models.deal import Deal, DealContact
from models.errors import Conflict, Invalid, NotFound
from models.interaction import Choice, Held, Interaction, InteractionCompany, InteractionContact, Link
from models.linking import choose_deal
from models.merging import Merge, merge_companies, merge_contacts, merged_into
from models.parting import undo_merge
from tests.models.cast import buyer, conversation, count, firm, letter, mailbox, member, sale, waiting
from tests.support import BUYER, NOW

LATER = NOW + timedelta(hours=1)
HOME = "bea@home.example"
WATCHED = (
    Contact,
    ContactAddress,
    Company,
    CompanyDomain,
    Deal,
    DealContact,
    InteractionContact,
    InteractionCompany,
    Choice,
    Link,
    Held,
)


def party(address: str, contact: Contact) -> dict[str, Any]:
    return {"role": "from", "address": address, "name": "", "response": "none", "ours": False, "contact_id": contact.id}


def everything(session: Session) -> dict[str, Any]:
    """All rows that a merge may touch, and who is named on each mail."""
    session.flush()
    found: dict[str, Any] = {}
    for model in WATCHED:
        rows = session.connection().execute(choose(table(model))).mappings()
        found[model.__name__] = sorted(str(sorted(row.items())) for row in rows)
    found["parties"] = {row.id: row.parties for row in session.exec(select(Interaction))}
    return found


def two_cards(session: Session) -> tuple[Contact, Contact]:
    """Bea twice: at work with a deal and a held mail, at home with another deal, the same deal too, and a lesson."""
    account, source = mailbox(session)
    work = buyer(session, company_id=firm(session).id)
    home = buyer(session, HOME, name="Beatrice", title="Buyer", phone="+44 20 7946 0018")
    shared = sale(session, "Shared", people=[(work, ""), (home, "buyer")])
    sale(session, "Home deal", people=[(home, "champion")])
    both = letter(session, account=account, source=source, people=[work, home], parties=[party(BUYER, work)], on=shared)
    both.parties = [party(BUYER, work), party(HOME, home)]
    letter(session, account=account, source=source, people=[home], parties=[party(HOME, home)])
    asked = waiting(session, account, source, [home], thread=conversation(session), parties=[party(HOME, home)])
    choose_deal(session, asked, shared.id or 0, user_id=member(session).id or 0, now=NOW)
    waiting(session, account, source, [home], parties=[party(HOME, home)])
    session.flush()
    return work, home


def test_all_that_hung_on_the_other_hangs_on_the_kept_one(any_db: Database) -> None:
    with any_db.write() as session:
        work, home = two_cards(session)
        work_id, home_id = work.id or 0, home.id or 0
        row = merge_contacts(session, work_id, home_id, user_id=1, now=NOW)
    with any_db.read() as session:
        kept = session.get_one(Contact, work_id)
        assert session.get(Contact, home_id) is None and merged_into(session, "contact", home_id) == work_id
        assert (kept.name, kept.title, kept.phone) == ("Bea Buyer", "Buyer", "+44 20 7946 0018")
        assert addresses_of(session, [work_id])[work_id] == [BUYER, HOME]
        roles = session.exec(select(DealContact.contact_id, DealContact.role).order_by(col(DealContact.deal_id))).all()
        assert roles == [(work_id, "buyer"), (work_id, "champion")]
        assert set(session.exec(select(InteractionContact.contact_id)).all()) == {work_id}
        assert count(session, InteractionContact) == 4
        assert {p["contact_id"] for mail in session.exec(select(Interaction)) for p in mail.parties} == {work_id}
        assert session.exec(select(Choice.key).where(Choice.kind == "contact")).all() == [str(work_id)]
        assert session.exec(select(Held.state).order_by(col(Held.id))).all() == ["chosen", "open"]
        assert (row.kept_id, row.gone_id, row.gone_name) == (work_id, home_id, "Beatrice")


def test_undo_restores_every_row(any_db: Database) -> None:
    with any_db.write() as session:
        work, home = two_cards(session)
        before = everything(session)
        row = merge_contacts(session, work.id or 0, home.id or 0, user_id=1, now=NOW)
        key, home_id = row.id, home.id
    with any_db.write() as session:
        assert everything(session) != before
        assert undo_merge(session, session.get_one(Merge, key), now=LATER) == home_id
    with any_db.write() as session:
        assert everything(session) == before
        with pytest.raises(Conflict, match="already"):
            undo_merge(session, session.get_one(Merge, key), now=LATER)


def test_what_was_changed_since_stays_changed(db: Database) -> None:
    with db.write() as session:
        work, home = two_cards(session)
        row = merge_contacts(session, work.id or 0, home.id or 0, user_id=1, now=NOW)
        work.title = "Head of Buying"
        session.add(work)
        session.flush()
        back = undo_merge(session, row, now=LATER)
        assert (session.get_one(Contact, work.id).title, session.get_one(Contact, back).title) == (
            "Head of Buying",
            "Buyer",
        )


def test_what_came_since_goes_to_whose_address_stands_on_it(db: Database) -> None:
    with db.write() as session:
        work, home = two_cards(session)
        row = merge_contacts(session, work.id or 0, home.id or 0, user_id=1, now=NOW)
        fresh = letter(session, people=[work], parties=[party(HOME, work)])
        back = undo_merge(session, row, now=LATER)
        there = session.exec(
            select(InteractionContact.contact_id).where(InteractionContact.interaction_id == fresh.id)
        ).all()
        assert there == [back]
        assert [p["contact_id"] for p in session.get_one(Interaction, fresh.id).parties] == [back]


def test_an_id_that_was_given_away_is_not_taken_from_its_new_owner(db: Database) -> None:
    with db.write() as session:
        work, home = two_cards(session)
        row = merge_contacts(session, work.id or 0, home.id or 0, user_id=1, now=NOW)
        gone = row.gone_id
        session.add(Contact(id=gone, name="Somebody else", created_at=NOW))
        session.flush()
        back = undo_merge(session, row, now=LATER)
        assert back != gone and session.get_one(Contact, gone).name == "Somebody else"
        assert addresses_of(session, [back])[back] == [HOME]
        assert str(back) in session.exec(select(Choice.key).where(Choice.kind == "contact")).all()


def test_a_merge_into_one_that_was_merged_on_leads_to_the_last(db: Database) -> None:
    with db.write() as session:
        one, other, third = (buyer(session, f"{n}@x.example", name=n) for n in ("a", "b", "c"))
        first = merge_contacts(session, other.id or 0, one.id or 0, user_id=1, now=NOW)
        second = merge_contacts(session, third.id or 0, other.id or 0, user_id=1, now=NOW)
        assert merged_into(session, "contact", first.gone_id) == third.id
        with pytest.raises(Conflict, match="merged again or deleted"):
            undo_merge(session, first, now=LATER)
        undo_merge(session, second, now=LATER)
        undo_merge(session, first, now=LATER)
        assert addresses_of(session, [first.gone_id]) == {first.gone_id: ["a@x.example"]}


def test_merges_into_one_are_taken_back_in_their_order(db: Database) -> None:
    with db.write() as session:
        one, other, third = (buyer(session, f"{n}@x.example", name=n) for n in ("a", "b", "c"))
        first = merge_contacts(session, one.id or 0, other.id or 0, user_id=1, now=NOW)
        merge_contacts(session, one.id or 0, third.id or 0, user_id=1, now=NOW)
        with pytest.raises(Conflict, match="after this"):
            undo_merge(session, first, now=LATER)


def test_whoever_was_never_logged_is_not_logged_as_a_part_of_another(db: Database) -> None:
    with db.write() as session:
        work, home = two_cards(session)
        home.never_log = True
        session.add(home)
        row = merge_contacts(session, work.id or 0, home.id or 0, user_id=1, now=NOW)
        assert session.get_one(Contact, row.kept_id).never_log
        back = undo_merge(session, row, now=LATER)
        assert not session.get_one(Contact, row.kept_id).never_log and session.get_one(Contact, back).never_log


def test_nobody_is_merged_with_themselves_or_with_nobody(db: Database) -> None:
    with db.write() as session:
        key = buyer(session).id or 0
        with pytest.raises(Invalid):
            merge_contacts(session, key, key, user_id=1, now=NOW)
        with pytest.raises(NotFound):
            merge_contacts(session, key, key + 1, user_id=1, now=NOW)


def test_companies_are_made_one_and_two_again(any_db: Database) -> None:
    with any_db.write() as session:
        kept, gone = firm(session), firm(session, "Northwind Ltd", "northwind.test")
        person = buyer(session, "x@northwind.test", company_id=gone.id)
        sale(session, company_id=gone.id)
        for mail, firms in ((letter(session), (kept, gone)), (letter(session, people=[person]), (gone,))):
            for one in firms:
                session.add(InteractionCompany(interaction_id=mail.id or 0, company_id=one.id or 0))
        before = everything(session)
        kept_id, gone_id = kept.id or 0, gone.id or 0
        key = merge_companies(session, kept_id, gone_id, user_id=1, now=NOW).id
    with any_db.write() as session:
        assert session.exec(select(Company.name)).all() == ["Northwind"]
        assert set(session.exec(select(CompanyDomain.company_id)).all()) == {kept_id}
        assert (
            session.exec(select(Contact.company_id)).all() == session.exec(select(Deal.company_id)).all() == [kept_id]
        )
        assert session.exec(select(InteractionCompany.company_id)).all() == [kept_id, kept_id]
        assert undo_merge(session, session.get_one(Merge, key), now=LATER) == gone_id
    with any_db.write() as session:
        assert everything(session) == before


def test_an_address_that_two_claim_stays_with_who_has_it_and_they_are_named(any_db: Database) -> None:
    with any_db.write() as session:
        buyer(session)
        other = buyer(session, HOME, name="Other")
        session.commit()
        with pytest.raises(Conflict, match=r"bea@northwind.example belongs to Bea Buyer already"):
            set_addresses(session, other, [HOME, BUYER])
        session.rollback()
        with pytest.raises(Conflict, match="Bea Buyer"):
            add_contact(session, name="Third", emails=[BUYER], now=NOW)
        session.rollback()
        assert count(session, Contact) == 2


def test_of_many_who_merge_the_same_pair_either_way_one_does(any_db: Database) -> None:
    with any_db.write() as session:
        pair = [card.id or 0 for card in two_cards(session)]
    start = threading.Barrier(6)

    def merge(number: int) -> str:
        start.wait()
        kept, gone = pair if number % 2 else reversed(pair)
        try:
            with any_db.write() as session:
                merge_contacts(session, kept, gone, user_id=1, now=NOW)
        except NotFound:
            return "gone"
        return "done"

    with ThreadPoolExecutor(6) as pool:
        assert Counter(pool.map(merge, range(6))) == {"done": 1, "gone": 5}
    with any_db.read() as session:
        assert count(session, Contact) == 1 and count(session, ContactAddress) == 2
