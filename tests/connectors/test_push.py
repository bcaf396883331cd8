"""Asking Google to ring, taking rings out of a subscription, and telling Google's pushes from anybody else's."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import sandbox
from connectors.clock import Clock
from connectors.doorbell import ChannelNotice, Notice
from connectors.errors import ConnectorError, Forged, OperatorFault, TryLater
from connectors.google.config import GoogleConfig
from connectors.google.pubsub import PubSubInbox
from connectors.google.push import can_post_to, push_fault
from connectors.google.rings import Certificates, PushVerifier, channel_notice, notice_of, pushed_notice
from sandbox.oauth import b64url
from sandbox.pubsub import PUSHER, Published, Subscription, push_body
from sandbox.wire import google_error
from tests.connectors.conftest import Link, google_config
from tests.sandbox.receiver import Receiver
from tests.support import BUYER, REP, mail

TOPIC, SUB = "projects/p/topics/t", "projects/p/subscriptions/s"
HOOK = "https://dealtrail.acme.example/push/google/gmail"


@pytest.fixture
def key_file(world: sandbox.World, tmp_path: Path) -> Path:
    """A service account's key. It names a token address that must not be used."""
    path = tmp_path / "robot.json"
    path.write_text(json.dumps(world.delegation.account().info("https://tokens.elsewhere.example/token")))
    return path


@pytest.fixture
def inbox(world: sandbox.World, server: sandbox.Server, key_file: Path) -> Iterator[PubSubInbox]:
    """A reader of the subscription."""
    made = PubSubInbox(google_config(server), SUB, key_file)
    yield made
    made.close()


# ---- watching a mailbox


def test_a_watch_rings_at_once_and_ends_when_it_says(world: sandbox.World, link: Link, inbox: PubSubInbox) -> None:
    world.pubsub.subscribe(SUB, TOPIC)
    begun = link.connection.doorbells().watch_mailbox(TOPIC)
    assert timedelta(days=6.9) < begun.expires_at - datetime.now(UTC) <= timedelta(days=7)
    assert link.budget.spent == 100
    (ring,) = inbox.pull(10)
    assert ring.notice == Notice(REP, str(link.box.history))


def test_a_stopped_watch_is_silent(world: sandbox.World, link: Link, inbox: PubSubInbox) -> None:
    world.pubsub.subscribe(SUB, TOPIC)
    bells = link.connection.doorbells()
    bells.watch_mailbox(TOPIC)
    inbox.acknowledge([one.ack_id for one in inbox.pull(10)])
    bells.stop_mailbox()
    world.clock.advance(2)
    link.box.deliver(mail(BUYER, REP))
    assert inbox.pull(10) == []


def test_each_refusal_of_a_watch_has_its_own_sentence(world: sandbox.World, link: Link) -> None:
    world.pubsub.topic(TOPIC)
    world.pubsub.topic("projects/p/topics/closed", granted=False)
    bells = link.connection.doorbells()
    bells.watch_mailbox(TOPIC)
    world.pubsub.topic("projects/p/topics/other")
    wanted = {
        "projects/p/topics/other": ("watch_conflict", "Another installation"),
        "projects/p/topics/none": ("topic_missing", "does not exist"),
        "projects/p/topics/closed": ("topic_not_granted", "gmail-api-push@system.gserviceaccount.com"),
        "nonsense": ("topic_invalid", "projects/PROJECT/topics/NAME"),
    }
    for topic, (code, words) in wanted.items():
        with pytest.raises(OperatorFault) as caught:
            bells.watch_mailbox(topic)
        assert (caught.value.code, caught.value.scope) == (code, "source")
        assert words in caught.value.sentence


def test_an_ordinary_fault_keeps_its_ordinary_meaning(world: sandbox.World, link: Link) -> None:
    world.pubsub.topic(TOPIC)
    world.grants.kill(REP)
    with pytest.raises(ConnectorError) as caught:
        link.connection.doorbells().watch_mailbox(TOPIC)
    assert caught.value.code == "invalid_grant"
    unavailable = google_error(
        503, "UNAVAILABLE", "backendError", "Error sending test message to Cloud PubSub: not found"
    )
    assert push_fault(503, unavailable.body) is None


# ---- a calendar's channel


def test_a_channel_rings_until_it_is_stopped_twice(world: sandbox.World, link: Link) -> None:
    bells = link.connection.doorbells()
    with Receiver() as receiver:
        begun = bells.watch_calendar("primary", channel_id="c1", token="hush", address=receiver.url)
        world.courier.settle()
        headers = receiver.got[0][0]
        assert channel_notice(headers) == ChannelNotice("c1", "hush", begun.resource_id, greeting=True)
        bells.stop_calendar("c1", begun.resource_id)
        bells.stop_calendar("c1", begun.resource_id)
        assert world.channels.open == {}
        with pytest.raises(TryLater) as caught:
            bells.watch_calendar("primary", channel_id="c1", token="hush", address=receiver.url)
        assert caught.value.code == "channel_taken"


