"""Outlook's calendar keeps the contract, and what provider-contract 5 warns of does not break it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from connectors.base import Calendar
from connectors.errors import CursorExpired, Gone, TryLater
from connectors.items import Item, Meeting, Unreadable
from connectors.meeting_identity import SINGLE, canonical_uid
from connectors.microsoft.agenda import TRIES
from connectors.microsoft.calendar import OutlookCalendar
from connectors.microsoft.event import read_event
from connectors.microsoft.zones import instant, zone_of
from sandbox.microsoft.diary import Attendee
from tests.connectors.contract import NOW, CalendarContract, CalendarHost, pages
from tests.connectors.ms_link import OutlookLink
from tests.support import BUYER, COLLEAGUE, REP
from worker.identity import of_meeting

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TOMORROW = NOW + DAY
WEEKLY = "FREQ=WEEKLY;COUNT=6"
GOID = "040000008200E00074C5B7101A82E008"


class OutlookAgenda:
    """``CalendarHost`` on the sandbox."""

    def __init__(self, link: OutlookLink) -> None:
        self._world, self._diary = link.world, link.box.calendar

    def meet(self, subject: str, start: datetime, *, private: bool = False) -> str:
        more: dict[str, Any] = {"sensitivity": "private", "location": "Ward 3", "body": "x"} if private else {}
        return self._diary.put(subject, start, start + HOUR, attendees=["bea@northwind.example"], **more)

    def series(self, subject: str, start: datetime) -> str:
        return self._diary.put(subject, start, start + HOUR, rule="FREQ=WEEKLY", zone="UTC")

    def move(self, item_id: str, start: datetime) -> None:
        self._diary.change(item_id, start=start)

    def cancel(self, item_id: str) -> None:
        self._diary.cancel(item_id)

    def small_pages(self, size: int) -> None:
        self._world.microsoft.knobs.page_size = size

    def break_line(self, times: int) -> None:
        self._world.faults.add("F30", operation="graph.*", times=times)

    def forget(self) -> None:
        self._diary.expire_delta()


@pytest.fixture
def diary(outlook_link: OutlookLink) -> Any:
    """The sandbox's own calendar of the rep."""
    return outlook_link.box.calendar


@pytest.fixture
def calendar(outlook_link: OutlookLink) -> OutlookCalendar:
    return outlook_link.connection.calendar(outlook_link.box.calendar.default)


class TestOutlookCalendar(CalendarContract):
    @pytest.fixture
    def calendar(self, outlook_link: OutlookLink) -> Calendar:
        return outlook_link.connection.calendar(outlook_link.box.calendar.default)

    @pytest.fixture
    def agenda(self, outlook_link: OutlookLink) -> CalendarHost:
        return OutlookAgenda(outlook_link)


def pull(calendar: OutlookCalendar, cursor: str = "", now: datetime = NOW) -> tuple[dict[str, Item], str]:
    """Everything on the way, the last word of each id, and the cursor after it."""
    found: dict[str, Item] = {}
    last = cursor
    for page in pages(lambda at: calendar.pull(at, now=now), cursor):
        found |= {item.item_id: item for item in page.items}
        last = page.cursor
    return found, last


def meetings(found: dict[str, Item]) -> list[Meeting]:
    return sorted((one for one in found.values() if isinstance(one, Meeting)), key=lambda one: one.start)


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


# ---- what an event says


def test_the_identity_is_that_of_googles_copy(calendar: OutlookCalendar, diary: Any, outlook_link: OutlookLink) -> None:
    from connectors.google.calendar import read_event as from_google

    start = {"dateTime": "2026-11-03T09:00:00Z"}
    told = {"id": "g1", "status": "confirmed", "start": start, "end": start, "iCalUID": "7kq@google.com"}
    diary.put("Demo", TOMORROW, TOMORROW + HOUR, uid="7kq@google.com")
    (mine,) = meetings(pull(calendar)[0])
    assert of_meeting(mine) == of_meeting(from_google(told))
    outlook_link.world.microsoft.knobs.ical_uids = "per_occurrence"
    key = diary.put("Round", TOMORROW, TOMORROW + HOUR, rule=WEEKLY, zone="UTC")
    second = [one for one in meetings(pull(calendar)[0]) if one.series][1]
    uid = diary.events[key].uid
    instance = {"recurringEventId": "g2", "originalStartTime": {"dateTime": "2026-11-10T09:00:00Z"}, "iCalUID": uid}
    assert of_meeting(second) == of_meeting(from_google(told | instance))


