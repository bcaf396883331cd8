"""What a bounce says: whom it did not reach, and which mail it returns (RFC 3464 2.3, RFC 3462).

Reports that follow the standard name the addresses in fields; the rest tell it in words, before the returned mail begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from connectors.addresses import valid
from connectors.parts import Part
from connectors.words import decode_bytes

MOST = 20
MOST_TEXT = 100_000
_FIELD = re.compile(r"^(?:Final|Original)-Recipient:\s*(?:[\w-]+\s*;)?\s*<?([^\s<>;]+@[^\s<>;]+)>?", re.I | re.M)
_DELAYED = re.compile(r"^Action:\s*delayed", re.I | re.M)
_ID = re.compile(r"^Message-ID:\s*<([^<>\r\n]{1,400})>", re.I | re.M)
_ADDRESS = r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"
_ALONE = re.compile(rf"^[\s*•>-]{{0,12}}[\"'<]{{0,2}}({_ADDRESS})[\"'>]{{0,2}}(?:\s+<\1>)?[\s.,;]{{0,4}}$")
_BLAMED = re.compile(rf"^[\s*•-]{{0,12}}[\"'<]{{0,2}}({_ADDRESS})[\"'>]{{0,2}}\s?(?:[:(;,\[]|\.\.\.|\b[45]\d\d\b|-\s)")
_NAMED = re.compile(
    rf"(?:deliver\w*(?: (?:your|the|this))?(?: (?:e-?mail|mail|message))? to:?|sent to|addressed to:?|"
    rf"(?:full|exceeded|disabled|inactive|suspended|unavailable):|recipients?:?|rcpt to:?|unknown user:?|user unknown:?|mailbox|undeliverable:?|"
    rf"no such (?:user|address|recipient):?|wasn't delivered to|not found:?|failed for|zustellung an|remis à|bezorgd bij|"
    rf"entregar a|permanent errors?:)\s{{0,3}}[\"'<(]{{0,2}}({_ADDRESS})",
    re.I,
)
_RETURNED = re.compile(
    r"^(?:received|return-path):\s|^[-\s]*(?:original message|returned m|message headers|below this line|the header|"
    r"header of the|this is a copy)|(?:copy of|text of) (?:the|your) (?:original )?message",
    re.I,
)
_STILL_TRYING = re.compile(
    r"will (?:be retried|continue|keep trying|try again)|still (?:being )?tr(?:ied|ying)|not yet been delivered|"
    r"no action is required|do(?:es)? not need to resend",
    re.I,
)


def returned(root: Part | None, failed_header: str, known: Iterable[str] = ()) -> tuple[tuple[str, ...], str]:
    """(addresses that could not be reached, Message-ID of the returned mail). ``known``: addresses of the bounce's own
    sender and recipient, which it may mention. A delayed mail has reached nobody *yet*: it names none."""
    parts = [(part, _text(part)) for part in (root.walk() if root is not None else [])]
    reported, delayed = _reported(parts)
    addresses = [valid(one) for one in re.split(r"[,\s]+", failed_header) if "@" in one] + reported
    if not addresses and not delayed:
        addresses = _told(parts, {address.lower() for address in known})
    return tuple(dict.fromkeys(one for one in addresses if one))[:MOST], _returned_id(parts)


def _reported(parts: list[tuple[Part, str]]) -> tuple[list[str], bool]:
    """(addresses in the fields of delivery reports, whether one says that it is only late)."""
    found: list[str] = []
    late = False
    for part, text in parts:
        fields = "\n".join(f"{name}: {value}" for name, value in part.headers)
        for block in (text, fields):
            if "-recipient:" not in block.lower():
                continue
            if _DELAYED.search(block):
                late = True
            else:
                found += [valid(one) for one in _FIELD.findall(block)]
    return found, late


def _told(parts: list[tuple[Part, str]], known: set[str]) -> list[str]:
    """Addresses that the words of a bounce name, until the mail that it returns begins."""
    for part, text in parts:
        if part.mime == "message/rfc822":
            break
        if not part.mime.startswith(("text/", "multipart/", "message/")) or not text.strip():
            continue
        if part.mime == "text/html":
            from connectors.html_text import html_to_text

            text = html_to_text(text)[0]
        if _STILL_TRYING.search(text[:5_000]):
            return []
        found = [one for one in map(valid, _in_words(text)) if one and one.lower() not in known]
        if found:
            return found
    return []


def _in_words(text: str) -> Iterator[str]:
    for line in text[:20_000].splitlines()[:200]:
        if _RETURNED.search(line):
            return
        for pattern in (_ALONE, _BLAMED, _NAMED):
            hit = pattern.search(line[:400])
            if hit:
                yield hit.group(1)
                break


def _returned_id(parts: list[tuple[Part, str]]) -> str:
    """The Message-ID in the returned mail or its headers; else one that the text quotes."""
    quoted = ""
    for part, text in parts:
        if part.mime in ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers"):
            header = next((one for one in (child.header("message-id") for child in part.children) if one), "")
            found = header.strip("<> ") or next(iter(_ID.findall(text)), "")
            if found:
                return found
        if not quoted and part.mime == "text/plain":
            quoted = next(iter(_ID.findall(text)), "")
    return quoted


def _text(part: Part) -> str:
    return decode_bytes((part.data or b"")[:MOST_TEXT], part.charset)
