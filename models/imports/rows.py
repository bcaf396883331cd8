"""What every row of an import has in common: its cells by field, and what becomes of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from models.imports.cells import Cell, text_of
from models.imports.sheet import Row
from models.imports.store import Import
from models.imports.survey import decimal_mark, month_first

Outcome = Literal["created", "updated", "same"]


class Fault(Exception):
    """Why a row is not taken; a sentence for people."""


@dataclass(frozen=True)
class Plan:
    """How an import's cells are to be read: places of the columns by field, which of their dates name the month first, how
    their decimals are set apart."""

    places: Mapping[str, tuple[int, ...]]
    columns: list[str]
    months_first: frozenset[int]
    marks: Mapping[int, str]
    from_1904: bool
    currency: str
    stages: Mapping[str, int]
    owners: Mapping[str, int]
    announce: bool


@dataclass
class Taken:
    """What became of the rows of one part. ``keys``: what each settled row is known by, to see repetitions."""

    created: int = 0
    updated: int = 0
    same: int = 0
    faults: list[dict[str, Any]] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        setattr(self, outcome, getattr(self, outcome) + 1)

    def say(self, row: Row, reason: str, *, taken: bool) -> None:
        self.faults.append({"row": row[0], "taken": taken, "reason": reason, "cells": row[1]})

    @property
    def refused(self) -> int:
        return sum(not fault["taken"] for fault in self.faults)


Seen = dict[int, int]
"""Row number by the hash of what a row is known by: which rows of this file were settled before."""


def plan_of(row: Import, default_currency: str) -> Plan:
    """How to read an import's cells."""
    places: dict[str, list[int]] = {}
    for place, column in enumerate(row.columns):
        if column in row.mapping:
            places.setdefault(row.mapping[column], []).append(place)
    return Plan(
        places={name: tuple(found) for name, found in places.items()},
        columns=row.columns,
        months_first=frozenset(
            place for place, column in enumerate(row.columns) if month_first(row.facts, column, row.date_order)
        ),
        marks={place: decimal_mark(row.facts[column]) for place, column in enumerate(row.columns)},
        from_1904=row.from_1904,
        currency=row.currency or default_currency,
        stages=row.stages,
        owners=row.owners,
        announce=row.announce,
    )


class Cells:
    """One row's cells, by field. Raises Fault when there are more cells than columns."""

    def __init__(self, plan: Plan, row: Row) -> None:
        self.plan, self.number, self._cells = plan, row[0], row[1]
        if any(text_of(cell) for cell in row[1][len(plan.columns) :]):
            raise Fault(
                f"This row has {len(row[1])} cells, the first one {len(plan.columns)}: perhaps a text with the separator "
                "in it lacks its quotation marks."
            )

    def __contains__(self, name: str) -> bool:
        """Whether a column of the file stands for the field."""
        return name in self.plan.places

    def text(self, name: str, most: int = 200) -> str:
        """A field's text on one line. Raises Fault when it is too long."""
        found = " ".join(" ".join(text_of(cell) for _, cell in self.filled(name)).split())
        if len(found) > most:
            raise Fault(f"{self._named(name)} has more than {most} characters.")
        return found

    def filled(self, name: str) -> Iterator[tuple[int, Cell]]:
        """(place, cell) of every cell of a field that holds something."""
        for place in self.plan.places.get(name, ()):
            if place < len(self._cells) and text_of(self._cells[place]):
                yield place, self._cells[place]

    def date(self, name: str, read: Any) -> datetime | None:
        """A field's date. Raises Fault."""
        for place, cell in self.filled(name):
            try:
                return read(cell, month_first=place in self.plan.months_first, from_1904=self.plan.from_1904)
            except ValueError as error:
                raise Fault(f"{self.plan.columns[place]}: {error}") from None
        return None

    def amount(self, name: str, read: Any) -> tuple[int, str] | None:
        """A field's amount: hundredths and the currency, if the cell names one. Raises Fault."""
        for place, cell in self.filled(name):
            try:
                return read(cell, mark=self.plan.marks[place])
            except ValueError as error:
                raise Fault(f"{self.plan.columns[place]}: {error}") from None
        return None

    def _named(self, name: str) -> str:
        return self.plan.columns[self.plan.places[name][0]]
