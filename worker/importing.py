"""Spreadsheets, taken part by part under a lease: a part's rows, what was said about them and the progress are one
transaction, so that a kill costs at most the part under way. A dry run writes each part, looks, and takes it back.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from sqlmodel import Session

from models.imports.rows import Seen
from models.imports.run import check_off, settle, take_part
from models.imports.store import Import, LeaseLost, from_the_start, hold_import
from worker.context import Work
from worker.turns import put_down, stumbled

log = structlog.get_logger()


def run_import(work: Work, import_id: int, owner: str, *, told: Callable[[Import], None] = lambda row: None) -> None:
    """Run one leased import until it is done or its slice of time is over. Never raises: what went wrong is on the row.
    ``told``: called with the row after each part."""
    try:
        if not _parts(work, import_id, owner, told):
            put_down(work, Import, import_id, owner)
    except LeaseLost:
        log.info("import.lease_lost", id=import_id)
    except Exception as error:  # noqa: BLE001  (our own fault: shown on the import, tried again, then given up aloud)
        log.error("import.bug", id=import_id, error=type(error).__name__)
        stumbled(work, Import, import_id, owner, error)


def _parts(work: Work, import_id: int, owner: str, told: Callable[[Import], None]) -> bool:
    """Take part after part; whether the import is done. A dry run is not put down before its end, because what it has seen
    is in this process alone; begun again it starts from the first row."""
    ends = work.monotonic() + work.pace.slice
    seen: Seen = {}
    with work.db.write() as session:
        row = hold_import(session, import_id, owner, now=work.now(), seconds=work.pace.lease)
        if row.state == "checking":
            from_the_start(session, row)
    while True:
        with work.db.write() as session:
            row = hold_import(session, import_id, owner, now=work.now(), seconds=work.pace.lease)
            dry = row.state == "checking"
            done = _check(work, session, row, seen) if dry else _take(work, session, row, seen)
            if done:
                row.lease_owner, row.lease_until = "", None
        told(row)
        if done:
            return True
        if not dry and work.monotonic() > ends:
            return False


def _take(work: Work, session: Session, row: Import, seen: Seen) -> bool:
    now = work.now()
    return settle(session, row, take_part(session, work.keyring, row, now=now, seen=seen), now=now)


def _check(work: Work, session: Session, row: Import, seen: Seen) -> bool:
    now = work.now()
    import_id, owner = row.id or 0, row.lease_owner
    taken = take_part(session, work.keyring, row, now=now, seen=seen)
    session.rollback()
    row = hold_import(session, import_id, owner, now=now, seconds=work.pace.lease)
    return check_off(session, row, taken, now=now)
