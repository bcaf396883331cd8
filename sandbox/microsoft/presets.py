"""Microsoft's named faults of the provider contract, section 8 (F43 to F59), in the mechanism of sandbox/presets.py.

Faults of the wire (F28 to F30) are Google's presets with operation="graph.*" or "entra.token". Names with a letter are a
number's other half, where one operation is not enough: F53M a walk that dies in its middle, F57M a master that is not there
yet, F58R and F58X a subscription that cannot be renewed or ended unheard, F60M malformed mail. STS is any error of
Entra's, its AADSTS number the variant.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from sandbox.microsoft.batch import too_many_items
from sandbox.microsoft.forms import JSON, dumped, graph_error
from sandbox.microsoft.graph import NO_MAILBOX, RAOP
from sandbox.microsoft.refusals import AADSTS, CLAIMS, entra_error
from sandbox.microsoft.senders import NOTICES, forged_notices, malformed_outlook_mail, silent_end
from sandbox.microsoft.signin import refused_back
from sandbox.microsoft.subscriptions import VALIDATION_FAILED
from sandbox.microsoft.tokens import sync_state_not_found
from sandbox.presets import Before, Preset
from sandbox.wire import Answer, Request

if TYPE_CHECKING:
    from sandbox.faults import Rule
    from sandbox.world import World

TOKEN, ANY_GRAPH = "entra.token", "graph.*"
ANY_MAILBOX = "graph.m[ae]*|graph.childFolders.*|graph.attachments.*|graph.calendar*|graph.events.*"
DELTA, EVENTS_DELTA = "graph.messages.delta", "graph.calendarView.delta"
_DENIED = "Access is denied. Check credentials and try again."
_CROWDED = "Application is over its MailboxConcurrency limit."
_EXPIRED = "Lifetime validation failed, the token is expired."


def _always(make: Callable[[], Answer]) -> Before:
    return lambda request, rule, world: make()


def _entra(number: int, **variants: int) -> Before:
    return lambda request, rule, world: entra_error(variants.get(rule.variant, number), world.clock.now())


def _html(status: int, **headers: str) -> Answer:
    body = f"<html><body><h1>{status}</h1></body></html>".encode()
    return Answer(status, body, {"Content-Type": "text/html; charset=utf-8"} | headers)


def _f45(request: Request, rule: Rule, world: World) -> Answer | None:
    """Consent is missing at the token endpoint; variant admin: an administrator's is, at the authorize page."""
    if rule.variant == "admin":
        return refused_back(world, request, 90094) if request.operation == "entra.authorize" else None
    return entra_error(65001, world.clock.now()) if request.operation == TOKEN else None


def _f47(request: Request, rule: Rule, world: World) -> Answer:
    if rule.variant == "html":
        return _html(503)
    if rule.variant == "loop":
        return entra_error(50196, world.clock.now())
    if rule.variant == "timeout":
        return Answer(200, b"{}", {"Content-Type": JSON}, wire="stall", seconds=rule.seconds)
    return Answer(429, dumped({"error": "temporarily_unavailable"}), {"Content-Type": JSON, "Retry-After": "7"})


def _lost(request: Request, rule: Rule, answer: Answer) -> Answer:
    return Answer(answer.status, answer.body, answer.headers, wire="reset")


def _f49(request: Request, rule: Rule, world: World) -> Answer:
    wait = {"": "12", "long": "600", "busy": "12"}.get(rule.variant, "")
    if rule.variant == "date":
        wait = formatdate(world.clock.now() + 12, usegmt=True)
    headers = {"Retry-After": wait} if wait else {}
    if rule.variant == "busy":
        message = "Too many requests from this application."
        return graph_error(429, "TooManyRequests", message, inner="activityLimitReached", headers=headers)
    return graph_error(429, "ApplicationThrottled", _CROWDED, headers=headers)


