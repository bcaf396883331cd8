"""``Retry-After`` (RFC 9110 10.2.3), read in one place for all who may send it."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime

_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_BROKEN = re.compile(r"\d{1,9}\.\d{1,9}", re.ASCII)


def seconds(value: str, now: datetime, *, fractions: bool = False) -> float | None:
    """Seconds from ``now`` (aware), never below 0.0; None when there is nothing that can be read. ``fractions``: of a sender
    that writes 0.5, which the RFC does not know. Never raises."""
    text = value.strip()
    if _WHOLE.fullmatch(text) or (fractions and _BROKEN.fullmatch(text)):
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
