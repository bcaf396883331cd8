"""Which operation of Google's discovery documents a method and a path name."""

from __future__ import annotations

import re
from urllib.parse import unquote

from sandbox.wire import Request

_ID = r"(?P<item>[^/]+)"
_MORE = r"(?P<more>[^/]+)"
_USER = r"/gmail/v1/users/(?P<user>[^/]+)/"
_TABLE = [
    ("GET", rf"{_USER}profile", "gmail.getProfile"),
    ("POST", rf"{_USER}watch", "gmail.watch"),
    ("POST", rf"{_USER}stop", "gmail.stop"),
    ("GET", rf"{_USER}messages", "gmail.messages.list"),
    ("GET", rf"{_USER}messages/{_ID}", "gmail.messages.get"),
    ("GET", rf"{_USER}messages/{_ID}/attachments/{_MORE}", "gmail.messages.attachments.get"),
    ("GET", rf"{_USER}threads", "gmail.threads.list"),
    ("GET", rf"{_USER}threads/{_ID}", "gmail.threads.get"),
    ("GET", rf"{_USER}history", "gmail.history.list"),
    ("GET", rf"{_USER}labels", "gmail.labels.list"),
    ("GET", rf"{_USER}labels/{_ID}", "gmail.labels.get"),
    ("GET", rf"{_USER}settings/sendAs", "gmail.settings.sendAs.list"),
    ("GET", rf"{_USER}drafts", "gmail.drafts.list"),
    ("GET", rf"{_USER}drafts/{_ID}", "gmail.drafts.get"),
    ("GET", r"/calendar/v3/users/me/calendarList", "calendar.calendarList.list"),
    ("GET", rf"/calendar/v3/calendars/{_MORE}", "calendar.calendars.get"),
    ("GET", rf"/calendar/v3/calendars/{_MORE}/events", "calendar.events.list"),
    ("POST", rf"/calendar/v3/calendars/{_MORE}/events/watch", "calendar.events.watch"),
    ("GET", rf"/calendar/v3/calendars/{_MORE}/events/{_ID}", "calendar.events.get"),
    ("GET", rf"/calendar/v3/calendars/{_MORE}/events/{_ID}/instances", "calendar.events.instances"),
    ("POST", r"/calendar/v3/channels/stop", "calendar.channels.stop"),
    ("GET", r"/admin/directory/v1/users", "directory.users.list"),
    ("POST", r"/v1/(?P<item>projects/[^/]+/subscriptions/[^/:]+):pull", "pubsub.subscriptions.pull"),
    ("POST", r"/v1/(?P<item>projects/[^/]+/subscriptions/[^/:]+):acknowledge", "pubsub.subscriptions.acknowledge"),
    (
        "POST",
        r"/v1/(?P<item>projects/[^/]+/subscriptions/[^/:]+):modifyAckDeadline",
        "pubsub.subscriptions.modifyAckDeadline",
    ),
]
ROUTES = [(method, re.compile(rf"{path}\Z"), name) for method, path, name in _TABLE]
OPERATIONS = tuple(name for _, _, name in _TABLE)
PREFIXES = ("/gmail/", "/calendar/", "/batch", "/admin/", "/v1/projects/")
_BATCHES = {"/batch/gmail/v1": "gmail.batch", "/batch/calendar/v3": "calendar.batch", "/batch": "gmail.batch"}


def find(request: Request) -> tuple[str, str]:
    """Fills in operation and item; returns the other id of the path and the mailbox it names, "" where there is none."""
    request.absorb_override()
    path = request.path.rstrip("/")
    if request.method == "POST" and path in _BATCHES:
        request.operation = _BATCHES[path]
        return "", ""
    for method, pattern, name in ROUTES:
        found = pattern.match(unquote(request.path) if name.startswith("pubsub.") else request.path)
        if found and method == request.method:
            groups = found.groupdict()
            request.operation, request.item = name, unquote(groups.get("item") or "")
            return unquote(groups.get("more") or ""), unquote(groups.get("user") or "")
    return "", ""
