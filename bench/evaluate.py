"""``make eval DATA=folder PARTS="enron parsing"``: figures on real mail, through the sandbox and the real client. Each part
of the folder that is absent is skipped with a line that says so; without names all parts are run."""

from __future__ import annotations

import sys
from pathlib import Path

from bench import (
    eval_crm,
    eval_duplicates,
    eval_enron,
    eval_intent,
    eval_machine,
    eval_parsing,
    eval_robots,
    eval_signatures,
    eval_suggestions,
)
from bench.figures import say

PARTS = {
    "enron": eval_enron.run,
    "suggestions": eval_suggestions.run,
    "intent": eval_intent.run,
    "parsing": eval_parsing.run,
    "lists_mail": eval_machine.run,
    "robots": eval_robots.run,
    "duplicates": eval_duplicates.run,
    "signatures": eval_signatures.run,
    "crm": eval_crm.run,
}
FOLDERS = {"signatures": "parsing", "robots": "enron", "duplicates": "enron"}
"""Where a part's data lie, if not in a folder of its own name."""


def main(folder: str, *names: str) -> int:
    """Run the parts named whose data are there. Exit status 0 when none failed, 2 for a part that does not exist."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        say(f"There is no part {', '.join(unknown)}; there are: {', '.join(PARTS)}.")
        return 2
    root = Path(folder)
    if not root.is_dir():
        say(f"skipped: there is no folder {root}; name another with make eval DATA=folder")
        return 0
    for name in names or PARTS:
        part = root / FOLDERS.get(name, name)
        if part.is_dir():
            PARTS[name](part)
        else:
            say(f"skipped {name}: {part} is absent")
    return 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["data"])))
