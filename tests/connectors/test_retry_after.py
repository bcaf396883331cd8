"""A Retry-After is read in one place, whoever sends it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.retry_after import seconds

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0),
        ("Mon, 02 Nov 2026 09:01:00 GMT", 60.0),
        ("Mon, 02 Nov 2026 08:00:00 GMT", 0.0),
    ],
)
def test_it_reads_seconds_and_dates(value: str, expected: float) -> None:
    assert seconds(value, NOW) == expected


@pytest.mark.parametrize(
    "value",
    ["", "soon", "-5", "nan", "inf", "1e9", "1.5", "\u00b2", "\u0663", "9" * 400, "Mon, 02 Nov 2026 09:01:00", "\x00"],
)
def test_what_makes_no_sense_is_none_and_never_raises(value: str) -> None:
    """A digit that is no number (a superscript, which a header may carry) once broke the delivery off."""
    assert seconds(value, NOW) is None


def test_fractions_are_read_of_whom_they_are_expected() -> None:
    assert seconds(" 0.5 ", NOW, fractions=True) == 0.5
