"""E-mails, what is held and what is suggested, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import house as building
from tests.support import NOW
from tests.webapp.planted import QUOTE, TEXT, Team, planted


@pytest.fixture
def team(house: building.House) -> Iterator[Team]:
    with planted(house) as team:
        yield team


@pytest.fixture
def waiting(house: building.House) -> Iterator[Team]:
    with planted(house, held=True) as team:
        yield team


def test_interactions_are_listed_and_narrowed(team: Team) -> None:
    def ids(query: str) -> list[int]:
        return [item["id"] for item in team.read(f"interactions?{query}")["items"]]

    mail = team.ids["interaction_id"]
    assert ids("deal_id={deal_id}") == [mail]
    assert mail in ids("contact_id={contact_id}")
    assert mail in ids(f"since={NOW.isoformat().replace('+00:00', 'Z')}")
    assert ids("since=2030-01-01T00:00:00Z") == ids("kind=meeting") == ids("deal_id={spare_id}") == []
    assert team.api("GET", "interactions?since=2030-01-01T00:00:00").status_code == 422, "an instant has a zone"


def test_one_is_read_whole(team: Team) -> None:
    assert TEXT in team.read("interactions/{interaction_id}")["text"]
    assert team.api("GET", "interactions/999").status_code == 404
    assert team.api("GET", "interactions/many").status_code == 422


def test_it_is_put_on_another_deal_and_taken_off(team: Team) -> None:
    moved = team.api("PUT", "interactions/{interaction_id}/links/{spare_id}")
    assert moved.status_code == 200, moved.text
    assert [(link["deal_id"], link["rule"]) for link in moved.json()["links"]] == [(team.ids["spare_id"], "person")]
    assert team.read("deals/{deal_id}/timeline")["items"] == []
    assert team.api("DELETE", "interactions/{interaction_id}/links/{spare_id}").status_code == 204
    assert team.read("deals/{spare_id}/timeline")["items"] == []
    assert team.api("DELETE", "interactions/{interaction_id}/links/{spare_id}").status_code == 404
    assert team.api("PUT", "interactions/{interaction_id}/links/999").status_code == 404


def test_its_owner_narrows_what_others_see_and_opens_it_again(team: Team) -> None:
    path = "interactions/{interaction_id}/visibility"
    assert team.api("PUT", path, {"visibility": "metadata"}).json()["subject"], "its owner sees all of it"
    assert team.read("interactions/{interaction_id}", who="admin")["subject"] is None
    team.api("PUT", path, {"visibility": None})
    assert team.read("interactions/{interaction_id}", who="admin")["subject"]
    assert team.api("PUT", path, {"visibility": "nothing"}).status_code == 422


def test_what_has_become_private_leaves_the_feed_too(team: Team) -> None:
    def told() -> list[object]:
        events = team.read("events?type=interaction.logged", who="other")["items"]
        return [(event["data"]["subject"] is None, event["data"]["snippet"] is None) for event in events]

    assert told() == [(False, False)]
    team.api("PATCH", "accounts/{account_id}", {"visibility": "subject"})
    assert told() == [(False, True)]


def test_a_held_item_is_chosen_and_taken_back(waiting: Team) -> None:
    [item] = waiting.read("held")["items"]
    assert item["candidates"] == [
        {"deal_id": waiting.ids["deal_id"], "score": 0.5, "reasons": ["Bea is on it"], "deal": "Windmill"}
    ]
    chosen = waiting.api("POST", "held/{held_id}/choice", {"deal_id": waiting.ids["deal_id"]})
    assert (chosen.status_code, chosen.json()["state"]) == (200, "chosen")
    assert len(waiting.read("deals/{deal_id}/timeline", who="other")["items"]) == 1
    assert waiting.api("POST", "held/{held_id}/choice", {"none": True}).status_code == 409
    assert waiting.api("DELETE", "held/{held_id}/choice").json()["state"] == "open"
    assert waiting.read("deals/{deal_id}/timeline", who="other")["items"] == []
    assert waiting.api("DELETE", "held/{held_id}/choice").status_code == 409
    assert waiting.api("POST", "held/{held_id}/choice", {"none": True}).json()["state"] == "none"
    assert waiting.read("held")["items"] == []
    assert len(waiting.read("held?state=none")["items"]) == 1


@pytest.mark.parametrize("body", [{}, {"none": False}, {"deal_id": 1, "none": True}, {"deal_id": 999}, {"deal": 1}])
def test_a_choice_says_one_thing(waiting: Team, body: dict[str, object]) -> None:
    assert waiting.api("POST", "held/{held_id}/choice", body).status_code == 422


def test_a_held_mail_is_put_on_a_deal_by_a_choice_only(waiting: Team) -> None:
    answer = waiting.api("PUT", "interactions/{interaction_id}/links/{deal_id}")
    assert (answer.status_code, "choice" in answer.json()["detail"]) == (409, True)


def test_a_suggestion_has_the_shape_that_others_build_on(team: Team) -> None:
    [one] = team.read("suggestions?state=open")["items"]
    assert one == team.read("suggestions/{suggestion_id}")
    assert {"id", "deal_id", "from_stage", "to_stage", "confidence", "state", "evidence"} <= one.keys()
    [proof] = one["evidence"]
    assert {name: proof[name] for name in ("interaction_id", "rule", "quote", "start", "end")} == {
        "interaction_id": team.ids["interaction_id"],
        "rule": "budget",
        "quote": QUOTE,
        "start": 17,
        "end": 23,
    }


def test_a_suggestion_is_accepted_and_taken_back(team: Team) -> None:
    accepted = team.api("POST", "suggestions/{suggestion_id}/acceptance")
    assert (accepted.status_code, accepted.json()["state"]) == (200, "accepted")
    assert team.read("deals/{deal_id}")["stage"]["name"] == "Proposal"
    assert team.api("POST", "suggestions/{suggestion_id}/acceptance").status_code == 409
    assert team.read("suggestions?state=accepted")["items"][0]["decided_by"]
    assert team.api("DELETE", "suggestions/{suggestion_id}/acceptance").json()["state"] == "open"
    assert team.read("deals/{deal_id}")["stage"]["name"] == "Lead"


def test_a_person_accepts_another_stage_with_reason_and_amount(team: Team) -> None:
    body = {"stage": "won", "amount": 900, "reason": "Signed"}
    assert team.api("POST", "suggestions/{suggestion_id}/acceptance", body).status_code == 200
    deal = team.read("deals/{deal_id}")
    assert (deal["stage"]["meaning"], deal["amount"], deal["close_reason"]) == ("won", 900.0, "Signed")
    [last] = team.read("deals/{deal_id}/stage-history")["items"][-1:]
    assert (last["source"], last["suggestion_id"]) == ("suggestion", team.ids["suggestion_id"])


def test_a_suggestion_is_dismissed_and_taken_back(team: Team) -> None:
    dismissed = team.api("POST", "suggestions/{suggestion_id}/dismissal", {"why": "Too early"}).json()
    assert (dismissed["state"], dismissed["dismissal"]) == ("dismissed", "Too early")
    assert team.read("suggestions")["items"] == []
    assert team.api("DELETE", "suggestions/{suggestion_id}/dismissal").json()["state"] == "open"
    assert team.api("DELETE", "suggestions/{suggestion_id}/dismissal").status_code == 409
    assert team.api("GET", "suggestions/999").status_code == 404
    assert team.api("GET", "suggestions?state=maybe").status_code == 422


def test_a_suggestion_made_for_a_deal_that_has_moved_is_not_accepted(team: Team) -> None:
    team.api("POST", "deals/{deal_id}/stage", {"stage": "Contacted"})
    assert team.api("POST", "suggestions/{suggestion_id}/acceptance").status_code == 409
