"""Events as one person may read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, or_

from models.event import Event
from models.telling import told
from webapp import present
from webapp.deps import Viewer


def for_viewer(me: Viewer) -> Any:
    """The condition under which an event is any of the viewer's business: told to all, or to them."""
    return or_(col(Event.user_id).is_(None), Event.user_id == me.id)


def readable(session: Session, rows: Sequence[Event], me: Viewer) -> list[dict[str, Any]]:
    """Events as the feed and the hooks tell them, without those that are none of the viewer's business."""
    payloads = told(session, rows, me.id, is_admin=me.is_admin)
    return [present.event(row) | {"data": payloads[row.id or 0]} for row in rows if (row.id or 0) in payloads]
