"""Import on spreadsheets as they really come: two pipelines with their dirt, the first of them in four more spellings, and the
column names of three vendors' exports."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from operator import eq
from pathlib import Path
from typing import Any

from sqlmodel import func, select

import house as building
from bench.figures import figure, keep_cases, say
from models.contact import Company
from models.deal import Deal, StageChange
from models.imports.chance import read_chance
from models.imports.columns import propose
from models.imports.rows import Cells, plan_of
from models.imports.run import keep_file
from models.imports.store import PART, Import, ImportFault, ask_for, claim_import, part_of, remove_import
from worker.importing import run_import

Rows = list[list[str]]
Spelling = tuple[str, str, str, Callable[[int], str]]
SPELLINGS: dict[str, Spelling] = {
    "german": ("cp1252", ";", "%d.%m.%Y", lambda n: f"{n:,}".replace(",", ".") + ",00 €"),
    "american": ("utf-8-sig", ",", "%m/%d/%Y", lambda n: f"${n:,}.00"),
    "french": ("utf-16", "\t", "%d/%m/%Y", lambda n: f"{n:,}".replace(",", "\u00a0") + ",00 EUR"),
    "swiss": ("utf-8", "|", "%d.%m.%y", lambda n: f"CHF {n:,}".replace(",", "'") + ".-"),
}
"""Encoding, separator, dates, amounts."""
RIGHT = {
    "pipedrive deals": "Title=name Value=amount Currency=currency Organization=company Contact=contact_names Owner=owner "
    "Stage=stage Pipeline=pipeline Status=status Expected=expected_close created=created_at",
    "hubspot deals": "Record=external_id Name=name Stage=stage Pipeline=pipeline Amount=amount Close=close_date "
    "Create=created_at owner=owner Company=company",
    "salesforce opportunities": "ID=external_id Name=name Account=company Stage=stage Amount=amount Close=close_date "
    "Created=created_at Owner=owner Next=next_step",
}


def run(folder: Path) -> None:
    """Print crm.* figures: rows taken of those there are, rows about which something was said, whether another spelling
    gives the same deals, processor time."""
    cases: list[Any] = []
    rows = _unpacked(folder / "maven" / "sales_pipeline.csv.gz")
    with _house() as house:
        first = _import(house, "deals", _text(rows, ",").encode())
        figure("crm.maven_rows", len(rows) - 1)
        figure("crm.maven_taken", first.created)
        figure("crm.maven_remarked", first.noted)
        figure("crm.maven_blank_cells", _blank(rows, "account"))
        cases += _said(house)
        wanted = _photograph(house)
        figure("crm.maven_deals_as_in_the_file", _as_written(rows, wanted) / (len(rows) - 1))
        again = _import(house, "deals", _text(rows, ",").encode())
        figure("crm.maven_again_unchanged", again.same)
        plain = _understood(house, _text(rows, ",").encode())
        for name, spelling in SPELLINGS.items():
            other = _understood(house, _spelled(rows, spelling))
            figure(f"crm.maven_{name}_rows_alike", sum(map(eq, plain, other)))
    with _house() as house:
        _import(house, "deals", _spelled(rows, SPELLINGS["german"]))
        figure("crm.maven_german_same_deals", sum(map(eq, wanted, _photograph(house))))
    _olist(folder, cases)
    _headers(folder / "export_headers.json", cases)
    keep_cases("crm", cases)


def _olist(folder: Path, cases: list[Any]) -> None:
    rows = _unpacked(folder / "olist" / "olist_closed_deals_dataset.csv.gz")
    with _house() as house:
        done = _import(house, "deals", _text(rows, ",").encode())
        figure("crm.olist_rows", len(rows) - 1)
        figure("crm.olist_taken", done.created)
        cases += _said(house)
        with house.db.read() as session:
            won = session.exec(select(func.count()).select_from(Deal).where(Deal.closed_at != None)).one()  # noqa: E711
        figure("crm.olist_won_with_date", won)


def _headers(path: Path, cases: list[Any]) -> None:
    """The columns whose meaning is beyond doubt, by a word of their name."""
    exports = json.loads(path.read_text(encoding="utf-8"))
    right = wanted = 0
    for name, words in RIGHT.items():
        vendor, what = name.split()
        mapping = propose("deals", exports[vendor][what], {})[0]
        for pair in words.split():
            word, field = pair.split("=")
            wanted += 1
            found = any(word in column and known == field for column, known in mapping.items())
            right += found
            cases += [] if found else [{"case": "header", "export": name, "word": word, "field": field}]
    figure("crm.headers_recognised", right / wanted)


@contextmanager
def _house() -> Iterator[building.House]:
    with tempfile.TemporaryDirectory(prefix="dealtrail-eval-") as folder:
        house = building.open_house(_env_file=None, data_dir=Path(folder), log_level="error")
        try:
            yield house
        finally:
            house.db.close()


def _import(house: building.House, kind: str, content: bytes) -> Import:
    """Take a whole file; the import at its end."""
    path = house.settings.data_dir / "in.csv"
    path.write_bytes(content)
    import_id = keep_file(house.db, path, kind=kind, file_name="in.csv", user_id=None, now=building.now())
    with house.db.write() as session:
        ask_for(session, session.get_one(Import, import_id), "running", now=building.now())
    work = house.work()
    while True:
        with house.db.write() as session:
            row = session.get_one(Import, import_id)
            if row.state != "running":
                return row
            owner = claim_import(session, import_id, now=building.now(), seconds=600)
        run_import(work, import_id, owner)


def _understood(house: building.House, content: bytes) -> list[dict[str, Any]]:
    """What every row of a file says, read but not taken. Currencies are as the spelling has them, and left out."""
    path = house.settings.data_dir / "in.csv"
    path.write_bytes(content)
    import_id = keep_file(house.db, path, kind="deals", file_name="in.csv", user_id=None, now=building.now())
    found: list[dict[str, Any]] = []
    with house.db.write() as session:
        row = session.get_one(Import, import_id)
        plan = plan_of(row, "EUR")
        for number in range(-(-row.total // PART)):
            for one in part_of(session, import_id, number):
                chance = asdict(read_chance(Cells(plan, one)))
                found.append({name: value for name, value in chance.items() if name != "currency"})
        remove_import(session, row)
    return found


def _photograph(house: building.House) -> list[tuple[Any, ...]]:
    """Every deal by its id in the file: amount, company, dates, and the days of its moves."""
    with house.db.read() as session:
        firms = dict(session.exec(select(Company.id, Company.name)).all())
        moves: dict[int, list[date]] = {}
        for deal_id, at in session.exec(select(StageChange.deal_id, StageChange.at).order_by(StageChange.id)):  # pyright: ignore
            moves.setdefault(deal_id, []).append(at.date())
        return sorted(
            (
                one.external_id,
                one.name,
                one.amount_minor,
                firms.get(one.company_id),
                _day(one.closed_at),
                *_dated(one, moves),
            )
            for one in session.exec(select(Deal))
        )


def _dated(deal: Deal, moves: dict[int, list[date]]) -> Sequence[Any]:
    """The days of a deal's moves; today's are those of a row without any date."""
    return [one for one in moves[deal.id or 0] if one != building.now().date()]


def _as_written(rows: Rows, deals: list[tuple[Any, ...]]) -> int:
    """How many deals say what their row says, read here once more by hand."""
    head, right = rows[0], 0
    found = {deal[0]: deal for deal in deals}
    for row in rows[1:]:
        cells = dict(zip(head, row, strict=True))
        minor = int(cells["close_value"]) * 100 if cells["close_value"] else None
        days = [date.fromisoformat(cells[name]) for name in ("engage_date", "close_date") if cells[name]]
        wanted = (cells["product"], minor, cells["account"] or None, days[1] if len(days) > 1 else None, *days)
        right += found.get(cells["opportunity_id"], ("",))[1:] == wanted
    return right


def _spelled(rows: Rows, spelling: Spelling) -> bytes:
    """The same rows as another program in another country writes them."""
    encoding, separator, day, money = spelling
    head = rows[0]
    made = [head]
    for row in rows[1:]:
        cells = dict(zip(head, row, strict=True))
        for name in ("engage_date", "close_date"):
            cells[name] = date.fromisoformat(cells[name]).strftime(day) if cells[name] else ""
        cells["close_value"] = money(int(cells["close_value"])) if cells["close_value"] else ""
        made.append(list(cells.values()))
    return _text(made, separator).encode(encoding)


def _said(house: building.House) -> list[dict[str, Any]]:
    """Which rows something was said about, and what, without their cells."""
    with house.db.read() as session:
        found = session.exec(select(ImportFault.row, ImportFault.taken, ImportFault.reason)).all()
    for reason, count in Counter(reason for *_, reason in found).most_common(5):
        say(f"  {count} rows: {reason[:100]}")
    return [{"row": row, "taken": taken, "reason": reason} for row, taken, reason in found if not taken]


def _blank(rows: Rows, name: str) -> int:
    place = rows[0].index(name)
    return sum(not row[place] for row in rows[1:])


def _unpacked(path: Path) -> Rows:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _text(rows: Rows, separator: str) -> str:
    made = io.StringIO()
    csv.writer(made, delimiter=separator).writerows(rows)
    return made.getvalue()


def _day(moment: Any) -> date | None:
    return None if moment is None else moment.date()
