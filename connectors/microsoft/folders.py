"""The folders of an Outlook mailbox: which of them hold mail that counts (provider-contract 4.3).

What a folder is for is told by the well-known names that Graph takes in paths, never by its name, which depends on the mailbox's
language; the feeds' folder alone has no such name. A folder is what the nearest folder above it is, itself included, that has a
meaning of its own; so a customer's folder that is thrown away becomes a place for trash with everything in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.items import Place

MEANINGS: dict[str, Place] = {
    "inbox": "mail",
    "sentitems": "mail",
    "archive": "mail",
    "drafts": "draft",
    "outbox": "draft",
    "deleteditems": "trash",
    "recoverableitemsdeletions": "trash",
    "junkemail": "spam",
    "conversationhistory": "chat",
    "syncissues": "chat",
    "conflicts": "chat",
    "localfailures": "chat",
    "serverfailures": "chat",
    "searchfolders": "chat",
}
"""What each well-known folder holds; ``chat`` stands for all that is no mail, sync logs and searches too."""
SELECT = "id,displayName,parentFolderId,totalItemCount,isHidden"
_FEEDS = re.compile(r"rss\b", re.I)
_DEEPEST = 50


@dataclass
class Folders:
    """``known``: well-known name to id. ``parents``: id to the parent's id, of every folder that was told of. ``odd``: ids of
    folders that hold no mail though no well-known name says so."""

    known: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    odd: set[str] = field(default_factory=set)

    def place(self, folder: str) -> Place:
        """What a message in a folder is; an unknown folder is taken for one of the user's own."""
        meanings: dict[str, Place] = {self.known[name]: place for name, place in MEANINGS.items() if name in self.known}
        for _ in range(_DEEPEST):
            if folder in self.odd:
                return "chat"
            if folder in meanings:
                return meanings[folder]
            folder = self.parents.get(folder, "")
        return "mail"

    def is_sent(self, folder: str) -> bool:
        """Whether a folder is, or lies below, the one for sent mail."""
        for _ in range(_DEEPEST):
            if folder and folder == self.known.get("sentitems"):
                return True
            folder = self.parents.get(folder, "")
        return False

    def of_mail(self) -> list[str]:
        """The folders to look into: inbox and sent mail first, then the others in the order in which they came."""
        first = [self.known[name] for name in ("inbox", "sentitems") if name in self.known]
        rest = [one for one in self.parents if one not in first and self.place(one) == "mail"]
        return [one for one in first if one in self.parents or not self.parents] + rest

    def learn(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take in folders as Graph tells of them: new, renamed, moved, or gone."""
        for row in rows:
            folder = str(row.get("id") or "")
            if not folder:
                continue
            if "@removed" in row:
                self.parents.pop(folder, None)
                continue
            self.parents[folder] = str(row.get("parentFolderId") or self.parents.get(folder, ""))
            if row.get("isHidden") or self._is_feed(row):
                self.odd.add(folder)

    def forget_but(self, ids: Iterable[str]) -> None:
        """After a whole list: what is not on it is gone."""
        there = set(ids)
        self.parents = {folder: parent for folder, parent in self.parents.items() if folder in there}

    def to_plain(self) -> dict[str, Any]:
        """As JSON would have it."""
        return {"known": self.known, "parents": self.parents, "odd": sorted(self.odd)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Folders:
        """The reverse. Raises KeyError, TypeError, ValueError."""
        return cls(dict(plain["known"]), dict(plain["parents"]), set(plain["odd"]))

    def _is_feed(self, row: Mapping[str, Any]) -> bool:
        top = self.known.get("msgfolderroot") in ("", None, row.get("parentFolderId"))
        return top and bool(_FEEDS.match(str(row.get("displayName") or "")))
