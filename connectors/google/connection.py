"""A live Google grant: who it is, what it holds."""

from __future__ import annotations

from typing import Any

from connectors.base import Budget, GrantStore, Identity, SourceInfo
from connectors.clock import REAL, Clock
from connectors.errors import ConnectorError, Refused
from connectors.google import grant
from connectors.google.calendar import GoogleCalendar
from connectors.google.client import Client
from connectors.google.config import GoogleConfig
from connectors.google.gmail import GmailMailbox
from connectors.google.push import GooglePush

USABLE_ROLES = {"none", "freeBusyReader"}
"""Calendar roles with which nothing but busy time can be read; all others, unknown ones too, are accepted."""


class GoogleConnection:
    """``connectors.base.Connection``. One for each thread."""

    def __init__(
        self, config: GoogleConfig, store: GrantStore, budget: Budget, *, email: str = "", clock: Clock = REAL
    ) -> None:
        self._config, self._store = config, store
        self._client = Client(config, store, budget, email=email, clock=clock)
        self._own: tuple[str, ...] = (email,) if email else ()
        self._mailbox: GmailMailbox | None = None

    def identity(self) -> Identity:
        """Address and accepted send-as aliases (2 units); of an account without a mailbox what is known of it, and that
        its mail is missing. Raises ConnectorError."""
        state = self._store.state()
        able, missing = grant.capabilities(state.scopes, team=bool(state.delegated_to))
        email = self._own[0] if self._own else ""
        addresses = list(self._own)
        if "mail" in able:
            users = self._client.gmail().users()
            try:
                profile = self._client.call(users.getProfile(userId="me"), units=1, urgent=True)
                email = str(profile.get("emailAddress") or email).lower()
                addresses = [email, *self._aliases(users)]
            except Refused as error:
                if error.code != "mailbox_unavailable":
                    raise
                missing = (*missing, error.sentence)
        self._own = tuple(dict.fromkeys(address for address in addresses if address))
        if self._mailbox is not None:
            self._mailbox = GmailMailbox(self._client, self._own)
        return Identity("", email, self._own, state.scopes, able, missing)

    def sources(self) -> list[SourceInfo]:
        """The mailbox, and the calendars that can be read; the primary one is selected. Raises ConnectorError."""
        able, _ = grant.capabilities(self._store.state().scopes)
        found = [SourceInfo("mail", "me", "Gmail")] if "mail" in able else []
        if "calendar" in able:
            found += self._calendars()
        return found

    def mailbox(self, external_id: str) -> GmailMailbox:
        if self._mailbox is None:
            self._mailbox = GmailMailbox(self._client, self._own)
        return self._mailbox

    def calendar(self, external_id: str) -> GoogleCalendar:
        return GoogleCalendar(self._client, external_id)

    def doorbells(self) -> GooglePush:
        """Push for what this account holds."""
        return GooglePush(self._client)

    def revoke(self) -> None:
        """Withdraw the grant at Google, for every client of the project."""
        grant.revoke(self._config, self._store.state().refresh_token)

    def close(self) -> None:
        self._client.close()

    def _aliases(self, users: Any) -> list[str]:
        """Accepted send-as addresses. A grant that may not list them still has its primary one."""
        try:
            answer = self._client.call(users.settings().sendAs().list(userId="me"), units=1, urgent=True)
        except ConnectorError as error:
            if error.code in ("insufficient_scope", "forbidden", "not_found"):
                return []
            raise
        return [
            str(row.get("sendAsEmail", "")).lower()
            for row in answer.get("sendAs") or []
            if row.get("isPrimary") or row.get("verificationStatus", "accepted") == "accepted"
        ]

    def _calendars(self) -> list[SourceInfo]:
        found: list[SourceInfo] = []
        page: str | None = None
        for _ in range(40):
            request = self._client.calendar().calendarList().list(maxResults=250, pageToken=page)
            answer = self._client.call(request)
            for row in answer.get("items") or []:
                if row.get("id") and row.get("accessRole") not in USABLE_ROLES and not row.get("deleted"):
                    primary = bool(row.get("primary"))
                    name = str(row.get("summaryOverride") or row.get("summary") or row["id"])
                    found.append(SourceInfo("calendar", str(row["id"]), name, selected=primary))
            page = answer.get("nextPageToken")
            if not page:
                break
        return found


def connect(
    config: GoogleConfig, store: GrantStore, budget: Budget, *, email: str = "", clock: Clock = REAL
) -> GoogleConnection:
    """A connection; no network until it is used."""
    return GoogleConnection(config, store, budget, email=email, clock=clock)
