"""When a customer who puts a deal off wants to hear from us again: the first day of the period that they name.

What people call months, quarters, seasons and holidays, and how they count, stands under ``[wake]`` in each language's cue
file. The most exact naming wins, whichever language it is in: a date, a month, a calendar week, a quarter, half a year, a
season or holiday, at last a span counted from the mail ("in six weeks").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from worker.cuebook import languages
from worker.sentences import fold, fold_accents

_ISO = re.compile(r"(?<!\d)(20\d\d)-(\d\d)-(\d\d)(?!\d)")
_NUMERIC = re.compile(r"(?<![\d.,/])(\d{1,2})[./](\d{1,2})[./](20\d\d|\d\d)?(?![\d/])")
_YEAR = re.compile(r"(?<!\d)(20\d\d)(?!\d)")
_FISCAL = re.compile(
    r"fiscal|financ|budget|fy|boek|begroting|geschaft|haushalt|wirtschaft|exercice|ejercicio|school|\u8d22"
)
_BARE_YEAR = re.compile(r"(?<![\d.,#/-])(20\d\d)(?![\d.,/-]*\d)")
LATE, MID, SECOND = 24, 15, 16
"""The day of a month meant by its end, its middle and its second half."""
_AFTER_CHINESE_NEW_YEAR = timedelta(days=7)
_CHINESE_NEW_YEARS = (
    "2024-02-10 2025-01-29 2026-02-17 2027-02-06 2028-01-26 2029-02-13 2030-02-03 2031-01-23 2032-02-11 2033-01-31 "
    "2034-02-19 2035-02-08 2036-01-28 2037-02-15 2038-02-04 2039-01-24 2040-02-12"
)
_FIXED = {
    "spring": (3, 1),
    "may_day": (5, 6),
    "summer": (6, 1),
    "second_half": (7, 1),
    "mid_year": (7, 1),
    "bouwvak": (8, 24),
    "after_summer": (9, 1),
    "autumn": (9, 1),
    "national_day": (10, 8),
    "winter": (12, 1),
    "year_end": (12, 10),
    "next_year": (1, 1),
    "after_new_year": (1, 4),
    "epiphany": (1, 7),
}
"""Day and month on which a period begins, or on which people are back after a holiday."""
_MOVING: Mapping[str, Callable[[int], date]] = {
    "carnival": lambda year: easter(year) - timedelta(days=46),
    "after_easter": lambda year: easter(year) + timedelta(days=2),
    "after_whitsun": lambda year: easter(year) + timedelta(days=51),
}


@dataclass(frozen=True, slots=True)
class _Words:
    """The wordings of one language, compiled. ``named``: period or holiday by its name; later ones are vaguer."""

    month: re.Pattern[str]
    quarter: tuple[re.Pattern[str], ...]
    week: re.Pattern[str]
    named: tuple[tuple[str, re.Pattern[str]], ...]
    span: re.Pattern[str]
    next_year: re.Pattern[str]


def wake_date(text: str, at: datetime) -> date | None:
    """The first day of the period that `text` names, after the day of the mail; None when it names none."""
    folded, day = fold(text), at.date()
    for find in (_dates, _months, _weeks, _quarters, _periods, _years, _spans):
        found = next((one for one in find(folded, day) if one > day), None)
        if found is not None:
            return found
    return None


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of 1876, as Meeus gives it)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    rest = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * rest) // 451
    month, number = divmod(h + rest - 7 * m + 114, 31)
    return date(year, month, number + 1)


def _dates(text: str, day: date) -> Iterator[date]:
    for found in _ISO.finditer(text):
        yield from _valid(int(found[1]), int(found[2]), int(found[3]))
    for found in _NUMERIC.finditer(text):
        year = int(found[3]) % 100 + 2000 if found[3] else day.year
        yield from (_coming(one, day) if not found[3] else one for one in _valid(year, int(found[2]), int(found[1])))


def _valid(year: int, month: int, number: int) -> Iterator[date]:
    try:
        yield date(year, month, number)
    except ValueError:
        return


def _months(text: str, day: date) -> Iterator[date]:
    named = [(found, words) for words in _all() for found in words.month.finditer(text)]
    for found, words in sorted(named, key=lambda pair: pair[0].start()):
        number = next(at for at in range(1, 13) if found[f"m{at}"])
        near = text[max(0, found.start() - 24) : found.end() + 24]
        year = _YEAR.search(text[found.end() : found.end() + 7])
        if found["past"]:
            continue
        yield from _in_month(found, number, int(year[1]) if year else None, _next_year(words, near), day)


def _next_year(words: _Words, near: str) -> bool:
    """Whether words near a month put it into the next calendar year; a fiscal year has its own start, which is the month."""
    found = words.next_year.search(near)
    return found is not None and not _FISCAL.search(found[0])


def _in_month(found: re.Match[str], month: int, year: int | None, next_year: bool, day: date) -> Iterator[date]:
    number = int(found["day"] or found["day_after"] or _part(found))
    for chosen in _valid(year or day.year + next_year, month, number):
        if found["after"] and number == 1:
            chosen = _later(chosen, 1)
        this_month = (chosen.year, chosen.month) == (day.year, day.month)
        yield chosen if year or next_year or this_month else _coming(chosen, day)


def _part(found: re.Match[str]) -> int:
    return next((day for name, day in (("second", SECOND), ("mid", MID), ("late", LATE)) if found[name]), 1)


def _weeks(text: str, day: date) -> Iterator[date]:
    for words in _all():
        for found in words.week.finditer(text):
            if 1 <= int(found[1]) <= 52:
                monday = date.fromisocalendar(day.year, int(found[1]), 1)
                yield monday if monday > day else date.fromisocalendar(day.year + 1, int(found[1]), 1)


def _quarters(text: str, day: date) -> Iterator[date]:
    for words in _all():
        for number, pattern in enumerate(words.quarter, 1):
            found = pattern.search(text)
            if found:
                year = _YEAR.search(text[found.end() : found.end() + 12])
                next_year = words.next_year.search(text[max(0, found.start() - 16) : found.end() + 24])
                chosen = date(int(year[1]) if year else day.year + bool(next_year), number * 3 - 2, 1)
                yield chosen if year else _coming(chosen, day)


def _periods(text: str, day: date) -> Iterator[date]:
    for words in _all():
        for name, pattern in words.named:
            found = pattern.search(text)
            if found:
                year = _YEAR.search(text[found.end() : found.end() + 7])
                beside = text[max(0, found.start() - 16) : found.start()] + " | " + text[found.end() : found.end() + 20]
                yield _period(name, day, int(year[1]) if year else None, bool(words.next_year.search(beside)))


def _period(name: str, day: date, year: int | None, next_year: bool) -> date:
    if name == "next_month":
        return _later(day.replace(day=1), 1)
    if name == "next_quarter":
        return _later(day.replace(day=1), 3 - (day.month - 1) % 3)
    if name == "chinese_new_year":
        back = [date.fromisoformat(one) + _AFTER_CHINESE_NEW_YEAR for one in _CHINESE_NEW_YEARS.split()]
        return next((one for one in back if one > day), day)
    if name in _MOVING:
        return next(one for one in map(_MOVING[name], (day.year, day.year + 1)) if one > day)
    chosen = date(year or day.year, *_FIXED[name])
    if next_year and not year and name != "next_year":
        return chosen.replace(year=day.year + 1)
    return chosen if year else _coming(chosen, day)


def _years(text: str, day: date) -> Iterator[date]:
    yield from (date(int(found[1]), 1, 1) for found in _BARE_YEAR.finditer(text) if int(found[1]) <= day.year + 5)


def _spans(text: str, day: date) -> Iterator[date]:
    for words in _all():
        for found in words.span.finditer(text):
            if found["past"] or found["ago"]:
                continue
            unit = next(name for name in _UNITS if found[name])
            yield from _counted(day, unit, _number(found))


def _number(found: re.Match[str]) -> float:
    if found["digits"]:
        return float(found["digits"])
    return next(
        (value for name, value in (("half", 0.5), ("one_half", 1.5), ("few", 3.0)) if found[name]),
        next((float(number) for number in range(1, 13) if found[f"n{number}"]), 0.0),
    )


def _counted(day: date, unit: str, number: float) -> Iterator[date]:
    months = {"months": 1, "quarters": 3, "years": 12}.get(unit)
    if not number or number > 400:
        return
    if months is None:
        yield day + timedelta(days=round(number * (7 if unit == "weeks" else 1)))
    elif number * months <= 120:
        whole, rest = divmod(number * months, 1)
        yield _later(day, int(whole)) + timedelta(days=round(rest * 30))


def _later(day: date, months: int) -> date:
    """The same day so many months on; the last of the month where it has no such day."""
    years, month = divmod(day.month - 1 + months, 12)
    first = date(day.year + years, month + 1, 1)
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return last.replace(day=min(day.day, last.day))


def _coming(chosen: date, day: date) -> date:
    """The next time that this day of the year comes."""
    if chosen > day:
        return chosen
    return date(chosen.year + 1, chosen.month, min(chosen.day, 28) if chosen.month == 2 else chosen.day)


# ---- the wordings

_DATED = (
    r"(?:(?P<past>{past}) )?(?:(?P<second>{second})|(?P<mid>{mid})|(?P<late>{late})|(?P<after>{after}))?[\s-]?(?:{article} )?"
    r"(?:(?P<day>\d{1,2})(?:st|nd|rd|th|er|[\u00ba\u00aa.])?(?: of| de)? )?(?:{month})\.?"
    r"(?: (?P<day_after>\d{1,2})(?:st|nd|rd|th)?(?! ?(?:[:%\d]|uhr|uur|h\b)))?"
)
_COUNTED = r"(?:(?P<past>{past}) )?(?:{number}) (?:{more} )?(?:{unit})(?: (?P<ago>{ago}))?"
_UNITS = ("days", "weeks", "months", "quarters", "years")


@cache
def _all() -> tuple[_Words, ...]:
    past = "|".join(language.wake["past"] for language in languages() if language.spaced)
    return tuple(
        _words(language.wake | ({"past": past} if language.spaced else {}), language.spaced) for language in languages()
    )


def _words(table: Mapping[str, Any], spaced: bool) -> _Words:
    periods: Mapping[str, str] = table["periods"]
    fill = {
        name: table.get(name) or "(?!)" for name in ("past", "ago", "after", "second", "mid", "late", "more", "article")
    }
    fill["month"] = _numbered("m", table["months"].split())
    fill["number"] = "|".join(
        (r"(?P<digits>\d{1,3})", _named(table, "one_half", "half", "few"), _numbered("n", table["counts"].split()))
    )
    fill["unit"] = _named(table["units"], *_UNITS)
    counted_past = "|".join(filter(None, (fill["past"], table.get("past_before_span"))))
    return _Words(
        month=_compiled(_filled(table.get("dated", _DATED), fill), spaced),
        quarter=tuple(_compiled(line, spaced) for line in table["quarters"].strip().splitlines()),
        week=_compiled(table.get("calendar_week") or "(?!)()", spaced),
        named=tuple((name, _compiled(source, spaced)) for name, source in periods.items()),
        span=_compiled(_filled(table.get("counted", _COUNTED), fill | {"past": counted_past}), spaced),
        next_year=_compiled(periods["next_year"], spaced),
    )


def _numbered(letter: str, sources: list[str]) -> str:
    """Alternatives as groups m1, m2 ..., the last first, since 12 begins as 1 does in languages without blanks."""
    return "|".join(f"(?P<{letter}{at}>{sources[at - 1]})" for at in range(len(sources), 0, -1))


def _named(table: Mapping[str, str], *names: str) -> str:
    return "|".join(f"(?P<{name}>{table.get(name) or '(?!)'})" for name in names)


def _filled(template: str, fill: Mapping[str, str]) -> str:
    for name, source in fill.items():
        template = template.replace(f"{{{name}}}", source)
    return template


def _compiled(source: str, spaced: bool) -> re.Pattern[str]:
    text = fold_accents(source).replace(" ?", r"\s*").replace(" ", r"\s+" if spaced else r"\s*").replace("'", "'?")
    return re.compile(rf"(?<!\w)(?:{text})(?!\w)" if spaced else text)
