"""Reaching back: a changed address book asks for earlier mail again, by rows alone."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import Session, select

from models.account import Source, Walk, disconnect_account
from models.contact import set_addresses
from models.db import Database
from models.interaction import Interaction, InteractionCompany
from models.keyring import Keyring, hasher
from models.ledger import LedgerEntry, LedgerHash
from models.reach import contact_changed, deal_changed, domain_added, people_added
from tests.models.cast import buyer, conversation, firm, letter, mailbox, sale
from tests.support import BUYER, COLLEAGUE, NOW

LATER = NOW + timedelta(hours=1)


def _ignored(session: Session, keyring: Keyring, source: Source, *forms: str, row: Interaction | None = None) -> str:
    item = f"i{len(session.exec(select(LedgerEntry.id)).all())}"
    entry = LedgerEntry(
        source_id=source.id or 0,
        item_id=item,
        outcome="logged" if row else "ignored",
        interaction_id=row.id if row else None,
        updated_at=NOW,
    )
    session.add(entry)
    session.flush()
    digest = hasher(session, keyring).digest
    session.add_all([LedgerHash(entry_id=entry.id or 0, hash=digest(form)) for form in forms])
    session.flush()
    return item


def _owed(session: Session) -> set[str]:
    return set(session.exec(select(LedgerEntry.item_id).where(LedgerEntry.outcome == "owed")).all())


def _asked(session: Session) -> set[int | None]:
    return set(session.exec(select(Interaction.id).where(Interaction.rematch_at == LATER)).all())


def test_a_new_contact_reopens_searches_and_wakes(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        _, source = mailbox(session)
        source.cursor = "here"
        source.next_sync_at = None
        mine = _ignored(session, keyring, source, BUYER, "@northwind.example")
        _ignored(session, keyring, source, "zoe@stranger.example")
        seen = letter(session)
        _ignored(session, keyring, source, BUYER, row=seen)
        person = buyer(session)
        contact_changed(session, keyring, person.id or 0, LATER)
        session.flush()
        assert _owed(session) == {mine} and _asked(session) == {seen.id}
        walk = session.exec(select(Walk)).one()
        assert (walk.kind, walk.state, walk.done_at) == ("people", {"terms": [BUYER]}, None)
        session.refresh(source)
        assert source.next_sync_at == LATER


def test_a_gmail_address_is_found_however_it_was_dotted(any_db: Database, keyring: Keyring) -> None:
    """Field note 15: Gmail dots and googlemail."""
    with any_db.write() as session:
        _, source = mailbox(session)
        mine = _ignored(session, keyring, source, "j.d.oe+x@googlemail.com", "jdoe@gmail.com")
        person = buyer(session, "j.doe@gmail.com")
        contact_changed(session, keyring, person.id or 0, LATER)
        assert _owed(session) == {mine}


def test_a_second_address_reaches_back_as_the_first_did(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        _, source = mailbox(session)
        mine = _ignored(session, keyring, source, "bea@private.example")
        person = buyer(session)
        people_added(session, keyring, set_addresses(session, person, [BUYER, "bea@private.example"]), LATER)
        assert _owed(session) == {mine}


def test_a_new_domain_reaches_everybody_there(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        _, source = mailbox(session)
        source.cursor = "here"
        mine = _ignored(session, keyring, source, "x@northwind.example", "@northwind.example")
        domain_added(session, keyring, "northwind.example", LATER)
        session.flush()
        assert _owed(session) == {mine}
        assert session.exec(select(Walk)).one().state == {"terms": ["@northwind.example"]}


def test_no_search_where_none_is_needed_or_possible(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        mailbox(session)
        account, gone = mailbox(session, COLLEAGUE)
        gone.cursor = "here"
        disconnect_account(session, account, now=NOW)
        calendar = mailbox(session, kind="calendar")[1]
        calendar.cursor = "here"
        session.flush()
        people_added(session, keyring, [BUYER], LATER)
        people_added(session, keyring, [], LATER)
        assert session.exec(select(Walk)).all() == []


def test_a_new_deal_asks_again_about_its_people_its_company_and_their_conversations(any_db: Database) -> None:
    with any_db.write() as session:
        company = firm(session)
        bea, bob = buyer(session), buyer(session, "bob@elsewhere.example", name="Bob")
        talk = conversation(session)
        by_person = letter(session, people=[bob])
        by_company = letter(session, people=[bea], thread=talk)
        by_domain, by_thread, stranger = letter(session), letter(session, thread=talk), letter(session)
        session.add(InteractionCompany(interaction_id=by_domain.id or 0, company_id=company.id or 0))
        deal = sale(session, company_id=company.id, people=[(bob, "")])
        deal_changed(session, deal.id or 0, LATER)
        deal_changed(session, 999, LATER)
        assert _asked(session) == {row.id for row in (by_person, by_company, by_domain, by_thread)}
        assert stranger.rematch_at is None
