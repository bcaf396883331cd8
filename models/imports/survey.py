"""A look at whole columns before any cell is read: how many cells are filled, which values there are, which way round dates
and amounts are written. One pass, whatever the columns turn out to mean."""

import re
from collections import Counter
from typing import Any

from models.imports.cells import Cell, date_hint, plain, text_of
from models.money import amount_hint

MOST_VALUES = 400
"""Different values of a column that are kept with their counts; a column with more is not one of stages or owners."""
_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@]+\.[^\s@]+")


class Survey:
    """Fed row by row; ``facts`` at the end."""

    def __init__(self, columns: list[str]) -> None:
        self._columns = [_Column() for _ in columns]
        self._names = columns
        self.rows = 0

    def add(self, cells: list[Cell]) -> None:
        """One more row."""
        self.rows += 1
        for column, cell in zip(self._columns, cells, strict=False):
            text = text_of(cell)
            if text:
                column.add(text)

    def facts(self) -> dict[str, Any]:
        """By column name: filled, addresses (share), values (counted, None when too many), day, month, either (dates by
        what comes first), comma, point (amounts by their decimal mark)."""
        return {name: column.facts() for name, column in zip(self._names, self._columns, strict=True)}


def facts_of(columns: list[str], rows: list[list[Cell]]) -> dict[str, Any]:
    """The facts of some rows at once."""
    survey = Survey(columns)
    for row in rows:
        survey.add(row)
    return survey.facts()


class _Column:
    def __init__(self) -> None:
        self.filled = self.addresses = 0
        self.values: Counter[str] | None = Counter()
        self.hints: Counter[str] = Counter()

    def add(self, text: str) -> None:
        self.filled += 1
        if self.values is not None and (len(text) > 100 or self._count(text) > MOST_VALUES):
            self.values = None
        if "@" in text and _ADDRESS.search(text):
            self.addresses += 1
        elif len(text) < 40 and any(c.isdigit() for c in text):
            self.hints[date_hint(plain(text)) or amount_hint(text)] += 1

    def _count(self, text: str) -> int:
        assert self.values is not None
        self.values[text] += 1
        return len(self.values)

    def facts(self) -> dict[str, Any]:
        return {
            "filled": self.filled,
            "addresses": round(self.addresses / self.filled, 3) if self.filled else 0.0,
            "values": dict(self.values.most_common()) if self.values is not None else None,
            "day": self.hints["day"],
            "month": self.hints["month"],
            "either": self.hints["either"],
            "comma": self.hints[","],
            "point": self.hints["."],
        }


def decimal_mark(facts: dict[str, Any]) -> str:
    """What sets the decimals of a column apart; empty when nothing in it tells."""
    if facts["comma"] == facts["point"]:
        return ""
    return "," if facts["comma"] > facts["point"] else "."


def month_first(facts: dict[str, dict[str, Any]], column: str, order: str = "auto") -> bool:
    """Whether a column's dates name the month first: as said, else by the column itself, else by the file's other columns,
    else no."""
    if order in ("day", "month"):
        return order == "month"
    own = facts[column]
    if own["day"] != own["month"]:
        return own["month"] > own["day"]
    return sum(one["month"] for one in facts.values()) > sum(one["day"] for one in facts.values())


def undecided_dates(facts: dict[str, dict[str, Any]], column: str) -> bool:
    """Whether nothing in the file tells which way round a column's dates are."""
    return bool(facts[column]["either"]) and not any(one["month"] or one["day"] for one in facts.values())
