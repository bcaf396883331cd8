"""A whole team by one service account: who there is, and a grant for each (domain-wide delegation; provider-contract 1.10).

An administrator of the Workspace allows the service account's numeric client id some scopes, once for the domain. Then an
assertion that the key has signed, with a person as its subject, buys an access token for that person's mailbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from connectors.base import GrantState, Identity, Person
from connectors.errors import ConnectorError, Gone, OperatorFault, Reconnect, Refused, TryLater
from connectors.google.client import Client
from connectors.google.config import DIRECTORY_SCOPE, MAIL_SCOPES, TEAM_SCOPES, GoogleConfig
from connectors.google.grant import capabilities
from connectors.google.keys import read_key
from connectors.passing import Passing, Unmetered

PAGE = 500
MOST_PAGES = 200


class GoogleTeam:
    """``connectors.base.Team``. Its methods open connections of their own."""

    def __init__(self, config: GoogleConfig, key_text: str) -> None:
        self._config = config
        self.key = read_key(key_text, config)
        self.email, self.client_id = self.key["client_email"], self.key["client_id"]

    def people(self, domain: str, admin: str) -> list[Person]:
        """Everybody in the domain, by address. ``admin``: in whose name it is asked; empty: the service account's own, which
        then needs an admin role of its own. Raises ConnectorError."""
        with self._client(admin, (DIRECTORY_SCOPE,)) as client:
            try:
                return sorted(self._pages(client, domain), key=lambda person: person.email)
            except (Refused, Gone, Reconnect) as error:
                raise _no_directory(error, domain, admin) from None

    def allowed(self, email: str) -> tuple[str, ...]:
        """The scopes that the administrator of this person's domain allowed, as many of ours as may be. Raises Refused for
        the person, OperatorFault for the domain, TryLater."""
        first: OperatorFault | None = None
        for scopes in TEAM_SCOPES:
            try:
                with self._client(email, scopes) as client:
                    client.renew()
                return scopes
            except OperatorFault as error:
                if error.code != "delegation_missing":
                    raise
                first = first or error
        assert first is not None
        raise first

    def open(self, person: Person, scopes: tuple[str, ...]) -> tuple[GrantState, Identity]:
        """A grant for one person, after a look at whether their mailbox is there. Raises ConnectorError."""
        able, missing = capabilities(scopes, team=True)
        store = Passing(self._state(person.email, scopes))
        with self._client(person.email, scopes, store) as client:
            email = self._mailbox(client) if MAIL_SCOPES.intersection(scopes) else ""
            if not email:
                client.renew()
        email = email or person.email
        identity = Identity(person.subject or f"mailbox:{email}", email, (email,), scopes, able, missing)
        return replace(store.state(), key={}), identity

    def _mailbox(self, client: Client) -> str:
        answer = client.call(client.gmail().users().getProfile(userId="me"))
        found = answer.get("emailAddress")
        if not isinstance(found, str) or "@" not in found:
            raise TryLater("not_json", "Google's answer was not what it should be; please try again.")
        return found.lower()

    def _pages(self, client: Client, domain: str) -> Iterator[Person]:
        page: str | None = None
        for _ in range(MOST_PAGES):
            request = client.directory().users().list(domain=domain, maxResults=PAGE, orderBy="email", pageToken=page)
            answer = client.call(request)
            yield from (_person(row) for row in answer.get("users") or [] if row.get("primaryEmail"))
            page = answer.get("nextPageToken")
            if not page:
                return
        raise TryLater("endless_list", "Google's list of users does not come to an end; please try again.")

    def _state(self, email: str, scopes: tuple[str, ...]) -> GrantState:
        return GrantState(scopes=scopes, delegated_to=email, key=dict(self.key))

    @contextmanager
    def _client(self, email: str, scopes: tuple[str, ...], store: Passing | None = None) -> Iterator[Client]:
        made = Client(self._config, store or Passing(self._state(email, scopes)), Unmetered(), email=email)
        try:
            yield made
        finally:
            made.close()


def _person(row: dict[str, Any]) -> Person:
    name = row.get("name") or {}
    return Person(
        email=str(row["primaryEmail"]).lower(),
        name=str(name.get("fullName") or ""),
        subject=str(row.get("id") or ""),
        skip=next((why for field, is_so, why in _SKIPPED if row.get(field) is is_so), ""),
    )


_SKIPPED = (
    ("suspended", True, "suspended in Google Workspace"),
    ("archived", True, "archived in Google Workspace"),
    ("isMailboxSetup", False, "has no Gmail mailbox (no licence)"),
)


def _no_directory(error: ConnectorError, domain: str, admin: str) -> ConnectorError:
    if error.code == "not_found":
        return Refused("no_such_domain", f"Google knows no domain {domain} in this Workspace. Check how it is written.")
    if isinstance(error, Refused) and error.code not in ("forbidden", "user_unknown", "user_suspended"):
        return error
    who = f"{admin} may not list the users" if admin else "The service account may not list the users by itself"
    return Refused(
        "no_directory",
        f"{who} of {domain}. Name an administrator of that Workspace with --admin, or list the addresses instead.",
    )
