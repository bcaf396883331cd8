"""People with many addresses, companies with many domains."""

from __future__ import annotations

import pytest
from sqlmodel import Session, select

from models.contact import (
    Company,
    CompanyDomain,
    Contact,
    ContactAddress,
    add_company,
    add_contact,
    addresses_of,
    company_for_domain,
    company_of_domain,
    contact_for_address,
    is_free_mail,
    known_people,
    learn_domain,
    set_addresses,
    set_domains,
)
from models.db import Database
from models.errors import Conflict, Invalid, NotFound
from tests.models.cast import buyer, count, firm
from tests.support import BUYER, NOW


def _domains(session: Session, company: Company) -> set[str]:
    return set(session.exec(select(CompanyDomain.domain).where(CompanyDomain.company_id == company.id)).all())


def test_a_company_keeps_the_domains_it_is_told(any_db: Database) -> None:
    with any_db.write() as session:
        company = firm(session, "Northwind", "Northwind.EXAMPLE", "nw.example")
        assert _domains(session, company) == {"northwind.example", "nw.example"}
        set_domains(session, company, ["nw.example", "north.example"])
        assert _domains(session, company) == {"nw.example", "north.example"}
        assert company_of_domain(session, "north.example") == company.id
        assert company_of_domain(session, "northwind.example") is None


@pytest.mark.parametrize("domain", ["gmail.com", "outlook.com", "no domain", "mail.gmail.com"])
def test_free_mail_and_nonsense_are_no_companys_domain(db: Database, domain: str) -> None:
    """Field note 13: a free-mail buyer says nothing about her employer."""
    with db.write() as session, pytest.raises(Invalid):
        firm(session, "Northwind", domain)


def test_a_domain_belongs_to_one_company(any_db: Database) -> None:
    with any_db.write() as session:
        firm(session)
    with pytest.raises(Conflict, match="northwind.example belongs to another"), any_db.write() as session:
        firm(session, "Southwind", "southwind.example", "northwind.example")
    with any_db.read() as session:
        assert company_of_domain(session, "northwind.example") is not None


def test_a_company_needs_a_name(db: Database) -> None:
    with db.write() as session, pytest.raises(Invalid):
        add_company(session, "  ", [], now=NOW)


def test_a_contact_joins_the_company_that_owns_the_domain(any_db: Database) -> None:
    with any_db.write() as session:
        company = firm(session, "Northwind", "northwind.co.uk")
        assert buyer(session, "bea@mail.northwind.co.uk").company_id == company.id
        assert buyer(session, "bob@gmail.com").company_id is None


def test_the_first_address_is_the_primary_one_and_repeats_count_once(any_db: Database) -> None:
    with any_db.write() as session:
        person = add_contact(session, name="", emails=["B@x.example", "a@x.example", "b@X.example"], now=NOW)
        assert person.name == "b@x.example"
        assert addresses_of(session, [person.id or 0]) == {person.id: ["b@x.example", "a@x.example"]}
        fresh = set_addresses(session, person, ["a@x.example", "c@x.example"])
        assert fresh == ["c@x.example"]
        assert addresses_of(session, [person.id or 0]) == {person.id: ["a@x.example", "c@x.example"]}
        assert session.get(ContactAddress, "b@x.example") is None


def test_an_address_belongs_to_one_contact(any_db: Database) -> None:
    with any_db.write() as session:
        buyer(session)
    with pytest.raises(Conflict, match="Bea Buyer"), any_db.write() as session:
        buyer(session, BUYER.upper(), name="Another Bea")
    with any_db.write() as session:
        other = buyer(session, "bob@northwind.example", name="Bob")
        session.commit()
        with pytest.raises(Conflict):
            set_addresses(session, other, ["bob@northwind.example", BUYER])
        session.rollback()
    with any_db.read() as session:
        assert count(session, Contact) == 2


def test_a_contact_without_a_usable_address_or_with_a_company_that_is_none_is_refused(db: Database) -> None:
    with db.write() as session:
        for emails in ([], ["nobody"]):
            with pytest.raises(Invalid):
                add_contact(session, name="Bea", emails=emails, now=NOW)
        with pytest.raises(NotFound):
            add_contact(session, name="Bea", emails=[BUYER], company_id=99, now=NOW)
        with pytest.raises(Invalid):
            set_addresses(session, buyer(session), [])


def test_the_search_for_people_leaves_out_those_who_are_never_logged(any_db: Database) -> None:
    with any_db.write() as session:
        firm(session)
        buyer(session)
        shy = buyer(session, "shy@elsewhere.example")
        shy.never_log = True
        session.flush()
        assert known_people(session) == ([BUYER], ["northwind.example"])


def test_a_learned_domain_takes_nothing_from_anybody(any_db: Database) -> None:
    with any_db.write() as session:
        north, south = firm(session), firm(session, "Southwind", "southwind.example")
        learn_domain(session, south.id or 0, "northwind.example")
        learn_domain(session, south.id or 0, "gmail.com")
        learn_domain(session, south.id or 0, "mail.southwind.co.uk")
        assert _domains(session, north) == {"northwind.example"}
        assert _domains(session, south) == {"southwind.example", "southwind.co.uk"}


def test_a_company_is_found_or_made_by_its_domain(any_db: Database) -> None:
    with any_db.write() as session:
        made = company_for_domain(session, "mail.northwind.co.uk", now=NOW)
        assert made.name == "northwind.co.uk"
        assert company_for_domain(session, "northwind.co.uk", now=NOW, name="Northwind") is made
        with pytest.raises(Invalid):
            company_for_domain(session, "gmail.com", now=NOW)
        assert contact_for_address(session, "bea@northwind.co.uk", now=NOW).company_id == made.id
        assert count(session, Company) == 1


def test_free_mail_is_known_by_its_domain_and_what_lies_under_it() -> None:
    assert is_free_mail("gmail.com") and is_free_mail("x.gmail.com") and not is_free_mail("northwind.example")
