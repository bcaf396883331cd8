"""What Google's pushes say, and whether it was Google (provider-contract 1.9, 2.4, A8, A14).

Nothing here calls Google while a message waits for its answer: certificates are fetched beside it, kept, and fetched anew
when they get old or an unknown key turns up, at most once a minute.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
from collections.abc import Mapping
from typing import Any

import httpx
import structlog

from connectors.clock import REAL, Clock
from connectors.doorbell import ChannelNotice, Heard, Notice, Posted
from connectors.errors import Forged, TryLater

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
SKEW = 60.0
"""Seconds that our clock may differ from Google's."""
LONGEST_TOKEN = 8_192
LONGEST_POST = 65_536
"""Bytes of a message that are read; a notice has some hundred."""
_MAX_AGE = re.compile(r"max-age=(\d{1,9})")
log = structlog.get_logger()


def notice_of(message: Any) -> Notice | None:
    """The notice in a Pub/Sub message; None for one that is none. Data in plain or URL-safe base64, padded or not."""
    content = _json(_decoded(message.get("data"))) if isinstance(message, dict) else {}
    email, history = content.get("emailAddress"), content.get("historyId")
    if not isinstance(email, str) or "@" not in email or len(email) > 320:
        return None
    known = isinstance(history, str | int) and not isinstance(history, bool)
    return Notice(email.strip().lower(), str(history) if known else "")


def pushed_notice(body: bytes) -> Notice | None:
    """The notice in the body of a push; None for one that cannot be read."""
    return notice_of(_json(body).get("message"))


def channel_notice(headers: Mapping[str, str]) -> ChannelNotice | None:
    """The message that a calendar's channel sends in its headers; None when it is none. ``headers``: names in any case."""
    given = {name.lower(): value for name, value in headers.items()}
    channel_id = given.get("x-goog-channel-id", "")
    if not channel_id or len(channel_id) > 64:
        return None
    return ChannelNotice(
        channel_id=channel_id,
        token=given.get("x-goog-channel-token", "")[:256],
        resource_id=given.get("x-goog-resource-id", ""),
        greeting=given.get("x-goog-resource-state", "") == "sync",
    )


class ChannelDoor:
    """``connectors.doorbell.Door`` where calendars' channels post: a message knows the secret that we gave it, or it is
    refused."""

    provider = "google"
    longest = LONGEST_POST

    def hear(self, posted: Posted) -> Heard:
        notice = channel_notice(posted.headers)
        if notice is None:
            raise Forged("no_channel", "A message of a calendar names its channel.")
        return Heard(channels=(notice,), unknown=403)


class MailboxDoor:
    """``connectors.doorbell.Door`` where a Pub/Sub subscription pushes: 204 also for what we cannot use, or it would come again
    for a week."""

    provider = "google"
    longest = LONGEST_POST

    def __init__(self, verifier: PushVerifier) -> None:
        self._verifier = verifier

    def hear(self, posted: Posted) -> Heard:
        given = {name.lower(): value for name, value in posted.headers.items()}
        self._verifier.check(given.get("authorization", ""))
        notice = pushed_notice(posted.body)
        return Heard(mailboxes=(notice.email,) if notice is not None else ())


