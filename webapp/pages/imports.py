"""Spreadsheets in and out: a file is chosen, what was recognised is shown and corrected, tried, then taken while one looks on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, col, select

from models.errors import Invalid, NotFound
from models.imports.columns import KINDS
from models.imports.store import Import, ImportFault, remove_import
from models.setting import team_settings
from webapp import exports, imports
from webapp.deps import Deps, Given, Me, Viewer
from webapp.pages.forms import Fields, Sent
from webapp.pages.show import go, live, page
from webapp.security import policy
from webapp.uploads import Upload

router = APIRouter()
SHOWN = 30
FAULTS = 10
"""Rows about which something was said that the page shows; the file has them all."""


@router.get("/imports")
@policy("rep")
def imports_page(request: Request, given: Given, me: Me) -> Response:
    """Choose a file; what was imported before; and, for administrators, everything out."""
    return _list(request, given, me)


@router.post("/imports")
@policy("rep")
def send(request: Request, given: Given, me: Me, upload: Upload) -> Response:
    """A file comes in."""
    try:
        import_id = upload.keep(given, me)
    except Invalid as error:
        return _list(request, given, me, fault=str(error), kind=upload.kind)
    return go(f"/imports/{import_id}")


@router.get("/imports/{import_id}")
@policy("rep")
def one_import(request: Request, given: Given, me: Me, import_id: int) -> Response:
    """What was recognised, the dry run's sum, progress, and what was said about rows."""
    return _one(request, given, me, import_id)


@router.get("/imports/{import_id}/news")
@policy("rep")
def news(request: Request, given: Given, me: Me, import_id: int) -> Response:
    """How far it is; 204 when nothing moved."""
    with given.db.read() as session:
        found = _read(session, imports.one(session, import_id, me))
    return live(request, "_import_news.html", _version(found), one=found)


@router.post("/imports/{import_id}")
@policy("rep")
def correct(request: Request, given: Given, me: Me, import_id: int, form: Sent) -> Response:
    """Save what was corrected, and go on with what was asked: ``then`` is check, start or nothing."""
    then = form.text("then")
    try:
        with given.db.write() as session:
            row = imports.one(session, import_id, me)
            imports.change(session, row, _changes(session, row, form))
            if then in ("check", "start"):
                state = "checking" if then == "check" else "running"
                imports.begin(session, row, state, now=given.clock())
    except Invalid as error:
        return _one(request, given, me, import_id, fault=str(error), field=error.field)
    said = {"check": "Trying every row; nothing is kept.", "start": "It has begun."}.get(then, "Saved.")
    return go(f"/imports/{import_id}", said)


@router.post("/imports/{import_id}/removal")
@policy("rep")
def removal(request: Request, given: Given, me: Me, import_id: int) -> Response:
    """Forget it; one under way stops, and what was taken stays."""
    with given.db.write() as session:
        row = imports.one(session, import_id, me)
        remove_import(session, row)
    return go("/imports", f"{row.file_name} is forgotten; what was taken from it stays.")


@router.get("/imports/{import_id}/faults.csv")
@policy("rep")
def faults(given: Given, me: Me, import_id: int) -> Response:
    """The rows about which something was said, as a file to mend and send again."""
    with given.db.read() as session:
        return imports.faults_file(session, imports.one(session, import_id, me))


@router.get("/import-templates/{kind}")
@policy("rep")
def template(kind: str) -> Response:
    """An empty file with the right columns and an example."""
    if kind not in KINDS:
        raise NotFound("There is no such template.")
    return imports.template_file(kind)


@router.get("/export")
@policy("admin")
def export(given: Given, me: Me, format: str = "csv", text: str = "") -> Response:
    """Everything, as one file."""
    return exports.export(given, me, format, text=bool(text))


def _list(request: Request, given: Deps, me: Viewer, *, fault: str = "", kind: str = "deals") -> Response:
    with given.db.read() as session:
        rows = session.exec(imports.mine(me).order_by(col(Import.id).desc()).limit(SHOWN)).all()
    return page(
        request,
        "imports.html",
        status=422 if fault else 200,
        rows=rows,
        kinds=KINDS,
        kind=kind,
        fault=fault,
        field="",
        typed={},
        active="contacts",
    )


def _one(request: Request, given: Deps, me: Viewer, import_id: int, *, fault: str = "", field: str = "") -> Response:
    with given.db.read() as session:
        row = imports.one(session, import_id, me)
        found = _read(session, row)
        context = imports.choices(session, row.kind) | {"usual": team_settings(session)["default_currency"]}
    return page(
        request,
        "import.html",
        status=422 if fault else 200,
        one=found,
        version=_version(found),
        fault=fault,
        field=field,
        typed={},
        active="contacts",
        **context,
    )


def _read(session: Session, row: Import) -> dict[str, Any]:
    found = imports.shape(session, row)
    return found | {
        "unknown_stages": [one for one in found["stages"] if one["stage_id"] is None],
        "unknown_owners": [one for one in found["owners"] if one["user_id"] is None],
        "ignored": [column["name"] for column in found["columns"] if not column["field"]],
        "faults": _faults(session, row),
    }


def _faults(session: Session, row: Import) -> list[ImportFault]:
    """The first rows about which something was said, those that are not taken before the others."""
    said = select(ImportFault).where(ImportFault.import_id == row.id)
    return list(session.exec(said.order_by(col(ImportFault.taken), col(ImportFault.row)).limit(FAULTS)).all())


def _version(found: Mapping[str, Any]) -> str:
    return f"{found['state']}-{found['done']}-{found['refused']}-{bool(found['error'])}"


def _changes(session: Session, row: Import, form: Fields) -> dict[str, Any]:
    """The form's corrections: ``column-N``, ``stage-N`` and ``owner-N`` go by the order in which they were shown."""
    found = imports.shape(session, row)
    changes: dict[str, Any] = {"announce": form.ticked("announce")}
    mapping = {
        column["name"]: form.text(f"column-{place}") or None
        for place, column in enumerate(found["columns"])
        if f"column-{place}" in form
    }
    if mapping:
        changes["mapping"] = mapping
    for noun, what in (("stages", "stage"), ("owners", "user")):
        said = {
            one["value"]: form.number(f"{noun}-{place}")
            for place, one in enumerate(found[noun])
            if f"{noun}-{place}" in form
        }
        if said:
            changes[noun] = {value: key for value, key in said.items() if key != _meant(found[noun], value, what)}
    if "date_order" in form:
        changes["date_order"] = form.text("date_order")
    if form.text("currency"):
        changes["currency"] = _currency(form.text("currency"))
    return changes


def _meant(values: list[dict[str, Any]], value: str, what: str) -> int | None:
    return next(one[f"{what}_id"] for one in values if one["value"] == value)


def _currency(text: str) -> str:
    if len(text) != 3 or not text.isascii() or not text.isalpha():
        raise Invalid("A currency is three letters, such as EUR.", "currency")
    return text.upper()
