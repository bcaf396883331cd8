"""A person's consent and an administrator's, at Entra through msal (provider-contract section 3).

msal proves state, nonce and PKCE; since 1.38 it does not look at the ID token, so ``checked_claims`` does: who it is for, who
issued it, for which tenant, until when. How tokens are renewed afterwards: ``tokens``.
"""

from __future__ import annotations

import json
import secrets
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import quote

import msal

from connectors.allowed import allowed
from connectors.base import GrantState, Identity, SourceKind
from connectors.errors import ConnectorError, Gone, OperatorFault, Reconnect, Refused
from connectors.microsoft.config import (
    CALENDAR_SCOPES,
    LOGIN_ROOT,
    MAIL_SCOPES,
    OWN_HANDS,
    READING,
    SHARED,
    SHARED_TENANTS,
    WHOLE_TENANT,
    MicrosoftConfig,
)
from connectors.microsoft.entra import app_of, asked
from connectors.microsoft.graph import Graph
from connectors.microsoft.meter import Unmetered
from connectors.microsoft.token_faults import token_fault
from connectors.microsoft.tokens import Once, number_of, with_token

PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of personal accounts."""
LEEWAY = 300.0
"""Seconds that clocks may differ."""
USER = "id,mail,userPrincipalName,proxyAddresses"
_ELSEWHERE = "The sign-in was meant for another app or organisation. Please start it again."
_NOT_YOURS = "This sign-in does not belong to this browser. Please start it again."


@dataclass(frozen=True)
class Consent:
    """A sign-up under way: where to send the browser, and msal's flow, to be kept server-side until it comes back."""

    url: str
    state: str
    flow: dict[str, Any]
    shared: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, blob: str) -> Consent:
        return cls(**json.loads(blob))


def begin_consent(
    config: MicrosoftConfig, redirect_uri: str, *, login_hint: str = "", claims: str = "", shared: Sequence[str] = ()
) -> Consent:
    """The address of Microsoft's sign-in, with state, PKCE and a nonce of its own. ``claims``: what an earlier refusal
    demanded; ``shared``: others' mailboxes to be read too. Raises ConnectorError."""
    scopes = [*READING, *(SHARED if shared else ())]
    with warnings.catch_warnings():
        # msal would rather have a form posted back, but that would come without our cookie; PKCE guards the code
        warnings.simplefilter("ignore")
        flow = asked(
            app_of(config, msal.TokenCache()).initiate_auth_code_flow,
            scopes,
            redirect_uri=redirect_uri,
            prompt="select_account",
            login_hint=login_hint or None,
            claims_challenge=claims or None,
            response_mode="query",
        )
    return Consent(str(flow["auth_uri"]), str(flow["state"]), flow, list(shared))


def finish_consent(
    config: MicrosoftConfig, consent: Consent, params: Mapping[str, str], redirect_uri: str
) -> tuple[GrantState, Identity]:
    """Exchange the code. Raises Reconnect (start again), Refused (policy), OperatorFault, TryLater."""
    if not secrets.compare_digest(params.get("state", "").encode(), consent.state.encode()):
        raise Reconnect("wrong_state", _NOT_YOURS)
    if params.get("error"):
        raise token_fault(params, client_id=config.client_id)
    if not params.get("code"):
        raise Reconnect("stale_code", "This sign-in has run out or was used before. Please start it again.")
    cache = msal.SerializableTokenCache()
    app = app_of(config, cache)
    answer = asked(app.acquire_token_by_auth_code_flow, dict(consent.flow), dict(params))
    if "access_token" not in answer and answer.get("error") == "invalid_grant":
        raise _about_the_code(token_fault(answer, client_id=config.client_id))
    state, identity = _granted(config, answer, cache)
    return (with_shared(config, state, consent.shared) if consent.shared else state), identity


def adopt_refresh_token(config: MicrosoftConfig, refresh_token: str) -> tuple[GrantState, Identity]:
    """Take over a refresh token from elsewhere with all that was consented to, and learn whose it is. Raises as
    ``finish_consent``."""
    cache = msal.SerializableTokenCache()
    answer = asked(app_of(config, cache).acquire_token_by_refresh_token, refresh_token, list(WHOLE_TENANT))
    return _granted(config, answer, cache)


def with_shared(config: MicrosoftConfig, state: GrantState, addresses: Sequence[str]) -> GrantState:
    """The grant with others' mailboxes that its person may read, each tried first. Raises Refused, TryLater."""
    graph = Graph(config, Once(state.access_token), Unmetered())
    wanted = list(dict.fromkeys(address.strip().lower() for address in addresses))
    try:
        for address in wanted:
            try:
                graph.get(f"/users/{quote(address)}/mailFolders/inbox", {"$select": "id"})
            except (Gone, Refused):
                raise Refused(
                    "not_shared",
                    f"Microsoft does not let this account read {address}. It needs full access to that mailbox (Exchange admin "
                    "centre) and the permission Mail.Read.Shared.",
                    scope="account",
                ) from None
    finally:
        graph.close()
    return replace(state, extra=state.extra | {"shared": wanted})


