"""Access tokens (RFC 6749 6, RFC 7523; provider-contract 1.2, 1.10).

google-auth renews them, from a refresh token or from a service account's signed assertion, under the account's own lock and
only by the first who needs it; the others find the new one stored. A stored refresh token is never overwritten with nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import google.auth.credentials
import google.oauth2.credentials
from google.auth.exceptions import RefreshError
from google.oauth2 import service_account

from connectors.base import GrantState, GrantStore
from connectors.errors import Reconnect
from connectors.google.config import GoogleConfig
from connectors.google.faults import classify
from connectors.google.keys import checked_key, unreadable
from connectors.google.token_faults import Robot, refresh_fault, token_fault

SPARE = timedelta(seconds=60)
USUAL = timedelta(seconds=3_599)
"""How long an access token lives where the answer does not say."""


class StoredCredentials(google.auth.credentials.Credentials):
    """Credentials whose tokens live in a GrantStore. ``transport`` makes the token calls, whatever line the library would
    open for them (for batches one of its own, which follows redirects and is never closed)."""

    def __init__(self, config: GoogleConfig, store: GrantStore, transport: Any) -> None:
        super().__init__()
        self._config, self._store, self._transport = config, store, transport
        self._use(store.state())

    def refresh(self, request: Any) -> None:
        """Take the token that another worker has just fetched, else fetch one and keep it. Raises ConnectorError."""
        with self._store.exclusive() as state:
            if not state.refresh_token and not state.key:
                raise Reconnect("no_grant", "This account is not connected any more. Please reconnect.")
            fresh = state.expires_at is not None and state.expires_at > datetime.now(UTC) + SPARE
            if not (state.access_token and state.access_token != self.token and fresh):
                state = renewed(self._config, state, self._transport)
                self._store.save(state)
            self._use(state)

    def _use(self, state: GrantState) -> None:
        self.token, self.expiry = state.access_token or None, _naive(state.expires_at)


def renewed(config: GoogleConfig, state: GrantState, transport: Any) -> GrantState:
    """The grant with a new access token. Raises ConnectorError."""
    robot = robot_of(state)
    vendor = _acting(config, state) if robot else _consented(config, state)
    try:
        vendor.refresh(transport)
    except RefreshError as error:
        raise refresh_fault(error, robot=robot) from None
    except Exception as error:  # noqa: BLE001  (whatever the library throws: its text may quote the answer)
        raise classify(error) from None
    if not isinstance(vendor.token, str) or not vendor.token:
        raise token_fault("", robot=robot)
    return replace(
        state,
        refresh_token=getattr(vendor, "refresh_token", None) or state.refresh_token,
        access_token=vendor.token,
        expires_at=vendor.expiry.replace(tzinfo=UTC) if vendor.expiry else datetime.now(UTC) + USUAL,
        scopes=tuple(getattr(vendor, "granted_scopes", None) or state.scopes),
    )


def robot_of(state: GrantState) -> Robot | None:
    """The service account behind a grant, if there is one."""
    return Robot(str(state.key.get("client_id", "")), state.scopes) if state.key else None


def _consented(config: GoogleConfig, state: GrantState) -> google.oauth2.credentials.Credentials:
    return google.oauth2.credentials.Credentials(
        token=None,
        refresh_token=state.refresh_token,
        token_uri=config.token_uri,
        client_id=config.client_id,
        client_secret=config.client_secret,
    )


def _acting(config: GoogleConfig, state: GrantState) -> service_account.Credentials:
    """The service account for one user. Whatever address the key names, the assertion goes to the configured one."""
    key = checked_key(state.key, config)
    try:
        return service_account.Credentials.from_service_account_info(
            {**key, "token_uri": config.token_uri}, scopes=list(state.scopes), subject=state.delegated_to or None
        )
    except ValueError:
        raise unreadable() from None


def _naive(moment: datetime | None) -> datetime | None:
    """google-auth compares with naive UTC; an aware datetime makes it raise (provider-contract 1.2)."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment else None
