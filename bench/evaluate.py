"""``make eval DATA=folder``: figures on real mail, through the sandbox and the real client. Each part of the folder that is
absent is skipped with a line that says so."""

from __future__ import annotations

import sys
from pathlib import Path

from bench import eval_enron, eval_suggestions
from bench.figures import say

PARTS = {"enron": eval_enron.run, "suggestions": eval_suggestions.run}


def main(folder: str) -> int:
    """Run every part whose data are there. Exit status 0 when none failed."""
    root = Path(folder)
    if not root.is_dir():
        say(f"skipped: there is no folder {root}; name another with make eval DATA=folder")
        return 0
    for name, run in PARTS.items():
        part = root / name
        if part.is_dir():
            run(part)
        else:
            say(f"skipped {name}: {part} is absent")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "data"))
