"""What the pretend Google sends by itself: HTTP posts to addresses on this machine, tried again as each sender likes.

A thread of the server posts what is due; `settle` does it at once and waits, which is how tests use it. Due times run on the
sandbox's clock: with a virtual one, a second attempt comes after `clock.advance`.
"""

from __future__ import annotations

import http.client
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sandbox.clock import Clock

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PATIENCE = 10.0


@dataclass(slots=True)
class Posted:
    """One attempt. `status` 0: the address could not be reached or did not answer within 10 seconds."""

    at: float
    url: str
    status: int
    attempt: int
    kind: str
    headers: dict[str, str]
    body: bytes


Again = Callable[[Posted], float | None]
"""What a sender makes of an outcome: None when it is done with it, else the seconds until the next attempt."""


@dataclass(slots=True, eq=False)
class _Parcel:
    url: str
    body: Callable[[int], tuple[dict[str, str], bytes]]
    again: Again
    kind: str
    due: float
    attempt: int = 1


@dataclass
class Courier:
    """The queue of posts. `record` keeps the last attempts, newest last."""

    clock: Clock
    record: deque[Posted] = field(default_factory=lambda: deque(maxlen=10_000))

    def __post_init__(self) -> None:
        self._waiting: list[_Parcel] = []
        self._busy = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._servers = 0

    def send(
        self,
        url: str,
        make: Callable[[int], tuple[dict[str, str], bytes]],
        again: Again,
        *,
        kind: str,
        delay: float = 0.0,
    ) -> None:
        """Post to `url` soon; `make(attempt)` gives headers and body. Raises ValueError for an address elsewhere."""
        if not is_loopback(url):
            raise ValueError(f"The sandbox only posts to this machine, not to {url}.")
        with self._changed:
            self._waiting.append(_Parcel(url, make, again, kind, self.clock.now() + delay))
            self._changed.notify_all()

    def settle(self, seconds: float = 30.0) -> list[Posted]:
        """Everything due has been posted when this returns; the attempts made by this call."""
        made = self._run_due()
        with self._changed:
            self._changed.wait_for(lambda: self._busy == 0, seconds)
        return made

    def pending(self) -> int:
        """How many posts wait for a later time or another attempt."""
        return len(self._waiting)

    def start(self) -> None:
        """A server begins: posts go out by themselves from now on."""
        with self._changed:
            self._servers += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="sandbox-courier")
                self._thread.start()

    def stop(self) -> None:
        """A server ends; with the last one the thread ends too."""
        with self._changed:
            self._servers -= 1
            thread = self._thread if self._servers == 0 else None
            self._thread = self._thread if thread is None else None
            self._changed.notify_all()
        if thread is not None:
            thread.join(PATIENCE)

    def _run(self) -> None:
        while self._servers:
            self._run_due()
            with self._changed:
                if self._servers:
                    self._changed.wait(0.05 if self._waiting else 0.5)

    def _run_due(self) -> list[Posted]:
        made = []
        while (parcel := self._take()) is not None:
            try:
                posted = self._post(parcel)
                self.record.append(posted)
                made.append(posted)
                wait = parcel.again(posted)
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()
            if wait is not None:
                parcel.attempt += 1
                parcel.due = self.clock.now() + wait
                with self._changed:
                    self._waiting.append(parcel)
        return made

    def _take(self) -> _Parcel | None:
        with self._changed:
            now = self.clock.now()
            found = next((one for one in self._waiting if one.due <= now), None)
            if found is not None:
                self._waiting.remove(found)
                self._busy += 1
            return found

    def _post(self, parcel: _Parcel) -> Posted:
        headers, body = parcel.body(parcel.attempt)
        status = post(parcel.url, headers, body)
        return Posted(self.clock.now(), parcel.url, status, parcel.attempt, parcel.kind, headers, body)


def post(url: str, headers: dict[str, str], body: bytes) -> int:
    """One HTTP post on this machine; the status, 0 when nobody answers."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=PATIENCE)
    try:
        connection.request("POST", path, body, headers | {"Content-Length": str(len(body))})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and (parts.hostname or "") in LOOPBACK