@pytest.mark.parametrize("kind", ["per_series", "per_occurrence", "null"])
def test_occurrences_are_told_apart_whatever_their_uid_is(
    calendar: OutlookCalendar, diary: Any, outlook_link: OutlookLink, kind: str
) -> None:
    outlook_link.world.microsoft.knobs.ical_uids = kind
    diary.put("Round", TOMORROW, TOMORROW + HOUR, rule=WEEKLY)
    diary.put("Demo", TOMORROW, TOMORROW + HOUR)
    diary.put("Demo", TOMORROW + DAY, TOMORROW + DAY + HOUR)
    found = meetings(pull(calendar)[0])
    assert len({of_meeting(one) for one in found}) == len(found) == 8


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("", ""),
        (" 7kq@google.com ", "7kq@google.com"),
        ("7kq_R20261103T090000@google.com", "7kq_R20261103T090000@google.com"),
        (GOID.lower() + "07ea0b0a" + "ab" * 20, GOID + "00000000" + "AB" * 20),
        (GOID + "00000000" + "AB" * 20, GOID + "00000000" + "AB" * 20),
        (GOID + "07EA0B0A" + "00" * 16 + "1B000000" + b"vCal-Uid\1\0\0\0x1@host\0".hex().upper(), "x1@host"),
        (GOID + "not hexadecimal at all", GOID + "00000000" + "decimal at all".upper().rjust(14)),
    ],
)
def test_uids_are_written_one_way(given: str, wanted: str) -> None:
    assert canonical_uid(given) == wanted


def test_whole_days_stay_the_days_they_are(calendar: OutlookCalendar, diary: Any, outlook_link: OutlookLink) -> None:
    days = {"Europe/Amsterdam": 5, "Pacific/Auckland": 10, "America/Los_Angeles": 12}
    for zone, day in days.items():
        diary.put(zone, date(2026, 11, day), date(2026, 11, day + 2), zone=zone)
    diary.put("Weekly", date(2026, 11, 3), date(2026, 11, 4), zone="America/Los_Angeles", rule="FREQ=WEEKLY;COUNT=2")
    shown = {}
    for shifts in (False, True):
        outlook_link.world.microsoft.knobs.all_day_shifts = shifts
        shown[shifts] = meetings(pull(calendar)[0])
    for found in shown.values():
        assert {one.subject: (one.start_date.day, one.end.day) for one in found if not one.series} == {
            zone: (day, day + 2) for zone, day in days.items()
        }
        assert all(one.all_day and one.start.time() == SINGLE.time() for one in found)
        assert [one.original_start.day for one in found if one.series] == [3, 10]


def test_zones_are_known_by_all_their_names() -> None:
    nine = {"dateTime": "2026-11-03T09:00:00.0000000"}
    for name in ("W. Europe Standard Time", "Europe/Berlin"):
        assert instant(nine | {"timeZone": name}) == datetime(2026, 11, 3, 8, tzinfo=UTC)
    for name in ("UTC", "tzone://Microsoft/Utc", ""):
        assert instant(nine | {"timeZone": name}) == datetime(2026, 11, 3, 9, tzinfo=UTC)
    assert instant({"dateTime": "2026-07-03T09:00:00", "timeZone": "Eastern Standard Time"}).hour == 13
    for unknown in ("tzone://Microsoft/Custom", "Customized Time Zone", "../../etc/passwd", "Europe"):
        assert zone_of(unknown) is None
        with pytest.raises(ValueError, match="zone"):
            instant(nine | {"timeZone": unknown})


