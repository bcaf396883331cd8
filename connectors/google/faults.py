"""From whatever Google or its libraries throw to what to do next: one table (provider-contract 1.2, 1.8, 2.5, 8).

A 403 is read by its reason, never by its status; what the token endpoint refuses is told in ``token_faults``; everything that
is no proper answer is a fault of the line.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Callable
from datetime import datetime
from http.client import HTTPException, IncompleteRead
from typing import Any

import httplib2
from google.auth.exceptions import RefreshError, TransportError
from googleapiclient.errors import BatchError, HttpError

from connectors.clock import utcnow
from connectors.errors import ConnectorError, CursorExpired, Gone, OperatorFault, Reconnect, Refused, TryLater
from connectors.google.token_faults import refresh_fault
from connectors.retry_after import seconds

_RETRY_AT = re.compile(r"Retry after (\d{4}-\d\d-\d\dT[\d:.]+Z)")
_NOT_ENABLED = re.compile(
    r"\b(?P<api>[A-Z][\w ]{0,40} API) has not been used in project (?P<project>[\w:.-]{1,60}) before"
)
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
LONGEST_WAIT = DAY


class NotFound(Gone):
    """404 for one item."""


def _later(
    code: str, sentence: str, after: float, *, throttled: bool = True, scope: Any = "account"
) -> Callable[..., ConnectorError]:
    return lambda asked: TryLater(code, sentence, after=max(after, asked), throttled=throttled, scope=scope)


def _refused(code: str, sentence: str, after: float = DAY / 4, scope: Any = "account") -> Callable[..., ConnectorError]:
    return lambda asked: Refused(code, sentence, after=after, scope=scope)


def _operator(code: str, sentence: str) -> Callable[..., ConnectorError]:
    return lambda asked: OperatorFault(code, sentence)


_SLOW = "Google asked us to slow down for this mailbox; it goes on by itself."
_SCOPE = "Some of the access that is needed was not granted. Please reconnect and leave every box ticked."
REASONS: dict[str, Callable[..., ConnectorError]] = {
    "rateLimitExceeded": _later("rate_limited", _SLOW, MINUTE),
    "userRateLimitExceeded": _later("rate_limited", _SLOW, MINUTE),
    "quotaExceeded": _later("quota_exceeded", "A Google usage limit is used up; it goes on in some minutes.", 600.0),
    "dailyLimitExceeded": _later(
        "daily_limit",
        "The project's daily Google limit is used up. The administrator may raise it in Google Cloud.",
        HOUR,
        scope="provider",
    ),
    "domainPolicy": _refused(
        "domain_policy",
        "The Google Workspace administrator has switched Gmail apps off; they can allow Dealtrail.",
        DAY,
    ),
    "insufficientPermissions": lambda asked: Reconnect("insufficient_scope", _SCOPE),
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": lambda asked: Reconnect("insufficient_scope", _SCOPE),
    "accessNotConfigured": _operator(
        "api_not_enabled",
        "The Gmail or Calendar API is not enabled in your Google Cloud project. Enable it, then wait a few minutes.",
    ),
    "SERVICE_DISABLED": _operator(
        "api_not_enabled",
        "The Gmail or Calendar API is not enabled in your Google Cloud project. Enable it, then wait a few minutes.",
    ),
    "failedPrecondition": _refused(
        "mailbox_unavailable",
        "This Google account has no usable Gmail mailbox (no licence, or suspended). Its administrator can help.",
        DAY,
        "source",
    ),
    "authError": _later(
        "unauthorized", "Google does not accept the access it gave us just now; we try again.", 30.0, throttled=False
    ),
    "fullSyncRequired": lambda asked: CursorExpired("cursor_expired", "Google asks for a fresh start of this list."),
    "updatedMinTooLongAgo": lambda asked: CursorExpired(
        "cursor_expired", "Google asks for a fresh start of this list."
    ),
    "backendError": _later(
        "server_error", "Google has a fault of its own at the moment.", 2.0, throttled=False, scope="source"
    ),
}


def classify(error: BaseException, *, now: datetime | None = None) -> ConnectorError:
    """What to do next about an exception of the client libraries. ``now`` (default: the real clock) is what a moment in
    the answer is counted from."""
    if isinstance(error, ConnectorError):
        return error
    if isinstance(error, HttpError):
        return from_answer(int(error.resp.status), error.content, dict(error.resp), str(error.reason or ""), now=now)
    if isinstance(error, RefreshError):
        return refresh_fault(error)
    if isinstance(error, TransportError):
        return _line("network")
    if isinstance(error, BatchError):
        return _line("batch_malformed")
    if isinstance(error, ssl.SSLCertVerificationError):
        return OperatorFault(
            "tls", "The connection to Google cannot be verified. Check this machine's certificates and clock."
        )
    if isinstance(error, IncompleteRead | httplib2.FailedToDecompressContent):
        return TryLater("truncated", "Google's answer broke off in the middle; it is asked for again.")
    if isinstance(error, OSError | HTTPException | httplib2.HttpLib2Error | socket.timeout):
        return _line("network")
    return _line(f"malformed_{type(error).__name__.lower()}")


def from_answer(
    status: int, content: bytes, headers: dict[str, str], message: str, *, now: datetime | None = None
) -> ConnectorError:
    """What to do next about an answer that is no success."""
    body = _body(content)
    reason, text = _reason(body), str(body.get("message", message))
    now = now or utcnow()
    asked = max(_retry_after(headers, now), _retry_at(text, now))
    if status in (403, 404) and not body:
        return _line("not_json", MINUTE)
    if reason == "forbidden" and "metadata scope" in text.lower():
        return Reconnect(
            "metadata_scope",
            "The access covers headers only. Please reconnect so that Dealtrail may search this mailbox.",
        )
    if reason == "forbidden" or (status == 403 and reason in ("", "PERMISSION_DENIED")):
        return Refused(
            "forbidden",
            "Google refuses access to this mailbox or calendar. Its administrator can allow it.",
            scope="source",
        )
    if "concurrent" in text.lower() and status == 429:
        return TryLater("too_concurrent", _SLOW, after=max(2.0, asked), throttled=True)
    if status == 410 and reason == "deleted":
        return NotFound("deleted", "It has been deleted.", scope="request")
    if status == 404:
        return NotFound("not_found", "Google says that there is no such thing.", scope="request")
    known = REASONS.get(reason)
    if known is not None and not (status >= 500):
        return _named(known(asked), text)
    return _by_status(status, asked)


def _named(error: ConnectorError, text: str) -> ConnectorError:
    """Which API of which project is not enabled, where Google says so."""
    which = _NOT_ENABLED.search(text)
    if error.code != "api_not_enabled" or which is None:
        return error
    return OperatorFault(
        error.code,
        f"The {which['api']} is not enabled in Google Cloud project {which['project']}. Whoever runs Dealtrail must enable it "
        "there (APIs & Services, Library), then wait a few minutes.",
    )


def _by_status(status: int, asked: float) -> ConnectorError:
    if status == 410:
        return CursorExpired("cursor_expired", "Google asks for a fresh start of this list.")
    if status == 401:
        return REASONS["authError"](asked)
    if status == 429:
        return REASONS["rateLimitExceeded"](asked)
    if status >= 500 or status in (408, 409, 412, 423):
        return REASONS["backendError"](asked)
    if 300 <= status < 400:
        return _line("redirected")
    return TryLater("bad_request", "Google does not understand a request of ours; please report this.", after=600.0)


def _line(code: str, after: float = 0.0) -> TryLater:
    return TryLater(code, "The connection to Google failed for a moment; we try again.", after=after, scope="source")


def _body(content: bytes | str) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except (ValueError, TypeError):
        return {}
    if isinstance(parsed, list):
        parsed = parsed[0] if parsed and isinstance(parsed[0], dict) else {}
    error = parsed.get("error") if isinstance(parsed, dict) else None
    return error if isinstance(error, dict) else {}


def _reason(body: dict[str, Any]) -> str:
    """errors[0].reason, then details[].reason, then status (provider-contract 1.8)."""
    for key in ("errors", "details"):
        for entry in body.get(key) or []:
            if isinstance(entry, dict) and entry.get("reason"):
                return str(entry["reason"])
    return str(body.get("status", ""))


def _retry_after(headers: dict[str, str], now: datetime) -> float:
    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "")
    return min(seconds(value, now) or 0.0, LONGEST_WAIT)


def _retry_at(text: str, now: datetime) -> float:
    found = _RETRY_AT.search(text)
    if not found:
        return 0.0
    try:
        moment = datetime.fromisoformat(found.group(1).replace("Z", "+00:00"))
    except ValueError:
        return 0.0
    return min(max(1.0, (moment - now).total_seconds()), LONGEST_WAIT)
