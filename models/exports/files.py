"""Tables as files: a CSV each, or one workbook with a sheet each. What a spreadsheet program would take for a formula is
made harmless: it gets an apostrophe in front, which our import takes off again.
"""

import csv
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

from models.errors import Invalid
from models.exports.tables import Table, Value

FORMATS = ("csv", "xlsx")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
MOST_ROWS = 1_048_576
MOST_CELL = 32_767
"""What a sheet of a workbook can hold: rows, and characters in a cell."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
Told = Callable[[str, int], None]


def safe(value: Value) -> Value:
    """A cell that no program runs."""
    if not isinstance(value, str):
        return value
    text = _CONTROL.sub("", value)
    return f"'{text}" if text.startswith(FORMULA) else text


def write_folder(tables: Iterable[Table], folder: Path, told: Told = lambda name, rows: None) -> list[Path]:
    """A CSV for each table in a folder, made when it is not there; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for table in tables:
        path = folder / f"{_file(table)}.csv"
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            told(table.name, write_csv(table.columns, table.rows(), file))
        made.append(path)
    return made


def write_zip(tables: Iterable[Table], path: Path) -> None:
    """The same, packed into one file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for table in tables:
            with package.open(f"{_file(table)}.csv", "w") as raw, TextIOWrapper(raw, "utf-8-sig", newline="") as file:
                write_csv(table.columns, table.rows(), file)


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Value]], file: IO[str]) -> int:
    """Rows under their column names; how many."""
    count = 0
    writer = csv.writer(file)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([safe(value) for value in row])
        count += 1
    return count


def write_workbook(tables: Iterable[Table], path: Path, told: Told = lambda name, rows: None) -> None:
    """One workbook, written as a stream; a text longer than a cell is cut. Raises Invalid for more rows than a sheet holds."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    for table in tables:
        sheet: Any = book.create_sheet(table.name)
        sheet.append(list(table.columns))
        count = 0
        for count, row in enumerate(table.rows(), start=1):
            if count >= MOST_ROWS:
                raise Invalid(f"There are more {table.name} than a workbook holds; export as CSV.", "format")
            sheet.append([value[:MOST_CELL] if isinstance(value, str) else value for value in map(safe, row)])
        told(table.name, count)
    book.save(path)


def _file(table: Table) -> str:
    return table.name.replace(" ", "_")