def _f50(request: Request, rule: Rule, world: World) -> Answer:
    if rule.variant == "claims":
        claims = base64.b64encode(CLAIMS.encode()).decode()
        value = f'Bearer realm="", client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", claims="{claims}"'
        message = "Continuous access evaluation resulted in challenge with result: InteractionRequired."
        return graph_error(401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": value})
    return graph_error(401, "InvalidAuthenticationToken", _EXPIRED, headers={"WWW-Authenticate": 'Bearer realm=""'})


def _f51(request: Request, rule: Rule, world: World) -> Answer:
    return graph_error(403, "ErrorAccessDenied", _DENIED if rule.variant == "denied" else RAOP)


def _f53(request: Request, rule: Rule, world: World) -> Answer:
    """Variants: location (the address of a fresh walk), elsewhere (one on another host), lower (400), missing (404), resync
    (the telling code inside)."""
    gone = sync_state_not_found()
    if rule.variant in ("location", "elsewhere"):
        host = request.base if rule.variant == "location" else "https://graph.elsewhere.example"
        headers = gone.headers | {"Location": f"{host}{request.path}?$deltatoken="}
        return Answer(410, gone.body, headers)
    if rule.variant in ("lower", "missing"):
        lower = sync_state_not_found(code="syncStateNotFound")
        return Answer(400 if rule.variant == "lower" else 404, lower.body, lower.headers)
    if rule.variant == "resync":
        return graph_error(410, "ErrorInvalidSyncState", "Resync is required.", inner="resyncRequired")
    return gone


def _f54(request: Request, rule: Rule, world: World) -> Answer | None:
    if rule.variant:
        return None
    link = f"{request.base}{request.target}" if "://" not in request.target else request.target
    empty = {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Collection(message)", "value": []}
    return Answer(200, dumped(empty | {"@odata.nextLink": link}), {"Content-Type": JSON})


def _f54_after(request: Request, rule: Rule, answer: Answer) -> Answer:
    """Variants: duplicate (each item twice), sparse (id and isRead only), removed (the first item is said to have left)."""

    def changed(given: dict[str, Any]) -> None:
        items = given["value"]
        if rule.variant == "duplicate":
            given["value"] = items + items
        elif rule.variant == "sparse":
            given["value"] = [_sparse(one) for one in items]
        elif rule.variant == "removed" and items:
            kind = {"@odata.type": "#microsoft.graph.message"}
            given["value"] = [kind | {"id": items[0]["id"], "@removed": {"reason": "deleted"}}, *items[1:]]

    return _changed(answer, changed)


def _sparse(one: dict[str, Any]) -> dict[str, Any]:
    kept = ("@odata.type", "@odata.etag", "id", "@removed")
    return {name: one[name] for name in kept if name in one} | ({} if "@removed" in one else {"isRead": True})


def _f55_before(request: Request, rule: Rule, world: World) -> Answer | None:
    """Variants outer (too many items), 401 and 503 refuse the whole batch."""
    if rule.variant == "401":
        return graph_error(401, "InvalidAuthenticationToken", _EXPIRED)
    if rule.variant == "503":
        return graph_error(503, "serviceNotAvailable", "The service is unavailable.", headers={"Retry-After": "5"})
    return too_many_items() if rule.variant == "outer" else None


def _f55(request: Request, rule: Rule, answer: Answer) -> Answer:
    """Backwards, the first four: 429 with its own Retry-After, 404, missing, 503 with a body that is no JSON."""

    def changed(given: dict[str, Any]) -> None:
        items = sorted(given["responses"], key=lambda one: one["id"])
        if len(items) >= 4:
            items[0] = _item(items[0], 429, "ApplicationThrottled", _CROWDED) | {
                "headers": {"Retry-After": "9", "Content-Type": JSON}
            }
            items[1] = _item(items[1], 404, "ErrorItemNotFound", "The specified object was not found in the store.")
            html = base64.b64encode(b"<html>503</html>").decode()
            items[3] = {"id": items[3]["id"], "status": 503, "headers": {"Content-Type": "text/html"}, "body": html}
            del items[2]
        given["responses"] = items[::-1]

    return _changed(answer, changed)


def _item(one: dict[str, Any], status: int, code: str, message: str) -> dict[str, Any]:
    body = {"error": {"code": code, "message": message}}
    return {"id": one["id"], "status": status, "headers": {"Content-Type": JSON}, "body": body}


def _f56(request: Request, rule: Rule, world: World) -> Answer:
    if rule.variant == "503":
        return graph_error(503, "serviceNotAvailable", "The service is unavailable.", headers={"Retry-After": "20"})
    if rule.variant == "500":
        return graph_error(500, "ErrorInternalServerError", "An internal server error occurred. The operation failed.")
    return _html(502 if rule.variant == "502" else 504)


def _f57(request: Request, rule: Rule, answer: Answer) -> Answer:
    """Variants: unknown (ids nobody knows are removed), uid (iCalUId is null), bare (masters are left out); "" all but bare."""

    def changed(given: dict[str, Any]) -> None:
        items = given["value"]
        if rule.variant == "bare":
            items = [one for one in items if one.get("type") != "seriesMaster"]
        if rule.variant in ("", "uid"):
            items = [one | {"iCalUId": None} if "iCalUId" in one else one for one in items]
        if rule.variant in ("", "unknown"):
            gone = {"@odata.type": "#microsoft.graph.event", "@removed": {"reason": "deleted"}}
            items = [*items, *(gone | {"id": f"AAMkADnobody{number}AAA="} for number in range(3))]
        given["value"] = items

    return _changed(answer, changed)


def _f58(request: Request, rule: Rule, world: World) -> Answer:
    if rule.variant == "conflict":
        return graph_error(409, "Conflict", "A subscription for this resource and change type exists already.")
    return graph_error(400, "ValidationError", VALIDATION_FAILED)


def _changed(answer: Answer, change: Callable[[dict[str, Any]], None]) -> Answer:
    if answer.status != 200:
        return answer
    given = json.loads(answer.body)
    change(given)
    return Answer(200, dumped(given), answer.headers)


def _no_event() -> Answer:
    return graph_error(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def _no_subscription() -> Answer:
    return graph_error(404, "ResourceNotFound", "The object was not found.")


def _any_aadsts(request: Request, rule: Rule, world: World) -> Answer:
    return entra_error(int(rule.variant or 50173), world.clock.now())


MICROSOFT: dict[str, Preset] = {
    "F43": Preset(TOKEN, _entra(700082), times=None),
    "F44": Preset(TOKEN, _entra(50173, mfa=50076), times=None, variants=("mfa",)),
    "F45": Preset(f"{TOKEN}|entra.authorize", _f45, times=None, variants=("admin",)),
    "F46": Preset(TOKEN, _entra(7000222), times=None),
    "F47": Preset(TOKEN, _f47, seconds=20, variants=("html", "timeout", "loop")),
    "F48": Preset(TOKEN, after=_lost),
    "F49": Preset(ANY_MAILBOX, _f49, variants=("date", "none", "long", "busy")),
    "F50": Preset(ANY_GRAPH, _f50, variants=("claims",)),
    "F51": Preset(ANY_MAILBOX, _f51, times=None, variants=("denied",)),
    "F52": Preset(
        ANY_MAILBOX, _always(lambda: graph_error(404, "MailboxNotEnabledForRESTAPI", NO_MAILBOX)), times=None
    ),
    "F53": Preset(
        *(DELTA, _f53),
        applies=lambda request: bool(request.one("$deltatoken")),
        variants=("location", "elsewhere", "lower", "missing", "resync"),
    ),
    "F53M": Preset(
        *(DELTA, _f53),
        applies=lambda request: bool(request.one("$skiptoken")),
        variants=("location", "elsewhere", "lower", "missing", "resync"),
    ),
    "F54": Preset(DELTA, _f54, after=_f54_after, times=3, variants=("duplicate", "sparse", "removed")),
    "F55": Preset("graph.batch", _f55_before, after=_f55, variants=("outer", "401", "503")),
    "F56": Preset(ANY_GRAPH, _f56, variants=("503", "500", "502")),
    "F57": Preset(EVENTS_DELTA, after=_f57, times=None, variants=("unknown", "uid", "bare")),
    "F57M": Preset("graph.events.get", _always(_no_event)),
    "F58": Preset("graph.subscriptions.create", _f58, variants=("conflict",)),
    "F58R": Preset("graph.subscriptions.renew", _always(_no_subscription)),
    "F58X": Preset("", act=silent_end),
    "F59": Preset("", act=forged_notices, variants=NOTICES),
    "F60M": Preset("", act=malformed_outlook_mail),
    "STS": Preset(TOKEN, _any_aadsts, variants=tuple(str(number) for number in AADSTS)),
}
