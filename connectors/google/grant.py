"""A person's consent (RFC 6749, RFC 7636, OpenID Connect Core; provider-contract 1.1, 1.2). How its tokens are renewed:
``credentials``."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx

from connectors.allowed import allowed
from connectors.base import GrantState, Identity, SourceKind
from connectors.errors import OperatorFault, Reconnect, TryLater
from connectors.google.config import CALENDAR_SCOPES, MAIL_SCOPES, METADATA_SCOPE, SCOPES, GoogleConfig
from connectors.google.faults import from_answer
from connectors.google.token_faults import token_fault

HEADERS_ONLY = (
    "The access covers headers only, because an earlier, smaller consent is part of it. Remove Dealtrail's access at "
    "myaccount.google.com/permissions, then connect again so that it may search this mailbox."
)
ISSUERS = {"https://accounts.google.com", "accounts.google.com"}


@dataclass(frozen=True)
class Consent:
    """A sign-up under way: where to send the browser, and what to keep server-side until it comes back."""

    url: str
    state: str
    code_verifier: str
    nonce: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, blob: str) -> Consent:
        return cls(**json.loads(blob))


def begin_consent(config: GoogleConfig, redirect_uri: str, *, login_hint: str = "") -> Consent:
    """The address of Google's consent page, with state, PKCE (S256) and a nonce of its own."""
    verifier, state, nonce = (secrets.token_urlsafe(size) for size in (48, 24, 24))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "client_id": config.client_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": " ".join(SCOPES),
        "access_type": "offline",
        "prompt": "consent",
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    if login_hint:
        query["login_hint"] = login_hint
    return Consent(f"{config.auth_uri}?{urlencode(query)}", state, verifier, nonce)


def finish_consent(
    config: GoogleConfig, consent: Consent, params: Mapping[str, str], redirect_uri: str
) -> tuple[GrantState, Identity]:
    """Exchange the code. Raises Reconnect (start again), Refused (policy), OperatorFault, TryLater."""
    if not secrets.compare_digest(params.get("state", "").encode(), consent.state.encode()):
        raise Reconnect("wrong_state", "This sign-in does not belong to this browser. Please start it again.")
    if params.get("error"):
        if params["error"] == "access_denied":
            raise Reconnect(
                "declined", "Nothing was connected, because access was declined. You can start again at any time."
            )
        raise token_fault(params["error"], params.get("error_description", ""), params.get("error_subtype", ""))
    answer = _exchanged(
        config,
        {
            "grant_type": "authorization_code",
            "code": params.get("code", ""),
            "redirect_uri": redirect_uri,
            "code_verifier": consent.code_verifier,
        },
    )
    if not answer.get("refresh_token"):
        raise Reconnect(
            "no_refresh_token", "Google gave no lasting access. Please start again and confirm the consent page."
        )
    claims = id_claims(answer, config, nonce=consent.nonce)
    return _granted(config, answer, str(answer["refresh_token"]), claims)


def adopt_refresh_token(config: GoogleConfig, refresh_token: str) -> tuple[GrantState, Identity]:
    """Take over a refresh token from elsewhere, and learn whose it is. Raises as ``finish_consent``."""
    answer = _token_call(config, {"grant_type": "refresh_token", "refresh_token": refresh_token})
    claims = id_claims(answer, config)
    return _granted(config, answer, str(answer.get("refresh_token") or refresh_token), claims)


def capabilities(scopes: tuple[str, ...], *, team: bool = False) -> tuple[frozenset[SourceKind], tuple[str, ...]]:
    """(what the scopes allow, sentences about what they do not). ``team``: an administrator gave them. Raises Reconnect for
    a grant that is of no use."""
    if not scopes:
        return frozenset(("mail", "calendar")), ()
    if METADATA_SCOPE in scopes:
        raise Reconnect("metadata_scope", HEADERS_ONLY)
    remedy = "The Workspace administrator can allow it." if team else "Reconnect and tick it to add them."
    return allowed(
        mail=bool(MAIL_SCOPES.intersection(scopes)),
        calendar=bool(CALENDAR_SCOPES.intersection(scopes)),
        remedy=remedy,
    )


