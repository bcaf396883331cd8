"""The outbox: each thing once, each in its place."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import col, select

from models.db import Database
from models.event import Event, announce, event_row, place_events
from tests.models.cast import told
from tests.support import NOW

THREADS = 6


def test_what_is_announced_twice_happened_once(any_db: Database) -> None:
    with any_db.write() as session:
        for payload in ({"n": 1}, {"n": 2}):
            announce(session, event_row("deal.won", "7", payload, now=NOW))
        announce(session, event_row("deal.lost", "7", {}, now=NOW))
        announce(session)
        assert [(e.kind, e.payload) for e in told(session)] == [("deal.won", {"n": 1}), ("deal.lost", {})]
        assert len({event.uid for event in told(session)}) == 2


def test_places_follow_the_ids_in_pages(any_db: Database) -> None:
    with any_db.write() as session:
        announce(session, *(event_row("deal.won", str(n), {}, now=NOW) for n in range(5)))
        first = [event.position for event in place_events(session, limit=3)]
        second = [event.position for event in place_events(session, limit=3)]
        assert (first, second, place_events(session)) == ([1, 2, 3], [4, 5], [])
        assert session.exec(select(Event.position).order_by(col(Event.id))).all() == [1, 2, 3, 4, 5]


def test_many_writers_and_many_placers_leave_no_gap(any_db: Database) -> None:
    """Field note 21: the feed can be read by position alone, because none is ever missing or doubled."""
    start = threading.Barrier(THREADS)

    def run(worker: int) -> None:
        start.wait()
        for number in range(5):
            with any_db.write() as session:
                announce(session, event_row("deal.won", f"{worker}.{number}", {}, now=NOW))
            with any_db.write() as session:
                place_events(session, limit=3)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, range(THREADS)))
    with any_db.write() as session:
        place_events(session)
    with any_db.read() as session:
        places = session.exec(select(Event.position).order_by(col(Event.position))).all()
    assert places == list(range(1, THREADS * 5 + 1))


def test_an_event_that_was_rolled_back_never_happened(any_db: Database) -> None:
    with pytest.raises(ZeroDivisionError), any_db.write() as session:
        announce(session, event_row("deal.won", "7", {}, now=NOW))
        raise ZeroDivisionError
    with any_db.write() as session:
        assert told(session) == []
        announce(session, event_row("deal.won", "8", {}, now=NOW))
        assert [event.position for event in place_events(session)] == [1]
