"""What one event of Outlook's says: who it is, when, with whom, and how much of that may be told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from connectors.meeting_identity import SINGLE, canonical_uid
from connectors.microsoft.calendar import OutlookCalendar
from connectors.microsoft.event import read_event
from connectors.microsoft.zones import instant, zone_of
from sandbox.microsoft.diary import Attendee
from tests.connectors.ms_agenda import DAY, HOUR, TOMORROW, WEEKLY, meetings, pull
from tests.connectors.ms_link import OutlookLink
from tests.support import BUYER, COLLEAGUE, REP
from worker.identity import of_meeting

GOID = "040000008200E00074C5B7101A82E008"


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
