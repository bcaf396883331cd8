"""How to reach Microsoft: hosts, the app registration, and the limits of a mailbox (provider-contract 3.1, 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from connectors.errors import OperatorFault

GRAPH_ROOT = "https://graph.microsoft.com/v1.0"
LOGIN_ROOT = "https://login.microsoftonline.com"
READING = ("User.Read", "Mail.Read", "Calendars.Read")
"""What a person is asked for; msal adds openid, profile and offline_access."""
SHARED = ("Mail.Read.Shared",)
"""What is asked for beside it where others' mailboxes were named, which they may read."""
MAIL_SCOPES = {"Mail.Read", "Mail.ReadWrite"}
CALENDAR_SCOPES = {"Calendars.Read", "Calendars.ReadWrite"}
WHOLE_TENANT = ("https://graph.microsoft.com/.default",)
"""What an app asks for in its own name: whatever its administrator allowed."""
OWN_MAILBOX = "me"
"""The external id of the account's own mailbox; another's is its address (shared mailboxes)."""
OWN_HANDS = (
    "Microsoft lets only you end a consent: remove Dealtrail at myapplications.microsoft.com. Your organisation's administrator "
    "can end it too, in Entra under Enterprise applications."
)
"""Where a consent ends: Entra offers no program a way."""
SHARED_TENANTS = ("organizations", "common", "consumers")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class MicrosoftConfig:
    """Settings of the Microsoft connector. Roots other than Microsoft's own are accepted on loopback only. Limits are those
    of one app and mailbox: ``lanes`` requests at once, ``requests_per_minute``."""

    client_id: str = ""
    client_secret: str = ""
    tenant: str = "organizations"
    graph_root: str = GRAPH_ROOT
    login_root: str = LOGIN_ROOT
    requests_per_minute: int = 1_000
    budget_share: float = 0.75
    lanes: int = 3
    batch_size: int = 20
    page_size: int = 100
    timeout: float = 20.0

    @property
    def graph(self) -> str:
        """The root below which everything of Graph is, without its final slash."""
        return _checked(self.graph_root, GRAPH_ROOT)

    @property
    def login(self) -> str:
        """Entra's root, without its final slash."""
        return _checked(self.login_root, LOGIN_ROOT)

    @property
    def pretend(self) -> bool:
        """Whether this points at a sandbox."""
        return self.graph != GRAPH_ROOT or self.login != LOGIN_ROOT

    def authority(self, tenant: str = "") -> str:
        """The address that msal knows Entra by; a sandbox is put in its place on the line (``entra``)."""
        return f"{LOGIN_ROOT}/{tenant or self.tenant}"

    def is_ours(self, url: str) -> bool:
        """Whether a link leads below Graph's root: only then may a token go there (scheme, host, port and path)."""
        parts, root = urlsplit(url), urlsplit(self.graph)
        here = (parts.scheme, parts.netloc) == (root.scheme, root.netloc)
        return here and parts.path.startswith(f"{root.path}/") and "/.." not in parts.path


def _checked(root: str, own: str) -> str:
    root = root.rstrip("/") or own
    if root != own and urlsplit(root).hostname not in LOOPBACK:
        raise OperatorFault(
            "foreign_root", "MICROSOFT_GRAPH_ROOT and MICROSOFT_LOGIN_ROOT may only point at Microsoft or this machine."
        )
    return root
