"""Telling Google's pushes from anybody else's."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import sandbox
from connectors.clock import Clock
from connectors.doorbell import Notice
from connectors.errors import Forged, TryLater
from connectors.google.rings import Certificates, PushVerifier, pushed_notice
from sandbox.oauth import b64url
from sandbox.pubsub import PUSHER, Published, Subscription, push_body
from tests.connectors.conftest import google_config
from tests.support import REP

TOPIC, SUB = "projects/p/topics/t", "projects/p/subscriptions/s"
HOOK = "https://dealtrail.acme.example/push/google/gmail"


class Door:
    """A verifier of pushes to ``HOOK``, and the subscription that signs them."""

    def __init__(self, world: sandbox.World, server: sandbox.Server, **given: Any) -> None:
        self.world, self.now, self.ticks = world, datetime.now(UTC), 1_000.0
        clock = Clock(now=lambda: self.now, monotonic=lambda: self.ticks)
        self.certificates = Certificates(given.get("uri", google_config(server).certs_uri), clock=clock)
        self.verifier = PushVerifier(self.certificates, audience=HOOK, service_account=PUSHER.upper(), clock=clock)
        self.subscription = Subscription(SUB, TOPIC, push_to=HOOK)

    def check(self, token: str) -> None:
        self.verifier.check(f"Bearer {token}")

    def refused(self, token: str) -> tuple[str, bool]:
        with pytest.raises(Forged) as caught:
            self.check(token)
        return caught.value.code, caught.value.signed

    def token(self, **changed: Any) -> str:
        return self.world.pubsub.token(self.subscription, **changed)


@pytest.fixture
def door(world: sandbox.World, server: sandbox.Server) -> Door:
    return Door(world, server)


def test_an_honest_push_is_let_in(door: Door) -> None:
    door.check(door.token())
    door.check(door.token(iss="accounts.google.com"))
    body = push_body(door.subscription, _published(door))
    assert pushed_notice(body) == Notice(REP, "5")


def test_a_forged_push_is_refused_and_told_from_one_for_somebody_else(door: Door) -> None:
    now = int(door.now.timestamp())
    assert door.refused(door.token(iss="https://evil.example")) == ("issuer", False)
    assert door.refused(door.token(exp=now - 3_600)) == ("expired", False)
    assert door.refused(door.token(exp=None)) == ("expired", False)
    assert door.refused(door.token(exp=True)) == ("expired", False)
    assert door.refused(door.token(iat=now + 3_600)) == ("too_early", False)
    assert door.refused(door.token(aud=HOOK + "/")) == ("audience", True)
    assert door.refused(door.token(aud=[HOOK])) == ("audience", True)
    assert door.refused(door.token(email="intruder@other.iam.gserviceaccount.com")) == ("sender", True)
    assert door.refused(door.token(email=None)) == ("sender", True)
    assert door.refused(door.token(email_verified=False)) == ("sender", True)
    assert door.refused(door.token(email_verified=None)) == ("sender", True)


def test_a_token_that_google_did_not_sign_is_refused(door: Door) -> None:
    head, claims, signature = door.token().split(".")
    none = b64url(json.dumps({"alg": "none", "kid": "sandbox-1"}).encode())
    hmac = b64url(json.dumps({"alg": "HS256", "kid": "sandbox-1"}).encode())
    other = b64url(json.dumps(json.loads(_plain(claims)) | {"email": "x@y.example"}).encode())
    assert door.refused(f"{none}.{claims}.") == ("algorithm", False)
    assert door.refused(f"{hmac}.{claims}.{signature}") == ("algorithm", False)
    assert door.refused(f"{head}.{other}.{signature}") == ("signature", False)
    assert door.refused(f"{head}.{claims}.{b64url(b'x' * 256)}") == ("signature", False)
    assert door.refused(f"{head}.{claims}.") == ("signature", False)
    assert door.refused(_signed_by_another(door, "sandbox-1")) == ("signature", False)
    assert door.refused("a.b.c") == ("algorithm", False)
    assert door.refused("x" * 10_000) == ("no_token", False)
    for header in ("", "Bearer", "Basic abc", door.token()):
        with pytest.raises(Forged):
            door.verifier.check(header)


def test_a_new_key_of_googles_is_found_and_an_unknown_one_asked_for_once_a_minute(
    world: sandbox.World, server: sandbox.Server
) -> None:
    keys = _Keys()
    with _serving(keys) as uri:
        door = Door(world, server, uri=uri)
        keys.listed = []
        with pytest.raises(TryLater):
            door.check(door.token())
        keys.listed = [world.grants.signer.jwk()]
        with pytest.raises(TryLater):
            door.check(door.token())
        assert keys.asked == 1, "an empty answer is not asked for again within five seconds"
        door.ticks += 6
        door.check(door.token())
        assert keys.asked == 2
        rotated = _signed_by_another(door, "rotated")
        for _ in range(20):
            assert door.refused(rotated) == ("unknown_key", False)
        assert keys.asked == 2
        keys.listed = [_jwk("rotated"), world.grants.signer.jwk()]
        door.ticks += 61
        door.check(rotated)
        assert keys.asked == 3


def test_old_certificates_serve_while_new_ones_are_fetched_but_not_for_ever(
    world: sandbox.World, server: sandbox.Server
) -> None:
    keys = _Keys([world.grants.signer.jwk()])
    with _serving(keys) as uri:
        door = Door(world, server, uri=uri)
        door.check(door.token())
        keys.status = 503
        door.ticks += 3_601
        door.check(door.token())
        _until(lambda: keys.asked == 2)
        door.ticks += 86_400
        with pytest.raises(TryLater):
            door.check(door.token())


def test_a_push_waits_for_nobody(world: sandbox.World, server: sandbox.Server) -> None:
    keys = _Keys([world.grants.signer.jwk()])
    keys.gate.clear()
    with _serving(keys) as uri:
        door = Door(world, server, uri=uri)
        began = time.monotonic()
        with pytest.raises(TryLater):
            door.check(door.token())
        assert time.monotonic() - began < 5, "certificates that do not come are not waited for"
        keys.gate.set()
        _until(lambda: not _refused(door))


def _refused(door: Door) -> bool:
    try:
        door.check(door.token())
    except TryLater:
        return True
    return False


def _published(door: Door) -> Published:
    return Published("1", json.dumps({"emailAddress": REP, "historyId": 5}).encode(), door.world.clock.now())


def _plain(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


_OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _signed_by_another(door: Door, kid: str) -> str:
    """Honest claims under a key of our own."""
    claims = door.token().split(".")[1]
    signed = f"{b64url(json.dumps({'alg': 'RS256', 'kid': kid}).encode())}.{claims}"
    return f"{signed}.{b64url(_OTHER.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _jwk(kid: str) -> dict[str, str]:
    numbers = _OTHER.public_key().public_numbers()
    return {
        "kty": "RSA",
        "kid": kid,
        "e": b64url(numbers.e.to_bytes(3, "big")),
        "n": b64url(numbers.n.to_bytes(256, "big")),
    }


def _until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


class _Keys:
    """A key set that a test changes, and how often it was asked for."""

    def __init__(self, listed: list[dict[str, str]] | None = None) -> None:
        self.listed, self.status, self.asked = listed or [], 200, 0
        self.gate = threading.Event()
        self.gate.set()


@contextmanager
def _serving(keys: _Keys) -> Iterator[str]:
    """The key set over real HTTP; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.asked += 1
            keys.gate.wait(10)
            body = json.dumps({"keys": keys.listed}).encode()
            self.send_response(keys.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}/certs"
    finally:
        http.shutdown()
        http.server_close()
        thread.join(5)


def test_the_sandbox_publishes_the_keys_it_signs_with(server: sandbox.Server) -> None:
    assert {"keys"} == set(httpx.get(google_config(server).certs_uri).json())
