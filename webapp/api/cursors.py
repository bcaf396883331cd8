"""Cursor pages: ``{"items": [...], "next": ...}``. A cursor is the place of the last row shown, opaque to the caller, so that
rows that come or go meanwhile neither repeat nor hide others."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, and_, or_

from models.errors import Invalid
from webapp.api.inputs import Asked

Place = tuple[datetime | None, int]


def page(
    session: Session, statement: Any, asked: Asked, key: Any, *, by: Any = None, newest_first: bool = False
) -> tuple[list[Any], str | None]:
    """One page of rows and the cursor of the next. ``key``: the id column; ``by``: an instant that sorts before it."""
    columns = [key] if by is None else [by, key]
    if asked.cursor is not None:
        statement = statement.where(_beyond(open_cursor(asked.cursor, dated=by is not None), by, key, newest_first))
    ordered = [column.desc() if newest_first else column.asc() for column in columns]
    rows = list(session.exec(statement.order_by(*ordered).limit(asked.limit + 1)).all())
    return cut(rows, asked.limit, by=by.key if by is not None else None)


def cut(rows: Sequence[Any], limit: int, *, by: str | None = None) -> tuple[list[Any], str | None]:
    """The first ``limit`` rows of what was read, and the cursor that goes on behind them if there are more."""
    shown = list(rows[:limit])
    if len(rows) <= limit or not shown:
        return shown, None
    last = shown[-1]
    return shown, make_cursor(getattr(last, by) if by else None, last.id)


def make_cursor(at: datetime | None, key: int) -> str:
    """A place as text."""
    raw = json.dumps([at.isoformat() if at else None, key], separators=(",", ":"))
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def open_cursor(cursor: str, *, dated: bool) -> Place:
    """The place that a cursor stands for. Raises Invalid for one that this list has not given."""
    try:
        at, key = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        moment = datetime.fromisoformat(at) if dated else None
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise _garbage() from None
    if not isinstance(key, int) or not 0 <= key < 2**31 or (moment is not None and moment.tzinfo is None):
        raise _garbage()
    return moment, key


def _garbage() -> Invalid:
    return Invalid("This cursor is none that this list has given. Start again without one.", "cursor")


def _beyond(place: Place, by: Any, key: Any, newest_first: bool) -> Any:
    at, last = place
    behind = key < last if newest_first else key > last
    if by is None:
        return behind
    return or_(by < at if newest_first else by > at, and_(by == at, behind))
