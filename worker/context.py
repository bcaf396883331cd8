"""What every step of the worker is given: the database, the keys, the providers, the clock. Made once by main."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from connectors.base import Budget, Connection, GrantStore
from connectors.doorbell import Inbox
from models.db import Database
from models.keyring import Keyring


class Provider(Protocol):
    """One kind of account, as far as the worker needs it."""

    def connect(self, store: GrantStore, budget: Budget, *, email: str) -> Connection:
        """A connection; no network until it is used."""
        ...

    def budget(self, account_id: int) -> Budget:
        """The meter of one account's quota, shared by all threads of this process."""
        ...


@dataclass(frozen=True)
class Pace:
    """How often and how far; durations in seconds."""

    poll: float = 60.0
    calendar_poll: float = 300.0
    poll_with_push: float = 900.0
    calendar_poll_with_push: float = 1_800.0
    lease: float = 120.0
    tick: float = 1.0
    slice: float = 20.0
    backfill_months: int = 12
    audit_every: float = 86_400.0
    webhook_timeout: float = 15.0
    webhook_allow_private: bool = False

    @property
    def delivery_lease(self) -> float:
        """How long a delivery may be held: twice what the slowest receiver may take, so that none is sent by two at once."""
        return max(self.lease / 2, 2 * self.webhook_timeout)


@dataclass(frozen=True)
class Push:
    """Where doorbells are to ring, by provider and kind of source: a topic, or an address of ours. What is not named, or names
    no address, is looked at on a timer. ``inbox``: where rings for its provider's mailboxes are taken from, when they are not
    posted to us."""

    places: Mapping[tuple[str, str], str] = field(default_factory=dict)
    inbox: Inbox | None = None

    @property
    def wanted(self) -> list[tuple[str, str]]:
        """Provider and kind of source of the doorbells to ask for."""
        return [key for key, address in self.places.items() if address]

    def address(self, provider: str, kind: str) -> str:
        """Where such doorbells ring; empty when they are not wanted."""
        return self.places.get((provider, kind), "")

    def inbox_of(self, provider: str, kind: str) -> Inbox | None:
        """What has to be emptied for such doorbells to be heard."""
        mine = self.inbox is not None and (self.inbox.provider, "mail") == (provider, kind)
        return self.inbox if mine else None


def utcnow() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


@dataclass
class Work:
    """The worker's surroundings."""

    db: Database
    keyring: Keyring
    providers: Mapping[str, Provider]
    pace: Pace = field(default_factory=Pace)
    push: Push = field(default_factory=Push)
    now: Callable[[], datetime] = utcnow
    monotonic: Callable[[], float] = time.monotonic
    rng: random.Random = field(default_factory=random.Random)
    _local: threading.local = field(default_factory=threading.local)
    _threads: list[dict[int, Connection]] = field(default_factory=list)

    def connection(self, account_id: int, provider: str, email: str) -> Connection:
        """This thread's connection of an account, kept open between jobs."""
        from worker.grants import SealedGrant

        open_ones = self._mine()
        if account_id not in open_ones:
            chosen = self.providers[provider]
            store = SealedGrant(self.db, self.keyring, account_id, now=self.now)
            open_ones[account_id] = chosen.connect(store, chosen.budget(account_id), email=email)
        return open_ones[account_id]

    def forget(self, account_id: int) -> None:
        """Close this thread's connection of an account (after a fault of the line or a new grant)."""
        found = self._mine().pop(account_id, None)
        if found is not None:
            found.close()

    def close(self) -> None:
        """Close all connections of this thread."""
        for account_id in list(self._mine()):
            self.forget(account_id)

    def close_all(self) -> None:
        """Close the connections of every thread; call it when those have ended."""
        for open_ones in self._threads:
            while open_ones:
                open_ones.popitem()[1].close()

    def _mine(self) -> dict[int, Connection]:
        mine: dict[int, Connection] | None = getattr(self._local, "connections", None)
        if mine is None:
            mine = self._local.connections = {}
            self._threads.append(mine)
        return mine
