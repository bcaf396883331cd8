"""A spreadsheet file as a stream of rows: CSV of any usual encoding and separator, or XLSX. Content decides, not the name.

Raises ``Invalid`` with one sentence for what is no spreadsheet, an empty one, one without column names, and what would only
fill the memory (a packed file that unpacks to far more).
"""

import codecs
import csv
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any

from models.errors import Invalid
from models.imports.cells import Cell, text_of

MOST_BYTES = 50 * 2**20
MOST_UNPACKED = 400 * 2**20
MOST_SHARED = 64 * 2**20
"""Bytes of a file, of an XLSX unpacked, and of its table of texts, which is held in memory."""
MOST_COLUMNS = 300
MOST_ROWS = 1_000_000
LOOKED_AT = 15
"""Rows in which the column names are looked for."""
ENCODINGS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_MAGIC = {
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls), or one with a password; save it as .xlsx or CSV",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"{\\rtf": "a text document",
    b"\x1f\x8b": "a packed file (.gz); unpack it first",
}

Row = tuple[int, list[Cell]]
"""Its number as a spreadsheet shows it, from 1, and its cells."""
Score = Callable[[list[str]], int]
"""How many of a row's cells are known as column names."""


@dataclass(frozen=True)
class Sheet:
    """An open spreadsheet: how it is written in words, its column names (each once), and the rows below them, blank ones
    left out. ``from_1904``: its serial dates count from there."""

    how: str
    columns: list[str]
    rows: Iterator[Row]
    from_1904: bool = False


@contextmanager
def open_sheet(path: Path, score: Score) -> Iterator[Sheet]:
    """Open a file. Raises Invalid."""
    size = path.stat().st_size
    if size == 0:
        raise Invalid("The file is empty.", "file")
    if size > MOST_BYTES:
        raise Invalid(f"The file is larger than {MOST_BYTES >> 20} MB; split it.", "file")
    with path.open("rb") as file:
        head = file.read(65_536)
    if head[:2] == b"PK":
        with _workbook(path, score) as sheet:
            yield sheet
    else:
        with _text(path, head, score) as sheet:
            yield sheet


def _sheet(how: str, rows: Iterable[Row], score: Score, from_1904: bool = False) -> Sheet:
    """Find the column names; the rest are rows. Raises Invalid."""
    filled = (row for row in rows if any(text_of(cell) for cell in row[1]))
    first = list(islice(filled, LOOKED_AT))
    if not first:
        raise Invalid("There is nothing in this file.", "file")
    place = _header(first, score)
    columns = _unique([" ".join(text_of(cell).split())[:200] for cell in _trimmed(first[place][1])])
    if len(columns) > MOST_COLUMNS:
        raise Invalid(f"The file has more than {MOST_COLUMNS} columns.", "file")
    return Sheet(how, columns, _bounded(chain(first[place + 1 :], filled)), from_1904)


def _header(rows: list[Row], score: Score) -> int:
    """Which of the first rows holds the column names: the one with most names known; else the first, if it looks like names
    at all. Raises Invalid."""
    points = [score([text_of(cell) for cell in cells]) if _like_names(cells) else 0 for _, cells in rows]
    best = max(range(len(rows)), key=points.__getitem__)
    if points[best]:
        return best
    if _like_names(rows[0][1]):
        return 0
    raise Invalid("The first row holds no column names. Put one above, such as Name, Company and Email.", "file")


def _like_names(cells: list[Cell]) -> bool:
    texts = [text_of(cell) for cell in cells if text_of(cell)]
    bare = [text for text in texts if isinstance(text, str) and "@" not in text and any(c.isalpha() for c in text)]
    return bool(texts) and len(bare) == len(texts) and all(not isinstance(cell, int | float) for cell in cells)


def _trimmed(cells: list[Cell]) -> list[Cell]:
    end = len(cells)
    while end and not text_of(cells[end - 1]):
        end -= 1
    return cells[:end]


def _unique(names: list[str]) -> list[str]:
    """Each name once: a blank one is called by its place, a second one gets a number."""
    seen: Counter[str] = Counter()
    made = []
    for place, name in enumerate(names, start=1):
        name = name or f"Column {place}"
        seen[name.lower()] += 1
        made.append(name if seen[name.lower()] == 1 else f"{name} ({seen[name.lower()]})")
    return made


def _bounded(rows: Iterator[Row]) -> Iterator[Row]:
    for count, row in enumerate(rows, start=1):
        if count > MOST_ROWS:
            raise Invalid(f"The file has more than {MOST_ROWS:,} rows; split it.", "file")
        yield row


# ---- CSV


@contextmanager
def _text(path: Path, head: bytes, score: Score) -> Iterator[Sheet]:
    encoding = _encoding(path, head)
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        start = file.read(65_536)
        separator, skip = _separator(start)
        file.seek(0)
        for _ in range(skip):
            file.readline()
        how = (
            f"CSV, {ENCODINGS[encoding.removesuffix('-le').removesuffix('-be')]}, set apart by {SEPARATORS[separator]}"
        )
        yield _sheet(how, _records(file, separator, skip), score)


