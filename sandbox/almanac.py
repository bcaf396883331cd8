"""The calendars of all accounts: events as Google shows them, their series, and a serial number for each change."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dateutil.rrule import rrulestr

from sandbox.clock import Clock, stamp

if TYPE_CHECKING:
    from sandbox.world import Knobs

Event = dict[str, Any]
FAR = timedelta(days=730)
_LETTERS = "0123456789abcdefghijklmnopqrstuv"


@dataclass
class Calendar:
    """One calendar as one user sees it. `changes` gives each event id the serial number of its last change."""

    id: str
    owner: str
    summary: str
    role: str = "owner"
    primary: bool = False
    zone: str = "Europe/Amsterdam"
    events: dict[str, Event] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    shared: bool = True


class Almanac:
    """Calendars by the address of their user. Events are resources of the Calendar API (v3), kept as they are given."""

    def __init__(self, clock: Clock, knobs: Knobs) -> None:
        self.clock, self.knobs = clock, knobs
        self.calendars: dict[str, dict[str, Calendar]] = {}
        self.serial = 1
        self.issued: dict[int, float] = {}
        self.forgotten = 0
        self.lock = threading.RLock()
        self._chance = random.Random(11)

    def calendar(self, email: str, calendar_id: str = "primary", *, summary: str = "", role: str = "owner") -> Calendar:
        """The calendar, made when it is not there yet. "primary" stands for the user's own address."""
        email = email.lower()
        with self.lock:
            mine = self.calendars.setdefault(email, {})
            key = email if calendar_id == "primary" else calendar_id
            if key not in mine:
                mine[key] = Calendar(key, email, summary or key, role, primary=key == email)
            return mine[key]

    def find(self, email: str, calendar_id: str) -> Calendar | None:
        key = email if calendar_id == "primary" else calendar_id
        found = self.calendars.get(email.lower(), {}).get(key)
        return found if found and found.shared else None

    def put(self, calendar: Calendar, event: Event) -> str:
        """Add or change an event; what is given replaces what was there. Returns its id."""
        with self.lock:
            event_id = event.get("id") or self.new_id()
            before = calendar.events.get(event_id, {})
            now = stamp(self.clock.now())
            filled: Event = {"kind": "calendar#event", "status": "confirmed", "created": now, "eventType": "default"}
            filled |= {"iCalUID": f"{event_id}@google.com", "sequence": 0, "reminders": {"useDefault": True}}
            filled["htmlLink"] = f"https://www.google.com/calendar/event?eid={event_id}"
            merged = filled | before | event | {"id": event_id, "updated": now}
            merged["etag"] = f'"{self._chance.getrandbits(52)}"'
            calendar.events[event_id] = merged
            self._changed(calendar, event_id)
            return event_id

    def cancel(self, calendar: Calendar, event_id: str) -> None:
        """The event ends as `cancelled`; a single occurrence of a series is cancelled by its instance id."""
        with self.lock:
            event = calendar.events.get(event_id)
            if event is None:
                event = self.instance(calendar, event_id)
                if event is None:
                    raise KeyError(event_id)
            self.put(calendar, event | {"status": "cancelled"})

    def change(self, calendar: Calendar, event_id: str, **changes: Any) -> None:
        """Changes of an event, or of one occurrence (which then becomes an exception of its series)."""
        with self.lock:
            event = calendar.events.get(event_id) or self.instance(calendar, event_id)
            if event is None:
                raise KeyError(event_id)
            self.put(calendar, event | changes | {"sequence": event.get("sequence", 0) + 1})

    def drop(self, calendar: Calendar, event_id: str) -> None:
        """Gone without a trace, as events are after a calendar was cleared: no change is reported."""
        with self.lock:
            del calendar.events[event_id]
            del calendar.changes[event_id]

    def meet(
        self, organizer: str, guests: Iterable[str], start: datetime, end: datetime, summary: str, **more: Any
    ) -> str:
        """A meeting in the primary calendar of everybody whose account is here; one id and one UID for all of them."""
        event_id, answers = self.new_id(), more.pop("answers", {})
        names = more.pop("names", {})
        people = [organizer, *(guest for guest in guests if guest != organizer)]
        for email in people:
            if email.lower() in self.calendars:
                attendees = [_attendee(one, organizer, email, answers, names) for one in people]
                shown = {"email": organizer, "self": email == organizer} if email == organizer else {"email": organizer}
                event = {"id": event_id, "summary": summary, "organizer": shown, "creator": {"email": organizer}}
                times = {"start": moment(start), "end": moment(end), "attendees": attendees}
                self.put(self.calendar(email), event | times | more)
        return event_id

    def occurrences(self, calendar: Calendar, master: Event, low: datetime, high: datetime) -> Iterator[Event]:
        """The occurrences of a series that touch [low, high), exceptions in their place, cancelled ones too."""
        start, all_day = read_moment(master["start"])
        length = read_moment(master["end"])[0] - start
        replaced = {
            original_of(event): event
            for event in calendar.events.values()
            if event.get("recurringEventId") == master["id"] and event.get("originalStartTime")
        }
        seen = set()
        for at in _starts(master, start, low - length, high):
            exception = replaced.get(at)
            seen.add(at)
            if exception is not None:
                yield exception
            elif at + length > low and at < high:
                yield _instance(master, at, length, all_day)
        for at, exception in replaced.items():
            if at not in seen and exception.get("start"):
                moved = read_moment(exception["start"])[0]
                if low <= moved < high:
                    yield exception

    def instance(self, calendar: Calendar, instance_id: str) -> Event | None:
        """An occurrence by its id, `<master>_<YYYYMMDD[THHMMSSZ]>`."""
        master_id, _, text = instance_id.rpartition("_")
        master = calendar.events.get(master_id)
        if master is None or not master.get("recurrence"):
            return None
        form = "%Y%m%dT%H%M%SZ" if "T" in text else "%Y%m%d"
        at = datetime.strptime(text, form).replace(tzinfo=UTC)
        around = self.occurrences(calendar, master, at, at + timedelta(seconds=1))
        return next((event for event in around if event["id"] == instance_id), None)

    def token(self) -> str:
        """A sync token for the state of this moment."""
        with self.lock:
            self.issued[self.serial] = self.clock.now()
            return f"CP{self.serial:010d}=="

    def since(self, token: str) -> int | None:
        """The serial number behind a sync token; None when it has expired or never was one."""
        digits = token.removeprefix("CP").removesuffix("==")
        if not digits.isdigit() or int(digits) not in self.issued or int(digits) < self.forgotten:
            return None
        serial = int(digits)
        return serial if self.issued[serial] + self.knobs.sync_token_ttl > self.clock.now() else None

    def expire_tokens(self) -> None:
        """Every sync token so far is out of date."""
        with self.lock:
            self.serial += 1
            self.forgotten = self.serial

    def new_id(self) -> str:
        return "".join(self._chance.choice(_LETTERS) for _ in range(26))

    def _changed(self, calendar: Calendar, event_id: str) -> None:
        self.serial += 1
        calendar.changes.pop(event_id, None)
        calendar.changes[event_id] = self.serial


