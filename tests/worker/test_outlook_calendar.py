"""An Outlook calendar on the timeline: one meeting with Google's copy, deletions nobody told of, meetings that left the window."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlmodel import select

import house as building
import sandbox
from models.account import Source, request_audit
from models.interaction import Copy, Interaction
from tests.models.cast import count
from tests.support import BUYER, COLLEAGUE, REP, connect, connect_outlook, outlook_settings, settle
from tests.worker import scene
from worker.context import Work

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Make = Callable[..., building.House]


@pytest.fixture
def house(make_house: Make, server: sandbox.Server) -> building.House:
    """One that reaches both pretend providers."""
    return make_house(**outlook_settings(server))


@pytest.fixture
def work(house: building.House, world: sandbox.World) -> Work:
    """Rae's Outlook account, not yet read, and Bea's deal."""
    scene.people(house)
    world.outlook(REP)
    connect_outlook(house, world, REP)
    made = house.work()
    scene.AT_WORK.append(made)
    return made


def soon(world: sandbox.World) -> datetime:
    """This time tomorrow, to the minute."""
    return world.clock.moment().replace(second=0, microsecond=0) + DAY


def told(work: Work) -> dict[str, str]:
    """The status of every meeting by its subject."""
    with work.db.read() as session:
        rows = session.exec(select(Interaction).where(Interaction.kind == "meeting")).all()
        return {row.subject: row.status for row in rows}


def look(work: Work) -> None:
    """A look at the calendar alone."""
    with work.db.write() as session:
        for source in session.exec(select(Source).where(Source.kind == "calendar", Source.selected)).all():
            source.next_sync_at = work.now()
            session.add(source)
    settle(work)


def audit(work: Work) -> Source:
    """Compare the calendar with the ledger; its source."""
    with work.db.write() as session:
        for source in session.exec(select(Source).where(Source.kind == "calendar")).all():
            request_audit(session, source.account_id, now=work.now())
    settle(work)
    with work.db.read() as session:
        return session.exec(select(Source).where(Source.kind == "calendar", Source.selected)).one()


def test_a_meeting_is_one_row_in_outlook_and_in_google(house: building.House, work: Work, world: sandbox.World) -> None:
    start = soon(world)
    theirs = world.almanac.calendar(COLLEAGUE)
    key = world.almanac.meet(COLLEAGUE, [REP, BUYER], start, start + HOUR, "Demo")
    copy = {"uid": theirs.events[key]["iCalUID"], "organizer": COLLEAGUE, "attendees": [REP, BUYER]}
    world.outlook(REP).calendar.put("Demo", start, start + HOUR, **copy)
    connect(house, world, COLLEAGUE)
    settle(work)
    with work.db.read() as session:
        assert count(session, Interaction) == 1 and count(session, Copy) == 2


def test_an_occurrence_that_vanished_in_silence_is_found_by_the_audit(work: Work, world: sandbox.World) -> None:
    diary, start = world.outlook(REP).calendar, soon(world)
    world.microsoft.knobs.silent_cancellation = True
    diary.put("Round", start, start + HOUR, rule="FREQ=WEEKLY;COUNT=3", attendees=[BUYER])
    settle(work)
    with work.db.read() as session:
        ids = list(session.exec(select(Copy.item_id).order_by(Copy.id)).all())  # type: ignore[arg-type]
    diary.remove(ids[1])
    look(work)
    with work.db.read() as session:
        assert scene.states(session) == ["present"] * 3, "Graph keeps silent about it"
    source = audit(work)
    with work.db.read() as session:
        assert scene.states(session) == ["present", "deleted", "present"]
    assert source.facts["vanished"] == 1


def test_a_meeting_beyond_the_window_is_not_called_off_by_the_audit(work: Work, world: sandbox.World) -> None:
    diary, start = world.outlook(REP).calendar, soon(world)
    key = diary.put("Demo", start, start + HOUR, attendees=[BUYER])
    settle(work)
    diary.change(key, start=start + 100 * DAY)
    look(work)
    audit(work)
    assert told(work) == {"Demo": "confirmed"}
    with work.db.read() as session:
        row = session.exec(select(Interaction)).one()
    assert row.occurred_at == start + 100 * DAY


def test_a_deleted_meeting_is_called_off_and_a_declined_one_is_not_logged(work: Work, world: sandbox.World) -> None:
    diary, start = world.outlook(REP).calendar, soon(world)
    key = diary.put("Demo", start, start + HOUR, attendees=[BUYER])
    diary.put("No", start, start + HOUR, organizer=BUYER, attendees=[REP], answer="declined")
    diary.put("Doctor", start, start + HOUR, attendees=[BUYER], sensitivity="private")
    settle(work)
    assert told(work) == {"Demo": "confirmed"}
    diary.remove(key)
    look(work)
    assert told(work) == {"Demo": "cancelled"}
    assert scene.places_of(work.db, "Doctor") == []


def test_an_expired_position_is_listed_again_and_nothing_is_twice(work: Work, world: sandbox.World) -> None:
    diary, start = world.outlook(REP).calendar, soon(world)
    diary.put("Round", start, start + HOUR, rule="FREQ=WEEKLY;COUNT=3", attendees=[BUYER])
    gone = diary.put("Demo", start, start + HOUR, attendees=[BUYER])
    settle(work)
    diary.expire_delta()
    diary.remove(gone)
    look(work)
    with work.db.read() as session:
        assert count(session, Interaction) == 4
    assert told(work) == {"Round": "confirmed", "Demo": "cancelled"}


def test_a_position_that_expires_again_and_again_ends_the_run(work: Work, world: sandbox.World) -> None:
    diary, start = world.outlook(REP).calendar, soon(world)
    for number in range(3):
        diary.put(f"Demo {number}", start, start + HOUR, attendees=[BUYER])
    world.microsoft.knobs.page_size = 1
    world.faults.add("F53M", operation="graph.calendarView.delta", times=None)
    settle(work)
    with work.db.read() as session:
        source = session.exec(select(Source).where(Source.kind == "calendar", Source.selected)).one()
    assert (source.error, source.failures) == ("cursor_expired", 1)
    world.faults.clear()
    settle(work, ahead=2 * HOUR)
    assert len(told(work)) == 3
