"""Calendar: sync tokens, series and their exceptions, what is shown to whom."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from googleapiclient.errors import HttpError

from sandbox import World
from sandbox.almanac import Calendar, moment
from tests.sandbox.client import Google, reason_of
from tests.sandbox.conftest import BUYER, ME, NOW

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
START = NOW + timedelta(days=1)


@pytest.fixture
def calendar(world: World) -> Calendar:
    return world.almanac.calendar(ME)


def meet(world: World, summary: str = "Demo", start: datetime = START, **more) -> str:
    return world.almanac.meet(ME, [BUYER], start, start + HOUR, summary, **more)


def weekly(world: World, count: int = 4) -> str:
    return meet(world, "Round", recurrence=[f"RRULE:FREQ=WEEKLY;COUNT={count}"])


def nth(series: str, number: int) -> str:
    return f"{series}_{START + WEEK * number:%Y%m%dT%H%M%SZ}"


def listed(google: Google, **given) -> list[dict]:
    return google.pages(google.events.list, "items", calendarId="primary", **given)


def token_after(google: Google, **given) -> str:
    return google.call(google.events.list(calendarId="primary", **given))["nextSyncToken"]


def changed(google: Google, token: str, **given) -> list[tuple[str, str]]:
    return [(one["id"], one["status"]) for one in listed(google, syncToken=token, **given)]


def test_a_sync_token_brings_what_changed_since(world: World, calendar: Calendar, google: Google) -> None:
    one = meet(world)
    token = token_after(google)
    assert changed(google, token) == []
    two = meet(world, "Second")
    world.almanac.cancel(calendar, one)
    assert changed(google, token) == [(two, "confirmed"), (one, "cancelled")]
    bare = listed(google, syncToken=token)[1]
    assert set(bare) == {"kind", "etag", "id", "status"}
    world.knobs.stable_cancelled = True
    assert listed(google, syncToken=token)[1]["summary"] == "Demo"


def test_only_the_last_page_has_the_token_and_changes_between_pages_are_not_lost(world: World, google: Google) -> None:
    made = [meet(world, f"Number {number}") for number in range(5)]
    world.knobs.page_size = 2
    first = google.call(google.events.list(calendarId="primary"))
    assert "nextSyncToken" not in first
    late = meet(world, "Late")
    seen, page = [one["id"] for one in first["items"]], first
    while "nextPageToken" in page:
        page = google.call(google.events.list(calendarId="primary", pageToken=page["nextPageToken"]))
        seen += [one["id"] for one in page["items"]]
    assert seen == made
    assert changed(google, page["nextSyncToken"]) == [(late, "confirmed")]


@pytest.mark.parametrize(
    "extra",
    [
        *({"timeMin": "2026-01-01T00:00:00Z"}, {"timeMax": "2027-01-01T00:00:00Z"}, {"q": "x"}, {"iCalUID": "x"}),
        *({"orderBy": "updated"}, {"updatedMin": "2026-11-01T00:00:00Z"}, {"showDeleted": False}),
        *({"privateExtendedProperty": "a=b"}, {"sharedExtendedProperty": "a=b"}),
    ],
)
def test_a_sync_token_stands_no_other_restriction(google: Google, extra: dict) -> None:
    token = token_after(google)
    with pytest.raises(HttpError) as caught:
        google.events.list(calendarId="primary", syncToken=token, **extra).execute()
    assert reason_of(caught.value) == (400, "badRequest")


@pytest.mark.parametrize("how", ["time", "told", "invented"])
def test_an_old_sync_token_asks_for_a_full_sync(world: World, google: Google, how: str) -> None:
    token = token_after(google)
    if how == "time":
        world.clock.advance(30 * 86_400 + 1)
    elif how == "told":
        world.almanac.expire_tokens()
    else:
        token = "CPinvented=="
    with pytest.raises(HttpError) as caught:
        google.events.list(calendarId="primary", syncToken=token).execute()
    assert reason_of(caught.value) == (410, "fullSyncRequired")
    assert changed(google, token_after(google)) == []


def test_too_old_an_updated_min_is_told_apart(world: World, google: Google) -> None:
    meet(world)
    recent = {"updatedMin": (NOW - timedelta(days=1)).isoformat()}
    assert len(listed(google, **recent)) == 1
    with pytest.raises(HttpError) as caught:
        listed(google, updatedMin="2026-01-01T00:00:00Z")
    assert reason_of(caught.value) == (410, "updatedMinTooLongAgo")
    with pytest.raises(HttpError) as caught:
        listed(google, timeMin="2026-02-01T00:00:00Z", timeMax="2026-01-01T00:00:00Z")
    assert reason_of(caught.value) == (400, "timeRangeEmpty")


def test_a_series_is_one_master_or_its_instances(world: World, google: Google) -> None:
    series = weekly(world)
    masters = listed(google)
    assert [one["id"] for one in masters] == [series]
    assert masters[0]["recurrence"]
    single = listed(google, singleEvents=True)
    assert [one["id"] for one in single] == [nth(series, number) for number in range(4)]
    assert all(one["recurringEventId"] == series and "recurrence" not in one for one in single)
    assert len({one["iCalUID"] for one in (*masters, *single)}) == 1


def test_instances_fill_a_window_with_exceptions_in_their_place(
    world: World, calendar: Calendar, google: Google
) -> None:
    series = weekly(world)
    moved = START + WEEK + timedelta(hours=3)
    world.almanac.change(calendar, nth(series, 1), start=moment(moved), end=moment(moved + HOUR), summary="Moved")
    world.almanac.cancel(calendar, nth(series, 2))
    window = {"timeMin": START.isoformat(), "timeMax": (START + WEEK * 4).isoformat()}
    found = google.pages(google.events.instances, "items", calendarId="primary", eventId=series, **window)
    assert [one["id"] for one in found] == [nth(series, number) for number in (0, 1, 3)]
    assert found[1]["summary"] == "Moved"
    assert datetime.fromisoformat(found[1]["originalStartTime"]["dateTime"]) == START + WEEK
    all_of_them = google.pages(
        google.events.instances, "items", calendarId="primary", eventId=series, showDeleted=True, maxResults=1
    )
    assert [one["status"] for one in all_of_them] == ["confirmed", "confirmed", "cancelled", "confirmed"]
    narrow = {"timeMin": (START + WEEK * 3).isoformat(), "timeMax": (START + WEEK * 9).isoformat()}
    assert len(google.pages(google.events.instances, "items", calendarId="primary", eventId=series, **narrow)) == 1


def test_no_occurrence_is_listed_twice_and_no_cancelled_one_unasked(
    world: World, calendar: Calendar, google: Google
) -> None:
    series = weekly(world)
    world.almanac.change(calendar, nth(series, 1), summary="Other words")
    world.almanac.cancel(calendar, nth(series, 2))
    single = [one["id"] for one in listed(google, singleEvents=True)]
    assert sorted(single) == [nth(series, number) for number in (0, 1, 3)]
    masters = [(one["id"], one["status"]) for one in listed(google)]
    assert masters == [(series, "confirmed"), (nth(series, 1), "confirmed"), (nth(series, 2), "cancelled")]


def test_a_changed_occurrence_comes_as_an_exception_of_its_series(
    world: World, calendar: Calendar, google: Google
) -> None:
    series = weekly(world)
    token = token_after(google)
    world.almanac.cancel(calendar, nth(series, 1))
    bare = listed(google, syncToken=token)
    assert [(one["id"], one["status"], one["recurringEventId"]) for one in bare] == [
        (nth(series, 1), "cancelled", series)
    ]
    assert set(bare[0]) == {"kind", "etag", "id", "status", "recurringEventId", "originalStartTime"}
    shown = google.call(google.events.get(calendarId="primary", eventId=nth(series, 1)))
    assert (shown["status"], shown["summary"]) == ("cancelled", "Round")


def test_a_deleted_series_takes_its_exceptions_with_it(world: World, calendar: Calendar, google: Google) -> None:
    series = weekly(world)
    world.almanac.change(calendar, nth(series, 1), summary="Other words")
    token, single = token_after(google), token_after(google, singleEvents=True)
    world.almanac.cancel(calendar, series)
    assert changed(google, token) == [(series, "cancelled"), (nth(series, 1), "cancelled")]
    flood = changed(google, single, singleEvents=True)
    assert sorted(one for one, _ in flood) == [nth(series, number) for number in range(4)]
    assert {status for _, status in flood} == {"cancelled"}
    assert listed(google) == []


def test_this_and_following_makes_a_new_series_with_a_name_of_its_own(
    world: World, calendar: Calendar, google: Google
) -> None:
    series = weekly(world, 6)
    token = token_after(google)
    fresh = world.almanac.split(calendar, series, START + WEEK * 3, summary="New round")
    assert changed(google, token) == [(series, "confirmed"), (fresh, "confirmed")]
    old, new = (
        google.events.instances(calendarId="primary", eventId=one).execute()["items"] for one in (series, fresh)
    )
    assert len(old) == 3
    assert {one["summary"] for one in new} == {"New round"}
    assert new[0]["iCalUID"] != old[0]["iCalUID"]
    assert "_R" in new[0]["iCalUID"]


def test_all_day_events_are_dates_and_end_on_the_day_after(world: World, calendar: Calendar, google: Google) -> None:
    fair = {"summary": "Fair", "start": moment(date(2026, 11, 5)), "end": moment(date(2026, 11, 7))}
    world.almanac.put(calendar, fair)
    assert listed(google)[0]["start"] == {"date": "2026-11-05"}
    assert len(listed(google, timeMin="2026-11-06T12:00:00Z")) == 1
    assert listed(google, timeMin="2026-11-07T00:00:00Z") == []


def test_who_declined_stays_visible_and_private_details_do_not_leave_a_shared_calendar(
    world: World, google: Google
) -> None:
    meet(world, answers={BUYER: "declined"})
    attendees = {one["email"]: one["responseStatus"] for one in listed(google)[0]["attendees"]}
    assert attendees == {ME: "accepted", BUYER: "declined"}
    shared = world.almanac.calendar(ME, "boss@acme.example", role="reader")
    times = {"start": moment(START), "end": moment(START + HOUR)}
    world.almanac.put(shared, {"summary": "Doctor", "visibility": "private", **times})
    world.almanac.put(shared, {"summary": "Open day", **times})
    found = google.pages(google.events.list, "items", calendarId="boss@acme.example")
    assert [one.get("summary") for one in found] == [None, "Open day"]
    assert found[0]["visibility"] == "private"
    roles = {one["id"]: one["accessRole"] for one in google.pages(google.calendar.calendarList().list, "items")}
    assert roles == {ME: "owner", "boss@acme.example": "reader"}


def test_too_many_guests_leave_only_oneself(world: World, google: Google) -> None:
    guests = [f"guest{number}@crowd.example" for number in range(5)]
    world.almanac.meet(ME, guests, START, START + HOUR, "Crowd")
    shown = listed(google, maxAttendees=3)[0]
    assert shown["attendeesOmitted"]
    assert [one["email"] for one in shown["attendees"]] == [ME]
    assert "attendeesOmitted" not in listed(google)[0]


def test_event_types_order_and_words_choose(world: World, calendar: Calendar, google: Google) -> None:
    times = {"start": moment(START), "end": moment(START + HOUR)}
    away = world.almanac.put(calendar, {"summary": "Away", "eventType": "outOfOffice", **times})
    late, early = meet(world, "Late", START + WEEK), meet(world, "Early", START)
    assert [one["id"] for one in listed(google, eventTypes=["default"])] == [late, early]
    assert [one["id"] for one in listed(google, eventTypes=["outOfOffice"])] == [away]
    ordered = google.call(google.events.list(calendarId="primary", singleEvents=True, orderBy="startTime"))
    assert [one["id"] for one in ordered["items"]][-1] == late
    assert "nextSyncToken" not in ordered
    assert [one["id"] for one in listed(google, q="early")] == [early]


def test_an_unshared_calendar_is_not_found_any_more(world: World, google: Google) -> None:
    shared = world.almanac.calendar(ME, "room@acme.example")
    google.call(google.events.list(calendarId="room@acme.example"))
    shared.shared = False
    with pytest.raises(HttpError) as caught:
        google.events.list(calendarId="room@acme.example").execute()
    assert reason_of(caught.value) == (404, "notFound")


def test_a_meeting_stands_in_the_calendar_of_each_colleague_under_one_uid(world: World, google_for) -> None:
    other = "col@acme.example"
    world.mailbox(other)
    world.almanac.meet(ME, [other, BUYER], START, START + HOUR, "Together")
    mine, theirs = (listed(google_for(email))[0] for email in (ME, other))
    assert mine["iCalUID"] == theirs["iCalUID"]
    assert [one["email"] for one in theirs["attendees"] if one.get("self")] == [other]
    assert datetime.fromisoformat(mine["start"]["dateTime"]) == START.astimezone(UTC)
