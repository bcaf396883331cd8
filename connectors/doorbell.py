"""What a provider's push offers: to be rung when something changes. A ring is never believed, only answered by a look.

Vocabulary: a *doorbell* rings for one source; an *address* is where it rings (a topic of the provider's, or a URL of ours); a
*door* is what stands at such a URL and tells a ring from junk; an *inbox* is a queue that rings are taken out of.

Every method raises ``ConnectorError``; none of them moves a cursor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from connectors.base import SourceKind


@dataclass(frozen=True, slots=True)
class Watched:
    """The provider rings until ``expires_at``. ``resource_id``: what it needs to be told to stop; ``channel_id``: how it names
    the doorbell, where that is its choice. ``greets``: it rings once at once; otherwise it has made sure by itself that it
    reaches us."""

    expires_at: datetime
    resource_id: str = ""
    channel_id: str = ""
    greets: bool = True


@dataclass(frozen=True, slots=True)
class Notice:
    """A mailbox in which something may have changed. ``email`` is lower-cased; ``history_id`` a hint, never a cursor."""

    email: str
    history_id: str = ""


@dataclass(frozen=True, slots=True)
class ChannelNotice:
    """A message of a doorbell that has a name and a secret. ``greeting``: the first one, which tells of no change; ``tend``: the
    doorbell itself is to be looked after (it wants to be renewed, or it was taken away)."""

    channel_id: str
    token: str
    resource_id: str = ""
    greeting: bool = False
    tend: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """A message taken from a subscription. ``notice`` is None for one that cannot be read; it is acknowledged too."""

    ack_id: str
    notice: Notice | None


@dataclass(frozen=True, slots=True)
class Posted:
    """What was posted to a door. Names of headers in any case."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """What a post says, as far as it can be told without looking anything up: mailboxes by their addresses, doorbells by name
    and secret. ``status`` answers it; ``unknown`` does when no doorbell of it is ours (0: the same). ``echo``: what the
    provider wants to have said back, as plain text."""

    mailboxes: tuple[str, ...] = ()
    channels: tuple[ChannelNotice, ...] = ()
    status: int = 204
    unknown: int = 0
    echo: str | None = None


class Door(Protocol):
    """What stands at an address of ours. ``longest``: bytes of a post that are read. It calls nobody while a post waits."""

    provider: str
    longest: int

    def hear(self, posted: Posted) -> Heard:
        """Raises Forged for what does not come from the provider, TryLater while it cannot be told yet."""
        ...


class Doorbells(Protocol):
    """The doorbells of one account. ``lasting``: kinds of source whose doorbell is renewed itself; of the others a next one is
    opened before the last one is stopped. ``only_one``: kinds of which a source has one at the provider whatever it was opened
    for, so that stopping an old one would silence the new."""

    lasting: frozenset[SourceKind]
    only_one: frozenset[SourceKind]

    def open(
        self, kind: SourceKind, external_id: str, *, address: str, channel_id: str, token: str, first: bool
    ) -> Watched:
        """A new doorbell for a source, with ``token`` in each message. ``channel_id``: a name for it, never used before, where
        that is ours to choose. ``first``: we never had one there, so what somebody left behind may be ended."""
        ...

    def renew(self, kind: SourceKind, external_id: str, *, address: str, channel_id: str) -> Watched:
        """Let a lasting one ring longer. Raises Gone when there is none any more."""
        ...

    def stop(self, kind: SourceKind, channel_id: str, resource_id: str) -> None:
        """Also fine for one that is not there any more."""
        ...


class Inbox(Protocol):
    """A queue in which a provider's rings for mailboxes arrive."""

    provider: str
    name: str

    def pull(self, most: int) -> Sequence[Received]:
        """What has come, after waiting a while for the first."""
        ...

    def acknowledge(self, ack_ids: Sequence[str]) -> None: ...

    def close(self) -> None: ...
