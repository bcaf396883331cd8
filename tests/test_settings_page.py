"""docs/settings.md says what settings.py says: ``make docs`` writes it anew."""

from __future__ import annotations

from pathlib import Path

from docs.settings_page import page

ROOT = Path(__file__).parents[1]


def test_every_setting_is_documented_as_it_is() -> None:
    assert (ROOT / "docs/settings.md").read_text(encoding="utf-8") == page(), "run: make docs"
