"""What the position in a calendar carries (an opaque cursor): the link to go on with, the window that it looks through, what that
window held, and what is still owed.

Ids and versions are kept as short digests: enough to tell a meeting that was there from one that never was, and one that is
unchanged from one that is not, in some thirty bytes a meeting.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from connectors.errors import CursorExpired

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TRIES = 6
"""Times that what is owed is asked for."""
MOST_OWED = 500


class Seen(NamedTuple):
    """A meeting in the window: its version, when it starts (minutes since 1970), the digest of its series' id."""

    version: str
    start: int
    series: str


@dataclass
class Agenda:
    """``link``: the next page or the next round; empty, the window's first page is to be asked for. ``fresh``: while a window is
    listed, what it held so far (None: a round of changes). ``owed``: ids that could not be read, with the tries so far.
    ``kept``: when the position was stored last."""

    low: datetime
    high: datetime
    link: str = ""
    walking: bool = False
    seen: dict[str, Seen] = field(default_factory=dict)
    fresh: dict[str, Seen] | None = field(default_factory=dict)
    owed: dict[str, int] = field(default_factory=dict)
    kept: datetime = EPOCH

    @classmethod
    def load(cls, cursor: str) -> Agenda:
        """Raises CursorExpired for one that makes no sense."""
        try:
            plain = json.loads(cursor)
            fresh = plain["fresh"]
            return cls(
                low=datetime.fromisoformat(plain["low"]),
                high=datetime.fromisoformat(plain["high"]),
                link=str(plain["link"]),
                walking=bool(plain["walking"]),
                seen={key: Seen(*one) for key, one in plain["seen"].items()},
                fresh=None if fresh is None else {key: Seen(*one) for key, one in fresh.items()},
                owed={str(key): int(tries) for key, tries in plain["owed"].items()},
                kept=datetime.fromisoformat(plain.get("kept") or EPOCH.isoformat()),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            raise CursorExpired(
                "cursor_unreadable", "The stored position in this calendar is unusable; it is listed again."
            ) from None

    def dump(self) -> str:
        """As ``load`` takes it."""
        plain = {name: getattr(self, name).isoformat() for name in ("low", "high", "kept")}
        rest = {name: getattr(self, name) for name in ("link", "walking", "seen", "fresh", "owed")}
        return json.dumps(plain | rest, separators=(",", ":"))

    @property
    def at_rest(self) -> bool:
        """The window was listed, nothing is owed, and the next round of changes has not begun."""
        return self.fresh is None and not self.walking and not self.owed

    def holds(self, item_id: str) -> Seen | None:
        """What is known of a meeting; None for one that was never told of."""
        key = digest(item_id)
        return (self.fresh or {}).get(key) or self.seen.get(key)

    def unchanged(self, event: Mapping[str, Any], start: datetime) -> bool:
        """Whether a fresh list only repeats what was told already."""
        known = self.seen.get(digest(str(event["id"])))
        return known is not None and known.version != "" and known == _seen(event, start)

    def keep(self, event: Mapping[str, Any], start: datetime) -> None:
        """It was told of; ``event`` needs id, version and series only."""
        held = self.seen if self.fresh is None else self.fresh
        held[digest(str(event["id"]))] = _seen(event, start)
        self.owed.pop(str(event["id"]), None)

    def drop(self, item_id: str) -> None:
        """It is no more."""
        for held in (self.seen, self.fresh or {}):
            held.pop(digest(item_id), None)
        self.owed.pop(item_id, None)

    def owe(self, item_id: str) -> None:
        """Ask again in the next round, some times."""
        tries = self.owed.get(item_id, 0) + 1
        if tries > TRIES or len(self.owed) >= MOST_OWED:
            self.owed.pop(item_id, None)
        else:
            self.owed[item_id] = tries

    def series(self) -> set[str]:
        """Digests of the series that had occurrences in the window."""
        return {one.series for one in self.seen.values() if one.series}

    def slide(self, low: datetime, high: datetime) -> None:
        """A new window is to be listed; what this one held is compared with it. Nothing ends because it is not inside."""
        self.low, self.high, self.link, self.fresh = low, high, "", {}

    def settle(self) -> None:
        """The window has been listed. Of what was told before, only what lies ahead of it is still of interest."""
        if self.fresh is not None:
            ahead = {key: one for key, one in self.seen.items() if one.start >= _minutes(self.high)}
            self.seen, self.fresh = ahead | self.fresh, None


def digest(item_id: str) -> str:
    """Eight letters for an id (48 bits)."""
    return base64.urlsafe_b64encode(hashlib.blake2b(item_id.encode(), digest_size=6).digest()).decode()


def _seen(event: Mapping[str, Any], start: datetime) -> Seen:
    version, series = str(event.get("@odata.etag") or ""), str(event.get("seriesMasterId") or "")
    return Seen(digest(version) if version else "", _minutes(start), digest(series) if series else "")


def _minutes(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() // 60)
