"""What a mailbox keeps of a mail at delivery, so that listing and searching never parse again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import getaddresses, parsedate_to_datetime
from functools import lru_cache

from sandbox.mime import header, read_headers, split_head

_SIMPLE = re.compile(r'\s*(?:"([^"\\]*)"|([^"<>,:;@()]*))\s*<([^<>\s,]+)>\s*\Z')
_BARE = re.compile(r"[^\s<>,:;\"()]+@[^\s<>,:;\"()]+\Z")
_IDS = re.compile(r"<([^<>\s]+)>")
_PREFIX = re.compile(r"^\s*(?:(?:re|fwd?|aw|wg|sv|vs|antw|tr)\s*(?:\[\d+\])?\s*:\s*)+", re.I)
_ATTACHED = re.compile(rb"^content-disposition:\s*attachment", re.I | re.M)


@dataclass(frozen=True, slots=True)
class Person:
    """An address as the search index knows it; `words` is name and address in lower case."""

    address: str
    words: str


@dataclass(slots=True)
class Envelope:
    """The facts of a mail that can be listed and searched for. `sent_at` is seconds since 1970, None without a Date."""

    senders: tuple[Person, ...] = ()
    to: tuple[Person, ...] = ()
    cc: tuple[Person, ...] = ()
    bcc: tuple[Person, ...] = ()
    subject: str = ""
    message_id: str = ""
    references: tuple[str, ...] = ()
    sent_at: float | None = None
    size: int = 0
    attached: bool = False


Raw = bytes | Callable[[], bytes]


def envelope_of(raw: bytes) -> Envelope:
    head, _ = split_head(raw)
    headers = read_headers(head)
    gathered: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        gathered[name] = f"{gathered[name]}, {value}" if name in ("to", "cc") and name in gathered else value
    back = _IDS.findall(gathered.get("references", "")) + _IDS.findall(gathered.get("in-reply-to", ""))
    own = header(headers, "message-id")
    return Envelope(
        senders=people(gathered.get("from", "")),
        to=people(gathered.get("to", "")),
        cc=people(gathered.get("cc", "")),
        bcc=people(gathered.get("bcc", "")),
        subject=gathered.get("subject", ""),
        message_id=own.strip().strip("<>").strip(),
        references=tuple(dict.fromkeys(back)),
        sent_at=date_of(gathered.get("date", "")),
        size=len(raw),
        attached=_ATTACHED.search(raw) is not None,
    )


@lru_cache(maxsize=65536)
def people(value: str) -> tuple[Person, ...]:
    """The addresses of a header value, lower case; what cannot be read as an address keeps its words only."""
    if not value.strip():
        return ()
    if found := _SIMPLE.match(value):
        return (_person(found[1] or found[2] or "", found[3]),)
    if _BARE.match(value.strip()):
        return (_person("", value.strip()),)
    return tuple(_person(name, address) for name, address in getaddresses([value]) if name or address)


@lru_cache(maxsize=65536)
def _person(name: str, address: str) -> Person:
    address = address.lower()
    return Person(address, f"{name.lower().strip()} {address}".strip())


def date_of(value: str) -> float | None:
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def plain_subject(subject: str) -> str:
    """The subject without reply and forward marks: Gmail keeps a conversation only while this stays the same."""
    return " ".join(_PREFIX.sub("", subject).lower().split())


def day_start(year: int, month: int, day: int, hours_west: int = 8) -> float:
    """Midnight of a day in Pacific standard time, which is how Gmail reads plain dates in a query."""
    return datetime(year, month, day, tzinfo=UTC).timestamp() + hours_west * 3600
