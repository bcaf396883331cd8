"""What a provider's push offers: to be rung when something changes. A ring is never believed, only answered by a look.

Every method raises ``ConnectorError``; none of them moves a cursor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Watched:
    """The provider rings until ``expires_at``. ``resource_id``: what it needs to be told to stop."""

    expires_at: datetime
    resource_id: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A mailbox in which something may have changed. ``email`` is lower-cased; ``history_id`` a hint, never a cursor."""

    email: str
    history_id: str = ""


@dataclass(frozen=True, slots=True)
class ChannelNotice:
    """A message on a calendar's channel. ``greeting``: the first one, which tells of no change."""

    channel_id: str
    token: str
    resource_id: str
    greeting: bool


@dataclass(frozen=True, slots=True)
class Received:
    """A message taken from a subscription. ``notice`` is None for one that cannot be read; it is acknowledged too."""

    ack_id: str
    notice: Notice | None


class Doorbells(Protocol):
    """The doorbells of one account."""

    def watch_mailbox(self, address: str) -> Watched:
        """Begin or renew; ``address`` is what rings (a topic)."""
        ...

    def stop_mailbox(self) -> None: ...

    def watch_calendar(self, external_id: str, *, channel_id: str, token: str, address: str) -> Watched:
        """A new channel that posts to ``address``, with ``token`` in each message."""
        ...

    def stop_calendar(self, channel_id: str, resource_id: str) -> None:
        """Also fine for one that is not there any more."""
        ...


class Inbox(Protocol):
    """A queue in which rings arrive."""

    name: str

    def pull(self, most: int) -> Sequence[Received]:
        """What has come, after waiting a while for the first."""
        ...

    def acknowledge(self, ack_ids: Sequence[str]) -> None: ...

    def close(self) -> None: ...
