"""An event as Graph shows it (microsoft.graph.event), and the stubs that calendarView/delta gives for occurrences."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from sandbox.microsoft.diary import Attendee, Diary, Event
from sandbox.microsoft.forms import moment
from sandbox.microsoft.zones import windows_name, written, zone_of

_DAYS = {"MO": "monday", "TU": "tuesday", "WE": "wednesday", "TH": "thursday", "FR": "friday", "SA": "saturday"}
_DAYS["SU"] = "sunday"
_WEEKS = {"1": "first", "2": "second", "3": "third", "4": "fourth", "-1": "last"}
_NEVER = "0001-01-01T00:00:00Z"


@dataclass
class ShownEvent:
    """One event for one request; `veiled`: a reader who may not see what is private. `zone_name` as it was asked for."""

    diary: Diary
    event: Event
    immutable: bool = False
    text: bool = False
    zone_name: str = "UTC"
    veiled: bool = False

    @property
    def id(self) -> str:
        return self.event.key if self.immutable else self.event.id

    @property
    def mine(self) -> bool:
        return self.event.organizer.address == self.diary.me.address

    @property
    def hidden(self) -> bool:
        return self.veiled and self.event.sensitivity in ("private", "confidential")

    def get(self, name: str) -> Any:
        return _PROPERTIES[name](self)

    def value(self, path: str) -> Any:
        found: Any = None
        for at, name in enumerate(path.split("/")):
            found = self.get(name) if at == 0 else (found or {}).get(name)
        return found

    def whole(self, names: Iterable[str]) -> dict[str, Any]:
        shown = {"@odata.etag": f'W/"{self.change_key}"', "id": self.id}
        return shown | {name: self.get(name) for name in names if name in _PROPERTIES and name != "id"}

    def stub(self) -> dict[str, Any]:
        """What a delta tells of an occurrence (A18 of the contract)."""
        shown = {"@odata.type": "#microsoft.graph.event", "@odata.etag": f'W/"{self.change_key}"', "id": self.id}
        shown |= {"seriesMasterId": self.get("seriesMasterId"), "type": "occurrence"}
        return shown | {"start": self.get("start"), "end": self.get("end")}

    @property
    def change_key(self) -> str:
        digest = hashlib.sha256(f"{self.event.key}{self.event.serial}".encode()).digest()
        return "DwAAAB" + base64.b64encode(digest[:15]).decode()

    def time(self, at: datetime) -> dict[str, str]:
        zone = zone_of(self.zone_name) or UTC
        if self.event.all_day:
            return self._day(at, zone)
        return written(at, zone, self.zone_name)

    def _day(self, at: datetime, zone: tzinfo) -> dict[str, str]:
        """Midnight in the zone asked for; with the knob all_day_shifts midnight of the event's own zone, told in that zone."""
        if self.diary.knobs.all_day_shifts:
            own = zone_of(self.event.zone) or UTC
            return written(at.replace(tzinfo=own), zone, self.zone_name)
        return written(at.replace(tzinfo=zone), zone, self.zone_name)

    def attendees(self) -> list[dict[str, Any]]:
        if self.event.hide_attendees and not self.mine:
            return [_attendee(one, self.event.answer) for one in self.event.attendees if self._is_me(one)]
        shown = []
        for one in self.event.attendees:
            answer = one.answer if self.mine else (self.event.answer if self._is_me(one) else "none")
            shown.append(_attendee(one, answer))
        return shown

    def _is_me(self, one: Attendee) -> bool:
        return one.address == self.diary.me.address

    def uid(self) -> str | None:
        kind = self.diary.knobs.ical_uids
        if kind == "null":
            return None
        if kind == "per_occurrence" and self.event.original is not None:
            digits = self.event.original.strftime("%Y%m%d")
            return f"{self.event.uid[:32]}{digits}{self.event.uid[40:]}"
        return self.event.uid

    def body(self) -> dict[str, str]:
        words = "" if self.hidden else self.event.body
        if self.text:
            return {"contentType": "text", "content": words}
        return {"contentType": "html", "content": f"<html><body>{html.escape(words, quote=False)}</body></html>"}

    def join(self) -> dict[str, Any] | None:
        return {"joinUrl": self.event.online_url} if self.event.online_url and not self.hidden else None

    def location(self) -> dict[str, Any]:
        name = "" if self.hidden else self.event.location
        shown = {"displayName": name, "locationType": "default", "uniqueIdType": "unknown"}
        return shown | {"address": {}, "coordinates": {}}

    def master_id(self) -> str | None:
        if not self.event.master:
            return None
        series = self.diary.events.get(self.event.master)
        return self.event.master if self.immutable or series is None else series.id

    def cancelled_occurrences(self) -> list[str]:
        return [f"OID.{self.id}.{at:%Y-%m-%d}" for at in sorted(self.event.removed)]

    def exceptions(self) -> list[dict[str, Any]]:
        found = [self.diary.events[key] for key in self.event.exceptions.values() if key in self.diary.events]
        return [ShownEvent(self.diary, one, self.immutable, self.text, self.zone_name).whole(USUAL) for one in found]


