"""A whole tenant by one app: who there is, and a grant for each (application permissions; provider-contract 3.6).

An administrator consents once for the app's own name; then one token opens every mailbox that the organisation's policy does not
keep apps out of. What is allowed is found out by trying, since such a token does not say.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from connectors.base import GrantState, Identity, Person
from connectors.errors import ConnectorError, Refused, TryLater
from connectors.microsoft.config import MicrosoftConfig
from connectors.microsoft.entra import EntraLine
from connectors.microsoft.faults import NotFound
from connectors.microsoft.grant import capabilities, who_is
from connectors.microsoft.graph import Graph
from connectors.microsoft.keys import read_key
from connectors.microsoft.meter import Unmetered
from connectors.microsoft.tokens import StoredTokens

PAGE = "500"
MOST_PAGES = 400
SELECT = "id,displayName,mail,userPrincipalName,accountEnabled,assignedLicenses,userType"
_TRIED = (("Mail.Read", "mailFolders/inbox"), ("Calendars.Read", "calendar"))
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ISSUER = re.compile(r"https://login\.microsoftonline\.com/([0-9a-f-]{36})/v2\.0", re.I)


class Common:
    """``GrantStore`` of the run: one token for all its threads, kept nowhere."""

    def __init__(self, state: GrantState) -> None:
        self._state, self._lock = state, threading.Lock()

    def state(self) -> GrantState:
        return self._state

    @contextmanager
    def exclusive(self) -> Iterator[GrantState]:
        with self._lock:
            yield self._state

    def save(self, state: GrantState) -> None:
        self._state = state


class MicrosoftTeam:
    """``connectors.base.Team``. Its methods open lines of their own."""

    def __init__(self, config: MicrosoftConfig, key_text: str) -> None:
        self._config = config
        self.key = read_key(key_text)
        self.client_id = self.key["client_id"]
        self.email = f"{self.client_id}@{self.key['tenant']}"
        self._store = Common(GrantState(key=dict(self.key)))
        self._tenant = self.key["tenant"] if _GUID.fullmatch(self.key["tenant"]) else ""

    def people(self, domain: str, admin: str) -> list[Person]:
        """Everybody of the domain, by address, those without a mailbox with the reason. ``admin`` is of no use: the app asks
        in its own name. Raises ConnectorError."""
        with self._graph() as graph:
            try:
                rows = list(_users(graph))
            except Refused as error:
                raise _no_directory(error) from None
        people = (_person(row) for row in rows if _address(row).endswith(f"@{domain}"))
        return sorted(people, key=lambda person: person.email)

    def allowed(self, email: str) -> tuple[str, ...]:
        """The permissions that the organisation gave the app over this person's mailbox. Raises Refused for the person,
        OperatorFault for the organisation, TryLater."""
        found: list[str] = []
        refused: ConnectorError | None = None
        with self._graph() as graph:
            for scope, path in _TRIED:
                try:
                    graph.get(f"/users/{email}/{path}", {"$select": "id"})
                    found.append(scope)
                except NotFound:
                    raise _unknown() from None
                except Refused as error:
                    refused = refused or _of_person(error)
        if not found and refused is not None:
            raise refused
        return tuple(found)

    def open(self, person: Person, scopes: tuple[str, ...]) -> tuple[GrantState, Identity]:
        """A grant for one person, after a look at whether their mailbox is there. Raises ConnectorError."""
        able, missing = capabilities(scopes, team=True)
        with self._graph() as graph:
            try:
                email, addresses, oid = who_is(graph, f"/users/{person.email}")
                if "mail" in able:
                    graph.get(f"/users/{oid}/mailFolders/inbox", {"$select": "id"})
            except NotFound:
                raise _unknown() from None
            except Refused as error:
                raise _of_person(error) from None
        email = email or person.email
        subject = f"{oid}.{self._tenant_id()}".lower()
        state = replace(self._store.state(), key={}, scopes=scopes, delegated_to=oid, extra={})
        return state, Identity(subject, email, addresses or (email,), scopes, able, missing)

    def _tenant_id(self) -> str:
        """The tenant's id, where its domain was named."""
        if not self._tenant:
            place = f"{self._config.authority(self.key['tenant'])}/v2.0/.well-known/openid-configuration"
            found = _ISSUER.match(str(json.loads(EntraLine(self._config).get(place).text).get("issuer")))
            if found is None:
                raise TryLater("not_json", "Microsoft's answer was not what it should be; please try again.")
            self._tenant = found.group(1).lower()
        return self._tenant

    @contextmanager
    def _graph(self) -> Iterator[Graph]:
        made = Graph(self._config, StoredTokens(self._config, self._store), Unmetered())
        try:
            yield made
        finally:
            made.close()


def _of_person(error: Refused) -> Refused:
    """The same, about one person's account."""
    return Refused(error.code, error.sentence, after=error.after, scope="account")


def _users(graph: Graph) -> Iterator[dict[str, Any]]:
    answer = graph.get("/users", {"$select": SELECT, "$top": PAGE})
    for _ in range(MOST_PAGES):
        yield from (row for row in answer.get("value") or [] if isinstance(row, dict))
        link = answer.get("@odata.nextLink")
        if not link:
            return
        answer = graph.follow(str(link))
    raise TryLater("endless_list", "Microsoft's list of users does not come to an end; please try again.")


def _address(row: dict[str, Any]) -> str:
    return str(row.get("mail") or row.get("userPrincipalName") or "").lower()


def _person(row: dict[str, Any]) -> Person:
    skip = ""
    if str(row.get("userType") or "Member") != "Member":
        skip = "a guest of the organisation"
    elif not row.get("mail") or not row.get("assignedLicenses"):
        skip = "has no mailbox of their own in Microsoft 365 (no licence)"
    elif row.get("accountEnabled") is False:
        skip = "disabled in Microsoft 365"
    return Person(_address(row), str(row.get("displayName") or ""), skip=skip)


def _unknown() -> Refused:
    return Refused(
        "user_unknown", "Microsoft 365 knows no such user there. Check the address and --tenant.", scope="account"
    )


def _no_directory(error: Refused) -> Refused:
    return Refused(
        "no_directory",
        "The app may not list the organisation's users. Its administrator can allow User.Read.All, or name the addresses.",
        after=error.after,
    )
