"""The APIs behind the gates of sandbox/routes.py: which scope each wants, and which method answers an operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.calendar import CalendarApi
from sandbox.directory import Directory
from sandbox.gmail import METADATA, Gmail
from sandbox.oauth import Grant
from sandbox.wire import Answer, Refusal, Request, bad_request, forbidden, google_error, lacks_scope
from sandbox.world import World

_MAIL_SCOPES = frozenset(
    {
        "https://mail.google.com/",
        "https://www.googleapis.com/auth/gmail.readonly",
        "https://www.googleapis.com/auth/gmail.modify",
    }
)
_CALENDAR_SCOPES = ("https://www.googleapis.com/auth/calendar",)
PUBSUB = "https://www.googleapis.com/auth/pubsub"
_PUBSUB_SCOPES = frozenset({PUBSUB, "https://www.googleapis.com/auth/cloud-platform"})
_NOT_FOR_METADATA = frozenset({"gmail.messages.attachments.get", "gmail.settings.sendAs.list"})
Verb = Callable[[Grant, Request, str, str], Any]


class Services:
    """Answers an operation that may be answered. Every method raises Refusal."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.gmail, self.calendar, self.directory = Gmail(world), CalendarApi(world), Directory(world)
        self._rooms: dict[str, Verb] = {
            "gmail": self._mail,
            "calendar": self._calendar,
            "directory": lambda grant, request, more, user: self.directory.list_users(grant, request),
            "pubsub": self._pubsub,
        }

    def answer(self, grant: Grant, request: Request, more: str, user: str) -> Answer:
        """`more` and `user`: the other ids of the path, see sandbox/paths.py."""
        found = self._rooms[request.operation.partition(".")[0]](grant, request, more, user)
        if found is None:
            return Answer(204)
        return found if isinstance(found, Answer) else Answer.of(found)

    def _mail(self, grant: Grant, request: Request, more: str, user: str) -> Any:
        metadata_only, name, gmail = METADATA in grant.scopes, request.operation, self.gmail
        if not metadata_only and not _MAIL_SCOPES & set(grant.scopes):
            raise lacks_scope()
        if metadata_only and (name in _NOT_FOR_METADATA or name.startswith("gmail.drafts")):
            raise lacks_scope()
        if grant.email == grant.via:
            message = "Precondition check failed."
            raise Refusal(google_error(400, "FAILED_PRECONDITION", "failedPrecondition", message))
        if user not in ("me", "") and user.lower() != grant.email:
            raise forbidden(f"Delegation denied for {grant.email}")
        box = self.world.mailbox(grant.email)
        if name == "gmail.watch":
            return self.world.watches.watch(box, grant.client_id, _object(request))
        if name == "gmail.stop":
            return self.world.watches.stop(box, grant.client_id)
        if name == "gmail.messages.attachments.get":
            return gmail.get_attachment(box, request, more)
        both = {
            "gmail.messages.list": gmail.list_messages,
            "gmail.messages.get": gmail.get_message,
            "gmail.threads.list": gmail.list_threads,
            "gmail.threads.get": gmail.get_thread,
        }
        if name in both:
            return both[name](box, request, metadata_only)
        plain = {
            "gmail.getProfile": gmail.profile,
            "gmail.history.list": gmail.list_history,
            "gmail.labels.list": gmail.list_labels,
            "gmail.labels.get": gmail.get_label,
            "gmail.settings.sendAs.list": gmail.list_send_as,
            "gmail.drafts.list": gmail.list_drafts,
            "gmail.drafts.get": gmail.get_draft,
        }
        return gmail.masked(plain[name](box, request), request)

    def _calendar(self, grant: Grant, request: Request, more: str, user: str) -> Any:
        if not any(scope.startswith(_CALENDAR_SCOPES) for scope in grant.scopes):
            raise lacks_scope()
        api, name = self.calendar, request.operation
        if name == "calendar.calendarList.list":
            return api.list_calendars(grant.email, request)
        if name == "calendar.events.watch":
            return self.world.channels.watch(grant.email, api.named(grant.email, more), _object(request))
        if name == "calendar.channels.stop":
            return self.world.channels.stop(_object(request))
        verbs: dict[str, Callable[[str, Request, str], Any]] = {
            "calendar.calendars.get": api.get_calendar,
            "calendar.events.list": api.list_events,
            "calendar.events.get": api.get_event,
            "calendar.events.instances": api.list_instances,
        }
        return verbs[name](grant.email, request, more)

    def _pubsub(self, grant: Grant, request: Request, more: str, user: str) -> Any:
        if not _PUBSUB_SCOPES & set(grant.scopes):
            raise lacks_scope()
        given, pubsub, verb = _object(request), self.world.pubsub, request.operation.rpartition(".")[2]
        if verb == "pull":
            most = given.get("maxMessages")
            if not isinstance(most, int) or most < 1:
                raise bad_request("You must specify a positive value for maxMessages.")
            found = pubsub.pull(request.item, min(most, 1000))
            return {"receivedMessages": found} if found else {}
        ack_ids = [str(one) for one in given.get("ackIds") or ()]
        if not ack_ids:
            raise bad_request("No ack ids specified.")
        if verb == "acknowledge":
            pubsub.acknowledge(request.item, ack_ids)
        else:
            seconds = given.get("ackDeadlineSeconds")
            if not isinstance(seconds, int) or not 0 <= seconds <= 600:
                raise bad_request("Invalid ack deadline given.")
            pubsub.modify(request.item, ack_ids, seconds)
        return {}


def _object(request: Request) -> dict[str, Any]:
    given = request.json()
    if not isinstance(given, dict):
        raise bad_request("Invalid JSON payload received.")
    return given
