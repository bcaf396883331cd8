"""What a pretend provider holds, in one shape for all providers, so that bench/truth.py can hold it against what the house says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from connectors.google.calendar import AHEAD
from sandbox.almanac import Almanac, Calendar
from sandbox.mailbox import Stored
from sandbox.parcel import Envelope
from sandbox.series import Event, read_moment
from sandbox.world import World

Shown = tuple[datetime, datetime, str]
"""A meeting: start, end, subject."""
LISTED_BACK = timedelta(days=300)
"""A meeting that was over for longer may have been left out when it was first listed."""


@dataclass(frozen=True)
class Letter:
    """A message. ``place``: present, trash or spam; ``counts``: it is no draft."""

    envelope: Envelope
    place: str
    counts: bool


class Sight(Protocol):
    """``ahead``: how far a calendar is read."""

    ahead: timedelta

    def letters(self) -> dict[str, Letter]:
        """Every message by its id."""
        ...

    def ended(self, key: str) -> set[str]:
        """What may be said of the place of a message that is no more."""
        ...

    def muddled(self) -> bool:
        """Whether the ledger may take spam for trash, or trash for spam: nobody was told of a move between the two."""
        ...

    def behind(self, kind: str, cursor: str, now: datetime) -> list[str]:
        """The ids that a cursor of a mail or calendar source says are behind it; none for one that has expired."""
        ...

    def meetings(self, low: datetime, high: datetime) -> dict[str, Shown]:
        """The meetings with the customer that begin after ``low``, by id, those beyond ``high`` maybe among them."""
        ...


class GmailSight:
    """``Sight`` of one account at the pretend Google."""

    ahead = AHEAD

    def __init__(self, world: World, email: str, customer: str) -> None:
        self._box, self._almanac, self._customer = world.mailbox(email), world.almanac, customer
        self._calendar: Calendar = world.almanac.calendar(email)

    def letters(self) -> dict[str, Letter]:
        return {one.id: Letter(one.envelope, _place(one), _counts(one)) for one in list(self._box.messages.values())}

    def ended(self, key: str) -> set[str]:
        return {"deleted"}

    def muddled(self) -> bool:
        """After a history that has expired nobody lists what was thrown away."""
        return self._box.forgotten > 0

    def behind(self, kind: str, cursor: str, now: datetime) -> list[str]:
        state = json.loads(cursor)
        return self._mail_behind(int(state["h"])) if kind == "mail" else self._events_behind(state, now)

    def _mail_behind(self, at: int) -> list[str]:
        if at < self._box.forgotten:
            return []
        there = [one for one in list(self._box.messages.values()) if _counts(one) and _place(one) == "present"]
        return [one.id for one in there if self._first_seen(one) <= at]

    def _first_seen(self, stored: Stored) -> int:
        """The history id with which a message came into sight, rescued from trash or spam maybe (0: it was there before any)."""
        told = [one for one in self._box.changes if one.message == stored.id]
        seen = [one.id for one in told if one.kind == "messageAdded" or {"TRASH", "SPAM"} & set(one.labels)]
        return seen[-1] if seen else 0

    def _events_behind(self, state: dict[str, Any], now: datetime) -> list[str]:
        digits = str(state.get("sync", "")).removeprefix("CP").removesuffix("==")
        if state.get("page") or not digits.isdigit():
            return []
        return [
            key
            for key, serial in list(self._calendar.changes.items())
            if serial <= int(digits) and _listed(self._calendar.events[key], now)
        ]

    def meetings(self, low: datetime, high: datetime) -> dict[str, Shown]:
        return dict(self._meetings(self._almanac, low, high))

    def _meetings(self, almanac: Almanac, low: datetime, high: datetime) -> Iterator[tuple[str, Shown]]:
        for event in list(self._calendar.events.values()):
            if event.get("recurrence"):
                if event["status"] == "confirmed":
                    shown = almanac.occurrences(self._calendar, event, low, high)
                    yield from ((one["id"], _shown(one)) for one in shown if self._ours(one, low))
            elif self._ours(event, low) and not event.get("recurringEventId"):
                yield event["id"], _shown(event)

    def _ours(self, event: Event, low: datetime) -> bool:
        if event["status"] == "cancelled" or event.get("visibility") == "private":
            return False
        if event.get("eventType", "default") != "default" or read_moment(event["start"])[0] <= low:
            return False
        return any(one["email"] == self._customer for one in event.get("attendees", ()))


def _counts(stored: Stored) -> bool:
    return "DRAFT" not in stored.labels and "CHAT" not in stored.labels


def _place(stored: Stored) -> str:
    return "trash" if "TRASH" in stored.labels else "spam" if "SPAM" in stored.labels else "present"


def _listed(event: Event, now: datetime) -> bool:
    """A plain event that a listing gives under its own id, and that was not over for long when it was first listed."""
    if event.get("recurrence") or event["status"] == "cancelled" or event.get("eventType", "default") != "default":
        return False
    return read_moment(event["end"])[0] > now - LISTED_BACK


def _shown(event: Event) -> Shown:
    return read_moment(event["start"])[0], read_moment(event["end"])[0], str(event.get("summary", ""))
