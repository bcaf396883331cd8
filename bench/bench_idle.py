"""What a mailbox and a calendar cost in which nothing happens: requests and units as the sandbox counts them, writes as the
database sees them (statements that changed a row, by table; the lease is a column of the source)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import event, update

import sandbox
from bench.figures import figure, say
from bench.ground import REP, Place, settle
from bench.sides import MICROSOFT, Side, beside
from models.account import Source
from models.db import Database, table
from sandbox.microsoft.outlook import OutlookBox
from worker.context import Work
from worker.scheduler import Scheduler
from worker.sync import sync_source
from worker.upkeep import keep_up

POLLS, TICKS = 5, 30
LOCKS = "write transactions"
FOLLOWED = ("inbox", "sentitems", "archive")
"""By their well-known names; and whatever the mailbox's owner made."""


def run(side: Side) -> None:
    """Print idle.requests, .units (where units are counted), .least_requests (where there are several) and .writes of one poll of
    a mailbox; the same of a calendar; and of an idle second."""
    name = f"idle{side.suffix}"
    say(f"{name}: one look at a mailbox and at a calendar in which nothing happened, and a second with nothing due;")
    if side is MICROSOFT:
        say(
            "  targets: mailbox 1 request for the tree of folders and 1 for each folder with mail, no write but the lease;"
        )
    else:
        say("  targets: mailbox 1 request, 2 units, no write but the lease;")
    say("  calendar 1 request; second no write")
    world = sandbox.World()
    side.fill(world, 60, 0.5)
    with beside(side, world) as here:
        settle(here.work)
        if side is MICROSOFT:
            figure(f"{name}.least_requests", least_requests(world.outlook(REP)))
        for kind, told in (("mail", name), ("calendar", f"{name}.calendar")):
            requests, units, writes = idle_polls(world, here, kind, POLLS)
            figure(f"{told}.requests", requests / POLLS)
            if side is not MICROSOFT:
                figure(f"{told}.units", units / POLLS)
            figure(f"{told}.write_transactions", writes.pop(LOCKS, 0) / POLLS)
            figure(f"{told}.lease_writes", writes.pop("source", 0) / POLLS)
            figure(f"{told}.other_writes", sum(writes.values()) / POLLS)
            if writes:
                say(f"  other writes: {dict(writes)}")
        figure(f"{name}.second.writes", sum(idle_seconds(here, TICKS).values()) / TICKS)


def least_requests(box: OutlookBox) -> int:
    """For a look at an Outlook mailbox: the tree of folders, and each folder that may hold mail (provider-contract 4.3)."""
    followed = [
        one
        for one in box.folders.values()
        if one.well_known in FOLLOWED or (not one.well_known and one.serial and not one.hidden)
    ]
    return 1 + len(followed)


def idle_polls(world: sandbox.World, here: Place, kind: str, times: int) -> tuple[int, int, Counter[str]]:
    """(requests, units, rows changed by table) of so many looks at the sources of a kind, as the scheduler has them made."""
    world.stats.clear()
    clock = Scheduler(here.work, lambda name, *given: _do(here.work, name, *given))
    with rows_changed(here.house.db) as changed:
        for _ in range(times):
            with _unseen(changed), here.house.db.write() as session:
                sources = table(Source)
                due = update(sources).where(sources.c.kind == kind).values(next_sync_at=here.work.now())
                session.connection().execute(due)
            clock.tick()
    return len(world.stats.record), sum(seen.units for seen in world.stats.record), changed


def idle_seconds(here: Place, ticks: int) -> Counter[str]:
    """Rows changed, by table, by so many ticks with nothing due, the look after dead workers among them."""
    with here.house.db.write() as session:
        later = here.work.now() + timedelta(days=1)
        session.connection().execute(update(table(Source)).values(next_sync_at=later))
    clock = Scheduler(here.work, lambda name, *given: _do(here.work, name, *given))
    with rows_changed(here.house.db) as changed:
        for _ in range(ticks):
            clock._swept = 0.0
            clock.tick()
    return changed


def _do(work: Work, name: str, *given: Any) -> None:
    """The job at once, in this thread."""
    if name == "sync_source":
        sync_source(work, *given)
    keep_up(work)


@contextmanager
def rows_changed(db: Database) -> Iterator[Counter[str]]:
    """How many rows each table had inserted, updated or deleted meanwhile; and how often the write lock was taken."""
    changed: Counter[str] = Counter()

    def count(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        words = statement.split(None, 3)
        if statement == "BEGIN IMMEDIATE":
            changed[LOCKS] += 1
        if words[0].upper() in ("INSERT", "UPDATE", "DELETE") and cursor.rowcount > 0:
            name = words[1] if words[0].upper() == "UPDATE" else words[2]
            changed[name.strip('"')] += cursor.rowcount

    event.listen(db.engine, "after_cursor_execute", count)
    try:
        yield changed
    finally:
        event.remove(db.engine, "after_cursor_execute", count)


@contextmanager
def _unseen(changed: Counter[str]) -> Iterator[None]:
    """What the measurement itself writes does not count."""
    before = Counter(changed)
    yield
    changed.clear()
    changed.update(before)
