"""What every shape is made with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from sqlmodel import Session, select

from models.db import chunks


def iso(moment: datetime | date | None) -> str | None:
    """RFC 3339 in UTC, or a plain date."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def by_id(session: Session, model: Any, ids: Iterable[int | None]) -> dict[int, Any]:
    """Rows of a table by their ids."""
    found: dict[int, Any] = {}
    for part in chunks({key for key in ids if key is not None}):
        found.update((row.id or 0, row) for row in session.exec(select(model).where(model.id.in_(part))))
    return found
