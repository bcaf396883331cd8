"""Calendar's push channels: `events.watch`, `channels.stop` and the X-Goog-... posts (provider contract 2.4, A13, A14)."""

from __future__ import annotations

import hashlib
import random
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sandbox.courier import Posted, is_loopback
from sandbox.wire import Refusal, google_error

if TYPE_CHECKING:
    from sandbox.almanac import Calendar
    from sandbox.world import World

TRIED_AGAIN = frozenset({0, 500, 502, 503, 504})
ATTEMPTS = 6
_ID = re.compile(r"[A-Za-z0-9\-_+/=]{1,64}\Z")
AGENT = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"


@dataclass(slots=True, eq=False)
class Channel:
    """One channel. `number` is that of the last message; numbers rise, not by one."""

    id: str
    email: str
    calendar: str
    address: str
    token: str
    expires: float
    resource: str
    number: int = 0

    @property
    def uri(self) -> str:
        return f"https://www.googleapis.com/calendar/v3/calendars/{quote(self.calendar, safe='')}/events?alt=json"


class Channels:
    """All living channels by their id."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.open: dict[str, Channel] = {}
        self._used: set[str] = set()
        self._chance = random.Random(seed)
        self._lock = threading.Lock()

    def watch(self, email: str, calendar: Calendar, given: dict[str, Any]) -> dict[str, Any]:
        """A new channel, greeted with a `sync` message. Raises Refusal (400, 401)."""
        channel = self._made(email, calendar, given)
        with self._lock:
            if channel.id in self._used:
                raise _refused("channelIdNotUnique", f"Channel id {channel.id} not unique")
            self._used.add(channel.id)
            self.open[channel.id] = channel
        self.tell(channel, "sync")
        shown = {"kind": "api#channel", "id": channel.id, "resourceId": channel.resource, "resourceUri": channel.uri}
        shown["expiration"] = str(int(channel.expires * 1000))
        return shown | ({"token": channel.token} if channel.token else {})

    def stop(self, given: dict[str, Any]) -> None:
        """Ends a channel. Raises Refusal (404) when id and resourceId name none."""
        channel = self.open.get(str(given.get("id", "")))
        if channel is None or channel.resource != given.get("resourceId"):
            message = f"Channel '{given.get('id', '')}' not found for project '1'"
            raise Refusal(google_error(404, "", "channelUnknown", message))
        self.open.pop(channel.id, None)

    def changed(self, calendar: Calendar, state: str = "exists") -> None:
        """Something in the calendar changed (`not_exists`: the calendar itself went away)."""
        now = self.world.clock.now()
        knobs = self.world.knobs
        for channel in list(self.open.values()):
            if (channel.email, channel.calendar) != (calendar.owner, calendar.id) or channel.expires <= now:
                continue
            if self._chance.random() < knobs.push_drops:
                continue
            for _ in range(2 if self._chance.random() < knobs.push_duplicates else 1):
                self.tell(channel, state)

    def tell(self, channel: Channel, state: str, **changed: str) -> None:
        """One message on a channel; `changed` replaces headers (names with _ for -), for the forged ones of F41."""
        with self._lock:
            channel.number += 1 if state == "sync" else self._chance.randint(1, 9)
            headers = self._headers(channel, state) | {name.replace("_", "-"): text for name, text in changed.items()}

        def again(posted: Posted) -> float | None:
            alive = channel.id in self.open and posted.attempt < ATTEMPTS
            return min(60.0, 2.0 ** (posted.attempt - 1)) if posted.status in TRIED_AGAIN and alive else None

        self.world.courier.send(channel.address, lambda attempt: (headers, b""), again, kind="calendar")

    def _headers(self, channel: Channel, state: str) -> dict[str, str]:
        expires = format_datetime(datetime.fromtimestamp(channel.expires, UTC), usegmt=True)
        shown = {"X-Goog-Channel-ID": channel.id, "X-Goog-Channel-Expiration": expires}
        shown |= {"X-Goog-Resource-ID": channel.resource, "X-Goog-Resource-URI": channel.uri}
        shown |= {"X-Goog-Resource-State": state, "X-Goog-Message-Number": str(channel.number), "User-Agent": AGENT}
        return shown | ({"X-Goog-Channel-Token": channel.token} if channel.token else {})

    def _made(self, email: str, calendar: Calendar, given: dict[str, Any]) -> Channel:
        channel_id, address, token = (
            str(given.get("id") or ""),
            str(given.get("address") or ""),
            given.get("token") or "",
        )
        if not _ID.match(channel_id):
            raise _refused(
                "required" if not channel_id else "invalid", "Channel.id: letters, digits and -_+/=, at most 64"
            )
        if given.get("type") not in ("web_hook", "webhook"):
            raise _refused("channelUnknownType", f"Unknown channel type {given.get('type')}")
        if len(token) > 256:
            raise _refused("invalid", "Channel.token is too long")
        if not address.startswith("https://") and (self.world.knobs.https_push_only or not is_loopback(address)):
            raise _refused("push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {address}")
        if not is_loopback(address):
            message = f"Unauthorized WebHook callback channel: {address}"
            raise Refusal(google_error(401, "", "push.webhookUrlUnauthorized", message))
        now, most = self.world.clock.now(), self.world.knobs.channel_ttl
        wanted = int(given["expiration"]) / 1000 - now if given.get("expiration") else most
        ttl = (given.get("params") or {}).get("ttl")
        wanted = float(ttl) if ttl else wanted
        if wanted <= 0:
            raise _refused("invalid", "Invalid expiration")
        resource = hashlib.sha256(f"{email}\n{calendar.id}".encode()).hexdigest()[:26]
        return Channel(channel_id, email, calendar.id, address, token, now + min(wanted, most), resource)


def _refused(reason: str, message: str) -> Refusal:
    return Refusal(google_error(400, "", reason, message))
