"""What it costs when nothing has happened: counts of requests, units and writes, as the sandbox and the database see them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import house as building
import sandbox
from bench import bench_audit, bench_first_sync_outlook, bench_idle, bench_refresh
from bench.ground import Place
from bench.sides import GOOGLE, MICROSOFT, Side, beside
from tests.support import BUYER, REP, mail, settle
from tests.worker.scene import opened, people

POLLS = 3


@pytest.fixture
def idle(make_house: Callable[..., building.House], world: sandbox.World) -> Place:
    """A mailbox with a logged mail and a calendar, synced to the end; nothing becomes due by itself meanwhile."""
    house = make_house(poll_seconds=600, calendar_poll_seconds=600)
    people(house)
    world.mailbox(REP).deliver(mail(BUYER, REP))
    work, (account,) = opened(house, world)
    settle(work)
    return Place(house, work, account)


@pytest.mark.parametrize(("kind", "units"), [("mail", 2), ("calendar", 1)])
def test_a_look_at_what_is_idle_is_one_request_and_writes_nothing_but_the_lease(
    world: sandbox.World, idle: Place, kind: str, units: int
) -> None:
    requests, spent, changed = bench_idle.idle_polls(world, idle, kind, POLLS)
    assert (requests, spent) == (POLLS, POLLS * units)
    assert changed.pop(bench_idle.LOCKS) == 2 * POLLS  # the lease is taken, the lease is given back
    assert dict(changed) == {"source": 2 * POLLS}


def test_a_second_in_which_nothing_is_due_writes_nothing(idle: Place) -> None:
    assert bench_idle.idle_seconds(idle, 5) == {}


def test_a_look_at_an_idle_outlook_mailbox_asks_for_its_tree_and_each_folder_once(world: sandbox.World) -> None:
    """The least that Graph's deltas allow (provider-contract 4.3)."""
    MICROSOFT.fill(world, 20, 0.5)
    world.outlook(REP).folder("Customers/North")
    with beside(MICROSOFT, world) as here:
        settle(here.work)
        least = bench_idle.least_requests(world.outlook(REP))
        assert least == 1 + 5
        for kind, most in (("mail", least), ("calendar", 1)):
            requests, _, changed = bench_idle.idle_polls(world, here, kind, POLLS)
            assert requests == POLLS * most
            assert changed.pop(bench_idle.LOCKS) == 2 * POLLS
            assert dict(changed) == {"source": 2 * POLLS}


@pytest.mark.parametrize("side", [GOOGLE, MICROSOFT], ids=lambda side: side.provider)
def test_an_audit_of_a_clean_mailbox_costs_its_list_and_little_more(side: Side) -> None:
    """50,000 mails: 500 units of lists, 600 at the most; at Microsoft 100 requests, 150 at the most."""
    mails = 2_000
    spent = bench_audit.clean(side, mails)
    assert spent["units"] <= mails // 500 * 5 + 12
    assert spent["requests"] <= mails // 500 + 20


@pytest.mark.parametrize("side", [GOOGLE, MICROSOFT], ids=lambda side: side.provider)
def test_an_audit_finds_and_repairs_every_hole(side: Side) -> None:
    made, found, repaired, missing = bench_audit.holes(side, 300, 0.05)
    assert (made, found, repaired, missing) == (15, 15, 15, 0)


@pytest.mark.parametrize("side", [GOOGLE, MICROSOFT], ids=lambda side: side.provider)
def test_eight_workers_ask_for_one_token_and_keep_the_newest(side: Side, capsys: pytest.CaptureFixture[str]) -> None:
    bench_refresh.run(side)
    told = [line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("figure")]
    assert told == ["1", "8", "1"]


def test_an_outlook_mailbox_is_there_within_seconds_and_read_page_by_page(capsys: pytest.CaptureFixture[str]) -> None:
    bench_first_sync_outlook.run(1_500)
    said = capsys.readouterr().out
    told = dict(
        line.removeprefix("figure first_sync_outlook.").split() for line in said.splitlines() if "figure" in line
    )
    assert float(told["relevant"]) > 20
    assert float(told["requests_ratio"]) <= bench_first_sync_outlook.MOST_RATIO
    assert float(told["first_interaction_virtual_s"]) <= bench_first_sync_outlook.MOST_SECONDS
    assert (told["refused_requests"], "MISSED" in said) == ("0", False)
