"""What a text/calendar part says: method, meeting, and the answer of whoever replies (RFC 5545 3.1, RFC 5546)."""

from __future__ import annotations

import re

from connectors.items import CalendarNotice, Response
from connectors.parts import Part, parameters
from connectors.words import decode_bytes

_ANSWERS: dict[str, Response] = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative"}


def read(root: Part | None) -> CalendarNotice | None:
    """The notice in a message, or None. Never raises; junk gives a notice with empty fields."""
    for part in root.walk() if root is not None else []:
        if part.mime == "text/calendar":
            method = parameters(part.header("content-type")).get("method", "").upper()
            return _parse(decode_bytes((part.data or b"")[:200_000], part.charset or "utf-8"), method)
    return None


def _parse(text: str, method: str) -> CalendarNotice:
    uid, response = "", "none"
    inside: list[str] = []
    for line in re.sub(r"\r?\n[ \t]", "", text).splitlines():
        name, _, value = line.partition(":")
        key = name.partition(";")[0].strip().upper()
        if key == "BEGIN":
            inside.append(value.strip().upper())
        elif key == "END":
            inside = inside[:-1]
        elif key == "METHOD":
            method = method or value.strip().upper()
        elif inside[-1:] == ["VEVENT"] and key == "UID":
            uid = uid or value.strip()[:400]
        elif inside[-1:] == ["VEVENT"] and key == "ATTENDEE" and response == "none":
            response = _ANSWERS.get(parameters(";" + name).get("partstat", "").upper(), "none")
    return CalendarNotice(method, uid, response if method == "REPLY" else "none")  # pyright: ignore[reportArgumentType]
