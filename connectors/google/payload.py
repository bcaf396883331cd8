"""Gmail's parsed payload of a message as parts, and the texts that it keeps elsewhere (provider-contract 1.3)."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from connectors.parts import DEEPEST, Part, parameters

MOST_APART = 4_000_000
"""Bytes of a text that is fetched apart from its message; a longer one is not a letter."""
MOST_FILES = 6
_READ_APART = {"message/delivery-status", "text/calendar"}
_WHOLE = ("text/", "multipart/", "message/")


def part_of(payload: dict[str, Any], depth: int = 0) -> Part:
    """Gmail's parsed payload as a part; nothing that the API may leave out is relied on."""
    headers = tuple(
        (str(row.get("name", "")), str(row.get("value", "")))
        for row in payload.get("headers") or []
        if isinstance(row, dict)
    )
    body = payload.get("body") or {}
    data = _data(body.get("data"))
    content = next((value for name, value in headers if name.lower() == "content-type"), "")
    children = payload.get("parts") or [] if depth < DEEPEST * 2 else []
    return Part(
        mime=str(payload.get("mimeType") or content.partition(";")[0] or "text/plain").strip().lower(),
        filename=str(payload.get("filename") or ""),
        part_id=str(payload.get("partId") or ""),
        headers=headers,
        data=data,
        charset=_charset(data, parameters(content).get("charset", "")),
        size=int(body.get("size") or 0),
        children=tuple(part_of(child, depth + 1) for child in children if isinstance(child, dict)),
    )


def apart(payload: Any) -> list[dict[str, Any]]:
    """The bodies of parts whose text is read but lies elsewhere: the message's own text, reports, calendar parts; not what
    is attached, and not what is inside an attached message. Never raises."""
    found: list[dict[str, Any]] = []
    stack = [payload]
    while stack:
        part = stack.pop()
        if not isinstance(part, dict):
            continue
        body = part.get("body")
        if isinstance(body, dict) and body.get("attachmentId") and _is_text(part, whole=part is payload):
            found.append(body)
        children = part.get("parts")
        if part.get("mimeType") != "message/rfc822" and isinstance(children, list):
            stack.extend(reversed(children))
    return found[:MOST_FILES]


def _is_text(part: dict[str, Any], *, whole: bool) -> bool:
    """Whether a part is read as text. ``whole``: it is the message itself; one of broken structure is read as it stands."""
    mime, size = str(part.get("mimeType") or "").lower(), part["body"].get("size")
    if not isinstance(size, int) or size > MOST_APART:
        return False
    if whole:
        return mime.startswith(_WHOLE)
    return mime in _READ_APART or (mime in ("text/plain", "text/html") and not part.get("filename"))


def _charset(data: bytes | None, declared: str) -> str:
    """Gmail hands text out in UTF-8 whatever charset its header still names; what is no UTF-8 is as declared."""
    if data is None or data.isascii():
        return declared
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return declared
    return "utf-8"


def internal_date(value: Any) -> datetime:
    """Epoch milliseconds as aware UTC; the epoch itself when there is no such number."""
    try:
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _data(value: Any) -> bytes | None:
    """base64url, padded or not."""
    if not isinstance(value, str):
        return None
    try:
        return base64.urlsafe_b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4))
    except (binascii.Error, ValueError):
        return b""
