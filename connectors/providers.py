"""The kinds of account there are, under one shape: what the sign-up needs, what the worker needs, and a meter each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from connectors.base import Budget, Connection, GrantState, GrantStore, Identity, Team
from connectors.clock import REAL, Clock
from connectors.errors import Refused
from connectors.google import GoogleConfig
from connectors.lanes import Lanes, LocalLanes
from connectors.microsoft.config import OWN_HANDS, MicrosoftConfig
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


class AnyProvider(Protocol):
    """One kind of account. ``ready`` is False, with ``why_not``, until its client is configured; ``client``: how one is made, in
    words. ``own_hands``: where a person ends a consent that no program can end; empty where ``revoke`` does it."""

    name: str
    label: str
    client: str
    own_hands: str

    @property
    def ready(self) -> bool: ...

    @property
    def why_not(self) -> str: ...

    def begin(
        self, redirect_uri: str, login_hint: str, before: Mapping[str, Any] | None = None
    ) -> tuple[str, str, str]: ...

    def finish(self, blob: str, params: Mapping[str, str], redirect_uri: str) -> Granted: ...

    def adopt(self, refresh_token: str) -> Granted: ...

    def share(self, given: Granted, addresses: Sequence[str]) -> Granted: ...

    def team(self, key_text: str) -> Team: ...

    def revoke(self, grant: dict[str, Any]) -> None: ...

    def connect(self, store: GrantStore, budget: Budget, *, email: str) -> Connection: ...

    def budget(self, account_id: int) -> Budget: ...


@dataclass
class Google:
    """Gmail and Google Calendar."""

    config: GoogleConfig
    name: str = "google"
    label: str = "Google"
    client: str = "In the Google Cloud console, under Credentials, make an OAuth client of the kind “Web application”"
    own_hands: str = ""
    clock: Clock = REAL
    windows: Callable[[str], Window] | None = None
    """Where units are counted by name, when several processes share a quota; None: in this process alone."""
    _project: Throttle | None = None
    _budgets: dict[int, Throttle] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ready(self) -> bool:
        return bool(self.config.client_id and self.config.client_secret)

    @property
    def why_not(self) -> str:
        return "" if self.ready else "Set DEALTRAIL_GOOGLE_CLIENT_ID and DEALTRAIL_GOOGLE_CLIENT_SECRET first."

    def begin(
        self, redirect_uri: str, login_hint: str, before: Mapping[str, Any] | None = None
    ) -> tuple[str, str, str]:
        """(address to send the browser to, state, what to keep server-side until it comes back). ``before``: the grant that
        is renewed, as plain data."""
        from connectors.google import begin_consent

        consent = begin_consent(self.config, redirect_uri, login_hint=login_hint)
        return consent.url, consent.state, consent.to_json()

    def finish(self, blob: str, params: Mapping[str, str], redirect_uri: str) -> Granted:
        """Raises ConnectorError with a sentence for people."""
        from connectors.google import Consent, finish_consent

        state, identity = finish_consent(self.config, Consent.from_json(blob), params, redirect_uri)
        return granted(self.name, state, identity)

    def adopt(self, refresh_token: str) -> Granted:
        """Take over a refresh token that was obtained elsewhere. Raises ConnectorError."""
        from connectors.google import adopt_refresh_token

        state, identity = adopt_refresh_token(self.config, refresh_token)
        return granted(self.name, state, identity)

    def share(self, given: Granted, addresses: Sequence[str]) -> Granted:
        """Raises Refused: Gmail's mailboxes are delegated, not shared (provider-contract 1.10)."""
        sentence = "Gmail shares no mailboxes; connect that mailbox by itself, or the team with a service account."
        raise Refused("not_shared", sentence, scope="account")

    def team(self, key_text: str) -> Team:
        """A service account by its key file's content. Raises OperatorFault."""
        from connectors.google.team import GoogleTeam

        return GoogleTeam(self.config, key_text)

    def revoke(self, grant: dict[str, Any]) -> None:
        """Withdraw a stored consent at Google, for every client of the project. Raises ConnectorError."""
        from connectors.google.grant import revoke

        revoke(self.config, GrantState.from_plain(grant).refresh_token)

    def connect(self, store: GrantStore, budget: Budget, *, email: str) -> Connection:
        """A connection; no network until it is used."""
        from connectors.google import connect

        return connect(self.config, store, budget, email=email, clock=self.clock)

    def budget(self, account_id: int) -> Budget:
        """The account's meter, one for all threads (and all processes that share windows), below the project's."""
        with self._lock:
            if account_id not in self._budgets:
                self._budgets[account_id] = self._new_budget(account_id)
            return self._budgets[account_id]

    def _new_budget(self, account_id: int) -> Throttle:
        config = self.config
        if self._project is None:
            self._project = self._throttle("google:project", int(config.project_units_per_minute * config.budget_share))
        name = f"google:account:{account_id}"
        return self._throttle(name, config.allowance, reserve=config.reserve, parent=self._project)

    def _throttle(self, name: str, units: int, **options: Any) -> Throttle:
        window = self.windows(name) if self.windows else None
        return Throttle(units, clock=self.clock.monotonic, sleep=self.clock.sleep, window=window, **options)


