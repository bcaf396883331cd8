"""What matching needs to know of an item, whether it has just arrived or has been stored for years."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from connectors.items import Meeting, Message, Party
from models.addresses import canonical
from models.interaction import Interaction

SENDER_ROLES = ("from", "sender", "organizer")
HINT_ROLE = "reply_to"
MOST_REFERENCES = 50
_ANSWER = re.compile(r"^\s*(re|aw|sv|antw|rif|回复|答复|回覆)\s*(\[\d+\])?\s*[:：]", re.I)


@dataclass(frozen=True, slots=True)
class Person:
    """A party with its canonical address. ``domain`` is the part behind the @."""

    role: str
    address: str
    name: str = ""
    response: str = "none"

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class View:
    """An item for deciding. ``own_key`` is its own Message-ID as a thread key; ``thread_keys`` are where its conversation
    may be known already, nearest first: what it replies to, what came before that, at last the provider's own grouping.
    A forward has none of these: it starts a new decision; an answer to a forward continues that forward and nothing from before
    it. ``hints``: to whom its answers go, if that is somebody else: no proof of anything. ``place`` as in connectors.items; ``outbound``: the provider
    says that the mailbox's owner sent it."""

    item_id: str
    kind: str
    at: datetime
    people: tuple[Person, ...]
    own_key: str = ""
    thread_keys: tuple[str, ...] = ()
    place: str = "mail"
    outbound: bool = False
    machine: str = ""
    machine_reason: str = ""
    labels: tuple[str, ...] = ()
    forwarded: bool = False
    private: bool = False
    declined: bool = False
    cancelled: bool = False
    thread_id: int | None = None
    hints: tuple[Person, ...] = ()


def of_message(message: Message, source_id: int) -> View:
    """A mail that has just been read."""
    answer = message.forwarded and bool(message.references) and _ANSWER.match(message.subject) is not None
    return View(
        item_id=message.item_id,
        kind="email",
        at=message.at,
        people=_people(message.parties),
        hints=_hints(message.parties),
        own_key=f"m:{message.message_id}" if message.message_id else "",
        thread_keys=_continued(message, source_id, answer),
        place=message.place,
        outbound=message.outbound,
        machine=message.machine or "",
        machine_reason=message.machine_reason,
        labels=message.labels,
        forwarded=message.forwarded and not answer,
    )


def _continued(message: Message, source_id: int, answer: bool) -> tuple[str, ...]:
    """Where the conversation may be known, nearest first. ``answer``: to a forward."""
    found = [f"m:{ref}" for ref in reversed(message.references[-MOST_REFERENCES:])]
    if message.forwarded:
        return tuple(found[:1]) if answer else ()
    if message.bounce_of:
        found.insert(0, f"m:{message.bounce_of}")
    if message.thread:
        found.append(f"p:{source_id}:{message.thread}")
    return tuple(dict.fromkeys(found))


def of_meeting(meeting: Meeting) -> View:
    """A meeting that has just been read."""
    return View(
        item_id=meeting.item_id,
        kind="meeting",
        at=meeting.start,
        people=_people(party for party in meeting.parties if not party.resource),
        thread_keys=(f"u:{meeting.uid}",) if meeting.uid else (),
        private=meeting.private,
        declined=meeting.my_response == "declined",
        cancelled=meeting.status == "cancelled",
    )


def of_stored(row: Interaction) -> View:
    """An interaction that is decided again."""
    return View(
        item_id=str(row.id),
        kind=row.kind,
        at=row.occurred_at,
        people=tuple(
            Person(party["role"], party["address"], party.get("name", ""), party.get("response", "none"))
            for party in row.parties
            if party["role"] != HINT_ROLE
        ),
        hints=tuple(Person(HINT_ROLE, party["address"]) for party in row.parties if party["role"] == HINT_ROLE),
        outbound=row.direction == "outbound",
        machine=row.machine,
        machine_reason=row.machine_reason,
        forwarded=row.forwarded,
        thread_id=row.thread_id,
    )


def _people(parties: Iterable[Party]) -> tuple[Person, ...]:
    seen: dict[tuple[str, str], Person] = {}
    for party in parties:
        if party.role == HINT_ROLE:
            continue
        address = canonical(party.address)
        if address:
            seen.setdefault((party.role, address), Person(party.role, address, party.name, party.response))
    return tuple(seen.values())


def _hints(parties: Iterable[Party]) -> tuple[Person, ...]:
    found = (canonical(party.address) for party in parties if party.role == HINT_ROLE)
    return tuple(Person(HINT_ROLE, address) for address in dict.fromkeys(found) if address)
