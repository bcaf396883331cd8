"""Header text: encoded words and broken charsets (RFC 2047, 6532)."""

from __future__ import annotations

import base64
import binascii
import codecs
import quopri
import re

_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\s]*(?: [^?]*)?)\?=")
_NO_CHARSETS = {"punycode", "idna", "unicode-escape", "raw-unicode-escape", "undefined"}
"""Codecs of Python's that no mail is written in, and that raise where charsets replace."""
_BETWEEN = re.compile(r"(\?=)[ \t\r\n]+(=\?)")


def decode_words(text: str) -> str:
    """A header value with its encoded words decoded. Adjacent words of one charset are joined before decoding, since
    senders split them inside a character; what cannot be decoded is kept readable. Never raises."""
    if "=?" not in text:
        return text
    text = _BETWEEN.sub(r"\1\2", text)
    out: list[str] = []
    pending: tuple[str, bytes] | None = None
    end = 0
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        charset, raw = match.group(1).partition("*")[0], _raw(match.group(2), match.group(3))
        if pending and (between or pending[0].lower() != charset.lower()):
            out.append(decode_bytes(pending[1], pending[0]))
            pending = None
        out.append(between)
        pending = (charset, (pending[1] if pending else b"") + raw)
        end = match.end()
    if pending:
        out.append(decode_bytes(pending[1], pending[0]))
    out.append(text[end:])
    return "".join(out)


def decode_bytes(raw: bytes, charset: str) -> str:
    """Bytes as text: the declared charset, then UTF-8, then Windows-1252. A few broken bytes are marked, and a character
    that was cut at the end is left out, without changing the rest. Never raises."""
    known = _known(charset)
    for name in (known, "utf-8"):
        if name:
            try:
                return raw.decode(name)
            except UnicodeDecodeError as error:
                whole = raw[: error.start]
                if name == "utf-8" and error.reason == "unexpected end of data" and not whole.isascii():
                    return whole.decode(name)
            except (UnicodeError, LookupError, ValueError):
                continue
    if known and known not in ("ascii", "utf-8"):
        return raw.decode(known, "replace")
    marked = raw.decode("utf-8", "replace")
    beyond = sum(not letter.isascii() for letter in marked)
    return marked if beyond > 2 * marked.count("\ufffd") else raw.decode("cp1252", "replace")


def _known(charset: str) -> str:
    name = charset.strip().strip("\"'").lower()
    name = {
        "gb2312": "gb18030",
        "gbk": "gb18030",
        "iso-8859-1": "cp1252",
        "us-ascii": "ascii",
        "ks_c_5601-1987": "cp949",
    }.get(name, name)
    try:
        found = codecs.lookup(name) if name else None
    except (LookupError, ValueError):
        return ""
    return found.name if found is not None and found.name not in _NO_CHARSETS and found._is_text_encoding else ""  # pyright: ignore[reportAttributeAccessIssue]


def _raw(kind: str, text: str) -> bytes:
    if kind in "bB":
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            return text.encode("utf-8", "replace")
    return quopri.decodestring(text.replace("_", " ").encode("utf-8", "replace"), header=False)
