"""Deals, their stages and their timelines over HTTP; pipelines too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlmodel import select

import house as building
from models.deal import StageChange
from models.event import Event
from tests.webapp.planted import PEOPLE, Team, planted


@pytest.fixture
def team(house: building.House) -> Iterator[Team]:
    with planted(house) as team:
        yield team


def test_a_deal_is_made_with_all_that_it_has(team: Team) -> None:
    body = {
        "name": "Forty seats",
        "company_id": team.ids["company_id"],
        "stage": "qualified",
        "owner_email": PEOPLE["other"][0],
        "amount": 12000.50,
        "currency": "usd",
        "expected_close": "2026-12-24",
        "next_step": "Call Bea",
        "contacts": [{"contact_id": team.ids["contact_id"], "role": "buyer"}],
    }
    made = team.api("POST", "deals", body)
    assert made.status_code == 201, made.text
    deal = made.json()
    assert (deal["amount"], deal["currency"], deal["owner_email"]) == (12000.5, "USD", PEOPLE["other"][0])
    assert (deal["stage"]["name"], deal["expected_close"], deal["next_step"]) == ("Qualified", "2026-12-24", "Call Bea")
    assert deal["contacts"] == [{"contact_id": team.ids["contact_id"], "name": "Bea Buyer", "role": "buyer"}]
    assert team.read(f"deals/{deal['id']}") == deal


def test_a_deal_without_an_owner_is_whoever_asks(team: Team) -> None:
    assert team.api("POST", "deals", {"name": "Mine"}).json()["owner_email"] == PEOPLE["owner"][0]
    assert team.api("POST", "deals", {"name": "Nobody's", "owner_id": None}).json()["owner_id"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "Fresh", "amount": -1},
        {"name": "Fresh", "amount": 1.005},
        {"name": "Fresh", "amount": 1e13},
        {"name": "Fresh", "currency": "EURO"},
        {"name": "Fresh", "stage": "Nowhere"},
        {"name": "Fresh", "stage": 999},
        {"name": "Fresh", "pipeline_id": 999},
        {"name": "Fresh", "owner_email": "who@acme.example"},
        {"name": "Fresh", "owner_id": 999},
        {"name": "Fresh", "company_id": 999},
        {"name": "Fresh", "contacts": [{"contact_id": 999}]},
        {"name": "Fresh", "expected_close": "soon"},
        {"name": "Fresh", "won": True},
    ],
)
def test_a_wrong_deal_is_refused_and_nothing_is_kept(team: Team, body: dict[str, Any]) -> None:
    answer = team.api("POST", "deals", body)
    assert answer.status_code == 422, answer.text
    assert team.read("deals?q=Fresh")["items"] == []


def test_deals_are_found_by_stage_owner_company_and_name(team: Team) -> None:
    lost = team.api("POST", "deals", {"name": "Gone", "stage": "lost", "owner_id": None}).json()

    def names(query: str) -> list[str]:
        return [deal["name"] for deal in team.read(f"deals?{query}")["items"]]

    assert names("stage=Lost") == names("stage=lost") == names(f"stage={lost['stage']['id']}") == ["Gone"]
    assert names("owner=me") == names(f"owner={PEOPLE['owner'][0]}") == ["Windmill", "Spare"]
    assert names("owner=nobody%40acme.example") == []
    assert names("company={company_id}") == names("contact={contact_id}") == names("q=northw") == ["Windmill"]
    assert team.api("GET", "deals?colour=red").status_code == 422


def test_a_deal_is_changed_and_moved_by_a_patch(team: Team) -> None:
    changed = team.api("PATCH", "deals/{deal_id}", {"amount": 5, "stage": "Contacted", "company_id": None}).json()
    assert (changed["amount"], changed["stage"]["name"], changed["company_id"]) == (5.0, "Contacted", None)
    assert team.api("PATCH", "deals/{deal_id}", {"pipeline_id": 1}).status_code == 422


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_stage_is_set_with_its_reason_its_history_and_its_events(team: Team, method: str) -> None:
    moved = team.api(method, "deals/{deal_id}/stage", {"stage": "Lost", "reason": "Price", "amount": 7, "version": 1})
    assert moved.status_code == 200, moved.text
    deal = moved.json()
    assert (deal["stage"]["name"], deal["close_reason"], deal["amount"], deal["version"]) == ("Lost", "Price", 7.0, 2)
    history = team.read("deals/{deal_id}/stage-history")["items"]
    assert [(one["from"] and one["from"]["name"], one["to"]["name"]) for one in history] == [
        (None, "Lead"),
        ("Lead", "Lost"),
    ]
    assert (history[-1]["source"], history[-1]["user"]) == ("api", "Rae")
    with team.house.db.read() as session:
        told = session.exec(select(Event).where(Event.deal_id == team.ids["deal_id"]).order_by(Event.id)).all()  # pyright: ignore
        assert [event.kind for event in told][-2:] == ["deal.stage_changed", "deal.lost"]
        assert told[-1].payload["source"] == "api"


def test_a_move_that_rests_on_an_old_version_is_refused(team: Team) -> None:
    team.api("POST", "deals/{deal_id}/stage", {"stage": "Contacted"})
    late = team.api("POST", "deals/{deal_id}/stage", {"stage": "Qualified", "version": 1})
    assert late.status_code == 409
    assert "version 2" in late.json()["detail"]
    with team.house.db.read() as session:
        moves = session.exec(select(StageChange).where(StageChange.deal_id == team.ids["deal_id"])).all()
        assert len(moves) == 2


def test_a_deal_is_shelved_until_a_day(team: Team) -> None:
    shelved = team.api("PUT", "deals/{deal_id}/stage", {"stage": "fridge", "wake_on": "2027-01-11"}).json()
    assert (shelved["stage"]["meaning"], shelved["wake_on"]) == ("fridge", "2027-01-11")
    early = team.api("PUT", "deals/{deal_id}/stage", {"stage": "Lead", "wake_on": "2027-01-11"})
    assert early.status_code == 422


def test_a_deal_with_mail_is_kept_and_one_without_is_deleted(team: Team) -> None:
    kept = team.api("DELETE", "deals/{deal_id}")
    assert (kept.status_code, "lost stage" in kept.json()["detail"]) == (409, True)
    assert team.api("DELETE", "deals/{spare_id}").status_code == 204
    assert team.api("GET", "deals/{spare_id}").status_code == 404


def test_a_timeline_item_has_the_shape_that_others_build_on(team: Team) -> None:
    [item] = team.read("deals/{deal_id}/timeline")["items"]
    assert {
        "id", "kind", "direction", "occurred_at", "subject", "snippet", "parties", "links", "copies"
    } <= item.keys()  # fmt: skip
    assert item["kind"] == "email"
    assert {"deal_id", "rule", "score", "reasons"} <= item["links"][0].keys()
    assert item["copies"][0]["email"] == PEOPLE["owner"][0]
    assert team.api("GET", "deals/999/timeline").status_code == 404


def test_a_pipeline_is_made_changed_and_deleted(team: Team) -> None:
    stages = [{"name": "In", "meaning": "lead", "patience_days": 3}, {"name": "Out", "meaning": "won"}]
    made = team.api("POST", "pipelines", {"name": "Renewals", "stages": stages}, who="manager")
    assert made.status_code == 201, made.text
    one = made.json()
    assert [(s["name"], s["meaning"], s["patience_days"]) for s in one["stages"]] == [
        ("In", "lead", 3),
        ("Out", "won", 14),
    ]
    first = one["stages"][0]
    plan = [{"name": "Lost", "meaning": "lost"}, {"id": first["id"], "name": "Begun", "meaning": "contacted"}]
    after = team.api("PATCH", f"pipelines/{one['id']}", {"name": "Again", "stages": plan}, who="manager").json()
    assert [stage["name"] for stage in after["stages"]] == ["Lost", "Begun"]
    assert after["stages"][1]["id"] == first["id"]
    assert team.api("DELETE", f"pipelines/{one['id']}", who="manager").status_code == 204


def test_a_stage_with_deals_is_neither_removed_nor_closed(team: Team) -> None:
    stages = team.read("pipelines/{pipeline_id}")["stages"]
    plan = [{name: stage[name] for name in ("id", "name", "meaning", "patience_days")} for stage in stages]
    without = team.api("PATCH", "pipelines/{pipeline_id}", {"stages": plan[1:]}, who="manager")
    assert (without.status_code, "2 deals" in without.json()["detail"]) == (409, True)
    closed = [plan[0] | {"meaning": "won"}, *plan[1:]]
    assert team.api("PATCH", "pipelines/{pipeline_id}", {"stages": closed}, who="manager").status_code == 409
    assert team.read("pipelines/{pipeline_id}")["stages"] == stages


@pytest.mark.parametrize(
    "stages",
    [
        [],
        [{"name": "Won", "meaning": "won"}],
        [{"name": "A", "meaning": "lead"}, {"name": "a", "meaning": "won"}],
        [{"name": "A", "meaning": "maybe"}],
        [{"name": "A", "meaning": "lead", "patience_days": -1}],
    ],
)
def test_stages_that_cannot_be_are_refused(team: Team, stages: list[dict[str, Any]]) -> None:
    assert team.api("POST", "pipelines", {"name": "New", "stages": stages}, who="manager").status_code == 422


def test_the_default_pipeline_is_kept_and_can_be_another(team: Team) -> None:
    assert team.api("DELETE", "pipelines/{pipeline_id}", who="manager").status_code == 409
    stages = [{"name": "In", "meaning": "lead"}]
    one = team.api("POST", "pipelines", {"name": "New", "stages": stages}, who="manager").json()
    assert team.api("PATCH", f"pipelines/{one['id']}", {"is_default": True}, who="manager").json()["is_default"]
    assert not team.read("pipelines/{pipeline_id}")["is_default"]
    assert team.api("POST", "deals", {"name": "There"}).json()["pipeline_id"] == one["id"]
