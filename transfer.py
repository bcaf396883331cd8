"""Spreadsheets at the command line: import here, with progress, by the same steps that the worker takes; and export."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sqlmodel import Session

import house as building
from models.errors import Invalid, NotFound
from models.exports.files import FORMATS, write_folder, write_workbook
from models.exports.imports import write_faults
from models.exports.tables import tables
from models.imports.columns import KINDS, LABELS, check_mapping, simple
from models.imports.run import keep_file, missing, owner_values, stage_values
from models.imports.store import Import, ask_for, claim_import, remove_import
from models.pipeline import default_pipeline, stage_by_name
from models.user import find_user
from worker.importing import run_import

Told = Callable[[str], None]
FINAL = ("done", "failed", "ready")


def take(
    kind: str,
    path: Path,
    *,
    maps: Iterable[str] = (),
    stages: Iterable[str] = (),
    owners: Iterable[str] = (),
    dates: str = "auto",
    announce: bool = False,
    dry_run: bool = False,
    told: Told = lambda line: None,
) -> dict[str, Any]:
    """Import a file; ``ok`` only when every row was taken (or, in a dry run, would be). Raises Invalid, NotFound."""
    if kind not in KINDS:
        raise Invalid(f"{kind!r} cannot be imported; {' and '.join(KINDS)} can.")
    house = building.open_house()
    try:
        import_id = keep_file(
            house.db,
            _readable(path),
            kind=kind,
            file_name=path.name,
            user_id=None,
            now=building.now(),
            told=lambda rows: told(f"{rows:,} rows read"),
        )
        try:
            with house.db.write() as session:
                row = session.get_one(Import, import_id)
                _correct(session, row, maps, stages, owners, dates, announce)
                report = _recognised(session, row)
                for line in _in_words(row, report):
                    told(line)
                ask_for(session, row, "checking" if dry_run else "running", now=building.now())
                owner = claim_import(session, import_id, now=building.now(), seconds=_lease(house))
        except (Invalid, NotFound):
            _forget(house, import_id)
            raise
        _work(house, import_id, owner, told)
        report |= _outcome(house, import_id, path)
        if dry_run:
            _forget(house, import_id)
        return report | {"dry_run": dry_run}
    finally:
        house.db.close()


def give(format: str, folder: Path | None, *, text: bool, told: Told = lambda line: None) -> dict[str, Any]:
    """Write everything to files; ``text``: with subjects and texts, as far as the accounts show them to a whole team.
    Raises Invalid."""
    if format not in FORMATS:
        raise Invalid(f"The format is one of {', '.join(FORMATS)}.")
    house = building.open_house()
    folder = folder or house.settings.data_dir / "exports" / f"{building.now():%Y-%m-%d-%H%M%S}"
    rows: dict[str, int] = {}

    def count(name: str, number: int) -> None:
        rows[name] = number
        told(f"{name}: {number:,} rows")

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with house.db.read() as session:
            found = tables(session, viewer_id=None, text=text)
            if format == "csv":
                files = write_folder(found, folder, count)
            else:
                files = [folder / "dealtrail.xlsx"]
                write_workbook(found, files[0], count)
    except OSError as error:
        raise Invalid(f"Cannot write to {folder}: {error.strerror}.") from error
    finally:
        house.db.close()
    return {"format": format, "files": [str(path) for path in files], "rows": rows, "text": text}


def _readable(path: Path) -> Path:
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise Invalid(f"Cannot read {path}: {error.strerror}.") from error


def _correct(
    session: Session,
    row: Import,
    maps: Iterable[str],
    stages: Iterable[str],
    owners: Iterable[str],
    dates: str,
    announce: bool,
) -> None:
    """Raises Invalid, NotFound."""
    said = {column: _field(row.kind, field) for column, field in _pairs(maps, "--map")}
    check_mapping(
        row.kind, row.columns, {column: field or "name" for column, field in said.items() if column not in row.columns}
    )
    mapping = {column: field for column, field in row.mapping.items() if field not in said.values()} | said
    row.mapping = {column: field for column, field in mapping.items() if field}
    check_mapping(row.kind, row.columns, row.mapping)
    pipeline = default_pipeline(session).id or 0
    row.stages = {value: stage_by_name(session, pipeline, name).id or 0 for value, name in _pairs(stages, "--stage")}
    row.owners = {value: _user(session, email) for value, email in _pairs(owners, "--owner")}
    row.date_order, row.announce = dates, announce
    session.add(row)
    lacks = missing(row)
    if lacks:
        raise Invalid(f'{lacks} Say which with --map "Column=field"; fields: {", ".join(LABELS[row.kind])}.')


def _pairs(words: Iterable[str], option: str) -> list[tuple[str, str]]:
    found = [word.rpartition("=")[::2] for word in words]
    if not all(left for left, _ in found):
        raise Invalid(f'{option} takes two things with = between them, such as {option} "Column=field".')
    return [(left.strip(), right.strip()) for left, right in found]


def _field(kind: str, word: str) -> str:
    """A field by its name or its label; empty to leave the column out."""
    if not word:
        return ""
    known = next((name for name, label in LABELS[kind].items() if simple(word) in (simple(name), simple(label))), None)
    if known is None:
        raise Invalid(f"There is no field {word!r} for {kind}. Known: {', '.join(LABELS[kind])}.")
    return known


def _user(session: Session, email: str) -> int:
    user = find_user(session, email)
    if user is None:
        raise NotFound(f"There is no user {email}. Add them first: dealtrail user add {email}")
    return user.id or 0


def _recognised(session: Session, row: Import) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "file": row.file_name,
        "how": row.how,
        "rows": row.total,
        "columns": row.mapping,
        "ignored_columns": [column for column in row.columns if column not in row.mapping],
        "unknown_stages": {one.value: one.rows for one in stage_values(session, row) if one.id is None},
        "unknown_owners": {one.value: one.rows for one in owner_values(session, row) if one.id is None},
    }


def _in_words(row: Import, report: dict[str, Any]) -> list[str]:
    labels = LABELS[row.kind]
    lines = [f"{row.total:,} rows: {row.how}."]
    lines.append(", ".join(f"{column} is {labels[field]}" for column, field in row.mapping.items()) + ".")
    if report["ignored_columns"]:
        lines.append(f"Left out: {', '.join(report['ignored_columns'])}.")
    for name, words in (("unknown_stages", "Stages not known"), ("unknown_owners", "Owners not known, left empty")):
        if report[name]:
            lines.append(f"{words}: {', '.join(f'{value} ({rows:,})' for value, rows in report[name].items())}.")
    return lines


def _work(house: building.House, import_id: int, owner: str, told: Told) -> None:
    """Take part after part here; where another process has it meanwhile, look on."""
    work = house.work()
    last = ""
    while True:
        if owner:
            run_import(work, import_id, owner, told=lambda row: told(f"{row.position:,} of {row.total:,}"))
        with house.db.write() as session:
            row = session.get(Import, import_id)
            if row is None or row.state in FINAL:
                return
            owner = claim_import(session, import_id, now=building.now(), seconds=_lease(house))
            shown = f"{row.position:,} of {row.total:,}, by another process"
        if not owner:
            if shown != last:
                told(shown)
            last = shown
            time.sleep(0.5)


def _outcome(house: building.House, import_id: int, path: Path) -> dict[str, Any]:
    """What became of the rows; what was said about single ones is written beside the file. Raises Invalid."""
    with house.db.read() as session:
        row = session.get(Import, import_id)
        if row is None:
            raise Invalid("The import was deleted meanwhile; what was taken stays.")
        beside = path.with_name(f"{path.stem}-faults.csv")
        faults = bool(row.refused or row.noted)
        if faults:
            try:
                with beside.open("w", encoding="utf-8-sig", newline="") as file:
                    write_faults(session, row, file)
            except OSError as error:
                raise Invalid(f"The rows to look at cannot be written to {beside}: {error.strerror}.") from error
        return {
            "created": row.created,
            "updated": row.updated,
            "unchanged": row.same,
            "refused": row.refused,
            "noted": row.noted,
            "faults_file": str(beside) if faults else None,
            "error": row.error or None,
            "ok": row.state != "failed" and row.refused == 0,
        }


def _forget(house: building.House, import_id: int) -> None:
    with house.db.write() as session:
        row = session.get(Import, import_id)
        if row is not None:
            remove_import(session, row)


def _lease(house: building.House) -> float:
    return house.settings.lease_seconds
