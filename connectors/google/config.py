"""Where Google is, and what it allows: its own hosts, or a pretend Google on loopback. A token goes nowhere else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
GOOGLE_API_ORIGINS = frozenset({"https://gmail.googleapis.com", "https://www.googleapis.com"})
GOOGLE_TOKEN_ROOT = "https://oauth2.googleapis.com"
GOOGLE_ACCOUNTS_ROOT = "https://accounts.google.com"
ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})

COSTS: dict[str, dict[str, int]] = {
    "2026": {
        "get": 20,
        "thread": 40,
        "attachment": 20,
        "list": 5,
        "history": 2,
        "profile": 1,
        "labels": 1,
        "send_as": 1,
    },
    "legacy": {
        "get": 5,
        "thread": 10,
        "attachment": 5,
        "list": 5,
        "history": 2,
        "profile": 1,
        "labels": 1,
        "send_as": 1,
    },
}
"""Quota units a call (Gmail API usage limits; projects made from May 2026 on, and those before)."""
CALENDAR_REQUESTS_PER_MINUTE = 600


@dataclass(frozen=True)
class GoogleConfig:
    """What a deployment must say about its Google project. Empty roots mean Google's own hosts; others are accepted on
    loopback only (ValueError otherwise). ``timeout`` in seconds; quotas in units a minute."""

    client_id: str
    client_secret: str = field(repr=False)
    api_root: str = ""
    oauth_root: str = ""
    units_per_minute: int = 6_000
    project_units_per_minute: int = 1_200_000
    cost_profile: Literal["2026", "legacy"] = "2026"
    batch_size: int = 20
    timeout: float = 20.0
    budget_share: float = 0.75
    budget_reserve: int = 1_000

    def __post_init__(self) -> None:
        for name in ("api_root", "oauth_root"):
            root = getattr(self, name).rstrip("/")
            object.__setattr__(self, name, root)
            parts = urlsplit(root)
            if root and (parts.scheme not in ("http", "https") or parts.hostname not in LOOPBACK):
                raise ValueError(f"{name} must be empty (Google's own hosts) or an address on this machine.")

    @property
    def costs(self) -> dict[str, int]:
        """Units a call."""
        return COSTS[self.cost_profile]

    @property
    def token_uri(self) -> str:
        return f"{self.oauth_root or GOOGLE_TOKEN_ROOT}/token"

    @property
    def revoke_uri(self) -> str:
        return f"{self.oauth_root or GOOGLE_TOKEN_ROOT}/revoke"

    @property
    def auth_uri(self) -> str:
        return f"{self.oauth_root or GOOGLE_ACCOUNTS_ROOT}/o/oauth2/v2/auth"

    @property
    def api_origins(self) -> frozenset[str]:
        """Scheme and host of every address that an access token may be sent to."""
        return frozenset({origin(self.api_root)}) if self.api_root else GOOGLE_API_ORIGINS

    @property
    def token_origins(self) -> frozenset[str]:
        """Scheme and host of every address that a refresh token may be sent to."""
        return frozenset({origin(self.oauth_root or GOOGLE_TOKEN_ROOT)})


def origin(url: str) -> str:
    """``scheme://host[:port]`` of an address, lower-cased; empty when it names a user."""
    parts = urlsplit(url)
    if parts.username or parts.password:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower()


def quota_user(mailbox: str) -> str:
    """What tells Google whose quota a call counts on (at most 40 characters), without telling who it is."""
    return hashlib.sha256(mailbox.strip().lower().encode()).hexdigest()[:24]
