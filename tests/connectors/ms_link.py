"""A Microsoft account of the sandbox, connected over real HTTP, that never waits."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import sandbox
from connectors.clock import Clock
from connectors.microsoft.config import MicrosoftConfig
from connectors.microsoft.connection import MicrosoftConnection, connect
from connectors.microsoft.grant import adopt_refresh_token
from connectors.microsoft.mail import OutlookMailbox
from tests.connectors.conftest import Held, Ledger


class LaneLedger(Ledger):
    """A meter that allows everything, lanes too, and writes down how many were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes: list[int] = []

    def lane(self, count: int = 1) -> AbstractContextManager[None]:
        self.lanes.append(count)
        return nullcontext()


def microsoft_config(server: sandbox.Server) -> MicrosoftConfig:
    """How to reach the sandbox."""
    return MicrosoftConfig(
        "test-client",
        "test-secret",
        graph_root=server.microsoft_graph_root,
        login_root=server.microsoft_login_root,
        timeout=5.0,
    )


class OutlookLink:
    """A connection with what a test wants to look at."""

    def __init__(self, world: sandbox.World, server: sandbox.Server, email: str, **changes: Any) -> None:
        self.world, self.email, self.budget, self.slept = world, email, LaneLedger(), list[float]()
        self.config = replace(microsoft_config(server), **changes)
        self.box = world.outlook(email)
        state, self.identity = adopt_refresh_token(self.config, world.microsoft_refresh_token(email))
        self.store = Held(state)
        clock = Clock(sleep=self.slept.append)
        self.connection: MicrosoftConnection = connect(self.config, self.store, self.budget, email=email, clock=clock)

    @property
    def mailbox(self) -> OutlookMailbox:
        return self.connection.mailbox("me")

    def asked(self, operation: str) -> list[Any]:
        """The requests of an operation that the sandbox saw."""
        return [seen for seen in self.world.stats.record if seen.operation == operation]
