"""How a figure is told: one line ``figure NAME VALUE``, here and everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OUT = Path("out")


def figure(name: str, value: float | int) -> None:
    """Print one figure."""
    shown = f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    print(f"figure {name} {shown}", flush=True)  # noqa: T201


def say(text: str) -> None:
    """Print a line for people."""
    print(text, flush=True)  # noqa: T201


def keep_cases(name: str, cases: list[Any]) -> None:
    """Write the failing cases of a figure to ``out/NAME.jsonl`` (ids and reasons only, never text of mail)."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{name}.jsonl"
    path.write_text("".join(json.dumps(case, default=str) + "\n" for case in cases), encoding="utf-8")
    say(f"{len(cases)} cases to look at in {path}")
