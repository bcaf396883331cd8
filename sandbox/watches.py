"""Gmail's `users.watch` and `users.stop`: which mailbox tells which topic that something changed (provider contract 1.9)."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.wire import Refusal, bad_request, google_error

if TYPE_CHECKING:
    from sandbox.mailbox import Change, Mailbox
    from sandbox.world import World

TOPIC_REFUSED = "Error sending test message to Cloud PubSub {} : User not authorized to perform this action."
ONE_CLIENT = "Only one user push notification client allowed per developer (call /stop then try again)"


@dataclass(slots=True)
class Watch:
    """One mailbox watched for one project (OAuth client). `last` is when it last told anything."""

    topic: str
    labels: frozenset[str]
    exclude: bool
    expires: float
    last: float = float("-inf")

    def wants(self, labels: frozenset[str]) -> bool:
        if not self.labels:
            return True
        return bool(labels & self.labels) != self.exclude


class Watches:
    """By (mailbox, OAuth client). At most one notification in `knobs.watch_interval` seconds; what is more is dropped."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.watched: dict[tuple[str, str], Watch] = {}
        self._lock = threading.Lock()

    def watch(self, box: Mailbox, client: str, given: dict[str, Any]) -> dict[str, str]:
        """Begins or renews. Raises Refusal: another topic is watched (400), the topic is not there (404) or not ours (403)."""
        topic = given.get("topicName")
        if not isinstance(topic, str) or topic.count("/") != 3:
            raise bad_request("Invalid topicName does not match projects/*/topics/*")
        granted = self.world.pubsub.topics.get(topic)
        if granted is None:
            message = f"Error sending test message to Cloud PubSub {topic} : Resource not found (resource={topic.rpartition('/')[2]})."
            raise Refusal(google_error(404, "NOT_FOUND", "notFound", message))
        if not granted:
            raise Refusal(google_error(403, "PERMISSION_DENIED", "forbidden", TOPIC_REFUSED.format(topic)))
        labels = frozenset(given.get("labelIds") or ())
        behaviour = given.get("labelFilterBehavior") or given.get("labelFilterAction") or "include"
        now = self.world.clock.now()
        with self._lock:
            before = self.watched.get((box.email, client))
            if before and before.expires > now and before.topic != topic:
                raise bad_request(ONE_CLIENT)
            made = Watch(topic, labels, str(behaviour).lower() == "exclude", now + self.world.knobs.watch_ttl)
            self.watched[box.email, client] = made
        self._tell(box, made, now)
        return {"historyId": str(box.history), "expiration": str(int(made.expires * 1000))}

    def stop(self, box: Mailbox, client: str) -> None:
        with self._lock:
            self.watched.pop((box.email, client), None)

    def changed(self, box: Mailbox, change: Change) -> None:
        """A history record was written; whoever watches is told, before reads may find it."""
        now = self.world.clock.now()
        with self._lock:
            watches = [one for (email, _), one in self.watched.items() if email == box.email and one.expires > now]
        stored = box.messages.get(change.message)
        labels = frozenset(change.labels) | (stored.labels if stored else frozenset())
        for one in watches:
            if one.wants(labels) and now - one.last >= self.world.knobs.watch_interval:
                self._tell(box, one, now)

    def _tell(self, box: Mailbox, one: Watch, now: float) -> None:
        one.last = now
        self.world.pubsub.publish(one.topic, {"emailAddress": box.email, "historyId": box.history})
