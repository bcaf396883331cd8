"""What one mailbox allows: so many requests in a time, and so many at once, mail and calendar together (contract 4.4)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from connectors import passing
from connectors.base import Budget
from connectors.lanes import Lanes
from connectors.throttle import Throttle

ALL = 1_000
"""More lanes than there are: a batch takes them all, because Graph sends four of its parts to the mailbox at once."""


class MailboxMeter(Budget, Protocol):
    """A ``Budget`` that knows lanes."""

    def lane(self, count: int = 1) -> AbstractContextManager[None]:
        """Keep so many lanes inside the block. Raises TryLater."""
        ...


class OutlookMeter:
    """``MailboxMeter`` of one account."""

    def __init__(self, throttle: Throttle, lanes: Lanes) -> None:
        self._throttle, self._lanes = throttle, lanes

    def spend(self, units: int, *, urgent: bool = False) -> None:
        self._throttle.spend(units, urgent=urgent)

    def penalise(self, seconds: float) -> None:
        self._throttle.penalise(seconds)

    def lane(self, count: int = 1) -> AbstractContextManager[None]:
        return self._lanes.hold(count)


class Unmetered(passing.Unmetered):
    """``MailboxMeter`` for the one or two calls of a connection."""

    def lane(self, count: int = 1) -> AbstractContextManager[None]:
        return nullcontext()
