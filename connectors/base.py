"""The contract that every provider keeps, and that one contract-test class holds it to.

Vocabulary: a *grant* is what a person consented to; a *source* is one thing in it with a cursor of its own (a mailbox,
a mail folder, a calendar); a *cursor* is an opaque string that only its own source understands.

Invariants, whatever the provider does:

* ``pull`` never returns a cursor that is ahead of the items it returned.
* An id that was asked for comes back exactly once, as an item or as ``Unreadable``: nothing is dropped in silence.
* The only exceptions are those of ``connectors.errors``.
* No token leaves for a host other than the configured one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from connectors.items import Item, Listed, Page

SourceKind = Literal["mail", "calendar"]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source as the provider describes it. ``selected`` is the default choice for a newly found one."""

    kind: SourceKind
    external_id: str
    name: str
    selected: bool = True
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a grant speaks for. ``subject`` never changes; addresses may. ``addresses``: every address that this
    person sends from (accepted aliases included), the primary one first."""

    subject: str
    email: str
    addresses: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    capabilities: frozenset[SourceKind] = frozenset()
    missing: tuple[str, ...] = ()
    """Sentences about what was not granted and what that costs."""


@dataclass(frozen=True, slots=True)
class Hits:
    """One page of a search or of a listing. ``next`` is empty on the last page; ``estimate`` may be None."""

    items: tuple[Listed, ...]
    next: str = ""
    estimate: int | None = None


@dataclass(slots=True)
class GrantState:
    """The secret part of an account, as plain data; whoever holds it seals it. ``extra`` is the provider's own (a token
    cache, claims that the next sign-in must satisfy). ``expires_at`` is aware UTC. ``delegated_to`` is whose mailbox a service
    account opens, ``key`` that service account's key file: kept once for all its accounts, so it is no part of the plain
    data."""

    refresh_token: str = ""
    access_token: str = ""
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    delegated_to: str = ""
    key: dict[str, Any] = field(default_factory=dict, repr=False)

    def to_plain(self) -> dict[str, Any]:
        """As JSON would have it, without the key."""
        plain = asdict(self)
        del plain["key"]
        expires = self.expires_at.isoformat() if self.expires_at else None
        return plain | {"scopes": list(self.scopes), "expires_at": expires}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], key: dict[str, Any] | None = None) -> GrantState:
        """The reverse of ``to_plain``."""
        expires = plain.get("expires_at")
        return cls(
            refresh_token=plain.get("refresh_token", ""),
            access_token=plain.get("access_token", ""),
            expires_at=datetime.fromisoformat(expires) if expires else None,
            scopes=tuple(plain.get("scopes", ())),
            extra=dict(plain.get("extra", {})),
            delegated_to=plain.get("delegated_to", ""),
            key=key or {},
        )


class GrantStore(Protocol):
    """Where an account's secret lives. ``exclusive`` is a lock across threads *and* processes; inside it ``state`` is
    fresh and ``save`` persists at once, so that a rotated token is never lost and eight workers make one token call."""

    def state(self) -> GrantState: ...

    def exclusive(self) -> AbstractContextManager[GrantState]: ...

    def save(self, state: GrantState) -> None: ...


class Budget(Protocol):
    """A meter of provider units. ``spend`` waits until ``units`` may be spent, or raises ``TryLater`` when the wait
    would be longer than its patience; ``penalise`` stops spending for ``seconds`` after the provider said so."""

    def spend(self, units: int, *, urgent: bool = False) -> None: ...

    def penalise(self, seconds: float) -> None: ...


class Connection(Protocol):
    """A live grant: who it is, what it holds."""

    def identity(self) -> Identity: ...

    def sources(self) -> list[SourceInfo]: ...

    def mailbox(self, external_id: str) -> Mailbox: ...

    def calendar(self, external_id: str) -> Calendar: ...

    def revoke(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Person:
    """Somebody in a domain. ``subject``: the provider's unchanging id of them, if it was told; ``skip``: why there is nothing
    to connect."""

    email: str
    name: str = ""
    subject: str = ""
    skip: str = ""


class Team(Protocol):
    """A service account (Google) or an app in its own name (Microsoft), with which an operator connects many mailboxes.
    ``key`` is its key file, ``email`` and ``client_id`` are what an administrator knows it by. Threads may share it; each method raises ConnectorError."""

    key: dict[str, str]
    email: str
    client_id: str

    def people(self, domain: str, admin: str) -> list[Person]:
        """Everybody in the domain. ``admin``: in whose name it is asked; empty: in the service account's own."""
        ...

    def allowed(self, email: str) -> tuple[str, ...]:
        """The scopes that the administrator of this person's domain allowed. Raises Refused for the person alone,
        OperatorFault for the whole domain."""
        ...

    def open(self, person: Person, scopes: tuple[str, ...]) -> tuple[GrantState, Identity]:
        """A grant for one person, after a look at whether their mailbox is there."""
        ...


class Mailbox(Protocol):
    """A source of messages."""

    searchable: bool
    """Whether ``search`` is there: people first. Otherwise ``pull(None)`` starts by listing everything."""

    def pin(self) -> str:
        """A cursor that stands at *now*, to be taken before anything is listed."""
        ...

    def pull(self, cursor: str) -> Page:
        """What changed since ``cursor``, one page. New messages come with headers only (``body`` None); Listed stands for one
        that may be known already. Raises CursorExpired, TryLater, Reconnect, Refused, Gone, OperatorFault."""
        ...

    def search(self, addresses: Sequence[str], *, after: datetime | None, page: str = "") -> Hits:
        """Ids of messages from or to any of ``addresses`` (addr-specs, or ``@domain`` for a whole domain), newest
        first, drafts and chats left out. At most ``search_width`` addresses a call."""
        ...

    search_width: int

    pull_lists: bool
    """Whether a pull from a fresh pin goes through all that is there (with headers, by pages called ``backlog``), so that
    nothing has to be swept; otherwise it tells only of what came after the pin."""

    def listing(self, *, after: datetime | None, before: datetime | None, page: str = "") -> Hits:
        """Ids of everything that counts as mail, newest first, for the sweep and the audit."""
        ...

    def sent(self, *, page: str = "") -> Hits:
        """Ids of what the owner sent, newest first."""
        ...

    def headers(self, ids: Sequence[str]) -> list[Item]:
        """Each id once: Message with ``body`` None, Removed, or Unreadable."""
        ...

    def open(self, hits: Sequence[Listed]) -> list[Item]:
        """Each id once, with its body: Message, Removed, or Unreadable. May use whole-thread reads where cheaper."""
        ...

    def find_message_id(self, message_id: str) -> list[str]:
        """Item ids that carry this RFC 5322 Message-ID (for Bounces, retro-attachment and tests)."""
        ...

    def count(self) -> int | None:
        """How many messages the provider says there are, or None."""
        ...


class Calendar(Protocol):
    """A source of meetings."""

    def pull(self, cursor: str, *, now: datetime) -> Page:
        """One page of changes; an empty cursor starts the first listing. Recurring meetings come as occurrences in
        the window around ``now``. Raises as ``Mailbox.pull``."""
        ...

    def window(self, *, now: datetime) -> tuple[datetime, datetime]:
        """The span in which occurrences are materialised."""
        ...

    def listed_until(self, *, now: datetime) -> datetime | None:
        """Where a first listing ends: it says nothing of what lies later. None: it holds all that is to come."""
        ...
