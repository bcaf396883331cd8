"""A connection of one account to the sandbox, over real HTTP, that never waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import sandbox
from connectors.base import GrantState
from connectors.google.calendar import GoogleCalendar
from connectors.google.config import GoogleConfig
from connectors.google.connection import GoogleConnection, connect
from connectors.google.gmail import GmailMailbox
from tests.support import REP


class Held:
    """``GrantStore`` in memory: one lock, every state that was saved."""

    def __init__(self, state: GrantState) -> None:
        self._state, self._lock = state, threading.Lock()
        self.saved: list[GrantState] = []

    def state(self) -> GrantState:
        return replace(self._state)

    @contextmanager
    def exclusive(self) -> Iterator[GrantState]:
        with self._lock:
            yield replace(self._state)

    def save(self, state: GrantState) -> None:
        self._state = state
        self.saved.append(state)


class Ledger:
    """``Budget`` that allows everything and writes down what was spent and what the provider asked for."""

    def __init__(self) -> None:
        self.spent, self.penalties = 0, list[float]()

    def spend(self, units: int, *, urgent: bool = False) -> None:
        self.spent += units

    def penalise(self, seconds: float) -> None:
        self.penalties.append(seconds)


class Link:
    """A connection with what a test wants to look at."""

    def __init__(self, world: sandbox.World, server: sandbox.Server, email: str, **changes: Any) -> None:
        self.world, self.email, self.budget, self.slept = world, email, Ledger(), list[float]()
        self.config = replace(google_config(server), **changes)
        self.store = Held(GrantState(refresh_token=world.refresh_token(email)))
        self.connection: GoogleConnection = connect(self.config, self.store, self.budget, email=email)

    @property
    def mailbox(self) -> GmailMailbox:
        found = self.connection.mailbox("me")
        found._batch._sleep = self.slept.append
        return found

    @property
    def calendar(self) -> GoogleCalendar:
        return self.connection.calendar("primary")

    @property
    def box(self) -> Any:
        """The sandbox's own mailbox."""
        return self.world.mailbox(self.email)

    def asked(self, operation: str) -> list[Any]:
        """The requests of an operation that the sandbox saw."""
        return [seen for seen in self.world.stats.record if seen.operation == operation]


def google_config(server: sandbox.Server) -> GoogleConfig:
    """How to reach the sandbox."""
    root = server.google_api_root
    return GoogleConfig("test-client", "test-secret", api_root=root, oauth_root=root, timeout=5.0)


@pytest.fixture(autouse=True)
def _no_waiting_in_google_auth(monkeypatch: pytest.MonkeyPatch) -> None:
    """google-auth sleeps some seconds between its attempts at the token endpoint."""
    monkeypatch.setattr("google.auth._exponential_backoff.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def make_link(world: sandbox.World, server: sandbox.Server) -> Iterator[Callable[..., Link]]:
    """Connects accounts; settings of the connector by keyword."""
    made: list[Link] = []

    def make(email: str = REP, **changes: Any) -> Link:
        made.append(Link(world, server, email, **changes))
        return made[-1]

    yield make
    for one in made:
        one.connection.close()


@pytest.fixture
def link(make_link: Callable[..., Link]) -> Link:
    """The rep's account."""
    return make_link()


@pytest.fixture
def make_outlook(world: sandbox.World, server: sandbox.Server) -> Iterator[Callable[..., Any]]:
    """Connects Microsoft accounts; settings of the connector by keyword."""
    from tests.connectors.ms_link import OutlookLink

    made: list[OutlookLink] = []

    def make(email: str = REP, **changes: Any) -> OutlookLink:
        made.append(OutlookLink(world, server, email, **changes))
        return made[-1]

    yield make
    for one in made:
        one.connection.close()


@pytest.fixture
def outlook_link(make_outlook: Callable[..., Any]) -> Any:
    """The rep's Microsoft account."""
    return make_outlook()


@pytest.fixture
def diary(outlook_link: Any) -> Any:
    """The sandbox's own calendar of the rep."""
    return outlook_link.box.calendar


@pytest.fixture
def calendar(outlook_link: Any) -> Any:
    """The same as the connector reads it."""
    return outlook_link.connection.calendar(outlook_link.box.calendar.default)
