"""A Google calendar as a source of meetings (Calendar API v3; provider-contract 2).

Masters and exceptions are listed (``singleEvents=false``) with a sync token; the occurrences of a changed series are asked
for in a sliding window. The cursor carries what is needed to go on: sync token or page token, the window's end, and the
series that are alive, so that the window can slide.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.addresses import valid
from connectors.errors import ConnectorError, CursorExpired, Gone, TryLater
from connectors.google.client import Client
from connectors.google.faults import NotFound
from connectors.items import Item, Meeting, Page, Party, Response, Unreadable

BACK, AHEAD = timedelta(days=30), timedelta(days=60)
FIRST_BACK = timedelta(days=365)
PAGE = 250
SLIDE = timedelta(days=1)
SINGLE = datetime(1970, 1, 1, tzinfo=UTC)
"""``original_start`` of a meeting that does not recur: it stays the same meeting when it is moved."""
ANSWERS: dict[str, Response] = {"accepted": "accepted", "declined": "declined", "tentative": "tentative"}


class GoogleCalendar:
    """``connectors.base.Calendar`` on Google Calendar."""

    def __init__(self, client: Client, calendar_id: str) -> None:
        self._client, self._id = client, calendar_id

    def window(self, *, now: datetime) -> tuple[datetime, datetime]:
        return now - BACK, now + AHEAD

    def pull(self, cursor: str, *, now: datetime) -> Page:
        """One page of changes; occurrences of changed series come with it. An empty cursor lists a year back. Raises
        CursorExpired on 410 of any shape, Gone when the calendar is not shared any more."""
        state = _state(cursor)
        answer = self._list(state, now)
        items: list[Item] = []
        series: dict[str, str] = dict(state.get("series", {}))
        for event in answer.get("items") or []:
            if isinstance(event, dict) and event.get("id"):
                items += self._of_event(event, series, now)
        token = answer.get("nextPageToken")
        if token:
            following = state | {"page": token, "series": series}
            return Page(tuple(items), json.dumps(following), more=True)
        items += self._slide(state, series, now)
        end = max(str(state.get("end", "")), (now + AHEAD).isoformat()) if not items else (now + AHEAD).isoformat()
        sync = str(answer.get("nextSyncToken") or state.get("sync", ""))
        done = {"sync": sync, "series": series, "end": end if _slid(state, now) else state.get("end", end)}
        return Page(tuple(items), json.dumps(done), more=False)

    # -- listing

    def _list(self, state: dict[str, Any], now: datetime) -> dict[str, Any]:
        options: dict[str, Any] = {"maxResults": PAGE, "singleEvents": False, "eventTypes": ["default"]}
        if state.get("sync"):
            options["syncToken"] = state["sync"]
        else:
            state.setdefault("min", (now - FIRST_BACK).replace(microsecond=0).isoformat())
            options["timeMin"] = state["min"]
        if state.get("page"):
            options["pageToken"] = state["page"]
        events = self._client.hold(f"events:{self._id}", lambda: self._client.calendar().events())
        request = events.list(calendarId=self._id, quotaUser=self._client.quota_user or None, **options)
        try:
            return self._client.call(request)
        except NotFound as error:
            if error.code == "deleted":
                raise CursorExpired("sync_token_expired", "Google asks for a fresh start of this calendar.") from error
            raise Gone(
                "calendar_gone", "This calendar is no longer shared with you, or was deleted. Its meetings stay."
            ) from error
        except TryLater as error:
            if error.code == "bad_request" and state.get("sync"):
                raise CursorExpired("sync_token_refused", "Google asks for a fresh start of this calendar.") from error
            raise

    def _of_event(self, event: dict[str, Any], series: dict[str, str], now: datetime) -> list[Item]:
        """The meetings that an event stands for: itself, or a series' occurrences in the window."""
        if event.get("eventType", "default") != "default":
            return []
        if event.get("recurrence") and event.get("status") != "cancelled":
            series[event["id"]] = str(event.get("updated", ""))
            return self._occurrences(event["id"], now - BACK, now + AHEAD)
        if event.get("status") == "cancelled" and event["id"] in series and not event.get("recurringEventId"):
            series.pop(event["id"], None)
            return self._occurrences(event["id"], now - BACK, now + AHEAD, cancelled=True)
        return [self._item(event)]

    def _occurrences(self, master: str, start: datetime, end: datetime, *, cancelled: bool = False) -> list[Item]:
        """events.instances of one series between two moments; a series that vanished meanwhile has none."""
        found: list[Item] = []
        page: str | None = None
        events = self._client.hold(f"events:{self._id}", lambda: self._client.calendar().events())
        for _ in range(40):
            request = events.instances(
                calendarId=self._id,
                eventId=master,
                timeMin=start.replace(microsecond=0).isoformat(),
                timeMax=end.replace(microsecond=0).isoformat(),
                showDeleted=True,
                maxResults=PAGE,
                pageToken=page,
                quotaUser=self._client.quota_user or None,
            )
            try:
                answer = self._client.call(request)
            except NotFound:
                return [Meeting(master, "", SINGLE, SINGLE, SINGLE, "cancelled", sparse=True)] if cancelled else found
            found += [
                self._item(event) for event in answer.get("items") or [] if isinstance(event, dict) and event.get("id")
            ]
            page = answer.get("nextPageToken")
            if not page:
                break
        return found

    def _slide(self, state: dict[str, Any], series: dict[str, str], now: datetime) -> list[Item]:
        """Once a day the window has moved: the occurrences that have come into it."""
        if not _slid(state, now) or not state.get("end"):
            return []
        start = datetime.fromisoformat(state["end"]) - SLIDE
        found: list[Item] = []
        for master in list(series):
            try:
                found += self._occurrences(master, start, now + AHEAD)
            except ConnectorError:
                raise
        return found

    # -- reading

    def _item(self, event: dict[str, Any]) -> Item:
        try:
            return read_event(event)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Unreadable(str(event["id"]), f"parse_{type(error).__name__.lower()}"[:60])


