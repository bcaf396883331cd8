"""Asking Graph to ring: subscriptions to a mailbox's messages and to a calendar's events (provider-contract 4.5, F58).

A subscription lives for a week at the most and is renewed long before; one that is no more is opened anew. Graph knows of one
subscription for a resource and an address: what a worker that died left behind is ended first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from connectors.base import SourceKind
from connectors.doorbell import Watched
from connectors.errors import Gone, OperatorFault, Refused, TryLater
from connectors.microsoft.config import LOOPBACK, OWN_MAILBOX
from connectors.microsoft.graph import Graph

DAY = 86_400.0
LIVES = (10_080, 4_230)
"""Minutes that Graph may grant (its documents disagree); the next is asked for when one is refused."""
SPARE = timedelta(minutes=15)
RESOURCES: dict[SourceKind, str] = {"mail": "messages", "calendar": "events"}
MOST_PAGES = 50


class MicrosoftPush:
    """``connectors.doorbell.Doorbells`` of one account."""

    lasting = frozenset[SourceKind](("mail", "calendar"))
    only_one = frozenset[SourceKind]()

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def open(
        self, kind: SourceKind, external_id: str, *, address: str, channel_id: str, token: str, first: bool
    ) -> Watched:
        """A subscription, after the handshake with ``address``. Its name is Graph's choice."""
        if not can_post_to(address, pretend=self._graph.config.pretend):
            raise OperatorFault(
                "push_not_https",
                "Microsoft rings only at https addresses. Set DEALTRAIL_BASE_URL to your https address; until then everything "
                "is looked at on a timer.",
                after=DAY,
                scope="source",
            )
        self._only_own(kind, external_id)
        resource = f"{self._graph.home.strip('/')}/{RESOURCES[kind]}"
        wanted = {
            "changeType": "created,updated,deleted",
            "resource": resource,
            "notificationUrl": address,
            "lifecycleNotificationUrl": address,
            "clientState": token,
        }
        try:
            return self._created(wanted)
        except TryLater as error:
            if error.code != "conflict":
                raise
        self._clear(resource, address)
        return self._created(wanted)

    def renew(self, kind: SourceKind, external_id: str, *, address: str, channel_id: str) -> Watched:
        """For as long as it may be. It is reauthorized by that, too."""
        path = f"/subscriptions/{quote(channel_id, safe='')}"
        return self._lasting(lambda until: self._graph.send("PATCH", path, {"expirationDateTime": until}))

    def stop(self, kind: SourceKind, channel_id: str, resource_id: str) -> None:
        try:
            self._graph.send("DELETE", f"/subscriptions/{quote(channel_id, safe='')}")
        except Gone:
            return

    def _created(self, wanted: dict[str, str]) -> Watched:
        return self._lasting(
            lambda until: self._graph.send("POST", "/subscriptions", wanted | {"expirationDateTime": until})
        )

    def _lasting(self, ask: Callable[[str], dict[str, Any]]) -> Watched:
        """The longest life that is granted."""
        for minutes in LIVES[:-1]:
            try:
                return _watched(ask(self._until(minutes)))
            except TryLater as error:
                if error.code != "bad_request":
                    raise
        return _watched(ask(self._until(LIVES[-1])))

    def _until(self, minutes: int) -> str:
        ends = self._graph.clock.now() + timedelta(minutes=minutes) - SPARE
        return ends.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _only_own(self, kind: SourceKind, external_id: str) -> None:
        """Graph rings for the person's own mailbox and their default calendar."""
        own = external_id == OWN_MAILBOX
        if kind == "calendar":
            answer = self._graph.get(f"{self._graph.home}/calendar", {"$select": "id"}, urgent=True)
            own = str(answer.get("id")) == external_id
        if not own:
            sentence = (
                "Microsoft offers no push for shared mailboxes and further calendars; they are looked at on a timer."
            )
            raise Refused("push_unsupported", sentence, after=7 * DAY)

    def _clear(self, resource: str, address: str) -> None:
        """End our own subscriptions to the resource that ring at the same address."""
        answer = self._graph.send("GET", "/subscriptions")
        for _ in range(MOST_PAGES):
            for row in answer.get("value") or []:
                same = (str(row.get("resource")).strip("/"), row.get("notificationUrl")) == (resource, address)
                if same and row.get("id"):
                    self.stop("mail", str(row["id"]), "")
            if not answer.get("@odata.nextLink"):
                return
            answer = self._graph.follow(str(answer["@odata.nextLink"]))


def can_post_to(address: str, *, pretend: bool) -> bool:
    """Whether Graph would post there: https, or a pretend one on this same machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (pretend and parts.hostname in LOOPBACK)


def _watched(answer: dict[str, Any]) -> Watched:
    """Until when, and under which name. An answer without these is no answer."""
    try:
        ends = datetime.fromisoformat(str(answer["expirationDateTime"]).replace("Z", "+00:00"))
        name = str(answer["id"])
    except (KeyError, ValueError):
        raise TryLater("not_json", "Microsoft's answer was not what it should be; we try again.") from None
    return Watched(ends.astimezone(UTC) if ends.tzinfo else ends.replace(tzinfo=UTC), channel_id=name, greets=False)
