"""What tests share that kill a worker: when to kill it, and that its webhooks are whole after that (field note 1)."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable

from sqlmodel import func, select

import house as building
from models.event import Event
from models.interaction import Interaction
from models.ledger import LedgerEntry
from models.setting import set_team_setting
from models.webhook import Delivery, add_webhook, release_dead_deliveries
from tests import support
from tests.journeys.conftest import Receiver


def announced_to(house: building.House, receiver: Receiver) -> None:
    """All that is logged is told, what a first sync finds too."""
    with house.db.write() as session:
        set_team_setting(session, "announce_backfill", True)
        add_webhook(
            session,
            house.keyring,
            user_id=1,
            target_url=receiver.url,
            event="interaction.logged",
            now=house.work().now(),
        )


def entered(house: building.House) -> int:
    """How many entries the ledger has, those not counted whose headers alone were listed."""
    with house.db.read() as session:
        return session.exec(
            select(func.count()).select_from(LedgerEntry).where(LedgerEntry.outcome != "unopened")
        ).one()


def kill_while_it_grows(
    house: building.House, start: Callable[..., subprocess.Popen[str]], times: int, seed: int
) -> None:
    """Start a worker so many times and kill it with SIGKILL a moment after it stored something more."""
    chance, seen = random.Random(seed), 0
    for _ in range(times):
        process = start("work")
        seen = _grown(house, process, seen)
        time.sleep(chance.uniform(0.0, 0.12))
        process.kill()
        process.wait(10)


def _grown(house: building.House, process: subprocess.Popen[str], before: int) -> int:
    for _ in range(4_000):
        now = entered(house)
        if now > before:
            return now
        assert process.poll() is None, "the worker ended by itself"
        time.sleep(0.02)
    raise AssertionError("the worker does nothing")


def webhooks_are_whole(house: building.House, receiver: Receiver, kills: int) -> None:
    """Every event has one id and one delivery, every interaction one event; the receiver saw each of them. A kill between a
    send and its record may repeat a send, and then it is the same id."""
    work = house.work()
    with house.db.write() as session:
        release_dead_deliveries(session)
    while support.send_due(work):
        pass
    with house.db.read() as session:
        events = session.exec(select(Event).where(Event.kind == "interaction.logged")).all()
        deliveries = session.exec(select(Delivery)).all()
        logged = Counter(session.exec(select(Interaction.id)).all())
    assert len({event.uid for event in events}) == len(events) > 0
    assert Counter(delivery.event_id for delivery in deliveries) == Counter(event.id for event in events)
    assert {delivery.state for delivery in deliveries} == {"delivered"}
    assert set(receiver.ids()) == {event.uid for event in events}
    told: dict[int, set[str]] = defaultdict(set)
    for body in receiver.bodies():
        told[body["data"]["id"]].add(body["id"])
    assert Counter({interaction: len(ids) for interaction, ids in told.items()}) == logged, "each is told once"
    repeated = len(receiver.ids()) - len(set(receiver.ids()))
    assert repeated <= kills * house.settings.workers
