"""Asking Google to ring, and taking rings out of a subscription."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import sandbox
from connectors.doorbell import ChannelNotice, Notice
from connectors.errors import ConnectorError, OperatorFault, TryLater
from connectors.google.config import GoogleConfig
from connectors.google.pubsub import PubSubInbox
from connectors.google.push import can_post_to, push_fault
from connectors.google.rings import channel_notice, notice_of, pushed_notice
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
