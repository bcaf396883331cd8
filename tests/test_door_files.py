"""A file of the door is named wherever the files of the door are listed: what is built, shipped, checked and described."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
FILES = {path.name for path in ROOT.glob("*.py")}
MODULES = {name.removesuffix(".py") for name in FILES}


def forbidden() -> set[str]:
    """What no room may import."""
    contracts = PROJECT["importlinter"]["contracts"]
    return set(next(one for one in contracts if one["name"].startswith("no room knows"))["forbidden_modules"])


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ("the wheel", {name for name in PROJECT["hatch"]["build"]["targets"]["wheel"]["only-include"] if "." in name}),
        ("pyright", {name for name in PROJECT["pyright"]["include"] if name.endswith(".py")}),
        ("the image", set(re.findall(r"\w+\.py(?= )", (ROOT / "Dockerfile").read_text("utf-8")))),
    ],
)
def test_it_is_listed_by_its_name(where: str, named: set[str]) -> None:
    assert named == FILES, where


def test_no_room_may_import_it_and_its_imports_are_sorted_as_ours() -> None:
    assert forbidden() >= MODULES
    assert set(PROJECT["ruff"]["lint"]["isort"]["known-first-party"]) >= MODULES


def test_the_page_on_architecture_says_what_it_is_for() -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    assert {name for name in FILES if f"`{name}`" not in page} == set()


def test_every_file_that_a_page_names_is_there() -> None:
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"]
    named = {name for page in pages for name in re.findall(r"`([\w/]+\.(?:py|md))`", page.read_text("utf-8"))}
    assert len(named) > 20
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_what_runs_is_what_lies_here() -> None:
    """An installed ``dealtrail`` runs the checkout, not copies of it that grow old."""
    assert PROJECT["hatch"]["build"]["dev-mode-dirs"] == ["."]
    assert "force-include" not in PROJECT["hatch"]["build"]["targets"]["wheel"]
    site = Path(pytest.__file__).parents[1]
    assert not (site / "house.py").exists()
