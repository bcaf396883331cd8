"""What goes wrong with Microsoft's subscriptions (F58, F58R, F58X) in a house at work: the invariants of the provider contract,
section 8.1, hold as they do after every fault that is met while reading (bench/rehearsal.py)."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from sqlmodel import Session, select

import house as building
import sandbox
from bench.rehearsal import heard
from connectors.doorbell import Posted
from connectors.microsoft.rings import GraphDoor
from models.account import Source
from models.doorbell import Ring, hear_channels
from models.interaction import Copy, Interaction
from models.ledger import LedgerEntry
from sandbox.microsoft.meter import in_flight_name
from tests.sandbox.test_ms_push import Door
from tests.support import BUYER, REP, mail, settle
from tests.worker import scene
from tests.worker.ringing import OutlookRung
from worker import push

HOURS, STEP = 48, 6
WORD = "marzipan"
"""Stands in every mail, and may stand in no log."""
MOST = 3.0
"""Times the requests of as long a while without the fault."""
AT_ONCE = 4
CASES = [("F58", ""), ("F58", "conflict"), ("F58R", ""), ("F58X", "")]


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


@pytest.fixture
def rung(
    make_house: Callable[..., building.House], world: sandbox.World, server: sandbox.Server, door: Door
) -> OutlookRung:
    made = OutlookRung(make_house, world, server, f"{door.url}/push/microsoft", log_level="debug")
    scene.people(made.house)
    made.opened()
    return made


def two_days(rung: OutlookRung, door: Door) -> int:
    """A mail every few hours, rings heard, doorbells looked after; how many requests that took."""
    before = len(rung.world.stats.record)
    for _ in range(0, HOURS, STEP):
        number = len(rung.world.outlook(REP).items)
        raw = mail(BUYER, REP, f"Letter {number}", f"About {WORD}.", message_id=f"l{number}@test.example")
        rung.world.outlook(REP).deliver(raw)
        hear(rung, door)
        rung.after(seconds=5)
        settle(rung.work)
        push.plan(rung.work)
        rung.tend()
        rung.after(hours=STEP)
    settle(rung.work)
    return len(rung.world.stats.record) - before


def hear(rung: OutlookRung, door: Door) -> None:
    """What was posted is read as the web server reads it."""
    rung.world.courier.settle()
    posted, door.got[:] = list(door.got), []
    for _, body in posted:
        heard = GraphDoor().hear(Posted({}, {}, json.dumps(body).encode()))
        rings = [Ring(one.channel_id, one.token, tend=one.tend) for one in heard.channels]
        hear_channels(rung.work.db, rings, now=rung.work.now())


@pytest.mark.parametrize(("fault", "variant"), CASES, ids=lambda value: value)
def test_whatever_becomes_of_a_subscription_the_invariants_hold(
    rung: OutlookRung, door: Door, fault: str, variant: str
) -> None:
    log = io.StringIO()
    with heard(log):
        clean = two_days(rung, door)
        rung.world.faults.add("F58X", account=REP)  # there is none, so that one is opened
        planned = rung.world.faults.add(fault, variant=variant, account=REP, times=None)
        if fault == "F58R":
            rung.world.faults.clear()
            rung.after(days=1)
            rung.tend()
            planned = rung.world.faults.add(fault, account=REP, times=None)
        faulty = two_days(rung, door)
    assert planned.fired or planned.preset.act
    rung.world.faults.clear()
    rung.after(hours=9)
    push.plan(rung.work)
    rung.tend()
    assert rung.watched() is not None, "once the fault is over it rings again"
    assert {row.error for row in (*rung.channels(), *rung.channels("calendar"))} == {""}
    settle(rung.work)
    with rung.work.db.read() as session:
        each_once(session, rung)
    assert faulty <= MOST * clean, f"{faulty} requests where {clean} do"
    assert rung.world.stats.peak_concurrency[in_flight_name(REP)] <= AT_ONCE
    assert rung.world.microsoft.meter.early[REP] == 0
    assert "push." in log.getvalue() or fault == "F58X", "the log is listened to, and tells of all but a silent end"
    assert [what for what in secrets(rung) if what in log.getvalue()] == []


def each_once(session: Session, rung: OutlookRung) -> None:
    """Every mail of the box stands once in the ledger and once on the timeline."""
    there = Counter([*rung.world.outlook(REP).items])
    source = session.exec(select(Source).where(Source.kind == "mail")).one()
    assert Counter(session.exec(select(LedgerEntry.item_id).where(LedgerEntry.source_id == source.id)).all()) == there
    assert Counter(session.exec(select(Copy.item_id)).all()) == there
    assert len(session.exec(select(Interaction.id)).all()) == len(there) == HOURS // STEP * 2


def secrets(rung: OutlookRung) -> list[str]:
    """What may stand in no log."""
    entra = rung.world.microsoft.entra
    states = [one.state for one in rung.world.microsoft.subscriptions.open.values()]
    return [*entra.by_refresh, *entra.by_access, *states, WORD]
