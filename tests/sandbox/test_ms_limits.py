"""Batches and limits: twenty at most, each with its own fate; four in flight and ten thousand in ten minutes per mailbox."""

from __future__ import annotations

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sandbox import World
from sandbox.microsoft.meter import in_flight_name
from sandbox.microsoft.outlook import OutlookBox
from tests.sandbox.conftest import INA, NOW, OTTO
from tests.sandbox.letters import mail
from tests.sandbox.ms_client import GraphClient

IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}


def item(number: int, url: str, **more: Any) -> dict[str, Any]:
    return {"id": str(number), "method": "GET", "url": url, "headers": IMMUTABLE, **more}


def test_a_batch_answers_each_item_in_any_order(outlook: OutlookBox, graph: GraphClient) -> None:
    keys = [outlook.deliver(mail(to=INA), at=NOW.timestamp() + at) for at in range(18)]
    requests = [item(at, f"/me/messages/{key}?$select=subject,body") for at, key in enumerate(keys)]
    requests += [item(18, "/me/messages/nothing"), item(19, f"/me/messages/{keys[0]}/$value")]
    answer = graph.ask("/$batch", "POST", json={"requests": requests}).json()["responses"]
    assert [one["id"] for one in answer] != [one["id"] for one in requests]
    found = {one["id"]: one for one in answer}
    assert [found[str(at)]["body"]["id"] for at in range(18)] == keys
    assert (found["18"]["status"], found["18"]["body"]["error"]["code"]) == (404, "ErrorItemNotFound")
    assert base64.b64decode(found["19"]["body"]).startswith(b"From: ")
    for one in list(found.values())[:3]:
        if one["status"] == 200 and isinstance(one["body"], dict):
            graph.checked("GET", "/me/messages/x", one["body"])


def test_preferences_stand_on_each_item(outlook: OutlookBox, graph: GraphClient) -> None:
    key = outlook.deliver(mail(to=INA))
    url = f"/me/messages/{key}?$select=id"
    found = graph.batch(item(1, url), item(2, url, headers={}))
    assert found["1"]["body"]["id"] == key
    assert found["2"]["body"]["id"] != key


def test_a_batch_that_cannot_be_read_is_refused_whole(graph: GraphClient) -> None:
    def refused(*requests: Any) -> tuple[int, str]:
        return graph.error("/$batch", method="POST", json={"requests": list(requests)})

    assert refused(*(item(at, "/me") for at in range(21))) == (400, "BadRequest")
    assert refused(item(1, "/me"), item(1, "/me")) == (400, "BadRequest")
    assert refused() == (400, "BadRequest")
    assert refused({"id": "1"}) == (400, "BadRequest")


def test_an_item_waits_for_those_it_depends_on(graph: GraphClient) -> None:
    found = graph.batch(
        item(1, "/me/messages/no"), item(2, "/me", dependsOn=["1"]), item(3, "/me"), item(4, "/me", dependsOn=["3"])
    )
    assert {key: one["status"] for key, one in found.items()} == {"1": 404, "2": 424, "3": 200, "4": 200}


def test_a_delta_goes_through_a_batch_and_its_links_stay_whole(graph: GraphClient) -> None:
    found = graph.batch(item(1, "/me/mailFolders/inbox/messages/delta"))
    assert found["1"]["body"]["@odata.deltaLink"].startswith(graph.server.microsoft_graph_root)
    assert graph.round(found["1"]["body"]["@odata.deltaLink"])[0] == []


def at_once(graph: GraphClient, count: int, path: str = "/me/messages") -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: graph.ask(path), range(count)))


def test_four_in_flight_are_served_and_the_fifth_is_not(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    world.microsoft.knobs.hold = 0.3
    answers = at_once(graph, 7)
    refused = [one for one in answers if one.status_code == 429]
    assert (len(refused), world.stats.peak_concurrency[in_flight_name(INA)]) == (3, 4)
    assert all(one.json()["error"]["code"] == "ApplicationThrottled" for one in refused)
    assert {one.headers["retry-after"] for one in refused} == {"10"}
    assert world.microsoft.meter.refused[INA] == 3
    assert {one.status_code for one in at_once(graph, 4)} == {200}


def test_coming_back_too_early_is_noticed(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    world.microsoft.knobs.requests_per_window = 2
    assert [graph.ask("/me/messages").status_code for _ in range(3)] == [200, 200, 429]
    wait = int(graph.ask("/me/messages").headers["retry-after"])
    assert wait == 600
    assert world.microsoft.meter.early[INA] == 1
    world.clock.advance(wait)
    assert graph.ask("/me/messages").status_code == 200
    assert world.microsoft.meter.early[INA] == 1


def test_each_item_of_a_batch_counts_but_only_four_at_once(
    world: World, outlook: OutlookBox, graph: GraphClient
) -> None:
    requests = [item(at, "/me/mailFolders/inbox") for at in range(20)]
    assert {one["status"] for one in graph.batch(*requests).values()} == {200}
    assert world.microsoft.meter.most[INA] == 20
    assert world.stats.peak_concurrency[in_flight_name(INA)] == 4
    meter = world.microsoft.meter
    assert meter.enter(INA)
    assert meter.enter(INA)
    found = graph.batch(*requests)
    assert [one["status"] for one in found.values()].count(429) == 10
    assert {one["headers"].get("Retry-After") for one in found.values() if one["status"] == 429} == {"10"}


def test_limits_are_of_one_mailbox_and_may_be_switched_off(
    world: World, outlook: OutlookBox, graph: GraphClient, graph_for: Callable[..., GraphClient]
) -> None:
    world.microsoft.knobs.requests_per_window = 1
    assert [graph.ask("/me/messages").status_code for _ in range(2)] == [200, 429]
    assert graph_for(OTTO).ask("/me/messages").status_code == 200
    assert graph.ask("/me").status_code == 200
    world.microsoft.knobs.requests_per_window = world.microsoft.knobs.concurrency_limit = None
    world.microsoft.knobs.hold = 0.1
    assert {one.status_code for one in at_once(graph, 8)} == {200}


def test_requests_are_in_the_record(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    key = outlook.deliver(mail(to=INA))
    graph.get(f"/me/messages/{key}")
    graph.batch(item(1, f"/me/messages/{key}"), item(2, "/me/mailFolders"))
    seen = [(one.operation, one.account, one.item, one.part_of_batch) for one in world.stats.record]
    assert seen == [
        ("graph.messages.get", INA, key, False),
        ("graph.messages.get", INA, key, True),
        ("graph.mailFolders.list", INA, "", True),
        ("graph.batch", INA, "", False),
    ]
