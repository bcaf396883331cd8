"""One cell: dates, amounts, addresses, domains; and what only the whole column tells."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from models.imports.cells import (
    date_hint,
    read_addresses,
    read_amount,
    read_date,
    read_domains,
    read_yes,
    text_of,
)
from models.imports.survey import Survey, decimal_mark, month_first, undecided_dates
from models.money import amount_hint

THIRD = datetime(2024, 4, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2024-04-03",
        "2024/4/3",
        "20240403",
        "3.4.2024",
        "03/04/24",
        "3 - 4 - 2024",
        "3 Apr 2024",
        "3rd April 2024",
        "3. April 2024",
        "Wed, 3 Apr 2024",
        "April 3, 2024",
        "3 avril 2024",
        "3 de abril de 2024",
        "45385",
        45385,
        45385.0,
        "1712102400000",
    ],
)
def test_a_day_is_read_however_it_is_written(written: str | int) -> None:
    assert read_date(written) == THIRD


def test_months_go_by_their_names_in_five_languages() -> None:
    for month, words in {
        1: "January Januar januari janvier enero",
        2: "Feb Februar février febrero",
        3: "March März maart mars marzo mrt",
        5: "May Mai mei mai mayo",
        6: "June Juni juin junio",
        7: "July Juli juillet julio",
        8: "August août agosto augustus",
        10: "October Oktober octobre octubre",
        12: "December Dezember décembre diciembre",
    }.items():
        for word in words.split():
            assert read_date(f"9 {word} 2023").month == month, word


def test_the_month_comes_first_where_the_column_says_so() -> None:
    assert read_date("04/03/2024", month_first=True) == THIRD
    assert read_date("2024-04-03", month_first=True) == THIRD


@pytest.mark.parametrize(
    ("written", "hour", "minute"),
    [
        ("2024-04-03 19:58", 19, 58),
        ("2024-04-03T19:58:01.500Z", 19, 58),
        ("2024-04-03T19:58:00+02:00", 17, 58),
        ("03-04-2024 19:58", 19, 58),
        ("3/4/2024 7:58 PM", 19, 58),
        ("3/4/2024 12:05 am", 0, 5),
        (45385.75, 18, 0),
    ],
)
def test_times_and_zones_are_kept(written: str | float, hour: int, minute: int) -> None:
    found = read_date(written)
    assert (found.day, found.hour, found.minute) == (3, hour, minute)


def test_serial_days_may_count_from_1904() -> None:
    assert read_date(43923, from_1904=True) == THIRD


@pytest.mark.parametrize(
    "written", ["soon", "31/02/2024", "13/13/2024", "2024-13-01", "1", 12, "0003-01-01", "1/2", ""]
)
def test_what_is_no_date_is_refused_in_a_sentence(written: str) -> None:
    with pytest.raises(ValueError, match="date"):
        read_date(written)


@pytest.mark.parametrize(
    ("written", "minor", "currency"),
    [
        ("48000", 4_800_000, ""),
        (48000.5, 4_800_050, ""),
        ("48,000.50", 4_800_050, ""),
        ("48.000,50", 4_800_050, ""),
        ("48 000,50", 4_800_050, ""),
        ("48\u202f000,50 €", 4_800_050, "EUR"),
        ("48'000.50 CHF", 4_800_050, "CHF"),
        ("€ 48.000", 4_800_000, "EUR"),
        ("US$ 1,234,567", 123_456_700, "USD"),
        ("$250k", 25_000_000, "USD"),
        ("1.2m", 120_000_000, ""),
        ("1,5 Mio. EUR", 150_000_000, "EUR"),
        ("EUR 99,9", 9_990, "EUR"),
        ("12,34,567.00", 123_456_700, ""),
        ("0", 0, ""),
        ("5.-", 500, ""),
    ],
)
def test_amounts_are_read_however_they_are_written(written: str | float, minor: int, currency: str) -> None:
    assert read_amount(written) == (minor, currency)


def test_a_lone_mark_before_three_digits_goes_by_its_column() -> None:
    assert read_amount("1,234")[0] == 123_400
    assert read_amount("1,234", mark=",")[0] == 123
    assert read_amount("1.234", mark=",")[0] == 123_400
    assert read_amount("1.234,5", mark=".")[0] == 123_450


@pytest.mark.parametrize("written", ["much", "12 apples", "-5", "(500)", "5-", "1e400", "", "9" * 15, "٣"])
def test_what_is_no_amount_is_refused_in_a_sentence(written: str) -> None:
    with pytest.raises(ValueError, match=r"amount"):
        read_amount(written)


def test_several_addresses_in_a_cell_are_told_apart() -> None:
    cell = '"Bea, Buyer" <Bea@Northwind.example>; bea@home.example, mailto:b@x.example\nbea@home.example'
    assert read_addresses(cell) == (["bea@northwind.example", "bea@home.example", "b@x.example"], [])
    assert read_addresses("bea@x.example / bea@@y") == (["bea@x.example"], ["bea@@y"])
    assert read_addresses("none") == ([], ["none"])
    assert read_addresses("") == ([], [])


def test_domains_come_from_web_addresses_and_free_mail_is_none() -> None:
    assert read_domains("https://www.acme.co.uk/about, shop.acme.example") == (["acme.co.uk", "acme.example"], [])
    assert read_domains("gmail.com nonsense") == ([], ["gmail.com", "nonsense"])


def test_yes_is_said_in_many_ways() -> None:
    assert all(map(read_yes, ("yes", "TRUE", "1", "ja", "Sí", "x"))) and not any(
        map(read_yes, ("no", "", "0", "FALSE"))
    )


def test_a_whole_number_is_shown_without_a_point() -> None:
    assert (text_of(1054.0), text_of(0.5), text_of(None), text_of(" a\0 ")) == ("1054", "0.5", "", "a")


def test_hints_say_only_what_is_certain() -> None:
    assert [date_hint(d) for d in ("13/1/2024", "1/13/2024", "1/2/2024", "13/13/2024", "x")] == [
        "day",
        "month",
        "either",
        "",
        "",
    ]
    assert [amount_hint(a) for a in ("1.234,5", "1,234.5", "1.234.567", "12,5", "1,234", "7")] == [
        ",",
        ".",
        ",",
        ",",
        "",
        "",
    ]


def _facts(*columns: list[str]) -> dict[str, dict[str, object]]:
    survey = Survey([str(place) for place in range(len(columns))])
    for row in zip(*columns, strict=True):
        survey.add(list(row))
    return survey.facts()


def test_one_telling_date_decides_for_its_column_and_then_for_the_file() -> None:
    facts = _facts(["01/02/2024", "01/31/2024"], ["01/02/2024", "03/04/2024"], ["31.01.2024", "01.02.2024"])
    assert month_first(facts, "0") and not month_first(facts, "2")
    assert not month_first(facts, "1"), "the others disagree; the day comes first"
    assert month_first(_facts(["01/02/2024"], ["01/31/2024"]), "0")
    assert month_first(facts, "1", "month") and not month_first(facts, "0", "day")


def test_a_file_whose_dates_all_go_both_ways_is_told_so() -> None:
    assert undecided_dates(_facts(["01/02/2024", "03/04/2024"]), "0")
    assert not undecided_dates(_facts(["01/02/2024", "13/04/2024"]), "0")


def test_the_decimal_mark_is_the_columns() -> None:
    assert decimal_mark(_facts(["1.234", "99,5"])["0"]) == ","  # type: ignore[arg-type]
    assert decimal_mark(_facts(["1,234", "99"])["0"]) == ""  # type: ignore[arg-type]


def test_a_column_with_too_many_values_keeps_none() -> None:
    facts = _facts([f"v{n}" for n in range(500)], ["same"] * 500)
    assert facts["0"]["values"] is None and facts["1"]["values"] == {"same": 500}
