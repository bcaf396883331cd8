"""Calendar API v3, the reading part. Shapes as in the discovery document calendar.v3."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.almanac import FAR, Calendar
from sandbox.masks import apply_mask, parse_mask
from sandbox.presets import full_sync_required
from sandbox.series import Event, original_of, read_moment
from sandbox.wire import Answer, Refusal, Request, google_error
from sandbox.world import World

_NOT_WITH_TOKEN = ("iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty")
_NOT_WITH_TOKEN += ("timeMin", "timeMax", "updatedMin")
_SAME = ("singleEvents", "eventTypes", "timeMin", "timeMax", "q", "orderBy", "showDeleted", "syncToken", "iCalUID")
_SAME += ("updatedMin",)
_BUSY_ONLY = ("id", "kind", "etag", "status", "start", "end", "recurringEventId", "originalStartTime", "eventType")
_LEFT_OF_CANCELLED = ("kind", "etag", "id", "status", "recurringEventId", "originalStartTime")


def calendar_error(code: int, reason: str, message: str, domain: str = "global") -> Refusal:
    return Refusal(google_error(code, "", reason, message, domain=domain))


class CalendarApi:
    """One method for each operation id of the discovery document."""

    def __init__(self, world: World) -> None:
        self.world = world

    def list_calendars(self, email: str, request: Request) -> Any:
        shown = [one for one in self.world.almanac.calendars.get(email, {}).values() if one.shared]
        start, size = _number(request.one("pageToken")), self._size(request, 100, 250)
        answer: dict[str, Any] = {"kind": "calendar#calendarList", "etag": '"1"'}
        answer["items"] = [_calendar_line(one) for one in shown[start : start + size]]
        more = start + size < len(shown)
        return _masked(answer | ({"nextPageToken": str(start + size)} if more else {"nextSyncToken": "CLs="}), request)

    def get_calendar(self, email: str, request: Request, calendar_id: str) -> Any:
        found = self.named(email, calendar_id)
        shown = {"kind": "calendar#calendar", "etag": '"1"', "id": found.id}
        return _masked(shown | {"summary": found.summary, "timeZone": found.zone}, request)

    def list_events(self, email: str, request: Request, calendar_id: str) -> Any:
        calendar = self.named(email, calendar_id)
        almanac = self.world.almanac
        token = request.one("syncToken")
        self._refuse_mixture(request, bool(token))
        with almanac.lock:
            since = almanac.since(token) if token else 0
            if since is None:
                raise Refusal(full_sync_required())
            place = _place(request)
            upto = place["upto"] if place else almanac.serial
            events = self._wanted(calendar, request, since, upto)
            rest = [one for one in events if place is None or one[0] > place["after"]]
            size = self._size(request)
            shown = {"kind": "calendar#events", "etag": '"1"', "summary": calendar.summary, "description": ""}
            shown |= {"updated": "2026-01-01T00:00:00.000Z", "timeZone": calendar.zone, "accessRole": calendar.role}
            shown |= {"defaultReminders": [], "items": [self._shown(one, calendar, request) for _, one in rest[:size]]}
            if len(rest) > size:
                shown["nextPageToken"] = _page_token(rest[size - 1][0], upto, request)
            elif not request.one("orderBy"):
                almanac.issued[upto] = self.world.clock.now()
                shown["nextSyncToken"] = f"CP{upto:010d}=="
            return _masked(shown, request)

    def get_event(self, email: str, request: Request, calendar_id: str) -> Any:
        calendar = self.named(email, calendar_id)
        event = calendar.events.get(request.item) or self.world.almanac.instance(calendar, request.item)
        if event is None:
            raise calendar_error(404, "notFound", "Not Found")
        return _masked(self._shown(event, calendar, request, full=True), request)

    def list_instances(self, email: str, request: Request, calendar_id: str) -> Any:
        calendar = self.named(email, calendar_id)
        master = calendar.events.get(request.item)
        if master is None or not master.get("recurrence"):
            raise calendar_error(404, "notFound", "Not Found")
        low, high = self._range(request)
        found = list(self.world.almanac.occurrences(calendar, master, low, high))
        if master.get("status") == "cancelled":
            found = [one | {"status": "cancelled"} for one in found]
        if not request.flag("showDeleted"):
            found = [one for one in found if one.get("status") != "cancelled"]
        found.sort(key=lambda one: (original_of(one), one["id"]))
        start = _number(request.one("pageToken"))
        size = self._size(request)
        shown = {"kind": "calendar#events", "etag": '"1"', "summary": calendar.summary, "timeZone": calendar.zone}
        page = found[start : start + size]
        shown |= {"accessRole": calendar.role, "items": [self._shown(one, calendar, request) for one in page]}
        if start + size < len(found):
            shown["nextPageToken"] = str(start + size)
        return _masked(shown, request)

    def named(self, email: str, calendar_id: str) -> Calendar:
        """The calendar as this user may name it. Raises Refusal (404)."""
        found = self.world.almanac.find(email, calendar_id)
        if found is None:
            raise calendar_error(404, "notFound", "Not Found")
        return found

    def _wanted(self, calendar: Calendar, request: Request, since: int, upto: int) -> list[tuple[tuple, Event]]:
        """(place, event) in order of their changes, those after `since` up to the moment the listing began."""
        single = request.flag("singleEvents")
        low, high = self._range(request)
        newer = self._updated_min(request)
        deleted = bool(since) or request.flag("showDeleted") or newer is not None
        found: list[tuple[tuple, Event]] = []
        for event_id, serial in calendar.changes.items():
            event = calendar.events[event_id]
            if not since < serial <= upto or not _asked_for(event, request, newer):
                continue
            if event["status"] == "cancelled" and not deleted and (single or not _in_living_series(event, calendar)):
                continue
            if not event.get("recurrence"):
                if since or _touches(event, low, high):
                    found.append(((serial, event_id), event))
                continue
            shown = self.world.almanac.occurrences(calendar, event, low, high)
            made = [one for one in shown if one["id"] not in calendar.events]
            if single:
                found += [((serial, one["id"]), one) for one in made]
            elif since or made or event["status"] == "cancelled":
                found.append(((serial, event_id), event))
        if request.one("orderBy") == "startTime":
            found.sort(key=lambda pair: (read_moment(pair[1]["start"])[0], pair[0]))
            return [((at, pair[1]["id"]), pair[1]) for at, pair in enumerate(found)]
        return sorted(found, key=lambda pair: pair[0])

    def _shown(self, event: Event, calendar: Calendar, request: Request, *, full: bool = False) -> Event:
        if event.get("status") == "cancelled" and not full and not self.world.knobs.stable_cancelled:
            return {name: event[name] for name in _LEFT_OF_CANCELLED if name in event}
        if calendar.role == "freeBusyReader" or (calendar.role == "reader" and event.get("visibility") == "private"):
            return {name: event[name] for name in _BUSY_ONLY if name in event} | {"visibility": "private"}
        most = request.one("maxAttendees")
        if most.isdigit() and len(event.get("attendees", ())) > int(most):
            mine = [one for one in event["attendees"] if one.get("self")]
            return event | {"attendees": mine, "attendeesOmitted": True}
        return event

    def _range(self, request: Request) -> tuple[datetime, datetime]:
        low, high = _read(request.one("timeMin")), _read(request.one("timeMax"))
        if low and high and low >= high:
            raise calendar_error(400, "timeRangeEmpty", "The specified time range is empty.", "calendar")
        now = datetime.fromtimestamp(self.world.clock.now(), UTC)
        return low or datetime(1970, 1, 1, tzinfo=UTC), high or now + FAR

    def _updated_min(self, request: Request) -> datetime | None:
        newer, oldest = _read(request.one("updatedMin")), self.world.clock.now() - self.world.knobs.updated_min_ttl
        if newer is not None and newer.timestamp() < oldest:
            message = "The requested minimum modification time lies too far in the past."
            raise calendar_error(410, "updatedMinTooLongAgo", message, "calendar")
        return newer

    def _size(self, request: Request, default: int = 250, most: int = 2500) -> int:
        size = request.number("maxResults", default, most)
        return min(size, self.world.knobs.page_size or size)

    def _refuse_mixture(self, request: Request, token: bool) -> None:
        if token and any(name in request.query for name in _NOT_WITH_TOKEN):
            raise calendar_error(400, "badRequest", "Sync token cannot be used with other query restrictions.")
        if token and request.query.get("showDeleted") == ["false"]:
            raise calendar_error(400, "badRequest", "showDeleted=false cannot be used with a sync token.")
        if request.one("orderBy") == "startTime" and not request.flag("singleEvents"):
            raise calendar_error(400, "badRequest", "The requested ordering is not available for the particular query.")


def _in_living_series(event: Event, calendar: Calendar) -> bool:
    """Cancelled occurrences are told for as long as their series lives."""
    return calendar.events.get(event.get("recurringEventId", ""), {}).get("status") == "confirmed"


def _asked_for(event: Event, request: Request, newer: datetime | None) -> bool:
    kinds, uid, words = request.many("eventTypes"), request.one("iCalUID"), request.one("q").lower()
    if kinds and event.get("eventType", "default") not in kinds:
        return False
    if uid and event.get("iCalUID") != uid:
        return False
    if newer is not None and datetime.fromisoformat(event["updated"].replace("Z", "+00:00")) < newer:
        return False
    people = " ".join(f"{one.get('displayName', '')} {one['email']}" for one in event.get("attendees", ()))
    text = " ".join(str(event.get(name, "")) for name in ("summary", "description", "location"))
    return not words or words in f"{text} {people}".lower()


def _touches(event: Event, low: datetime, high: datetime) -> bool:
    if not event.get("start"):
        return True
    return read_moment(event["end"])[0] > low and read_moment(event["start"])[0] < high


def _read(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "+"))
    except ValueError:
        raise calendar_error(400, "badRequest", "Bad Request") from None
    if found.tzinfo is None:
        raise calendar_error(400, "badRequest", "Bad Request")
    return found.astimezone(UTC) + timedelta(0)


def _number(token: str) -> int:
    if token and not token.isdigit():
        raise calendar_error(400, "invalidParameter", "Invalid page token value.")
    return int(token or 0)


def _fingerprint(request: Request) -> list[str]:
    return [",".join(request.query.get(name, [])) for name in _SAME]


def _page_token(after: tuple, upto: int, request: Request) -> str:
    state = {"after": list(after), "upto": upto, "same": _fingerprint(request)}
    return base64.urlsafe_b64encode(json.dumps(state).encode()).decode().rstrip("=")


def _place(request: Request) -> dict[str, Any] | None:
    token = request.one("pageToken")
    if not token:
        return None
    try:
        state = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        state["after"] = tuple(state["after"])
    except (ValueError, KeyError, TypeError):
        raise calendar_error(400, "invalidParameter", "Invalid page token value.") from None
    if state["same"] != _fingerprint(request):
        raise calendar_error(400, "invalid", "The page token was made for another query.")
    return state


def _masked(shown: Any, request: Request) -> Any:
    fields = request.one("fields")
    return Answer.of(apply_mask(parse_mask(fields), shown)) if fields else shown


def _calendar_line(one: Calendar) -> dict[str, Any]:
    line = {"kind": "calendar#calendarListEntry", "etag": '"1"', "id": one.id, "summary": one.summary}
    line |= {"timeZone": one.zone, "accessRole": one.role, "selected": True, "defaultReminders": []}
    return line | ({"primary": True} if one.primary else {})
