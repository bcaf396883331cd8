"""A live Microsoft grant: who it is, what it holds."""

from __future__ import annotations

from typing import Any

from connectors.base import GrantStore, Identity, SourceInfo
from connectors.clock import REAL, Clock
from connectors.errors import Refused
from connectors.microsoft import grant
from connectors.microsoft.calendar import OutlookCalendar, list_calendars
from connectors.microsoft.config import OWN_MAILBOX, MicrosoftConfig
from connectors.microsoft.graph import Graph
from connectors.microsoft.mail import OutlookMailbox
from connectors.microsoft.meter import MailboxMeter
from connectors.microsoft.push import MicrosoftPush
from connectors.microsoft.tokens import StoredTokens


class MicrosoftConnection:
    """``connectors.base.Connection``. One for each thread."""

    def __init__(
        self,
        config: MicrosoftConfig,
        store: GrantStore,
        meter: MailboxMeter,
        *,
        email: str = "",
        clock: Clock = REAL,
    ) -> None:
        self._config, self._store = config, store
        self._tokens = StoredTokens(config, store)
        self._home = home_of(store)
        self._graph = Graph(config, self._tokens, meter, home=self._home, clock=clock)
        self._own: tuple[str, ...] = (email,) if email else ()
        self._boxes: dict[str, OutlookMailbox] = {}
        self._others: list[Graph] = []

    @property
    def graph(self) -> Graph:
        """This account's line."""
        return self._graph

    def identity(self) -> Identity:
        """Address and aliases; of an account without a mailbox what is known of it, and that its mail is missing. Raises
        ConnectorError."""
        state = self._store.state()
        able, missing = grant.capabilities(state.scopes, team=bool(state.delegated_to))
        email, addresses, _ = grant.who_is(self._graph, self._home)
        if "mail" in able:
            try:
                self._graph.get(f"{self._home}/mailFolders/inbox", {"$select": "id"}, urgent=True)
            except Refused as error:
                if error.code != "mailbox_unavailable":
                    raise
                missing = (*missing, error.sentence)
        if addresses and addresses != self._own:
            self._own = addresses
            self._boxes.clear()
        return Identity("", email or next(iter(self._own), ""), self._own, state.scopes, able, missing)

    def sources(self) -> list[SourceInfo]:
        """The mailbox, shared ones that were named, and the calendars. Raises ConnectorError."""
        state = self._store.state()
        able, _ = grant.capabilities(state.scopes)
        found: list[SourceInfo] = []
        if "mail" in able:
            found.append(SourceInfo("mail", OWN_MAILBOX, "Outlook"))
            found += [SourceInfo("mail", str(one), str(one)) for one in state.extra.get("shared") or []]
        if "calendar" in able:
            found += list_calendars(self._graph)
        return found

    def mailbox(self, external_id: str) -> OutlookMailbox:
        """The account's own mailbox, or a shared one by its address."""
        if external_id not in self._boxes:
            own = self._own if external_id == OWN_MAILBOX else (*self._own, external_id)
            self._boxes[external_id] = OutlookMailbox(self._line(external_id), own)
        return self._boxes[external_id]

    def calendar(self, external_id: str) -> OutlookCalendar:
        return OutlookCalendar(self._graph, external_id)

    def doorbells(self) -> MicrosoftPush:
        """Push for what this account holds."""
        return MicrosoftPush(self._graph)

    def revoke(self) -> None:
        """Raises Refused, which says where a person ends their consent."""
        raise grant.cannot_revoke()

    def close(self) -> None:
        self._graph.close()
        for one in self._others:
            one.close()

    def _line(self, external_id: str) -> Graph:
        if external_id == OWN_MAILBOX:
            return self._graph
        home = f"/users/{external_id}"
        other = Graph(self._config, self._tokens, self._graph.meter, home=home, clock=self._graph.clock)
        self._others.append(other)
        return other


def home_of(store: GrantStore) -> str:
    """How an account's mailbox is named in paths: an app in its own name has to say whose it means."""
    whose = store.state().delegated_to
    return f"/users/{whose}" if whose else "/me"


def connect(
    config: MicrosoftConfig, store: GrantStore, meter: Any, *, email: str = "", clock: Clock = REAL
) -> MicrosoftConnection:
    """A connection; no network until it is used."""
    return MicrosoftConnection(config, store, meter, email=email, clock=clock)