def recurrence(event: Event) -> dict[str, Any] | None:
    """Graph's patternedRecurrence of a series."""
    if not event.rule:
        return None
    parts = dict(part.split("=", 1) for part in event.rule.split(";"))
    zone = zone_of(event.zone) or UTC
    first = event.start.astimezone(UTC if event.all_day else zone)
    pattern = _pattern(parts, first) | {"interval": int(parts.get("INTERVAL", 1)), "firstDayOfWeek": "sunday"}
    limits: dict[str, Any] = {"startDate": first.date().isoformat(), "recurrenceTimeZone": windows_name(event.zone)}
    if "COUNT" in parts:
        limits |= {"type": "numbered", "numberOfOccurrences": int(parts["COUNT"]), "endDate": "0001-01-01"}
    elif "UNTIL" in parts:
        until = datetime.strptime(parts["UNTIL"][:8], "%Y%m%d").replace(tzinfo=UTC)
        limits |= {"type": "endDate", "endDate": until.date().isoformat(), "numberOfOccurrences": 0}
    else:
        limits |= {"type": "noEnd", "endDate": "0001-01-01", "numberOfOccurrences": 0}
    return {"pattern": pattern, "range": limits}


def _pattern(parts: dict[str, str], first: datetime) -> dict[str, Any]:
    days = [one for one in parts.get("BYDAY", "").split(",") if one]
    shown: dict[str, Any] = {"month": 0, "dayOfMonth": 0, "index": "first"}
    if parts["FREQ"] == "DAILY":
        return shown | {"type": "daily"}
    if parts["FREQ"] == "WEEKLY":
        named = [_DAYS[one[-2:]] for one in days] or [list(_DAYS.values())[first.weekday()]]
        return shown | {"type": "weekly", "daysOfWeek": named}
    kind = "Monthly" if parts["FREQ"] == "MONTHLY" else "Yearly"
    month = {"month": first.month} if kind == "Yearly" else {}
    if days:
        index = _WEEKS.get(days[0][:-2], "first")
        return shown | month | {"type": f"relative{kind}", "daysOfWeek": [_DAYS[days[0][-2:]]], "index": index}
    return shown | month | {"type": f"absolute{kind}", "dayOfMonth": int(parts.get("BYMONTHDAY", first.day))}


def _attendee(one: Attendee, answer: str) -> dict[str, Any]:
    shown = {"type": one.type, "status": {"response": answer, "time": _NEVER}}
    return shown | {"emailAddress": {"name": one.name or one.address, "address": one.address}}


def _original_zone(shown: ShownEvent) -> str:
    return windows_name(shown.event.zone)


_PROPERTIES: dict[str, Callable[[ShownEvent], Any]] = {
    "id": lambda e: e.id,
    "createdDateTime": lambda e: moment(e.event.created),
    "lastModifiedDateTime": lambda e: moment(e.event.changed),
    "changeKey": lambda e: e.change_key,
    "categories": lambda e: list(e.event.categories),
    "transactionId": lambda e: None,
    "originalStartTimeZone": _original_zone,
    "originalEndTimeZone": _original_zone,
    "iCalUId": lambda e: e.uid(),
    "reminderMinutesBeforeStart": lambda e: 15,
    "isReminderOn": lambda e: True,
    "hasAttachments": lambda e: False,
    "subject": lambda e: "Private Appointment" if e.hidden else e.event.subject,
    "bodyPreview": lambda e: "" if e.hidden else e.event.body[:255],
    "importance": lambda e: "normal",
    "sensitivity": lambda e: e.event.sensitivity,
    "isAllDay": lambda e: e.event.all_day,
    "isCancelled": lambda e: e.event.cancelled,
    "isOrganizer": lambda e: e.mine,
    "isDraft": lambda e: False,
    "responseRequested": lambda e: True,
    "seriesMasterId": lambda e: e.master_id(),
    "showAs": lambda e: e.event.show_as,
    "type": lambda e: "occurrence" if e.event.master and e.event.key not in e.diary.events else e.event.type,
    "webLink": lambda e: f"https://outlook.office365.com/owa/?itemid={e.event.id[:24]}&exvsurl=1&path=/calendar/item",
    "onlineMeetingUrl": lambda e: None,
    "isOnlineMeeting": lambda e: bool(e.event.online_url),
    "onlineMeetingProvider": lambda e: "teamsForBusiness" if e.event.online_url else "unknown",
    "allowNewTimeProposals": lambda e: True,
    "hideAttendees": lambda e: e.event.hide_attendees,
    "responseStatus": lambda e: {"response": e.event.answer, "time": _NEVER},
    "body": lambda e: e.body(),
    "start": lambda e: e.time(e.event.start),
    "end": lambda e: e.time(e.event.end),
    "originalStart": lambda e: moment(e.event.original.timestamp()) if e.event.original else None,
    "location": lambda e: e.location(),
    "locations": lambda e: [e.location()] if e.event.location and not e.hidden else [],
    "recurrence": lambda e: recurrence(e.event),
    "attendees": lambda e: [] if e.hidden else e.attendees(),
    "organizer": lambda e: {
        "emailAddress": {"name": e.event.organizer.name or e.event.organizer.address}
        | {"address": e.event.organizer.address}
    },
    "onlineMeeting": lambda e: e.join(),
    "cancelledOccurrences": lambda e: e.cancelled_occurrences(),
    "exceptionOccurrences": lambda e: e.exceptions(),
}
NAMES = frozenset(_PROPERTIES)
USUAL = tuple(name for name in _PROPERTIES if name not in ("id", "cancelledOccurrences", "exceptionOccurrences"))
LONGEST = timedelta(days=5 * 366)
"""The widest calendarView."""
