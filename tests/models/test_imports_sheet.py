"""A file as rows: encodings, separators, quoted new lines, workbooks; and one sentence for whatever is no spreadsheet."""

from __future__ import annotations

import zipfile
from datetime import date, datetime
from pathlib import Path

import pytest
from openpyxl import Workbook

from models.errors import Invalid
from models.imports import columns, sheet
from models.imports.cells import Cell
from models.imports.sheet import open_sheet

NAMES = ["Name", "Email", "Company"]
ROWS = [["Zoë Müller", "zoe@acme.example", 'Café, "Ü" & Söhne\nZweite Zeile'], ["Bea", "bea@x.example", "X; Y | Z"]]


def read(path: Path, kind: str = "contacts") -> tuple[list[str], list[tuple[int, list[Cell]]], str]:
    """(columns, rows, how it is written) of a file."""
    with open_sheet(path, lambda cells: columns.score(kind, cells)) as found:
        return found.columns, list(found.rows), found.how


def written(path: Path, encoding: str, separator: str, rows: list[list[str]] | None = None, end: str = "\r\n") -> Path:
    """A CSV as spreadsheet programs write it."""
    lines = [separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows or [NAMES, *ROWS]]
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


def refused(path: Path) -> str:
    """The one sentence or two with which a file is refused."""
    with pytest.raises(Invalid) as caught:
        read(path)
    said = str(caught.value)
    assert caught.value.field == "file" and 10 < len(said) < 200
    return said


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_every_usual_encoding_and_separator_is_read_alike(tmp_path: Path, encoding: str, separator: str) -> None:
    names, rows, how = read(written(tmp_path / "x.csv", encoding, separator))
    assert names == NAMES and rows == [(2, ROWS[0]), (3, ROWS[1])]
    assert how.startswith("CSV, ")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_every_end_of_line_is_read_alike(tmp_path: Path, end: str) -> None:
    assert read(written(tmp_path / "x.csv", "utf-8", ";", end=end))[1] == [(2, ROWS[0]), (3, ROWS[1])]


