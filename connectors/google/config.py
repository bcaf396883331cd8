"""How to reach Google: hosts, the OAuth client, and the prices of calls."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from connectors.errors import OperatorFault

GMAIL_SCOPE = "https://www.googleapis.com/auth/gmail.readonly"
EVENTS_SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"
CALENDARS_SCOPE = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
SCOPES = ("openid", "email", GMAIL_SCOPE, EVENTS_SCOPE, CALENDARS_SCOPE)
CALENDAR_SCOPE = "https://www.googleapis.com/auth/calendar.readonly"
DIRECTORY_SCOPE = "https://www.googleapis.com/auth/admin.directory.user.readonly"
TEAM_SCOPES = (
    (GMAIL_SCOPE, EVENTS_SCOPE, CALENDARS_SCOPE),
    (GMAIL_SCOPE, CALENDAR_SCOPE),
    (GMAIL_SCOPE,),
    (EVENTS_SCOPE, CALENDARS_SCOPE),
    (CALENDAR_SCOPE,),
)
"""What a service account asks for, until an administrator has allowed it: exactly that, or less (provider-contract 1.10)."""
METADATA_SCOPE = "https://www.googleapis.com/auth/gmail.metadata"
MAIL_SCOPES = {GMAIL_SCOPE, "https://www.googleapis.com/auth/gmail.modify", "https://mail.google.com/"}
CALENDAR_SCOPES = {
    EVENTS_SCOPE,
    CALENDAR_SCOPE,
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar",
}
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
COSTS = {
    "2026": {"get": 20, "thread": 40, "list": 5, "threads": 10, "history": 2, "small": 1, "watch": 100, "stop": 50},
    "legacy": {"get": 5, "thread": 10, "list": 5, "threads": 10, "history": 2, "small": 1, "watch": 100, "stop": 50},
}
"""Gmail units a call (provider-contract 1.6)."""


@dataclass(frozen=True)
class GoogleConfig:
    """Settings of the Google connector. Empty roots: Google's own hosts; others are accepted on loopback only."""

    client_id: str = ""
    client_secret: str = ""
    api_root: str = ""
    oauth_root: str = ""
    pubsub_api_root: str = ""
    units_per_minute: int = 6_000
    project_units_per_minute: int = 1_200_000
    cost_profile: str = "2026"
    batch_size: int = 20
    timeout: float = 20.0
    budget_share: float = 0.75
    budget_reserve: int = 1_000

    @property
    def costs(self) -> dict[str, int]:
        return COSTS[self.cost_profile]

    @property
    def allowance(self) -> int:
        """Units a minute that we spend on one mailbox."""
        return max(60, int(self.units_per_minute * self.budget_share))

    @property
    def reserve(self) -> int:
        """How many of them are kept for what is urgent."""
        return min(self.budget_reserve, self.allowance // 4)

    def parts_at_once(self, units: int) -> int:
        """How many calls of so many units one batch may hold: at most half of what a minute leaves beside the reserve, or
        a batch would wait for a window that never empties, since every look at a mailbox costs some units too."""
        return max(1, min(self.batch_size, (self.allowance - self.reserve) // 2 // units))

    @property
    def gmail_root(self) -> str:
        return _checked(self.api_root) or "https://gmail.googleapis.com"

    @property
    def gmail_batch(self) -> str:
        """Where many Gmail reads go at once."""
        return f"{self.gmail_root}/batch/gmail/v1"

    @property
    def calendar_root(self) -> str:
        return _checked(self.api_root) or "https://www.googleapis.com"

    @property
    def admin_root(self) -> str:
        return _checked(self.api_root) or "https://admin.googleapis.com"

    @property
    def token_uri(self) -> str:
        return f"{_checked(self.oauth_root) or 'https://oauth2.googleapis.com'}/token"

    @property
    def revoke_uri(self) -> str:
        return f"{_checked(self.oauth_root) or 'https://oauth2.googleapis.com'}/revoke"

    @property
    def auth_uri(self) -> str:
        return f"{_checked(self.oauth_root) or 'https://accounts.google.com'}/o/oauth2/v2/auth"

    @property
    def hosts(self) -> frozenset[str]:
        """The only hosts (with port) that a token may be sent to."""
        urls = (self.gmail_root, self.calendar_root, self.admin_root, self.token_uri, self.revoke_uri)
        return frozenset(urlsplit(url).netloc for url in urls)

    @property
    def pubsub_root(self) -> str:
        """A pretend Google has its Pub/Sub at the same place."""
        return _checked(self.pubsub_api_root) or _checked(self.api_root) or "https://pubsub.googleapis.com"

    @property
    def pubsub_hosts(self) -> frozenset[str]:
        """The only host (with port) that a Pub/Sub token may be sent to."""
        return frozenset((urlsplit(self.pubsub_root).netloc,))

    @property
    def certs_uri(self) -> str:
        """Google's public keys (JWK set), with which pushes are signed."""
        root = _checked(self.oauth_root)
        return f"{root}/certs" if root else "https://www.googleapis.com/oauth2/v3/certs"

    @property
    def pretend(self) -> bool:
        """Whether this points at a sandbox."""
        return bool(self.api_root or self.oauth_root)


def _checked(root: str) -> str:
    """A root without its final slash. Raises OperatorFault for one that is not on loopback."""
    root = root.rstrip("/")
    if root and urlsplit(root).hostname not in LOOPBACK:
        raise OperatorFault("foreign_root", "GOOGLE_API_ROOT and GOOGLE_OAUTH_ROOT may only point at this machine.")
    return root
