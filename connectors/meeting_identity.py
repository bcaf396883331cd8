"""What makes two calendars' copies of a meeting the same: the UID that they share, written one way (provider-contract 7.3).

Exchange makes its UIDs as a *global object id* in hexadecimal (MS-OXOCAL 2.2.1.27): 16 fixed bytes, 4 for the date of an
occurrence (zero for the series), 16 of time and padding, 4 of length, then data. A UID from elsewhere may be wrapped inside as
``vCal-Uid``. Google keeps an invitation's UID as it came, which is that of the series.
"""

from __future__ import annotations

from datetime import UTC, datetime

SINGLE = datetime(1970, 1, 1, tzinfo=UTC)
"""``original_start`` of a meeting that does not recur: it stays the same meeting when it is moved."""
LONGEST = 400
_EXCHANGE = "040000008200E00074C5B7101A82E008"
_DATE = slice(32, 40)
_FOREIGN = b"vCal-Uid\x01\x00\x00\x00"
_DATA = 40


def canonical_uid(value: str) -> str:
    """The UID that all copies share: an occurrence's like its series', a wrapped foreign one as it was. What a Google split
    ("this and following") adds stays, because that is another series. Empty for none."""
    value = value.strip()
    if not value.upper().startswith(_EXCHANGE):
        return value[:LONGEST]
    plain = value.upper()
    return (_unwrapped(plain) or plain[: _DATE.start] + "0" * 8 + plain[_DATE.stop :])[:LONGEST]


def _unwrapped(value: str) -> str:
    """The foreign UID inside; empty when there is none."""
    try:
        data = bytes.fromhex(value)[_DATA:]
    except ValueError:
        return ""
    if not data.startswith(_FOREIGN):
        return ""
    return data[len(_FOREIGN) :].split(b"\0")[0].decode("utf-8", "replace").strip()
