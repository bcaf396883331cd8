"""Discovered people: what is kept of whom, for whom, how long; and what a decision makes and takes back."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlmodel import col, select

from models.account import Walk
from models.blocks import add_block
from models.contact import Company, CompanyDomain, Contact, ContactAddress
from models.db import Database
from models.deal import Deal, DealContact
from models.discovery import EARLY, KEPT, UNDO, Discovery, count_offers, offers, tidy, untidy
from models.errors import Conflict, Invalid, NotFound
from models.event import Event
from models.interaction import Interaction, InteractionCompany, InteractionContact
from models.keyring import Keyring, hasher
from models.ledger import WROTE, LedgerEntry, LedgerHash
from models.offering import decide, undo
from models.roles import is_role, likely_firm, likely_name, signed_by_person
from models.setting import set_team_setting
from tests.models.cast import buyer, count, firm, letter, mailbox, member, sale, told
from tests.models.strangers import STRANGER, exchanged
from tests.support import BUYER, COLLEAGUE, NOW, REP

LATER = NOW + timedelta(hours=1)


def addresses(db: Database, email: str = REP, *, now: datetime = NOW) -> list[str]:
    """Whom somebody is offered, in order."""
    with db.read() as session:
        return [row.address for row in offers(session, member(session, email).id or 0, now=now)]


def test_of_those_who_only_wrote_to_us_no_address_is_kept(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        assert exchanged(session, keyring, wrote=5, written=0) is None
        assert count(session, Discovery) == 0
    assert addresses(any_db) == []


def test_whoever_wrote_before_we_did_counts_once_we_have_written(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        exchanged(session, keyring, wrote=3, written=0)
        row = exchanged(session, keyring, wrote=0, written=1, name="Sam Stone")
        assert row is not None and (row.inbound, row.outbound, row.name) == (3, 1, "Sam Stone")
    assert addresses(any_db) == [STRANGER]


def test_nobody_is_offered_whom_we_only_wrote_to(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        exchanged(session, keyring, wrote=0, written=9)
    assert addresses(db) == []


def test_while_the_address_book_is_empty_those_we_write_to_are_offered_for_a_fortnight(
    db: Database, keyring: Keyring
) -> None:
    with db.write() as session:
        exchanged(session, keyring, wrote=0, early=True)
        exchanged(session, keyring, "info@stoneworks.example", wrote=0, early=True)
    assert addresses(db) == [STRANGER]
    assert addresses(db, now=NOW + EARLY + timedelta(seconds=1)) == []


def test_those_who_answered_come_first_then_by_how_much_was_exchanged(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        exchanged(session, keyring, "little@a.example")
        exchanged(session, keyring, "much@b.example", wrote=4, written=5)
        exchanged(session, keyring, "silent@c.example", wrote=0, written=30, early=True)
    assert addresses(db) == ["much@b.example", "little@a.example", "silent@c.example"]


def test_an_offer_is_its_owners_alone_and_so_is_the_event(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        member(session, COLLEAGUE)
        row = exchanged(session, keyring, name="Sam Stone")
        assert row is not None
        (event,) = told(session, "contact.discovered")
        assert event.user_id == row.user_id
        assert event.payload == {
            "id": row.id,
            "address": STRANGER,
            "name": "Sam Stone",
            "company": "Stoneworks",
            "seen": 2,
        }
    assert addresses(db, COLLEAGUE) == []
    with db.write() as session, pytest.raises(NotFound):
        decide(session, keyring, [row.id or 0], "contact", user_id=member(session, COLLEAGUE).id or 0, now=NOW)


def test_a_discovery_is_announced_once_and_not_of_old_mail(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        exchanged(session, keyring, at=NOW - timedelta(days=30))
        assert told(session, "contact.discovered") == []
        exchanged(session, keyring)
        exchanged(session, keyring)
        assert len(told(session, "contact.discovered")) == 1


def test_contacts_colleagues_and_blocked_people_are_not_offered(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        for address in (BUYER, "new@partner.example", "x@loud.example"):
            exchanged(session, keyring, address)
        buyer(session)
        set_team_setting(session, "internal_domains", ["partner.example"])
        add_block(session, kind="domain", value="loud.example", user_id=member(session).id, now=NOW)
    assert addresses(db) == []
    with db.read() as session:
        kept = session.exec(select(Discovery.address)).all()
        assert "x@loud.example" not in kept
        assert session.exec(select(Event).order_by(col(Event.id))).all()[-1].payload["address"] is None


def test_what_nobody_decides_is_forgotten(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        exchanged(session, keyring)
        assert tidy(session, now=NOW + KEPT) == 0
        assert session.exec(untidy(NOW + KEPT)).first() is None
        assert tidy(session, now=NOW + KEPT + timedelta(seconds=1)) == 1
        assert count(session, Discovery) == 0
        assert [event.payload["address"] for event in told(session, "contact.discovered")] == [None]


def test_of_somebody_never_to_be_offered_only_the_hash_stays(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        row = exchanged(session, keyring, name="Sam Stone")
        assert row is not None
        decide(session, keyring, [row.id or 0], "never", user_id=row.user_id, now=NOW)
    assert addresses(any_db) == []
    with any_db.write() as session:
        assert tidy(session, now=NOW + UNDO + timedelta(seconds=1)) == 1
    with any_db.write() as session:
        kept = session.exec(select(Discovery)).one()
        assert (kept.address, kept.name, kept.state) == ("", "", "never")
        assert kept.hash == hasher(session, keyring).digest(STRANGER)
        assert told(session, "contact.discovered")[0].payload["name"] is None
        exchanged(session, keyring, wrote=5, written=5, name="Sam Stone")
        assert session.exec(select(Discovery.name)).all() == [""]
    assert addresses(any_db) == []


def test_never_can_be_taken_back_while_the_address_is_known(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        row = exchanged(session, keyring)
        assert row is not None
        done = decide(session, keyring, [row.id or 0], "never", user_id=row.user_id, now=NOW)
        undo(session, keyring, done.batch, user_id=row.user_id, now=LATER)
    assert addresses(db) == [STRANGER]
    with db.write() as session:
        row = session.exec(select(Discovery)).one()
        done = decide(session, keyring, [row.id or 0], "never", user_id=row.user_id, now=NOW)
        tidy(session, now=NOW + UNDO + timedelta(seconds=1))
        with pytest.raises(NotFound):
            undo(session, keyring, done.batch, user_id=row.user_id, now=LATER)


def test_a_contact_gets_name_and_company_and_starts_the_search(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        _, source = mailbox(session)
        source.cursor = "c"
        row = exchanged(session, keyring, name="Sam Stone")
        assert row is not None
        done = decide(session, keyring, [row.id or 0], "contact", user_id=row.user_id, now=NOW)
        person = session.get_one(Contact, done.contacts[0])
        company = session.get_one(Company, person.company_id)
        assert (person.name, company.name) == ("Sam Stone", "Stoneworks")
        assert session.exec(select(CompanyDomain.domain)).all() == ["stoneworks.example"]
        assert [walk.state["terms"] for walk in session.exec(select(Walk))] == [["@stoneworks.example"]]
        assert set(session.exec(select(LedgerEntry.outcome)).all()) == {"owed"}
        with pytest.raises(Conflict, match="already"):
            decide(session, keyring, [row.id or 0], "ignore", user_id=row.user_id, now=NOW)


def test_no_company_is_made_of_a_free_mail_provider(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        row = exchanged(session, keyring, "sam.stone@gmail.com")
        assert row is not None
        done = decide(session, keyring, [row.id or 0], "contact", user_id=row.user_id, now=NOW)
        assert session.get_one(Contact, done.contacts[0]).company_id is None
        assert session.get_one(Contact, done.contacts[0]).name == "Sam Stone"
        assert count(session, Company) == 0


def test_people_of_one_company_share_one_deal(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        rows = [exchanged(session, keyring, f"{who}@stoneworks.example") for who in ("sam", "tim")]
        rows.append(exchanged(session, keyring, "ann@gmail.com"))
        ids = [row.id or 0 for row in rows if row]
        user = member(session).id or 0
        done = decide(session, keyring, ids, "deal", user_id=user, now=NOW)
        deals = session.exec(select(Deal).order_by(Deal.id)).all()
        assert [(deal.name, deal.owner_id) for deal in deals] == [("Stoneworks", user), ("ann@gmail.com", user)]
        assert count(session, DealContact) == 3
        undo(session, keyring, done.batch, user_id=user, now=LATER)
        assert [count(session, model) for model in (Deal, DealContact, Contact, Company)] == [0, 0, 0, 0]
    assert len(addresses(db)) == 3


def test_somebody_of_a_company_with_one_open_deal_joins_it_and_leaves_it_again(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        company = firm(session, "Stoneworks", "stoneworks.example")
        deal = sale(session, company_id=company.id, people=[(buyer(session), "buyer")])
        row = exchanged(session, keyring)
        assert row is not None
        done = decide(session, keyring, [row.id or 0], "deal", user_id=row.user_id, now=NOW)
        assert done.deals == [deal.id] and count(session, Deal) == 1 and count(session, DealContact) == 2
        undo(session, keyring, done.batch, user_id=row.user_id, now=LATER)
        assert (count(session, Deal), count(session, DealContact), count(session, Contact)) == (1, 1, 1)
        assert count(session, Company) == 1


def test_undo_takes_from_the_timeline_what_came_onto_it_and_it_is_found_again(
    any_db: Database, keyring: Keyring
) -> None:
    with any_db.write() as session:
        account, source = mailbox(session)
        source.cursor = "c"
        row = exchanged(session, keyring)
        assert row is not None
        done = decide(session, keyring, [row.id or 0], "deal", user_id=row.user_id, now=NOW)
        person, bea = session.get_one(Contact, done.contacts[0]), buyer(session)
        plain = {"response": "none", "ours": False, "name": ""}
        sam = plain | {"role": "from", "address": STRANGER, "contact_id": person.id}
        on = session.get_one(Deal, done.deals[0])
        alone = letter(session, account=account, source=source, people=[person], on=on, parties=[sam])
        both = letter(
            session,
            account=account,
            source=source,
            people=[person, bea],
            parties=[sam, plain | {"role": "cc", "address": BUYER, "contact_id": bea.id}],
        )
        session.add(InteractionCompany(interaction_id=alone.id or 0, company_id=person.company_id or 0))
        gone, kept = alone.id, both.id
        session.flush()
        undo(session, keyring, done.batch, user_id=row.user_id, now=LATER)
        entries = session.exec(select(LedgerEntry).where(LedgerEntry.item_id == f"item-{gone}-{account.id}")).all()
        assert [(entry.outcome, entry.interaction_id) for entry in entries] == [("ignored", None)]
        marks = session.exec(select(LedgerHash).where(LedgerHash.entry_id == entries[0].id)).all()
        digest = hasher(session, keyring).digest
        assert {mark.hash: mark.way for mark in marks}[digest(STRANGER)] == WROTE
        assert digest("@stoneworks.example") in {mark.hash for mark in marks}
        assert session.exec(select(Interaction.id)).all() == [kept]
        assert session.exec(select(InteractionContact.contact_id)).all() == [bea.id]
        assert [p["contact_id"] for p in session.get_one(Interaction, kept).parties] == [None, bea.id]
        assert all(walk.done_at is not None for walk in session.exec(select(Walk)))


def test_undo_is_refused_where_others_have_built_on_it(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        row = exchanged(session, keyring)
        assert row is not None
        done = decide(session, keyring, [row.id or 0], "contact", user_id=row.user_id, now=NOW)
        sale(session, people=[(session.get_one(Contact, done.contacts[0]), "buyer")])
        with pytest.raises(Conflict, match="other deals"):
            undo(session, keyring, done.batch, user_id=row.user_id, now=LATER)
        assert count(session, Contact) == 1


def test_a_contact_that_was_there_already_stays_when_the_decision_is_taken_back(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        row = exchanged(session, keyring)
        assert row is not None
        known = buyer(session, STRANGER, name="Sam")
        done = decide(session, keyring, [row.id or 0], "contact", user_id=row.user_id, now=NOW)
        assert done.contacts == [known.id] and known.name == "Sam"
        undo(session, keyring, done.batch, user_id=row.user_id, now=LATER)
        assert session.exec(select(ContactAddress.address)).all() == [STRANGER]


def test_ignore_hides_and_undo_shows_again(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        row = exchanged(session, keyring)
        assert row is not None
        user = row.user_id
        done = decide(session, keyring, [row.id or 0], "ignore", user_id=user, now=NOW)
        assert count_offers(session, user, now=NOW) == 0
        with pytest.raises(NotFound):
            undo(session, keyring, done.batch, user_id=user + 1, now=NOW)
        undo(session, keyring, done.batch, user_id=user, now=NOW)
        assert count_offers(session, user, now=NOW) == 1


def test_a_decision_that_cannot_be_is_refused(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        row = exchanged(session, keyring)
        assert row is not None
        for ids, decision in (([row.id or 0], "marry"), ([], "contact"), (list(range(1, 600)), "contact")):
            with pytest.raises(Invalid):
                decide(session, keyring, ids, decision, user_id=row.user_id, now=NOW)


@pytest.mark.parametrize(
    ("address", "role"),
    [
        ("info@a.example", True),
        ("sales+eu@a.example", True),
        ("support2@a.example", True),
        ("no-reply@a.example", True),
        ("bea@a.example", False),
        ("infosam@a.example", False),
    ],
)
def test_addresses_of_tasks_are_told_from_peoples(address: str, role: bool) -> None:
    assert is_role(address) is role


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("Anna Muster", True),
        ("Anna", False),
        ("", False),
        ("Northwind Sales", False),
        ("Support Team", False),
        ("Anna Northwind", False),
        ("info@northwind.example", False),
    ],
)
def test_a_person_signs_with_a_name_of_their_own(name: str, person: bool) -> None:
    assert signed_by_person(name, "info@northwind.example") is person


def test_names_are_guessed_only_where_an_address_tells_them() -> None:
    assert likely_name("bea.buyer@a.example") == "Bea Buyer"
    assert [likely_name(f"{local}@a.example") for local in ("bea", "b.buyer", "info", "team.sales2")] == [""] * 4
    assert likely_firm("eu.blue-mills.co.uk") == "Blue Mills"
