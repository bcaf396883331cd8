"""The calendars of one Outlook mailbox: events, series, and the log of changes that calendarView/delta reads.

An event is one object with one key for life (its immutable id). An occurrence of a series has an id of its own although it is
kept nowhere; changed by itself it becomes an event under that same id, an exception.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.clock import Clock
from sandbox.microsoft.forms import item_id
from sandbox.series import moment as google_moment
from sandbox.series import starts

if TYPE_CHECKING:
    from sandbox.microsoft.knobs import MicrosoftKnobs


@dataclass(frozen=True, slots=True)
class Attendee:
    """type: required, optional or resource; answer: none, accepted, tentativelyAccepted, declined, notResponded."""

    address: str
    name: str = ""
    type: str = "required"
    answer: str = "none"


@dataclass(frozen=True, slots=True)
class Span:
    """When an event or a series is: `rule` is an RRULE without its name, "" for a single event."""

    start: datetime
    end: datetime
    zone: str
    rule: str
    all_day: bool

    def begins(self, low: datetime, high: datetime) -> list[datetime]:
        """The beginnings of what touches [low, high)."""
        length = self.end - self.start
        if not self.rule:
            return [self.start] if self.end > low and self.start < high else []
        first = self.start.date() if self.all_day else self.start
        given = google_moment(first, self.zone)
        found = starts({"start": given, "end": given, "recurrence": [f"RRULE:{self.rule}"]}, low - length, high)
        return [at for at in found if at + length > low]


@dataclass(slots=True, eq=False)
class Event:
    """`answer` is the mailbox owner's own; `removed` and `exceptions` concern occurrences of a series by their beginning."""

    key: str
    id: str
    calendar: str
    subject: str
    start: datetime
    end: datetime
    uid: str
    organizer: Attendee
    number: int = 0
    zone: str = "Europe/Amsterdam"
    all_day: bool = False
    rule: str = ""
    attendees: tuple[Attendee, ...] = ()
    answer: str = "none"
    body: str = ""
    location: str = ""
    online_url: str = ""
    sensitivity: str = "normal"
    show_as: str = "busy"
    cancelled: bool = False
    hide_attendees: bool = False
    categories: tuple[str, ...] = ()
    master: str = ""
    original: datetime | None = None
    removed: set[datetime] = field(default_factory=set)
    exceptions: dict[datetime, str] = field(default_factory=dict)
    serial: int = 0
    created: float = 0.0
    changed: float = 0.0

    @property
    def span(self) -> Span:
        return Span(self.start, self.end, self.zone, self.rule, self.all_day)

    @property
    def type(self) -> str:
        return "seriesMaster" if self.rule else ("exception" if self.master else "singleInstance")


@dataclass(frozen=True, slots=True)
class Noted:
    """A line of the log: kind changed, removed or gone (an occurrence); `before` is when it was until then."""

    serial: int
    calendar: str
    key: str
    id: str
    kind: str
    before: Span | None = None


@dataclass(slots=True, eq=False)
class Calendar:
    """`role`: owner, write, read or freeBusyRead, for calendars that another person shares."""

    id: str
    name: str
    owner: Attendee
    default: bool = False
    role: str = "owner"
    generation: int = 1