class Certificates:
    """Google's public keys by their id. ``key`` never waits longer than half a second."""

    WAIT, LEAST, MOST, AFTER_FAILURE, AFTER_SUCCESS = 0.5, 300.0, 86_400.0, 5.0, 60.0

    def __init__(self, uri: str, *, timeout: float = 10.0, clock: Clock = REAL) -> None:
        self._uri, self._timeout, self._clock = uri, timeout, clock
        self._keys: dict[str, Any] = {}
        self._old_at = self._dead_at = self._next_try = 0.0
        self._lock = threading.Lock()
        self._fetched: threading.Event | None = None

    def key(self, kid: str) -> Any:
        """The key of that id. Raises Forged (Google has no such key) and TryLater (we have none at all)."""
        now = self._clock.monotonic()
        known = self._keys.get(kid) if now < self._dead_at else None
        if known is None or now >= self._old_at:
            fetched = self.refresh()
            if known is None and fetched is not None:
                fetched.wait(self.WAIT)
        if self._clock.monotonic() >= self._dead_at:
            raise TryLater("certificates", "Google's certificates are not there yet; send it again.", after=5.0)
        found = self._keys.get(kid)
        if found is None:
            raise Forged("unknown_key", "Signed with a key that Google does not publish.")
        return found

    def refresh(self) -> threading.Event | None:
        """Fetch the keys in the background; what to wait for, or None when it is too early to ask again."""
        with self._lock:
            if self._fetched is not None:
                return self._fetched
            if self._clock.monotonic() < self._next_try:
                return None
            self._fetched = threading.Event()
            threading.Thread(target=self._fetch, args=(self._fetched,), name="google-certificates", daemon=True).start()
            return self._fetched

    def _fetch(self, fetched: threading.Event) -> None:
        wait = self.AFTER_FAILURE
        try:
            with httpx.Client(timeout=self._timeout, follow_redirects=False) as client:
                answer = client.get(self._uri)
            keys = _keys(answer.json()) if answer.status_code == 200 else {}
            if keys:
                age = min(max(_max_age(answer.headers.get("cache-control", "")), self.LEAST), self.MOST)
                now = self._clock.monotonic()
                self._keys, self._old_at, self._dead_at = keys, now + age, now + self.MOST
                wait = self.AFTER_SUCCESS
            else:
                log.warning("push.certificates", status=answer.status_code)
        except (httpx.HTTPError, ValueError) as error:
            log.warning("push.certificates", error=type(error).__name__)
        finally:
            with self._lock:
                self._next_try, self._fetched = self._clock.monotonic() + wait, None
            fetched.set()


class PushVerifier:
    """Whether a push comes from our own subscription: Google's signature, for our address, by our service account."""

    def __init__(self, certificates: Certificates, *, audience: str, service_account: str, clock: Clock = REAL) -> None:
        self._certificates, self._clock = certificates, clock
        self._audience, self._account = audience, service_account.strip().lower()

    def warm(self) -> None:
        """Fetch the certificates before the first push comes."""
        self._certificates.refresh()

    def check(self, authorization: str) -> None:
        """``authorization``: the header. Raises Forged, or TryLater while the certificates are not there yet."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > LONGEST_TOKEN:
            raise Forged("no_token", "A push carries a signed token.")
        claims = self._signed(token)
        now = self._clock.now().timestamp()
        if claims.get("iss") not in ISSUERS:
            raise Forged("issuer", "The token was not issued by Google's sign-in.")
        if not _number(claims.get("exp")) or claims["exp"] + SKEW < now:
            raise Forged("expired", "The token has run out.")
        if not _number(claims.get("iat")) or claims["iat"] - SKEW > now:
            raise Forged("too_early", "The token is from the future.")
        if claims.get("aud") != self._audience:
            raise Forged("audience", "The token was meant for another address.", signed=True)
        email = claims.get("email")
        if not isinstance(email, str) or email.lower() != self._account or claims.get("email_verified") is not True:
            raise Forged("sender", "The token belongs to another service account.", signed=True)

    def _signed(self, token: str) -> dict[str, Any]:
        """The claims, once the signature fits. RS256 only, whatever the token says of itself."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        signed, _, signature = token.rpartition(".")
        head = _json(_decoded(signed.partition(".")[0]))
        kid = head.get("kid")
        if head.get("alg") != "RS256" or not isinstance(kid, str):
            raise Forged("algorithm", "The token is not signed with RS256.")
        try:
            self._certificates.key(kid).verify(_decoded(signature), signed.encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            raise Forged("signature", "The signature does not fit.") from None
        return _json(_decoded(signed.partition(".")[2]))


def _keys(answer: Any) -> dict[str, Any]:
    """RSA keys of at least 2,048 bits by their id, from a JSON Web Key Set (RFC 7517). Raises ValueError."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    found = {}
    listed = answer.get("keys") if isinstance(answer, dict) else None
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and one.get("kty") == "RSA" and isinstance(one.get("kid"), str):
            exponent, modulus = (int.from_bytes(_decoded(one.get(part)), "big") for part in ("e", "n"))
            if modulus.bit_length() >= 2048:
                found[one["kid"]] = RSAPublicNumbers(exponent, modulus).public_key()
    return found


def _decoded(text: Any) -> bytes:
    """Base64 in either alphabet, with or without padding; empty for what is none."""
    if not isinstance(text, str):
        return b""
    plain = text.strip().rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _json(content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _max_age(header: str) -> float:
    found = _MAX_AGE.search(header)
    return float(found[1]) if found else 3_600.0
