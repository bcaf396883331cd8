"""The state of the pretend Google: accounts, mailboxes, calendars, grants, faults, counters and the knobs that shape it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from sandbox.almanac import Almanac
from sandbox.clock import Clock
from sandbox.faults import FaultPlan
from sandbox.mailbox import Mailbox
from sandbox.oauth import READING, Grants
from sandbox.quota import Stats

DAY = 86_400


@dataclass
class Knobs:
    """What a test may turn. Times in seconds of the clock, except `latency` (real seconds a request takes at least).

    page_size forces short pages everywhere; concurrency_limit counts requests and batch parts of one mailbox in flight;
    visibility_delay hides a delivered mail from reads, history_delay holds history records back; stable_cancelled keeps
    the details of cancelled events as an organizer's copy does, instead of the bare ids that are all Google promises;
    text_as_utf8: Gmail hands out text parts in UTF-8 whatever charset their header still names (gogcli issue 446).
    """

    enforce_quota: bool = False
    units_per_minute: int = 6_000
    calendar_per_minute: int = 600
    cost_profile: str = "2026"
    concurrency_limit: int | None = None
    page_size: int | None = None
    visibility_delay: float = 0.0
    history_delay: float = 0.0
    history_ttl: float = 7 * DAY
    sync_token_ttl: float = 30 * DAY
    updated_min_ttl: float = 30 * DAY
    latency: float = 0.0
    auto_consent: bool = False
    stable_cancelled: bool = False
    text_as_utf8: bool = True
    log_requests: bool = True


class World:
    """Everything the servers answer from. Accounts come into being when first named.

    `refresh_token(email)` is the headless way in. `crm` and `names` are what a team brings along for the demo.
    """

    def __init__(
        self, clock: Clock | None = None, knobs: Knobs | None = None, *, seed: int = 7, keep: int = 100_000
    ) -> None:
        self.clock = clock or Clock()
        self.knobs = knobs or Knobs()
        self.stats = Stats(self.clock, keep)
        self.grants = Grants(self.clock)
        self.faults = FaultPlan(self, seed)
        self.almanac = Almanac(self.clock, self.knobs)
        self.mailboxes: dict[str, Mailbox] = {}
        self.crm: dict[str, Any] = {}
        self._refresh: dict[tuple[str, tuple[str, ...]], str] = {}
        self._lock = threading.Lock()

    def mailbox(self, email: str, name: str = "") -> Mailbox:
        """The mailbox of an account, made (with its primary calendar) when it is not there yet."""
        email = email.lower()
        with self._lock:
            if email not in self.mailboxes:
                self.mailboxes[email] = Mailbox(email, name or email.partition("@")[0], self.clock, self.knobs)
                self.almanac.calendar(email)
            return self.mailboxes[email]

    def refresh_token(self, email: str, scopes: tuple[str, ...] = READING) -> str:
        """A living refresh token of the account, the same one at each call while it lives."""
        self.mailbox(email)
        key = (email.lower(), tuple(scopes))
        grant = self.grants.by_refresh.get(self._refresh.get(key, ""))
        if grant is None or grant.died:
            self._refresh[key] = self.grants.grant(email, tuple(scopes)).refresh_token
        return self._refresh[key]

    def access_token(self, email: str, scopes: tuple[str, ...] = READING) -> str:
        """A fresh access token, without the round trip of a refresh."""
        form = {"grant_type": ["refresh_token"], "refresh_token": [self.refresh_token(email, scopes)]}
        form |= {"client_id": [self.grants.client_id], "client_secret": [self.grants.client_secret]}
        return self.grants.exchange(form)["access_token"]

    def accounts(self) -> list[dict[str, str]]:
        boxes = list(self.mailboxes.values())
        return [{"email": b.email, "refresh_token": self.refresh_token(b.email), "name": b.name} for b in boxes]
