"""``python -m bench [PART[=SIZE] ...]``: performance as ratios and counts, each measured in one run. Without a name: all
parts. ``SIZE`` is for the parts that take one: cpu=5000, memory=200000 (messages). ``..._outlook`` measures the same of an Outlook
mailbox."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from bench.figures import say
from bench.sides import GOOGLE, MICROSOFT

OF_BOTH = ("cpu", "memory", "idle", "audit", "refresh")
PARTS = (
    *("first_sync", "first_sync_outlook"),
    *(name for part in OF_BOTH for name in (part, f"{part}_outlook")),
    *("import", "matching"),
)


def main(asked: list[str]) -> int:
    """Run the parts named. Exit status 2 for a part that does not exist."""
    chosen = [one.partition("=")[::2] for one in asked or PARTS]
    unknown = [name for name, _ in chosen if name not in PARTS]
    if unknown:
        say(f"There is no part {', '.join(unknown)}; there are: {', '.join(PARTS)}.")
        return 2
    for name, size in chosen:
        part = name.removesuffix("_outlook")
        sides = [MICROSOFT if name.endswith("_outlook") else GOOGLE] if part in OF_BOTH else []
        run: Any = import_module(f"bench.bench_{part if sides else name}").run
        run(*sides, *[int(size)] if size else [])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
