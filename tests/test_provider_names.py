"""Who the providers are is known to the connectors and to the door: everything else speaks of mailboxes, calendars and accounts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"google|gmail|microsoft|outlook|(?<![a-z])graph", re.IGNORECASE)
OUTSIDE = {"connectors", "sandbox", "bench", "tests", "docs"}
"""Packages that may name them: they reach them, play them, measure, test or describe them."""
DOOR = {"settings.py", "main.py", "house.py", "wiring.py", "connecting.py", "enrol.py", "demo.py"}
"""Where a person chooses a provider, and where rooms are put together."""
ALLOWED = {
    "models/addresses.py": "gmail.com is a domain in whose addresses dots do not count, and onmicrosoft.com one of many firms",
    "worker/match.py": "a sentence for people, about an address at gmail.com",
    "webapp/push.py": "the addresses at which each provider rings; they stand in its console",
}
"""File -> why it may."""


def named() -> dict[str, list[str]]:
    """The lines that name a provider, by the files that should have none."""
    files = [path for path in ROOT.glob("*.py") if path.name not in DOOR]
    for package in ROOT.glob("*/__init__.py"):
        if package.parent.name not in OUTSIDE:
            files += package.parent.rglob("*.py")
    found: dict[str, list[str]] = {}
    for path in files:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines() if NAMED.search(line)]
        if lines:
            found[path.relative_to(ROOT).as_posix()] = lines
    return found


def test_no_other_room_names_a_provider() -> None:
    assert {file: lines for file, lines in named().items() if file not in ALLOWED} == {}


def test_the_list_of_exceptions_is_no_longer_than_it_must_be() -> None:
    assert set(ALLOWED) <= set(named())


def test_every_room_is_looked_at() -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert {"models", "worker", "webapp"} <= rooms - OUTSIDE
    assert all((ROOT / name).exists() for name in DOOR)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('if provider == "google":', True),
        ("from connectors.microsoft import push", True),
        ("class GraphDoor:", True),
        ("OUTLOOK_PAGE = 100", True),
        ("at Gmail's rate", True),
        ("a paragraph of text", False),
        ("from cryptography.fernet import Fernet", False),
        ('if provider == "caldav":', False),
    ],
)
def test_a_name_is_seen_however_it_is_written(line: str, told: bool) -> None:
    assert bool(NAMED.search(line)) is told
