"""Google's sign-in: codes, tokens, PKCE, revocation and signed identity (RFC 6749, 7009, 7636; OpenID Connect Core)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from sandbox.clock import Clock
from sandbox.wire import Refusal, oauth_error

DEAD = "Token has been expired or revoked."
ISSUER = "https://accounts.google.com"
READING = (
    "openid",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/gmail.readonly",
    "https://www.googleapis.com/auth/calendar.readonly",
)


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def subject_of(email: str) -> str:
    """The stable account number Google would have for this address."""
    return str(10**20 + int.from_bytes(hashlib.sha256(email.encode()).digest()[:8], "big"))


@cache
def key_of(name: str) -> rsa.RSAPrivateKey:
    """The key of that name in this process, made on first use: it takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Grant:
    """What one user allowed one client; the refresh token's life. `died` is the reason it no longer works; `via` the
    service account that acts for the user."""

    email: str
    scopes: tuple[str, ...]
    client_id: str
    refresh_token: str
    issued_at: float
    died: str = ""
    via: str = ""
    used_at: float = 0.0

    def __post_init__(self) -> None:
        self.used_at = self.issued_at


@dataclass
class Access:
    grant: Grant
    expires_at: float


@dataclass
class Code:
    grant: Grant
    redirect_uri: str
    challenge: str
    challenge_method: str
    nonce: str
    expires_at: float
    offline: bool


class Signer:
    """The key that identity tokens are signed with; published as PEM certificate and as JWK."""

    kid = "sandbox-1"

    @property
    def key(self) -> rsa.RSAPrivateKey:
        return key_of(self.kid)

    @cached_property
    def certificate(self) -> str:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
        begin = datetime(2020, 1, 1, tzinfo=UTC)
        built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        built = built.serial_number(1).not_valid_before(begin).not_valid_after(begin + timedelta(days=36_500))
        return built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def jwk(self) -> dict[str, str]:
        numbers = self.key.public_key().public_numbers()
        shown = {"n": numbers.n.to_bytes(256, "big"), "e": numbers.e.to_bytes(3, "big")}
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid} | {k: b64url(v) for k, v in shown.items()}

    def sign(self, claims: dict[str, Any]) -> str:
        head = {"alg": "RS256", "kid": self.kid, "typ": "JWT"}
        signed = ".".join(b64url(json.dumps(piece, separators=(",", ":")).encode()) for piece in (head, claims))
        return f"{signed}.{b64url(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@dataclass
