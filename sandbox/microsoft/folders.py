"""The folders of an Outlook mailbox: the tree that every mailbox has, and the log of changes that a delta reads.

Folders keep their id for life, whatever ids are asked for. Their display names depend on the mailbox's language; what they are
is told by the well-known names in paths only (provider contract 4.3).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field

ROOT = "msgfolderroot"
_TREE = {
    "msgfolderroot": ("", "Top of Information Store", "Oberste Ebene des Informationsspeichers"),
    "inbox": (ROOT, "Inbox", "Posteingang"),
    "drafts": (ROOT, "Drafts", "Entwürfe"),
    "sentitems": (ROOT, "Sent Items", "Gesendete Elemente"),
    "deleteditems": (ROOT, "Deleted Items", "Gelöschte Elemente"),
    "junkemail": (ROOT, "Junk Email", "Junk-E-Mail"),
    "archive": (ROOT, "Archive", "Archiv"),
    "outbox": (ROOT, "Outbox", "Postausgang"),
    "conversationhistory": (ROOT, "Conversation History", "Aufgezeichnete Unterhaltungen"),
    "syncissues": (ROOT, "Sync Issues", "Synchronisierungsprobleme"),
    "conflicts": ("syncissues", "Conflicts", "Konflikte"),
    "localfailures": ("syncissues", "Local Failures", "Lokale Fehler"),
    "serverfailures": ("syncissues", "Server Failures", "Serverfehler"),
    "rss": (ROOT, "RSS Feeds", "RSS-Feeds"),
    "conversationsettings": (ROOT, "Conversation Action Settings", "Einstellungen für QuickSteps"),
    "searchfolders": ("", "Finder", "Finder"),
    "recoverableitemsdeletions": ("", "Deletions", "Deletions"),
}
_NAMELESS = {"rss", "conversationsettings"}
_HIDDEN = {"conversationsettings"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a folder's log: kind is created, updated or removed; `names` the properties that changed."""

    serial: int
    key: str
    kind: str
    names: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Folder:
    """`order` holds (received ms, key) of its messages, oldest first. `generation` and `forgotten` end old delta tokens."""

    id: str
    name: str
    parent: str
    well_known: str = ""
    hidden: bool = False
    serial: int = 0
    generation: int = 1
    unread: int = 0
    order: list[tuple[int, str]] = field(default_factory=list)
    log: list[Entry] = field(default_factory=list)

    def insert(self, ms: int, key: str) -> None:
        insort(self.order, (ms, key))

    def remove(self, ms: int, key: str) -> None:
        del self.order[bisect_left(self.order, (ms, key))]

    def since(self, serial: int, upto: int) -> list[tuple[int, str, list[Entry]]]:
        """(serial of its last entry, key, its entries) of all that changed after `serial`, up to `upto`, in that order."""
        first = bisect_left(self.log, serial + 1, key=lambda entry: entry.serial)
        found: dict[str, list[Entry]] = {}
        for entry in self.log[first:]:
            if entry.serial <= upto:
                found.setdefault(entry.key, []).append(entry)
        return sorted(((entries[-1].serial, key, entries) for key, entries in found.items()), key=lambda one: one[0])


class FolderTree:
    """`log` tells what became of folders, `dropped` holds those that are no more; `bump` gives the mailbox's next serial number. Languages: en, de."""

    def __init__(self, make_id: Callable[[str], str], language: str, bump: Callable[[], int]) -> None:
        self._make_id, self._bump = make_id, bump
        self.folders: dict[str, Folder] = {}
        self.dropped: dict[str, Folder] = {}
        self.log: list[Entry] = []
        self.generation = 1
        for name, (parent, english, german) in _TREE.items():
            shown = german if language == "de" else english
            known = "" if name in _NAMELESS else name
            folder = Folder(make_id(name), shown, make_id(parent) if parent else "", known, name in _HIDDEN)
            self.folders[folder.id] = folder
        self.known = {one.well_known: one for one in self.folders.values() if one.well_known}

    def id_of(self, name: str, *, hidden: bool = False) -> str:
        """By well-known name, id or path under the root; the folders of a path are made when new."""
        if name in self.folders:
            return name
        if name.lower() in self.known:
            return self.known[name.lower()].id
        parent = self.known[ROOT]
        for piece in name.split("/"):
            found = [one for one in self.folders.values() if (one.parent, one.name) == (parent.id, piece)]
            known = self.known.get(piece.lower()) if parent is self.known[ROOT] else None
            parent = found[0] if found else (known or self._made(piece, parent.id, hidden))
        return parent.id

    def note(self, folder: Folder, kind: str) -> None:
        """Something became of a folder: created, updated, removed."""
        folder.serial = self._bump()
        self.log.append(Entry(folder.serial, folder.id, kind))

    def _made(self, name: str, parent: str, hidden: bool) -> Folder:
        made = Folder(self._make_id(f"made {self._bump()}"), name, parent, hidden=hidden)
        self.folders[made.id] = made
        self.note(made, "created")
        return made
