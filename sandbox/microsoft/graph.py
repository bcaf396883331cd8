"""From a request below /graph/v1.0 to an answer.

The gates, in their order: which operation, who asks, is a fault planned, may the mailbox take one more, does it exist and may
apps in, is the permission there; then the service itself.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sandbox.microsoft.ask import Ask
from sandbox.microsoft.batch import run_batch
from sandbox.microsoft.calendar_api import CalendarApi
from sandbox.microsoft.directory_api import DirectoryApi, find_user
from sandbox.microsoft.forms import GRAPH, dumped, guid, refuse
from sandbox.microsoft.mail_api import MailApi, as_answer
from sandbox.microsoft.mail_delta import MailDelta
from sandbox.quota import Seen
from sandbox.wire import Answer, Refusal, Request

if TYPE_CHECKING:
    from sandbox.world import World

RAOP = "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings."
NO_MAILBOX = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
NO_TOKEN = "Access token has expired or is not yet valid."
_MAIL, _BASIC = ("Mail.Read", "Mail.ReadWrite"), ("Mail.Read", "Mail.ReadWrite", "Mail.ReadBasic", "Mail.ReadBasic.All")
_EVENTS = ("Calendars.Read", "Calendars.ReadWrite", "Calendars.ReadBasic")
_SETTINGS = ("MailboxSettings.Read", "MailboxSettings.ReadWrite")
_MAILS, _DELTAS, _CALENDARS, _DIRECTORY = MailApi(), MailDelta(), CalendarApi(), DirectoryApi()
Run = Callable[[Ask], Any]
_F, _M, _C, _E = "{folder}", "{message}", "{calendar}", "{event}"
_TABLE: list[tuple[str, str, str, Run, tuple[str, ...]]] = [
    ("GET", "", "graph.user.get", _DIRECTORY.get_user, ()),
    ("GET", "mailboxSettings", "graph.mailboxSettings.get", _DIRECTORY.mailbox_settings, _SETTINGS),
    ("GET", "mailFolders", "graph.mailFolders.list", _MAILS.list_folders, _BASIC),
    ("GET", "mailFolders/delta", "graph.mailFolders.delta", _DELTAS.folders_delta, _BASIC),
    ("GET", f"mailFolders/{_F}", "graph.mailFolders.get", _MAILS.get_folder, _BASIC),
    ("GET", f"mailFolders/{_F}/childFolders", "graph.childFolders.list", _MAILS.list_folders, _BASIC),
    ("GET", f"mailFolders/{_F}/messages", "graph.messages.list", _MAILS.list_messages, _BASIC),
    ("GET", f"mailFolders/{_F}/messages/delta", "graph.messages.delta", _DELTAS.messages_delta, _BASIC),
    ("GET", f"mailFolders/{_F}/messages/{_M}", "graph.messages.get", _MAILS.get_message, _BASIC),
    ("GET", "messages", "graph.messages.list", _MAILS.list_messages, _BASIC),
    ("GET", "messages/delta", "graph.messages.deltaAll", _DELTAS.all_delta, _BASIC),
    ("GET", f"messages/{_M}", "graph.messages.get", _MAILS.get_message, _BASIC),
    ("GET", f"messages/{_M}/$value", "graph.messages.mime", _MAILS.get_mime, _MAIL),
    ("GET", f"messages/{_M}/attachments", "graph.attachments.list", _MAILS.list_attachments, _MAIL),
    ("GET", f"messages/{_M}/attachments/{{attachment}}", "graph.attachments.get", _MAILS.get_attachment, _MAIL),
    ("GET", "calendars", "graph.calendars.list", _CALENDARS.list_calendars, _EVENTS),
    ("GET", "calendar", "graph.calendars.get", _CALENDARS.get_calendar, _EVENTS),
    ("GET", f"calendars/{_C}", "graph.calendars.get", _CALENDARS.get_calendar, _EVENTS),
    *(
        ("GET", f"{base}{path}", f"graph.{name}", run, _EVENTS)
        for base in ("", "calendar/", f"calendars/{_C}/")
        for path, name, run in (
            ("calendarView", "calendarView.list", _CALENDARS.view),
            ("calendarView/delta", "calendarView.delta", _CALENDARS.delta),
            ("events", "events.list", _CALENDARS.list_events),
            (f"events/{_E}", "events.get", _CALENDARS.get_event),
            (f"events/{_E}/instances", "events.instances", _CALENDARS.instances),
        )
    ),
]


def _pattern(path: str) -> re.Pattern[str]:
    whole = r"/(?:me|users/(?P<user>[^/]+))" + (f"/{path}" if path else "")
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", whole.replace("$", r"\$")) + r"\Z")


_ROUTES = [(method, _pattern(path), name, run, needs) for method, path, name, run, needs in _TABLE]
_EVERYWHERE = ("$select", "$top", "$skip", "$skiptoken")
_VIEWS = ("graph.calendarView.list", "graph.events.list")
_OPTIONS: dict[str, tuple[str, ...]] = {
    "$filter": ("graph.messages.list", "graph.mailFolders.list", "graph.childFolders.list", *_VIEWS),
    "$orderby": ("graph.messages.list", *_VIEWS),
    "$search": ("graph.messages.list",),
    "$count": ("graph.messages.list",),
    "$expand": ("graph.messages.get", "graph.events.get"),
}
"""Which operations know an option that not all know."""
_SUBSCRIPTION = re.compile(r"/subscriptions(?:/(?P<id>[^/]+)(?P<again>/reauthorize)?)?\Z")
OPERATIONS = tuple(dict.fromkeys(name for _, _, name, _, _ in _TABLE)) + (
    *("graph.users.list", "graph.batch", "graph.subscriptions.create", "graph.subscriptions.list"),
    *("graph.subscriptions.get", "graph.subscriptions.renew", "graph.subscriptions.delete"),
    "graph.subscriptions.reauthorize",
)


class Graph:
    """Answers a request of Graph; the world holds all its state."""

    def __init__(self, world: World) -> None:
        self.world, self.microsoft = world, world.microsoft

    def answer(self, request: Request) -> Answer:
        """The answer, faults included; never raises Refusal."""
        seen = Seen(self.world.clock.now(), request.method, "", "", 0, part_of_batch=request.part_of_batch)
        try:
            answer = self._gated(request, seen)
        except Refusal as refusal:
            answer = refusal.answer
        answer = _signed(answer, request, self.world.clock.now())
        seen.operation, seen.account, seen.status, seen.item = (
            *(request.operation, request.account, answer.status),
            request.item,
        )
        if self.world.knobs.log_requests:
            self.world.stats.write(seen)
        return answer

    def _gated(self, request: Request, seen: Seen) -> Answer:
        path, run, needs, found = _route(request)
        token = _bearer(request)
        read = self.microsoft.entra.read(token)
        named = unquote(found.get("user") or "")
        box = self.microsoft.find(named) if named else None
        if read:
            request.account = box.email if box else read[0].email
        if not request.operation:
            raise refuse(400, "BadRequest", f"Resource not found for the segment '{path.rpartition('/')[2]}'.")
        if run is not None:
            self.microsoft.meter.came(request.account)
        rule = self.world.faults.pick(request)
        if rule is not None:
            seen.fault = rule.fault
            replaced = self.world.faults.before(rule, request)
            if replaced is not None:
                self._note(request, replaced)
                return replaced
        if read is None:
            raise refuse(401, "InvalidAuthenticationToken", NO_TOKEN, headers=_challenge())
        ask = Ask(self.microsoft, request, *read)
        ask.ids = {name: unquote(value) for name, value in found.items() if value}
        if request.operation == "graph.batch":
            answer = run_batch(ask, self.answer)
        elif request.operation.startswith(("graph.subscriptions.", "graph.users.")):
            answer = self._tenant_wide(ask)
        else:
            answer = self._in_mailbox(ask, named, run, needs)
        return answer if rule is None else self.world.faults.after(rule, request, answer)

    def _in_mailbox(self, ask: Ask, named: str, run: Run | None, needs: tuple[str, ...]) -> Answer:
        if named:
            ask.box, ask.prefix = find_user(ask, named), f"users/{named}"
        elif not ask.grant.email:
            raise refuse(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
        else:
            ask.box = self.microsoft.users[ask.grant.email]
        assert run is not None
        if ask.request.operation == "graph.user.get":
            return as_answer(run(ask))
        return self._counted(ask, run, needs)

    def _counted(self, ask: Ask, run: Run, needs: tuple[str, ...]) -> Answer:
        meter, email = self.microsoft.meter, ask.mailbox.email
        inside = ask.request.part_of_batch
        if not inside and not meter.enter(email):
            return self._note(ask.request, meter.crowded())
        try:
            if (refused := meter.spend(email)) is not None:
                return self._note(ask.request, refused)
            if self.microsoft.knobs.hold and not inside:
                time.sleep(self.microsoft.knobs.hold)
            return self._served(ask, run, needs)
        finally:
            if not inside:
                meter.leave(email)

    def _served(self, ask: Ask, run: Run, needs: tuple[str, ...]) -> Answer:
        if not ask.mailbox.enabled:
            raise refuse(404, "MailboxNotEnabledForRESTAPI", NO_MAILBOX)
        if ask.mailbox.blocked and not ask.grant.email:
            raise refuse(403, "ErrorAccessDenied", RAOP)
        ask.may(*needs)
        _check_options(ask)
        answer = as_answer(run(ask))
        applied = _applied(ask)
        return Answer(answer.status, answer.body, answer.headers | applied, answer.wire, answer.seconds)

    def _tenant_wide(self, ask: Ask) -> Answer:
        subscriptions, request = self.microsoft.subscriptions, ask.request
        if request.operation == "graph.users.list":
            return as_answer(_DIRECTORY.list_users(ask))
        name = request.operation.rpartition(".")[2]
        if name == "create":
            return as_answer(subscriptions.create(ask), 201)
        if name == "list":
            return as_answer({"value": subscriptions.list(ask)})
        if name == "get":
            return as_answer(subscriptions.get(ask, ask.ids["id"]).shown())
        if name == "renew":
            return as_answer(subscriptions.renew(ask, ask.ids["id"]))
        (subscriptions.delete if name == "delete" else subscriptions.reauthorize)(ask, ask.ids["id"])
        return Answer(204)

    def _note(self, request: Request, answer: Answer) -> Answer:
        self.microsoft.meter.went(request.account, answer)
        return answer


def _check_options(ask: Ask) -> None:
    """An option that an operation does not know is refused here, rather than passed over. Deltas refuse their own."""
    operation = ask.request.operation
    if operation.endswith(".delta"):
        return
    for name in ask.request.query:
        if name.startswith("$") and operation not in _OPTIONS.get(name, ()) and name not in _EVERYWHERE:
            raise refuse(400, "BadRequest", f"The query parameter '{name}' is not supported here.")


def _route(request: Request) -> tuple[str, Run | None, tuple[str, ...], dict[str, str]]:
    """Fills in operation and item; gives the path below the root, what runs it, what it needs, its variable pieces."""
    path = _plain(request.path.removeprefix(GRAPH))
    if (request.method, path) == ("POST", "/$batch"):
        request.operation = "graph.batch"
        return path, None, (), {}
    if (request.method, path) == ("GET", "/users"):
        request.operation = "graph.users.list"
        return path, None, (), {}
    if found := _SUBSCRIPTION.match(path):
        request.operation = _subscription_operation(request.method, bool(found["id"]), bool(found["again"]))
        request.item = found["id"] or ""
        return path, None, (), {name: value for name, value in found.groupdict().items() if value}
    for method, pattern, name, run, needs in _ROUTES:
        match = pattern.match(path)
        if match and method == request.method:
            groups = {key: value for key, value in match.groupdict().items() if value}
            request.operation = name
            request.item = unquote(groups.get("message") or groups.get("event") or groups.get("folder") or "")
            return path, run, needs, groups
    return path, None, (), {}


def _subscription_operation(method: str, one: bool, again: bool) -> str:
    if again:
        return "graph.subscriptions.reauthorize" if method == "POST" else ""
    names = {"GET": "get", "PATCH": "renew", "DELETE": "delete"} if one else {"GET": "list", "POST": "create"}
    return f"graph.subscriptions.{names[method]}" if method in names else ""


def _plain(path: str) -> str:
    """mailFolders('inbox') as mailFolders/inbox, microsoft.graph.delta() as delta."""
    path = path.rstrip("/").replace("%27", "'").replace("%28", "(").replace("%29", ")").replace("%24", "$")
    path = re.sub(r"\('([^')]+)'\)", r"/\1", path)
    return re.sub(r"/(?:microsoft\.graph\.)?(delta|reauthorize)(?:\(\))?\Z", r"/\1", path)


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _challenge() -> dict[str, str]:
    value = 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
    return {"WWW-Authenticate": value}


def _applied(ask: Ask) -> dict[str, str]:
    wanted = [name for name in ("idtype", "odata.maxpagesize", "outlook.timezone") if name in ask.preferences]
    shown = {"idtype": "IdType"}
    text = ", ".join(f'{shown.get(name, name)}="{ask.preferences[name]}"' for name in wanted)
    return {"Preference-Applied": text} if text else {}


def _signed(answer: Answer, request: Request, now: float) -> Answer:
    """Every answer of Graph names the request; errors do so in their body too."""
    ours = guid("request", str(now), request.target, str(id(answer)))
    theirs = request.headers.get("client-request-id", ours)
    headers = {"request-id": ours, "client-request-id": theirs} | answer.headers
    body = answer.body
    if answer.status >= 400 and body.startswith(b'{"error":{') and not answer.wire:
        shown = json.loads(body)
        inner = shown["error"].setdefault("innerError", {})
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        inner |= {"date": stamp, "request-id": ours, "client-request-id": theirs}
        body = dumped(shown)
    return Answer(answer.status, body, headers, answer.wire, answer.seconds)
