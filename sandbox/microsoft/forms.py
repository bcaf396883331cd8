"""How Microsoft writes things: errors, times, ids (provider contract section 8 macros M and A, Appendix A15 to A20)."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sandbox.wire import Answer, Refusal

GRAPH = "/graph/v1.0"
"""Where Graph is on the sandbox's socket."""
LOGIN = "/entra"
"""Where Entra is on the sandbox's socket."""
LOGIN_HOST = "https://login.microsoftonline.com"
JSON = "application/json"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of personal accounts."""
_SPACE = uuid.UUID("6f1a3f3e-7c7f-4a39-9d0e-5b1f8f3c0a11")


def guid(*names: str) -> str:
    """The same GUID for the same names, always."""
    return str(uuid.uuid5(_SPACE, "\n".join(names)))


def tenant_of(email: str) -> str:
    """The tenant id of an address (or a domain): one for each domain, one for all personal accounts."""
    domain = email.lower().rpartition("@")[2]
    return PERSONAL if domain in ("outlook.com", "hotmail.com", "live.com") else guid("tenant", domain)


def item_id(kind: str, *names: str) -> str:
    """An Outlook id: URL-safe base64, case-sensitive; `kind` is its first letters."""
    digest = hashlib.sha512("\n".join(names).encode()).digest()
    return kind + base64.urlsafe_b64encode(digest[:48]).decode() + "AAA="


def moment(seconds: float) -> str:
    """A DateTimeOffset in UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_time(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 time; without an offset it is UTC. Raises ValueError."""
    found = datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace(" ", "+"))
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def graph_error(
    status: int, code: str, message: str, *, inner: str = "", headers: Mapping[str, str] | None = None
) -> Answer:
    """Graph's error envelope; `inner` is the more specific code inside. Ids and the date are filled in by the front."""
    within = {"code": inner} if inner else {}
    error = {"code": code, "message": message, "innerError": within}
    return Answer(status, dumped({"error": error}), {"Content-Type": JSON, **(headers or {})})


def refuse(status: int, code: str, message: str, **more: Any) -> Refusal:
    return Refusal(graph_error(status, code, message, **more))


def no_item() -> Refusal:
    return refuse(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def no_access() -> Refusal:
    return refuse(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def no_privilege() -> Refusal:
    return refuse(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def bad_query(message: str, code: str = "BadRequest") -> Refusal:
    return refuse(400, code, message)
