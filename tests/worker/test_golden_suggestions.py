"""Every row of ``golden_suggestions.md``: the rules suggest what the page says, and quote what it prints in bold."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import pytest

from tests.worker.golden import Row
from tests.worker.stories import quoted, stories, told

ROWS = list(stories())
WAKE_SLACK = timedelta(days=10)


def test_the_page_is_whole() -> None:
    names = Counter(name for name, _ in ROWS)
    assert len(ROWS) >= 300 and max(names.values()) == 1, names.most_common(1)
    per_language = Counter(row["lang"] for _, row in ROWS)
    assert set(per_language) == {"en", "nl", "fr", "de", "es", "zh"} and min(per_language.values()) >= 25


@pytest.mark.parametrize("row", [row for _, row in ROWS], ids=[name for name, _ in ROWS])
def test_it_suggests_as_the_page_says(row: Row) -> None:
    story = told(row)
    found = story.suggested()
    wanted, _, wake = row["suggestion"].partition(" ")
    assert (found.to if found else "none") == wanted, found or story.read()
    assert not found or not story.evidence or quoted(story.evidence, found), found
    if found and wanted == "fridge":
        assert (found.wake_on is not None) == bool(wake), found.wake_on
        assert not wake or abs(date.fromisoformat(wake) - (found.wake_on or date.min)) <= WAKE_SLACK, found.wake_on
