"""An import as pages and programs see it and correct it: one shape, one way to change it, for both."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi.responses import FileResponse, Response
from sqlmodel import Session, col, select
from starlette.background import BackgroundTask

from models.errors import Conflict, Invalid
from models.exports.imports import write_faults, write_template
from models.imports.columns import DATES, LABELS, check_mapping
from models.imports.run import Meant, missing, owner_values, stage_values
from models.imports.store import Import, ask_for, import_for
from models.imports.survey import month_first, undecided_dates
from models.pipeline import Stage
from models.user import User
from webapp.deps import Viewer
from webapp.present import by_id, iso

ORDERS = ("auto", "day", "month")


def one(session: Session, import_id: int, me: Viewer) -> Import:
    """Raises NotFound for one that is none of the viewer's business."""
    return import_for(session, import_id, user_id=me.id, is_admin=me.is_admin)


def mine(me: Viewer) -> Any:
    """The viewer's imports; an administrator sees everybody's."""
    statement = select(Import).where(Import.state != "reading")
    return statement if me.is_admin else statement.where(Import.user_id == me.id)


def brief(row: Import) -> dict[str, Any]:
    """An import in a list: what it is and how far it is."""
    return {
        "id": row.id,
        "kind": row.kind,
        "file_name": row.file_name,
        "state": row.state,
        "total": row.total,
        "done": row.position,
        "created": row.created,
        "updated": row.updated,
        "unchanged": row.same,
        "refused": row.refused,
        "noted": row.noted,
        "error": row.error or None,
        "user_id": row.user_id,
        "made_at": iso(row.made_at),
        "started_at": iso(row.started_at),
        "finished_at": iso(row.finished_at),
    }


def shape(session: Session, row: Import) -> dict[str, Any]:
    """An import with what its columns and their values were recognised as."""
    stages, owners = stage_values(session, row), owner_values(session, row)
    names = {
        "stage": by_id(session, Stage, [found.id for found in stages]),
        "user": by_id(session, User, [found.id for found in owners]),
    }
    return brief(row) | {
        "how": row.how,
        "columns": [_column(row, place, column) for place, column in enumerate(row.columns)],
        "missing": missing(row) or None,
        "stages": [_meant(found, "stage", names["stage"]) for found in stages],
        "owners": [_meant(found, "user", names["user"]) for found in owners],
        "date_order": row.date_order,
        "undecided_dates": _undecided(row),
        "currency": row.currency or None,
        "announce": row.announce,
        "checked": _sum(row.checked) if row.checked else None,
    }


def change(session: Session, row: Import, changes: Mapping[str, Any]) -> None:
    """Correct what was recognised: mapping (field or None by column), stages and owners (id or None by value), date_order,
    currency, announce. Raises Invalid, Conflict (it has begun)."""
    if row.state not in ("ready", "checking"):
        raise Conflict("This import has begun; nothing about it can be changed.")
    if "mapping" in changes:
        row.mapping = _mapped(row, changes["mapping"])
        row.certainty = {column: row.certainty.get(column, 1.0) for column in row.mapping}
    if "stages" in changes:
        row.stages = _chosen(session, row.stages, changes["stages"], Stage, "stages")
    if "owners" in changes:
        row.owners = _chosen(session, row.owners, changes["owners"], User, "owners")
    if changes.get("date_order", "auto") not in ORDERS:
        raise Invalid(f"The order of dates is one of {', '.join(ORDERS)}.", "date_order")
    for name in ("date_order", "currency", "announce"):
        if name in changes:
            setattr(row, name, changes[name])
    row.state, row.checked, row.next_run_at = "ready", {}, None
    row.lease_owner, row.lease_until = "", None
    session.add(row)
    session.flush()


def begin(session: Session, row: Import, state: str, *, now: Any) -> None:
    """Ask for a dry run (``checking``) or the import itself (``running``). Raises Invalid when something needed is not
    there, Conflict."""
    lacks = missing(row)
    if lacks:
        raise Invalid(lacks, "mapping")
    ask_for(session, row, state, now=now)


def faults_file(session: Session, row: Import) -> Response:
    """What was said row by row. Written to disk first: a file of faults may be as long as the import's."""
    name = f"{Path(row.file_name).stem}-faults".encode("ascii", "ignore").decode().replace('"', "")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8-sig", newline="", prefix="dealtrail-", delete=False) as file:
        write_faults(session, row, file)
    return sent_file(Path(file.name), f"{name}.csv", "text/csv")


def sent_file(path: Path, name: str, kind: str) -> Response:
    """A file that goes out and is gone afterwards."""
    gone = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, media_type=kind, filename=name, background=gone)


def template_file(kind: str) -> Response:
    """An empty template with one example."""
    file = io.StringIO()
    write_template(kind, file)
    headers = {"content-disposition": f'attachment; filename="dealtrail-{kind}.csv"'}
    return Response(file.getvalue().encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)


def _column(row: Import, place: int, column: str) -> dict[str, Any]:
    field = row.mapping.get(column)
    return {
        "name": column,
        "field": field,
        "certainty": row.certainty.get(column, 0.0),
        "filled": row.facts[column]["filled"],
        "examples": [
            str(cells[place]) for cells in row.samples if place < len(cells) and cells[place] not in ("", None)
        ],
        "month_first": month_first(row.facts, column, row.date_order) if field in DATES else None,
    }


def _undecided(row: Import) -> list[str]:
    if row.date_order != "auto":
        return []
    dates = [column for column, field in row.mapping.items() if field in DATES]
    return [column for column in dates if undecided_dates(row.facts, column)]


def _meant(found: Meant, what: str, names: Mapping[int, Any]) -> dict[str, Any]:
    known = names.get(found.id or 0)
    return {
        "value": found.value,
        "rows": found.rows,
        f"{what}_id": found.id,
        what: known.name if known is not None else None,
        "sure": found.sure,
    }


def _sum(counted: Mapping[str, int]) -> dict[str, int]:
    return {("unchanged" if name == "same" else name): count for name, count in counted.items()}


def _mapped(row: Import, wanted: Mapping[str, str | None]) -> dict[str, str]:
    for column in wanted:
        if column not in row.columns:
            check_mapping(row.kind, row.columns, {column: "name"})
    merged = {**row.mapping, **wanted}
    mapping = {column: field for column, field in merged.items() if field}
    check_mapping(row.kind, row.columns, mapping)
    return mapping


def _chosen(
    session: Session, have: Mapping[str, int], wanted: Mapping[str, int | None], model: Any, field: str
) -> dict[str, int]:
    known = by_id(session, model, wanted.values())
    strange = next((key for key in wanted.values() if key is not None and key not in known), None)
    if strange is not None:
        raise Invalid(f"There is no {'stage' if model is Stage else 'user'} {strange}.", field)
    return {value: key for value, key in {**have, **wanted}.items() if key is not None}


def choices(session: Session, kind: str) -> dict[str, Any]:
    """What a person may choose from on the page."""
    return {
        "fields": list(LABELS[kind].items()),
        "all_stages": [
            (row.id, row.name)
            for row in session.exec(select(Stage).order_by(col(Stage.pipeline_id), col(Stage.position)))
        ],
        "users": [
            (row.id, row.name)
            for row in session.exec(select(User).where(col(User.disabled_at).is_(None)).order_by(User.name))
        ],
    }
