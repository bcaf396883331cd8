"""Graph's calendars: calendars, events, calendarView and its delta (provider contract section 5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.microsoft.ask import Ask
from sandbox.microsoft.diary import Calendar, Event, Noted
from sandbox.microsoft.event import LONGEST, NAMES, USUAL, ShownEvent
from sandbox.microsoft.forms import bad_query, no_item, read_time, refuse
from sandbox.microsoft.mail_api import CONTEXT
from sandbox.microsoft.odata import parse_filter
from sandbox.microsoft.tokens import Walk, opened, sealed

_WINDOW = (
    "This request requires a time window specified by the query string parameters StartDateTime and EndDateTime. "
    "The value must be in ISO 8601 format."
)
_DELTA_NO = ("$select", "$expand", "$filter", "$orderby", "$search")


class CalendarApi:
    """One method for each path; all for the mailbox of the ask."""

    def list_calendars(self, ask: Ask) -> Any:
        found = list(ask.mailbox.calendar.calendars.values())
        start, size = ask.skip(), ask.top(10, 1_000)
        shown = [_shown_calendar(one) for one in found[start : start + size]]
        answer = {"@odata.context": f"{CONTEXT}#users('{ask.mailbox.oid}')/calendars", "value": shown}
        return answer | _next(ask, f"{ask.prefix}/calendars", start, size, len(found))

    def get_calendar(self, ask: Ask) -> Any:
        return _shown_calendar(self._calendar(ask))

    def view(self, ask: Ask) -> Any:
        """Single events, exceptions and occurrences between two times, each of them whole."""
        low, high = _window(ask)
        calendar = self._calendar(ask)
        found = self._sorted(ask, ask.mailbox.calendar.between(calendar.id, low, high))
        return self._listed(ask, found, _path(ask, "calendarView"), _dates(ask))

    def list_events(self, ask: Ask) -> Any:
        """Single events and series masters, newest made first."""
        calendar = self._calendar(ask)
        events = [one for one in ask.mailbox.calendar.events.values() if one.calendar == calendar.id and not one.master]
        return self._listed(ask, self._sorted(ask, events[::-1]), _path(ask, "events"), {})

    def get_event(self, ask: Ask) -> Any:
        event = self._event(ask)
        names = self._names(ask)
        if "exceptionOccurrences" in ask.request.one("$expand"):
            names = (*names, "exceptionOccurrences")
        shown = {"@odata.context": f"{CONTEXT}#users('{ask.mailbox.oid}')/events/$entity"}
        return shown | self._shown(ask, event).whole(names)

    def instances(self, ask: Ask) -> Any:
        series = self._event(ask)
        low, high = _window(ask)
        if not series.rule:
            raise bad_query("The event is not a series.", "ErrorInvalidOperation")
        found = list(ask.mailbox.calendar.within(series, low, high))
        return self._listed(ask, found, _path(ask, f"events/{ask.ids['event']}/instances"), _dates(ask))

    def delta(self, ask: Ask) -> Any:
        """The frozen window: masters with stubs, single events and exceptions whole; then what changed."""
        if any(name in ask.request.query for name in _DELTA_NO):
            raise refuse(
                400, "ErrorInvalidParameter", "$select, $expand, $filter, $orderby and $search are not supported."
            )
        calendar, diary = self._calendar(ask), ask.mailbox.calendar
        with diary.lock:
            walk = self._walk(ask, calendar)
            low, high = (datetime.fromisoformat(walk.asked[name]) for name in ("low", "high"))
            rounds = self._changes(ask, walk, low, high) if walk.since else self._contents(ask, calendar, low, high)
            size = ask.page_size(10, 1_000, walk.asked.get("size", 0))
            found = [one for one in rounds if one[0] > walk.after]
            answer: dict[str, Any] = {"@odata.context": f"{CONTEXT}#Collection(event)"}
            path = _path(ask, "calendarView/delta")
            if len(found) > size:
                walk.after = found[size - 1][0]
                answer["@odata.nextLink"] = ask.link(path, skiptoken=sealed(walk, ask.microsoft))
            else:
                walk.after = []
                answer["@odata.deltaLink"] = ask.link(path, deltatoken=sealed(walk, ask.microsoft))
            return answer | {"value": [shown for _, shown in found[:size]]}

    def _walk(self, ask: Ask, calendar: Calendar) -> Walk:
        diary, resource = ask.mailbox.calendar, f"events {calendar.id}"
        token = ask.request.one("$skiptoken") or ask.request.one("$deltatoken")
        if not token:
            low, high = _window(ask)
            wanted = ask.preferences.get("odata.maxpagesize", "")
            asked = {"low": low.isoformat(), "high": high.isoformat(), "size": int(wanted) if wanted.isdigit() else 0}
            return Walk(resource, calendar.generation, 0, diary.serial, [], asked)
        walk = opened(token, resource, calendar.generation, ask.microsoft)
        if ask.request.one("$deltatoken"):
            walk.since, walk.upto, walk.after = walk.upto, diary.serial, []
        return walk

    def _contents(self, ask: Ask, calendar: Calendar, low: datetime, high: datetime) -> list[tuple[list[Any], Any]]:
        found: list[tuple[list[Any], Any]] = []
        for event in list(ask.mailbox.calendar.events.values()):
            if event.calendar == calendar.id and not event.master:
                found += self._placed(ask, event, low, high, event.number)
        return sorted(found, key=lambda one: one[0])

    def _placed(
        self, ask: Ask, event: Event, low: datetime, high: datetime, number: int
    ) -> list[tuple[list[Any], Any]]:
        """An event with its place in a round; a series as its master and what it is in the window."""
        if not event.rule:
            touches = event.end > low and event.start < high
            return [([number, ""], self._whole(ask, event))] if touches else []
        parts = list(ask.mailbox.calendar.within(event, low, high))
        if not parts:
            return []
        found: list[tuple[list[Any], Any]] = [([number, ""], self._whole(ask, event))]
        for one in parts:
            kept = one.key in ask.mailbox.calendar.events
            shown = self._whole(ask, one) if kept else self._shown(ask, one).stub()
            found.append(([number, f"{one.start.isoformat()} {one.key}"], shown))
        return found

    def _changes(self, ask: Ask, walk: Walk, low: datetime, high: datetime) -> list[tuple[list[Any], Any]]:
        entries: dict[str, list[Noted]] = {}
        for one in ask.mailbox.calendar.log:
            if walk.since < one.serial <= walk.upto and f"events {one.calendar}" == walk.resource:
                entries.setdefault(one.key, []).append(one)
        found: list[tuple[list[Any], Any]] = []
        for noted in entries.values():
            found += self._change(ask, walk, noted, low, high)
        return sorted(found, key=lambda one: one[0])

    def _change(
        self, ask: Ask, walk: Walk, noted: list[Noted], low: datetime, high: datetime
    ) -> list[tuple[list[Any], Any]]:
        diary, last = ask.mailbox.calendar, noted[-1]
        event, serial = diary.events.get(last.key), last.serial
        before = next((one.before for one in noted if one.before), None)
        then = before.begins(low, high) if before and before.rule else []
        here = event is not None and f"events {event.calendar}" == walk.resource
        found: list[tuple[list[Any], Any]] = []
        if event is None or not here or last.kind == "gone":
            found.append(([serial, ""], _removed(last.key if ask.immutable else last.id)))
        else:
            found = self._placed(ask, event, low, high, serial)
            if not found:
                found = [([serial, ""], _removed(self._shown(ask, event).id))]
        gone = set(then) - set(event.span.begins(low, high) if event and here and event.rule else [])
        for at in sorted(gone):
            found.append(([serial, f"{at.isoformat()} removed"], _removed(self._occurrence_id(ask, last, at))))
        return found

    def _occurrence_id(self, ask: Ask, noted: Noted, at: datetime) -> str:
        """The id that an occurrence had: it depends on the series and the beginning only."""
        event = Event(noted.key, noted.id, noted.calendar, "", at, at, "", ask.mailbox.calendar.me)
        made = ask.mailbox.calendar.occurrence(event, at)
        return made.key if ask.immutable else made.id

    def _sorted(self, ask: Ask, events: list[Event]) -> list[Event]:
        if text := ask.request.one("$filter"):
            test, named = parse_filter(text)
            self._known(named)
            events = [one for one in events if test(self._shown(ask, one).value)]
        for piece in reversed([one.split() for one in ask.request.one("$orderby").split(",") if one.strip()]):
            self._known(piece[:1])
            events = sorted(
                events,
                key=lambda one: str(self._shown(ask, one).value(piece[0])),
                reverse=len(piece) > 1 and piece[1].lower() == "desc",
            )
        return events

    def _listed(self, ask: Ask, found: list[Event], path: str, dates: dict[str, str]) -> dict[str, Any]:
        start, size, names = ask.skip(), ask.top(10, 1_000), self._names(ask)
        shown = [self._shown(ask, one).whole(names) for one in found[start : start + size]]
        answer = {"@odata.context": f"{CONTEXT}#users('{ask.mailbox.oid}')/events", "value": shown}
        return answer | _next(ask, path, start, size, len(found), dates)

    def _names(self, ask: Ask) -> tuple[str, ...]:
        names = ask.select(USUAL)
        self._known(names)
        return names

    def _known(self, names: tuple[str, ...] | list[str]) -> None:
        unknown = [one for one in names if one.partition("/")[0] not in NAMES]
        if unknown:
            raise bad_query(
                f"Could not find a property named '{unknown[0]}' on type 'Microsoft.OutlookServices.Event'."
            )

    def _whole(self, ask: Ask, event: Event) -> dict[str, Any]:
        return {"@odata.type": "#microsoft.graph.event"} | self._shown(ask, event).whole(USUAL)

    def _shown(self, ask: Ask, event: Event) -> ShownEvent:
        diary = ask.mailbox.calendar
        veiled = bool(ask.grant.email) and ask.grant.email != diary.me.address
        return ShownEvent(diary, event, ask.immutable, ask.text, ask.zone, veiled)

    def _event(self, ask: Ask) -> Event:
        found = ask.mailbox.calendar.find(ask.ids["event"])
        calendar = self._calendar(ask) if "calendar" in ask.ids else None
        if found is None or (calendar and found.calendar != calendar.id):
            raise no_item()
        return found

    def _calendar(self, ask: Ask) -> Calendar:
        diary = ask.mailbox.calendar
        found = diary.calendars.get(ask.ids.get("calendar") or diary.default)
        if found is None:
            raise no_item()
        return found


def _removed(item: str) -> dict[str, Any]:
    return {"@odata.type": "#microsoft.graph.event", "id": item, "@removed": {"reason": "deleted"}}


def _path(ask: Ask, end: str) -> str:
    return f"{ask.prefix}/calendars/{ask.ids['calendar']}/{end}" if "calendar" in ask.ids else f"{ask.prefix}/{end}"


def _dates(ask: Ask) -> dict[str, str]:
    return {
        name: ask.request.one(name) for name in ask.request.query if name.lower() in ("startdatetime", "enddatetime")
    }


def _window(ask: Ask) -> tuple[datetime, datetime]:
    given = {name.lower(): values[-1] for name, values in ask.request.query.items()}
    try:
        low, high = (datetime.fromtimestamp(read_time(given[one]), UTC) for one in ("startdatetime", "enddatetime"))
    except (KeyError, ValueError):
        raise bad_query(_WINDOW, "ErrorInvalidParameter") from None
    if high < low:
        raise bad_query("The end date must occur after the start date.", "ErrorCalendarEndDateIsEarlierThanStartDate")
    if high - low > LONGEST + timedelta(days=1):
        raise bad_query("Requested time duration is too long.", "ErrorCalendarViewRangeTooBig")
    return low, high


def _next(
    ask: Ask, path: str, start: int, size: int, count: int, dates: dict[str, str] | None = None
) -> dict[str, str]:
    if start + size >= count:
        return {}
    kept = ("$select", "$filter", "$orderby", "$top")
    asked = {name.removeprefix("$"): ask.request.one(name) for name in kept if ask.request.one(name)}
    link = ask.link(path, **asked, skip=str(start + size))
    return {"@odata.nextLink": link + "".join(f"&{n}={v.replace('+', '%2B')}" for n, v in (dates or {}).items())}


def _shown_calendar(one: Calendar) -> dict[str, Any]:
    edits = one.role in ("owner", "write")
    shown = {"id": one.id, "name": one.name, "color": "auto", "hexColor": "", "isDefaultCalendar": one.default}
    shown |= {"changeKey": "DwAAABYA", "canShare": one.role == "owner", "canViewPrivateItems": one.role == "owner"}
    shown |= {"canEdit": edits, "allowedOnlineMeetingProviders": ["teamsForBusiness"], "isRemovable": not one.default}
    shown |= {"defaultOnlineMeetingProvider": "teamsForBusiness", "isTallyingResponses": one.default}
    return shown | {"owner": {"name": one.owner.name or one.owner.address, "address": one.owner.address}}
