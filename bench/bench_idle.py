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
from bench.ground import PEOPLE, REP, Place, place, settle
from models.account import Source
from models.db import Database, table
from sandbox.bulk import fill
from worker.context import Work
from worker.scheduler import Scheduler
from worker.sync import sync_source
from worker.upkeep import keep_up

POLLS, TICKS = 5, 30
LOCKS = "write transactions"


def run() -> None:
    """Print idle.requests, .units and .writes of one poll of a mailbox; the same of a calendar; and of an idle second."""
    say("idle: one look at a mailbox and at a calendar in which nothing happened, and a second with nothing due;")
    say("  targets: mailbox 1 request, 2 units, no write but the lease; calendar 1 request; second no write")
    world = sandbox.World()
    fill(world.mailbox(REP), 60, relevant_share=0.5, people=PEOPLE)
    with (
        sandbox.serve(world) as server,
        place(server.google_api_root, server.google_oauth_root, world.refresh_token(REP)) as here,
    ):
        settle(here.work)
        for kind, name in (("mail", "idle"), ("calendar", "idle.calendar")):
            requests, units, writes = idle_polls(world, here, kind, POLLS)
            figure(f"{name}.requests", requests / POLLS)
            figure(f"{name}.units", units / POLLS)
            figure(f"{name}.write_transactions", writes.pop(LOCKS, 0) / POLLS)
            figure(f"{name}.lease_writes", writes.pop("source", 0) / POLLS)
            figure(f"{name}.other_writes", sum(writes.values()) / POLLS)
            if writes:
                say(f"  other writes: {dict(writes)}")
        figure("idle.second.writes", sum(idle_seconds(here, TICKS).values()) / TICKS)


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