@dataclass
class Diary:
    email: str
    name: str
    clock: Clock
    knobs: MicrosoftKnobs

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.me = Attendee(self.email.lower(), self.name)
        self.events: dict[str, Event] = {}
        self.by_id: dict[str, str] = {}
        self.occurrences: dict[str, tuple[str, datetime]] = {}
        self.log: list[Noted] = []
        self.serial = 1
        self.on_change: Callable[[Diary, Event, str], None] | None = None
        self.calendars: dict[str, Calendar] = {}
        self._made = 0
        self.default = self.calendar("Calendar")
        self.calendars[self.default].default = True

    def calendar(self, name: str, *, owner: Attendee | None = None, role: str = "owner") -> str:
        """The id of a calendar by its name, made when it is not there yet."""
        for one in self.calendars.values():
            if one.name == name:
                return one.id
        made = Calendar(item_id("AAMkADca", self.email, name), name, owner or self.me, role=role)
        self.calendars[made.id] = made
        return made.id

    def drop_calendar(self, calendar_id: str) -> None:
        """The calendar goes, or is no longer shared; its events go with it."""
        with self.lock:
            for event in [one for one in self.events.values() if one.calendar == calendar_id]:
                self.events.pop(event.key)
            del self.calendars[calendar_id]

    def put(
        self, subject: str, start: datetime | date, end: datetime | date, *, calendar: str | None = None, **fields: Any
    ) -> str:
        """A new event; dates (not datetimes) make it last whole days. `fields` are those of Event, attendees may be addresses.

        Without an organizer it is the owner's own. Returns the key, which is the immutable id.
        """
        all_day = not isinstance(start, datetime)
        with self.lock:
            self._made += 1
            key = item_id("AAkALgEv", self.email, str(self._made))
            organizer = _person(fields.pop("organizer", self.me))
            attendees = tuple(_person(one) for one in fields.pop("attendees", ()))
            own = "organizer" if organizer.address == self.me.address else "notResponded"
            given = {"all_day": all_day, "answer": own, "uid": fields.pop("uid", _uid(key)), "number": self._made}
            event = Event(
                key,
                item_id("AAMkADEv", key, "0"),
                calendar or self.default,
                subject,
                _instant(start),
                _instant(end),
                organizer=organizer,
                attendees=attendees,
                created=self.clock.now(),
                **(given | fields),
            )
            self._keep(event)
            self._note(event, "changed", None, "created")
            return key

    def change(self, event_id: str, **fields: Any) -> str:
        """Changes of an event, a series, or one occurrence (which becomes an exception). Raises KeyError."""
        with self.lock:
            event, before = self._found(event_id), None
            if "start" in fields:
                length = event.end - event.start
                fields["start"] = _instant(fields["start"])
                fields["end"] = _instant(fields["end"]) if "end" in fields else fields["start"] + length
            if "attendees" in fields:
                fields["attendees"] = tuple(_person(one) for one in fields["attendees"])
            if event.key in self.events:
                before = event.span
            for name, value in fields.items():
                setattr(event, name, value)
            self._keep(event)
            self._note(event, "changed", before, "updated")
            return event.key

    def cancel(self, event_id: str) -> str:
        """The organizer called it off: it stays, as cancelled, until its owner removes it. Raises KeyError."""
        event = self._found(event_id)
        subject = event.subject if event.subject.startswith("Canceled: ") else f"Canceled: {event.subject}"
        return self.change(event_id, cancelled=True, show_as="free", subject=subject)

    def remove(self, event_id: str) -> None:
        """Out of the calendar, without a trace there. An occurrence is taken out of its series, which lives on."""
        with self.lock:
            event = self._found(event_id)
            if event.key in self.events:
                self.events.pop(event.key)
                self.by_id.pop(event.id, None)
                self._note(event, "removed", event.span, "deleted")
            if event.master and event.original and event.master in self.events:
                self.events[event.master].removed.add(event.original)
                self.events[event.master].exceptions.pop(event.original, None)
                if not self.knobs.silent_cancellation:
                    self._note(event, "gone", event.span, "deleted")
            for key in list(event.exceptions.values()):
                self.events.pop(key, None)

    def move(self, event_id: str, calendar: str) -> str:
        """Into another calendar: the immutable id stays, the default id changes."""
        with self.lock:
            event = self._found(event_id)
            self._note(event, "removed", event.span, "deleted")
            self.by_id.pop(event.id, None)
            event.calendar, event.id = calendar, item_id("AAMkADEv", event.key, str(self.serial))
            self._keep(event)
            self._note(event, "changed", None, "created")
            return event.key

    def find(self, event_id: str) -> Event | None:
        """An event by either of its ids; an occurrence as the event it would be."""
        found = self.events.get(event_id) or self.events.get(self.by_id.get(event_id, ""))
        if found is None and event_id in self.occurrences:
            key, at = self.occurrences[event_id]
            series = self.events.get(key)
            if series is None or at in series.removed or not _falls(series, at):
                return None
            if at in series.exceptions:
                return self.events.get(series.exceptions[at])
            return self.occurrence(series, at)
        return found

    def occurrence(self, series: Event, at: datetime) -> Event:
        """One occurrence of a series, with ids that find it again."""
        key, shown = item_id("AAkALgOc", series.key, at.isoformat()), item_id("AAMkADOc", series.key, at.isoformat())
        self.occurrences[key] = self.occurrences[shown] = (series.key, at)
        made = replace(series, key=key, id=shown, start=at, end=at + (series.end - series.start), rule="")
        made.master, made.original, made.removed, made.exceptions = series.key, at, set(), {}
        return made

    def within(self, series: Event, low: datetime, high: datetime) -> Iterator[Event]:
        """What a series is in [low, high): its occurrences and exceptions, in order."""
        found = [
            self.occurrence(series, at)
            for at in series.span.begins(low, high)
            if at not in series.removed and at not in series.exceptions
        ]
        changed = [self.events[key] for key in series.exceptions.values() if key in self.events]
        found += [one for one in changed if one.end > low and one.start < high]
        yield from sorted(found, key=lambda one: (one.start, one.key))

    def between(self, calendar: str, low: datetime, high: datetime) -> list[Event]:
        """Single events, occurrences and exceptions that touch [low, high), by their beginning."""
        found: list[Event] = []
        for event in list(self.events.values()):
            if event.calendar == calendar and not event.master:
                found += self.within(event, low, high) if event.rule else [event] * bool(event.span.begins(low, high))
        return sorted(found, key=lambda one: (one.start, one.key))

    def expire_delta(self) -> None:
        """Every delta token of these calendars is out of date."""
        for one in self.calendars.values():
            one.generation += 1

    def _found(self, event_id: str) -> Event:
        found = self.find(event_id)
        if found is None:
            raise KeyError(event_id)
        return found

    def _keep(self, event: Event) -> None:
        self.events[event.key] = event
        self.by_id[event.id] = event.key
        if event.master and event.original and event.master in self.events:
            self.events[event.master].exceptions[event.original] = event.key

    def _note(self, event: Event, kind: str, before: Span | None, told: str) -> None:
        self.serial += 1
        event.serial, event.changed = self.serial, self.clock.now()
        self.log.append(Noted(self.serial, event.calendar, event.key, event.id, kind, before))
        if self.on_change is not None:
            self.on_change(self, event, told)


def _falls(series: Event, at: datetime) -> bool:
    """Whether a series (still) has an occurrence, or an exception in its place, that begins then."""
    second = timedelta(seconds=1)
    return at in series.exceptions or at in series.span.begins(at - second, at + second)


def _instant(at: datetime | date) -> datetime:
    if not isinstance(at, datetime):
        return datetime(at.year, at.month, at.day, tzinfo=UTC)
    return at.astimezone(UTC)


def _person(given: Any) -> Attendee:
    return given if isinstance(given, Attendee) else Attendee(str(given).lower())


def _uid(key: str) -> str:
    """The shape of Exchange's own UIDs (MS-OXOCAL 2.2.1.27)."""
    return "040000008200E00074C5B7101A82E008" + key.encode().hex().upper()[-80:]