def test_a_time_in_a_zone_that_nobody_knows_is_unreadable(calendar: OutlookCalendar, diary: Any) -> None:
    event = {"id": "e", "type": "singleInstance", "start": {"dateTime": "2026-11-03T09:00:00", "timeZone": "Mars"}}
    with pytest.raises(ValueError, match="zone"):
        read_event(event)


def test_a_called_off_meeting_is_cancelled_under_its_own_name(calendar: OutlookCalendar, diary: Any) -> None:
    key = diary.put("Demo", TOMORROW, TOMORROW + HOUR, organizer=BUYER, attendees=[REP])
    _, cursor = pull(calendar)
    diary.cancel(key)
    (off,) = meetings(pull(calendar, cursor)[0])
    assert (off.status, off.subject, off.sparse) == ("cancelled", "Demo", False)


def test_answers_organizer_rooms_and_the_link(calendar: OutlookCalendar, diary: Any) -> None:
    guests = (
        Attendee(BUYER, "Bea", answer="tentativelyAccepted"),
        Attendee(COLLEAGUE, "Col", answer="declined"),
        Attendee("room4@acme.example", "Room 4", "resource", "accepted"),
        Attendee("not an address"),
    )
    diary.put("Demo", TOMORROW, TOMORROW + HOUR, attendees=guests, online_url="https://teams.example/j/1")
    diary.put("Theirs", TOMORROW, TOMORROW + HOUR, organizer=BUYER, attendees=[REP], answer="declined")
    mine, theirs = meetings(pull(calendar)[0])
    assert (mine.my_response, theirs.my_response) == ("accepted", "declined")
    assert [(p.role, p.address, p.response, p.resource) for p in mine.parties] == [
        ("organizer", REP, "none", False),
        ("attendee", BUYER, "tentative", False),
        ("attendee", COLLEAGUE, "declined", False),
        ("attendee", "room4@acme.example", "accepted", True),
    ]
    assert not mine.parties_complete, "one of them has no address"
    assert theirs.parties_complete
    assert (mine.join_url, theirs.join_url) == ("https://teams.example/j/1", "")


def test_a_list_that_is_hidden_or_too_long_is_partial(calendar: OutlookCalendar, diary: Any) -> None:
    crowd = [f"p{number}@crowd.example" for number in range(501)]
    diary.put("Crowd", TOMORROW, TOMORROW + HOUR, attendees=crowd)
    hidden = {"organizer": BUYER, "attendees": [REP, COLLEAGUE], "hide_attendees": True}
    diary.put("Town hall", TOMORROW + HOUR, TOMORROW + 2 * HOUR, **hidden)
    found = meetings(pull(calendar)[0])
    assert [(one.subject, len(one.parties), one.parties_complete) for one in found] == [
        ("Crowd", 501, False),
        ("Town hall", 2, False),
    ]


@pytest.mark.parametrize(
    ("sensitivity", "show_as", "private", "busy"),
    [
        ("normal", "busy", False, True),
        ("normal", "tentative", False, True),
        ("normal", "free", False, False),
        ("normal", "oof", False, False),
        ("normal", "workingElsewhere", False, False),
        ("personal", "busy", True, True),
        ("confidential", "free", True, False),
    ],
)
def test_what_is_private_or_free_says_so(
    calendar: OutlookCalendar, diary: Any, sensitivity: str, show_as: str, private: bool, busy: bool
) -> None:
    more = {"body": "Secret", "attendees": [BUYER], "online_url": "https://teams.example/j/1", "location": "Ward 3"}
    diary.put("Doctor", TOMORROW, TOMORROW + HOUR, sensitivity=sensitivity, show_as=show_as, **more)
    (found,) = meetings(pull(calendar)[0])
    assert (found.private, found.busy) == (private, busy)
    shown = (found.subject, found.description, found.location, found.join_url, found.parties)
    assert any(shown) != private


def test_an_invitation_that_was_not_sent_is_no_meeting(calendar: OutlookCalendar) -> None:
    from connectors.microsoft.event import is_meeting

    assert not is_meeting({"type": "singleInstance", "isDraft": True})
    assert is_meeting({"type": "exception", "isDraft": False})


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
