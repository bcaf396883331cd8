"""What is kept of an import: the request and its progress, the rows of the file until they are taken, and what was said
about single rows. Rows are the requests: a page sets ``next_run_at``, the worker claims it with a lease.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, or_, update
from sqlmodel import Field, Session, SQLModel, col, select

from models.account import is_dead, lease_owner
from models.db import insert_many, table
from models.errors import Conflict, NotFound
from models.fields import instant, json_dict, json_list, sealed
from models.imports.cells import Cell
from models.imports.sheet import Row

PART = 500
"""Rows in one part, which is one transaction."""
UNSTARTED, TOLD = timedelta(days=7), timedelta(days=30)
"""How long the rows of a file wait to be started, and how long it is kept what was said about some."""


class Import(SQLModel, table=True):
    """One spreadsheet to be taken. ``mapping``: field by column; ``stages`` and ``owners``: what a person said a value of
    these columns means (ids). ``facts``: of ``survey``. ``position``: rows settled so far. ``checked``: the sum of the last
    dry run. ``state``: reading, then ready; checking is a dry run; failed only when the file itself could not be taken."""

    id: int | None = Field(default=None, primary_key=True)
    user_id: int | None = Field(default=None, foreign_key="user.id", index=True)
    kind: str
    file_name: str
    how: str = ""
    columns: list[str] = json_list()
    mapping: dict[str, str] = json_dict()
    certainty: dict[str, float] = json_dict()
    samples: list[list[Any]] = json_list()
    facts: dict[str, Any] = json_dict()
    stages: dict[str, int] = json_dict()
    owners: dict[str, int] = json_dict()
    date_order: str = "auto"
    currency: str = ""
    announce: bool = False
    from_1904: bool = False
    state: str = Field(default="reading", index=True)
    total: int = 0
    position: int = 0
    created: int = 0
    updated: int = 0
    same: int = 0
    refused: int = 0
    noted: int = 0
    checked: dict[str, int] = json_dict()
    failures: int = 0
    error: str = ""
    made_at: datetime = instant()
    started_at: datetime | None = instant(None)
    finished_at: datetime | None = instant(None)
    next_run_at: datetime | None = instant(None, index=True)
    lease_owner: str = ""
    lease_until: datetime | None = instant(None)


class ImportPart(SQLModel, table=True):
    """Some rows of a file as they were read, packed; gone when the import is done."""

    __tablename__ = "import_part"  # pyright: ignore[reportAssignmentType]
    import_id: int = Field(foreign_key="import.id", primary_key=True, ondelete="CASCADE")
    number: int = Field(primary_key=True)
    packed: bytes = sealed()


class ImportFault(SQLModel, table=True):
    """What was said about one row: why it was not taken, or (``taken``) what a person should know about it. ``cells``: the
    row as it was in the file."""

    __tablename__ = "import_fault"  # pyright: ignore[reportAssignmentType]
    id: int | None = Field(default=None, primary_key=True)
    import_id: int = Field(foreign_key="import.id", index=True, ondelete="CASCADE")
    row: int
    taken: bool = False
    reason: str
    cells: list[Any] = json_list()


class LeaseLost(Exception):
    """Somebody else has the import now, or it was deleted; write nothing."""


def keep_part(session: Session, import_id: int, number: int, rows: list[Row]) -> None:
    """Keep some rows of a file."""
    packed = zlib.compress(json.dumps(rows, separators=(",", ":")).encode("utf-8", "replace"), 6)
    insert_many(session, ImportPart, [{"import_id": import_id, "number": number, "packed": packed}])


def part_of(session: Session, import_id: int, number: int) -> list[Row]:
    """Some rows of a file; none after the last."""
    part = session.get(ImportPart, (import_id, number))
    if part is None:
        return []
    rows: list[tuple[int, list[Cell]]] = json.loads(zlib.decompress(part.packed))
    session.expunge(part)
    return [(number, cells) for number, cells in rows]


def forget_parts(session: Session, import_id: int) -> None:
    """The rows of the file are not needed any more."""
    parts = table(ImportPart)
    session.connection().execute(delete(parts).where(parts.c.import_id == import_id))


def ask_for(session: Session, row: Import, state: str, *, now: datetime) -> None:
    """Make an import due, as a dry run (``checking``) or in earnest (``running``), from its first row. Raises Conflict."""
    if row.state not in ("ready", "checking"):
        raise Conflict(
            {"done": "This import is done.", "running": "This import is under way."}.get(row.state, "Not now.")
        )
    from_the_start(session, row)
    row.state, row.error, row.failures, row.finished_at = state, "", 0, None
    row.started_at = row.next_run_at = now
    row.lease_owner, row.lease_until = "", None
    session.add(row)
    session.flush()


def from_the_start(session: Session, row: Import) -> None:
    """Forget what was counted and said so far."""
    faults = table(ImportFault)
    session.connection().execute(delete(faults).where(faults.c.import_id == row.id))
    row.position = row.created = row.updated = row.same = row.refused = row.noted = 0
    session.add(row)


def due_imports(now: datetime) -> Any:
    """The ids of the imports that may be claimed now."""
    return select(Import.id).where(
        col(Import.next_run_at) <= now, or_(col(Import.lease_until).is_(None), col(Import.lease_until) <= now)
    )


def claim_due_imports(session: Session, *, now: datetime, seconds: float, limit: int) -> list[tuple[int, str]]:
    """Lease the imports that are due: (id, owner) of each one won."""
    won = []
    for import_id in session.exec(due_imports(now).order_by(col(Import.next_run_at)).limit(limit)).all():
        owner = claim_import(session, import_id or 0, now=now, seconds=seconds)
        if owner:
            won.append((import_id or 0, owner))
    return won


def claim_import(session: Session, import_id: int, *, now: datetime, seconds: float) -> str:
    """Lease one import; the owner's name, empty when somebody else holds it."""
    imports, owner = table(Import), lease_owner()
    claimed = session.connection().execute(
        update(imports)
        .where(imports.c.id == import_id, or_(imports.c.lease_until.is_(None), imports.c.lease_until <= now))
        .values(lease_owner=owner, lease_until=now + timedelta(seconds=seconds))
    )
    return owner if claimed.rowcount == 1 else ""


