"""Graph's batches: each part has a fate of its own, and no id is ever dropped (provider-contract 4.4, F55)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from connectors.errors import ConnectorError, Refused, TryLater
from connectors.items import Message, Unreadable
from connectors.lanes import LocalLanes, SharedLanes
from connectors.microsoft import batch
from connectors.microsoft.graph import Graph
from connectors.microsoft.meter import ALL, OutlookMeter
from connectors.throttle import Throttle
from tests.connectors.contract import letter
from tests.connectors.ms_link import OutlookLink

Make = Callable[..., OutlookLink]


@pytest.fixture
def ids(outlook_link: OutlookLink) -> list[str]:
    """Forty-five letters."""
    outlook_link.mailbox.pin()
    return [outlook_link.box.deliver(letter(n), "inbox") for n in range(45)]


def test_twenty_at_a_time(outlook_link: OutlookLink, ids: list[str]) -> None:
    outlook_link.world.stats.record.clear()
    found = outlook_link.mailbox.headers(ids)
    assert [item.item_id for item in found] == ids
    assert all(isinstance(item, Message) for item in found)
    assert len(outlook_link.asked("graph.batch")) == 3


def test_a_batch_has_the_mailbox_for_itself(outlook_link: OutlookLink, ids: list[str]) -> None:
    outlook_link.budget.lanes.clear()
    spent = outlook_link.budget.spent
    outlook_link.mailbox.headers(ids)
    assert outlook_link.budget.lanes == [ALL] * 3
    assert outlook_link.budget.spent - spent == 45


def test_parts_have_fates_of_their_own(outlook_link: OutlookLink, ids: list[str]) -> None:
    outlook_link.world.faults.add("F55", times=1)
    found = outlook_link.mailbox.headers(ids)
    assert [item.item_id for item in found] == ids
    missed = [item for item in found if isinstance(item, Unreadable)]
    assert [(item.error, item.gone) for item in missed] == [("not_found", True)]
    assert outlook_link.slept == [9.0]


def test_what_stays_refused_is_owed_without_a_strike(outlook_link: OutlookLink, ids: list[str]) -> None:
    outlook_link.world.faults.add("F49", operation="graph.messages.get", item=ids[1], times=None)
    found = outlook_link.mailbox.headers(ids[:4])
    assert [item.item_id for item in found] == ids[:4]
    assert found[1] == Unreadable(ids[1], "throttled", strike=False)
    assert outlook_link.budget.penalties == [12.0] * 3
    assert outlook_link.slept == [12.0, 12.0]


def test_a_long_wait_is_not_waited_for(outlook_link: OutlookLink, ids: list[str]) -> None:
    outlook_link.world.faults.add("F49", variant="long", operation="graph.messages.get", item=ids[1], times=None)
    found = outlook_link.mailbox.headers(ids[:4])
    assert found[1] == Unreadable(ids[1], "throttled", strike=False)
    assert outlook_link.slept == []


@pytest.mark.parametrize(
    ("variant", "code"), [("outer", "bad_request"), ("401", "unauthorized"), ("503", "server_error")]
)
def test_a_batch_that_is_refused_as_a_whole_says_so(
    outlook_link: OutlookLink, ids: list[str], variant: str, code: str
) -> None:
    outlook_link.world.faults.add("F55", variant=variant, times=None)
    with pytest.raises(TryLater) as caught:
        outlook_link.mailbox.headers(ids)
    assert caught.value.code == code
    outlook_link.world.faults.clear()
    assert all(isinstance(item, Message) for item in outlook_link.mailbox.headers(ids))


def test_one_poison_message_stops_no_other(outlook_link: OutlookLink, ids: list[str]) -> None:
    outlook_link.world.faults.add("F56", variant="500", item=ids[7], times=None)
    found = outlook_link.mailbox.headers(ids)
    assert [item.item_id for item in found if isinstance(item, Unreadable)] == [ids[7]]
    (bad,) = [item for item in found if isinstance(item, Unreadable)]
    assert (bad.error, bad.strike, bad.gone) == ("server_error", True, False)


def test_one_part_that_is_forbidden_is_its_own_matter_all_are_the_mailboxs(
    outlook_link: OutlookLink, ids: list[str]
) -> None:
    outlook_link.world.faults.add("F51", item=ids[7], operation="graph.messages.get", times=None)
    found = outlook_link.mailbox.headers(ids)
    assert [item.item_id for item in found if isinstance(item, Unreadable)] == [ids[7]]
    outlook_link.box.blocked = True
    outlook_link.world.faults.add("F51", operation="graph.messages.get", times=None)
    with pytest.raises(Refused):
        outlook_link.mailbox.headers(ids)


def test_a_token_that_runs_out_inside_a_batch_is_renewed(outlook_link: OutlookLink, ids: list[str]) -> None:
    outlook_link.world.faults.add("F50", operation="graph.messages.get", times=20)
    found = outlook_link.mailbox.headers(ids)
    assert all(isinstance(item, Message) for item in found)


def test_a_crowded_mailbox_refuses_parts_and_all_come_through(outlook_link: OutlookLink, ids: list[str]) -> None:
    outlook_link.world.microsoft.knobs.concurrency_limit = 2
    found = outlook_link.mailbox.headers(ids[:20])
    assert [item.item_id for item in found] == ids[:20]
    assert sum(isinstance(item, Message) for item in found) >= 10
    assert not any(item.strike for item in found if isinstance(item, Unreadable))


# ---- lanes


def test_no_more_than_three_requests_are_under_way(make_outlook: Make) -> None:
    """Of eight threads with lines of their own, reading one by one and by batch."""
    link = make_outlook()
    link.world.microsoft.knobs.hold = 0.01
    link.mailbox.pin()
    ids = [link.box.deliver(letter(n), "inbox") for n in range(20)]
    meter = OutlookMeter(Throttle(10**9), LocalLanes(3))
    link.world.microsoft.meter.clear()
    wrong: list[Any] = []

    def work(number: int) -> None:
        graph = Graph(link.config, link.connection._tokens, meter)
        try:
            for _ in range(4):
                if number % 4:
                    graph.get("/me/mailFolders/inbox", {"$select": "id"})
                else:
                    found = batch.read(graph, {key: f"/me/messages/{key}?$select=id" for key in ids})
                    wrong.extend(one for one in found.values() if isinstance(one, Unreadable))
        except ConnectorError as error:
            wrong.append(error)
        finally:
            graph.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(link.world.microsoft.meter.refused.values()) == 0


def lanes_of(kind: str, request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """The same lanes, as two processes have them."""
    if kind == "local":
        here = LocalLanes(3, patience=0.3)
        return here, here
    import redis

    client = redis.Redis.from_url(request.getfixturevalue("redis_url"))
    request.addfinalizer(client.close)
    name = f"test:{id(request)}"
    return SharedLanes(client, name, 3, patience=0.3), SharedLanes(client, name, 3, patience=0.3)


KINDS = ["local", pytest.param("shared", marks=pytest.mark.redis)]


@pytest.mark.parametrize("kind", KINDS)
def test_lanes_are_shared_and_given_back(kind: str, request: pytest.FixtureRequest) -> None:
    one, other = lanes_of(kind, request)
    with one.hold(), other.hold(), one.hold():
        with pytest.raises(TryLater) as caught, other.hold():
            raise AssertionError("a fourth was let in")
        assert caught.value.throttled
    with other.hold(ALL), pytest.raises(TryLater), one.hold():
        raise AssertionError("beside a batch")
    with one.hold(ALL):
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_lane_is_given_back_after_a_fault(kind: str, request: pytest.FixtureRequest) -> None:
    one, other = lanes_of(kind, request)
    for _ in range(5):
        with pytest.raises(ValueError, match="x"), one.hold(2):
            raise ValueError("x")
    with other.hold(3):
        pass


def test_who_needs_all_lanes_gets_them_in_turn() -> None:
    lanes, order, ready = LocalLanes(2), list[str](), threading.Event()

    def take(name: str, count: int) -> None:
        ready.set()
        with lanes.hold(count):
            order.append(name)

    with lanes.hold(1):
        batch_first = threading.Thread(target=take, args=("batch", 2))
        batch_first.start()
        ready.wait(5)
        while not lanes._queue:
            pass
        single = threading.Thread(target=take, args=("single", 1))
        single.start()
        single.join(0.1)
        assert order == [], "the single one jumped the queue"
    batch_first.join()
    single.join()
    assert order == ["batch", "single"]


@pytest.mark.redis
def test_a_killed_holders_lane_is_free_again(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import redis

    monkeypatch.setattr("connectors.lanes.LONGEST", 0.2)
    client = redis.Redis.from_url(redis_url)
    dead = SharedLanes(client, "killed", 1, patience=0.1)
    dead._take("dead", 1)
    with SharedLanes(client, "killed", 1, patience=2.0).hold():
        pass
    client.close()


def test_a_redis_that_does_not_answer_is_a_wait() -> None:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
    with pytest.raises(TryLater) as caught, SharedLanes(client, "x", 3).hold():
        raise AssertionError
    assert caught.value.code == "lanes"
    client.close()
