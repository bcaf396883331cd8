"""Where we are in an Outlook mailbox: one link for its tree of folders, one for each folder (provider-contract 4.3).

All of it is one cursor, because all of it is one mailbox: with immutable ids a message keeps its id in whatever folder it lies, so
that a move is a change of place and never a second item. A folder without a link has its first round before it; ``since`` is the
last good moment of one whose link had expired, so that what did not change since is only named, not read again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors.errors import CursorExpired
from connectors.microsoft.folders import Folders
from connectors.microsoft.message import moment

EACH_TIME = 50
"""Folders that are looked at in one cycle besides the first two; in a larger tree they take turns."""
RENEWED_AFTER = timedelta(hours=1)
"""An idle look leaves the position as it was; after so long its new links are kept all the same, so that none grows old."""


@dataclass
class Place:
    """One folder's. ``walking``: its first round is not over."""

    link: str = ""
    walking: bool = True
    since: str = ""


@dataclass
class Position:
    """``todo``: the folders that this cycle has not reached; ``turn`` says whose turn it is in a large tree; ``at`` when the
    position was kept last; ``whole``: the first rounds that it began with are over."""

    folders: Folders = field(default_factory=Folders)
    tree: str = ""
    places: dict[str, Place] = field(default_factory=dict)
    todo: list[str] = field(default_factory=list)
    turn: int = 0
    at: str = ""
    whole: bool = True

    def dump(self) -> str:
        """As a cursor."""
        places = {folder: [one.link, int(one.walking), one.since] for folder, one in self.places.items()}
        plain = {
            "f": self.folders.to_plain(),
            "t": self.tree,
            "p": places,
            "d": self.todo,
            "n": self.turn,
            "a": self.at,
            "w": int(self.whole),
        }
        return json.dumps(plain, separators=(",", ":"))

    @classmethod
    def load(cls, cursor: str) -> Position:
        """Raises CursorExpired for what is none."""
        try:
            plain = json.loads(cursor)
            places = {str(key): Place(str(link), bool(w), str(since)) for key, (link, w, since) in plain["p"].items()}
            found = cls(Folders.from_plain(plain["f"]), plain["t"], places, list(plain["d"]), int(plain["n"]))
            found.at = moment(plain["a"]).isoformat()
            found.whole = bool(plain.get("w", True))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CursorExpired(
                "cursor_unreadable", "The stored position in this mailbox is unusable; the gap is read again."
            ) from None
        return found

    @property
    def cycle_over(self) -> bool:
        return not self.todo

    def becomes_whole(self) -> bool:
        """Whether the last of the first rounds is over now, and was not before."""
        if self.whole or any(place.walking for place in self.places.values()):
            return False
        self.whole = True
        return True

    def settle_folders(self) -> bool:
        """Keep places for the folders that hold mail, and for no others. True: a folder that was read is among those no more."""
        there = self.folders.of_mail()
        left = [folder for folder in self.places if folder not in there]
        self.places = {folder: self.places.get(folder) or Place() for folder in there}
        self.todo = [folder for folder in self.todo if folder in self.places]
        return bool(left)

    def begin_cycle(self) -> None:
        """Whom to look at: what is still in its first round, inbox, sent mail, and the others in turn."""
        order = list(self.places)
        first = [folder for folder in order if self.places[folder].walking or folder in order[:2]]
        rest = [folder for folder in order if folder not in first]
        if len(rest) > EACH_TIME:
            start = self.turn % len(rest)
            rest = [*rest[start:], *rest[:start]][:EACH_TIME]
            self.turn = start + EACH_TIME
        self.todo = first + rest

    def start_over(self, folder: str) -> None:
        """A folder's link is no good: its next look begins its first round again. What had been read to the end is only named
        as far as it did not change since; what had not is read."""
        known = self.places[folder]
        self.places[folder] = Place(since=known.since if known.walking else self.at)

    def is_old(self, now: datetime) -> bool:
        return now - moment(self.at) > RENEWED_AFTER
