"""One Outlook mailbox: messages in folders, and in each folder the log of what came, changed and left.

A message is one object with one key for life, its immutable id; its default id changes with each move. Every verb takes the
mailbox's lock, changes the message and writes the log together.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from sandbox.clock import Clock
from sandbox.mailbox import index_keys
from sandbox.microsoft.folders import Entry, Folder, FolderTree
from sandbox.microsoft.forms import guid, item_id, tenant_of
from sandbox.microsoft.letter import meeting_of
from sandbox.parcel import Envelope, Person, Raw, envelope_of

if TYPE_CHECKING:
    from sandbox.microsoft.diary import Diary
    from sandbox.microsoft.knobs import MicrosoftKnobs


@dataclass(slots=True, eq=False)
class Item:
    """A message. `id` is the default id of now, `ms` when it was received; `serial` is that of its last change."""

    key: str
    id: str
    raw: Raw
    ms: int
    folder: str
    envelope: Envelope
    conversation: str
    depth: int = 0
    serial: int = 0
    created: float = 0.0
    changed: float = 0.0
    read: bool = False
    draft: bool = False
    categories: tuple[str, ...] = ()
    flag: str = "notFlagged"
    meeting: str = ""
    moves: int = 0

    def bytes(self) -> bytes:
        return self.raw if isinstance(self.raw, bytes) else self.raw()


class Listener(Protocol):
    """Told of each change: kind is created, updated or deleted, as seen from the folder."""

    def __call__(self, box: OutlookBox, item: Item, kind: str, folder: str) -> None: ...


@dataclass
class OutlookBox:
    """`enabled` False: no mailbox (no licence, on-premises); `blocked`: an application access policy keeps apps out."""

    email: str
    name: str
    clock: Clock
    knobs: MicrosoftKnobs
    calendar: Diary
    language: str = "en"
    purpose: str = "user"
    enabled: bool = True
    blocked: bool = False
    aliases: list[str] = field(default_factory=list)
    readers: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.email = self.email.lower()
        self.oid, self.tenant = guid("user", self.email), tenant_of(self.email)
        self.lock = threading.RLock()
        self.tree = FolderTree(lambda name: item_id("AQMkAD", self.email, "folder", name), self.language, self._bump)
        self.folders, self.known = self.tree.folders, self.tree.known
        self.items: dict[str, Item] = {}
        self.gone: dict[str, Item] = {}
        self.by_id: dict[str, Item] = {}
        self.by_person: dict[tuple[str, str], list[str]] = {}
        self.by_message_id: dict[str, list[str]] = {}
        self.serial = 1
        self.on_change: Listener | None = None
        self._waiting: list[tuple[float, Item]] = []
        self._made = 0

    def own_addresses(self) -> set[str]:
        return {self.email, *self.aliases}

    def deliver(
        self,
        raw: Raw,
        folder: str | None = None,
        at: float | None = None,
        *,
        read: bool | None = None,
        envelope: Envelope | None = None,
        history: bool = True,
        delay: float | None = None,
    ) -> str:
        """A mail arrives (or was sent); returns its immutable id.

        folder: a well-known name, an id or a path such as "Customers/North" (made when new); default sentitems for mail
        from an own address, else inbox. `at` is receivedDateTime in seconds, default now. history=False is for mail that
        was always there; `delay` seconds pass (default: the knobs') before reads find it.
        """
        if envelope is None:
            envelope = envelope_of(raw if isinstance(raw, bytes) else raw())
        mine = any(sender.address in self.own_addresses() for sender in envelope.senders)
        with self.lock:
            place = self.folders[self.folder(folder or ("sentitems" if mine else "inbox"))]
            sent = place.well_known == "sentitems"
            item = self._item(raw, place, envelope, self.clock.now() if at is None else at)
            item.read = (sent or mine) if read is None else read
            item.draft = place.well_known == "drafts"
            wait = delay if delay is not None else (self.knobs.sent_delay if sent else self.knobs.visibility_delay)
            self._appear(item, wait if history else 0.0, history)
            return item.key

    def send(self, raw: Raw, at: float | None = None, **more: float) -> str:
        """A mail is sent: its copy appears in Sent Items (after the knob sent_delay)."""
        return self.deliver(raw, "sentitems", at, **more)  # type: ignore[arg-type]

    def draft_save(self, raw: bytes, draft_id: str | None = None) -> str:
        """A draft is made, or saved again under its id."""
        if draft_id is None:
            return self.deliver(raw, "drafts", delay=0.0)
        with self.lock:
            item = self.find_or_raise(draft_id)
            item.raw, item.envelope = raw, envelope_of(raw)
            self._index(item)
            self._updated(item, "subject", "bodyPreview", "body", "toRecipients", "ccRecipients", "hasAttachments")
            return item.key

    def draft_send(self, draft_id: str) -> str:
        """The draft moves to Sent Items: its immutable id stays, its default id changes."""
        with self.lock:
            item = self.find_or_raise(draft_id)
            item.draft, item.read = False, True
            self._leave(item)
            item.ms = int(self.clock.now() * 1000)
            item.folder = self.known["sentitems"].id
            self._rename(item)
            self._appear(item, self.knobs.sent_delay, history=True)
            return item.key

    def move(self, item_id: str, folder: str) -> str:
        """Into another folder; returns the immutable id, which stays. Raises KeyError for an unknown message."""
        with self.lock:
            item = self.find_or_raise(item_id)
            target = self.folder(folder)
            if target != item.folder:
                self._leave(item)
                item.folder = target
                self._rename(item)
                self._appear(item, 0.0, history=True)
            return item.key

    def delete(self, item_id: str) -> None:
        """To Deleted Items; from there, for good."""
        item = self.find_or_raise(item_id)
        if item.folder == self.known["deleteditems"].id:
            self.purge(item_id)
        else:
            self.move(item_id, "deleteditems")

    def purge(self, item_id: str) -> None:
        """Gone for good. Raises KeyError for an unknown message."""
        with self.lock:
            item = self.find_or_raise(item_id)
            self._leave(item)
            del self.items[item.key]
            self.by_id.pop(item.id, None)
            self.gone[item.key] = item

    def restore(self, item_id: str) -> str:
        """A message deleted for good comes back into the inbox under its immutable id."""
        with self.lock:
            item = self.gone.pop(item_id)
            item.folder = self.known["inbox"].id
            self._rename(item)
            self._appear(item, 0.0, history=True)
            return item.key

    def mark(self, item_id: str, *, read: bool = True) -> None:
        with self.lock:
            item = self.find_or_raise(item_id)
            if item.read != read:
                item.read = read
                self.folders[item.folder].unread += -1 if read else 1
                self._updated(item, "isRead")

    def categorise(self, item_id: str, *names: str) -> None:
        with self.lock:
            item = self.find_or_raise(item_id)
            item.categories = names
            self._updated(item, "categories")

    def flag(self, item_id: str, status: str = "flagged") -> None:
        """status: notFlagged, flagged or complete."""
        with self.lock:
            item = self.find_or_raise(item_id)
            item.flag = status
            self._updated(item, "flag")

    def folder(self, name: str, *, hidden: bool = False) -> str:
        """The id of a folder: by well-known name, id or path under the root. Folders of a path are made when new."""
        with self.lock:
            return self.tree.id_of(name, hidden=hidden)

    def rename_folder(self, name: str, new: str) -> None:
        with self.lock:
            folder = self.folders[self.folder(name)]
            folder.name = new
            self.tree.note(folder, "updated")

    def move_folder(self, name: str, parent: str) -> None:
        with self.lock:
            folder = self.folders[self.folder(name)]
            folder.parent = self.folder(parent)
            self.tree.note(folder, "updated")

    def drop_folder(self, name: str) -> None:
        """The folder goes, its messages with it (they were in it, they leave it for good)."""
        with self.lock:
            folder = self.folders[self.folder(name)]
            for _, key in list(folder.order):
                self.purge(key)
            self.tree.dropped[folder.id] = self.folders.pop(folder.id)
            self.tree.note(folder, "removed")

    def add_alias(self, address: str) -> None:
        self.aliases.append(address.lower())

    def share_with(self, email: str) -> None:
        """Another user may read this mailbox and its calendar with the .Shared scopes."""
        self.readers.add(email.lower())

    def expire_delta(self, folder: str | None = None) -> None:
        """Delta tokens of a folder (default of all, of the folder tree too) are out of date: 410 from now on."""
        with self.lock:
            for one in self.folders.values() if folder is None else (self.folders[self.folder(folder)],):
                one.generation += 1
            if folder is None:
                self.tree.generation += 1

    def find(self, item_id: str) -> Item | None:
        """The visible message of an immutable id or of its default id of now."""
        self.settle()
        return self.items.get(item_id) or self.by_id.get(item_id)

    def find_or_raise(self, item_id: str) -> Item:
        found = self.find(item_id)
        if found is None:
            waiting = [one for _, one in self._waiting if item_id in (one.key, one.id)]
            raise KeyError(f"{item_id} is not visible yet" if waiting else item_id)
        return found

    def settle(self) -> None:
        """What was delayed and is due appears."""
        if not self._waiting:
            return
        with self.lock:
            now = self.clock.now()
            due = [item for when, item in self._waiting if when <= now]
            self._waiting = [pair for pair in self._waiting if pair[0] > now]
            for item in due:
                self._insert(item)
                self._write(item, "created")

    def _item(self, raw: Raw, place: Folder, envelope: Envelope, at: float) -> Item:
        self._made += 1
        key = item_id("AAkALg", self.email, str(self._made))
        item = Item(key, item_id("AAMkAG", key, "0"), raw, int(at * 1000), place.id, envelope, "")
        item.created = self.clock.now() if at > self.clock.now() else at
        item.changed = item.created
        item.meeting = meeting_of(raw) if isinstance(raw, bytes) else ""
        self._converse(item)
        return item

    def _converse(self, item: Item) -> None:
        for reference in reversed(item.envelope.references):
            for known in self.by_message_id.get(reference, ()):
                other = self.items.get(known) or self.gone.get(known)
                if other:
                    item.conversation, item.depth = other.conversation, other.depth + 1
                    return
        item.conversation = item_id("AAQkAD", item.key)

    def _appear(self, item: Item, delay: float, history: bool) -> None:
        if delay > 0:
            self._waiting.append((self.clock.now() + delay, item))
            self._tell(item, "created")
            return
        self._insert(item)
        if history:
            self._write(item, "created")
            self._tell(item, "created")

    def _insert(self, item: Item) -> None:
        self.items[item.key] = item
        self.by_id[item.id] = item
        folder = self.folders[item.folder]
        folder.insert(item.ms, item.key)
        folder.unread += not item.read
        self._index(item)

    def _index(self, item: Item) -> None:
        """A message may stand in the index more than once, or for what it no longer says: the index only narrows."""
        envelope = item.envelope
        roles = {"from": envelope.senders, "to": envelope.to, "cc": envelope.cc, "bcc": envelope.bcc}
        for role, people in roles.items():
            for key in _keys_of(people):
                self.by_person.setdefault((role, key), []).append(item.key)
        if envelope.message_id:
            self.by_message_id.setdefault(envelope.message_id, []).append(item.key)

    def _leave(self, item: Item) -> None:
        folder = self.folders[item.folder]
        folder.remove(item.ms, item.key)
        folder.unread -= not item.read
        self._write(item, "removed", (item.id,))
        self._tell(item, "deleted")

    def _rename(self, item: Item) -> None:
        self.items.pop(item.key, None)
        self.by_id.pop(item.id, None)
        item.moves += 1
        item.id = item_id("AAMkAG", item.key, str(item.moves))

    def _updated(self, item: Item, *names: str) -> None:
        self._write(item, "updated", names)
        self._tell(item, "updated")

    def _write(self, item: Item, kind: str, names: tuple[str, ...] = ()) -> None:
        item.serial, item.changed = self._bump(), self.clock.now()
        self.folders[item.folder].log.append(Entry(item.serial, item.key, kind, names))

    def _tell(self, item: Item, kind: str) -> None:
        if self.on_change is not None:
            self.on_change(self, item, kind, item.folder)

    def _bump(self) -> int:
        self.serial += 1
        return self.serial


@lru_cache(maxsize=65536)
def _keys_of(people: tuple[Person, ...]) -> frozenset[str]:
    return frozenset(key for person in people for key in index_keys(person.address))
