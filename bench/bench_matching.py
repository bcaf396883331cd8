"""What it costs to match one page of 500 items with 1,000,000 contacts, against 1,000.

Two databases of each kind, one small and one large, stand side by side; the same page of mail (as many contacts, strangers,
answers) is matched on one and on the other in turns, after a warm-up, by the worker's own steps: which mails may be opened,
then everything decided and stored. Each page names other people, spread over the whole book. Processor time is this
process's and, for Postgres, that of its server's processes too.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil
from sqlalchemy import event
from sqlmodel import select

from bench.address_book import PAGE, Mix, enlarge, page, write_book
from bench.figures import figure, say
from bench.postgres import administer, for_database, running_postgres, server_pid
from connectors.items import Body, Message
from models.db import Database
from models.keyring import Keyring
from models.ledger import LedgerEntry
from worker.intake import Holding, take, to_open

SMALL, LARGE = 1_005, 1_000_005
WARM, PAGES = 3, 9
TARGET = 1.2
TEXT = Body("Could you send the offer again?\n\nOn Monday you wrote:\n> Here it is.", "Could you send the offer again?")


@dataclass
class Spent:
    """What one page cost: seconds of processor time for the whole way and for the choice of what to open (matching alone,
    nothing stored), seconds of wall time, and statements sent."""

    processor: float
    choosing: float
    wall: float
    queries: int
    outcomes: Counter[str] = field(default_factory=Counter)


class Desk:
    """A database with a book in it, whose one mailbox takes pages."""

    def __init__(self, db: Database, contacts: int, mix: Mix = PAGE) -> None:
        self.db, self.contacts, self.mix = db, contacts, mix
        self.now = datetime.now(UTC)
        self._holding = Holding(write_book(db, contacts, now=self.now), "bench", 3_600)
        self._number = 0

    def grow(self, contacts: int) -> None:
        """More people in the book."""
        enlarge(self.db, self.contacts, contacts, now=self.now)
        self.contacts = contacts

    def match(self, processor: Callable[[], float] = time.process_time) -> Spent:
        """Take the next page as a sync does: choose by headers what to open, decide on all of it, store."""
        items = page(self._number, self.mix, self.contacts, now=self.now)
        self._number += 1
        with counted(self.db) as statements:
            began, wall = processor(), time.perf_counter()
            wanted = {one.item_id for one in to_open(self.db, self._holding.source_id, items)}
            chosen = processor()
            opened: list[Message] = [replace(item, body=TEXT) if item.item_id in wanted else item for item in items]
            take(self.db, self.db.keyring, self._holding, opened, now=self.now)
            spent = Spent(processor() - began, chosen - began, time.perf_counter() - wall, statements())
        spent.outcomes = self._outcomes(items)
        return spent

    def _outcomes(self, items: Sequence[Message]) -> Counter[str]:
        with self.db.read() as session:
            rows = session.exec(select(LedgerEntry.item_id, LedgerEntry.outcome)).all()
        ids = {item.item_id for item in items}
        return Counter(outcome for item_id, outcome in rows if item_id in ids)


@contextmanager
def counted(db: Database) -> Iterator[Callable[[], int]]:
    """How many statements a database was sent since."""
    sent = 0

    def count(*_: object) -> None:
        nonlocal sent
        sent += 1

    event.listen(db.engine, "before_cursor_execute", count)
    try:
        yield lambda: sent
    finally:
        event.remove(db.engine, "before_cursor_execute", count)


def run(contacts: int = LARGE) -> None:
    """Print matching.sqlite_ratio, matching.postgres_ratio (processor time, large to small), the same of the choice of what
    to open and of wall time, and the statements a page."""
    size = sum((PAGE.contacts, PAGE.tagged, PAGE.colleagues, PAGE.strangers))
    say(f"matching: a page of {size} items with {contacts:,} contacts against {SMALL:,}; target <= {TARGET}")
    keyring = Keyring(["a-key-for-benchmarks-long-enough"])
    with tempfile.TemporaryDirectory(prefix="dealtrail-bench-") as folder:
        urls = [f"sqlite:///{Path(folder) / name}.db" for name in ("small", "large")]
        _compare("sqlite", urls, keyring, contacts, time.process_time)
    with running_postgres() as uri:
        for name in ("small", "large"):
            administer(uri, f"CREATE DATABASE {name}")
        server = psutil.Process(server_pid(uri))
        urls = [for_database(uri, name) for name in ("small", "large")]
        _compare("postgres", urls, keyring, contacts, lambda: time.process_time() + _of(server))


def _compare(name: str, urls: list[str], keyring: Keyring, contacts: int, processor: Callable[[], float]) -> None:
    bases = [Database(url, keyring) for url in urls]
    for db in bases:
        db.migrate()
    small, large = (Desk(db, count) for db, count in zip(bases, (SMALL, contacts), strict=True))
    for _ in range(WARM):
        for desk in (small, large):
            desk.match(processor)
    turns = [(small.match(processor), large.match(processor)) for _ in range(PAGES)]
    for less, more in turns:
        if less.outcomes != more.outcomes:
            raise AssertionError(f"the pages do not end alike: {less.outcomes} and {more.outcomes}")
    few, many = {less.queries for less, _ in turns}, {more.queries for _, more in turns}
    say(f"  {name}: {dict(turns[0][0].outcomes)}; statements a page: {sorted(few)} and {sorted(many)}")
    figure(f"matching.{name}_ratio", _ratio(turns, "processor"))
    figure(f"matching.{name}_choosing_ratio", _ratio(turns, "choosing"))
    figure(f"matching.{name}_wall_ratio", _ratio(turns, "wall"))
    figure(f"matching.{name}_queries_small", max(few))
    figure(f"matching.{name}_queries", max(many))
    for db in bases:
        db.close()


def _ratio(turns: list[tuple[Spent, Spent]], what: str) -> float:
    """The median page of the large book against that of the small one."""
    less, more = (median(getattr(pair[side], what) for pair in turns) for side in (0, 1))
    say(f"    {what}: {less * 1_000:.0f} ms and {more * 1_000:.0f} ms a page")
    return more / less


def _of(server: psutil.Process) -> float:
    """Seconds of processor time of a Postgres: its postmaster and the sessions that are there now."""
    total = 0.0
    for one in [server, *server.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
