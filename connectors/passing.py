"""For a connection of one or two calls: a grant that is kept nowhere, and a meter that counts nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from connectors.base import GrantState


class Passing:
    """``connectors.base.GrantStore`` of a grant that is used and then forgotten. For one thread."""

    def __init__(self, state: GrantState) -> None:
        self._state = state

    def state(self) -> GrantState:
        return self._state

    @contextmanager
    def exclusive(self) -> Iterator[GrantState]:
        yield self._state

    def save(self, state: GrantState) -> None:
        self._state = state


class Unmetered:
    """``connectors.base.Budget`` that allows everything."""

    def spend(self, units: int, *, urgent: bool = False) -> None: ...

    def penalise(self, seconds: float) -> None: ...
