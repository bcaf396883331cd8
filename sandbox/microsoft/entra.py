"""Entra's tokens: codes with PKCE and nonce, refresh tokens that rotate, client credentials (provider contract section 3).

As the real one does, a used refresh token goes on working beside the new one; access tokens live on when a grant dies.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.clock import Clock
from sandbox.microsoft.forms import LOGIN_HOST, PERSONAL, guid, tenant_of
from sandbox.microsoft.refusals import CLAIMING, CURED, entra_error
from sandbox.oauth import Signer, b64url
from sandbox.wire import Refusal

READING = ("User.Read", "Mail.Read", "Calendars.Read")
ROLES = ("Mail.Read", "Calendars.Read", "User.Read.All", "MailboxSettings.Read")
OPENID = ("openid", "profile", "email", "offline_access")
SHARED_TENANTS = ("organizations", "common", "consumers")
_RESOURCE = "https://graph.microsoft.com/"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class EntraSigner(Signer):
    kid = "entra-1"


@dataclass
class EntraGrant:
    """What a user (email) or an administrator (email "", `roles`) allowed an app. `died`: the AADSTS number it ends with."""

    email: str
    tenant: str
    scopes: tuple[str, ...]
    client_id: str
    roles: tuple[str, ...] = ()
    died: int = 0


@dataclass
class _Token:
    grant: EntraGrant
    expires_at: float
    scopes: tuple[str, ...] = ()


@dataclass
class _Code:
    grant: EntraGrant
    redirect_uri: str
    challenge: str
    nonce: str
    expires_at: float
    used: bool = False


@dataclass
class App:
    """The registration. Without a secret and a certificate any secret is good; certificates by their SHA-1 and SHA-256."""

    client_id: str
    secret: str = ""
    secret_expires: float = float("inf")
    redirect_uris: tuple[str, ...] = ()
    certificates: dict[str, rsa.RSAPublicKey] = field(default_factory=dict)

    def certify(self, pem: str) -> None:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        key, der = certificate.public_key(), certificate.public_bytes(serialization.Encoding.DER)
        if not isinstance(key, rsa.RSAPublicKey):
            raise ValueError("Only RSA certificates are known here.")
        for made in (hashlib.sha1(der).digest(), hashlib.sha256(der).digest()):
            self.certificates[b64url(made)] = key


@dataclass
class Entra:
    """All apps, codes, grants and tokens. Seconds of the clock. An app that was not registered may do everything.

    `refuse` maps an address (or "" for everybody) to the AADSTS number that its token requests are refused with, until it is
    taken out or the user signs in anew and that helps.
    """

    clock: Clock
    access_seconds: int = 3_600
    refresh_seconds: float = 90 * 86_400
    signer: Signer = field(default_factory=EntraSigner)

    def __post_init__(self) -> None:
        self.apps: dict[str, App] = {}
        self.tenants: set[str] = {PERSONAL}
        self.disabled: set[str] = set()
        self.refuse: dict[str, int] = {}
        self.by_refresh: dict[str, _Token] = {}
        self.by_access: dict[str, _Token] = {}
        self.codes: dict[str, _Code] = {}
        self.consents: dict[tuple[str, str], set[str]] = {}
        self.allowed: dict[tuple[str, str], tuple[str, ...]] = {}
        self._lock = threading.Lock()

    def register(
        self, client_id: str, secret: str = "", *, certificate: str = "", redirect_uris: tuple[str, ...] = ()
    ) -> App:
        """The app must from now on show this secret, or sign with the key of this certificate (PEM)."""
        app = App(client_id, secret, redirect_uris=redirect_uris)
        if certificate:
            app.certify(certificate)
        self.apps[client_id] = app
        return app

    def allow(self, domain: str, roles: tuple[str, ...] = ROLES, client_id: str = "") -> None:
        """The administrator of a domain consents to app permissions, for one app or ("") for any."""
        self.allowed[tenant_of(domain), client_id] = roles
        self.tenants.add(tenant_of(domain))

    def roles(self, tenant: str, client_id: str) -> tuple[str, ...] | None:
        return self.allowed.get((tenant, client_id), self.allowed.get((tenant, "")))

    def grant(self, email: str, scopes: tuple[str, ...] = READING, client_id: str = "") -> EntraGrant:
        """A user's consent, remembered for later sign-ins."""
        plain = tuple(one.removeprefix(_RESOURCE) for one in scopes)
        self.consents.setdefault((email.lower(), client_id), set()).update(plain)
        return EntraGrant(email.lower(), tenant_of(email), plain, client_id)

    def refresh_token(self, grant: EntraGrant) -> str:
        token = "0.A" + secrets.token_urlsafe(64)
        self.by_refresh[token] = _Token(grant, self.clock.now() + self.refresh_seconds)
        return token

    def access_token(self, grant: EntraGrant, scopes: tuple[str, ...] = ()) -> str:
        token = "eyJ0eXAiOiJKV1QiLCJub25jZSI6" + secrets.token_urlsafe(48)
        with self._lock:
            wanted = scopes or grant.scopes
            self.by_access[token] = _Token(grant, self.clock.now() + self.access_seconds, wanted)
        return token

    def read(self, token: str) -> tuple[EntraGrant, tuple[str, ...]] | None:
        """The grant behind a living access token and its scopes, else None."""
        found = self.by_access.get(token)
        if found is None or found.expires_at <= self.clock.now() or found.grant.email in self.disabled:
            return None
        return found.grant, found.scopes

    def signed_in(self, email: str, claims: str) -> None:
        """The user was at the page: what `refuse` said of them is cured, a second factor too when its claims came along."""
        if self.refuse.get(email) in CURED | (CLAIMING if claims else set()):
            del self.refuse[email]

    def authorise(self, grant: EntraGrant, *, redirect_uri: str, challenge: str, nonce: str) -> str:
        code = "1.A" + secrets.token_urlsafe(48)
        self.codes[code] = _Code(grant, redirect_uri, challenge, nonce, self.clock.now() + 600)
        return code

    def kill(self, email: str, number: int = 50173) -> None:
        """Every refresh token of the account ends; `number` is what the token endpoint will say."""
        for one in self.by_refresh.values():
            if one.grant.email == email.lower():
                one.grant.died = number

    def forget_access(self) -> None:
        """All access tokens expire now; refresh tokens live on."""
        with self._lock:
            self.by_access.clear()

    def exchange(self, tenant: str, given: dict[str, str]) -> dict[str, Any]:
        """The token endpoint of a tenant. Raises Refusal with one of the errors of refusals.py."""
        self._check_app(tenant, given)
        kind = given.get("grant_type", "")
        if kind == "authorization_code":
            return self._from_code(tenant, given)
        if kind == "refresh_token":
            return self._from_refresh(tenant, given)
        if kind == "client_credentials":
            return self._for_app(tenant, given)
        raise self.refusal(70003)

    def account_of(self, given: dict[str, str]) -> str:
        """Whose token it would become, as far as the form tells."""
        refresh, code = self.by_refresh.get(given.get("refresh_token", "")), self.codes.get(given.get("code", ""))
        return refresh.grant.email if refresh else (code.grant.email if code else "")

    def refusal(self, number: int, text: str = "") -> Refusal:
        return Refusal(entra_error(number, self.clock.now(), text))

    def _from_code(self, tenant: str, given: dict[str, str]) -> dict[str, Any]:
        code = self.codes.get(given.get("code", ""))
        if code is None:
            raise self.refusal(70000)
        if code.used:
            raise self.refusal(54005)
        if code.expires_at <= self.clock.now():
            raise self.refusal(70008)
        if given.get("redirect_uri", "") != code.redirect_uri:
            raise self.refusal(50011)
        if (
            code.challenge
            and b64url(hashlib.sha256(given.get("code_verifier", "").encode()).digest()) != code.challenge
        ):
            raise self.refusal(501481)
        self._check_user(tenant, code.grant)
        code.used = True
        return self._tokens(code.grant, code.grant.scopes, code.nonce)

    def _from_refresh(self, tenant: str, given: dict[str, str]) -> dict[str, Any]:
        found = self.by_refresh.get(given.get("refresh_token", ""))
        if found is None:
            raise self.refusal(70000, "The provided value for the input parameter 'refresh_token' is not valid.")
        if found.grant.died:
            raise self.refusal(found.grant.died)
        if found.expires_at <= self.clock.now():
            raise self.refusal(700082)
        grant = found.grant
        if grant.client_id and given.get("client_id") != grant.client_id:
            raise self.refusal(70002, "The refresh token was issued to another application.")
        self._check_user(tenant, grant)
        wanted = tuple(one.removeprefix(_RESOURCE) for one in given.get("scope", "").split() if one not in OPENID)
        wanted = tuple(one for one in wanted if one != ".default") or tuple(s for s in grant.scopes if s not in OPENID)
        if not set(wanted) <= self.consents.get((grant.email, grant.client_id), set()) | set(grant.scopes):
            raise self.refusal(65001)
        return self._tokens(grant, wanted, "", openid="openid" in given.get("scope", ""), client_id=given["client_id"])

    def _for_app(self, tenant: str, given: dict[str, str]) -> dict[str, Any]:
        if tenant in SHARED_TENANTS:
            raise self.refusal(9001023)
        roles = self.roles(tenant, given.get("client_id", ""))
        if roles is None:
            raise self.refusal(700016)
        if given.get("scope", "") != f"{_RESOURCE}.default":
            raise self.refusal(1002012, "The scope of client credentials must end in /.default.")
        grant = EntraGrant("", tenant, (), given.get("client_id", ""), roles)
        seconds = self.access_seconds - 1
        token = self.access_token(grant)
        return {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}

    def _check_user(self, tenant: str, grant: EntraGrant) -> None:
        for who in (grant.email, ""):
            if who in self.refuse:
                raise self.refusal(self.refuse[who])
        if grant.email in self.disabled:
            raise self.refusal(50057)
        if tenant not in (grant.tenant, *SHARED_TENANTS) or (tenant == "organizations" and grant.tenant == PERSONAL):
            raise self.refusal(50020)

    def _check_app(self, tenant: str, given: dict[str, str]) -> None:
        client = given.get("client_id", "")
        if not client:
            raise self.refusal(900144, "The request body must contain the following parameter: 'client_id'.")
        if not self.apps:
            return
        app = self.apps.get(client)
        if app is None:
            raise self.refusal(700016)
        if given.get("client_assertion_type") == _ASSERTION:
            self._check_assertion(app, tenant, given.get("client_assertion", ""))
        elif app.secret and app.secret_expires <= self.clock.now():
            raise self.refusal(7000222)
        elif given.get("client_secret", "") != app.secret or (app.certificates and not app.secret):
            raise self.refusal(7000215)

    def _check_assertion(self, app: App, tenant: str, assertion: str) -> None:
        """A JWT signed with a registered certificate's key: RS256 with x5t, or PS256 with x5t#S256."""
        try:
            head, body, signature = assertion.split(".")
            header, claims = _unpacked(head), _unpacked(body)
            key = app.certificates[(header.get("x5t#S256") or header.get("x5t", "")).rstrip("=")]
            key.verify(_bytes(signature), f"{head}.{body}".encode(), _paddings()[header["alg"]], hashes.SHA256())
            own = claims["iss"] == claims["sub"] == app.client_id
            mine = claims["aud"] == f"{LOGIN_HOST}/{tenant}/oauth2/v2.0/token"
            if not own or not mine or claims["exp"] <= self.clock.now():
                raise self.refusal(700027, "Client assertion contains an invalid issuer, audience or time.")
        except (KeyError, ValueError, InvalidSignature):
            raise self.refusal(700027) from None

    def _tokens(
        self, grant: EntraGrant, scopes: tuple[str, ...], nonce: str, *, openid: bool = True, client_id: str = ""
    ) -> dict[str, Any]:
        """A15 of the contract. A refresh token is handed out once offline_access was asked for."""
        plain = tuple(one for one in scopes if one not in OPENID)
        shown = [*plain, *(("profile", "openid") if openid else ())]
        seconds = self.access_seconds - 1
        answer: dict[str, Any] = {"token_type": "Bearer", "scope": " ".join(shown), "expires_in": seconds}
        answer |= {"ext_expires_in": seconds, "access_token": self.access_token(grant, plain)}
        if not nonce or "offline_access" in scopes:
            answer["refresh_token"] = self.refresh_token(grant)
        if openid:
            answer["id_token"] = self.signer.sign(self.claims(grant, nonce, client_id))
        return answer | {"client_info": client_info(grant)}

    def claims(self, grant: EntraGrant, nonce: str, client_id: str = "") -> dict[str, Any]:
        now = int(self.clock.now())
        claims: dict[str, Any] = {"aud": grant.client_id or client_id, "iss": f"{LOGIN_HOST}/{grant.tenant}/v2.0"}
        claims |= {"iat": now, "nbf": now, "exp": now + 3_600, "name": grant.email.partition("@")[0], "ver": "2.0"}
        claims |= {"oid": guid("user", grant.email), "tid": grant.tenant, "preferred_username": grant.email}
        claims |= {"sub": b64url(hashlib.sha256(f"{grant.email}{grant.client_id}".encode()).digest())}
        return claims | ({"nonce": nonce} if nonce else {})


def client_info(grant: EntraGrant) -> str:
    return b64url(json.dumps({"uid": guid("user", grant.email), "utid": grant.tenant}).encode())


def _paddings() -> dict[str, Any]:
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)
    return {"RS256": padding.PKCS1v15(), "PS256": pss}


def _bytes(piece: str) -> bytes:
    return base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))


def _unpacked(piece: str) -> dict[str, Any]:
    return json.loads(_bytes(piece))
