"""The feed: every event in the order in which it happened, for whoever missed some."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlmodel import Session, col, select

from models.event import Event
from models.replay import position_of
from webapp.api.idempotency import api_router
from webapp.api.inputs import Body, Line
from webapp.deps import Given, Me
from webapp.feed import for_viewer, readable
from webapp.security import policy

router = api_router("events")


class FeedPage(Body):
    """``after``: the id or the position of the last event that the caller has; ``type``: only this kind."""

    limit: Annotated[int, Query(ge=1, le=200)] = 50
    after: Line | None = None
    type: Line | None = None


@router.get("")
@policy("rep")
def read_feed(deps: Given, me: Me, asked: Annotated[FeedPage, Query()]) -> dict[str, Any]:
    """Events after a place, oldest first. ``next``, while there is more, is the ``after`` of the next page; a page may hold
    fewer than ``limit``."""
    with deps.db.read() as session:
        rows = session.exec(_statement(session, asked).where(for_viewer(me)).limit(asked.limit + 1)).all()
        shown = rows[: asked.limit]
        more = len(rows) > asked.limit
        return {"items": readable(session, shown, me), "next": str(shown[-1].position) if more else None}


def _statement(session: Session, asked: FeedPage) -> Any:
    statement = select(Event).where(col(Event.position).is_not(None)).order_by(col(Event.position))
    if asked.after is not None:
        statement = statement.where(col(Event.position) > position_of(session, asked.after))
    if asked.type is not None:
        statement = statement.where(Event.kind == asked.type)
    return statement
