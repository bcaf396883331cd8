"""From the bytes of a mail to what Gmail shows of it: the part tree, the headers, the snippet.

Never refuses: a malformed mail is shown as well as it can be (RFC 2045 to 2047, 2231; nesting is followed 60 deep).
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from email.header import decode_header
from email.message import Message
from functools import lru_cache
from typing import Any

DEEPEST = 60
ATTACHMENT_MARK = "ANGj@@NONCE@@"
_TAGS = re.compile(r"<(style|script|head)\b.*?</\1\s*>|<[^>]*>", re.I | re.S)
_SPACE = re.compile(r"\s+")


def split_head(raw: bytes) -> tuple[bytes, bytes]:
    """Header block and body, whichever line ends the mail uses; a leading mbox From_ line is no header."""
    if raw.startswith((b"From ", b">From ")):
        raw = raw.partition(b"\n")[2]
    if raw.startswith((b"\r\n", b"\n")):
        return b"", raw.partition(b"\n")[2]
    crlf, lf = raw.find(b"\r\n\r\n"), raw.find(b"\n\n")
    if crlf >= 0 and (lf < 0 or crlf < lf):
        return raw[:crlf], raw[crlf + 4 :]
    return (raw, b"") if lf < 0 else (raw[:lf], raw[lf + 2 :])


def read_headers(head: bytes) -> list[tuple[str, str]]:
    """(name, value) in order, unfolded and with RFC 2047 words decoded; lines that are no header are left out."""
    return [(name, decode_words(value)) for name, value in raw_headers(head)]


def raw_headers(head: bytes) -> list[tuple[str, str]]:
    """The same with RFC 2047 words as they stand: addresses are taken apart before their names are decoded."""
    found: list[tuple[str, str]] = []
    for line in _unfold(_text(head)):
        name, colon, value = line.partition(":")
        if colon and name and " " not in name.rstrip():
            found.append((name.rstrip(), value.strip()))
    return found


def decode_words(value: str) -> str:
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(value)
    except (ValueError, binascii.Error):
        return value
    return "".join(_piece(piece, charset) for piece, charset in pieces)


def payload_of(raw: bytes, *, as_utf8: bool = True) -> dict[str, Any]:
    """Gmail's MessagePart tree of a mail. An attachment's id holds ATTACHMENT_MARK: ids differ from call to call."""
    return _part(raw, "", 0, as_utf8)


def attachment_of(raw: bytes, part_id: str) -> bytes | None:
    """The decoded content of one part, None when there is no such part."""
    head, body = split_head(raw)
    headers = read_headers(head)
    for step in part_id.split(".") if part_id else []:
        kind, params = content_type(header(headers, "content-type") or "text/plain")
        pieces = _children(kind, params, headers, body)
        if not step.isdigit() or int(step) >= len(pieces):
            return None
        head, body = split_head(pieces[int(step)])
        headers = read_headers(head)
    return _decoded(body, header(headers, "content-transfer-encoding"))


def text_of(raw: bytes) -> str:
    """The words of the mail: its first plain part, else its first HTML part without tags."""
    plain, marked = _first_texts(payload_of(raw))
    if plain:
        return plain
    return html.unescape(_TAGS.sub(" ", marked)) if marked else ""


def snippet_of(raw: bytes) -> str:
    return html.escape(_SPACE.sub(" ", text_of(raw)[:2000]).strip()[:180], quote=True)


def header(headers: list[tuple[str, str]], name: str) -> str:
    for one, value in headers:
        if one.lower() == name:
            return value
    return ""


@lru_cache(maxsize=4096)
def content_type(value: str) -> tuple[str, dict[str, str]]:
    """Lower-case type and its decoded parameters (also for Content-Disposition)."""
    if ";" not in value:
        return value.strip().lower() or "text/plain", {}
    message = Message()
    message["Content-Type"] = value.replace("\r", " ").replace("\n", " ")
    found = message.get_params(failobj=[], unquote=True)
    params = {}
    for name, given in found[1:]:
        if isinstance(given, tuple):
            charset, _, quoted = given
            try:
                given = quoted.encode("latin-1", "replace").decode(charset or "ascii", "replace")
            except LookupError:
                given = quoted
        params[name.lower()] = decode_words(given)
    return value.split(";", 1)[0].strip().lower() or "text/plain", params


def _part(raw: bytes, part_id: str, depth: int, as_utf8: bool) -> dict[str, Any]:
    head, body = split_head(raw)
    headers = read_headers(head)
    kind, params = content_type(header(headers, "content-type") or "text/plain")
    if "/" not in kind:
        kind = "text/plain"
    disposition, more = content_type(header(headers, "content-disposition") or "inline")
    filename = more.get("filename") or params.get("name") or ""
    shown: dict[str, Any] = {
        "partId": part_id,
        "mimeType": kind,
        "filename": filename,
        "headers": [{"name": name, "value": value} for name, value in headers],
    }
    pieces = _children(kind, params, headers, body) if depth < DEEPEST else []
    if pieces:
        prefix = part_id + "." if part_id else ""
        shown["body"] = {"size": 0}
        shown["parts"] = [_part(piece, f"{prefix}{at}", depth + 1, as_utf8) for at, piece in enumerate(pieces)]
        return shown
    content = _decoded(body, header(headers, "content-transfer-encoding"))
    shown["body"] = _body(kind, params, content, filename or disposition == "attachment", part_id, as_utf8)
    return shown


def _body(kind: str, params: dict, content: bytes, external: Any, part_id: str, as_utf8: bool) -> dict[str, Any]:
    if external or not kind.startswith("text/"):
        if not content:
            return {"size": 0}
        return {"attachmentId": f"{ATTACHMENT_MARK}{part_id.replace('.', '_')}", "size": len(content)}
    if as_utf8:
        content = _to_utf8(content, params.get("charset", ""))
    shown: dict[str, Any] = {"size": len(content)}
    if content:
        shown["data"] = base64.urlsafe_b64encode(content).decode()
    return shown


def _children(kind: str, params: dict[str, str], headers: list[tuple[str, str]], body: bytes) -> list[bytes]:
    if kind == "message/rfc822" and body:
        return [_decoded(body, header(headers, "content-transfer-encoding"))]
    boundary = params.get("boundary", "")
    if not kind.startswith("multipart/") or not boundary:
        return []
    return _split(body, boundary.encode("utf-8", "replace"))


def _split(body: bytes, boundary: bytes) -> list[bytes]:
    mark = b"\n--" + boundary
    pieces: list[bytes] = []
    chunks = (b"\n" + body).split(mark)
    for chunk in chunks[1:]:
        if chunk[:2] == b"--" and not chunk[2:].split(b"\n", 1)[0].strip():
            break
        line, newline, rest = chunk.partition(b"\n")
        if line.strip() and pieces:
            pieces[-1] += mark + chunk
        elif newline and not line.strip():
            pieces.append(rest)
    return [piece[:-1] if piece.endswith(b"\r") else piece for piece in pieces]


def _decoded(body: bytes, encoding: str) -> bytes:
    encoding = encoding.strip().lower()
    if encoding == "base64":
        return _base64(body)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    return body


def _base64(body: bytes) -> bytes:
    clean = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
    clean = clean[: len(clean) - 1] if len(clean) % 4 == 1 else clean
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def _to_utf8(content: bytes, charset: str) -> bytes:
    if content.isascii() and charset.lower() not in ("utf-7", "iso-2022-jp", "hz-gb-2312"):
        return content
    try:
        return content.decode(charset or "utf-8").encode("utf-8")
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace").encode("utf-8")


def _first_texts(part: dict[str, Any]) -> tuple[str, str]:
    plain = marked = ""
    waiting = [part]
    while waiting and not plain:
        one = waiting.pop(0)
        waiting = one.get("parts", []) + waiting
        data = one["body"].get("data")
        if not data:
            continue
        words = base64.urlsafe_b64decode(data).decode("utf-8", "replace")
        if one["mimeType"] == "text/html":
            marked = marked or words
        else:
            plain = words
    return plain, marked


def _unfold(text: str) -> list[str]:
    lines: list[str] = []
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if line[:1] in (" ", "\t") and lines:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    return lines


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _piece(piece: bytes | str, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece
    try:
        return piece.decode(charset or "ascii", "replace")
    except LookupError:
        return piece.decode("latin-1")
