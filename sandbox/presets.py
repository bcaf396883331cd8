"""The named faults of the provider contract, section 8: what each puts in place of, or does to, an honest answer."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from sandbox.clock import stamp
from sandbox.senders import SENDERS, VARIANTS
from sandbox.wire import JSON, Answer, Request, dump, google_error, lacks_scope, oauth_error

if TYPE_CHECKING:
    from sandbox.faults import Rule
    from sandbox.world import World

Before = Callable[[Request, "Rule", "World"], Answer | None]
After = Callable[[Request, "Rule", Answer], Answer]


@dataclass(frozen=True)
class Preset:
    """`operation` globs joined by |. `before` replaces the answer (None: the honest one), `after` changes it, `act` does
    something to the world at once instead. `variants`: what else the rule may be asked for, besides ""."""

    operation: str
    before: Before | None = None
    after: After | None = None
    act: Callable[[World, Rule], None] | None = None
    times: int | None = 1
    nth: int = 1
    seconds: float = 0.0
    applies: Callable[[Request], bool] = lambda request: True
    variants: tuple[str, ...] = ()


ANY_GMAIL = "gmail.*"
ANY = "gmail.*|calendar.*"
_QUOTA = (
    "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service 'gmail.googleapis.com' "
    "for consumer 'project_number:1'."
)
_UNAUTHORIZED = (
    "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes "
    "requested."
)
_CLOCK = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
_TOPIC = "Error sending test message to Cloud PubSub projects/p/topics/t : User not authorized to perform this action."
_ONE_CLIENT = "Only one user push notification client allowed per developer (call /stop then try again)"
_FULL_SYNC = "Sync token is no longer valid, a full sync is required."


def quota_exceeded() -> Answer:
    return google_error(403, "PERMISSION_DENIED", "rateLimitExceeded", _QUOTA, domain="usageLimits")


def too_many_at_once() -> Answer:
    return google_error(429, "RESOURCE_EXHAUSTED", "rateLimitExceeded", "Too many concurrent requests for user.")


def too_many_parts(count: int) -> Answer:
    message = f"Inner request count exceeds the limit. Received: {count}, Limit: 100"
    return google_error(400, "INVALID_ARGUMENT", "badRequest", message)


def full_sync_required() -> Answer:
    return google_error(410, "", "fullSyncRequired", _FULL_SYNC, domain="calendar", location="syncToken")


def calendar_quota(variant: str = "") -> Answer:
    """Variants: "403" and "429" rate limits, "quota" for quotaExceeded."""
    if variant == "quota":
        return google_error(403, "", "quotaExceeded", "Calendar usage limits exceeded.", domain="usageLimits")
    reason = "userRateLimitExceeded" if variant != "429" else "rateLimitExceeded"
    return google_error(int(variant or 403), "", reason, "Rate Limit Exceeded", domain="usageLimits")


def _always(make: Callable[[], Answer]) -> Before:
    return lambda request, rule, world: make()


def _error(code: int, status: str, reason: str, message: str, domain: str = "global") -> Before:
    return _always(lambda: google_error(code, status, reason, message, domain=domain))


def _oauth(code: int, error: str, text: str, **more: str) -> Before:
    return _always(lambda: oauth_error(code, error, text, **more))


def _html(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), {"Content-Type": "text/html; charset=UTF-8"})


def _f04(request: Request, rule: Rule, world: World) -> Answer:
    if rule.variant == "clock":
        return oauth_error(400, "invalid_grant", _CLOCK)
    return oauth_error(401, "unauthorized_client", _UNAUTHORIZED)


def _f05(request: Request, rule: Rule, world: World) -> Answer:
    return oauth_error(401, rule.variant or "invalid_client", "The OAuth client was not found.")


def _f06(request: Request, rule: Rule, answer: Answer) -> Answer:
    return _changed(answer, lambda given: given | {"scope": _without_calendar(given.get("scope", ""))})


def _f07(request: Request, rule: Rule, answer: Answer) -> Answer:
    return _changed(answer, lambda given: {name: value for name, value in given.items() if name != "refresh_token"})


def _f11(request: Request, rule: Rule, world: World) -> Answer:
    until = stamp(world.clock.now() + rule.seconds)
    message = f"User-rate limit exceeded.  Retry after {until}"
    return google_error(429, "RESOURCE_EXHAUSTED", "userRateLimitExceeded", message, domain="usageLimits")


def _f17(request: Request, rule: Rule, world: World) -> Answer:
    message = "Metadata scope does not support 'q' parameter"
    if request.operation.endswith(".get"):
        message = f"Metadata scope doesn't allow format {request.one('format', 'full').upper()}"
    return google_error(403, "PERMISSION_DENIED", "forbidden", message)


def _f17_applies(request: Request) -> bool:
    if request.operation == "gmail.messages.list":
        return "q" in request.query
    return request.operation == "gmail.messages.get" and request.one("format", "full") in ("full", "raw")


def _f19(request: Request, rule: Rule, answer: Answer) -> Answer:
    return _changed(answer, lambda given: {"historyId": given["historyId"], "nextPageToken": "0"})


def _f20(request: Request, rule: Rule, answer: Answer) -> Answer:
    def repeated(given: dict) -> dict:
        records = given.get("history", [])
        bare = [{"id": one["id"], "messages": one["messages"]} for one in records]
        return given | {"history": records + bare + records} if records else given

    return _changed(answer, repeated)


def _f22(request: Request, rule: Rule, world: World) -> Answer | None:
    begin = rule.first_seen.setdefault(request.item, world.clock.now())
    if begin + rule.seconds <= world.clock.now():
        return None
    return google_error(404, "NOT_FOUND", "notFound", "Requested entity was not found.")


def _f24(world: World, rule: Rule) -> None:
    box = world.mailbox(rule.account)
    text = "From: {0}\r\nTo: buyer@customer.example\r\nSubject: Offer\r\nMessage-ID: <draft-{1}@{2}>\r\n\r\nVersion {1}\r\n"
    draft = None
    for version in range(10):
        raw = text.format(box.email, version, box.email.partition("@")[2]).encode()
        draft = box.draft_save(raw, draft)
    box.draft_send(str(draft))


def _f25(request: Request, rule: Rule, answer: Answer) -> Answer:
    parts, rejoin = _batch_parts(answer)
    return rejoin(parts[: len(parts) // 2] + parts[len(parts) // 2 + 1 :])


def _f26(request: Request, rule: Rule, answer: Answer) -> Answer:
    parts, rejoin = _batch_parts(answer)
    if len(parts) >= 3:
        parts[0] = _part_with(parts[0], too_many_at_once())
        parts[1] = _part_with(parts[1], google_error(404, "NOT_FOUND", "notFound", "Requested entity was not found."))
        parts[2] = _part_with(parts[2], Answer(200, b'{"id":', {"Content-Type": JSON}))
    return rejoin(parts[::-1])


def _f27(request: Request, rule: Rule, world: World) -> Answer:
    if rule.variant == "401":
        return google_error(401, "UNAUTHENTICATED", "authError", "Invalid Credentials")
    if rule.variant == "503":
        return google_error(503, "UNAVAILABLE", "backendError", "The service is currently unavailable.")
    return too_many_parts(101)


def _f29(request: Request, rule: Rule, answer: Answer) -> Answer:
    if rule.variant == "gzip":
        return Answer(
            200, gzip.compress(answer.body)[:10] + b"\xff" * 20, answer.headers | {"Content-Encoding": "gzip"}
        )
    if rule.variant == "bomb":
        bomb = gzip.compress(b'{"x":"' + b"a" * (32 << 20) + b'"}', 9)
        return Answer(200, bomb, answer.headers | {"Content-Encoding": "gzip"})
    return Answer(200, answer.body[:6], answer.headers, wire="truncate")


def _f30(request: Request, rule: Rule, world: World) -> Answer:
    """Variants: reset (default), close (no answer), stall (headers, then nothing for `seconds` of real time)."""
    return Answer(200, b"{}", {"Content-Type": JSON}, wire=rule.variant or "reset", seconds=rule.seconds)


def _f36(request: Request, rule: Rule, answer: Answer) -> Answer:
    if rule.variant == "empty":
        return _changed(
            answer,
            lambda g: {k: v for k, v in g.items() if k != "nextSyncToken"} | {"items": [], "nextPageToken": "again"},
        )
    return _changed(answer, lambda given: {name: value for name, value in given.items() if name != "nextSyncToken"})


def _f37(request: Request, rule: Rule, answer: Answer) -> Answer:
    def thinned(given: dict) -> dict:
        items = list(given.get("items", []))
        start = {"dateTime": "2026-11-02T09:00:00Z"}
        bare = {"kind": "calendar#event", "status": "cancelled"}
        items.append(bare | {"id": "x_20261102T090000Z", "recurringEventId": "x", "originalStartTime": start})
        items.append(bare | {"id": "y"})
        return given | {"items": items}

    return _changed(answer, thinned)


def _f39(request: Request, rule: Rule, world: World) -> Answer:
    return calendar_quota(rule.variant)


def _f40(request: Request, rule: Rule, answer: Answer) -> Answer:
    changes: list[dict[str, Any]] = [
        {"attendeesOmitted": True, "attendees": []},
        {"organizer": {"email": "c_1@group.calendar.google.com", "displayName": "Rooms"}},
        {"visibility": "private"},
        {"start": {"date": "2026-11-02"}, "end": {"date": "2026-11-03"}},
        {"eventType": "workingLocation"},
    ]

    def odd(given: dict) -> dict:
        items = given.get("items", [])
        return given | {"items": [one | changes[at] if at < len(changes) else one for at, one in enumerate(items)]}

    return _changed(answer, odd)


def _ra(request: Request, rule: Rule, world: World) -> Answer:
    """A wait of `seconds` in the header: 503 with a number, "date" with a moment (RFC 9110 10.2.3), "429" with a number."""
    value = str(int(rule.seconds))
    if rule.variant == "date":
        value = formatdate(world.clock.now() + rule.seconds, usegmt=True)
    if rule.variant == "429":
        refused = google_error(429, "RESOURCE_EXHAUSTED", "rateLimitExceeded", "Slow down.", domain="usageLimits")
    else:
        refused = google_error(503, "UNAVAILABLE", "backendError", "The service is currently unavailable.")
    return Answer(refused.status, refused.body, refused.headers | {"Retry-After": value})


def _changed(answer: Answer, change: Callable[[dict], dict]) -> Answer:
    if answer.status != 200:
        return answer
    return Answer(200, dump(change(json.loads(answer.body))), answer.headers)


def _without_calendar(scopes: str) -> str:
    return " ".join(scope for scope in scopes.split() if "calendar" not in scope)


def _batch_parts(answer: Answer) -> tuple[list[bytes], Callable[[list[bytes]], Answer]]:
    boundary = answer.headers["Content-Type"].partition("boundary=")[2].encode()
    pieces = answer.body.split(b"--" + boundary)[1:-1]

    def rejoin(parts: list[bytes]) -> Answer:
        mark = b"--" + boundary
        return Answer(200, b"".join(mark + one for one in parts) + mark + b"--\r\n", answer.headers)

    return pieces, rejoin


def _part_with(part: bytes, answer: Answer) -> bytes:
    head = part.partition(b"\r\n\r\n")[0]
    return head + b"\r\n\r\n" + inner_answer(answer) + b"\r\n"


REASONS = {200: "OK", 204: "No Content", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden"}
REASONS |= {404: "Not Found", 405: "Method Not Allowed", 410: "Gone", 429: "Too Many Requests"}
REASONS |= {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


def inner_answer(answer: Answer) -> bytes:
    """An answer as it stands inside a batch part."""
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    lines.append(f"Content-Length: {len(answer.body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + answer.body


def _bare_lines(request: Request, rule: Rule, answer: Answer) -> Answer:
    return Answer(answer.status, re.sub(rb"\r\n", b"\n", answer.body), answer.headers)


def _with_sync_token(request: Request) -> bool:
    return "syncToken" in request.query


TOKEN = "oauth.token"
HISTORY = "gmail.history.list"
EVENTS = "calendar.events.list"
PRESETS: dict[str, Preset] = {
    "F01": Preset(TOKEN, _oauth(400, "invalid_grant", "Token has been expired or revoked."), times=None),
    "F02": Preset(TOKEN, _always(lambda: _html(503, "<html>503</html>")), times=3),
    "F03": Preset(
        TOKEN,
        _oauth(400, "invalid_grant", "reauth related error (invalid_rapt)", error_subtype="invalid_rapt"),
        times=None,
    ),
    "F04": Preset(TOKEN, _f04, times=None, variants=("clock",)),
    "F05": Preset(TOKEN, _f05, times=None, variants=("deleted_client",)),
    "F06": Preset(TOKEN, after=_f06),
    "F07": Preset(TOKEN, after=_f07),
    "F08": Preset(ANY, _error(401, "UNAUTHENTICATED", "authError", "Invalid Credentials"), times=None),
    "F09": Preset(ANY_GMAIL, _always(quota_exceeded)),
    "F10": Preset(ANY_GMAIL, _always(too_many_at_once)),
    "F11": Preset(ANY_GMAIL, _f11, seconds=3600),
    "F12": Preset(
        ANY_GMAIL, _error(403, "PERMISSION_DENIED", "dailyLimitExceeded", "Daily Limit Exceeded", "usageLimits")
    ),
    "F13": Preset(
        ANY_GMAIL,
        _error(403, "PERMISSION_DENIED", "domainPolicy", "The domain administrators have disabled Gmail apps."),
        times=None,
    ),
    "F14": Preset(ANY_GMAIL, _always(lambda: lacks_scope().answer), times=None),
    "F15": Preset(
        ANY_GMAIL,
        _error(
            *(403, "PERMISSION_DENIED", "accessNotConfigured"),
            *("Gmail API has not been used in project 1 before or it is disabled.", "usageLimits"),
        ),
        times=None,
    ),
    "F16": Preset(
        ANY_GMAIL, _error(400, "FAILED_PRECONDITION", "failedPrecondition", "Mail service not enabled"), times=None
    ),
    "F17": Preset("gmail.messages.*", _f17, times=None, applies=_f17_applies),
    "F18": Preset(HISTORY, _error(404, "NOT_FOUND", "notFound", "Requested entity was not found.")),
    "F19": Preset(HISTORY, after=_f19, applies=lambda request: "pageToken" not in request.query),
    "F20": Preset(HISTORY, after=_f20, times=None),
    "F21": Preset(HISTORY, _f30, nth=2),
    "F22": Preset("gmail.messages.get", _f22, times=None, seconds=5),
    "F23": Preset("gmail.messages.get", _error(500, "INTERNAL", "backendError", "Backend Error"), times=None),
    "F24": Preset("", act=_f24),
    "F25": Preset("gmail.batch", after=_f25),
    "F26": Preset("gmail.batch", after=_f26),
    "F27": Preset("gmail.batch", _f27, variants=("401", "503")),
    "F28": Preset(ANY_GMAIL, _always(lambda: _html(200, "<html><title>Sign in</title></html>"))),
    "F29": Preset(ANY_GMAIL, after=_f29, variants=("gzip", "bomb")),
    "F30": Preset(f"{ANY}|{TOKEN}", _f30, seconds=20, variants=("close", "stall")),
    "F31": Preset("gmail.watch", _error(400, "INVALID_ARGUMENT", "invalidArgument", _ONE_CLIENT)),
    "F32": Preset("gmail.watch", _error(403, "PERMISSION_DENIED", "forbidden", _TOPIC), times=None),
    "F33": Preset(EVENTS, _always(full_sync_required), applies=_with_sync_token),
    "F34": Preset(EVENTS, _always(lambda: Answer(410)), applies=_with_sync_token),
    "F35": Preset(EVENTS, _error(400, "", "badRequest", "Bad Request"), applies=_with_sync_token),
    "F36": Preset(EVENTS, after=_f36, variants=("empty",)),
    "F37": Preset(EVENTS, after=_f37),
    "F38": Preset("calendar.events.*", _error(404, "", "notFound", "Not Found"), times=None),
    "F39": Preset("calendar.*", _f39, variants=("429", "quota")),
    "F40": Preset(EVENTS, after=_f40, times=None),
    "LF": Preset("gmail.batch", after=_bare_lines),
    "RA": Preset(ANY, _ra, seconds=90, variants=("date", "429")),
}
"""LF and RA have no number in the contract: lines without carriage returns (1.7), and a Retry-After (8.3)."""
PRESETS |= {name: Preset("", act=act, variants=VARIANTS.get(name, ())) for name, act in SENDERS.items()}
