"""A pretend Pub/Sub: topics, pull subscriptions, and push subscriptions that sign each post (provider contract 1.9, A8).

Delivery is at least once: what is not acknowledged in time comes again. The knobs `push_duplicates` and `push_drops` make it
worse, as it sometimes is.
"""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.clock import Clock, stamp
from sandbox.courier import Courier, Posted, is_loopback
from sandbox.oauth import ISSUER, Signer, subject_of
from sandbox.wire import Refusal, google_error

if TYPE_CHECKING:
    from sandbox.world import Knobs

ACKNOWLEDGED = frozenset({102, 200, 201, 202, 204})
KEPT = 7 * 86_400
PUSHER = "push@p.iam.gserviceaccount.com"


@dataclass(frozen=True, slots=True)
class Published:
    id: str
    data: bytes
    at: float
    attributes: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"data": base64.b64encode(self.data).decode(), "messageId": self.id}
        shown["publishTime"] = stamp(self.at)
        return shown | ({"attributes": dict(self.attributes)} if self.attributes else {})


@dataclass(slots=True, eq=False)
class _Held:
    message: Published
    due: float
    attempt: int = 0
    ack: str = ""


@dataclass
class Subscription:
    """A pull subscription, or with `push_to` a push one. `retry` (least, most seconds) spaces its redeliveries."""

    name: str
    topic: str
    ack_seconds: float = 10.0
    push_to: str = ""
    audience: str = ""
    account: str = PUSHER
    retry: tuple[float, float] | None = None
    held: list[_Held] = field(default_factory=list)


class PubSub:
    """Topics and subscriptions by their full names, `projects/P/topics/T` and `projects/P/subscriptions/S`."""

    def __init__(self, clock: Clock, knobs: Knobs, courier: Courier, signer: Signer, seed: int) -> None:
        self.clock, self.knobs, self.courier, self.signer = clock, knobs, courier, signer
        self.topics: dict[str, bool] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self._chance = random.Random(seed)
        self._changed = threading.Condition(threading.RLock())

    def topic(self, name: str, *, granted: bool = True) -> str:
        """A topic; `granted` tells whether Gmail may publish to it."""
        self.topics[name] = granted
        return name

    def subscribe(self, name: str, topic: str, **given: Any) -> Subscription:
        """A subscription; see Subscription for what can be given. Raises ValueError for a push address elsewhere."""
        made = Subscription(name, topic, **given)
        if made.push_to and not is_loopback(made.push_to):
            raise ValueError(f"The sandbox only posts to this machine, not to {made.push_to}.")
        self.topics.setdefault(topic, True)
        self.subscriptions[name] = made
        return made

    def publish(self, topic: str, data: Mapping[str, Any] | bytes) -> str:
        """A message to all subscriptions of the topic; returns its id."""
        raw = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
        with self._changed:
            message = Published(str(self._chance.getrandbits(50)), raw, self.clock.now())
            for one in self.subscriptions.values():
                if one.topic == topic and self._chance.random() >= self.knobs.push_drops:
                    twice = self._chance.random() < self.knobs.push_duplicates
                    for _ in range(2 if twice else 1):
                        self._enter(one, message)
            self._changed.notify_all()
        return message.id

    def pull(self, name: str, most: int) -> list[dict[str, Any]]:
        """What is due, leased for the subscription's time. Raises Refusal (404)."""
        one = self._named(name)
        with self._changed:
            self._changed.wait_for(lambda: self._due(one, 1), self.knobs.pull_wait or 0)
            found = self._due(one, most)
            for held in found:
                held.attempt += 1
                held.due = self.clock.now() + one.ack_seconds
                held.ack = f"{held.message.id}:{held.attempt}:{self._chance.getrandbits(32):x}"
            return [self._received(one, held) for held in found]

    def acknowledge(self, name: str, ack_ids: list[str]) -> None:
        """Done with these. An id of an earlier lease is accepted and changes nothing. Raises Refusal (404)."""
        one = self._named(name)
        with self._changed:
            one.held = [held for held in one.held if held.ack not in ack_ids]

    def modify(self, name: str, ack_ids: list[str], seconds: float) -> None:
        """More time for these; 0 gives them back at once. Raises Refusal (404)."""
        one = self._named(name)
        with self._changed:
            for held in one.held:
                if held.ack in ack_ids:
                    held.due = self.clock.now() + seconds
            self._changed.notify_all()

    def token(self, one: Subscription, **changed: Any) -> str:
        """The signed identity a push carries; `changed` replaces claims (None leaves one out)."""
        now = int(self.clock.now())
        subject = subject_of(one.account)
        claims: dict[str, Any] = {"aud": one.audience or one.push_to, "azp": subject, "email": one.account}
        claims |= {"email_verified": True, "exp": now + 3600, "iat": now, "iss": ISSUER, "sub": subject}
        claims |= changed
        return self.signer.sign({name: value for name, value in claims.items() if value is not None})

    def push(self, one: Subscription, message: Published, *, token: str | None = None, body: bytes = b"") -> None:
        """One post to a push subscription. `token` and `body` replace the honest ones ("" sends no token)."""

        def make(attempt: int) -> tuple[dict[str, str], bytes]:
            bearer = self.token(one) if token is None else token
            headers = {"Content-Type": "application/json", "User-Agent": "CloudPubSub-Google"}
            return headers | ({"Authorization": f"Bearer {bearer}"} if bearer else {}), body or push_body(one, message)

        self.courier.send(one.push_to, make, self._again(one, message), kind="pubsub")

    def _again(self, one: Subscription, message: Published) -> Any:
        def again(posted: Posted) -> float | None:
            late = message.at + KEPT <= self.clock.now()
            if posted.status in ACKNOWLEDGED or late or one.name not in self.subscriptions:
                return None
            least, most = one.retry or (0.1, 60.0)
            return min(most, least * 2 ** (posted.attempt - 1))

        return again

    def _enter(self, one: Subscription, message: Published) -> None:
        if one.push_to:
            self.push(one, message)
        else:
            one.held.append(_Held(message, self.clock.now()))

    def _due(self, one: Subscription, most: int) -> list[_Held]:
        now = self.clock.now()
        one.held = [held for held in one.held if held.message.at + KEPT > now]
        return [held for held in one.held if held.due <= now][:most]

    def _received(self, one: Subscription, held: _Held) -> dict[str, Any]:
        shown: dict[str, Any] = {"ackId": held.ack, "message": held.message.as_json()}
        return shown | ({"deliveryAttempt": held.attempt} if one.retry else {})

    def _named(self, name: str) -> Subscription:
        if name not in self.subscriptions:
            message = f"Resource not found (resource={name.rpartition('/')[2]})."
            raise Refusal(google_error(404, "NOT_FOUND", "notFound", message))
        return self.subscriptions[name]


def push_body(one: Subscription, message: Published) -> bytes:
    """The envelope of a push (A8): ids and times in both spellings."""
    shown = message.as_json()
    shown |= {"message_id": shown["messageId"], "publish_time": shown["publishTime"]}
    return json.dumps({"message": shown, "subscription": one.name}).encode()
