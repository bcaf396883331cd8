"""One Gmail mailbox: messages, threads, labels, drafts and the history of their changes.

Every verb takes the mailbox's lock, changes the messages and writes the history record together. History ids rise by random
steps, as Gmail's do. A message deleted for good is remembered aside, so that `undelete` can bring it back.
"""

from __future__ import annotations

import random
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from sandbox.parcel import Envelope, Person, Raw, envelope_of, plain_subject

if TYPE_CHECKING:
    from sandbox.world import Knobs

from sandbox.clock import Clock

SYSTEM_LABELS = (
    *("INBOX", "SENT", "DRAFT", "SPAM", "TRASH", "UNREAD", "STARRED", "IMPORTANT", "CHAT"),
    *("CATEGORY_PERSONAL", "CATEGORY_SOCIAL", "CATEGORY_PROMOTIONS", "CATEGORY_UPDATES", "CATEGORY_FORUMS"),
)
_SETS: dict[frozenset[str], frozenset[str]] = {}


def label_set(labels: Iterable[str]) -> frozenset[str]:
    wanted = frozenset(labels)
    return _SETS.setdefault(wanted, wanted)


@dataclass(slots=True, eq=False)
class Stored:
    """A message in a mailbox. `ms` is Gmail's internalDate; `seen_from` when reads begin to find it."""

    id: str
    thread: str
    raw: Raw
    ms: int
    labels: frozenset[str]
    envelope: Envelope
    history: int
    seen_from: float = 0.0

    def bytes(self) -> bytes:
        return self.raw if isinstance(self.raw, bytes) else self.raw()


@dataclass(frozen=True, slots=True)
class Change:
    """A history record: kind is messageAdded, messageDeleted, labelAdded or labelRemoved."""

    id: int
    kind: str
    message: str
    thread: str
    labels: tuple[str, ...]
    at: float


@dataclass(slots=True)
class SendAs:
    address: str
    name: str = ""
    primary: bool = False
    status: str = "accepted"


