"""One request to Graph, read: who asks, for whose mailbox, in which form the answer is wanted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sandbox.microsoft.entra import EntraGrant
from sandbox.microsoft.forms import GRAPH, bad_query, no_access, no_privilege
from sandbox.microsoft.outlook import OutlookBox
from sandbox.microsoft.zones import zone_of
from sandbox.wire import Request

if TYPE_CHECKING:
    from sandbox.microsoft.tenancy import Microsoft

_PREFERENCE = re.compile(r'([A-Za-z0-9._-]+)(?:\s*=\s*"?([^",;]*)"?)?')


@dataclass
class Ask:
    """`ids` are the variable pieces of the path by name; `prefix` how the path named the mailbox (me, users/...)."""

    microsoft: Microsoft
    request: Request
    grant: EntraGrant
    scopes: tuple[str, ...]
    ids: dict[str, str] = field(default_factory=dict)
    prefix: str = "me"
    box: OutlookBox | None = None

    def __post_init__(self) -> None:
        header = self.request.headers.get("prefer", "")
        self.preferences = {name.lower(): value for name, value in _PREFERENCE.findall(header)}
        self.immutable = self.preferences.get("idtype", "").lower() == "immutableid"
        self.text = self.preferences.get("outlook.body-content-type", "").lower() == "text"
        self.zone = self.preferences.get("outlook.timezone", "") or "UTC"
        if zone_of(self.zone) is None:
            raise bad_query(f"The specified time zone '{self.zone}' is not valid.", "TimeZoneNotSupportedException")

    @property
    def root(self) -> str:
        return self.request.base + GRAPH

    @property
    def mailbox(self) -> OutlookBox:
        """The mailbox that was asked for; only where one is needed."""
        assert self.box is not None
        return self.box

    def page_size(self, default: int, most: int, remembered: int = 0) -> int:
        """Of Prefer: odata.maxpagesize, else what the token remembers; short pages when the knob wants them."""
        wanted = self.preferences.get("odata.maxpagesize", "")
        size = int(wanted) if wanted.isdigit() and int(wanted) > 0 else remembered or default
        return min(size, most, self.microsoft.knobs.page_size or size)

    def top(self, default: int, most: int) -> int:
        text = self.request.one("$top")
        if text and (not text.isdigit() or not 1 <= int(text) <= most):
            raise bad_query(
                f"The limit of '{most}' for Top query has been exceeded. The value is '{text}'.", "BadRequest"
            )
        size = int(text) if text else default
        return min(size, self.microsoft.knobs.page_size or size)

    def skip(self) -> int:
        text = self.request.one("$skip") or "0"
        if not text.isdigit():
            raise bad_query(f"Invalid value '{text}' for $skip query option found.")
        return int(text)

    def select(self, usual: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(one.strip() for one in self.request.one("$select").split(",") if one.strip())
        return names or usual

    def link(self, path: str, **query: str) -> str:
        """An address below the root that this client knows, with $-parameters."""
        asked = "&".join(f"${name}={quote(value, safe='')}" for name, value in query.items())
        return f"{self.root}/{path}?{asked}"

    def json(self) -> dict[str, Any]:
        try:
            given = json.loads(self.request.body or b"{}")
        except ValueError:
            raise bad_query("Unable to read JSON request payload.") from None
        if not isinstance(given, dict):
            raise bad_query("Unable to read JSON request payload.")
        return given

    def may(self, *names: str, directory: bool = False) -> None:
        """One of these permissions is needed, on another's mailbox its .Shared form. Raises Refusal (403)."""
        held = set(self.grant.roles if not self.grant.email else self.scopes)
        other = self.grant.email and self.box is not None and self.box.email != self.grant.email
        wanted = {f"{name}.Shared" for name in names} if other and not directory else set(names)
        if not held & wanted or (other and not directory and self.grant.email not in self.mailbox.readers):
            raise no_privilege() if directory else no_access()

    @property
    def basic(self) -> bool:
        """Whether only Mail.ReadBasic was granted."""
        held = set(self.grant.roles if not self.grant.email else self.scopes)
        return not held & {"Mail.Read", "Mail.ReadWrite", "Mail.Read.Shared", "Mail.ReadWrite.Shared"}
