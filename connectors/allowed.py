"""What a consent allows, in the words of every provider."""

from __future__ import annotations

from connectors.base import SourceKind
from connectors.errors import Reconnect


def allowed(*, mail: bool, calendar: bool, remedy: str) -> tuple[frozenset[SourceKind], tuple[str, ...]]:
    """(the kinds of source that may be read, sentences about those that may not, each with its ``remedy``). Raises Reconnect
    when nothing may."""
    found: set[SourceKind] = set()
    missing: list[str] = []
    if mail:
        found.add("mail")
    else:
        missing.append(f"Reading mail was not allowed: e-mails will not be logged. {remedy}")
    if calendar:
        found.add("calendar")
    else:
        missing.append(f"Reading the calendar was not allowed: meetings will not be logged. {remedy}")
    if not found:
        raise Reconnect(
            "nothing_granted", "Neither mail nor calendar was allowed, so there is nothing to do. Please start again."
        )
    return frozenset(found), tuple(missing)
