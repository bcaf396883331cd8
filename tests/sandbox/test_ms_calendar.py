"""Graph's calendars: views, series with stubs, deltas over a frozen window, zones, private events, what stays silent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from sandbox import World
from sandbox.microsoft.diary import Attendee
from sandbox.microsoft.outlook import OutlookBox
from tests.sandbox.conftest import BUYER, INA, NOW, OTTO
from tests.sandbox.ms_client import GraphClient

WINDOW = "startDateTime=2026-11-01T00:00:00Z&endDateTime=2026-12-01T00:00:00Z"
DELTA = f"/me/calendarView/delta?{WINDOW}"
VIEW = f"/me/calendarView?{WINDOW}"
TOMORROW = NOW + timedelta(days=1)
HOUR = timedelta(hours=1)
WEEKLY = "FREQ=WEEKLY;COUNT=6"


def removed(items: list[dict]) -> list[str]:
    return [one["id"] for one in items if one.get("@removed") == {"reason": "deleted"}]


def kinds(items: list[dict]) -> list[str]:
    return sorted(one["type"] for one in items if "@removed" not in one)


def series(box: OutlookBox, **more: Any) -> str:
    return box.calendar.put("Round", TOMORROW, TOMORROW + HOUR, rule=WEEKLY, **more)


def test_a_meeting_is_in_everybodys_calendar_with_one_uid(world: World, outlook: OutlookBox, graph_for: Any) -> None:
    world.outlook(OTTO)
    answers = {OTTO: "accepted", BUYER: "tentativelyAccepted"}
    more = {"location": "Room 4", "online_url": "https://teams.example/j/1", "body": "Numbers"}
    uid = world.microsoft.meet(INA, [OTTO, BUYER], TOMORROW, TOMORROW + HOUR, "Demo", answers=answers, **more)
    (hers,), (his,) = (graph_for(who).items(VIEW) for who in (INA, OTTO))
    assert hers["iCalUId"] == his["iCalUId"] == uid
    assert hers["id"] != his["id"]
    assert hers["start"] == {"dateTime": "2026-11-03T09:00:00.0000000", "timeZone": "UTC"}
    assert (hers["isOrganizer"], his["isOrganizer"]) == (True, False)
    assert [one["status"]["response"] for one in hers["attendees"]] == ["accepted", "tentativelyAccepted"]
    assert [one["status"]["response"] for one in his["attendees"]] == ["accepted", "none"]
    assert (hers["responseStatus"]["response"], his["responseStatus"]["response"]) == ("organizer", "accepted")
    assert hers["onlineMeeting"] == {"joinUrl": "https://teams.example/j/1"}
    world.microsoft.cancel_meeting(uid)
    assert graph_for(INA).items(VIEW) == []
    (left,) = graph_for(OTTO).items(VIEW)
    assert (left["isCancelled"], left["subject"]) == (True, "Canceled: Demo")


def test_times_come_in_the_zone_that_is_preferred(outlook: OutlookBox, graph: GraphClient) -> None:
    key = outlook.calendar.put("Demo", TOMORROW, TOMORROW + HOUR, zone="America/New_York")
    shown = graph.get(f"/me/events/{key}", prefer='outlook.timezone="W. Europe Standard Time"')
    assert shown["start"] == {"dateTime": "2026-11-03T10:00:00.0000000", "timeZone": "W. Europe Standard Time"}
    assert shown["originalStartTimeZone"] == "Eastern Standard Time"
    assert (
        graph.get(f"/me/events/{key}", prefer='outlook.timezone="Europe/Berlin"')["start"]["timeZone"]
        == "Europe/Berlin"
    )
    assert graph.error(f"/me/events/{key}", prefer='outlook.timezone="Nowhere"')[0] == 400


def test_whole_days_begin_at_midnight_and_may_be_shifted(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    key = outlook.calendar.put("Fair", date(2026, 11, 5), date(2026, 11, 7))
    shown = graph.get(f"/me/events/{key}")
    assert (shown["isAllDay"], shown["start"]["dateTime"]) == (True, "2026-11-05T00:00:00.0000000")
    assert shown["end"]["dateTime"] == "2026-11-07T00:00:00.0000000"
    world.microsoft.knobs.all_day_shifts = True
    assert graph.get(f"/me/events/{key}")["start"]["dateTime"] == "2026-11-04T23:00:00.0000000"


def test_a_view_expands_series_and_needs_a_window(outlook: OutlookBox, graph: GraphClient) -> None:
    key = series(outlook)
    outlook.calendar.put("Later", NOW + timedelta(days=60), NOW + timedelta(days=60) + HOUR)
    found = graph.items(VIEW, top=2)
    assert [one["start"]["dateTime"][:10] for one in found] == ["2026-11-03", "2026-11-10", "2026-11-17", "2026-11-24"]
    assert {(one["type"], one["seriesMasterId"]) for one in found} == {("occurrence", key)}
    assert found[1]["originalStart"] == "2026-11-10T09:00:00Z"
    assert graph.get(f"/me/events/{found[1]['id']}")["id"] == found[1]["id"]
    chosen = graph.items(VIEW, select="id,subject,start", filter="subject eq 'Round'", orderby="start/dateTime desc")
    assert [one["id"] for one in chosen] == [one["id"] for one in found[::-1]]
    assert graph.error("/me/calendarView") == (400, "ErrorInvalidParameter")
    backwards = "/me/calendarView?startDateTime=2026-12-01T00:00:00Z&endDateTime=2026-11-01T00:00:00Z"
    assert graph.error(backwards)[0] == 400


@pytest.mark.parametrize(
    ("rule", "pattern", "limits"),
    [
        ("FREQ=WEEKLY;BYDAY=TU,TH", {"type": "weekly", "daysOfWeek": ["tuesday", "thursday"]}, {"type": "noEnd"}),
        ("FREQ=DAILY;INTERVAL=2;COUNT=3", {"type": "daily", "interval": 2}, {"numberOfOccurrences": 3}),
        (
            "FREQ=MONTHLY;UNTIL=20270101T000000Z",
            {"type": "absoluteMonthly", "dayOfMonth": 3},
            {"endDate": "2027-01-01"},
        ),
        ("FREQ=MONTHLY;BYDAY=1TU", {"type": "relativeMonthly", "index": "first"}, {"type": "noEnd"}),
    ],
)
def test_a_series_tells_its_pattern(
    outlook: OutlookBox, graph: GraphClient, rule: str, pattern: dict, limits: dict
) -> None:
    key = outlook.calendar.put("Round", TOMORROW, TOMORROW + HOUR, rule=rule)
    shown = graph.get(f"/me/events/{key}")["recurrence"]
    assert pattern.items() <= shown["pattern"].items()
    assert limits.items() <= shown["range"].items()


def test_a_delta_gives_masters_stubs_and_whole_exceptions(outlook: OutlookBox, graph: GraphClient) -> None:
    key = series(outlook)
    single = outlook.calendar.put("Demo", TOMORROW, TOMORROW + HOUR)
    third = graph.items(f"/me/events/{key}/instances?{WINDOW}")[2]["id"]
    assert outlook.calendar.change(third, subject="Round, moved", start=NOW + timedelta(days=16)) == third
    items, _ = graph.round(DELTA, prefer="odata.maxpagesize=2")
    assert kinds(items) == ["exception", "occurrence", "occurrence", "occurrence", "seriesMaster", "singleInstance"]
    stubs = [one for one in items if one["type"] == "occurrence"]
    wanted = {"@odata.type", "@odata.etag", "id", "seriesMasterId", "type", "start", "end"}
    assert all(set(one) == wanted and one["seriesMasterId"] == key for one in stubs)
    master = next(one for one in items if one["type"] == "seriesMaster")
    assert (master["id"], master["start"]["dateTime"]) == (key, "2026-11-03T09:00:00.0000000")
    moved = next(one for one in items if one["type"] == "exception")
    assert (moved["id"], moved["subject"], moved["originalStart"]) == (third, "Round, moved", "2026-11-17T09:00:00Z")
    assert single in {one["id"] for one in items}


def test_a_delta_tells_what_changed_in_its_frozen_window(outlook: OutlookBox, graph: GraphClient) -> None:
    kept = outlook.calendar.put("Kept", TOMORROW, TOMORROW + HOUR)
    gone = outlook.calendar.put("Gone", TOMORROW, TOMORROW + HOUR)
    away = outlook.calendar.put("Away", TOMORROW, TOMORROW + HOUR)
    far = outlook.calendar.put("Far", NOW + timedelta(days=90), NOW + timedelta(days=90) + HOUR)
    _, link = graph.round(DELTA)
    outlook.calendar.change(kept, location="Room 5")
    outlook.calendar.remove(gone)
    outlook.calendar.change(away, start=NOW + timedelta(days=100))
    outlook.calendar.change(far, subject="Far away")
    new = outlook.calendar.put("New", TOMORROW, TOMORROW + HOUR)
    items, link = graph.round(link)
    assert sorted(removed(items)) == sorted([gone, away, far])
    assert {one["id"]: one["location"]["displayName"] for one in items if "@removed" not in one} == {
        kept: "Room 5",
        new: "",
    }
    assert graph.get(f"/me/events/{away}")["start"]["dateTime"].startswith("2027-02-10")
    assert graph.round(link)[0] == []


def test_a_series_that_ends_earlier_takes_its_occurrences_back(outlook: OutlookBox, graph: GraphClient) -> None:
    key = series(outlook)
    first, link = graph.round(DELTA)
    stubs = {one["start"]["dateTime"][:10]: one["id"] for one in first if one["type"] == "occurrence"}
    outlook.calendar.change(key, rule="FREQ=WEEKLY;COUNT=2")
    items, link = graph.round(link)
    assert kinds(items) == ["occurrence", "occurrence", "seriesMaster"]
    assert set(removed(items)) == {stubs["2026-11-17"], stubs["2026-11-24"]}
    outlook.calendar.remove(key)
    assert set(removed(graph.round(link)[0])) == {key, stubs["2026-11-03"], stubs["2026-11-10"]}


@pytest.mark.parametrize("silent", [False, True])
def test_an_occurrence_taken_out_may_not_be_told(
    world: World, outlook: OutlookBox, graph: GraphClient, silent: bool
) -> None:
    world.microsoft.knobs.silent_cancellation = silent
    key = series(outlook)
    _, link = graph.round(DELTA)
    second = graph.items(VIEW)[1]["id"]
    outlook.calendar.remove(second)
    items, _ = graph.round(link)
    assert removed(items) == ([] if silent else [second])
    assert len(graph.items(VIEW)) == 3
    assert graph.error(f"/me/events/{second}") == (404, "ErrorItemNotFound")
    shown = graph.get(f"/me/events/{key}", select="cancelledOccurrences", expand="exceptionOccurrences")
    assert [one.rpartition(".")[2] for one in shown["cancelledOccurrences"]] == ["2026-11-10"]


def test_the_window_is_all_a_delta_can_be_asked_for(outlook: OutlookBox, graph: GraphClient) -> None:
    assert graph.error(DELTA + "&$select=id") == (400, "ErrorInvalidParameter")
    assert graph.error("/me/calendarView/delta") == (400, "ErrorInvalidParameter")
    _, link = graph.round(DELTA)
    outlook.calendar.expire_delta()
    assert graph.error(link) == (410, "SyncStateNotFound")


@pytest.mark.parametrize(("kind", "uids"), [("per_series", 1), ("per_occurrence", 4), ("null", 1)])
def test_uids_of_occurrences_are_not_what_one_would_like(
    world: World, outlook: OutlookBox, graph: GraphClient, kind: str, uids: int
) -> None:
    world.microsoft.knobs.ical_uids = kind
    series(outlook)
    found = {one["iCalUId"] for one in graph.items(VIEW)}
    assert len(found) == uids
    assert (None in found) == (kind == "null")


def test_private_events_are_veiled_from_readers(
    world: World, outlook: OutlookBox, graph_for: Callable[..., GraphClient]
) -> None:
    outlook.calendar.put("Doctor", TOMORROW, TOMORROW + HOUR, sensitivity="private", show_as="oof")
    outlook.share_with(OTTO)
    world.outlook(OTTO)
    (hers,) = graph_for(INA).items(VIEW)
    assert (hers["subject"], hers["sensitivity"], hers["showAs"]) == ("Doctor", "private", "oof")
    (his,) = graph_for(OTTO, "Calendars.Read.Shared").items(VIEW.replace("/me/", f"/users/{INA}/"))
    assert (his["subject"], his["attendees"], his["start"]) == ("Private Appointment", [], hers["start"])


def test_guests_may_be_hidden(world: World, outlook: OutlookBox, graph_for: Callable[..., GraphClient]) -> None:
    world.outlook(OTTO)
    world.microsoft.meet(INA, [OTTO, BUYER], TOMORROW, TOMORROW + HOUR, "Town hall", hide_attendees=True)
    assert [one["emailAddress"]["address"] for one in graph_for(OTTO).items(VIEW)[0]["attendees"]] == [OTTO]
    assert len(graph_for(INA).items(VIEW)[0]["attendees"]) == 2


def test_each_calendar_has_its_own_events(outlook: OutlookBox, graph: GraphClient) -> None:
    shared = outlook.calendar.calendar("Otto", owner=Attendee(OTTO, "Otto"), role="read")
    key = outlook.calendar.put("Demo", TOMORROW, TOMORROW + HOUR, calendar=shared)
    listed = {one["name"]: one for one in graph.items("/me/calendars", top=1)}
    assert (listed["Calendar"]["isDefaultCalendar"], listed["Otto"]["canEdit"]) == (True, False)
    assert listed["Otto"]["owner"] == {"name": "Otto", "address": OTTO}
    assert graph.get("/me/calendar")["id"] == outlook.calendar.default
    assert graph.get(f"/me/calendars/{shared}")["name"] == "Otto"
    assert graph.items(VIEW) == []
    assert [one["id"] for one in graph.items(VIEW.replace("/me/", f"/me/calendars/{shared}/"))] == [key]
    items, link = graph.round(DELTA.replace("/me/", f"/me/calendars/{shared}/"))
    assert [one["id"] for one in items] == [key]
    assert graph.get(f"/me/calendars/{shared}/events/{key}")["id"] == key
    assert [one["id"] for one in graph.items(f"/me/calendars/{shared}/events")] == [key]
    outlook.calendar.move(key, outlook.calendar.default)
    assert removed(graph.round(link)[0]) == [key]
    outlook.calendar.drop_calendar(shared)
    assert graph.error(link) == (404, "ErrorItemNotFound")


def test_events_have_both_kinds_of_ids(
    outlook: OutlookBox, graph: GraphClient, graph_for: Callable[..., GraphClient]
) -> None:
    key = series(outlook)
    plain = graph_for(INA, immutable=False)
    (shown,) = plain.items("/me/events")
    assert shown["id"] != key
    assert graph.get(f"/me/events/{shown['id']}")["id"] == key
    assert {one["seriesMasterId"] for one in plain.items(VIEW)} == {shown["id"]}


def test_wall_clock_time_stays_when_the_clocks_change(outlook: OutlookBox, graph: GraphClient) -> None:
    start = datetime(2026, 10, 20, 8, tzinfo=UTC)
    outlook.calendar.put("Round", start, start + HOUR, rule="FREQ=WEEKLY;COUNT=3", zone="Europe/Berlin")
    wide = "/me/calendarView?startDateTime=2026-10-01T00:00:00Z&endDateTime=2026-12-01T00:00:00Z"
    assert [one["start"]["dateTime"][5:16] for one in graph.items(wide)] == [
        "10-20T08:00",
        "10-27T09:00",
        "11-03T09:00",
    ]
