"""One minute of units for many processes, in a real Redis."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import settings
import wiring
from connectors.errors import TryLater
from connectors.throttle import Throttle
from connectors.window import SharedWindow, shared_windows
from tests import support


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()


def _worker(client: redis.Redis, name: str, units: int = 100, **options: float) -> Throttle:
    """What a process of its own would have."""
    return Throttle(units, window=SharedWindow(client, name), patience=0, **options)  # type: ignore[arg-type]


def test_what_one_process_spends_another_has_not(client: redis.Redis, name: str) -> None:
    one, other = _worker(client, name), _worker(client, name)
    one.spend(60)
    other.spend(40)
    with pytest.raises(TryLater) as caught:
        other.spend(20)
    assert caught.value.throttled and 0 < (caught.value.after or 0) <= 61


def test_eight_at_once_never_spend_more_than_there_is(client: redis.Redis, name: str) -> None:
    workers = [_worker(client, name, 1_000) for _ in range(8)]

    def spend(worker: Throttle) -> None:
        for _ in range(40):
            try:
                worker.spend(20)
            except TryLater:
                return

    threads = [threading.Thread(target=spend, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(worker.spent_total for worker in workers) == 1_000


def test_a_complaint_to_one_stops_them_all(client: redis.Redis, name: str) -> None:
    one, other = _worker(client, name), _worker(client, name)
    one.penalise(30)
    one.penalise(5)
    with pytest.raises(TryLater) as caught:
        other.spend(1)
    assert 25 < (caught.value.after or 0) <= 30


def test_what_the_project_refuses_costs_the_mailbox_nothing(client: redis.Redis, name: str) -> None:
    project = _worker(client, f"{name}-project", 50)
    mailbox = Throttle(100, window=SharedWindow(client, name), parent=project, patience=0)
    mailbox.spend(40)
    with pytest.raises(TryLater):
        mailbox.spend(40)
    assert mailbox.spent_total == 40 and _worker(client, name).spend(60) is None


def test_an_old_minute_counts_no_more(client: redis.Redis, name: str) -> None:
    (seconds, _) = client.time()  # type: ignore[misc]
    client.hset(f"dealtrail:units:{name}", str(seconds - 62), 100)
    _worker(client, name).spend(100)
    assert client.hlen(f"dealtrail:units:{name}") == 1


def test_without_redis_nothing_is_spent_and_the_item_waits(tmp_path: object) -> None:
    window = shared_windows(f"unix://{tmp_path}/nobody.sock")("x")
    with pytest.raises(TryLater, match="does not answer") as caught:
        Throttle(100, window=window).spend(1)
    assert not caught.value.throttled and caught.value.after == 5.0


def test_a_house_on_redis_counts_there(redis_url: str, tmp_path: Path) -> None:
    """The wiring: two houses (two processes) of one deployment share an account's minute."""
    chosen = support.settings(
        tmp_path, broker_url=redis_url, database_url="postgresql://nobody@127.0.0.1/none", gmail_units_per_minute=600
    )
    one, other = (wiring.providers(settings.load(**chosen))["google"].budget(77) for _ in range(2))
    one.spend(450)
    other.patience = 0  # type: ignore[attr-defined]
    with pytest.raises(TryLater):
        other.spend(300)