def read_event(event: dict[str, Any]) -> Meeting:
    """One event resource as a meeting. Raises KeyError, TypeError or ValueError for one that makes no sense."""
    cancelled = event.get("status") == "cancelled"
    original = event.get("originalStartTime")
    start, all_day = (
        moment(event["start"]) if event.get("start") else (moment(original)[0] if original else SINGLE, False)
    )
    end = moment(event["end"])[0] if event.get("end") else start
    private = event.get("visibility") in ("private", "confidential")
    organizer = event.get("organizer") or {}
    return Meeting(
        item_id=str(event["id"]),
        uid=uid(str(event.get("iCalUID") or "")),
        original_start=moment(original)[0] if original else SINGLE,
        start=start,
        end=end,
        status="cancelled" if cancelled else ("tentative" if event.get("status") == "tentative" else "confirmed"),
        all_day=all_day,
        subject="" if private else str(event.get("summary") or ""),
        description="" if private else plain(str(event.get("description") or "")),
        location="" if private else str(event.get("location") or "")[:500],
        join_url="" if private else _join_url(event),
        parties=() if private else _parties(event, organizer),
        parties_complete=not event.get("attendeesOmitted") and event.get("guestsCanSeeOtherGuests", True),
        private=private,
        busy=event.get("transparency") != "transparent",
        my_response=_mine(event),
        sequence=int(event.get("sequence") or 0),
        updated_at=_updated(event.get("updated")),
        series=str(event.get("recurringEventId") or ""),
        sparse=cancelled and not event.get("start"),
    )


def moment(value: dict[str, Any]) -> tuple[datetime, bool]:
    """(instant, all day). A date stays a date: midnight UTC stands for it."""
    if value.get("date"):
        return datetime.combine(date.fromisoformat(value["date"]), time(), UTC), True
    found = datetime.fromisoformat(str(value["dateTime"]).replace("Z", "+00:00"))
    if found.tzinfo is None:
        try:
            found = found.replace(tzinfo=ZoneInfo(value.get("timeZone") or "UTC"))
        except (ZoneInfoNotFoundError, ValueError):
            found = found.replace(tzinfo=UTC)
    return found.astimezone(UTC), False


def uid(value: str) -> str:
    """The calendar UID; what a "this and following" split adds (``_R20261103T090000``) stays, because it is another
    series."""
    return value.strip()[:400]


def plain(text: str) -> str:
    """A description, which may be HTML, as text."""
    if "<" not in text:
        return text[:50_000]
    from connectors.html_text import CUT, html_to_text

    return html_to_text(text)[0].replace(CUT, "")[:50_000]


def _parties(event: dict[str, Any], organizer: dict[str, Any]) -> tuple[Party, ...]:
    found: list[Party] = []
    address = _person(organizer)
    if address:
        found.append(Party("organizer", address, str(organizer.get("displayName") or "")))
    for attendee in (event.get("attendees") or [])[:500]:
        address = _person(attendee)
        if address:
            answer = ANSWERS.get(str(attendee.get("responseStatus")), "none")
            name = str(attendee.get("displayName") or "")
            found.append(Party("attendee", address, name, answer, bool(attendee.get("resource"))))
    return tuple(found)


def _person(row: dict[str, Any]) -> str:
    """A person's address; secondary calendars and rooms are none."""
    address = valid(str(row.get("email") or ""))
    domain = address.rpartition("@")[2]
    return "" if domain.endswith("calendar.google.com") else address


def _mine(event: dict[str, Any]) -> Response:
    for attendee in event.get("attendees") or []:
        if attendee.get("self"):
            return ANSWERS.get(str(attendee.get("responseStatus")), "none")
    return "accepted" if (event.get("organizer") or {}).get("self") else "none"


def _join_url(event: dict[str, Any]) -> str:
    for entry in (event.get("conferenceData") or {}).get("entryPoints") or []:
        if entry.get("entryPointType") == "video" and str(entry.get("uri", "")).startswith("https://"):
            return str(entry["uri"])
    return str(event.get("hangoutLink") or "")


def _updated(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None


def _state(cursor: str) -> dict[str, Any]:
    if not cursor:
        return {}
    try:
        state = json.loads(cursor)
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise CursorExpired(
            "cursor_unreadable", "The stored position in this calendar is unusable; it is listed again."
        )
    return state


def _slid(state: dict[str, Any], now: datetime) -> bool:
    end = state.get("end")
    return not end or now + AHEAD - datetime.fromisoformat(end) >= SLIDE
