"""New people of a file are entered together; what comes of it is what would come of them one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session, select

from models.contact import Company, CompanyDomain, Contact, ContactAddress, Newcomer, add_contact, add_contacts
from models.db import Database
from models.errors import Conflict, Invalid
from models.imports import people
from models.imports.people import People
from models.keyring import Keyring
from tests.models import cast
from tests.models.imported import Desk, counts
from tests.support import NOW

HEADER = ["Name", "Email", "Company", "Company domain", "Title", "Never log"]
DIRTY = [
    HEADER,
    ["Bea", "bea@northwind.example", "Northwind", "", "Head", ""],
    ["", "CAS@northwind.example", "North Wind Ltd", "", "", "yes"],
    ["Bea again", "bea@northwind.example, bea@home.example", "", "", "", ""],
    ["Dan", "dan@gmail.com", "Dan's", "gmail.com", "", ""],
    ["Eve", "no address", "", "", "", ""],
    ["Known", "known@else.example; new@else.example", "", "", "", ""],
    ["New", "new@else.example", "", "", "", ""],
    ["Fay", "fay@eu.northwind.example", "", "", "", ""],
    ["Gus", "gus@third.example", "", "third.example", "", ""],
    ["Two", "gus@third.example dan@gmail.com", "", "", "", ""],
]


@pytest.fixture
def desk(any_db: Database, keyring: Keyring, tmp_path: Path) -> Desk:
    """On SQLite and on Postgres, with one who is known already."""
    with any_db.write() as session:
        cast.buyer(session, "known@else.example", name="Known")
    return Desk(any_db, keyring, tmp_path)


def taken(desk: Desk) -> list[Any]:
    """Everything that came of the file, and what was said."""
    row = desk.take("contacts", DIRTY)
    with desk.db.read() as session:
        firms = dict(session.exec(select(Company.id, Company.name)).all())
        domains = sorted((one.domain, firms[one.company_id]) for one in session.exec(select(CompanyDomain)))
        found = {key: (name, title, firms.get(firm), never) for key, name, title, firm, never in _people(session)}
        addresses = sorted(
            (found[one.contact_id], one.address, one.weak_form, one.position)
            for one in session.exec(select(ContactAddress))
        )
    return [counts(row), desk.said(row), domains, list(found.values()), addresses]


def _people(session: Session) -> Any:
    columns = (Contact.id, Contact.name, Contact.title, Contact.company_id, Contact.never_log)
    return session.exec(select(*columns).order_by(Contact.id)).all()  # pyright: ignore


def test_a_dirty_file_comes_out_as_if_each_row_were_taken_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    together = taken(desk)
    assert together[0] == (5, 3, 0, 2)
    with desk.db.write() as session:
        for model in (ContactAddress, Contact, CompanyDomain, Company):
            for row in session.exec(select(model)).all():  # pyright: ignore
                session.delete(row)
            session.flush()
        cast.buyer(session, "known@else.example", name="Known")
    monkeypatch.setattr(People, "is_new", lambda self, person: False)
    assert taken(desk) == together


def test_of_one_who_came_meanwhile_the_row_alone_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = people.add_contacts

    def late(session: Session, newcomers: Any, **more: Any) -> list[int]:
        add_contact(session, name="Quick", emails=["dan@x.example"], now=NOW)  # as if from another transaction
        return real(session, newcomers, **more)

    monkeypatch.setattr(people, "add_contacts", late)
    monkeypatch.setattr(People, "add", _refusing(People.add, "dan@x.example"))
    rows = [[f"{name}", f"{name}@x.example", "", "", "", ""] for name in ("bea", "dan", "eve")]
    row = desk.take("contacts", [HEADER, *rows])
    assert counts(row) == (2, 0, 0, 1)
    assert desk.said(row) == [(3, False, "dan@x.example belongs to Quick already.")]
    assert [one.name for one in desk.all(Contact)] == ["Known", "bea", "eve"]


def _refusing(add: Any, address: str) -> Any:
    def refuse(self: People, person: Newcomer) -> None:
        if address in person.emails:
            raise Conflict(f"{address} belongs to Quick already.")
        add(self, person)

    return refuse


def test_many_new_people_take_few_statements(desk: Desk) -> None:
    sent = 0

    def count(*_: object) -> None:
        nonlocal sent
        sent += 1

    rows = [[f"P{n}", f"p{n}@firm.example", "Firm", "", "", ""] for n in range(400)]
    event.listen(desk.db.engine, "before_cursor_execute", count)
    row = desk.take("contacts", [HEADER, *rows])
    event.remove(desk.db.engine, "before_cursor_execute", count)
    assert counts(row) == (400, 0, 0, 0)
    assert sent < 60


def test_many_are_made_as_one_is(desk: Desk) -> None:
    with desk.db.write() as session:
        firm = cast.firm(session)
        one, two = add_contacts(
            session,
            [
                Newcomer("Bea", ["Bea+x@Northwind.example", "b@home.example"], title="Head", never_log=True),
                Newcomer("", ["cas@eu.northwind.example"]),
            ],
            now=NOW,
        )
        bea, cas = session.get_one(Contact, one), session.get_one(Contact, two)
        assert (bea.name, bea.title, bea.company_id, bea.never_log) == ("Bea", "Head", firm.id, True)
        assert (cas.name, cas.company_id, cas.created_at) == ("cas@eu.northwind.example", firm.id, NOW)
        row = session.get_one(ContactAddress, "b@home.example")
        assert (row.contact_id, row.position) == (one, 1)
        assert session.get_one(ContactAddress, "bea+x@northwind.example").weak_form == "bea@northwind.example"
    with desk.db.write() as session:
        with pytest.raises(Conflict, match=r"known@else.example belongs"), session.begin_nested():
            add_contacts(session, [Newcomer("N", ["n@x.example"]), Newcomer("K", ["known@else.example"])], now=NOW)
        with pytest.raises(Invalid), session.begin_nested():
            add_contacts(session, [Newcomer("N", [])], now=NOW)
        assert session.get(ContactAddress, "n@x.example") is None
        assert add_contacts(session, [], now=NOW) == []
