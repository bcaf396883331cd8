"""Meters of provider units: a sliding minute per mailbox below one per project, a reserve for what is urgent, and a pace
of parallel parts that halves when the provider complains and grows again when it does not (AIMD)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from redis import RedisError

from connectors.errors import TryLater
from connectors.window import LocalWindow, Window

_OWN_PACE = "Our own pace for this mailbox is used up; it goes on by itself."
_NO_METER = "The meter that all workers share (Redis) does not answer; it goes on by itself when it does."
SILENCE = 5.0
"""Seconds to wait when the shared meter does not answer."""


class Throttle:
    """``connectors.base.Budget``. ``units`` a minute; ``reserve`` of them only for urgent spending; waits up to
    ``patience`` seconds, else raises TryLater with the time to come back. ``window`` is where they are counted: in this
    process unless told otherwise. Thread-safe."""

    def __init__(
        self,
        units: int,
        *,
        reserve: int = 0,
        parent: Throttle | None = None,
        patience: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        window: Window | None = None,
    ) -> None:
        self.units, self.reserve, self.parent, self.patience = units, reserve, parent, patience
        self.spent_total = 0
        self._sleep = sleep
        self._window = window or LocalWindow(clock)
        self._lock = threading.Lock()

    def spend(self, units: int, *, urgent: bool = False) -> None:
        """Wait until ``units`` may be spent and write them down. Raises TryLater when that takes too long, or when the
        shared meter does not answer: what cannot be counted is not spent."""
        try:
            self._spend(units, urgent)
        except RedisError as error:
            raise TryLater("budget", _NO_METER, after=SILENCE) from error

    def penalise(self, seconds: float) -> None:
        """Spend nothing for a while, because the provider said so. Raises TryLater as ``spend`` does."""
        try:
            self._window.close(seconds)
        except RedisError as error:
            raise TryLater("budget", _NO_METER, after=max(SILENCE, seconds)) from error

    def _spend(self, units: int, urgent: bool) -> None:
        allowed, waited = self.units if urgent else self.units - self.reserve, 0.0
        while (wait := self._window.take(units, allowed)) > 0:
            if waited + wait > self.patience:
                raise TryLater("budget", _OWN_PACE, after=wait, throttled=True)
            self._sleep(wait)
            waited += wait
        if self.parent is not None:
            try:
                self.parent._spend(units, urgent)
            except TryLater:
                self._window.give_back(units)
                raise
        with self._lock:
            self.spent_total += units


class Pace:
    """How many parts at once: grows by one after a clean answer, halves after a complaint (additive increase,
    multiplicative decrease), between ``least`` and ``most``."""

    def __init__(self, most: int, *, least: int = 5) -> None:
        self.most, self.least = most, min(least, most)
        self.size = most

    def clean(self) -> None:
        self.size = min(self.most, self.size + 1)

    def complaint(self) -> None:
        self.size = max(self.least, self.size // 2)
