"""MIME parts, whatever provider they came from, and the reading of a raw message into them (RFC 2045 to 2047, 2231)."""

from __future__ import annotations

import email
import email.message
import email.policy
import re
from dataclasses import dataclass
from email.errors import MessageError
from urllib.parse import unquote_to_bytes

MOST_PARTS = 300
DEEPEST = 12
_PARAMETER = re.compile(r';\s*([\w!#$%&\'*+\-.^`|~]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')


@dataclass(frozen=True, slots=True)
class Part:
    """One part. ``mime`` is lower case; ``data`` has its transfer encoding undone, None when it was not fetched; ``size``
    in bytes; ``headers`` in order, names as written."""

    mime: str
    filename: str = ""
    part_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    data: bytes | None = None
    charset: str = ""
    size: int = 0
    children: tuple[Part, ...] = ()

    def header(self, name: str) -> str:
        """The first header of that name, unfolded; empty when there is none."""
        wanted = name.lower()
        for key, value in self.headers:
            if key.lower() == wanted:
                return unfold(value)
        return ""

    def walk(self) -> list[Part]:
        """This part and all below it, in order, at most ``MOST_PARTS``; what lies inside an attached message too."""
        found: list[Part] = []
        stack: list[Part] = [self]
        while stack and len(found) < MOST_PARTS:
            part = stack.pop()
            found.append(part)
            stack.extend(reversed(part.children))
        return found


def part_from_rfc822(raw: bytes) -> tuple[tuple[tuple[str, str], ...], Part]:
    """(headers, root part) of a raw message. Never raises: what cannot be parsed becomes one text part."""
    try:
        message = email.message_from_bytes(raw, policy=email.policy.compat32)
        root = _part(message, "", 0)
    except (MessageError, ValueError, LookupError, RecursionError, TypeError, AttributeError):
        root = Part(mime="text/plain", data=raw, size=len(raw))
    return root.headers, root


def unfold(value: str) -> str:
    """A header value on one line (RFC 5322 2.2.3)."""
    return re.sub(r"\r?\n[ \t]*", " ", value).strip() if "\n" in value or "\r" in value else value.strip()


def parameters(value: str) -> dict[str, str]:
    """The parameters of a Content-Type or Content-Disposition, RFC 2231 continuations and charsets undone."""
    found: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, str, bool]]] = {}
    for name, text in _PARAMETER.findall(value[:20_000]):
        text = text.strip()
        if text.startswith('"') and text.endswith('"') and len(text) > 1:
            text = re.sub(r"\\(.)", r"\1", text[1:-1])
        base, star, rest = name.lower().partition("*")
        if not star:
            found.setdefault(base, text)
            continue
        number = rest.rstrip("*")
        pieces.setdefault(base, []).append((int(number) if number.isdigit() else 0, text, name.endswith("*")))
    for base, some in pieces.items():
        found[base] = _joined(sorted(some))
    return found


def _joined(pieces: list[tuple[int, str, bool]]) -> str:
    charset, raw = "utf-8", b""
    for index, (_, text, encoded) in enumerate(pieces):
        if encoded and index == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        raw += unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace")
    try:
        return raw.decode(charset or "utf-8", "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")


def _part(message: email.message.Message, part_id: str, depth: int) -> Part:
    headers = tuple((name, _text(value)) for name, value in message.raw_items())
    mime = message.get_content_type().lower()
    content, disposition = (
        parameters(_first(headers, "content-type")),
        parameters(_first(headers, "content-disposition")),
    )
    children: tuple[Part, ...] = ()
    data: bytes | None = None
    payload = message.get_payload()
    if isinstance(payload, list) and depth < DEEPEST:
        prefix = f"{part_id}." if part_id else ""
        children = tuple(
            _part(child, f"{prefix}{index}", depth + 1) for index, child in enumerate(payload[:MOST_PARTS])
        )
    elif not isinstance(payload, list):
        decoded = message.get_payload(decode=True)
        data = decoded if isinstance(decoded, bytes) else b""
    return Part(
        mime=mime,
        filename=disposition.get("filename") or content.get("name", ""),
        part_id=part_id,
        headers=headers,
        data=data,
        charset=content.get("charset", ""),
        size=len(data or b""),
        children=children,
    )


def _first(headers: tuple[tuple[str, str], ...], name: str) -> str:
    return next((unfold(value) for key, value in headers if key.lower() == name), "")


def _text(value: object) -> str:
    text = str(value)
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
