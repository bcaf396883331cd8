"""The Microsoft side of the world: users with their mailboxes and calendars, Entra, subscriptions, limits and knobs."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.microsoft.diary import Attendee, Diary, Event
from sandbox.microsoft.entra import OPENID, READING, Entra, EntraGrant
from sandbox.microsoft.forms import tenant_of
from sandbox.microsoft.knobs import MicrosoftKnobs
from sandbox.microsoft.meter import Meter
from sandbox.microsoft.outlook import OutlookBox
from sandbox.microsoft.subscriptions import Subscriptions

if TYPE_CHECKING:
    from sandbox.world import World


class Microsoft:
    """`users` by address, in the order in which they came. Users of one domain are one tenant."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.clock = world, world.clock
        self.knobs = MicrosoftKnobs()
        self.entra = Entra(self.clock)
        self.meter = Meter(self.clock, self.knobs, world.stats)
        self.users: dict[str, OutlookBox] = {}
        self.subscriptions = Subscriptions(self, seed)
        self._refresh: dict[tuple[str, tuple[str, ...]], str] = {}
        self._lock = threading.Lock()

    def user(self, email: str, name: str = "", *, licensed: bool = True, language: str = "en") -> OutlookBox:
        """The account, made when it is not there yet; without a licence it has no mailbox."""
        email = email.lower()
        with self._lock:
            if email not in self.users:
                name = name or email.partition("@")[0]
                diary = Diary(email, name, self.clock, self.knobs)
                box = OutlookBox(email, name, self.clock, self.knobs, diary, language=language, enabled=licensed)
                box.on_change = self.subscriptions.mail_changed
                diary.on_change = self.subscriptions.event_changed
                self.users[email] = box
                self.entra.tenants.add(tenant_of(email))
            return self.users[email]

    def find(self, name: str) -> OutlookBox | None:
        """A user by object id, address or alias."""
        wanted = name.lower()
        if wanted in self.users:
            return self.users[wanted]
        return next((one for one in self.users.values() if one.oid == wanted or wanted in one.aliases), None)

    def refresh_token(self, email: str, scopes: tuple[str, ...] = READING) -> str:
        """A living refresh token of the account, the same one at each call while it lives."""
        self.user(email)
        key = (email.lower(), tuple(scopes))
        found = self.entra.by_refresh.get(self._refresh.get(key, ""))
        if found is None or found.grant.died or found.expires_at <= self.clock.now():
            self._refresh[key] = self.entra.refresh_token(self.entra.grant(email, (*scopes, *OPENID)))
        return self._refresh[key]

    def access_token(self, email: str, scopes: tuple[str, ...] = READING) -> str:
        """A fresh delegated access token, without the round trip of a refresh."""
        self.user(email)
        return self.entra.access_token(self.entra.grant(email, scopes), scopes)

    def app_token(self, domain: str, roles: tuple[str, ...] | None = None, client_id: str = "") -> str:
        """A fresh access token of the app itself in the tenant of a domain; default the roles its administrator allowed."""
        allowed = roles if roles is not None else self.entra.roles(tenant_of(domain), client_id) or ()
        return self.entra.access_token(EntraGrant("", tenant_of(domain), (), client_id, allowed))

    def meet(
        self,
        organizer: str,
        guests: Iterable[str],
        start: datetime,
        end: datetime,
        subject: str,
        *,
        answers: dict[str, str] | None = None,
        names: dict[str, str] | None = None,
        **fields: Any,
    ) -> str:
        """A meeting in the calendar of everybody who has an account here; returns its iCalUId, the same for all of them.

        answers: address -> none, accepted, tentativelyAccepted, declined. `fields` are those of Event (rule, location, ...).
        """
        answers, names = answers or {}, names or {}
        guests = [one.lower() for one in guests if one.lower() != organizer.lower()]
        host = Attendee(organizer.lower(), names.get(organizer, ""))
        people = tuple(Attendee(one, names.get(one, ""), answer=answers.get(one, "none")) for one in guests)
        uid = ""
        for email in (host.address, *guests):
            box = self.users.get(email)
            if box is None:
                continue
            given = fields | ({"uid": uid} if uid else {})
            if email != host.address:
                given["answer"] = answers.get(email, "notResponded")
            key = box.calendar.put(subject, start, end, organizer=host, attendees=people, **given)
            uid = uid or box.calendar.events[key].uid
        return uid

    def meeting(self, uid: str) -> dict[str, Event]:
        """The copies of a meeting by the address of their mailbox; exceptions are not among them."""
        found = {}
        for email, box in self.users.items():
            for event in box.calendar.events.values():
                if event.uid == uid and not event.master:
                    found[email] = event
        return found

    def cancel_meeting(self, uid: str) -> None:
        """The organizer calls it off: gone from their own calendar, cancelled in everybody else's."""
        for email, event in self.meeting(uid).items():
            diary = self.users[email].calendar
            if event.organizer.address == email:
                diary.remove(event.key)
            else:
                diary.cancel(event.key)

    def accounts(self) -> list[dict[str, str]]:
        return [
            {"email": one.email, "refresh_token": self.refresh_token(one.email), "name": one.name, "tenant": one.tenant}
            for one in list(self.users.values())
            if one.enabled
        ]
