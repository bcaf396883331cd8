"""Rows of contacts: nobody twice, nobody lost, free mail says nothing about a company."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.account import Walk
from models.contact import Company, CompanyDomain, Contact, addresses_of
from models.db import Database
from models.erasing import erase
from models.event import Event
from models.imports import store
from models.keyring import Keyring
from tests.models import cast
from tests.models.imported import Desk, counts
from tests.support import NOW

HEADER = ["First name", "Last name", "Email", "Company", "Title"]
BEA = ["Bea", "Buyer", "bea@northwind.example; bea.buyer@home.example", "Northwind", "Head of mills"]
CAS = ["Cas", "Clerk", "cas@northwind.example", "Northwind", ""]


@pytest.fixture
def desk(any_db: Database, keyring: Keyring, tmp_path: Path) -> Desk:
    """On SQLite and on Postgres."""
    return Desk(any_db, keyring, tmp_path)


def test_people_come_with_all_their_addresses_and_their_company(desk: Desk) -> None:
    row = desk.take("contacts", [HEADER, BEA, CAS])
    assert (row.state, *counts(row), row.position, row.total) == ("done", 2, 0, 0, 0, 2, 2)
    bea, cas = desk.all(Contact)
    assert (bea.name, bea.title, bea.company_id) == ("Bea Buyer", "Head of mills", cas.company_id)
    with desk.db.read() as session:
        assert addresses_of(session, [bea.id])[bea.id] == ["bea@northwind.example", "bea.buyer@home.example"]
        assert session.get_one(CompanyDomain, "northwind.example").company_id == bea.company_id
    assert [firm.name for firm in desk.all(Company)] == ["Northwind"]
    assert desk.all(Event) == []


def test_the_same_file_again_doubles_nothing_and_a_changed_one_updates(desk: Desk) -> None:
    desk.take("contacts", [HEADER, BEA, CAS])
    assert counts(desk.take("contacts", [HEADER, BEA, CAS])) == (0, 0, 2, 0)
    moved = ["Bea", "Baker", "BEA@northwind.example bea@third.example", "Northwind", ""]
    assert counts(desk.take("contacts", [HEADER, moved, CAS])) == (0, 1, 1, 0)
    bea = desk.all(Contact)[0]
    assert (bea.name, bea.title) == ("Bea Baker", "Head of mills"), "an empty cell takes nothing away"
    with desk.db.read() as session:
        assert len(addresses_of(session, [bea.id])[bea.id]) == 3


def test_a_row_that_is_two_known_people_is_refused_and_the_others_are_taken(desk: Desk) -> None:
    with desk.db.write() as session:
        cast.buyer(session)
        cast.buyer(session, "cas@else.example", name="Cas")
    both = ["B", "C", "bea@northwind.example, cas@else.example", "Both & Co", ""]
    row = desk.take("contacts", [HEADER, both, ["Dan", "", "dan@x.example", "", ""]])
    assert counts(row) == (1, 0, 0, 1)
    ((number, taken, reason),) = desk.said(row)
    assert number == 2 and not taken and "Bea Buyer's" in reason and "Cas's" in reason
    assert desk.all(Company) == [], "a refused row leaves nothing behind"


def test_bad_rows_keep_their_cells_and_say_why(desk: Desk) -> None:
    none, wrong, half, torn = (
        ["No", "Body", "", "X", ""],
        ["Al", "Most", "al@@most", "X", ""],
        ["Half", "Good", "half@x.example, nonsense@", "", ""],
        ["Torn", "Apart", "torn@x.example", "X", "Chief", "more"],
    )
    row = desk.take("contacts", [HEADER, none, wrong, half, torn])
    assert counts(row) == (1, 0, 0, 3) and row.noted == 1
    said = desk.said(row)
    assert [(number, taken) for number, taken, _ in said] == [(2, False), (3, False), (4, True), (5, False)]
    for (_, _, reason), word in zip(said, ("no e-mail address", "al@@most", "left out", "6 cells"), strict=True):
        assert word in reason
    assert [one.cells for one in desk.all(store.ImportFault)] == [none, wrong, half, torn]


def test_a_free_mail_domain_never_becomes_a_companys(desk: Desk) -> None:
    header = ["Name", "Email", "Company", "Company domain"]
    row = desk.take(
        "contacts", [header, ["Bea", "bea@gmail.com", "Mill", "gmail.com"], ["Cas", "c@gmx.de", "Mill", ""]]
    )
    assert counts(row) == (2, 0, 0, 0) and desk.all(store.ImportFault)[0].taken
    with desk.db.read() as session:
        assert cast.count(session, CompanyDomain) == 0 and cast.count(session, Company) == 1


def test_a_company_is_known_by_its_domain_then_by_its_name(desk: Desk) -> None:
    with desk.db.write() as session:
        known = cast.firm(session, "Northwind Traders", "northwind.example").id
    header = ["Name", "Email", "Company", "Website"]
    rows = [
        ["A", "a@else.example", "NW", "https://www.northwind.example/"],
        ["B", "b@else2.example", "northwind traders", ""],
        ["C", "c@northwind.example", "Northwind Ltd", ""],
        ["D", "d@mail.northwind.example", "", ""],
    ]
    row = desk.take("contacts", [header, *rows])
    assert {one.company_id for one in desk.all(Contact)} == {known}
    assert [reason for *_, reason in desk.said(row)] == [
        "'Northwind Ltd': northwind.example belongs to 'Northwind Traders', so they are taken for the same company."
    ]
    with desk.db.read() as session:
        assert cast.count(session, CompanyDomain) == 1, "a consultant's domain is not given to the customer"


def test_a_row_that_repeats_another_is_told(desk: Desk) -> None:
    row = desk.take(
        "contacts",
        [HEADER, BEA, ["", "", "bea@northwind.example, b3@x.example", "", ""], ["", "", "b3@x.example", "", ""]],
    )
    assert counts(row) == (1, 1, 1, 0)
    assert [(number, "Row 2 is the same person" in reason) for number, _, reason in desk.said(row)] == [
        (3, True),
        (4, True),
    ]


def test_earlier_mail_of_new_people_is_asked_for_once_a_part(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.imports.run.PART", 50)
    monkeypatch.setattr("models.imports.store.PART", 50)
    with desk.db.write() as session:
        account, source = cast.mailbox(session)
        source.cursor = "7"
        session.add(source)
    people = [["P", str(n), f"p{n}@x{n}.example", "", ""] for n in range(120)]
    row = desk.take("contacts", [HEADER, *people])
    assert row.created == 120
    walks = [walk.state["terms"] for walk in desk.all(Walk)]
    assert [len(terms) for terms in walks] == [50, 50, 20]
    assert walks[0][0] == "p0@x0.example" and desk.all(type(source))[0].next_sync_at == NOW


def test_a_fault_of_a_row_leaves_nothing_of_it_and_nothing_is_counted_on_it(desk: Desk) -> None:
    long = ["L", "ong", "long@new.example", "New firm", "x" * 300]
    row = desk.take("contacts", [HEADER, long, ["S", "hort", "short@new.example", "New firm", ""]])
    assert counts(row) == (1, 0, 0, 1) and [firm.name for firm in desk.all(Company)] == ["New firm"]


@pytest.mark.parametrize("kind", ["contacts", "deals"])
def test_an_erased_person_does_not_come_back_and_no_cell_of_theirs_is_kept(
    desk: Desk, keyring: Keyring, kind: str
) -> None:
    with desk.db.write() as session:
        user = cast.member(session)
        bea = cast.buyer(session)
        erase(session, keyring, bea.id or 0, user_id=user.id or 0, by=user.email, now=NOW)
    header = ["Deal", "Contact", "Contact email"] if kind == "deals" else ["Title", "Name", "Email"]
    row = desk.take(kind, [header, ["A", "Bea Buyer", "bea@northwind.example"], ["B", "Cas", "cas@x.example"]])
    assert [person.name for person in desk.all(Contact)] == ["Cas"]
    assert counts(row) == ((2, 0, 0, 0) if kind == "deals" else (1, 0, 0, 1))
    ((number, taken, reason),) = desk.said(row)
    assert (number, taken) == (2, kind == "deals") and "erased" in reason
    assert desk.all(store.ImportFault)[0].cells == []
