"""Outlook's calendar keeps the contract, and what provider-contract 5 warns of does not break it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from connectors.base import Calendar
from connectors.errors import CursorExpired, Gone, TryLater
from connectors.items import Meeting, Unreadable
from connectors.microsoft.agenda import TRIES
from connectors.microsoft.calendar import OutlookCalendar
from sandbox.microsoft.diary import Attendee
from tests.connectors.contract import NOW, CalendarContract, CalendarHost
from tests.connectors.ms_agenda import DAY, HOUR, TOMORROW, WEEKLY, OutlookAgenda, meetings, pull
from tests.connectors.ms_link import OutlookLink
from tests.support import BUYER, COLLEAGUE, REP
from worker.identity import of_meeting


class TestOutlookCalendar(CalendarContract):
    @pytest.fixture
    def calendar(self, outlook_link: OutlookLink) -> Calendar:
        return outlook_link.connection.calendar(outlook_link.box.calendar.default)

    @pytest.fixture
    def agenda(self, outlook_link: OutlookLink) -> CalendarHost:
        return OutlookAgenda(outlook_link)


# ---- occurrences and their series


def test_occurrences_have_what_their_series_says(calendar: OutlookCalendar, diary: Any) -> None:
    key = diary.put("Round", TOMORROW, TOMORROW + HOUR, rule=WEEKLY, attendees=[BUYER], location="Room 4", body="Plan")
    found = meetings(pull(calendar)[0])
    assert len(found) == 6
    assert {(one.subject, one.location, one.description, one.series) for one in found} == {
        ("Round", "Room 4", "Plan", key)
    }
    assert {party.address for party in found[0].parties} == {REP, BUYER}
    assert [one.original_start for one in found] == [one.start for one in found]
    assert key not in {one.item_id for one in found}, "the master is no meeting"


def test_masters_on_another_page_cost_one_question(
    calendar: OutlookCalendar, diary: Any, outlook_link: OutlookLink
) -> None:
    diary.put("Round", TOMORROW, TOMORROW + HOUR, rule=WEEKLY)
    outlook_link.world.microsoft.knobs.page_size = 2
    assert len(meetings(pull(calendar)[0])) == 6
    assert outlook_link.asked("graph.events.get") == [], "the master came on an earlier page of the same round"
    outlook_link.world.faults.add("F57", variant="bare")
    assert len(meetings(pull(calendar)[0])) == 6
    assert len(outlook_link.asked("graph.events.get")) == 1


def test_a_stub_whose_series_is_not_there_yet_is_owed_and_read_later(
    calendar: OutlookCalendar, diary: Any, outlook_link: OutlookLink
) -> None:
    diary.put("Round", TOMORROW, TOMORROW + HOUR, rule="FREQ=WEEKLY;COUNT=2")
    outlook_link.world.faults.add("F57", variant="bare", times=1)
    outlook_link.world.faults.add("F57M", times=1)
    found, cursor = pull(calendar)
    assert [(type(one), one.error) for one in found.values() if isinstance(one, Unreadable)] == [
        (Unreadable, "no_series")
    ] * 2
    later, cursor = pull(calendar, cursor)
    assert set(later) == set(found) and all(isinstance(one, Meeting) for one in later.values())
    assert pull(calendar, cursor)[0] == {}


def test_what_stays_unreadable_is_asked_for_some_times_and_then_left(
    calendar: OutlookCalendar, diary: Any, outlook_link: OutlookLink
) -> None:
    diary.put("Round", TOMORROW, TOMORROW + HOUR, rule="FREQ=WEEKLY;COUNT=1")
    outlook_link.world.faults.add("F57", variant="bare", times=1)
    outlook_link.world.faults.add("F57M", times=None)
    _, cursor = pull(calendar)
    tries = 0
    while json.loads(cursor)["owed"]:
        found, cursor = pull(calendar, cursor)
        assert len(found) == 1 and all(isinstance(one, Unreadable) for one in found.values())
        tries += 1
    assert tries == TRIES


def test_an_exception_is_the_occurrence_that_it_was(calendar: OutlookCalendar, diary: Any) -> None:
    diary.put("Round", TOMORROW, TOMORROW + HOUR, rule=WEEKLY)
    before, cursor = pull(calendar)
    third = meetings(before)[2]
    diary.change(third.item_id, subject="Round, moved", start=third.start + 2 * DAY)
    after, _ = pull(calendar, cursor)
    (moved,) = meetings(after)
    assert (moved.subject, moved.start) == ("Round, moved", third.start + 2 * DAY)
    assert of_meeting(moved) == of_meeting(third)


def test_a_series_that_ends_earlier_takes_what_is_to_come_back(calendar: OutlookCalendar, diary: Any) -> None:
    key = diary.put("Round", TOMORROW, TOMORROW + HOUR, rule=WEEKLY)
    before, cursor = pull(calendar)
    diary.change(key, rule="FREQ=WEEKLY;COUNT=2")
    after, _ = pull(calendar, cursor)
    ended = {one.item_id for one in meetings(after) if one.status == "cancelled"}
    assert ended == {one.item_id for one in meetings(before)[2:]}


def test_a_series_moved_as_a_whole_did_not_happen_elsewhere(calendar: OutlookCalendar, diary: Any) -> None:
    start = NOW - timedelta(days=21)
    key = diary.put("Round", start, start + HOUR, rule="FREQ=WEEKLY;COUNT=6", zone="UTC")
    before, cursor = pull(calendar)
    passed = {one.item_id for one in meetings(before) if one.start < NOW}
    assert len(passed) == 3
    diary.change(key, start=start + HOUR * 26)
    after, cursor = pull(calendar, cursor)
    told = meetings(after)
    assert not passed & {one.item_id for one in told}, "its past stands"
    assert all(one.start >= NOW for one in told if not one.sparse), "and is not written anew"
    assert len([one for one in told if one.status == "confirmed"]) == 3
    again, _ = pull(calendar, cursor, NOW + DAY)
    assert all(one.start >= NOW for one in meetings(again)), "nor when the window slides"


# ---- what is removed, and what only left the window


def test_a_deleted_meeting_is_cancelled_and_says_no_more(calendar: OutlookCalendar, diary: Any) -> None:
    key = diary.put("Demo", TOMORROW, TOMORROW + HOUR)
    _, cursor = pull(calendar)
    diary.remove(key)
    (gone,) = meetings(pull(calendar, cursor)[0])
    assert (gone.item_id, gone.status, gone.sparse) == (key, "cancelled", True)


def test_a_meeting_moved_out_of_the_window_is_moved_and_not_over(
    calendar: OutlookCalendar, diary: Any, outlook_link: OutlookLink
) -> None:
    key = diary.put("Demo", TOMORROW, TOMORROW + HOUR)
    _, cursor = pull(calendar)
    diary.change(key, start=NOW + timedelta(days=100))
    (moved,) = meetings(pull(calendar, cursor)[0])
    assert (moved.status, moved.start) == ("confirmed", NOW + timedelta(days=100))


def test_a_meeting_far_ahead_that_was_told_of_can_still_be_deleted(calendar: OutlookCalendar, diary: Any) -> None:
    key = diary.put("Demo", TOMORROW, TOMORROW + HOUR)
    _, cursor = pull(calendar)
    diary.change(key, start=NOW + timedelta(days=100))
    _, cursor = pull(calendar, cursor)
    _, cursor = pull(calendar, cursor, NOW + 3 * DAY)
    diary.remove(key)
    (gone,) = meetings(pull(calendar, cursor, NOW + 3 * DAY)[0])
    assert gone.status == "cancelled"


def test_changes_outside_the_window_and_ids_nobody_knows_are_passed_over(
    calendar: OutlookCalendar, diary: Any, outlook_link: OutlookLink
) -> None:
    far = diary.put("Far", NOW + timedelta(days=90), NOW + timedelta(days=90) + HOUR)
    _, cursor = pull(calendar)
    diary.change(far, subject="Far away")
    outlook_link.world.faults.add("F57", variant="unknown")
    assert pull(calendar, cursor)[0] == {}
    assert outlook_link.asked("graph.events.get") == [], "not even asked for"


def test_a_removal_that_cannot_be_verified_is_owed(
    calendar: OutlookCalendar, diary: Any, outlook_link: OutlookLink
) -> None:
    key = diary.put("Demo", TOMORROW, TOMORROW + HOUR)
    _, cursor = pull(calendar)
    diary.remove(key)
    outlook_link.world.faults.add("F56", variant="500", operation="graph.events.get", times=3)
    found, cursor = pull(calendar, cursor)
    assert isinstance(found[key], Unreadable)
    (gone,) = meetings(pull(calendar, cursor)[0])
    assert (gone.item_id, gone.status) == (key, "cancelled")


def test_nothing_is_over_because_the_window_went_on(calendar: OutlookCalendar, diary: Any) -> None:
    diary.put("Round", TOMORROW, TOMORROW + HOUR, rule="FREQ=WEEKLY")
    diary.put("Old", NOW - timedelta(days=29), NOW - timedelta(days=29) + HOUR)
    _, cursor = pull(calendar)
    for day in range(1, 40):
        found, cursor = pull(calendar, cursor, NOW + day * DAY)
        assert all(one.status == "confirmed" for one in meetings(found))
        assert len(found) == (1 if day % 7 == 5 else 0), "only what came into the window is told"


def test_what_changed_while_the_window_slid_is_told(calendar: OutlookCalendar, diary: Any) -> None:
    key = diary.put("Demo", TOMORROW, TOMORROW + HOUR)
    gone = diary.put("Gone", TOMORROW, TOMORROW + HOUR)
    _, cursor = pull(calendar)
    diary.change(key, location="Room 5")
    diary.remove(gone)
    found, _ = pull(calendar, cursor, NOW + 2 * DAY)
    assert {one.item_id: (one.location, one.status) for one in meetings(found)} == {
        key: ("Room 5", "confirmed"),
        gone: ("", "cancelled"),
    }


def test_a_first_list_goes_a_year_back_but_not_with_every_occurrence(calendar: OutlookCalendar, diary: Any) -> None:
    long_ago = NOW - timedelta(days=300)
    key = diary.put("Kick-off", long_ago, long_ago + HOUR)
    diary.put("Round", long_ago, long_ago + HOUR, rule="FREQ=WEEKLY")
    found = meetings(pull(calendar)[0])
    assert found[0].item_id == key
    assert all(one.start >= NOW - timedelta(days=30) for one in found[1:])


# ---- the calendars themselves, and what goes wrong


def test_calendars_are_listed_and_the_own_one_is_selected(outlook_link: OutlookLink, diary: Any) -> None:
    for number in range(11):
        diary.calendar(f"Team {number}")
    outlook_link.world.microsoft.knobs.page_size = 5
    found = [one for one in outlook_link.connection.sources() if one.kind == "calendar"]
    assert len(found) == 12
    assert [one.external_id for one in found if one.selected] == [diary.default]


def test_a_calendar_that_is_no_longer_shared_is_gone(outlook_link: OutlookLink, diary: Any) -> None:
    shared = diary.calendar("Col", owner=Attendee(COLLEAGUE, "Col"), role="read")
    diary.put("Demo", TOMORROW, TOMORROW + HOUR, calendar=shared)
    calendar = outlook_link.connection.calendar(shared)
    found, cursor = pull(calendar)
    assert len(found) == 1
    diary.drop_calendar(shared)
    for at in (cursor, ""):
        with pytest.raises(Gone):
            calendar.pull(at, now=NOW)


def test_a_link_to_another_host_is_neither_kept_nor_followed(calendar: OutlookCalendar, diary: Any) -> None:
    _, cursor = pull(calendar)
    moved = json.loads(cursor) | {"link": "https://graph.elsewhere.example/v1.0/me/calendarView/delta?$deltatoken=x"}
    with pytest.raises(CursorExpired):
        calendar.pull(json.dumps(moved), now=NOW)


def test_a_walk_that_dies_in_its_middle_has_expired(
    calendar: OutlookCalendar, diary: Any, outlook_link: OutlookLink
) -> None:
    for number in range(4):
        diary.put(f"Demo {number}", TOMORROW, TOMORROW + HOUR)
    outlook_link.world.microsoft.knobs.page_size = 2
    page = calendar.pull("", now=NOW)
    assert page.more
    diary.expire_delta()
    with pytest.raises(CursorExpired):
        calendar.pull(page.cursor, now=NOW)
    assert len(pull(calendar)[0]) == 4


def test_throttling_is_kept_by_everybody_and_nothing_is_lost(
    calendar: OutlookCalendar, diary: Any, outlook_link: OutlookLink
) -> None:
    diary.put("Demo", TOMORROW, TOMORROW + HOUR)
    outlook_link.world.faults.add("F49", operation="graph.calendarView.delta", times=1)
    with pytest.raises(TryLater) as told:
        calendar.pull("", now=NOW)
    assert (told.value.throttled, told.value.after, outlook_link.budget.penalties) == (True, 12.0, [12.0])
    assert len(pull(calendar)[0]) == 1


def test_the_position_stays_small(calendar: OutlookCalendar, diary: Any) -> None:
    for number in range(100):
        diary.put(f"Demo {number}", TOMORROW, TOMORROW + HOUR)
    assert len(pull(calendar)[1]) < 6_000