@dataclass
class Mailbox:
    email: str
    name: str
    clock: Clock
    knobs: Knobs
    aliases: list[SendAs] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.email = self.email.lower()
        self.lock = threading.RLock()
        self.messages: dict[str, Stored] = {}
        self.order: list[tuple[int, str]] = []
        self.threads: dict[str, list[str]] = {}
        self.by_label: dict[str, set[str]] = {}
        self.by_person: dict[tuple[str, str], list[str]] = {}
        self.by_message_id: dict[str, list[str]] = {}
        self.names: dict[str, str] = {name: name for name in SYSTEM_LABELS}
        self.drafts: dict[str, str] = {}
        self.changes: list[Change] = []
        self.gone: dict[str, Stored] = {}
        self.forgotten = 0
        self.history = 10_000
        self.on_change: Callable[[Mailbox, Change], None] | None = None
        self._chance = random.Random(self.email)
        self._serial = 0
        self.aliases.insert(0, SendAs(self.email, self.name, primary=True))

    def own_addresses(self) -> set[str]:
        return {alias.address.lower() for alias in self.aliases}

    def deliver(
        self,
        raw: Raw,
        labels: Iterable[str] | None = None,
        at: float | None = None,
        thread: str | None = None,
        *,
        envelope: Envelope | None = None,
        history: bool = True,
    ) -> str:
        """A mail arrives (or was sent); returns its id.

        labels default to SENT for mail from an own address, else INBOX and UNREAD; `at` is the internal date in seconds,
        default now; `envelope` spares the parsing of a mail that is made on demand (`raw` a function); history=False is
        for mail that was always there.
        """
        if envelope is None:
            envelope = envelope_of(raw if isinstance(raw, bytes) else raw())
        if labels is None:
            mine = any(sender.address in self.own_addresses() for sender in envelope.senders)
            labels = ("SENT",) if mine else ("INBOX", "UNREAD")
        with self.lock:
            ids = self._label_ids(labels)
            when = self.clock.now() if at is None else at
            message_id = self._new_id(int(when * 1000))
            stored = Stored(message_id, "", raw, int(when * 1000), ids, envelope, self.history)
            if history and self.knobs.visibility_delay:
                stored.seen_from = self.clock.now() + self.knobs.visibility_delay
            stored.thread = thread or self._thread_for(stored)
            self._insert(stored)
            if history:
                self._write("messageAdded", stored, tuple(sorted(ids)))
            return message_id

    def label(self, message_id: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Labels by id or name; an unknown name makes a new label. Raises KeyError for an unknown message."""
        with self.lock:
            stored = self.messages[message_id]
            added = self._label_ids(add) - stored.labels
            removed = self._label_ids(remove) & stored.labels
            stored.labels = label_set((stored.labels | added) - removed)
            for name in added:
                self.by_label.setdefault(name, set()).add(message_id)
            for name in removed:
                self.by_label[name].discard(message_id)
            if added:
                self._write("labelAdded", stored, tuple(sorted(added)))
            if removed:
                self._write("labelRemoved", stored, tuple(sorted(removed)))

    def trash(self, message_id: str) -> None:
        self.label(message_id, ["TRASH"], ["INBOX"])

    def untrash(self, message_id: str) -> None:
        self.label(message_id, [], ["TRASH"])

    def spam(self, message_id: str) -> None:
        self.label(message_id, ["SPAM"], ["INBOX"])

    def delete(self, message_id: str) -> None:
        """Removed for good (not the same as trash). Raises KeyError for an unknown message."""
        with self.lock:
            stored = self.messages[message_id]
            self._remove(stored)
            self.gone[message_id] = stored
            self._write("messageDeleted", stored, tuple(sorted(stored.labels)))

    def undelete(self, message_id: str) -> None:
        """An administrator restores a deleted message under its old id and date."""
        with self.lock:
            stored = self.gone.pop(message_id)
            self._insert(stored)
            self._write("messageAdded", stored, tuple(sorted(stored.labels)))

    def draft_save(self, raw: Raw, draft_id: str | None = None) -> str:
        """Each save makes a new message id and deletes the old one; returns the draft id, which stays."""
        with self.lock:
            thread = None
            if draft_id and draft_id in self.drafts:
                before = self.messages[self.drafts[draft_id]]
                fresh = envelope_of(raw if isinstance(raw, bytes) else raw())
                same = plain_subject(fresh.subject) == plain_subject(before.envelope.subject)
                thread = before.thread if same else None
                self.delete(before.id)
            draft_id = draft_id or f"r{self._chance.getrandbits(62)}"
            self.drafts[draft_id] = self.deliver(raw, ["DRAFT"], thread=thread)
            return draft_id

    def draft_send(self, draft_id: str) -> str:
        """The draft's message is deleted and a new message with SENT appears; returns the new id."""
        with self.lock:
            stored = self.messages[self.drafts.pop(draft_id)]
            self.delete(stored.id)
            return self.deliver(stored.raw, ["SENT"], thread=stored.thread, envelope=stored.envelope)

    def add_alias(self, address: str, name: str = "", status: str = "accepted") -> None:
        self.aliases.append(SendAs(address.lower(), name, status=status))

    def find(self, message_id: str) -> Stored | None:
        """The message if it exists and is already visible."""
        stored = self.messages.get(message_id)
        return stored if stored and self.visible(stored) else None

    def visible(self, stored: Stored) -> bool:
        return not stored.seen_from or stored.seen_from <= self.clock.now()

    def newest_first(self, before: tuple[int, str] | None, low_ms: int | None, high_ms: int | None) -> Iterable[Stored]:
        """Messages older than the position `before`, from high_ms (exclusive) down to low_ms (inclusive)."""
        end = len(self.order) if high_ms is None else bisect_left(self.order, (high_ms, ""))
        if before is not None:
            end = min(end, bisect_left(self.order, before))
        start = 0 if low_ms is None else bisect_left(self.order, (low_ms, ""))
        for at in range(end - 1, start - 1, -1):
            yield self.messages[self.order[at][1]]

    def changes_after(self, start: int) -> list[Change] | None:
        """Readable history records after `start`, oldest first; None when `start` is expired, too high or no cursor."""
        self._forget()
        if start < self.forgotten or start > self.history:
            return None
        readable = self.readable_history()
        first = bisect_right(self.changes, start, key=lambda change: change.id)
        return [change for change in self.changes[first:] if change.id <= readable]

    def readable_history(self) -> int:
        """The newest history id that reads may know of (knob history_delay holds the last ones back)."""
        delay = self.knobs.history_delay
        if not delay:
            return self.history
        for change in reversed(self.changes):
            if change.at + delay <= self.clock.now():
                return change.id
        return self.changes[0].id - 1 if self.changes else self.history

    def expire_history(self) -> None:
        """Forget every record so far: any cursor taken before now is out of date."""
        with self.lock:
            self._bump()
            self.forgotten = self.history
            self.changes.clear()

    def label_named(self, name: str) -> str | None:
        wanted = name.lower().replace(" ", "-").replace("/", "-")
        for label_id, shown in self.names.items():
            if wanted in (label_id.lower(), shown.lower().replace(" ", "-").replace("/", "-")):
                return label_id
        return None

    def _forget(self) -> None:
        limit = self.clock.now() - self.knobs.history_ttl
        if self.changes and self.changes[0].at < limit:
            kept = bisect_left(self.changes, limit, key=lambda change: change.at)
            self.forgotten = max(self.forgotten, self.changes[kept - 1].id)
            del self.changes[:kept]

    def _insert(self, stored: Stored) -> None:
        self.messages[stored.id] = stored
        insort(self.order, (stored.ms, stored.id))
        if stored.thread in self.threads:
            insort(self.threads[stored.thread], stored.id, key=lambda one: (self.messages[one].ms, one))
        else:
            self.threads[stored.thread] = [stored.id]
        for name in stored.labels:
            self.by_label.setdefault(name, set()).add(stored.id)
        envelope = stored.envelope
        for role, people in (
            ("from", envelope.senders),
            ("to", envelope.to),
            ("cc", envelope.cc),
            ("bcc", envelope.bcc),
        ):
            for key in _keys_of(people):
                self.by_person.setdefault((role, key), []).append(stored.id)
        if envelope.message_id:
            self.by_message_id.setdefault(envelope.message_id, []).append(stored.id)

    def _remove(self, stored: Stored) -> None:
        del self.messages[stored.id]
        del self.order[bisect_left(self.order, (stored.ms, stored.id))]
        self.threads[stored.thread].remove(stored.id)
        if not self.threads[stored.thread]:
            del self.threads[stored.thread]
        for name in stored.labels:
            self.by_label[name].discard(stored.id)
        for draft, message in list(self.drafts.items()):
            if message == stored.id:
                del self.drafts[draft]

    def _thread_for(self, stored: Stored) -> str:
        if not stored.envelope.references:
            return stored.id
        subject = plain_subject(stored.envelope.subject)
        for reference in reversed(stored.envelope.references):
            for known in self.by_message_id.get(reference, ()):
                other = self.messages.get(known)
                if other and plain_subject(other.envelope.subject) == subject:
                    return other.thread
        return stored.id

    def _label_ids(self, labels: Iterable[str]) -> frozenset[str]:
        ids = []
        for name in labels:
            found = name if name in self.names else self.label_named(name)
            if found is None:
                found = f"Label_{sum(one.startswith('Label_') for one in self.names) + 1}"
                self.names[found] = name
            ids.append(found)
        return label_set(ids)

    def _write(self, kind: str, stored: Stored, labels: tuple[str, ...]) -> None:
        self._bump()
        stored.history = self.history
        change = Change(self.history, kind, stored.id, stored.thread, labels, self.clock.now())
        self.changes.append(change)
        if self.on_change is not None:
            self.on_change(self, change)

    def _bump(self) -> None:
        self.history += self._chance.randint(1, 30)

    def _new_id(self, ms: int) -> str:
        while True:
            self._serial = (self._serial + 1) & 0x3FF
            number = ((ms & 0xFFFFFFFFFFF) << 20) | (self._serial << 10) | self._chance.getrandbits(10)
            found = f"{number:016x}"
            if found not in self.messages and found not in self.gone:
                return found


@lru_cache(maxsize=65536)
def _keys_of(people: tuple[Person, ...]) -> frozenset[str]:
    return frozenset(key for person in people for key in index_keys(person.address))


def index_keys(address: str) -> list[str]:
    """An address is found by itself, by its domain and by the domains above it."""
    keys = [address]
    domain = address.rpartition("@")[2] if "@" in address else ""
    while "." in domain:
        keys.append("@" + domain)
        domain = domain.partition(".")[2]
    return keys
