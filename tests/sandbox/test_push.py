"""Push: Gmail watches over a pretend Pub/Sub (pull and push), calendar channels, and what goes wrong with both."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate
from googleapiclient.errors import HttpError

from sandbox import Server, World
from sandbox.mailbox import Mailbox
from sandbox.pubsub import PUSHER
from sandbox.senders import CHANNEL_VARIANTS, PUSH_VARIANTS
from tests.sandbox.client import Google, reason_of
from tests.sandbox.conftest import BUYER, ME, NOW
from tests.sandbox.letters import mail
from tests.sandbox.receiver import Receiver

TOPIC, SUB = "projects/p/topics/t", "projects/p/subscriptions/s"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def unsigned(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def claims_of(token: str, server: Server) -> dict[str, Any]:
    """The claims of a token whose signature fits the published certificate."""
    head, body, signature = token.split(".")
    certificate = httpx.get(f"{server.url}/oauth2/v1/certs").json()[json.loads(unsigned(head))["kid"]]
    key = load_pem_x509_certificate(certificate.encode()).public_key()
    key.verify(unsigned(signature), f"{head}.{body}".encode(), PKCS1v15(), SHA256())  # type: ignore[union-attr, call-arg]
    return json.loads(unsigned(body))


def watch(google: Google, topic: str = TOPIC, **more: Any) -> dict[str, str]:
    return google.call(google.users.watch(userId="me", body={"topicName": topic, **more}))


def pull(google: Google, most: int = 10) -> list[dict[str, Any]]:
    request = google.pubsub.projects().subscriptions().pull(subscription=SUB, body={"maxMessages": most})
    return google.call(request).get("receivedMessages", [])


def told(received: list[dict[str, Any]]) -> list[int]:
    return [int(json.loads(base64.b64decode(one["message"]["data"]))["historyId"]) for one in received]


def ack(google: Google, received: list[dict[str, Any]]) -> None:
    body = {"ackIds": [one["ackId"] for one in received]}
    google.call(google.pubsub.projects().subscriptions().acknowledge(subscription=SUB, body=body))


def test_a_watch_tells_at_once_and_then_at_each_change(world: World, google: Google, box: Mailbox) -> None:
    world.pubsub.subscribe(SUB, TOPIC)
    begun = watch(google)
    assert int(begun["expiration"]) == (NOW.timestamp() + 7 * 86_400) * 1000
    first = pull(google)
    assert told(first) == [int(begun["historyId"])]
    ack(google, first)
    world.clock.advance(2)
    box.deliver(mail())
    assert told(pull(google)) == [box.history]


def test_more_than_one_a_second_are_dropped(world: World, google: Google, box: Mailbox) -> None:
    world.pubsub.subscribe(SUB, TOPIC)
    watch(google)
    for _ in range(5):
        box.deliver(mail())
    world.clock.advance(1)
    box.deliver(mail())
    assert len(pull(google)) == 2
    world.knobs.watch_interval = 0
    box.deliver(mail())
    assert len(pull(google)) == 1


def test_it_comes_again_until_it_is_acknowledged(world: World, google: Google) -> None:
    world.pubsub.subscribe(SUB, TOPIC, retry=(10, 600))
    watch(google)
    first = pull(google)
    assert pull(google) == []
    world.clock.advance(10)
    again = pull(google)
    assert again[0]["message"]["messageId"] == first[0]["message"]["messageId"]
    assert again[0]["deliveryAttempt"] == 2
    back = {"ackIds": [again[0]["ackId"]], "ackDeadlineSeconds": 0}
    google.call(google.pubsub.projects().subscriptions().modifyAckDeadline(subscription=SUB, body=back))
    third = pull(google)
    ack(google, third)
    world.clock.advance(700)
    assert pull(google) == []


def test_a_watch_ends_after_a_week_and_when_stopped(world: World, google: Google, box: Mailbox) -> None:
    world.pubsub.subscribe(SUB, TOPIC)
    watch(google)
    world.clock.advance(7 * 86_400)
    box.deliver(mail())
    assert len(pull(google)) == 0
    watch(google)
    ack(google, pull(google))
    google.call(google.users.stop(userId="me"))
    world.clock.advance(5)
    box.deliver(mail())
    assert pull(google) == []


def test_labels_narrow_what_is_told(world: World, google: Google, box: Mailbox) -> None:
    world.pubsub.subscribe(SUB, TOPIC)
    watch(google, labelIds=["INBOX"], labelFilterBehavior="include")
    ack(google, pull(google))
    world.clock.advance(5)
    box.deliver(mail(), ["SPAM"])
    assert pull(google) == []
    box.deliver(mail(), ["INBOX"])
    assert len(pull(google)) == 1


def test_a_second_topic_an_unknown_one_and_one_that_is_not_granted_are_refused(world: World, google: Google) -> None:
    for name, granted in ((TOPIC, True), ("projects/p/topics/other", True), ("projects/p/topics/closed", False)):
        world.pubsub.topic(name, granted=granted)
    refusals = {"projects/p/topics/closed": (403, "forbidden"), "projects/p/topics/none": (404, "notFound")}
    for name, wanted in refusals.items():
        with pytest.raises(HttpError) as caught:
            watch(google, name)
        assert reason_of(caught.value) == wanted
    watch(google)
    watch(google)
    with pytest.raises(HttpError) as caught:
        watch(google, "projects/p/topics/other")
    assert reason_of(caught.value) == (400, "invalidArgument")
    assert b"Only one user push notification client" in caught.value.content
    google.users.stop(userId="me").execute()
    watch(google, "projects/p/topics/other")


def test_messages_are_doubled_and_lost_by_knob(world: World, google: Google) -> None:
    world.pubsub.subscribe(SUB, TOPIC)
    world.knobs.push_duplicates = 1.0
    watch(google)
    twice = pull(google)
    assert [one["message"]["messageId"] for one in twice] == [twice[0]["message"]["messageId"]] * 2
    ack(google, twice)
    world.knobs.push_drops = 1.0
    watch(google)
    assert pull(google) == []


def test_a_push_is_signed_for_its_receiver(world: World, server: Server, google: Google, receiver: Receiver) -> None:
    world.pubsub.subscribe(SUB, TOPIC, push_to=receiver.url)
    begun = watch(google)
    world.courier.settle()
    headers, body = receiver.got[0]
    claims = claims_of(headers["authorization"].removeprefix("Bearer "), server)
    assert (claims["aud"], claims["email"], claims["email_verified"]) == (receiver.url, PUSHER, True)
    assert claims["iss"] == "https://accounts.google.com"
    assert (claims["iat"], claims["exp"]) == (NOW.timestamp(), NOW.timestamp() + 3600)
    given = json.loads(body)
    assert given["subscription"] == SUB
    assert given["message"]["messageId"] == given["message"]["message_id"]
    told_of = {"emailAddress": ME, "historyId": int(begun["historyId"])}
    assert json.loads(base64.b64decode(given["message"]["data"])) == told_of
    assert {"keys"} == set(httpx.get(f"{server.url}/certs").json())


def test_a_refused_push_is_tried_again_until_it_is_taken(world: World, google: Google, receiver: Receiver) -> None:
    receiver.status = 503
    world.pubsub.subscribe(SUB, TOPIC, push_to=receiver.url, retry=(10, 600))
    watch(google)
    world.courier.settle()
    assert len(receiver.got) == 1
    receiver.status = 200
    world.clock.advance(10)
    world.courier.settle()
    assert len(receiver.got) == 2
    assert receiver.got[0][1] == receiver.got[1][1]
    assert world.courier.pending() == 0
    assert [one.status for one in world.courier.record] == [503, 200]


def test_it_pushes_to_nobody_but_this_machine(world: World) -> None:
    with pytest.raises(ValueError, match="only posts to this machine"):
        world.pubsub.subscribe(SUB, TOPIC, push_to="https://somewhere.example/push")


def test_pulling_needs_its_own_scope_and_a_subscription(world: World, google: Google, google_for) -> None:
    with pytest.raises(HttpError) as caught:
        pull(google)
    assert reason_of(caught.value) == (404, "notFound")
    with pytest.raises(HttpError) as caught:
        pull(google_for(ME, "https://www.googleapis.com/auth/gmail.readonly"))
    assert reason_of(caught.value) == (403, "insufficientPermissions")
    world.pubsub.subscribe(SUB, TOPIC)
    robot = {"Authorization": f"Bearer {world.robot_token('https://www.googleapis.com/auth/pubsub')}"}
    answer = httpx.post(f"{google.server.url}/v1/{SUB}:pull", headers=robot, json={"maxMessages": 1})
    assert answer.json() == {}


@pytest.mark.parametrize("variant", PUSH_VARIANTS)
def test_f42_sends(variant: str, world: World, server: Server, google: Google, receiver: Receiver) -> None:
    world.pubsub.subscribe(SUB, TOPIC, push_to=receiver.url)
    world.faults.add("F42", variant=variant, account=ME)
    world.courier.settle()
    headers, body = receiver.got[0]
    given = json.loads(body)["message"]
    token = headers.get("authorization", "").removeprefix("Bearer ")
    claims = claims_of(token, server) if token else {}
    wrong = {
        "audience": lambda: claims["aud"] != receiver.url,
        "expired": lambda: claims["exp"] < world.clock.now(),
        "account": lambda: claims["email"] != PUSHER,
        "none": lambda: "authorization" not in headers,
        "junk": lambda: "%" in given["data"],
        "unknown": lambda: json.loads(base64.b64decode(given["data"]))["emailAddress"] not in world.mailboxes,
        "thrice": lambda: [one[1] for one in receiver.got] == [body] * 3,
    }
    assert wrong[variant]()


# ---- calendar channels


def channel(google: Google, receiver: Receiver, name: str = "channel-1", **more: Any) -> dict[str, Any]:
    body = {"id": name, "type": "web_hook", "address": receiver.url, "token": "secret", **more}
    return google.call(google.events.watch(calendarId="primary", body=body))


def states(receiver: Receiver) -> list[tuple[str, int]]:
    return [(head["x-goog-resource-state"], int(head["x-goog-message-number"])) for head, _ in receiver.got]


def test_a_channel_greets_and_then_tells_of_changes(world: World, google: Google, receiver: Receiver) -> None:
    begun = channel(google, receiver)
    world.courier.settle()
    world.almanac.meet(ME, [BUYER], NOW, NOW + timedelta(hours=1), "Demo")
    world.courier.settle()
    (sync, one), (exists, more) = states(receiver)
    assert (sync, one, exists) == ("sync", 1, "exists")
    assert more > 1
    headers, body = receiver.got[1]
    assert (headers["x-goog-channel-id"], headers["x-goog-channel-token"]) == ("channel-1", "secret")
    assert headers["x-goog-resource-id"] == begun["resourceId"]
    assert headers["x-goog-resource-uri"] == begun["resourceUri"]
    assert headers["x-goog-channel-expiration"] == "Mon, 09 Nov 2026 09:00:00 GMT"
    assert (headers["content-length"], body) == ("0", b"")


def test_a_channel_falls_silent_when_stopped_and_when_it_expires(
    world: World, google: Google, receiver: Receiver
) -> None:
    begun = channel(google, receiver)
    channel(google, receiver, "channel-2", params={"ttl": "600"})
    google.call(google.calendar.channels().stop(body={"id": "channel-1", "resourceId": begun["resourceId"]}))
    with pytest.raises(HttpError) as caught:
        google.calendar.channels().stop(body={"id": "channel-1", "resourceId": begun["resourceId"]}).execute()
    assert caught.value.resp.status == 404
    world.clock.advance(601)
    world.almanac.meet(ME, [BUYER], NOW, NOW + timedelta(hours=1), "Demo")
    world.courier.settle()
    assert [state for state, _ in states(receiver)] == ["sync", "sync"]


@pytest.mark.parametrize(
    ("given", "status", "reason"),
    [
        ({"id": ""}, 400, "required"),
        ({"id": "no spaces, please"}, 400, "invalid"),
        ({"type": "carrier_pigeon"}, 400, "channelUnknownType"),
        ({"address": "http://app.example/push"}, 400, "push.webhookUrlNotHttps"),
        ({"address": "https://app.example/push"}, 401, "push.webhookUrlUnauthorized"),
        ({"id": "used"}, 400, "channelIdNotUnique"),
        ({"expiration": "1000"}, 400, "invalid"),
    ],
)
def test_a_channel_is_refused(google: Google, receiver: Receiver, given: dict, status: int, reason: str) -> None:
    given = dict(given)
    channel(google, receiver, "used")
    with pytest.raises(HttpError) as caught:
        channel(google, receiver, **{"name": given.pop("id", "fresh"), **given})
    assert reason_of(caught.value) == (status, reason)


def test_only_some_failures_are_tried_again(world: World, google: Google, receiver: Receiver) -> None:
    receiver.status = 503
    channel(google, receiver)
    world.courier.settle()
    receiver.status = 404
    world.clock.advance(1)
    world.courier.settle()
    world.clock.advance(100)
    world.courier.settle()
    assert [one.status for one in world.courier.record] == [503, 404]


@pytest.mark.parametrize("variant", CHANNEL_VARIANTS)
def test_f41_sends(variant: str, world: World, google: Google, receiver: Receiver) -> None:
    channel(google, receiver)
    world.courier.settle()
    greeted = len(receiver.got)
    world.faults.add("F41", variant=variant)
    world.courier.settle()
    heads = [head for head, _ in receiver.got[greeted:]]
    numbers = [int(head["x-goog-message-number"]) for head in heads]
    wrong = {
        "sync": lambda: (heads[0]["x-goog-resource-state"], numbers) == ("sync", [1]),
        "duplicate": lambda: len(numbers) == 2 and numbers[0] == numbers[1],
        "jump": lambda: numbers[0] > 1_000,
        "token": lambda: heads[0]["x-goog-channel-token"] != "secret",
        "unknown": lambda: heads[0]["x-goog-channel-id"] != "channel-1",
    }
    assert wrong[variant]()
