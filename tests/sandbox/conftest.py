"""Pretend providers on a clock that stands still, and clients on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from sandbox import Clock, Server, World, serve
from sandbox.mailbox import Mailbox
from sandbox.microsoft.outlook import OutlookBox
from tests.sandbox.client import Google
from tests.sandbox.ms_client import GraphClient

ME, BUYER = "rae@acme.example", "bea@northwind.example"
INA, OTTO = "ina@acme.example", "otto@acme.example"
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


@pytest.fixture
def outlook(world: World) -> OutlookBox:
    return world.outlook(INA, "Ina Holt")


@pytest.fixture
def graph_for(world: World, server: Server) -> Iterator[Callable[..., GraphClient]]:
    """A client of Graph for any account: for fewer scopes, or with a token of one's own."""
    made: list[GraphClient] = []

    def make(email: str = INA, *scopes: str, token: str = "", immutable: bool = True) -> GraphClient:
        token = token or world.microsoft.access_token(email, *((scopes,) if scopes else ()))
        made.append(GraphClient(world, server, token, immutable=immutable))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def graph(outlook: OutlookBox, graph_for: Callable[..., GraphClient]) -> GraphClient:
    return graph_for(INA)
