"""How much of a mailbox an app uses: requests in flight and in ten minutes, and who came back too early (contract 4.4)."""

from __future__ import annotations

import threading
from collections import Counter, deque
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from sandbox.microsoft.forms import graph_error
from sandbox.quota import Stats
from sandbox.wire import Answer

if TYPE_CHECKING:
    from sandbox.clock import Clock
    from sandbox.microsoft.knobs import MicrosoftKnobs


def in_flight_name(email: str) -> str:
    """Under which name a mailbox stands in `stats.in_flight` and `stats.peak_concurrency`."""
    return f"microsoft:{email}"


class Meter:
    """`early` counts requests that came before the Retry-After they were told had passed; `refused` all refusals."""

    def __init__(self, clock: Clock, knobs: MicrosoftKnobs, stats: Stats) -> None:
        self.clock, self.knobs, self.stats = clock, knobs, stats
        self.early: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._spent: dict[str, deque[float]] = {}
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()

    def enter(self, email: str) -> bool:
        """One more request in flight; False when that is more than the mailbox may have."""
        return self.stats.enter(in_flight_name(email), self.knobs.concurrency_limit)

    def leave(self, email: str) -> None:
        self.stats.leave(in_flight_name(email))

    def spend(self, email: str) -> Answer | None:
        """Counts a request; a refusal when the window is full."""
        now, limit = self.clock.now(), self.knobs.requests_per_window
        with self._lock:
            spent = self._spent.setdefault(email, deque())
            while spent and spent[0] <= now - self.knobs.window_seconds:
                spent.popleft()
            if limit is not None and len(spent) >= limit:
                wait = spent[0] + self.knobs.window_seconds - now
                return self._refusal("Application is over its request limit for this mailbox.", wait)
            spent.append(now)
            self.most[email] = max(self.most[email], len(spent))
            return None

    def crowded(self) -> Answer:
        return self._refusal("Application is over its MailboxConcurrency limit.", self.knobs.retry_after)

    def came(self, email: str) -> None:
        """A request comes; is it too early?"""
        with self._lock:
            self.early[email] += self._told.get(email, 0.0) > self.clock.now()

    def went(self, email: str, answer: Answer) -> None:
        """An answer goes; a wait it tells of is remembered."""
        wait = answer.headers.get("Retry-After", "")
        if answer.status == 429 and email:
            with self._lock:
                self.refused[email] += 1
                self._told[email] = max(self._told.get(email, 0.0), self._until(wait))

    def clear(self) -> None:
        with self._lock:
            for counter in (self.early, self.refused, self.most):
                counter.clear()
            self._spent.clear()
            self._told.clear()

    def _until(self, wait: str) -> float:
        """The moment that a Retry-After names: in so many seconds, or at a date."""
        if wait.isdigit() or not wait:
            return self.clock.now() + int(wait or 0)
        return parsedate_to_datetime(wait).timestamp()

    def _refusal(self, message: str, wait: float) -> Answer:
        headers = {"Retry-After": str(max(1, int(wait + 0.999)))}
        return graph_error(429, "ApplicationThrottled", message, headers=headers)
