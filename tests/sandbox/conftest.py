"""A pretend Google on a clock that stands still, and the client library on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from sandbox import Clock, Server, World, serve
from sandbox.mailbox import Mailbox
from tests.sandbox.client import Google

ME, BUYER = "rae@acme.example", "bea@northwind.example"
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    made = World(Clock(virtual=True, start=NOW.timestamp()))
    made.mailbox(ME, "Rae Fenwick")
    return made


@pytest.fixture
def box(world: World) -> Mailbox:
    return world.mailbox(ME)


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    with serve(world) as running:
        yield running


@pytest.fixture
def google(google_for: Callable[..., Google]) -> Google:
    return google_for(ME)


@pytest.fixture
def google_for(world: World, server: Server) -> Iterator[Callable[..., Google]]:
    """The library for any account, and for fewer scopes."""
    made: list[Google] = []

    def make(email: str, *scopes: str) -> Google:
        made.append(Google(world, server, email, scopes) if scopes else Google(world, server, email))
        return made[-1]

    yield make
    for one in made:
        one.close()
