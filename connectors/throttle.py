"""Meters of provider units: a sliding minute, a reserve for urgent work, a common meter above for the whole project.

A provider counts what arrived in the last sixty seconds, so we count what was sent in them. ``reserve`` units of each
minute are kept for urgent work (new mail), so that a backfill never makes new mail wait. After a real refusal the rate
is halved and grows back by a tenth a minute. Everything here is safe to share between threads; the clock and the sleep
are given, so that tests and benches may run on a clock of their own.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from connectors.errors import TryLater

WINDOW = 60.0
PATIENCE = 25.0
"""Seconds that ``spend`` sleeps at the most; a longer wait is the caller's to schedule."""
A_REAL_REFUSAL = 30.0
"""A pause of at least so many seconds also halves the rate."""
GRAIN = 0.1
"""Spends closer together than this share one entry, which bounds the memory of a window to 600 entries."""


class Throttle:
    """``connectors.base.Budget``: at most ``units_per_minute`` in any sixty seconds, ``reserve`` of them for urgent work
    only. ``parent`` is charged with the same units. Thread-safe."""

    def __init__(
        self,
        units_per_minute: int,
        *,
        reserve: int = 0,
        parent: Throttle | None = None,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.units_per_minute = max(1, units_per_minute)
        self.reserve = max(0, min(reserve, self.units_per_minute - 1))
        self._parent, self._patience, self._clock, self._sleep = parent, patience, clock, sleep
        self._lock = threading.Lock()
        self._spent: deque[tuple[float, int]] = deque()
        self._used = 0
        self._blocked_until = float("-inf")
        self._ease, self._eased_at = 1.0, float("-inf")

    def spend(self, units: int, *, urgent: bool = False) -> None:
        """Wait until ``units`` may be spent, then count them. Raises TryLater (``throttled``, with ``after``) at once when
        the wait would be longer than the patience; nothing is counted then."""
        deadline = self._clock() + self._patience
        while (wait := self._take(units, urgent)) > 0:
            if self._clock() + wait > deadline:
                raise TryLater(
                    "budget_spent",
                    "This minute's share of the provider's quota is used; Dealtrail goes on by itself.",
                    after=wait,
                    throttled=True,
                )
            self._sleep(wait)
        if self._parent is not None:
            self._charge_parent(units, urgent)

    def penalise(self, seconds: float) -> None:
        """Spend nothing for ``seconds``: the provider said so. A pause of half a minute or more halves the rate as well."""
        with self._lock:
            now = self._clock()
            self._blocked_until = max(self._blocked_until, now + seconds)
            if seconds >= A_REAL_REFUSAL:
                self._ease, self._eased_at = max(0.25, self._ease / 2), now + seconds

    def used(self) -> int:
        """Units counted in the last sixty seconds."""
        with self._lock:
            self._forget_old(self._clock())
            return self._used

    def blocked_for(self) -> float:
        """Seconds until spending is allowed again after a refusal; 0 when it is."""
        with self._lock:
            return max(0.0, self._blocked_until - self._clock())

    def _charge_parent(self, units: int, urgent: bool) -> None:
        assert self._parent is not None
        try:
            self._parent.spend(units, urgent=urgent)
        except TryLater:
            self._refund(units)
            raise

    def _take(self, units: int, urgent: bool) -> float:
        """Count the units and return 0, or return the seconds to wait."""
        with self._lock:
            now = self._clock()
            if now < self._blocked_until:
                return self._blocked_until - now
            self._forget_old(now)
            self._grow_back(now)
            ceiling = self._ceiling(urgent)
            if not self._spent or self._used + units <= ceiling:
                self._count(now, units)
                return 0.0
            return max(self._until_free(units, ceiling, now), 0.001)

    def _ceiling(self, urgent: bool) -> int:
        return max(1, int(self.units_per_minute * self._ease) - (0 if urgent else self.reserve))

    def _count(self, now: float, units: int) -> None:
        if self._spent and now - self._spent[-1][0] < GRAIN:
            _, before = self._spent.pop()
            self._spent.append((now, before + units))
        else:
            self._spent.append((now, units))
        self._used += units

    def _until_free(self, units: int, ceiling: int, now: float) -> float:
        used = self._used
        for moment, some in self._spent:
            used -= some
            if used + units <= ceiling:
                return moment + WINDOW - now
        return self._spent[-1][0] + WINDOW - now

    def _forget_old(self, now: float) -> None:
        while self._spent and self._spent[0][0] + WINDOW <= now:
            self._used -= self._spent.popleft()[1]

    def _grow_back(self, now: float) -> None:
        if self._ease < 1.0 and now - self._eased_at >= WINDOW:
            self._ease, self._eased_at = min(1.0, self._ease + 0.1), now

    def _refund(self, units: int) -> None:
        with self._lock:
            if self._spent:
                moment, some = self._spent.pop()
                back = min(some, units)
                self._used -= back
                if some > back:
                    self._spent.append((moment, some - back))


class Aimd:
    """How many at once: one more after each calm turn, half after a refusal (additive increase, multiplicative
    decrease). Between ``least`` and ``most``."""

    def __init__(self, most: int, least: int = 5) -> None:
        self.most, self.least = max(1, most), max(1, min(least, most))
        self.value = self.most

    def calm(self) -> None:
        """A turn without a refusal."""
        self.value = min(self.most, self.value + 1)

    def crowded(self) -> None:
        """The provider said that this was too much at once."""
        self.value = max(self.least, self.value // 2)