def moment(at: datetime | date, zone: str = "UTC") -> dict[str, str]:
    """A time as the API writes it; a date (not a datetime) makes an all-day event."""
    if isinstance(at, datetime):
        return {"dateTime": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "timeZone": zone}
    return {"date": at.isoformat()}


def read_moment(value: dict[str, str]) -> tuple[datetime, bool]:
    """(instant, all day); a date is read as midnight UTC."""
    if "date" in value:
        return datetime.fromisoformat(value["date"]).replace(tzinfo=UTC), True
    return datetime.fromisoformat(value["dateTime"].replace("Z", "+00:00")).astimezone(UTC), False


def original_of(event: Event) -> datetime:
    return read_moment(event["originalStartTime"])[0]


def _starts(master: Event, start: datetime, low: datetime, high: datetime) -> list[datetime]:
    rules = [line for line in master.get("recurrence", []) if line.startswith(("RRULE", "EXDATE", "RDATE", "EXRULE"))]
    found = rrulestr("\n".join(rules), dtstart=start, forceset=True)
    return [at for at in found.between(low, min(high, start + FAR * 5), inc=True) if at < high]


def _instance(master: Event, at: datetime, length: timedelta, all_day: bool) -> Event:
    shown = {name: value for name, value in master.items() if name != "recurrence"}
    zone = master["start"].get("timeZone", "UTC")
    begin = moment(at.date() if all_day else at, zone)
    end = moment((at + length).date() if all_day else at + length, zone)
    mark = at.strftime("%Y%m%d" if all_day else "%Y%m%dT%H%M%SZ")
    ids = {"id": f"{master['id']}_{mark}", "recurringEventId": master["id"], "originalStartTime": begin}
    return shown | ids | {"start": begin, "end": end}


def _attendee(one: str, organizer: str, viewer: str, answers: dict[str, str], names: dict[str, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {"email": one, "responseStatus": answers.get(one, "accepted")}
    if names.get(one):
        shown["displayName"] = names[one]
    if one == organizer:
        shown["organizer"] = True
    if one == viewer:
        shown["self"] = True
    return shown
