"""Spreadsheets at the command line: in, again, out, back in; killed half-way; and bad input in a sentence."""

from __future__ import annotations

import csv
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook
from sqlmodel import func, select

from models.contact import Contact, ContactAddress
from models.db import Database
from models.deal import Deal
from models.imports.store import Import, ImportFault, ImportPart
from tests.journeys.door import Door, door

DEALS = [
    ["opportunity_id", "sales_agent", "product", "account", "deal_stage", "engage_date", "close_date", "close_value"],
    ["A1", "Rae", "Mill", "Northwind", "Won", "2026-01-20", "2026-03-01", "1054"],
    ["A2", "Zed", "Wheel", "", "Engaging", "2026-01-25", "", ""],
    ["A3", "Zed", "Axle", "Kessel", "Dancing", "2026-01-25", "", "5"],
]


def write(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_deals_come_in_are_mended_and_go_out_again(door: Door, tmp_path: Path) -> None:
    assert door("user", "add", "rae@acme.example").status == 0
    path = write(tmp_path / "deals.csv", DEALS)
    tried = door("import", "deals", path, "--dry-run", "--json")
    assert tried.status == 1 and tried.json["created"] == 2 and tried.json["refused"] == 1 and tried.err == ""
    assert tried.json["unknown_owners"] == {"Zed": 2} and tried.json["unknown_stages"] == {"Dancing": 1}

    first = door("import", "deals", path)
    assert first.status == 1 and "2 created, 0 updated, 0 unchanged, 1 refused" in first.out
    assert "Owners not known, left empty: Zed (2)" in first.err and "product is Product" in first.err
    faults = list(csv.reader((tmp_path / "deals-faults.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [line[:2] for line in faults[1:]] == [["3", "yes"], ["4", "no"]] and "'Dancing'" in faults[2][2]

    again = door("import", "deals", path, "--stage", "Dancing=Proposal", "--owner", "Zed=rae@acme.example", "--json")
    assert again.status == 0 and (again.json["created"], again.json["updated"], again.json["unchanged"]) == (1, 1, 1)

    out = door("export", "--to", tmp_path / "out", "--json")
    assert out.status == 0 and out.json["rows"]["deals"] == 3
    back = door("import", "deals", tmp_path / "out" / "deals.csv", "--json")
    assert back.status == 0 and back.json["unchanged"] == 3 and back.json["ignored_columns"] == []


def test_contacts_come_from_a_workbook_and_go_out_as_one(door: Door, tmp_path: Path) -> None:
    book = Workbook()
    for row in (
        ["Who", "E-Mail", "Firma"],
        ["Bea", "bea@northwind.example", "Northwind"],
        ["=Cas", "cas@x.example", ""],
    ):
        assert book.active is not None
        book.active.append(row)
    book.active["A3"].data_type = "s"
    book.save(tmp_path / "people.xlsx")
    answer = door("import", "contacts", tmp_path / "people.xlsx", "--map", "Who=Name", "--map", "Firma=")
    assert answer.status == 0 and "2 created" in answer.out and "Left out: Firma." in answer.err
    assert not (tmp_path / "people-faults.csv").exists()
    assert door("export", "--format", "xlsx", "--to", tmp_path / "out").out.strip().endswith("dealtrail.xlsx")
    rows = list(load_workbook(tmp_path / "out" / "dealtrail.xlsx")["contacts"].iter_rows(values_only=True))
    assert rows[1][:2] == ("Bea", "bea@northwind.example") and rows[2][0] == "'=Cas"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["import", "cats", "x.csv"], "cannot be imported"),
        (["import", "deals", "nowhere.csv"], "Cannot read nowhere.csv"),
        (["import", "deals", "empty.csv"], "empty"),
        (["import", "contacts", "x.csv"], '--map "Column=field"'),
        (["import", "deals", "x.csv", "--map", "Nope=name"], "no column 'Nope'"),
        (["import", "deals", "x.csv", "--map", "Deal=nope"], "no field 'nope'"),
        (["import", "deals", "x.csv", "--map", "Deal"], "with = between"),
        (["import", "deals", "x.csv", "--stage", "A=Nope"], "no stage 'Nope'"),
        (["import", "deals", "x.csv", "--owner", "A=no@body.example"], "There is no user"),
        (["import", "deals", "x.csv", "--dates", "year"], "day or month"),
        (["export", "--format", "doc"], "csv, xlsx"),
        (["export", "--to", "x.csv/y"], "Cannot write"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_and_leaves_nothing(
    door: Door, tmp_path: Path, sqlite_url: str, arguments: list[str], word: str
) -> None:
    write(tmp_path / "x.csv", [["Deal", "Company"], ["Mill", "Northwind"]])
    (tmp_path / "empty.csv").touch()
    said = door(*arguments)
    assert said.status == 1 and word in said.err and said.out == "" and len(said.err) < 700, said
    db = Database(sqlite_url)
    with db.read() as session:
        for model in (Deal, Import, ImportPart):
            assert session.exec(select(func.count()).select_from(model)).one() == 0
    db.close()


def test_a_killed_import_is_finished_by_the_worker(
    dealtrail: Callable[..., subprocess.Popen[str]], tmp_path: Path, sqlite_url: str
) -> None:
    """Each row once, each fault once, wherever the kill fell."""
    people = [["Name", "Email"], *[[f"P {n}", f"p{n}@x.example" if n % 10 else "none"] for n in range(1_500)]]
    process = dealtrail("import", "contacts", str(write(tmp_path / "people.csv", people)))
    db = Database(sqlite_url)

    def position() -> tuple[int, str]:
        with db.read() as session:
            row = session.exec(select(Import)).first()
            return (row.position, row.state) if row else (0, "")

    _until(lambda: 0 < position()[0] < 1_500, process)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert position()[1] == "running"
    dealtrail("work")
    _until(lambda: position()[1] == "done")
    with db.read() as session:
        row = session.exec(select(Import)).one()
        assert (row.created, row.refused, row.updated + row.same, row.position) == (1_350, 150, 0, 1_500)
        for model, count in ((Contact, 1_350), (ContactAddress, 1_350), (ImportFault, 150), (ImportPart, 0)):
            assert session.exec(select(func.count()).select_from(model)).one() == count
    db.close()


def _until(reached: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    for _ in range(2_400):
        if reached():
            return
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.025)
    raise AssertionError("it never came so far")


__all__ = ["door"]
