"""Imports: a spreadsheet is sent, its columns are recognised and may be corrected, tried, then taken in the background."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import Response
from pydantic import Field, StringConstraints
from sqlmodel import col

from models.imports.store import Import, remove_import
from webapp import imports
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Asked, Body, Id, Line, given, left
from webapp.deps import Given, Me
from webapp.security import policy
from webapp.uploads import FORM, Upload

router = api_router("imports")
Value = Annotated[str, StringConstraints(max_length=300)]
Currency = Annotated[str, StringConstraints(pattern="^[A-Za-z]{3}$", to_upper=True)]


class ChangedImport(Body):
    """What is to change. ``mapping``: field by column, null to leave one out; ``stages`` and ``owners``: the id of a stage or
    user by what stands in the file, null to forget what was said; ``date_order``: which comes first in dates that go both
    ways; ``announce``: send webhooks for what the import makes."""

    mapping: dict[Value, Line | None] = left()
    stages: Annotated[dict[Value, Id | None], Field(max_length=500)] = left()
    owners: Annotated[dict[Value, Id | None], Field(max_length=500)] = left()
    date_order: Literal["auto", "day", "month"] = left()
    currency: Currency = left()
    announce: bool = left()


@router.get("")
@policy("rep")
def list_imports(deps: Given, me: Me, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """The caller's imports (an administrator: everybody's), newest first."""
    with deps.db.read() as session:
        rows, after = page(session, imports.mine(me), asked, col(Import.id), newest_first=True)
        return {"items": [imports.brief(row) for row in rows], "next": after}


@router.post("", status_code=201, openapi_extra=FORM)
@policy("rep")
def create_import(deps: Given, me: Me, upload: Upload) -> dict[str, Any]:
    """Send a file (multipart: ``kind``, ``file``); nothing is taken before it is started."""
    import_id = upload.keep(deps, me)
    with deps.db.read() as session:
        return imports.shape(session, imports.one(session, import_id, me))


@router.get("/{import_id}")
@policy("rep")
def read_import(deps: Given, me: Me, import_id: Id) -> dict[str, Any]:
    """One import: what was recognised, and how far it is."""
    with deps.db.read() as session:
        return imports.shape(session, imports.one(session, import_id, me))


@router.patch("/{import_id}")
@policy("rep")
def change_import(deps: Given, me: Me, import_id: Id, body: ChangedImport) -> dict[str, Any]:
    """Correct what was recognised."""
    with deps.db.write() as session:
        row = imports.one(session, import_id, me)
        imports.change(session, row, given(body))
        return imports.shape(session, row)


@router.delete("/{import_id}", status_code=204)
@policy("rep")
def delete_import(deps: Given, me: Me, import_id: Id) -> None:
    """Forget an import and its file; one under way stops. What was taken stays."""
    with deps.db.write() as session:
        remove_import(session, imports.one(session, import_id, me))


@router.post("/{import_id}/dry-run", status_code=202)
@policy("rep")
def dry_run(deps: Given, me: Me, import_id: Id) -> dict[str, Any]:
    """Try every row and take everything back; ``checked`` holds the sum once ``state`` is ready again."""
    with deps.db.write() as session:
        row = imports.one(session, import_id, me)
        imports.begin(session, row, "checking", now=deps.clock())
        return imports.shape(session, row)


@router.post("/{import_id}/start", status_code=202)
@policy("rep")
def start(deps: Given, me: Me, import_id: Id) -> dict[str, Any]:
    """Take the rows, in the background."""
    with deps.db.write() as session:
        row = imports.one(session, import_id, me)
        imports.begin(session, row, "running", now=deps.clock())
        return imports.shape(session, row)


@router.get("/{import_id}/faults.csv")
@policy("rep")
def faults(deps: Given, me: Me, import_id: Id) -> Response:
    """The rows about which something was said, with why and with their cells as they were."""
    with deps.db.read() as session:
        return imports.faults_file(session, imports.one(session, import_id, me))
