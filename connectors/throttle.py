"""Meters of provider units: a sliding minute per mailbox below one per project, a reserve for what is urgent, and a pace
of parallel parts that halves when the provider complains and grows again when it does not (AIMD)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from connectors.errors import TryLater

WINDOW = 60.0
_OWN_PACE = "Our own pace for this mailbox is used up; it goes on by itself."


class Throttle:
    """``connectors.base.Budget``. ``units`` a minute; ``reserve`` of them only for urgent spending; waits up to
    ``patience`` seconds, else raises TryLater with the time to come back. Thread-safe."""

    def __init__(
        self,
        units: int,
        *,
        reserve: int = 0,
        parent: Throttle | None = None,
        patience: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.units, self.reserve, self.parent, self.patience = units, reserve, parent, patience
        self.spent_total = 0
        self._clock, self._sleep = clock, sleep
        self._spent: deque[tuple[float, int]] = deque()
        self._inside = 0
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def spend(self, units: int, *, urgent: bool = False) -> None:
        """Wait until ``units`` may be spent and write them down. Raises TryLater when that takes too long."""
        waited = 0.0
        while (wait := self._try(units, urgent)) > 0:
            if waited + wait > self.patience:
                raise TryLater("budget", _OWN_PACE, after=wait, throttled=True)
            self._sleep(wait)
            waited += wait
        if self.parent is not None:
            try:
                self.parent.spend(units, urgent=urgent)
            except TryLater:
                self._give_back(units)
                raise

    def penalise(self, seconds: float) -> None:
        """Spend nothing for a while, because the provider said so."""
        with self._lock:
            self._closed_until = max(self._closed_until, self._clock() + seconds)

    def _try(self, units: int, urgent: bool) -> float:
        """Take the units and return 0, or return how long to wait."""
        with self._lock:
            now = self._clock()
            if now < self._closed_until:
                return self._closed_until - now
            while self._spent and self._spent[0][0] <= now - WINDOW:
                self._inside -= self._spent.popleft()[1]
            allowed = self.units if urgent else self.units - self.reserve
            if self._inside + units <= allowed or not self._spent:
                self._spent.append((now, units))
                self._inside += units
                self.spent_total += units
                return 0.0
            return self._until_free(now, self._inside + units - allowed)

    def _give_back(self, units: int) -> None:
        """What the meter above did not allow was not spent."""
        with self._lock:
            for index in range(len(self._spent) - 1, -1, -1):
                if self._spent[index][1] == units:
                    del self._spent[index]
                    self._inside -= units
                    self.spent_total -= units
                    return

    def _until_free(self, now: float, needed: int) -> float:
        freed = 0
        for at, units in self._spent:
            freed += units
            if freed >= needed:
                return max(0.01, at + WINDOW - now)
        return WINDOW


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
