"""Takes rings out of a subscription, in a thread of its own and in one process at a time. A ring is acknowledged once the row
that it makes due is written; without this thread everything is found by polling."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from connectors.doorbell import Inbox, Notice, Received
from connectors.errors import ConnectorError, TryLater
from models.account import lease_owner
from models.doorbell import hasten_all, hear_mailboxes
from models.reader import free_reader, hold_reader, reader_went
from worker.context import Work

log = structlog.get_logger()
AT_ONCE = 100
LEASE = 300.0
"""Seconds; longer than an empty pull may take."""
IDLE, ELSEWHERE, LONGEST = 1.0, 15.0, 300.0
TOLD_EVERY = timedelta(minutes=1)
UNRELIABLE = 3
"""Failures in a row until mailboxes are looked at on a timer again."""


class Reader:
    """Runs ``turn`` until ``stop``."""

    def __init__(self, work: Work, inbox: Inbox) -> None:
        self._work, self._inbox, self._owner = work, inbox, lease_owner()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._held_until: datetime | None = None
        self._told: datetime | None = None
        self._failures = 0

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 3.0) -> None:
        """Read no more. A pull that is still waiting is left behind; its lease ends with the process."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def turn(self) -> float:
        """One look into the subscription, if it is ours to read; seconds until the next. Never raises."""
        try:
            if not self._hold():
                return ELSEWHERE
            received = self._inbox.pull(AT_ONCE)
            self._ring([one.notice for one in received if one.notice is not None])
            self._inbox.acknowledge([one.ack_id for one in received])
            self._went_well()
        except ConnectorError as error:
            return self._went_wrong(error)
        except Exception as error:  # noqa: BLE001  (said aloud and tried again; what was not acknowledged comes again)
            log.error("reader.bug", error=type(error).__name__)
            return self._went_wrong(TryLater("internal", "Dealtrail met a fault of its own; it tries again."))
        return 0.0 if _full(received) else IDLE

    def close(self) -> None:
        """Let another process read."""
        self._inbox.close()
        with self._work.db.write() as session:
            free_reader(session, self._inbox.name, self._owner)
        self._held_until = None

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._stop.wait(self.turn())
        finally:
            self.close()

    def _ring(self, notices: Sequence[Notice]) -> None:
        """Make the mailboxes due that these notices name. What else they say is not believed."""
        emails = {notice.email for notice in notices}
        if emails:
            hear_mailboxes(self._work.db, self._inbox.provider, emails, now=self._work.now())

    def _hold(self) -> bool:
        """Keep the lease, with a write only when half of it is over."""
        now = self._work.now()
        if self._held_until is not None and now < self._held_until - timedelta(seconds=LEASE / 2):
            return True
        with self._work.db.write() as session:
            won = hold_reader(session, self._inbox.name, self._owner, now=now, seconds=LEASE)
        self._held_until = now + timedelta(seconds=LEASE) if won else None
        return won

    def _went_well(self) -> None:
        now, self._failures = self._work.now(), 0
        if self._told is None or now - self._told >= TOLD_EVERY:
            with self._work.db.write() as session:
                reader_went(session, self._inbox.name, now=now)
            self._told = now

    def _went_wrong(self, error: ConnectorError) -> float:
        """Shown on the reader's row; after some failures mailboxes are looked at on a timer again."""
        self._failures, self._told = self._failures + 1, None
        now, inbox, pace = self._work.now(), self._inbox, self._work.pace
        log.warning("reader.fault", code=error.code, failures=self._failures)
        try:
            with self._work.db.write() as session:
                reader_went(session, inbox.name, now=now, code=error.code, sentence=error.sentence)
                if self._failures >= UNRELIABLE or not isinstance(error, TryLater):
                    hasten_all(session, inbox.provider, "mail", at=now + timedelta(seconds=pace.poll))
        except Exception as fault:  # noqa: BLE001  (the database is away: the pace follows from the reader's silence)
            log.error("reader.bug", error=type(fault).__name__)
        asked = getattr(error, "after", 0.0)
        return min(max(asked, min(2.0**self._failures, 60.0)), LONGEST)


def _full(received: Sequence[Received]) -> bool:
    return len(received) >= AT_ONCE