class Grants:
    """All codes, grants and access tokens. Times in seconds of the clock; refresh_seconds None means no time limit.

    `most` living refresh tokens of one user and client: the oldest stops without a word. `unused_seconds`: a refresh token
    that was not used for so long is dead. Accounts in `suspended` get nothing.
    """

    clock: Clock
    access_seconds: int = 3600
    refresh_seconds: float | None = None
    rotate: bool = False
    most: int = 100
    unused_seconds: float = 183 * 86_400
    client_id: str = ""
    client_secret: str = ""
    signer: Signer = field(default_factory=Signer)

    def __post_init__(self) -> None:
        self.codes: dict[str, Code] = {}
        self.by_refresh: dict[str, Grant] = {}
        self.by_access: dict[str, Access] = {}
        self.suspended: set[str] = set()
        self._lock = threading.Lock()

    def grant(self, email: str, scopes: tuple[str, ...] = READING, client_id: str = "") -> Grant:
        token = "1//0" + secrets.token_urlsafe(32)
        made = Grant(email.lower(), tuple(scopes), client_id, token, self.clock.now())
        with self._lock:
            self.by_refresh[token] = made
            alike = [one for one in self.by_refresh.values() if _alike(one, made) and not one.died]
            for one in alike[: max(0, len(alike) - self.most)]:
                one.died = DEAD
        return made

    def issue(self, grant: Grant) -> dict[str, Any]:
        """An access token on a grant that has no refresh token (a service account acting for somebody)."""
        return self._tokens(grant, "")

    def authorise(
        self, grant: Grant, *, redirect_uri: str, challenge: str, method: str, nonce: str, offline: bool
    ) -> str:
        code = "4/0" + secrets.token_urlsafe(24)
        expires = self.clock.now() + 600
        self.codes[code] = Code(grant, redirect_uri, challenge, method, nonce, expires, offline)
        return code

    def has_granted(self, email: str, client_id: str) -> bool:
        return any(g.email == email and g.client_id == client_id and not g.died for g in self.by_refresh.values())

    def exchange(self, form: dict[str, list[str]]) -> dict[str, Any]:
        """The token endpoint. Raises Refusal with the error of RFC 6749 section 5.2."""
        given = {name: values[-1] for name, values in form.items()}
        if self.client_id and (given.get("client_id"), given.get("client_secret")) != (
            self.client_id,
            self.client_secret,
        ):
            raise Refusal(oauth_error(401, "invalid_client", "The OAuth client was not found."))
        kind = given.get("grant_type", "")
        if kind == "authorization_code":
            return self._from_code(given)
        if kind == "refresh_token":
            return self._from_refresh(given)
        raise Refusal(oauth_error(400, "unsupported_grant_type", f"Invalid grant_type: {kind}"))

    def read(self, access_token: str) -> Grant | None:
        """The grant behind a living access token, else None."""
        access = self.by_access.get(access_token)
        if (
            access is None
            or access.grant.died
            or access.grant.email in self.suspended
            or access.expires_at <= self.clock.now()
        ):
            return None
        return access.grant

    def revoke(self, token: str) -> bool:
        """Withdraws everything of that user and client, as Google does; False for a token nobody knows."""
        access = self.by_access.get(token)
        grant = self.by_refresh.get(token) or (access.grant if access else None)
        if grant is None:
            return False
        for one in self.by_refresh.values():
            if (one.email, one.client_id) == (grant.email, grant.client_id):
                one.died = DEAD
        return True

    def kill(self, email: str, reason: str = DEAD) -> None:
        """Every grant of the account ends: revoked by the user, a new password, the account deleted."""
        for grant in self.by_refresh.values():
            if grant.email == email.lower():
                grant.died = reason

    def forget_access(self) -> None:
        """All access tokens expire now; refresh tokens live on."""
        with self._lock:
            self.by_access.clear()

    def _from_code(self, given: dict[str, str]) -> dict[str, Any]:
        code = self.codes.pop(given.get("code", ""), None)
        if code is None or code.expires_at <= self.clock.now():
            raise Refusal(oauth_error(400, "invalid_grant", "Malformed auth code."))
        if given.get("redirect_uri", "") != code.redirect_uri:
            raise Refusal(oauth_error(400, "redirect_uri_mismatch", "Bad Request"))
        if code.challenge and _challenge(given.get("code_verifier", ""), code.challenge_method) != code.challenge:
            raise Refusal(oauth_error(400, "invalid_grant", "Invalid code verifier."))
        answer = self._tokens(code.grant, code.nonce)
        if code.offline:
            answer["refresh_token"] = code.grant.refresh_token
            if self.refresh_seconds:
                answer["refresh_token_expires_in"] = int(self.refresh_seconds)
        return answer

    def _from_refresh(self, given: dict[str, str]) -> dict[str, Any]:
        grant = self.by_refresh.get(given.get("refresh_token", ""))
        if grant is None:
            raise Refusal(oauth_error(400, "invalid_grant", "Bad Request"))
        if grant.died:
            raise Refusal(oauth_error(400, "invalid_grant", grant.died))
        if self.refresh_seconds and grant.issued_at + self.refresh_seconds <= self.clock.now():
            raise Refusal(oauth_error(400, "invalid_grant", DEAD))
        if grant.email in self.suspended or grant.used_at + self.unused_seconds <= self.clock.now():
            raise Refusal(oauth_error(400, "invalid_grant", DEAD))
        grant.used_at = self.clock.now()
        grant.client_id = grant.client_id or given.get("client_id", "")
        answer = self._tokens(grant, "")
        if self.rotate:
            fresh = self.grant(grant.email, grant.scopes, grant.client_id)
            answer["refresh_token"] = fresh.refresh_token
            grant.died = DEAD
            self.by_access[answer["access_token"]].grant = fresh
        return answer

    def _tokens(self, grant: Grant, nonce: str) -> dict[str, Any]:
        token = "ya29." + secrets.token_urlsafe(48)
        with self._lock:
            self.by_access[token] = Access(grant, self.clock.now() + self.access_seconds)
        answer: dict[str, Any] = {
            "access_token": token,
            "expires_in": self.access_seconds - 1,
            "scope": " ".join(grant.scopes),
            "token_type": "Bearer",
        }
        if "openid" in grant.scopes:
            answer["id_token"] = self.signer.sign(self._claims(grant, nonce))
        return answer

    def _claims(self, grant: Grant, nonce: str) -> dict[str, Any]:
        now = int(self.clock.now())
        claims: dict[str, Any] = {"iss": ISSUER, "aud": grant.client_id, "azp": grant.client_id}
        claims |= {"sub": subject_of(grant.email), "iat": now, "exp": now + 3600}
        if {"email", "https://www.googleapis.com/auth/userinfo.email"} & set(grant.scopes):
            claims |= {"email": grant.email, "email_verified": True, "hd": grant.email.partition("@")[2]}
        return claims | ({"nonce": nonce} if nonce else {})


def _alike(one: Grant, two: Grant) -> bool:
    return (one.email, one.client_id) == (two.email, two.client_id)


def _challenge(verifier: str, method: str) -> str:
    return b64url(hashlib.sha256(verifier.encode()).digest()) if method == "S256" else verifier
