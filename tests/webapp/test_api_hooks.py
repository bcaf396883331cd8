"""Webhooks, the feed and deliveries over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlmodel import col, select

import house as building
from models.event import KINDS, Event, announce, event_row, place_events
from models.webhook import Delivery, Webhook
from tests.support import NOW
from tests.web import member
from tests.webapp.planted import Team, planted
from worker.outbox import drain

TARGET = "http://127.0.0.1:9/hook"


@pytest.fixture
def team(house: building.House) -> Iterator[Team]:
    with planted(house) as team:
        yield team


def happen(team: Team, *names: str, kind: str = "deal.created", user_id: int | None = None) -> list[Event]:
    """Events with places in the feed."""
    with team.house.db.write() as session:
        rows = [event_row(kind, name, {"name": name, "deal": {"id": 1}}, now=NOW, user_id=user_id) for name in names]
        announce(session, *rows)
        return place_events(session)


def test_a_hook_is_subscribed_read_and_ended(team: Team) -> None:
    made = team.api("POST", "hooks", {"target_url": TARGET, "event": "deal.won", "filter": {"deal.owner.id": [1, 2]}})
    assert made.status_code == 201, made.text
    hook = made.json()
    assert hook["secret"].startswith("whsec_")
    shown = team.read(f"hooks/{hook['id']}")
    assert (shown["target_url"], shown["event"], shown["filter"]) == (TARGET, "deal.won", {"deal.owner.id": [1, 2]})
    assert "secret" not in shown
    assert hook["id"] in [one["id"] for one in team.read("hooks")["items"]]
    assert team.api("GET", f"hooks/{hook['id']}", who="other").status_code == 404
    assert team.api("DELETE", f"hooks/{hook['id']}", who="other").status_code == 404
    assert team.api("DELETE", f"hooks/{hook['id']}").status_code == 204
    assert team.api("GET", f"hooks/{hook['id']}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"event": "deal.won"},
        {"target_url": TARGET},
        {"target_url": TARGET, "event": "deal.lots"},
        {"target_url": "ftp://127.0.0.1/x", "event": "*"},
        {"target_url": "http://user:word@127.0.0.1/x", "event": "*"},
        {"target_url": "http://127.0.0.1/" + "x" * 2_000, "event": "*"},
        {"target_url": TARGET, "event": "*", "filter": {"deal": {"id": 1}}},
    ],
)
def test_a_wrong_hook_is_refused(team: Team, body: dict[str, Any]) -> None:
    assert team.api("POST", "hooks", body).status_code == 422


def test_a_hook_into_a_private_network_is_refused_with_the_way_out(
    make_house: Callable[..., building.House],
) -> None:
    with planted(make_house(webhook_allow_private=False)) as team:
        answer = team.api("POST", "hooks", {"target_url": TARGET, "event": "*"})
        assert (answer.status_code, answer.json()["field"]) == (422, "target_url")
        assert "https" in answer.json()["detail"]


def test_a_paused_hook_is_resumed(team: Team) -> None:
    with team.house.db.write() as session:
        hook = session.get_one(Webhook, team.ids["hook_id"])
        hook.paused_at, hook.paused_reason = NOW, "It failed."
        session.add(hook)
    assert team.api("POST", "hooks/{hook_id}/replay", {"after": "0"}).status_code == 409
    assert team.read("hooks/{hook_id}")["paused_reason"] == "It failed."
    assert team.api("POST", "hooks/{hook_id}/resume").json()["paused_at"] is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_has_a_sample_in_the_shape_of_a_delivery(team: Team, kind: str) -> None:
    items = team.read(f"hooks/samples/{kind}", who="other")["items"]
    assert items
    for item in items:
        assert set(item) == {"id", "type", "timestamp", "data"}
        assert item["type"] == kind


def test_an_invented_sample_has_the_fields_of_a_real_event(team: Team) -> None:
    path = "hooks/samples/deal.stage_changed"
    invented = team.read(path)["items"][0]["data"]
    team.api("POST", "deals/{deal_id}/stage", {"stage": "Contacted"})
    real = team.read(path)["items"][0]["data"]
    assert invented.keys() == real.keys()
    assert invented["deal"].keys() == real["deal"].keys()


def test_samples_come_newest_first_and_only_of_what_is_known(team: Team) -> None:
    happen(team, "first", "second")
    named = [item["data"].get("name") for item in team.read("hooks/samples/deal.created")["items"]]
    assert named[:2] == ["second", "first"]
    assert team.api("GET", "hooks/samples/deal.lots").status_code == 404


def test_the_feed_goes_on_after_an_event_or_a_position(team: Team) -> None:
    events = happen(team, "first", "second", "third")
    start = (events[0].position or 0) - 1
    first = team.read(f"events?after={start}&limit=2")
    assert [item["data"]["name"] for item in first["items"]] == ["first", "second"]
    assert [item["data"]["name"] for item in team.read(f"events?after={first['next']}")["items"]] == ["third"]
    assert [item["data"]["name"] for item in team.read(f"events?after={events[1].uid}")["items"]] == ["third"]
    assert team.read(f"events?after={events[2].uid}") == {"items": [], "next": None}
    assert team.api("GET", "events?after=evt_none").status_code == 422


def test_what_is_one_person_s_stays_out_of_the_others_feed(team: Team) -> None:
    owner = member(team.house, "rae@acme.example").id
    [event] = happen(team, "secret", kind="interaction.held", user_id=owner)
    assert team.read("events?type=interaction.held")["items"] == [], "of a mail that does not exist"
    with team.house.db.write() as session:
        row = session.get_one(Event, event.id)
        row.payload = {"id": team.ids["interaction_id"], "subject": "Hello", "snippet": ""}
        session.add(row)
    for who, expected in (("owner", 1), ("other", 0), ("admin", 0)):
        assert len(team.read("events?type=interaction.held", who=who)["items"]) == expected, who


def test_an_account_s_troubles_are_told_to_its_owner_and_administrators(team: Team) -> None:
    with team.house.db.write() as session:
        data = {"account_id": team.ids["account_id"], "email": "rae@acme.example"}
        announce(session, event_row("account.needs_reconnect", "1", data, now=NOW))
        place_events(session)
    for who, expected in (("owner", 1), ("admin", 1), ("other", 0), ("manager", 0)):
        assert len(team.read("events?type=account.needs_reconnect", who=who)["items"]) == expected, who


def test_deliveries_are_read_with_every_try_and_sent_again(team: Team) -> None:
    [one] = team.read("deliveries?hook={hook_id}&state=pending")["items"]
    assert one["type"] == "interaction.logged"
    assert team.read("deliveries?state=failed")["items"] == []
    [tried] = team.read("deliveries/{delivery_id}")["tries"]
    assert (tried["status"], tried["answer"]) == (500, "no")
    with team.house.db.write() as session:
        row = session.get_one(Delivery, team.ids["delivery_id"])
        row.state, row.attempts, row.next_attempt_at = "failed", 10, None
        session.add(row)
    again = team.api("POST", "deliveries/{delivery_id}/redelivery")
    assert (again.status_code, again.json()["state"], again.json()["event_id"]) == (202, "pending", one["event_id"])
    assert team.api("POST", "deliveries/{delivery_id}/redelivery", who="other").status_code == 404
    assert team.read("deliveries", who="other")["items"] == []
    assert len(team.read("deliveries", who="admin")["items"]) == 1


def test_a_range_is_replayed_or_only_what_is_missing(team: Team) -> None:
    made = team.api("POST", "hooks", {"target_url": TARGET, "event": "deal.created", "filter": {"deal.id": [1]}})
    hook = made.json()["id"]
    events = happen(team, "first", "second", "third")
    happen(team, "elsewhere", kind="deal.won")
    after = (events[0].position or 0) - 1

    def planned(**body: Any) -> int:
        answer = team.api("POST", f"hooks/{hook}/replay", {"after": str(after)} | body)
        assert answer.status_code == 202, answer.text
        return answer.json()["planned"]

    assert planned(until=events[1].uid) == 2
    _mark_delivered(team, hook)
    assert planned(only_missing=True) == 1
    _mark_delivered(team, hook)
    assert planned(only_missing=True) == 0
    assert planned() == 3
    states = [row["state"] for row in team.read(f"deliveries?hook={hook}")["items"]]
    assert states == ["pending"] * 3


def test_a_replay_keeps_to_what_the_hook_s_owner_may_see(team: Team) -> None:
    hook = team.api("POST", "hooks", {"target_url": TARGET, "event": "*"}, who="other").json()["id"]
    owner = member(team.house, "rae@acme.example").id
    [secret] = happen(team, "secret", kind="interaction.held", user_id=owner)
    answer = team.api("POST", f"hooks/{hook}/replay", {"after": str((secret.position or 0) - 1)}, who="other")
    assert answer.json() == {"planned": 0, "next": None}


def test_a_replayed_delivery_is_the_one_that_the_outbox_would_make(team: Team) -> None:
    hook = team.api("POST", "hooks", {"target_url": TARGET, "event": "deal.won"}).json()["id"]
    deal = team.api("PUT", "deals/{deal_id}/stage", {"stage": "Won"})
    assert deal.status_code == 200
    drain(team.house.db, building.now())
    [one] = team.read(f"deliveries?hook={hook}")["items"]
    assert team.api("POST", f"hooks/{hook}/replay", {"after": "0"}).json()["planned"] == 0, "it is on its way"
    assert [row["id"] for row in team.read(f"deliveries?hook={hook}")["items"]] == [one["id"]]


def _mark_delivered(team: Team, hook: int) -> None:
    with team.house.db.write() as session:
        for row in session.exec(select(Delivery).where(Delivery.webhook_id == hook).order_by(col(Delivery.id))):
            row.state, row.next_attempt_at = "delivered", None
            session.add(row)
