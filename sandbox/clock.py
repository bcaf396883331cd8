"""The sandbox's clock: real time, or a virtual one that only moves when told to."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class Clock:
    """Seconds since 1970 (UTC). Every expiry, quota window and Retry-After of the sandbox runs on it.

    virtual: time stands still except for `advance` and `sleep` (which then does not wait).
    start: first reading, seconds since 1970; default now. `advance` also works on a real clock (an offset).
    """

    def __init__(self, *, virtual: bool = False, start: float | None = None) -> None:
        self.virtual = virtual
        self._lock = threading.Lock()
        real = time.time()
        begin = real if start is None else start
        self._offset = begin if virtual else begin - real

    def now(self) -> float:
        return self._offset if self.virtual else time.time() + self._offset

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._offset += seconds

    def sleep(self, seconds: float) -> None:
        if self.virtual:
            self.advance(seconds)
        else:
            time.sleep(max(0.0, seconds))


def stamp(seconds: float) -> str:
    """RFC 3339 with milliseconds and Z, as Google writes it."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
