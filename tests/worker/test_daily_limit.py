"""The project's daily limit (provider-contract 8, F12) is everybody's: who meets it first spares the others the request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlmodel import select

import house as building
import sandbox
from models.account import Account
from tests.support import COLLEAGUE, REP, poll, settle
from tests.worker.scene import opened, people


def test_a_spent_daily_limit_pauses_every_mailbox_of_the_project(house: building.House, world: sandbox.World) -> None:
    people(house)
    work, _ = opened(house, world, REP, COLLEAGUE)
    settle(work)
    world.faults.add("F12", account=REP)
    poll(work)
    world.stats.clear()
    poll(work)
    assert not world.stats.record
    with house.db.read() as session:
        ends = [one.throttled_until for one in session.exec(select(Account))]
    assert all(end and end > datetime.now(UTC) + timedelta(minutes=50) for end in ends)


def test_a_limit_of_one_mailbox_pauses_that_one_alone(house: building.House, world: sandbox.World) -> None:
    people(house)
    work, _ = opened(house, world, REP, COLLEAGUE)
    settle(work)
    world.faults.add("F09", account=REP)
    poll(work)
    with house.db.read() as session:
        paused = {one.email for one in session.exec(select(Account)) if one.throttled_until}
    assert paused == {REP}
