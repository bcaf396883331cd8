"""The address book over HTTP: companies and contacts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlmodel import col, select

import house as building
from models.account import Source, Walk
from models.contact import company_of_domain
from models.interaction import Interaction
from tests.webapp.planted import Team, planted


@pytest.fixture
def team(house: building.House) -> Iterator[Team]:
    with planted(house) as team:
        yield team


def test_a_company_is_made_read_changed_and_deleted(team: Team) -> None:
    made = team.api("POST", "companies", {"name": "Fresh", "domains": ["Fresh.Example", "fresh.test"]})
    assert made.status_code == 201
    one = made.json()
    assert one["domains"] == ["fresh.example", "fresh.test"]
    assert team.read(f"companies/{one['id']}") == one
    changed = team.api("PATCH", f"companies/{one['id']}", {"name": "Fresher", "domains": ["fresh.test"]}).json()
    assert (changed["name"], changed["domains"]) == ("Fresher", ["fresh.test"])
    gone = team.api("DELETE", f"companies/{one['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert team.api("GET", f"companies/{one['id']}").status_code == 404


def test_a_company_is_found_by_its_name_and_its_domain(team: Team) -> None:
    for q in ("northw", "WIND.EX"):
        assert [one["name"] for one in team.read(f"companies?q={q}")["items"]] == ["Northwind"]
    assert team.read("companies?q=%25")["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "Fresh", "domains": ["gmail.com"]}, "domains"),
        ({"name": "Fresh", "domains": ["no domain"]}, "domains"),
        ({"name": "Fresh", "colour": "red"}, "colour"),
    ],
)
def test_a_wrong_company_is_refused_with_its_field(team: Team, body: dict[str, object], field: str) -> None:
    answer = team.api("POST", "companies", body)
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (422, 422)
    assert field in (problem.get("field") or "".join(error["field"] for error in problem["errors"]))


def test_a_domain_belongs_to_one_company(team: Team) -> None:
    answer = team.api("POST", "companies", {"name": "Fresh", "domains": ["northwind.example"]})
    assert answer.status_code == 409
    assert team.read("companies?q=Fresh")["items"] == []


def test_a_company_with_people_is_not_deleted(team: Team) -> None:
    answer = team.api("DELETE", "companies/{company_id}")
    assert answer.status_code == 409
    assert "another company first" in answer.json()["detail"]


def test_a_contact_is_made_read_changed_and_deleted(team: Team) -> None:
    made = team.api("POST", "contacts", {"name": "Nia", "emails": ["Nia@Northwind.Example", "nia@home.example"]})
    assert made.status_code == 201
    one = made.json()
    assert one["emails"] == ["nia@northwind.example", "nia@home.example"]
    assert one["company_id"] == team.ids["company_id"], "the owner of the first address's domain"
    assert team.read(f"contacts/{one['id']}") == one
    changes = {"emails": ["nia@home.example"], "title": "Head", "company_id": None, "never_log": True}
    changed = team.api("PATCH", f"contacts/{one['id']}", changes).json()
    assert {name: changed[name] for name in changes} == changes
    assert team.api("DELETE", f"contacts/{one['id']}").status_code == 204
    assert team.api("GET", f"contacts/{one['id']}").status_code == 404


def test_contacts_are_found_by_name_address_and_company(team: Team) -> None:
    for query in ("q=bea", "q=BUYER", "q=northwind", "email=Bea%40Northwind.example", "company_id={company_id}"):
        assert [one["id"] for one in team.read(f"contacts?{query}")["items"]] == [team.ids["contact_id"]], query
    assert team.read("contacts?email=nobody%40northwind.example")["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"emails": []},
        {"emails": ["no address"]},
        {"emails": "bea@x.example"},
        {"emails": ["a@b.example"], "company_id": 999},
        {"emails": ["a@b.example"], "company_id": 2**40},
        {"name": "Nobody"},
    ],
)
def test_a_wrong_contact_is_refused(team: Team, body: dict[str, object]) -> None:
    assert team.api("POST", "contacts", body).status_code == 422


def test_an_address_belongs_to_one_contact(team: Team) -> None:
    answer = team.api("POST", "contacts", {"emails": ["bea@northwind.example"]})
    assert answer.status_code == 409
    assert "Bea Buyer" in answer.json()["detail"]


def test_a_contact_with_deals_or_history_is_not_deleted(team: Team) -> None:
    assert "off these deals" in team.api("DELETE", "contacts/{contact_id}").json()["detail"]
    team.api("PATCH", "deals/{deal_id}", {"contacts": []})
    assert "never_log" in team.api("DELETE", "contacts/{contact_id}").json()["detail"]


def test_a_patch_changes_only_what_it_says_and_knows_null_from_nothing(team: Team) -> None:
    before = team.read("contacts/{contact_id}")
    after = team.api("PATCH", "contacts/{contact_id}", {"phone": "123"}).json()
    assert after == before | {"phone": "123"}
    assert team.api("PATCH", "contacts/{contact_id}", {"name": None}).status_code == 422


def test_earlier_mail_is_asked_for_when_people_or_domains_are_new(team: Team) -> None:
    with team.house.db.write() as session:
        source = session.exec(select(Source).where(Source.kind == "mail")).one()
        source.cursor = "7"
        session.add(source)
    team.api("POST", "contacts", {"emails": ["new@fresh.example"]})
    team.api("POST", "companies", {"name": "Other", "domains": ["other.example"]})
    with team.house.db.read() as session:
        assert [walk.state["terms"] for walk in session.exec(select(Walk).order_by(col(Walk.id)))] == [
            ["new@fresh.example"],
            ["@other.example"],
        ]
        assert company_of_domain(session, "other.example") is not None


def test_mail_is_decided_again_when_a_deal_gets_people(team: Team) -> None:
    made = team.api("POST", "deals", {"name": "Fresh", "contacts": [{"contact_id": team.ids["contact_id"]}]})
    assert made.status_code == 201
    with team.house.db.read() as session:
        assert session.get_one(Interaction, team.ids["interaction_id"]).rematch_at is not None
