"""From what Graph answers, or the line throws, to what to do next: one table (provider-contract 4.4, 8.3).

Decided by codes, the most specific first and whatever their case, never by the words of a message; without one by the status.
What Entra refuses is told in ``token_faults``.
"""

from __future__ import annotations

import json
import random
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import httpx

from connectors.clock import utcnow
from connectors.errors import ConnectorError, CursorExpired, Gone, OperatorFault, Refused, TryLater
from connectors.retry_after import seconds

HOUR, DAY = 3_600.0, 86_400.0
UNTOLD = 10.0
"""Seconds to wait after a 429 that does not say how long."""
_SLOW = "Microsoft asked us to slow down for this mailbox; it goes on by itself."
_OWN_FAULT = "Microsoft has a fault of its own at the moment; we try again."


class NotFound(Gone):
    """404 for one item."""


Told = Callable[[float], ConnectorError]


def _slow(asked: float) -> ConnectorError:
    wait = asked or UNTOLD * random.uniform(1.0, 1.3)
    return TryLater("throttled", _SLOW, after=wait, throttled=True, scope="account")


def _unauthorized(asked: float) -> ConnectorError:
    sentence = "Microsoft does not accept the access it gave us just now; we try again."
    return TryLater("unauthorized", sentence, after=max(30.0, asked), scope="account")


def _expired(asked: float) -> ConnectorError:
    return CursorExpired("cursor_expired", "Microsoft no longer knows where we were; that part is read again.")


def _missing(asked: float) -> ConnectorError:
    return NotFound("not_found", "Microsoft says that there is no such thing.", scope="request")


def _no_mailbox(asked: float) -> ConnectorError:
    return Refused(
        "mailbox_unavailable",
        "This account has no mailbox in Microsoft 365 (no licence, inactive, or kept on the organisation's own servers). "
        "Its administrator can help.",
        after=DAY,
    )


def _denied(asked: float) -> ConnectorError:
    return Refused(
        "blocked_by_admin",
        "The organisation's policy keeps Dealtrail out of this mailbox. Its Microsoft 365 administrator can allow it; "
        "such a change may take two hours.",
        after=4 * HOUR,
    )


def _no_privilege(asked: float) -> ConnectorError:
    return Refused(
        "no_privilege",
        "Dealtrail may not look this up in the organisation's directory. Its administrator can allow User.Read.All.",
        after=4 * HOUR,
    )


def _own_fault(asked: float) -> ConnectorError:
    return TryLater("server_error", _OWN_FAULT, after=max(2.0, asked))


def _misunderstood(asked: float) -> ConnectorError:
    return TryLater("bad_request", "Microsoft does not understand a request of ours; please report this.", after=600.0)


def _conflict(asked: float) -> ConnectorError:
    return TryLater(
        "conflict", "Microsoft has another one of the kind already; the next try puts it right.", after=asked
    )


def _not_reached(asked: float) -> ConnectorError:
    return OperatorFault(
        "push_not_reached",
        "Microsoft could not reach DEALTRAIL_BASE_URL/push/microsoft when it tried. It must be open to the internet, and answer "
        "within ten seconds. Until then everything is looked at on a timer.",
        after=DAY / 4,
        scope="source",
    )


CODES: dict[str, Told] = {
    **dict.fromkeys(("applicationthrottled", "toomanyrequests", "activitylimitreached", "errorserverbusy"), _slow),
    **dict.fromkeys(("syncstatenotfound", "syncstateinvalid", "resyncrequired", "errorinvalidsyncstate"), _expired),
    **dict.fromkeys(("mailboxnotenabledforrestapi", "mailboxnotsupportedforrestapi"), _no_mailbox),
    **dict.fromkeys(("errormailboxmoveinprogress", "errormailboxstoreunavailable"), _own_fault),
    **dict.fromkeys(("erroritemnotfound", "errorfoldernotfound", "resourcenotfound"), _missing),
    **dict.fromkeys(("request_resourcenotfound", "errorinvalididmalformed", "itemnotfound"), _missing),
    "errornonexistentmailbox": _no_mailbox,
    "erroraccessdenied": _denied,
    "authorization_requestdenied": _no_privilege,
    "invalidauthenticationtoken": _unauthorized,
    "servicenotavailable": _own_fault,
    "conflict": _conflict,
    "validationerror": _not_reached,
    "inefficientfilter": _misunderstood,
}
_STATUSES: dict[int, Told] = {401: _unauthorized, 403: _denied, 404: _missing, 410: _expired, 429: _slow, 509: _slow}
_AGAIN = (408, 409, 412, 423, 424)


def from_answer(
    status: int, content: bytes | str | Mapping[str, Any], headers: Mapping[str, str], *, now: datetime | None = None
) -> ConnectorError:
    """What to do next about an answer that is no success. ``content`` may be parsed already, as in a batch."""
    codes, asked = codes_of(content), retry_after(headers, now or utcnow())
    if status == 504:
        return TryLater("gateway_timeout", _OWN_FAULT, after=asked)
    if status in (403, 404) and not codes:
        return line("not_json", 60.0)
    for code in codes:
        if code in CODES:
            return CODES[code](asked)
    if status in _STATUSES:
        return _STATUSES[status](asked)
    if status >= 500 or status in _AGAIN:
        return _own_fault(asked)
    return line("redirected") if 300 <= status < 400 else _misunderstood(asked)


def from_line(error: BaseException) -> ConnectorError:
    """What to do next about an exception of the line."""
    if isinstance(error, ConnectorError):
        return error
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return OperatorFault(
                "tls", "The connection to Microsoft cannot be verified. Check this machine's certificates and clock."
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.RemoteProtocolError | httpx.DecodingError):
        return TryLater("truncated", "Microsoft's answer broke off in the middle; it is asked for again.")
    return line("network")


def line(code: str, after: float = 0.0) -> TryLater:
    """A fault of the line, or what must be taken for one."""
    return TryLater(code, "The connection to Microsoft failed for a moment; we try again.", after=after)


def codes_of(content: bytes | str | Mapping[str, Any]) -> list[str]:
    """The codes of an error, the innermost and so most specific first, in lower case."""
    try:
        parsed = content if isinstance(content, Mapping) else json.loads(content)
    except (ValueError, TypeError):
        return []
    found: list[str] = []
    level = parsed.get("error") if isinstance(parsed, Mapping) else None
    for _ in range(8):
        if not isinstance(level, Mapping):
            break
        if isinstance(level.get("code"), str) and level["code"]:
            found.insert(0, level["code"].lower())
        level = level.get("innerError") or level.get("innererror")
    return found


def retry_after(headers: Mapping[str, str], now: datetime) -> float:
    """Seconds of a Retry-After, given as such or as a date; 0.0 when there is none. At most a day."""
    value = str(next((v for k, v in headers.items() if k.lower() == "retry-after"), ""))
    return min(seconds(value, now, fractions=True) or 0.0, DAY)
