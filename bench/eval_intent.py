"""Intent: what single sentences say by themselves, against the labels that people gave them.

``prospect_replies.csv`` holds replies to a first mail, labelled positive, neutral or negative: a negative one should be a
refusal or a postponement, the others neither, and none of them wins a deal whose offer is on the table (a "yes, I would love
a demo" is no order). ``sentences_intent.csv`` holds sentences of office mail, labelled 1 where they ask for something.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.figures import figure, keep_cases, say
from worker import signals, suggest
from worker.timeline_view import DealView, Line, Signal

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
REFUSING = {"reject", "postpone"}


def run(folder: Path) -> None:
    """Print intent.agreement, refused_precision, refused_recall, false_won, and request_precision and request_recall."""
    missed = list(_replies(_rows(folder / "prospect_replies.csv")))
    missed += list(_requests(_rows(folder / "sentences_intent.csv")))
    keep_cases("intent", missed)


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a file; none when it is absent."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _replies(rows: Sequence[dict[str, str]]) -> Iterator[dict[str, object]]:
    """The rows (by their place in the file) in which signals and label do not agree."""
    tally: Counter[tuple[bool, bool]] = Counter()
    won = 0
    for number, row in enumerate(rows, 2):
        line = _line(row["text"])
        said = signals.read(line)
        refused, due = bool({signal.kind for signal in said} & REFUSING), row["label"] == "negative"
        tally[due, refused] += 1
        outcome = suggest.decide(_deal(), [line], NOW + timedelta(hours=1), {1: said})
        won += outcome is not None and outcome.to == "won"
        if refused != due:
            yield {"file": "prospect_replies", "row": number, "label": row["label"], "rules": _named(said)}
    if rows:
        figure("intent.replies", len(rows))
        figure("intent.agreement", (tally[True, True] + tally[False, False]) / len(rows))
        _precision_and_recall("intent.refused", tally)
        figure("intent.false_won", won)


def _requests(rows: Sequence[dict[str, str]]) -> Iterator[dict[str, object]]:
    tally: Counter[tuple[bool, bool]] = Counter()
    for number, row in enumerate(rows, 2):
        said = signals.read(_line(row["sentence"]))
        asked, due = any(signal.kind == "request" for signal in said) or "?" in row["sentence"], row["intent"] == "1"
        tally[due, asked] += 1
        if asked != due:
            yield {"file": "sentences_intent", "row": number, "label": row["intent"], "rules": _named(said)}
    if rows:
        say(f"  {len(rows)} sentences of office mail")
        _precision_and_recall("intent.request", tally)


def _precision_and_recall(name: str, tally: Counter[tuple[bool, bool]]) -> None:
    """``tally``: (what people say, what we say) -> number of rows."""
    right = tally[True, True]
    figure(f"{name}_precision", right / ((right + tally[False, True]) or 1))
    figure(f"{name}_recall", right / ((right + tally[True, False]) or 1))


def _line(text: str) -> Line:
    return Line(1, "email", "inbound", NOW, sender="bea@northwind.example", new=text)


def _deal() -> DealView:
    return DealView(1, "", 1, "proposal", 10.0, NOW - timedelta(days=10), 30, 1)


def _named(said: Sequence[Signal]) -> list[str]:
    return sorted({signal.rule for signal in said})
