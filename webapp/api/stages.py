"""A deal's stage, how it came there, and its timeline."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import Query
from sqlmodel import Session, col, select

from models.deal import Actor, Deal, StageChange, move_deal
from models.errors import Conflict, Invalid
from models.existing import existing
from models.pipeline import Stage
from models.user import User
from webapp import present, timeline
from webapp.api.cursors import cut, open_cursor, page
from webapp.api.deals import StageRef, stage_in
from webapp.api.idempotency import api_router
from webapp.api.inputs import Amount, Asked, Body, Id, Line, minor
from webapp.deps import Given, Me
from webapp.security import policy

router = api_router("deals")


class Move(Body):
    """Where a deal goes. ``version``: the deal's, as the caller knows it; ``wake_on``: when a shelved deal comes back."""

    stage: StageRef
    reason: Line = ""
    amount: Amount | None = None
    wake_on: date | None = None
    version: Id | None = None


@router.put("/{deal_id}/stage")
@router.post("/{deal_id}/stage")
@policy("rep")
def move(deps: Given, me: Me, deal_id: Id, body: Move) -> dict[str, Any]:
    """Move a deal to another stage of its pipeline."""
    with deps.db.write() as session:
        existing(session, Deal, deal_id, "deal")
        deal = session.get_one(Deal, deal_id, with_for_update=True)
        if body.version is not None and body.version != deal.version:
            raise Conflict(f"The deal has moved since: it is at version {deal.version}. Read it again.")
        stage = stage_in(session, deal.pipeline_id, body.stage)
        if body.wake_on is not None and stage.meaning != "fridge":
            raise Invalid("Only a deal that is shelved has a day to wake on.", "wake_on")
        move_deal(
            session,
            deal,
            stage,
            actor=Actor(me.id, "api"),
            now=deps.clock(),
            reason=body.reason,
            amount_minor=minor(body.amount),
            wake_on=body.wake_on,
        )
        return present.deals(session, [deal])[0]


@router.get("/{deal_id}/timeline")
@policy("rep")
def read_timeline(deps: Given, me: Me, deal_id: Id, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """A deal's e-mails and meetings, newest first, each as far as the caller may see it. A page may hold fewer than
    ``limit``; ``next`` says whether there is more."""
    place = open_cursor(asked.cursor, dated=True) if asked.cursor is not None else None
    before = (place[0], place[1]) if place and place[0] else None
    with deps.db.read() as session:
        existing(session, Deal, deal_id, "deal")
        rows = timeline.of_deal(session, deal_id, limit=asked.limit + 1, before=before)
        shown, after = cut(rows, asked.limit, by="occurred_at")
        return {"items": present.interactions(session, shown, me), "next": after}


@router.get("/{deal_id}/stage-history")
@policy("rep")
def read_history(deps: Given, deal_id: Id, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """A deal's moves, oldest first; those taken back have ``undone_at``."""
    with deps.db.read() as session:
        existing(session, Deal, deal_id, "deal")
        moves = select(StageChange).where(StageChange.deal_id == deal_id)
        rows, after = page(session, moves, asked, col(StageChange.id))
        return {"items": _shapes(session, rows), "next": after}


def _shapes(session: Session, rows: list[StageChange]) -> list[dict[str, Any]]:
    stages = present.by_id(session, Stage, [key for row in rows for key in (row.from_stage_id, row.to_stage_id)])
    people = present.by_id(session, User, [row.user_id for row in rows])
    return [
        {
            "id": row.id,
            "from": present.stage_of(stages.get(row.from_stage_id or 0)),
            "to": present.stage_of(stages.get(row.to_stage_id)),
            "at": present.iso(row.at),
            "source": row.source,
            "user_id": row.user_id,
            "user": people[row.user_id].name if row.user_id in people else None,
            "suggestion_id": row.suggestion_id,
            "undone_at": present.iso(row.undone_at),
        }
        for row in rows
    ]