def id_claims(answer: Mapping[str, Any], config: GoogleConfig, *, nonce: str = "") -> dict[str, Any]:
    """The claims of the ID token, which came straight from the token endpoint (OpenID Connect Core 3.1.3.7 allows to rely
    on that connection instead of the signature). Checks aud, iss, exp and nonce. Empty when there is no ID token."""
    token = str(answer.get("id_token") or "")
    if not token:
        return {}
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        audience, expires = claims.get("aud"), float(claims.get("exp") or 0)
    except (IndexError, ValueError, TypeError, AttributeError):
        raise TryLater("id_token", "Google's answer could not be read; please try again.") from None
    right = config.client_id in audience if isinstance(audience, list) else audience == config.client_id
    if not right or (not config.pretend and claims.get("iss") not in ISSUERS):
        raise Reconnect("id_token", "The sign-in was meant for another app. Please start it again.")
    if nonce and claims.get("nonce") != nonce:
        raise Reconnect("id_token", "The sign-in does not belong to this browser. Please start it again.")
    if expires < (datetime.now(UTC) - timedelta(minutes=5)).timestamp():
        raise OperatorFault(
            "clock_skew", "The sign-in is out of date already: this machine's clock is wrong. Set it (NTP)."
        )
    return claims


def revoke(config: GoogleConfig, refresh_token: str) -> None:
    """Withdraw the grant at Google, for every client of the project (RFC 7009). A token that is dead already is no error.
    Raises TryLater."""
    answer = _post(config, config.revoke_uri, {"token": refresh_token})
    if answer.status_code != 200 and _json(answer).get("error") != "invalid_token":
        raise TryLater("token_endpoint", "Google's sign-in is not answering properly at the moment; please try again.")


def _granted(
    config: GoogleConfig, answer: Mapping[str, Any], refresh_token: str, claims: Mapping[str, Any]
) -> tuple[GrantState, Identity]:
    scopes = tuple(str(answer.get("scope") or "").split())
    able, missing = capabilities(scopes)
    state = GrantState(
        refresh_token=refresh_token,
        access_token=str(answer.get("access_token") or ""),
        expires_at=datetime.now(UTC) + timedelta(seconds=_seconds(answer.get("expires_in"))),
        scopes=scopes,
    )
    subject, email = str(claims.get("sub") or ""), str(claims.get("email") or "").lower()
    if not subject or not email:
        email = email or _profile_email(config, state.access_token)
        subject = subject or f"mailbox:{email}"
    return state, Identity(subject, email, (email,), scopes, able, missing)


def _profile_email(config: GoogleConfig, token: str) -> str:
    """Whose mailbox it is, where no ID token says so."""
    url = f"{config.gmail_root}/gmail/v1/users/me/profile"
    try:
        with httpx.Client(timeout=config.timeout, follow_redirects=False) as client:
            answer = client.get(url, headers={"Authorization": f"Bearer {token}"})
    except httpx.HTTPError:
        raise TryLater("network", "The connection to Google failed; please try again.") from None
    if answer.status_code != 200:
        raise from_answer(answer.status_code, answer.content, dict(answer.headers), "")
    found = _json(answer).get("emailAddress")
    if not isinstance(found, str) or "@" not in found:
        raise TryLater("not_json", "Google's answer could not be read; please try again.")
    return found.lower()


def _exchanged(config: GoogleConfig, form: dict[str, str]) -> dict[str, Any]:
    """The answer to a code. A refusal is about the code, not about a grant that somebody could have withdrawn."""
    try:
        return _token_call(config, form)
    except Reconnect as error:
        if error.code == "invalid_rapt":
            raise
        raise Reconnect("stale_code", "This sign-in has run out or was used before. Please start it again.") from None


def _token_call(config: GoogleConfig, form: dict[str, str]) -> dict[str, Any]:
    form = form | {"client_id": config.client_id, "client_secret": config.client_secret}
    answer = _post(config, config.token_uri, form)
    body = _json(answer)
    if answer.status_code == 200 and body.get("access_token"):
        return body
    if body.get("error"):
        raise token_fault(
            str(body["error"]), str(body.get("error_description", "")), str(body.get("error_subtype", ""))
        )
    raise TryLater("token_endpoint", "Google's sign-in is not answering properly at the moment; please try again.")


def _post(config: GoogleConfig, url: str, form: dict[str, str]) -> httpx.Response:
    try:
        with httpx.Client(timeout=config.timeout, follow_redirects=False) as client:
            return client.post(url, data=form)
    except httpx.HTTPError:
        raise TryLater("network", "The connection to Google failed; please try again.") from None


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        parsed = answer.json()
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _seconds(value: Any) -> float:
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return 3_599.0
