"""From a path to an operation id of Google's discovery documents, and from there to an answer.

Every request passes the same gates in the same order: who asks, what they may, how much they have spent, whether a fault is
planned, and only then the service itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from sandbox.batch import MOST, join_batch, split_batch
from sandbox.calendar import CalendarApi
from sandbox.gmail import METADATA, Gmail
from sandbox.mailbox import Mailbox
from sandbox.oauth import Grant
from sandbox.presets import calendar_quota, quota_exceeded, too_many_at_once, too_many_parts
from sandbox.quota import COSTS, Seen
from sandbox.wire import Answer, Refusal, Request, lacks_scope, not_found, unauthenticated
from sandbox.world import World

_ID = r"(?P<item>[^/]+)"
_MAIL = [
    (r"profile", "gmail.getProfile"),
    (r"messages", "gmail.messages.list"),
    (rf"messages/{_ID}", "gmail.messages.get"),
    (rf"messages/{_ID}/attachments/(?P<more>[^/]+)", "gmail.messages.attachments.get"),
    (r"threads", "gmail.threads.list"),
    (rf"threads/{_ID}", "gmail.threads.get"),
    (r"history", "gmail.history.list"),
    (r"labels", "gmail.labels.list"),
    (rf"labels/{_ID}", "gmail.labels.get"),
    (r"settings/sendAs", "gmail.settings.sendAs.list"),
    (r"drafts", "gmail.drafts.list"),
    (rf"drafts/{_ID}", "gmail.drafts.get"),
]
_CALENDAR = [
    (r"users/me/calendarList", "calendar.calendarList.list"),
    (r"calendars/(?P<more>[^/]+)", "calendar.calendars.get"),
    (r"calendars/(?P<more>[^/]+)/events", "calendar.events.list"),
    (rf"calendars/(?P<more>[^/]+)/events/{_ID}", "calendar.events.get"),
    (rf"calendars/(?P<more>[^/]+)/events/{_ID}/instances", "calendar.events.instances"),
]
GMAIL_ROUTES = [(re.compile(rf"/gmail/v1/users/(?P<user>[^/]+)/{path}\Z"), name) for path, name in _MAIL]
CALENDAR_ROUTES = [(re.compile(rf"/calendar/v3/{path}\Z"), name) for path, name in _CALENDAR]
_BATCHES = {"/batch/gmail/v1": "gmail.batch", "/batch/calendar/v3": "calendar.batch", "/batch": "gmail.batch"}
_MAIL_SCOPES = (
    "https://mail.google.com/",
    "https://www.googleapis.com/auth/gmail.readonly",
    "https://www.googleapis.com/auth/gmail.modify",
)
_CALENDAR_SCOPES = ("https://www.googleapis.com/auth/calendar",)


class Router:
    """Answers a request of the two APIs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.gmail = Gmail(world)
        self.calendar = CalendarApi(world)

    def answer(self, request: Request) -> Answer:
        """The answer, faults included; never raises."""
        more = self._place(request)
        seen = Seen(self.world.clock.now(), request.method, request.operation, "", 0, item=request.item)
        seen.part_of_batch = request.part_of_batch
        try:
            answer = self._gated(request, more, seen)
        except Refusal as refusal:
            answer = refusal.answer
        seen.account, seen.status = request.account, answer.status
        if self.world.knobs.log_requests:
            self.world.stats.write(seen)
        return answer

    def _gated(self, request: Request, more: str, seen: Seen) -> Answer:
        if not request.operation:
            raise not_found()
        grant = self.world.grants.read(_bearer(request))
        request.account = grant.email if grant else ""
        rule = self.world.faults.pick(request)
        if rule is not None:
            seen.fault = rule.fault
            replaced = self.world.faults.before(rule, request)
            if replaced is not None:
                return replaced
        if grant is None:
            raise unauthenticated()
        if request.operation.endswith(".batch"):
            answer = self._batch(request)
        else:
            answer = self._paid(request, grant, more, seen)
        return answer if rule is None else self.world.faults.after(rule, request, answer)

    def _batch(self, request: Request) -> Answer:
        parts = split_batch(request)
        if len(parts) > MOST:
            return too_many_parts(len(parts))
        knobs, stats = self.world.knobs, self.world.stats
        entered = []
        answers: list[tuple[str, Answer]] = []
        try:
            for content_id, part in parts:
                if stats.enter(request.account, knobs.concurrency_limit):
                    entered.append(part)
                    answers.append((content_id, self.answer(part)))
                else:
                    answers.append((content_id, too_many_at_once()))
        finally:
            for _ in entered:
                stats.leave(request.account)
        return join_batch(answers)

    def _paid(self, request: Request, grant: Grant, more: str, seen: Seen) -> Answer:
        knobs, stats = self.world.knobs, self.world.stats
        if request.part_of_batch:
            return self._spent(request, grant, more, seen)
        if not stats.enter(grant.email, knobs.concurrency_limit):
            return too_many_at_once()
        try:
            return self._spent(request, grant, more, seen)
        finally:
            stats.leave(grant.email)

    def _spent(self, request: Request, grant: Grant, more: str, seen: Seen) -> Answer:
        knobs = self.world.knobs
        calendar = request.operation.startswith("calendar.")
        seen.units = 1 if calendar else COSTS[knobs.cost_profile].get(request.operation, 1)
        most = (knobs.calendar_per_minute if calendar else knobs.units_per_minute) if knobs.enforce_quota else None
        if not self.world.stats.spend(grant.email, seen.units, most, calendar=calendar):
            seen.units = 0
            return calendar_quota() if calendar else quota_exceeded()
        found = self._calendar(request, grant, more) if calendar else self._mail(request, grant, more)
        return found if isinstance(found, Answer) else Answer.of(found)

    def _mail(self, request: Request, grant: Grant, more: str) -> Any:
        metadata_only = METADATA in grant.scopes
        if not metadata_only and not set(_MAIL_SCOPES) & set(grant.scopes):
            raise lacks_scope()
        box = self.world.mailbox(grant.email)
        gmail = self.gmail
        name = request.operation
        both: dict[str, Callable[[Mailbox, Request, bool], Any]] = {
            "gmail.messages.list": gmail.list_messages,
            "gmail.messages.get": gmail.get_message,
            "gmail.threads.list": gmail.list_threads,
            "gmail.threads.get": gmail.get_thread,
        }
        plain: dict[str, Callable[[Mailbox, Request], Any]] = {
            "gmail.getProfile": gmail.profile,
            "gmail.history.list": gmail.list_history,
            "gmail.labels.list": gmail.list_labels,
            "gmail.labels.get": gmail.get_label,
            "gmail.settings.sendAs.list": gmail.list_send_as,
            "gmail.drafts.list": gmail.list_drafts,
            "gmail.drafts.get": gmail.get_draft,
        }
        if name in both:
            return both[name](box, request, metadata_only)
        if name in plain:
            return plain[name](box, request)
        return gmail.get_attachment(box, request, more)

    def _calendar(self, request: Request, grant: Grant, more: str) -> Any:
        if not any(scope.startswith(_CALENDAR_SCOPES) for scope in grant.scopes):
            raise lacks_scope()
        api, email, name = self.calendar, grant.email, request.operation
        if name == "calendar.calendarList.list":
            return api.list_calendars(email, request)
        verbs: dict[str, Callable[[str, Request, str], Any]] = {
            "calendar.calendars.get": api.get_calendar,
            "calendar.events.list": api.list_events,
            "calendar.events.get": api.get_event,
            "calendar.events.instances": api.list_instances,
        }
        return verbs[name](email, request, more)

    def _place(self, request: Request) -> str:
        """Fills in operation and item; returns the other id of the path, if any."""
        request.absorb_override()
        if request.method == "POST" and request.path.rstrip("/") in _BATCHES:
            request.operation = _BATCHES[request.path.rstrip("/")]
            return ""
        for pattern, name in (*GMAIL_ROUTES, *CALENDAR_ROUTES):
            found = pattern.match(request.path) if request.method == "GET" else None
            if found:
                groups = found.groupdict()
                request.operation, request.item = name, unquote(groups.get("item") or "")
                return unquote(groups.get("more") or "")
        return ""


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else request.one("access_token")
