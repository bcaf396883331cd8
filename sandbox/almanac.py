"""The calendars of all accounts: events as Google shows them, their series, and a serial number for each change."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.clock import Clock, stamp
from sandbox.series import Event, ended_before, instance_of, moment, original_of, read_mark, read_moment, starts

if TYPE_CHECKING:
    from sandbox.world import Knobs

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
        self.on_change: Callable[[Calendar], None] | None = None
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
            for other in list(calendar.events.values()):
                if other.get("recurringEventId") == event_id and other["status"] != "cancelled":
                    self.put(calendar, other | {"status": "cancelled"})

    def change(self, calendar: Calendar, event_id: str, **changes: Any) -> None:
        """Changes of an event, or of one occurrence (which then becomes an exception of its series)."""
        with self.lock:
            event = calendar.events.get(event_id) or self.instance(calendar, event_id)
            if event is None:
                raise KeyError(event_id)
            self.put(calendar, event | changes | {"sequence": event.get("sequence", 0) + 1})

    def split(self, calendar: Calendar, event_id: str, at: datetime, **changes: Any) -> str:
        """ "This and following": the series ends before `at`, and a new one with the changes begins there. Its new id."""
        with self.lock:
            master = calendar.events[event_id]
            begin, length = read_moment(master["start"])[0], read_moment(master["end"])[0]
            end = moment(at + (length - begin), master["start"].get("timeZone", "UTC"))
            mark = at.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
            fresh = {name: value for name, value in master.items() if name not in ("id", "etag", "created", "htmlLink")}
            fresh |= {"start": moment(at, master["start"].get("timeZone", "UTC")), "end": end, "sequence": 0}
            fresh["iCalUID"] = master["iCalUID"].replace("@", f"_R{mark}@", 1)
            self.change(calendar, event_id, recurrence=ended_before(master, at))
            return self.put(calendar, fresh | changes)

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
        length = read_moment(master["end"])[0] - read_moment(master["start"])[0]
        high = min(high, datetime.fromtimestamp(self.clock.now(), UTC) + FAR * 5)
        replaced = {
            original_of(event): event
            for event in calendar.events.values()
            if event.get("recurringEventId") == master["id"] and event.get("originalStartTime")
        }
        for at in starts(master, low - length, high):
            if at not in replaced and at + length > low:
                yield instance_of(master, at)
        for exception in replaced.values():
            begin, end = (read_moment(exception[name])[0] for name in ("start", "end"))
            if end > low and begin < high:
                yield exception

    def instance(self, calendar: Calendar, instance_id: str) -> Event | None:
        """An occurrence by its id, `<master>_<YYYYMMDD[THHMMSSZ]>`."""
        master_id, _, text = instance_id.rpartition("_")
        master = calendar.events.get(master_id)
        if master is None or not master.get("recurrence"):
            return None
        if instance_id in calendar.events:
            return calendar.events[instance_id]
        at = read_mark(text)
        return instance_of(master, at) if at and starts(master, at, at + timedelta(seconds=1)) else None

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
        if self.on_change is not None:
            self.on_change(calendar)


def _attendee(one: str, organizer: str, viewer: str, answers: dict[str, str], names: dict[str, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {"email": one, "responseStatus": answers.get(one, "accepted")}
    if names.get(one):
        shown["displayName"] = names[one]
    if one == organizer:
        shown["organizer"] = True
    if one == viewer:
        shown["self"] = True
    return shown