def _records(file: Iterable[str], separator: str, skipped: int) -> Iterator[Row]:
    reader = csv.reader(file, delimiter=separator)
    number = skipped
    try:
        for cells in reader:
            number += 1
            yield number, list(cells)
    except csv.Error:
        raise Invalid(
            f"Row {number + 1} cannot be read: a cell of it has no end. Most often a quotation mark is missing.", "file"
        ) from None


def _encoding(path: Path, head: bytes) -> str:
    """How the text is written. Raises Invalid for what is no text."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    what = next((what for magic, what in _MAGIC.items() if head.startswith(magic)), "")
    if what:
        raise Invalid(f"This is {what}, not a spreadsheet that can be read here (CSV or XLSX).", "file")
    if b"\0" in head[:4096]:
        odd, even = head[1:400:2].count(0), head[0:400:2].count(0)
        if max(odd, even) > 0.7 * min(200, len(head) // 2) and min(odd, even) == 0:
            return "utf-16-le" if odd else "utf-16-be"
    if sum(byte < 9 or 13 < byte < 32 for byte in head) > len(head) / 500 or _is_page(head):
        raise Invalid("This is not a spreadsheet. Give a CSV or XLSX file.", "file")
    return "utf-8" if _is_utf8(path) else "cp1252"


def _is_page(head: bytes) -> bool:
    return head.lstrip()[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml"))


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while block := file.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _separator(start: str) -> tuple[str, int]:
    """(what sets cells apart, rows to skip): as the file says itself in Excel's way, else whatever gives most rows the same
    number of cells."""
    first = start.split("\n", 1)[0].strip().lower()
    if first.startswith("sep=") and first[4:5] in SEPARATORS:
        return first[4], 1
    best = max(SEPARATORS, key=lambda mark: _evenness(start, mark))
    return best, 0


def _evenness(start: str, mark: str) -> float:
    lines = start.splitlines(keepends=True)[:200]
    if len(lines) > 1 and len(start) >= 65_536:
        lines.pop()
    try:
        widths = [len(row) for row in csv.reader(lines, delimiter=mark) if row]
    except csv.Error:
        return 0
    if not widths or max(widths) < 2:
        return 0
    width, often = Counter(widths).most_common(1)[0]
    return often / len(widths) * (width - 1) * (1 if widths[0] == width else 0.3)


# ---- XLSX


@contextmanager
def _workbook(path: Path, score: Score) -> Iterator[Sheet]:
    _check_package(path)
    from openpyxl import load_workbook

    file = path.open("rb")  # by a name without .xlsx the library would not open it
    try:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except Exception as error:
        file.close()
        raise Invalid("This Excel file is broken and cannot be read.", "file") from error
    try:
        tables = [one for one in book.worksheets if one.sheet_state == "visible"][:20]
        if not tables:
            raise Invalid("There is nothing in this file.", "file")
        chosen = tables[0] if len(tables) == 1 else max(tables, key=lambda one: _promise(one, score))
        yield _sheet(f"Excel, sheet {chosen.title!r}", _book_rows(chosen), score, book.epoch.year == 1904)
    finally:
        book.close()
        file.close()


def _promise(table: Any, score: Score) -> int:
    rows = islice(_book_rows(table), LOOKED_AT)
    return max((score([text_of(cell) for cell in cells]) for _, cells in rows if _like_names(cells)), default=-1)


def _book_rows(table: Any) -> Iterator[Row]:
    table.reset_dimensions()
    try:
        for number, cells in enumerate(table.iter_rows(values_only=True), start=1):
            if any(cell is not None for cell in cells):
                yield number, _trimmed([_plain(cell) for cell in cells])
    except Exception as error:
        raise Invalid("This Excel file is broken and cannot be read to its end.", "file") from error


def _plain(value: Any) -> Cell:
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds") if value.time() != time() else value.date().isoformat()
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return "" if value in ("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!") else value
    return str(value) if isinstance(value, date | time | timedelta) else value


def _check_package(path: Path) -> None:
    """Look at what an XLSX would unpack to before anything is unpacked. Raises Invalid."""
    try:
        with zipfile.ZipFile(path) as package:
            parts = package.infolist()
            names = {part.filename for part in parts}
            if "xl/workbook.xml" not in names:
                raise Invalid("This is a packed file, but no Excel workbook (.xlsx). Give a CSV or XLSX file.", "file")
            shared = sum(part.file_size for part in parts if part.filename.lower().endswith("sharedstrings.xml"))
            if sum(part.file_size for part in parts) > MOST_UNPACKED or shared > MOST_SHARED or len(parts) > 2_000:
                raise Invalid("This Excel file unpacks to far more than can be read; save it as CSV.", "file")
            for part in parts:
                if part.filename.endswith((".xml", ".rels")):
                    _check_part(package, part)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise Invalid("This Excel file is broken and cannot be read.", "file") from error


def _check_part(package: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """A document type could define entities that grow without end; no spreadsheet program writes one."""
    with package.open(part) as file:
        if b"<!DOCTYPE" in file.read(4_096).upper():
            raise Invalid("This Excel file is not as a spreadsheet program writes it; it is refused.", "file")
