"""A spreadsheet of a hundred thousand contacts: how much memory it costs beyond what the process has anyway, and how many
statements and how much processor time a row. Reading and taking are measured in this process; nothing runs beside it."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from openpyxl import Workbook
from sqlalchemy import event

import house as building
from bench.figures import figure, say
from models.imports.run import keep_file
from models.imports.store import Import, ask_for, claim_import
from worker.importing import run_import

ROWS = 100_000
WARM = 1_500
TARGET = 60
"""Megabytes of growth that are allowed."""
HEADER = ("First name", "Last name", "Email", "Company", "Title", "Phone", "Street", "Notes")


def run(rows: int = ROWS) -> None:
    """Print import.rss_growth_mb, import.cpu_ms_a_row, import.statements_a_row and the same of reading an XLSX."""
    say(f"import: {rows:,} contacts from a spreadsheet; target: memory grows by less than {TARGET} MB")
    with tempfile.TemporaryDirectory(prefix="dealtrail-bench-") as folder:
        place = Path(folder)
        house = building.open_house(_env_file=None, data_dir=place / "data", log_level="error")
        _take(house, _csv(place / "warm.csv", WARM, "warm"), WARM)
        _read(house, _xlsx(place / "warm.xlsx", WARM))
        _measure(house, place, rows)
        house.db.close()


def _measure(house: building.House, place: Path, rows: int) -> None:
    book = _xlsx(place / "people.xlsx", rows)
    memory = Memory()
    _read(house, book, memory)
    figure("import.xlsx_read_rss_growth_mb", memory.growth())
    path = _csv(place / "people.csv", rows, "p")
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    event.listen(house.db.engine, "before_cursor_execute", count)
    memory, began = Memory(), time.process_time()
    taken = _take(house, path, rows, memory)
    figure("import.rows_taken", taken)
    figure("import.rss_growth_mb", memory.growth())
    figure("import.cpu_ms_a_row", (time.process_time() - began) * 1_000 / rows)
    figure("import.statements_a_row", statements / rows)


class Memory:
    """Resident megabytes, and by how many they grew at the most since."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._most = self._now()

    def look(self, _row: object = None) -> None:
        self._most = max(self._most, self._now())

    def growth(self) -> float:
        self.look()
        return self._most - self._before

    def _now(self) -> float:
        return self._process.memory_info().rss / 2**20


def _read(house: building.House, path: Path, memory: Memory | None = None) -> int:
    look = memory.look if memory else (lambda rows: None)
    return keep_file(house.db, path, kind="contacts", file_name=path.name, user_id=None, now=building.now(), told=look)


def _take(house: building.House, path: Path, rows: int, memory: Memory | None = None) -> int:
    """Read and take a file to its end; how many contacts were made."""
    import_id = _read(house, path, memory)
    work = house.work()
    with house.db.write() as session:
        ask_for(session, session.get_one(Import, import_id), "running", now=building.now())
    while True:
        with house.db.write() as session:
            row = session.get_one(Import, import_id)
            if row.state != "running":
                return row.created
            owner = claim_import(session, import_id, now=building.now(), seconds=600)
        run_import(work, import_id, owner, told=memory.look if memory else (lambda row: None))


def _some(start: int, end: int, tag: str) -> Iterator[tuple[str, ...]]:
    """Invented people, five at each firm."""
    for n in range(start, end):
        firm = f"{n // 5}-{tag}"
        yield (
            *(f"First {n}", f"Last {n}", f"{tag}{n}@firm{firm}.example", f"Firm {firm}"),
            *("Buyer", f"0{n}", "x" * 40, "y" * 80),
        )


def _csv(path: Path, rows: int, tag: str) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(_some(0, rows, tag))
    return path


def _xlsx(path: Path, rows: int) -> Path:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("People")
    sheet.append(HEADER)
    for row in _some(0, rows, "x"):
        sheet.append(row)
    book.save(path)
    return path
