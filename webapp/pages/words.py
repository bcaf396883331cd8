"""Numbers, days and names in words, for templates. Pure; the browser may turn instants into its own time zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

from markupsafe import Markup

SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
MEANINGS = {
    "lead": "a first lead",
    "contacted": "they answered",
    "qualified": "need and means are known",
    "proposal": "an offer is out",
    "won": "won",
    "lost": "lost",
    "fridge": "put off until later",
}
REASONS = {
    "no contact": "with nobody you know",
    "machine mail": "written by machines",
    "private event": "marked private",
    "nobody on it": "with nobody on them",
    "draft": "drafts",
    "spam": "spam",
    "trash": "in the bin",
    "chat": "chats",
    "thread": "goes on in a known conversation",
    "address": "the address of a contact",
    "address, no open deal then": "the address of a contact; no deal was open then",
    "domain": "the domain of a company",
    "older": "older than the first sync reaches",
    "found by the audit": "found when it was compared",
    "internal": "between colleagues",
}
"""The ledger's short reasons as a person would say them."""
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def parsed(value: Any) -> datetime | date | None:
    """An instant (aware UTC) or a day, also from its RFC 3339 text."""
    if not isinstance(value, str):
        return value
    if len(value) == 10:
        return date.fromisoformat(value)
    return datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(UTC)


def count(value: int | None) -> str:
    """A number with its thousands set apart."""
    return "" if value is None else f"{value:,}"


def money(value: float | None, currency: str = "EUR") -> str:
    """An amount in whole units unless it has hundredths."""
    if value is None:
        return "no amount"
    figures = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
    return f"{SIGNS.get(currency, currency)} {figures}"


def amount(value: float | None) -> str:
    """An amount as a form field holds it."""
    return "" if value is None else f"{value:.2f}".removesuffix(".00")


def day(value: Any) -> str:
    """3 Nov 2026."""
    at = parsed(value)
    return "" if at is None else f"{at.day} {MONTHS[at.month - 1]} {at.year}"


def moment(value: Any, form: str = "moment") -> str:
    """An instant as a ``<time>`` that the browser shows in its own zone; in UTC without a script."""
    at = parsed(value)
    if at is None:
        return ""
    if not isinstance(at, datetime):
        return day(at)
    text = f"{at.day} {MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"
    return Markup('<time datetime="{}" data-form="{}">{}</time>').format(at.isoformat(), form, text)


def days_ago(value: Any, now: datetime) -> int | None:
    """Whole days since an instant."""
    at = parsed(value)
    return None if not isinstance(at, datetime) else max(0, (now - at).days)


def lag(seconds: float | None) -> str:
    """How far behind, in words."""
    if seconds is None:
        return "never looked at"
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{plural(int(seconds // size), name)} ago"
    return "just now"


def plural(number: int, noun: str, many: str = "") -> str:
    """``1 deal``, ``2 deals``."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def after(name: str, firm: str | None) -> str:
    """A deal's name without the company's in front of it."""
    rest = name.removeprefix(firm or "").lstrip(" :-–/,")
    return rest or name


def tight(text: str) -> str:
    """Without empty lines."""
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def initials(name: str | None) -> str:
    """At most two letters."""
    parts = [part for part in (name or "").replace("@", " ").split() if part[0].isalnum()]
    return "".join(part[0] for part in (parts[:1] + parts[-1:] if len(parts) > 1 else parts)).upper()


def meaning(word: str) -> str:
    """What a stage's meaning says."""
    return MEANINGS.get(word, word)


def why(reason: str) -> str:
    """A ledger entry's reason in words; one that is a sentence already stays."""
    return REASONS.get(reason, reason) or "no reason noted"


def month(value: str | None) -> str:
    """``2026-11`` as Nov 2026."""
    year, _, number = (value or "").partition("-")
    return f"{MONTHS[int(number) - 1]} {year}" if number.isdigit() else "unknown"


def size(octets: int | None) -> str:
    """12 kB."""
    if not octets:
        return ""
    return f"{octets / 1_000_000:.1f} MB" if octets >= 1_000_000 else f"{max(1, octets // 1000)} kB"