def test_decimal_commas_do_not_pass_for_separators(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("Deal;Amount\nMill;1.234,50\nWheel;99,90\n", encoding="utf-8")
    assert read(path, "deals")[1] == [(2, ["Mill", "1.234,50"]), (3, ["Wheel", "99,90"])]


def test_a_file_may_say_its_separator_as_excel_does(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("sep=|\nName|Email\nBea|bea@x.example\n", encoding="utf-8")
    assert read(path)[:2] == (["Name", "Email"], [(3, ["Bea", "bea@x.example"])])


def test_titles_above_and_blank_rows_between_are_stepped_over(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("Our customers,,\n,,\nName,Email,Company\n\nBea,bea@x.example,X\n,,\n", encoding="utf-8")
    assert read(path)[:2] == (NAMES, [(5, ["Bea", "bea@x.example", "X"])])


def test_a_column_of_one_and_names_that_come_twice_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("Email\nbea@x.example\n", encoding="utf-8")
    assert read(tmp_path / "one.csv")[0] == ["Email"]
    (tmp_path / "two.csv").write_text("Email,,email,Name\na@x.example,b,c,d\n", encoding="utf-8")
    assert read(tmp_path / "two.csv")[0] == ["Email", "Column 2", "email (2)", "Name"]


def workbook(path: Path, *tables: tuple[str, list[list[object]]], hidden: str = "") -> Path:
    """An XLSX with some sheets."""
    book = Workbook()
    book.remove(book.worksheets[0])
    for title, rows in tables:
        made = book.create_sheet(title)
        made.sheet_state = "hidden" if title == hidden else "visible"
        for row in rows:
            made.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read_with_its_numbers_and_dates(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["Deal", "Amount", "Created", "Won", "Status"],
        ["Mill", 1054, date(2024, 4, 3), datetime(2024, 4, 3, 19, 58), True],
        [],
        ["Wheel", 99.5, None, None, "#N/A"],
    ]
    names, found, how = read(workbook(tmp_path / "x.xlsx", ("Tabelle1", rows)), "deals")
    assert names == rows[0] and "Tabelle1" in how
    assert found == [
        (2, ["Mill", 1054, "2024-04-03", "2024-04-03 19:58:00", "TRUE"]),
        (4, ["Wheel", 99.5]),
    ]


def test_a_workbook_is_one_by_whatever_name(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", ("A", [NAMES, ["Bea", "b@x.example", "X"]])).rename(tmp_path / "upload")
    assert read(path)[1] == [(2, ["Bea", "b@x.example", "X"])]


def test_the_sheet_that_looks_most_like_it_is_taken_and_hidden_ones_are_not(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "x.xlsx",
        ("Notes", [["Made by hand"], ["on Monday"]]),
        ("Old", [NAMES, ["Old", "old@x.example", "X"]]),
        ("People", [NAMES, ["Bea", "bea@x.example", "X"]]),
        hidden="Old",
    )
    assert read(path)[1] == [(2, ["Bea", "bea@x.example", "X"])]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\n\n \n", "nothing"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, ".xls"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x89PNG\r\n\x1a\n\0\0", "picture"),
        (b"\x1f\x8b\x08\0", "unpack"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "not a spreadsheet"),
        (b"\x01\x02\x03\x04\x05" * 90, "not a spreadsheet"),
        (b"PK\x03\x04 broken", "broken"),
        (b"bea@x.example,Bea\nann@x.example,Ann\n", "no column names"),
        (b"2024-01-01,500\n2024-01-02,600\n", "no column names"),
    ],
)
def test_whatever_is_no_spreadsheet_is_refused_in_a_sentence(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    assert word in refused(path)


def test_a_quotation_mark_that_never_closes_is_told_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('Name,Email\nBea,b@x.example\n"Ann,' + "a@x.example\n" * 20_000, encoding="utf-8")
    assert "Row 3" in refused(path)


def test_a_packed_file_that_is_no_workbook_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as package:
        package.writestr("word/document.xml", "<x/>")
    assert "no Excel workbook" in refused(tmp_path / "x.xlsx")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MOST_UNPACKED", 100_000)
    path = workbook(tmp_path / "x.xlsx", ("A", [NAMES, ["a" * 30_000] * 3, ["a" * 30_000] * 3]))
    assert path.stat().st_size < 20_000 and "unpacks to far more" in refused(path)


def test_a_workbook_that_defines_entities_is_refused(tmp_path: Path) -> None:
    good = workbook(tmp_path / "good.xlsx", ("A", [NAMES, ["Bea", "b@x.example", "X"]]))
    with zipfile.ZipFile(good) as one, zipfile.ZipFile(tmp_path / "bad.xlsx", "w") as other:
        for part in one.namelist():
            text = one.read(part)
            if part == "xl/worksheets/sheet1.xml":
                text = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]>' + text
            other.writestr(part, text)
    assert "refused" in refused(tmp_path / "bad.xlsx")


def test_a_workbook_with_a_broken_sheet_is_refused(tmp_path: Path) -> None:
    good = workbook(tmp_path / "good.xlsx", ("A", [NAMES, *[["Bea", "b@x.example", "X"]] * 50]))
    with zipfile.ZipFile(good) as one, zipfile.ZipFile(tmp_path / "bad.xlsx", "w") as other:
        for part in one.namelist():
            text = one.read(part)
            other.writestr(part, text[: len(text) // 2] if part == "xl/worksheets/sheet1.xml" else text)
    assert "broken" in refused(tmp_path / "bad.xlsx")


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MOST_BYTES", 100)
    assert "split it" in refused(written(tmp_path / "x.csv", "utf-8", ","))


def test_a_sheet_that_claims_to_be_endless_is_read_to_its_last_row(tmp_path: Path) -> None:
    good = workbook(tmp_path / "good.xlsx", ("A", [NAMES, ["Bea", "b@x.example", "X"]]))
    with zipfile.ZipFile(good) as one, zipfile.ZipFile(tmp_path / "big.xlsx", "w") as other:
        for part in one.namelist():
            text = one.read(part).replace(b'ref="A1:C2"', b'ref="A1:XFD1048576"')
            other.writestr(part, text)
    assert read(tmp_path / "big.xlsx")[1] == [(2, ["Bea", "b@x.example", "X"])]
