"""The state of the pretend providers: accounts, mailboxes, calendars, grants, faults, counters and the knobs that shape it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from sandbox.almanac import Almanac
from sandbox.channels import Channels
from sandbox.clock import Clock
from sandbox.courier import Courier
from sandbox.delegation import Delegation, ServiceAccount
from sandbox.faults import FaultPlan
from sandbox.mailbox import Mailbox
from sandbox.microsoft.entra import READING as MICROSOFT_READING
from sandbox.microsoft.outlook import OutlookBox
from sandbox.microsoft.tenancy import Microsoft
from sandbox.oauth import READING, Grant, Grants
from sandbox.pubsub import PubSub
from sandbox.quota import Stats
from sandbox.watches import Watches

DAY = 86_400


@dataclass
class Knobs:
    """What a test may turn. Times in seconds of the clock, and `latency`, which a request takes at least.

    page_size forces short pages everywhere; concurrency_limit counts requests and batch parts of one mailbox in flight;
    visibility_delay hides a delivered mail from reads, history_delay holds history records back; stable_cancelled keeps
    the details of cancelled events as an organizer's copy does, instead of the bare ids that are all Google promises;
    text_as_utf8: Gmail hands out text parts in UTF-8 whatever charset their header still names (gogcli issue 446).

    Push: push_duplicates and push_drops are shares (0 to 1) of messages sent twice or not at all; watch_interval is the least
    time between two notifications of one mailbox (0: none is dropped); pull_wait holds an empty pull so many real seconds;
    https_push_only refuses http addresses even on this machine. jwt_leeway is how wrong a service account's clock may be
    (None: it is not looked at).
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
    push_duplicates: float = 0.0
    push_drops: float = 0.0
    watch_interval: float = 1.0
    watch_ttl: float = 7 * DAY
    channel_ttl: float = 7 * DAY
    pull_wait: float = 0.0
    https_push_only: bool = False
    jwt_leeway: float | None = 300.0


class World:
    """Everything the servers answer from. Accounts come into being when first named.

    `refresh_token(email)` is the headless way in, `service_account()` the way in for a whole team. `crm` is what
    a team brings along for the demo. `outlook(email)` and `microsoft` are the same for Microsoft's side.
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
        self.courier = Courier(self.clock)
        self.pubsub = PubSub(self.clock, self.knobs, self.courier, self.grants.signer, seed)
        self.watches = Watches(self)
        self.channels = Channels(self, seed)
        self.delegation = Delegation(self)
        self.microsoft = Microsoft(self, seed)
        self.almanac.on_change = self.channels.changed
        self.admins: set[str] = set()
        self.suspended = self.grants.suspended
        self.mailboxes: dict[str, Mailbox] = {}
        self.crm: dict[str, Any] = {}
        self._refresh: dict[tuple[str, tuple[str, ...]], str] = {}
        self._lock = threading.Lock()

    def mailbox(self, email: str, name: str = "") -> Mailbox:
        """The mailbox of an account, made (with its primary calendar) when it is not there yet."""
        email = email.lower()
        with self._lock:
            if email not in self.mailboxes:
                box = Mailbox(email, name or email.partition("@")[0], self.clock, self.knobs)
                box.on_change = self.watches.changed
                self.mailboxes[email] = box
                self.almanac.calendar(email)
            return self.mailboxes[email]

    def outlook(self, email: str, name: str = "", **more: Any) -> OutlookBox:
        """The Outlook mailbox of a Microsoft account, made (with its calendar) when it is not there yet; see Microsoft.user."""
        return self.microsoft.user(email, name, **more)

    def microsoft_refresh_token(self, email: str, scopes: tuple[str, ...] = MICROSOFT_READING) -> str:
        """A living refresh token of the Microsoft account, the same one at each call while it lives."""
        return self.microsoft.refresh_token(email, scopes)

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

    def service_account(self, *domains: str, scopes: tuple[str, ...] = READING) -> ServiceAccount:
        """The operator's robot; administrators of `domains` allow it `scopes`."""
        robot = self.delegation.account()
        for domain in domains:
            robot.allow(domain, *scopes)
        return robot

    def robot_token(self, *scopes: str) -> str:
        """A fresh access token of the robot itself, such as for Pub/Sub."""
        robot = self.delegation.account()
        grant = Grant(robot.email, scopes, robot.client_id, "", self.clock.now(), via=robot.email)
        return self.grants.issue(grant)["access_token"]

    def accounts(self) -> list[dict[str, str]]:
        boxes = list(self.mailboxes.values())
        return [{"email": b.email, "refresh_token": self.refresh_token(b.email), "name": b.name} for b in boxes]