def test_a_calendar_rings_only_at_https(world: sandbox.World, link: Link) -> None:
    bells = link.connection.doorbells()
    for address, code in (("http://app.example/push", "push_not_https"), ("https://app.example/push", "push_domain")):
        with pytest.raises(OperatorFault) as caught:
            bells.watch_calendar("primary", channel_id="c2", token="t", address=address)
        assert caught.value.code == code
    asked = {seen.status for seen in link.asked("calendar.events.watch")}
    assert asked == {401}, "the http address was never sent to Google, or it would have answered 400"
    assert not can_post_to("http://127.0.0.1:1/push", pretend=False)
    assert can_post_to("http://127.0.0.1:1/push", pretend=True)


# ---- the subscription


def test_what_is_not_acknowledged_comes_again(world: sandbox.World, inbox: PubSubInbox) -> None:
    world.pubsub.subscribe(SUB, TOPIC)
    world.pubsub.publish(TOPIC, {"emailAddress": "Rae@Acme.Example", "historyId": 77})
    world.pubsub.publish(TOPIC, b"no json")
    first = inbox.pull(10)
    assert [one.notice for one in first] == [Notice(REP, "77"), None]
    assert inbox.pull(10) == []
    world.clock.advance(11)
    again = inbox.pull(10)
    assert [one.notice for one in again] == [Notice(REP, "77"), None]
    inbox.acknowledge([one.ack_id for one in again])
    inbox.acknowledge([])
    world.clock.advance(700)
    assert inbox.pull(10) == []


def test_a_subscription_that_is_not_there_or_not_ours_is_told(
    world: sandbox.World, server: sandbox.Server, inbox: PubSubInbox, tmp_path: Path
) -> None:
    with pytest.raises(OperatorFault) as caught:
        inbox.pull(1)
    assert caught.value.code == "subscription_missing"
    world.pubsub.subscribe(SUB, TOPIC)
    person = {"type": "authorized_user", "refresh_token": world.refresh_token(REP)}
    path = tmp_path / "person.json"
    path.write_text(json.dumps(person | {"client_id": "test-client", "client_secret": "test-secret"}))
    other = PubSubInbox(google_config(server), SUB, path)
    with pytest.raises(OperatorFault) as caught:
        other.pull(1)
    assert caught.value.code == "subscription_not_allowed"
    other.close()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"type": "authorized_user"}', '{"private_key": "x"}'])
def test_a_wrong_key_file_is_told(server: sandbox.Server, tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(content)
    for file in (path, tmp_path / "missing.json"):
        with pytest.raises(OperatorFault) as caught:
            PubSubInbox(google_config(server), SUB, file).pull(1)
        assert caught.value.code == "credentials_file"
        assert "DEALTRAIL_GOOGLE_PUBSUB_CREDENTIALS_FILE" in caught.value.sentence


def test_a_pretend_google_is_never_left_for_the_real_one(server: sandbox.Server) -> None:
    config = google_config(server)
    assert config.pubsub_root == server.google_api_root
    assert config.certs_uri.startswith(server.google_oauth_root)
    assert GoogleConfig().pubsub_root == "https://pubsub.googleapis.com"
    assert GoogleConfig().certs_uri == "https://www.googleapis.com/oauth2/v3/certs"
    with pytest.raises(OperatorFault):
        _ = GoogleConfig(pubsub_api_root="https://pubsub.elsewhere.example").pubsub_root


# ---- what a message says


def data(content: Any, encode: Callable[[bytes], bytes] = base64.b64encode) -> dict[str, Any]:
    return {"data": encode(json.dumps(content, separators=(",", ":")).encode()).decode()}


def test_both_alphabets_and_both_kinds_of_number_are_read() -> None:
    content = {"emailAddress": "Ræ?>@Acme.Example", "historyId": "9876543210"}
    for encode in (base64.b64encode, base64.urlsafe_b64encode, lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=")):
        assert notice_of(data(content, encode)) == Notice("ræ?>@acme.example", "9876543210")
    assert notice_of(data(content | {"historyId": 12})) == Notice("ræ?>@acme.example", "12")
    assert notice_of(data(content | {"historyId": None})) == Notice("ræ?>@acme.example", "")


@pytest.mark.parametrize(
    "message",
    [None, [], {}, {"data": 5}, {"data": "%%%"}, data([]), data({"emailAddress": "nobody"}), data({"emailAddress": 5})],
)
def test_a_message_that_says_nothing_is_none(message: Any) -> None:
    assert notice_of(message) is None
    assert pushed_notice(json.dumps({"message": message}).encode()) is None
    assert pushed_notice(b"[" * 100_000) is None


def test_a_channels_message_is_read_from_headers_of_any_case() -> None:
    headers = {"X-GOOG-Channel-ID": "c", "x-goog-channel-token": "t", "X-Goog-Resource-State": "exists"}
    assert channel_notice(headers) == ChannelNotice("c", "t", "", greeting=False)
    assert channel_notice({}) is None
    assert channel_notice({"x-goog-channel-id": "c" * 65}) is None


# ---- whether it was Google


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
