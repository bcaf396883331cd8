"""Long work that is done in turns under a lease on its row (an import, a simulation): how a turn ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from worker.context import Work

MOST_FAILURES = 5
AGAIN = timedelta(seconds=10)


def put_down(work: Work, kind: type[Any], key: int, owner: str) -> None:
    """Due again at once, for another turn; nothing when the lease was lost."""
    with work.db.write() as session:
        row = session.get(kind, key)
        if row is not None and row.lease_owner == owner:
            row.lease_owner, row.lease_until, row.next_run_at = "", None, work.now()
            session.add(row)


def stumbled(work: Work, kind: type[Any], key: int, owner: str, error: Exception) -> None:
    """A fault of our own: tried again a little later each time, given up aloud after ``MOST_FAILURES``. Nothing
    when the lease was lost."""
    with work.db.write() as session:
        row = session.get(kind, key)
        if row is None or row.lease_owner != owner:
            return
        row.failures += 1
        row.lease_owner, row.lease_until = "", None
        row.next_run_at = work.now() + AGAIN * row.failures
        row.error = f"A fault of ours ({type(error).__name__}); it is tried again."
        if row.failures >= MOST_FAILURES:
            row.state, row.next_run_at, row.finished_at = "failed", None, work.now()
            row.error = (
                f"A fault of ours ({type(error).__name__}) stopped it after {row.position}; what was done stays."
            )
        session.add(row)
