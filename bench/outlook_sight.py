"""What the pretend Microsoft holds, in the shape of bench/sight.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.sight import LISTED_BACK, Letter, Shown
from connectors.microsoft.calendar import AHEAD
from sandbox.microsoft.diary import Event
from sandbox.microsoft.outlook import Item, OutlookBox
from sandbox.microsoft.tenancy import Microsoft
from sandbox.microsoft.tokens import opened
from sandbox.wire import Refusal

OUT_OF_SIGHT = {"deleteditems": "trash", "junkemail": "spam"}


class OutlookSight:
    """``Sight`` of one mailbox of the pretend Microsoft."""

    ahead: timedelta = AHEAD

    def __init__(self, microsoft: Microsoft, box: OutlookBox, customer: str) -> None:
        self._microsoft, self._box, self._customer = microsoft, box, customer

    def letters(self) -> dict[str, Letter]:
        return {
            key: Letter(item.envelope, self._place(item), not self._draft(item))
            for key, item in list(self._box.items.items())
        }

    def ended(self, key: str) -> set[str]:
        """Nobody looks into the folders for what was thrown away: what was deleted there may be said to lie there still."""
        gone = self._box.gone.get(key)
        return {"deleted"} if gone is None else {"deleted", self._place(gone)} - {"present"}

    def muddled(self) -> bool:
        return False

    def _place(self, item: Item) -> str:
        """A folder that was thrown away took along what is in it."""
        folders = self._box.folders | self._box.tree.dropped
        folder = folders[item.folder]
        while folder.well_known not in OUT_OF_SIGHT and folder.parent in folders:
            folder = folders[folder.parent]
        return OUT_OF_SIGHT.get(folder.well_known, "present")

    def _draft(self, item: Item) -> bool:
        return item.draft or self._box.folders[item.folder].well_known in ("drafts", "outbox")

    def behind(self, kind: str, cursor: str, now: datetime) -> list[str]:
        state = json.loads(cursor)
        return list(self._mail_behind(state) if kind == "mail" else self._events_behind(state, now))

    def _mail_behind(self, state: dict[str, Any]) -> Iterator[str]:
        """What lay in a folder when its delta link was given."""
        reached = {folder: self._reached(str(link), folder) for folder, (link, _, _) in state["p"].items()}
        for key, item in list(self._box.items.items()):
            at = reached.get(item.folder)
            if at is not None and not self._draft(item) and self._came(item) <= at:
                yield key

    def _reached(self, link: str, folder: str) -> int | None:
        generation = self._box.folders[folder].generation if folder in self._box.folders else 0
        return self._known_until(link, f"messages {folder}", generation)

    def _came(self, item: Item) -> int:
        """The serial with which it came into its folder (0: it was always there)."""
        log = self._box.folders[item.folder].log
        return max((one.serial for one in log if one.key == item.key and one.kind == "created"), default=0)

    def _events_behind(self, state: dict[str, Any], now: datetime) -> Iterator[str]:
        diary = self._box.calendar
        generation = diary.calendars[diary.default].generation
        at = self._known_until(str(state["link"]), f"events {diary.default}", generation)
        if at is None:
            return
        low = max(now - LISTED_BACK, datetime.fromisoformat(state["low"]))
        high = datetime.fromisoformat(state["high"])
        for key, event in list(diary.events.items()):
            inside = event.calendar == diary.default and event.end > low and event.start < high
            if inside and event.serial <= at and not event.rule and not event.master and not event.cancelled:
                yield key

    def _known_until(self, link: str, resource: str, generation: int) -> int | None:
        """The serial up to which a delta link says that all is known; None for a link inside a round, or one that ended."""
        tokens = parse_qs(urlsplit(link).query).get("$deltatoken")
        if not tokens:
            return None
        try:
            return opened(tokens[0], resource, generation, self._microsoft).upto
        except Refusal:
            return None

    def meetings(self, low: datetime, high: datetime) -> dict[str, Shown]:
        diary = self._box.calendar
        found = diary.between(diary.default, low, high)
        return {one.key: (one.start, one.end, one.subject) for one in found if self._ours(one) and one.start > low}

    def _ours(self, event: Event) -> bool:
        if event.cancelled or event.sensitivity != "normal":
            return False
        return self._customer in {event.organizer.address, *(one.address for one in event.attendees)}
