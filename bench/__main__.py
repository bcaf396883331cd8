"""``python -m bench [PART ...]``: performance as ratios and counts, each measured in one run. Without a name: all parts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module

PARTS = ("first_sync", "cpu", "memory", "idle", "audit", "refresh")


def main(names: list[str]) -> int:
    """Run the parts named. Exit status 2 for a part that does not exist."""
    from bench.figures import say

    unknown = [name for name in names if name not in PARTS]
    if unknown:
        say(f"There is no part {', '.join(unknown)}; there are: {', '.join(PARTS)}.")
        return 2
    for name in names or PARTS:
        run: Callable[[], None] = import_module(f"bench.bench_{name}").run
        run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
