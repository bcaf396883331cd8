"""Microsoft as a kind of account. msal loads on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connectors.base import Budget, Connection, GrantState, GrantStore, Identity, Team
from connectors.clock import REAL, Clock
from connectors.lanes import Lanes, LocalLanes
from connectors.microsoft.config import OWN_HANDS, MicrosoftConfig
from connectors.provider import Granted, Provider
from connectors.window import Window


class Microsoft(Provider[MicrosoftConfig]):
    """Outlook mail and calendar in Microsoft 365. ``lanes``: where requests are held back while too many are under way in a
    mailbox that several processes share; None: in this process alone."""

    name = "microsoft"
    label = "Microsoft"
    client = "In Microsoft Entra, register an app with the platform “Web” and give it a client secret"
    own_hands = OWN_HANDS

    def __init__(
        self,
        config: MicrosoftConfig,
        *,
        clock: Clock = REAL,
        windows: Callable[[str], Window] | None = None,
        lanes: Callable[[str, int], Lanes] | None = None,
    ) -> None:
        super().__init__(config, clock=clock, windows=windows)
        self.lanes = lanes

    def begin(
        self, redirect_uri: str, login_hint: str, before: Mapping[str, Any] | None = None
    ) -> tuple[str, str, str]:
        """What Entra demanded when it refused the grant ``before`` is demanded of the new sign-in. Raises ConnectorError."""
        from connectors.microsoft.grant import begin_consent

        known = (before or {}).get("extra") or {}
        claims, shared = str(known.get("claims") or ""), known.get("shared") or ()
        consent = begin_consent(self.config, redirect_uri, login_hint=login_hint, claims=claims, shared=shared)
        return consent.url, consent.state, consent.to_json()

    def _finish(self, blob: str, params: Mapping[str, str], redirect_uri: str) -> tuple[GrantState, Identity]:
        from connectors.microsoft.grant import Consent, finish_consent

        return finish_consent(self.config, Consent.from_json(blob), params, redirect_uri)

    def _adopt(self, refresh_token: str) -> tuple[GrantState, Identity]:
        from connectors.microsoft.grant import adopt_refresh_token

        return adopt_refresh_token(self.config, refresh_token)

    def share(self, given: Granted, addresses: Sequence[str]) -> Granted:
        from connectors.microsoft.grant import with_shared

        state = with_shared(self.config, GrantState.from_plain(given.grant), addresses)
        return replace(given, grant=state.to_plain())

    def team(self, key_text: str) -> Team:
        """An app with application permissions in a tenant, by what ``keys.app_key`` made. Raises OperatorFault."""
        from connectors.microsoft.team import MicrosoftTeam

        return MicrosoftTeam(self.config, key_text)

    def revoke(self, grant: dict[str, Any]) -> None:
        """Entra ends a consent for nobody but its person. Raises Refused, which says where."""
        from connectors.microsoft.grant import cannot_revoke

        raise cannot_revoke()

    def connect(self, store: GrantStore, budget: Budget, *, email: str) -> Connection:
        from connectors.microsoft.connection import connect

        return connect(self.config, store, budget, email=email, clock=self.clock)

    def _new_budget(self, name: str) -> Budget:
        """A minute's requests, and the lanes in which they run."""
        from connectors.microsoft.meter import OutlookMeter

        config = self.config
        allowed = max(60, int(config.requests_per_minute * config.budget_share))
        lanes = self.lanes(name, config.lanes) if self.lanes else LocalLanes(config.lanes)
        return OutlookMeter(self._throttle(name, allowed, reserve=allowed // 4), lanes)
