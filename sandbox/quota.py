"""Units and requests: what each mailbox has spent, and whether it may spend more ("Usage limits", Gmail and Calendar)."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from sandbox.clock import Clock

COSTS = {
    "2026": {
        "gmail.messages.get": 20,
        "gmail.messages.attachments.get": 20,
        "gmail.messages.list": 5,
        "gmail.history.list": 2,
        "gmail.getProfile": 1,
        "gmail.labels.list": 1,
        "gmail.labels.get": 1,
        "gmail.settings.sendAs.list": 1,
        "gmail.threads.list": 10,
        "gmail.threads.get": 40,
        "gmail.drafts.list": 5,
        "gmail.drafts.get": 20,
        "gmail.watch": 100,
        "gmail.stop": 50,
    }
}
COSTS["legacy"] = COSTS["2026"] | {
    "gmail.messages.get": 5,
    "gmail.messages.attachments.get": 5,
    "gmail.drafts.get": 5,
    "gmail.threads.get": 10,
}


class Window:
    """A sliding minute: what was spent in the last 60 seconds of the clock."""

    def __init__(self) -> None:
        self._spent: deque[tuple[float, int]] = deque()
        self.sum = 0
        self.peak = 0

    def add(self, now: float, units: int) -> None:
        self.settle(now)
        self._spent.append((now, units))
        self.sum += units
        self.peak = max(self.peak, self.sum)

    def settle(self, now: float) -> int:
        while self._spent and self._spent[0][0] <= now - 60:
            self.sum -= self._spent.popleft()[1]
        return self.sum


@dataclass(slots=True)
class Seen:
    """One request as the sandbox saw it; `at` in seconds of its clock, `item` the id asked for, if any, and `form` the format
    in which; `quota_user` whom the caller wants it charged to."""

    at: float
    method: str
    operation: str
    account: str
    status: int
    units: int = 0
    item: str = ""
    fault: str = ""
    quota_user: str = ""
    part_of_batch: bool = False
    form: str = ""


@dataclass
class Stats:
    """Counters of all requests, and the requests themselves, the last `keep` of them."""

    clock: Clock
    keep: int = 100_000
    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    by_operation: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    in_flight: Counter[str] = field(default_factory=Counter)
    peak_concurrency: Counter[str] = field(default_factory=Counter)
    quota_users: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.record: deque[Seen] = deque(maxlen=self.keep)
        self._windows: dict[str, Window] = defaultdict(Window)
        self._calendar: dict[str, Window] = defaultdict(Window)
        self._lock = threading.Lock()

    def write(self, seen: Seen) -> None:
        with self._lock:
            self.record.append(seen)
            self.requests[seen.operation] += 1
            self.statuses[seen.status] += 1
            self.by_operation[seen.account][seen.operation] += 1
            if seen.quota_user:
                self.quota_users[seen.quota_user] += 1

    def enter(self, account: str, limit: int | None) -> bool:
        """One more request of the mailbox in flight; False when that is more than `limit`."""
        with self._lock:
            if limit is not None and self.in_flight[account] >= limit:
                return False
            self.in_flight[account] += 1
            self.peak_concurrency[account] = max(self.peak_concurrency[account], self.in_flight[account])
            return True

    def leave(self, account: str) -> None:
        with self._lock:
            self.in_flight[account] -= 1

    def spend(self, bucket: str, units: int, limit: int | None, *, calendar: bool = False) -> bool:
        """Units taken from the minute's bucket; False (and nothing taken) when `limit` would be passed."""
        with self._lock:
            window = (self._calendar if calendar else self._windows)[bucket]
            now = self.clock.now()
            if limit is not None and window.settle(now) + units > limit:
                return False
            window.add(now, units)
            if not calendar:
                self.units[bucket] += units
            return True

    def peak_units(self, bucket: str) -> int:
        """The most units spent within any sliding minute."""
        return self._windows[bucket].peak

    def clear(self) -> None:
        with self._lock:
            self.record.clear()
            for counter in (self.requests, self.statuses, self.units, self.by_operation):
                counter.clear()
            for counter in (self.peak_concurrency, self.quota_users):
                counter.clear()
            self._windows.clear()
            self._calendar.clear()

    def as_json(self) -> dict[str, Any]:
        with self._lock:
            return {
                "requests": dict(self.requests),
                "statuses": {str(status): count for status, count in self.statuses.items()},
                "units": dict(self.units),
                "peak_units_per_minute": {bucket: window.peak for bucket, window in self._windows.items()},
                "peak_concurrency": dict(self.peak_concurrency),
                "quota_users": dict(self.quota_users),
                "by_account": {account: dict(counts) for account, counts in self.by_operation.items()},
            }
