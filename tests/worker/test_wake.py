"""When a shelved deal wakes: the first day of what the customer named, in six languages, counted from the mail."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from worker.wake import easter, wake_date

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
NAMED = [
    ("Let's talk on 2026-05-04.", "2026-05-04"),
    ("ab dem 15.09.2026 wieder", "2026-09-15"),
    ("on 3 May", "2026-05-03"),
    ("not before October 12th", "2026-10-12"),
    ("in February", "2027-02-01"),
    ("second half of October", "2026-10-16"),
    ("eind juni", "2026-06-24"),
    ("after October", "2026-11-01"),
    ("im Juli nächsten Jahres", "2027-07-01"),
    ("our fiscal year starts in April, in the next fiscal year then", "2026-04-01"),
    ("in KW 36", "2026-08-31"),
    ("in Q1", "2027-01-01"),
    ("in het vierde kwartaal", "2026-10-01"),
    ("au deuxième semestre", "2026-07-01"),
    ("next month", "2026-04-01"),
    ("next quarter", "2026-04-01"),
    ("im Herbst", "2026-09-01"),
    ("after Easter", "2026-04-07"),
    ("nach Pfingsten", "2026-05-26"),
    ("in two weeks", "2026-03-16"),
    ("dans un an", "2027-03-02"),
    ("anderhalf jaar verder", "2027-09-02"),
    ("三月底", "2026-03-24"),
    ("明年三月", "2027-03-01"),
    ("十一月", "2026-11-01"),
    ("半年后", "2026-09-02"),
    ("两周后", "2026-03-16"),
    ("过完国庆", "2026-10-08"),
]
UNNAMED = [
    "We may talk again.",
    "Jan is away.",
    "two weeks ago",
    "seit drei Jahren",
    "hace dos meses",
    "depuis mai",
    "",
]


@pytest.mark.parametrize(("text", "day"), NAMED)
def test_it_is_the_first_day_of_what_is_named(text: str, day: str) -> None:
    assert wake_date(text, AT) == date.fromisoformat(day)


@pytest.mark.parametrize("text", UNNAMED)
def test_the_past_and_look_alikes_name_no_day(text: str) -> None:
    assert wake_date(text, AT) is None


@pytest.mark.parametrize("text", ["2026-13-45", "31.02.2026", "in 9999 months", "in 400 years", "KW 99", "30 February"])
def test_days_that_do_not_exist_are_none(text: str) -> None:
    found = wake_date(text, AT)
    assert found is None or found.year <= 2027


def test_the_end_of_a_month_that_is_shorter() -> None:
    assert wake_date("in one month", datetime(2026, 1, 31, tzinfo=UTC)) == date(2026, 2, 28)
    assert wake_date("in einem Monat", datetime(2028, 1, 31, tzinfo=UTC)) == date(2028, 2, 29)


def test_after_the_chinese_new_year_is_the_week_work_resumes() -> None:
    assert wake_date("春节后再说", datetime(2026, 1, 5, tzinfo=UTC)) == date(2026, 2, 24)


def test_it_always_lies_ahead() -> None:
    for month in range(1, 13):
        at = datetime(2026, month, 28, 12, tzinfo=UTC)
        for text, _ in NAMED[3:]:
            found = wake_date(text, at)
            assert found is None or found > at.date(), (text, at)


def test_easter() -> None:
    assert [easter(year) for year in (2024, 2025, 2026, 2038)] == [
        date(2024, 3, 31),
        date(2025, 4, 20),
        date(2026, 4, 5),
        date(2038, 4, 25),
    ]
