"""When a customer who puts a deal off wants to hear from us again: the first day of the period that they name."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from worker.cuebook import languages
from worker.sentences import fold

_YEAR = re.compile(r"\b(20\d\d)\b")
_QUARTER = re.compile(r"\bq([1-4])\b|\b(first|second|third|fourth|last) quarter\b")
_QUARTERS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 4}
_SPAN = re.compile(r"\b(\d{1,3}|[a-z]+(?: [a-z]+){0,2}?)\s+(day|week|month|year)s?\b")
_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "a couple of": 2, "couple of": 2, "three": 3, "a few": 3, "four": 4}
_NUMBERS |= {
    "five": 5,
    "six": 6,
    "half a": 0.5,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
}
_DAYS = {"day": 1.0, "week": 7.0, "month": 30.44, "year": 365.25}
_NAMED = (
    (re.compile(r"\b(?:next|the new|new|coming) (?:calendar |financial |fiscal |budget )?year\b"), "year"),
    (re.compile(r"\bnext (?:quarter)\b"), "quarter"),
    (re.compile(r"\bnext month\b"), "month"),
    (re.compile(r"\bafter (?:the )?summer\b|\bend of (?:the )?summer\b"), "summer"),
    (re.compile(r"\bin (?:the )?autumn\b|\bin (?:the )?fall\b|\bthis (?:autumn|fall)\b"), "autumn"),
    (re.compile(r"\b(?:in|next) (?:the )?spring\b|\buntil spring\b"), "spring"),
    (re.compile(r"\b(?:after|until after) (?:the )?(?:christmas|holidays|new year)\b"), "new year"),
    (re.compile(r"\bafter easter\b"), "easter"),
)
_STARTS = {"summer": (9, 1), "autumn": (9, 1), "spring": (3, 1), "easter": (4, 15)}
_ISO = re.compile(r"\b(20\d\d)-(\d\d)-(\d\d)\b")


def wake_date(text: str, at: datetime) -> date | None:
    """The first day of the period that `text` names, after the day of the mail; None when it names none."""
    folded = fold(text)
    day = at.date()
    for find in (_iso, _month, _quarter, _named, _span):
        found = find(folded, day)
        if found is not None and found > day:
            return found
    return None


def _iso(text: str, day: date) -> date | None:
    found = _ISO.search(text)
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def _month(text: str, day: date) -> date | None:
    for language in languages():
        names = str(language.wake.get("months", "")).split()
        for number, pattern in enumerate(names, 1):
            found = re.search(
                rf"(?P<part>\b(?:early|mid|late|end of|second half of|middle of)[ -]+)?\b(?:{pattern})\b", text
            )
            if found and not (pattern == "may" and not _calendar_may(text, found.start())):
                year = _YEAR.search(text[found.end() : found.end() + 6])
                return _in_month(int(year[1]) if year else None, number, found["part"] or "", day)
    return None


def _calendar_may(text: str, at: int) -> bool:
    """May the month, not the verb: it follows a preposition of time."""
    return bool(
        re.search(r"\b(?:in|until|till|by|from|since|early|mid|late|of|for|to)[ -]+$", text[max(0, at - 12) : at])
    )


def _in_month(year: int | None, month: int, part: str, day: date) -> date:
    number = 16 if part.startswith("second") else 15 if part.startswith(("mid", "middle")) else 1
    number = 20 if part.startswith(("late", "end")) else number
    chosen = date(year or day.year, month, number)
    if year is None and chosen <= day and month != day.month:
        chosen = date(day.year + 1, month, number)
    return chosen


def _quarter(text: str, day: date) -> date | None:
    found = _QUARTER.search(text)
    if not found:
        return None
    quarter = int(found[1]) if found[1] else _QUARTERS[found[2]]
    year = _YEAR.search(text)
    chosen = date(int(year[1]) if year else day.year, quarter * 3 - 2, 1)
    return chosen if year or chosen > day else chosen.replace(year=chosen.year + 1)


def _named(text: str, day: date) -> date | None:
    for pattern, name in _NAMED:
        if not pattern.search(text):
            continue
        if name in ("year", "new year"):
            return date(day.year + 1, 1, 1 if name == "year" else 7)
        if name == "month":
            return date(day.year + day.month // 12, day.month % 12 + 1, 1)
        if name == "quarter":
            following = (day.month - 1) // 3 * 3 + 4
            return date(day.year + (following > 12), following if following <= 12 else 1, 1)
        chosen = date(day.year, *_STARTS[name])
        return chosen if chosen > day else chosen.replace(year=day.year + 1)
    return None


def _span(text: str, day: date) -> date | None:
    for found in _SPAN.finditer(text):
        words = found[1]
        number = float(words) if words.isdigit() else _number(words)
        if number:
            return day + timedelta(days=round(number * _DAYS[found[2]]))
    return None


def _number(words: str) -> float:
    pieces = words.split()
    for start in range(len(pieces)):
        found = _NUMBERS.get(" ".join(pieces[start:]))
        if found:
            return found
    return 0.0