@dataclass
class Microsoft:
    """Outlook mail and calendar in Microsoft 365."""

    config: MicrosoftConfig
    name: str = "microsoft"
    label: str = "Microsoft"
    client: str = "In Microsoft Entra, register an app with the platform “Web” and give it a client secret"
    own_hands: str = OWN_HANDS
    clock: Clock = REAL
    windows: Callable[[str], Window] | None = None
    lanes: Callable[[str, int], Lanes] | None = None
    """Where requests are counted, and held back while too many are under way, when several processes share a mailbox; None:
    in this process alone."""
    _meters: dict[int, Budget] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ready(self) -> bool:
        return bool(self.config.client_id and self.config.client_secret)

    @property
    def why_not(self) -> str:
        return "" if self.ready else "Set DEALTRAIL_MICROSOFT_CLIENT_ID and DEALTRAIL_MICROSOFT_CLIENT_SECRET first."

    def begin(
        self, redirect_uri: str, login_hint: str, before: Mapping[str, Any] | None = None
    ) -> tuple[str, str, str]:
        """(address to send the browser to, state, what to keep server-side until it comes back). ``before``: the grant that
        is renewed; what Entra demanded when it refused that one is demanded of the new sign-in. Raises ConnectorError."""
        from connectors.microsoft.grant import begin_consent

        known = (before or {}).get("extra") or {}
        claims, shared = str(known.get("claims") or ""), known.get("shared") or ()
        consent = begin_consent(self.config, redirect_uri, login_hint=login_hint, claims=claims, shared=shared)
        return consent.url, consent.state, consent.to_json()

    def finish(self, blob: str, params: Mapping[str, str], redirect_uri: str) -> Granted:
        """Raises ConnectorError with a sentence for people."""
        from connectors.microsoft.grant import Consent, finish_consent

        state, identity = finish_consent(self.config, Consent.from_json(blob), params, redirect_uri)
        return granted(self.name, state, identity)

    def adopt(self, refresh_token: str) -> Granted:
        """Take over a refresh token that was obtained elsewhere. Raises ConnectorError."""
        from connectors.microsoft.grant import adopt_refresh_token

        state, identity = adopt_refresh_token(self.config, refresh_token)
        return granted(self.name, state, identity)

    def share(self, given: Granted, addresses: Sequence[str]) -> Granted:
        """The same consent with others' mailboxes that its person may read. Raises ConnectorError."""
        from connectors.microsoft.grant import with_shared

        state = with_shared(self.config, GrantState.from_plain(given.grant), addresses)
        return replace(given, grant=state.to_plain())

    def team(self, key_text: str) -> Team:
        """An app with application permissions in a tenant, by what ``microsoft.keys.app_key`` made. Raises OperatorFault."""
        from connectors.microsoft.team import MicrosoftTeam

        return MicrosoftTeam(self.config, key_text)

    def revoke(self, grant: dict[str, Any]) -> None:
        """Entra ends a consent for nobody but its person. Raises Refused, which says where."""
        from connectors.microsoft.grant import cannot_revoke

        raise cannot_revoke()

    def connect(self, store: GrantStore, budget: Budget, *, email: str) -> Connection:
        """A connection; no network until it is used."""
        from connectors.microsoft.connection import connect

        return connect(self.config, store, budget, email=email, clock=self.clock)

    def budget(self, account_id: int) -> Budget:
        """The account's meter, one for its mail and calendar, and for all threads (all processes that share it)."""
        with self._lock:
            if account_id not in self._meters:
                self._meters[account_id] = self._new_meter(f"microsoft:account:{account_id}")
            return self._meters[account_id]

    def _new_meter(self, name: str) -> Budget:
        from connectors.microsoft.meter import OutlookMeter

        config, window = self.config, self.windows(name) if self.windows else None
        allowed = max(60, int(config.requests_per_minute * config.budget_share))
        clock = self.clock
        throttle = Throttle(allowed, reserve=allowed // 4, clock=clock.monotonic, sleep=clock.sleep, window=window)
        lanes = self.lanes(name, config.lanes) if self.lanes else LocalLanes(config.lanes)
        return OutlookMeter(throttle, lanes)


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