def hold_import(session: Session, import_id: int, owner: str, *, now: datetime, seconds: float) -> Import:
    """Prolong the lease inside the transaction that depends on it, and read the row. Raises LeaseLost."""
    imports = table(Import)
    kept = session.connection().execute(
        update(imports)
        .where(imports.c.id == import_id, imports.c.lease_owner == owner, imports.c.state.in_(("checking", "running")))
        .values(lease_until=now + timedelta(seconds=seconds))
    )
    row = session.get(Import, import_id) if kept.rowcount == 1 else None
    if row is None:
        raise LeaseLost
    return row


def release_dead_imports(session: Session, *, now: datetime) -> int:
    """Free the leases whose holder was a process of this machine that no longer runs; how many."""
    freed = 0
    for row in session.exec(select(Import).where(Import.lease_owner != "")):
        if is_dead(row.lease_owner):
            row.lease_owner, row.lease_until = "", None
            row.next_run_at = now if row.state in ("checking", "running") else None
            session.add(row)
            freed += 1
    return freed


def keep_faults(session: Session, import_id: int, faults: Iterable[Mapping[str, Any]]) -> None:
    """Write down what was said about some rows: row, taken, reason, cells."""
    insert_many(session, ImportFault, [{"import_id": import_id, **fault} for fault in faults])


def stale_imports(now: datetime) -> Any:
    """Files that nobody started in a week, whose upload broke off, or that were taken long ago."""
    waiting = col(Import.state).in_(("reading", "ready")) & (col(Import.made_at) < now - UNSTARTED)
    return select(Import).where(waiting | (col(Import.finished_at) < now - TOLD))


def drop_stale_imports(session: Session, *, now: datetime) -> int:
    """Forget what was kept of them; how many. What was taken stays."""
    old = session.exec(stale_imports(now)).all()
    for row in old:
        session.delete(row)
    return len(old)


def remove_import(session: Session, row: Import) -> None:
    """Forget an import and what is left of its file; what was taken stays. One under way stops after its present part."""
    session.delete(row)
    session.flush()


def import_for(session: Session, import_id: int, *, user_id: int, is_admin: bool) -> Import:
    """Raises NotFound for one that is none of the viewer's business."""
    row = session.get(Import, import_id)
    if row is None or not (is_admin or row.user_id == user_id):
        raise NotFound("There is no such import.")
    return row