def cannot_revoke() -> Refused:
    """Entra lets an app end nobody's consent."""
    return Refused("own_hands", OWN_HANDS, scope="account")


def capabilities(scopes: tuple[str, ...], *, team: bool = False) -> tuple[frozenset[SourceKind], tuple[str, ...]]:
    """(what the scopes allow, sentences about what they do not). ``team``: an administrator gave them. Raises Reconnect for
    a grant that is of no use."""
    if not scopes:
        return frozenset(("mail", "calendar")), ()
    remedy = "The organisation's administrator can allow it." if team else "Reconnect and allow it to add them."
    return allowed(
        mail=bool(MAIL_SCOPES.intersection(scopes)),
        calendar=bool(CALENDAR_SCOPES.intersection(scopes)),
        remedy=remedy,
    )


def checked_claims(answer: Mapping[str, Any], config: MicrosoftConfig) -> dict[str, Any]:
    """The claims of the ID token, which came straight from the token endpoint (OpenID Connect Core 3.1.3.7 allows to rely on
    that connection instead of the signature). Checks aud, tid, iss and exp; msal has checked the nonce."""
    claims = answer.get("id_token_claims")
    if not isinstance(claims, dict):
        raise Reconnect("id_token", "Microsoft did not say who signed in. Please start it again.")
    audience, tenant = claims.get("aud"), str(claims.get("tid") or "").lower()
    right = config.client_id in audience if isinstance(audience, list) else audience == config.client_id
    if not right or not tenant or not claims.get("oid") or claims.get("iss") != f"{LOGIN_ROOT}/{tenant}/v2.0":
        raise Reconnect("id_token", _ELSEWHERE)
    if not _allowed(tenant, config.tenant.lower()):
        raise Reconnect(
            "other_tenant", "This account belongs to another organisation than the one that Dealtrail is set up for."
        )
    if number_of(claims.get("exp")) < time.time() - LEEWAY:
        raise OperatorFault(
            "clock_skew", "The sign-in is out of date already: this machine's clock is wrong. Set it (NTP)."
        )
    return claims


def who_is(graph: Graph, home: str) -> tuple[str, tuple[str, ...], str]:
    """(address, every address they send from with that one first, object id) of a user. Raises ConnectorError."""
    row = graph.get(home, {"$select": USER}, urgent=True)
    email = str(row.get("mail") or row.get("userPrincipalName") or "").lower()
    proxies = [str(one) for one in row.get("proxyAddresses") or []]
    mine = [one.partition(":")[2].lower() for one in sorted(proxies) if one.lower().startswith("smtp:")]
    addresses = tuple(dict.fromkeys(one for one in (email, *mine) if "@" in one))
    return email, addresses, str(row.get("id") or "")


def _granted(
    config: MicrosoftConfig, answer: Mapping[str, Any], cache: msal.SerializableTokenCache
) -> tuple[GrantState, Identity]:
    if "access_token" not in answer:
        raise token_fault(answer, client_id=config.client_id)
    claims = checked_claims(answer, config)
    scopes = tuple(str(one).rpartition("/")[2] for one in str(answer.get("scope") or "").split())
    able, missing = capabilities(scopes)
    subject = f"{claims['oid']}.{claims['tid']}".lower()
    tenant = config.tenant if config.tenant.lower() not in SHARED_TENANTS else ""
    extra = {"cache": cache.serialize(), "home": subject, "tenant": tenant}
    state = with_token(GrantState(scopes=scopes, extra=extra), answer)
    graph = Graph(config, Once(state.access_token), Unmetered())
    try:
        email, addresses, _ = who_is(graph, "/me")
    finally:
        graph.close()
    email = email or str(claims.get("preferred_username") or "").lower()
    return state, Identity(subject, email, addresses or (email,), scopes, able, missing)


def _about_the_code(error: ConnectorError) -> ConnectorError:
    """A refusal of a code is about the code, not about a grant that somebody could have withdrawn."""
    if isinstance(error, Reconnect) and error.code in ("grant_expired", "grant_revoked"):
        return Reconnect("stale_code", "This sign-in has run out or was used before. Please start it again.")
    return error


def _allowed(tenant: str, configured: str) -> bool:
    if configured == "organizations":
        return tenant != PERSONAL
    if configured == "consumers":
        return tenant == PERSONAL
    return configured == "common" or "-" not in configured or tenant == configured
