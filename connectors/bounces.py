"""What a bounce says: whom it did not reach, and which mail it returns (RFC 3464 2.3, RFC 3462)."""

from __future__ import annotations

import re

from connectors.addresses import valid
from connectors.parts import Part
from connectors.words import decode_bytes

_FINAL = re.compile(r"^(?:Final|Original)-Recipient:\s*(?:[\w-]+\s*;)?\s*<?([^\s<>;]+@[^\s<>;]+)>?", re.I | re.M)
_ACTION = re.compile(r"^Action:\s*(\w+)", re.I | re.M)
_ID = re.compile(r"^Message-ID:\s*<([^<>\r\n]{1,400})>", re.I | re.M)
_LOOSE = re.compile(r"<([^\s<>@]{1,64}@[^\s<>@]{1,255})>(?:[^\n]{0,20}:|\s*$)", re.M)
MOST = 20


def returned(root: Part | None, failed_header: str) -> tuple[tuple[str, ...], str]:
    """(addresses that could not be reached, Message-ID of the returned mail). A delayed mail has reached nobody *yet*:
    it names none."""
    addresses: list[str] = [valid(one) for one in re.split(r"[,\s]+", failed_header) if "@" in one]
    message_id = ""
    for part in root.walk() if root is not None else []:
        text = decode_bytes((part.data or b"")[:100_000], part.charset)
        if part.mime == "message/delivery-status" or "Final-Recipient:" in text:
            if "delayed" not in {action.lower() for action in _ACTION.findall(text)}:
                addresses += [valid(found) for found in _FINAL.findall(text)]
            addresses += _children_status(part)
        if part.mime in ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers") and not message_id:
            message_id = _returned_id(part, text)
        if not message_id and part.mime == "text/plain":
            message_id = next(iter(_ID.findall(text)), "")
        if not addresses and part.mime == "text/plain":
            addresses += [valid(found) for found in _LOOSE.findall(text[:5000])]
    return tuple(dict.fromkeys(a for a in addresses if a))[:MOST], message_id


def _children_status(part: Part) -> list[str]:
    """The standard library parses a delivery-status part into one sub-part a recipient."""
    found = []
    for child in part.children:
        block = "\n".join(f"{name}: {value}" for name, value in child.headers)
        if "delayed" not in block.lower():
            found += [valid(address) for address in _FINAL.findall(block)]
    return found


def _returned_id(part: Part, text: str) -> str:
    for child in part.children:
        header = child.header("message-id")
        if header:
            return header.strip("<> ")
    return next(iter(_ID.findall(text)), "")
