"""Asking Google to ring: Gmail's watch over Pub/Sub, Calendar's channels (provider-contract 1.9, 2.4, A7, A13)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import structlog
from googleapiclient.errors import HttpError

from connectors.base import SourceKind
from connectors.doorbell import Watched
from connectors.errors import ConnectorError, Gone, OperatorFault, Refused, TryLater
from connectors.google.client import Client
from connectors.google.config import LOOPBACK

DAY = 86_400.0
PUBLISHER = "gmail-api-push@system.gserviceaccount.com"
log = structlog.get_logger()


class GooglePush:
    """``connectors.doorbell.Doorbells`` of one account. Google allows one topic a mailbox and project."""

    lasting = only_one = frozenset[SourceKind](("mail",))

    def __init__(self, client: Client) -> None:
        self._client = client

    def open(
        self, kind: SourceKind, external_id: str, *, address: str, channel_id: str, token: str, first: bool
    ) -> Watched:
        """A watch or a channel. Where somebody else watches the mailbox, that is ended once, at our first try, and never
        again."""
        if kind == "calendar":
            return self.watch_calendar(external_id, channel_id=channel_id, token=token, address=address)
        try:
            return self.watch_mailbox(address)
        except OperatorFault as error:
            if error.code != "watch_conflict" or not first:
                raise
        log.warning("push.taken_over")
        self.stop_mailbox()
        return self.watch_mailbox(address)

    def renew(self, kind: SourceKind, external_id: str, *, address: str, channel_id: str) -> Watched:
        """A mailbox's watch (channels are replaced)."""
        return self.watch_mailbox(address)

    def stop(self, kind: SourceKind, channel_id: str, resource_id: str) -> None:
        if kind == "calendar":
            self.stop_calendar(channel_id, resource_id)
        else:
            self.stop_mailbox()

    def watch_mailbox(self, address: str) -> Watched:
        """Begin or renew the mailbox's watch on the topic ``address`` (100 units); it rings once at once."""
        users = self._client.gmail().users()
        return Watched(_expiry(self._call(users.watch(userId="me", body={"topicName": address}), "watch")))

    def stop_mailbox(self) -> None:
        """End the mailbox's watch, whatever its topic (50 units)."""
        self._call(self._client.gmail().users().stop(userId="me"), "stop")

    def watch_calendar(self, external_id: str, *, channel_id: str, token: str, address: str) -> Watched:
        """A new channel; ``channel_id`` must never have been used. It rings once at once."""
        if not can_post_to(address, pretend=self._client.config.pretend):
            raise OperatorFault(
                "push_not_https",
                "Google rings only at https addresses. Set DEALTRAIL_BASE_URL to your https address; until then calendars "
                "are looked at every few minutes.",
                after=DAY,
                scope="source",
            )
        body = {"id": channel_id, "type": "web_hook", "address": address, "token": token}
        answer = self._call(self._client.calendar().events().watch(calendarId=external_id, body=body))
        return Watched(_expiry(answer), str(answer.get("resourceId") or ""))

    def stop_calendar(self, channel_id: str, resource_id: str) -> None:
        body = {"id": channel_id, "resourceId": resource_id}
        try:
            self._call(self._client.calendar().channels().stop(body=body))
        except Gone:
            return

    def _call(self, request: Any, price: str = "") -> dict[str, Any]:
        client = self._client
        if price:
            client.budget.spend(client.config.costs[price])
        try:
            answer = request.execute(http=client.http, num_retries=0)
        except HttpError as error:
            raise push_fault(int(error.resp.status), error.content) or client.fault(error) from None
        except Exception as error:  # noqa: BLE001  (whatever the library throws: its text may hold addresses and ids)
            raise client.fault(error) from None
        return client.checked(answer or {})


def can_post_to(address: str, *, pretend: bool) -> bool:
    """Whether Google would post there: https, or a pretend Google on this same machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (pretend and parts.hostname in LOOPBACK)


def push_fault(status: int, content: bytes | str) -> ConnectorError | None:
    """What to do next about a refusal that only push knows; None for any other. Polling goes on meanwhile."""
    text = (content.decode("utf-8", "replace") if isinstance(content, bytes) else content).lower()
    if status >= 500:
        return None
    for phrases, make in _FAULTS:
        if all(phrase in text for phrase in phrases):
            return make()
    return None


def _operator(code: str, sentence: str, after: float = DAY / 4) -> Callable[[], ConnectorError]:
    return lambda: OperatorFault(
        code, f"{sentence} Until then it is looked at on a timer.", after=after, scope="source"
    )


_FAULTS: tuple[tuple[tuple[str, ...], Callable[[], ConnectorError]], ...] = (
    (
        ("only one user push notification client",),
        _operator(
            "watch_conflict",
            "Another installation (or an earlier topic) on the same Google Cloud project is being rung for this mailbox. Give "
            "each installation a project of its own, or end the other one's watch.",
        ),
    ),
    (
        ("invalid topicname",),
        _operator(
            "topic_invalid",
            "DEALTRAIL_GOOGLE_PUBSUB_TOPIC must be projects/PROJECT/topics/NAME, in the same Google Cloud project as the OAuth "
            "client.",
        ),
    ),
    (
        ("cloud pubsub", "not found"),
        _operator(
            "topic_missing", "The Pub/Sub topic does not exist. Create it, or mend DEALTRAIL_GOOGLE_PUBSUB_TOPIC."
        ),
    ),
    (
        ("cloud pubsub", "not authorized"),
        _operator(
            "topic_not_granted",
            f"Gmail may not publish to the Pub/Sub topic. Give {PUBLISHER} the role Pub/Sub Publisher on it.",
        ),
    ),
    (
        ("push.webhookurlnothttps",),
        _operator("push_not_https", "Google rings only at https addresses. Set DEALTRAIL_BASE_URL to yours."),
    ),
    (
        ("push.webhookurlunauthorized",),
        _operator(
            "push_domain",
            "Google does not accept this server's domain for push. Verify it in Search Console for the Google Cloud project.",
        ),
    ),
    (
        ("pushnotsupportedforrequestedresource",),
        lambda: Refused(
            "push_unsupported", "Google offers no push for this calendar; it is looked at on a timer.", after=7 * DAY
        ),
    ),
    (
        ("channelidnotunique",),
        lambda: TryLater("channel_taken", "The channel was opened before; the next try opens another one."),
    ),
)


def _expiry(answer: dict[str, Any]) -> datetime:
    """When it ends, from milliseconds. An answer without it is no answer."""
    try:
        return datetime.fromtimestamp(int(answer["expiration"]) / 1000, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise TryLater("not_json", "Google's answer was not what it should be; we try again.") from None
