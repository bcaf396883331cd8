"""Google as a kind of account. Its libraries load on first use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.base import Budget, Connection, GrantState, GrantStore, Identity, Team
from connectors.errors import Refused
from connectors.google.config import GoogleConfig
from connectors.provider import Granted, Provider
from connectors.throttle import Throttle


class Google(Provider[GoogleConfig]):
    """Gmail and Google Calendar."""

    name = "google"
    label = "Google"
    client = "In the Google Cloud console, under Credentials, make an OAuth client of the kind “Web application”"
    _project: Throttle | None = None

    def begin(
        self, redirect_uri: str, login_hint: str, before: Mapping[str, Any] | None = None
    ) -> tuple[str, str, str]:
        from connectors.google.grant import begin_consent

        consent = begin_consent(self.config, redirect_uri, login_hint=login_hint)
        return consent.url, consent.state, consent.to_json()

    def _finish(self, blob: str, params: Mapping[str, str], redirect_uri: str) -> tuple[GrantState, Identity]:
        from connectors.google.grant import Consent, finish_consent

        return finish_consent(self.config, Consent.from_json(blob), params, redirect_uri)

    def _adopt(self, refresh_token: str) -> tuple[GrantState, Identity]:
        from connectors.google.grant import adopt_refresh_token

        return adopt_refresh_token(self.config, refresh_token)

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
        from connectors.google.connection import connect

        return connect(self.config, store, budget, email=email, clock=self.clock)

    def _new_budget(self, name: str) -> Budget:
        """The account's meter below the project's, which is one for all accounts."""
        config = self.config
        if self._project is None:
            self._project = self._throttle("google:project", int(config.project_units_per_minute * config.budget_share))
        return self._throttle(name, config.allowance, reserve=config.reserve, parent=self._project)
