"""A kind of account under one shape: what the sign-up needs, what the worker needs, and a meter for each account. What
differs stands in ``google/provider.py`` and ``microsoft/provider.py``."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from connectors.base import Budget, Connection, GrantState, GrantStore, Identity, Team
from connectors.clock import REAL, Clock
from connectors.throttle import Throttle
from connectors.window import Window


@dataclass(frozen=True)
class Granted:
    """A consent that was given: who, what for, and the secret as plain data (seal it before storing)."""

    provider: str
    subject: str
    email: str
    addresses: tuple[str, ...]
    capabilities: tuple[str, ...]
    missing: tuple[str, ...]
    grant: dict[str, Any]


def granted(provider: str, state: GrantState, identity: Identity) -> Granted:
    """A fresh grant and whom it speaks for, ready to be stored."""
    return Granted(
        provider=provider,
        subject=identity.subject,
        email=identity.email,
        addresses=identity.addresses or (identity.email,),
        capabilities=tuple(sorted(identity.capabilities)),
        missing=identity.missing,
        grant=state.to_plain(),
    )


class Client(Protocol):
    """How Dealtrail is known to a provider."""

    @property
    def client_id(self) -> str: ...

    @property
    def client_secret(self) -> str: ...


C = TypeVar("C", bound=Client)


class Provider(ABC, Generic[C]):
    """One kind of account. ``windows``: where units are counted by name, when several processes share a quota; None: in this
    process alone. No method but ``connect`` and ``budget`` does without network."""

    name: str
    label: str
    client: str
    """How a client is made, in words."""
    own_hands: str = ""
    """Where a person ends a consent that no program can end; empty where ``revoke`` does it."""

    def __init__(self, config: C, *, clock: Clock = REAL, windows: Callable[[str], Window] | None = None) -> None:
        self.config, self.clock, self.windows = config, clock, windows
        self._budgets: dict[int, Budget] = {}
        self._lock = threading.Lock()

    @property
    def ready(self) -> bool:
        """False, with ``why_not``, until its client is configured."""
        return bool(self.config.client_id and self.config.client_secret)

    @property
    def why_not(self) -> str:
        name = f"DEALTRAIL_{self.name.upper()}_CLIENT"
        return "" if self.ready else f"Set {name}_ID and {name}_SECRET first."

    @abstractmethod
    def begin(
        self, redirect_uri: str, login_hint: str, before: Mapping[str, Any] | None = None
    ) -> tuple[str, str, str]:
        """(address to send the browser to, state, what to keep server-side until it comes back). ``before``: the grant that
        is renewed, as plain data. Raises ConnectorError."""

    def finish(self, blob: str, params: Mapping[str, str], redirect_uri: str) -> Granted:
        """What the browser came back with. Raises ConnectorError with a sentence for people."""
        return granted(self.name, *self._finish(blob, params, redirect_uri))

    def adopt(self, refresh_token: str) -> Granted:
        """Take over a refresh token that was obtained elsewhere. Raises ConnectorError."""
        return granted(self.name, *self._adopt(refresh_token))

    @abstractmethod
    def share(self, given: Granted, addresses: Sequence[str]) -> Granted:
        """The same consent with others' mailboxes that its person may read. Raises ConnectorError."""

    @abstractmethod
    def team(self, key_text: str) -> Team:
        """Who connects a whole team at once, by the content of a key. Raises OperatorFault."""

    @abstractmethod
    def revoke(self, grant: dict[str, Any]) -> None:
        """Withdraw a stored consent at the provider. Raises ConnectorError."""

    @abstractmethod
    def connect(self, store: GrantStore, budget: Budget, *, email: str) -> Connection:
        """A connection; no network until it is used."""

    def budget(self, account_id: int) -> Budget:
        """The account's meter, one for all its sources and threads (and for all processes that share windows)."""
        with self._lock:
            if account_id not in self._budgets:
                self._budgets[account_id] = self._new_budget(f"{self.name}:account:{account_id}")
            return self._budgets[account_id]

    @abstractmethod
    def _finish(self, blob: str, params: Mapping[str, str], redirect_uri: str) -> tuple[GrantState, Identity]: ...

    @abstractmethod
    def _adopt(self, refresh_token: str) -> tuple[GrantState, Identity]: ...

    @abstractmethod
    def _new_budget(self, name: str) -> Budget: ...

    def _throttle(self, name: str, units: int, *, reserve: int = 0, parent: Throttle | None = None) -> Throttle:
        """``units`` a minute on this provider's clock, counted where all processes see it."""
        window = self.windows(name) if self.windows else None
        clock = self.clock
        return Throttle(units, reserve=reserve, parent=parent, clock=clock.monotonic, sleep=clock.sleep, window=window)
