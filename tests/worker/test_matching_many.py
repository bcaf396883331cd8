"""Matching a page sends as many statements with a large address book as with a small one, and no more for a longer page."""

from __future__ import annotations

from bench.address_book import Mix
from bench.bench_matching import Desk
from models.db import CHUNK, Database
from models.keyring import Keyring

SMALL, LARGE = 15, 10_005
SHORT = Mix(contacts=6, tagged=3, colleagues=3, strangers=28)
LONG = Mix(contacts=60, tagged=30, colleagues=30, strangers=100)
"""Fewer items than go into one statement."""


def test_a_larger_address_book_costs_no_further_statement(any_url: str, keyring: Keyring) -> None:
    desk = Desk(Database(any_url, keyring), SMALL, SHORT)
    few = [desk.match() for _ in range(3)][-1]
    desk.grow(LARGE)
    many = [desk.match() for _ in range(3)][-1]
    desk.db.close()
    assert few.outcomes == many.outcomes == {"logged": 12, "ignored": 28}
    assert few.queries == many.queries


def test_a_longer_page_costs_no_further_statement(any_url: str, keyring: Keyring) -> None:
    assert sum((LONG.contacts, LONG.tagged, LONG.colleagues, LONG.strangers)) < CHUNK
    desk = Desk(Database(any_url, keyring), LARGE, SHORT)
    short = [desk.match() for _ in range(3)][-1]
    desk.mix = LONG
    long = [desk.match() for _ in range(3)][-1]
    desk.db.close()
    assert long.outcomes == {"logged": 120, "ignored": 100}
    assert long.queries <= short.queries + 2  # addresses with their domains, and threads, may need one part more
