"""Everything out again: read back it changes nothing, runs no formula, and opens no mailbox wider than a page does."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import pytest
from openpyxl import load_workbook

from models.contact import add_contact
from models.db import Database
from models.deal import move_deal
from models.exports.files import safe, write_folder, write_workbook, write_zip
from models.exports.imports import write_faults, write_template
from models.exports.tables import tables
from models.imports.deals import BY_IMPORT
from models.imports.store import Import
from models.keyring import Keyring
from tests.models import cast
from tests.models.imported import Desk, counts
from tests.support import NOW


@pytest.fixture
def desk(any_db: Database, keyring: Keyring, tmp_path: Path) -> Desk:
    """On SQLite and on Postgres."""
    return Desk(any_db, keyring, tmp_path)


def furnish(db: Database) -> None:
    """A firm, two people, an open deal and a won one."""
    with db.write() as session:
        firm = cast.firm(session, '=Northwind, "Ltd" & Co')
        rae = cast.member(session)
        bea = cast.buyer(session, company_id=firm.id, phone="+49 40 123", title="@work")
        cas = add_contact(session, name="Cas; the clerk", emails=["cas@northwind.example", "c@x.example"], now=NOW)
        more = {"company_id": firm.id, "owner_id": rae.id, "people": [(bea, "buyer"), (cas, "")]}
        won = cast.sale(session, "-Windmill", amount_minor=4_800_050, currency="CHF", **more)
        cast.sale(session, "Wheel", stage="Proposal", company_id=firm.id)
        move_deal(session, won, cast.stage(session, "Won"), actor=BY_IMPORT, now=NOW, reason="price")


def test_an_export_read_back_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    furnish(desk.db)
    with desk.db.read() as session:
        paths = {path.stem: path for path in write_folder(tables(session, viewer_id=None), tmp_path / "out")}
    assert set(paths) == {"companies", "contacts", "deals", "stage_history", "timelines"}
    for kind, rows in (("contacts", 2), ("deals", 2)):
        back = desk.take(kind, paths[kind].read_bytes())
        assert counts(back) == (0, 0, rows, 0), desk.said(back)


def test_an_export_fills_another_house_alike(desk: Desk, tmp_path: Path, keyring: Keyring) -> None:
    furnish(desk.db)
    with desk.db.read() as session:
        write_workbook(tables(session, viewer_id=None), tmp_path / "out.xlsx")
    other = Database(f"sqlite:///{tmp_path / 'other.db'}")
    other.migrate()
    with other.write() as session:
        cast.member(session)
    there = Desk(other, keyring, tmp_path)
    content = (tmp_path / "out.xlsx").read_bytes()
    assert counts(there.take("contacts", content)) == (2, 0, 0, 0)
    assert counts(there.take("deals", content)) == (2, 0, 0, 0)
    with desk.db.read() as one, other.read() as two:
        for first, second in zip(tables(one, viewer_id=None)[1:3], tables(two, viewer_id=None)[1:3], strict=True):
            drop = first.columns.index("Added") if "Added" in first.columns else len(first.columns)
            assert [row[:drop] for row in first.rows()] == [row[:drop] for row in second.rows()]
    other.close()


def test_no_cell_is_run_as_a_formula(desk: Desk, tmp_path: Path) -> None:
    furnish(desk.db)
    with desk.db.read() as session:
        write_zip(tables(session, viewer_id=None), tmp_path / "out.zip")
        write_workbook(tables(session, viewer_id=None), tmp_path / "out.xlsx")
    with zipfile.ZipFile(tmp_path / "out.zip") as package:
        for name in package.namelist():
            for row in csv.reader(io.StringIO(package.read(name).decode("utf-8-sig"))):
                assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))]
    book = load_workbook(tmp_path / "out.xlsx")
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    values = {cell.value for cell in cells}
    assert {"'+49 40 123", "'@work", "'-Windmill", 48000.5} <= values
    assert (safe("\tx"), safe("a\0b"), safe(-5), safe(None)) == ("'\tx", "ab", -5, None)


@pytest.mark.parametrize(
    ("level", "text", "told"),
    [
        ("full", False, set()),
        ("full", True, {"SUBJECT", "BODY"}),
        ("subject", True, {"SUBJECT"}),
        ("metadata", True, set()),
    ],
)
def test_words_of_mail_leave_only_when_asked_and_allowed(
    desk: Desk, tmp_path: Path, level: str, text: bool, told: set[str]
) -> None:
    with desk.db.write() as session:
        account, source = cast.mailbox(session, visibility=level)
        bea = cast.buyer(session)
        deal = cast.sale(session, people=[(bea, "")])
        party = [{"role": "from", "address": "bea@northwind.example", "name": "", "ours": False}]
        words = {"account": account, "source": source, "subject": "SUBJECT", "text": "BODY", "parties": party}
        cast.letter(session, on=deal, **words)
        cast.letter(session, held=True, **(words | {"subject": "HELD", "text": "HELD"}))
    with desk.db.read() as session:
        write_folder(tables(session, viewer_id=None, text=text), tmp_path)
        owner = [table for table in tables(session, viewer_id=account.user_id, text=text) if table.name == "timelines"]
        assert ("BODY" in str(list(owner[0].rows()))) == text
    found = (tmp_path / "timelines.csv").read_text(encoding="utf-8-sig")
    assert {word for word in ("SUBJECT", "BODY", "HELD") if word in found} == told
    assert "bea@northwind.example" in found and "Windmill" in found and len(found.splitlines()) == 2


def test_the_file_of_faults_says_why_and_can_be_imported_when_mended(desk: Desk) -> None:
    row = desk.take("contacts", [["Name", "Email"], ["=1+1", "nonsense"], ["Cas", "cas@x.example, no@"]])
    file = io.StringIO()
    with desk.db.read() as session:
        assert write_faults(session, session.get_one(Import, row.id), file) == 2
    lines = list(csv.reader(io.StringIO(file.getvalue())))
    assert lines[0] == ["Row", "Taken", "What was said", "Name", "Email"]
    assert lines[1][:2] == ["2", "no"] and lines[1][3:] == ["'=1+1", "nonsense"] and lines[2][1] == "yes"
    mended = file.getvalue().replace("nonsense", "n@x.example").replace(", no@", "")
    assert counts(desk.take("contacts", mended)) == (1, 0, 1, 0)


@pytest.mark.parametrize("kind", ["deals", "contacts"])
def test_the_template_imports_as_it_is(desk: Desk, kind: str) -> None:
    file = io.StringIO()
    write_template(kind, file)
    row = desk.take(kind, file.getvalue())
    assert counts(row) == (1, 0, 0, 0) and set(row.certainty.values()) == {1.0}
    assert set(row.mapping) == set(row.columns)
