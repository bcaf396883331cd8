"""Access tokens of an account, renewed through msal (provider-contract 3.3, 3.4, 3.6).

An account's token cache is part of its sealed grant and is stored under the account's own lock with every token; whoever waited for
the lock finds the new token and makes no call. An app in its own name keeps no cache: its token is asked for anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msal

from connectors.base import GrantState, GrantStore
from connectors.errors import Reconnect
from connectors.microsoft.config import READING, WHOLE_TENANT, MicrosoftConfig
from connectors.microsoft.entra import app_of, asked
from connectors.microsoft.token_faults import token_fault

SPARE = timedelta(seconds=60)
USUAL = 3_599.0
"""Seconds that an access token lives where the answer does not say."""


class StoredTokens:
    """``graph.Tokens`` of an account whose grant lives in a GrantStore. One for each thread."""

    def __init__(self, config: MicrosoftConfig, store: GrantStore) -> None:
        self._config, self._store = config, store
        self._token, self._until = "", datetime.min.replace(tzinfo=UTC)

    def access(self) -> str:
        if not self._token or self._until <= datetime.now(UTC) + SPARE:
            self._use(self._store.state())
        if not self._token or self._until <= datetime.now(UTC) + SPARE:
            return self.renew(self._token)
        return self._token

    def renew(self, stale: str, claims: str = "") -> str:
        """Take the token that another worker has just fetched, else fetch one and keep it."""
        with self._store.exclusive() as state:
            fresh = state.expires_at is not None and state.expires_at > datetime.now(UTC) + SPARE
            if not (state.access_token and state.access_token != stale and fresh):
                state = self._renewed(state, claims)
            self._use(state)
        return self._token

    def _renewed(self, state: GrantState, claims: str) -> GrantState:
        if state.key:
            state = for_app(self._config, state, claims)
            self._store.save(state)
            return state
        cache = msal.SerializableTokenCache()
        cache.deserialize(str(state.extra.get("cache") or "{}"))
        try:
            state = with_token(state, _silent(self._config, state, cache, claims))
        except Reconnect as error:
            state = replace(state, extra=state.extra | {"claims": error.claims})
            raise
        finally:
            state = replace(state, extra=state.extra | {"cache": cache.serialize()})
            self._store.save(state)
        return state

    def _use(self, state: GrantState) -> None:
        self._token = state.access_token
        self._until = state.expires_at or datetime.min.replace(tzinfo=UTC)


def for_app(config: MicrosoftConfig, state: GrantState, claims: str = "") -> GrantState:
    """The grant with a token that the app got in its own name, for the whole tenant. Raises ConnectorError."""
    key = state.key
    app = app_of(
        config, msal.TokenCache(), tenant=key["tenant"], client_id=key["client_id"], credential=credential_of(key)
    )
    answer = asked(app.acquire_token_for_client, list(WHOLE_TENANT), claims_challenge=claims or None)
    if "access_token" not in answer:
        raise token_fault(answer, client_id=key["client_id"], robot=True)
    return with_token(state, answer)


def credential_of(key: Mapping[str, str]) -> str | dict[str, str]:
    """What msal proves an app with: its certificate, else its secret."""
    if key.get("private_key"):
        return {"private_key": key["private_key"], "public_certificate": key["certificate"]}
    return key.get("client_secret", "")


def _silent(config: MicrosoftConfig, state: GrantState, cache: msal.TokenCache, claims: str) -> dict[str, Any]:
    app = app_of(config, cache, tenant=str(state.extra.get("tenant") or ""))
    accounts = [one for one in app.get_accounts() if str(one.get("home_account_id")).lower() == state.extra.get("home")]
    if not accounts:
        raise Reconnect("no_grant", "This account is not connected any more. Please reconnect.")
    wanted = [scope for scope in state.scopes if "." in scope]
    answer = asked(
        app.acquire_token_silent_with_error,
        wanted or list(READING),
        accounts[0],
        force_refresh=True,
        claims_challenge=claims or None,
    )
    if "access_token" not in answer:
        raise token_fault(answer, client_id=config.client_id)
    return answer


class Once:
    """``graph.Tokens`` with the one token that a sign-in gave."""

    def __init__(self, token: str) -> None:
        self._token = token

    def access(self) -> str:
        return self._token

    def renew(self, stale: str, claims: str = "") -> str:
        raise Reconnect("id_token", "Microsoft took the access back as soon as it was given. Please start it again.")


def with_token(state: GrantState, answer: Mapping[str, Any]) -> GrantState:
    seconds = number_of(answer.get("expires_in")) or USUAL
    extra = {name: value for name, value in state.extra.items() if name != "claims"}
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    return replace(state, access_token=str(answer["access_token"]), expires_at=expires, extra=extra)


def number_of(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
