"""Suggested stage moves: read them with their evidence, accept or dismiss them, and take that back."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Query
from sqlmodel import Session, col, select

from models import suggestion as verbs
from models.deal import Deal
from models.existing import existing
from models.suggestion import Suggestion, get_suggestion
from webapp import present
from webapp.api.cursors import page
from webapp.api.deals import StageRef, stage_in
from webapp.api.idempotency import api_router
from webapp.api.inputs import Amount, Asked, Body, Id, Line, minor
from webapp.deps import Given, Me, Viewer
from webapp.security import policy

router = api_router("suggestions")


class SuggestionFilter(Asked):
    """``state``: open unless told otherwise."""

    state: Literal["open", "accepted", "dismissed", "superseded", "stale", "all"] = "open"
    deal_id: Id | None = None


class Acceptance(Body):
    """Yes, perhaps to another ``stage``; for a won or lost deal with its reason and amount."""

    stage: StageRef | None = None
    reason: Line = ""
    amount: Amount | None = None
    wake_on: date | None = None


class Dismissal(Body):
    """No, and perhaps why."""

    why: Line = ""


@router.get("")
@policy("rep")
def list_suggestions(deps: Given, me: Me, asked: Annotated[SuggestionFilter, Query()]) -> dict[str, Any]:
    """Suggestions, newest first; their quotes for those who may read the mail."""
    statement = select(Suggestion)
    if asked.state != "all":
        statement = statement.where(Suggestion.state == asked.state)
    if asked.deal_id is not None:
        statement = statement.where(Suggestion.deal_id == asked.deal_id)
    with deps.db.read() as session:
        rows, after = page(session, statement, asked, col(Suggestion.id), newest_first=True)
        return {"items": present.suggestions(session, rows, me), "next": after}


@router.get("/{suggestion_id}")
@policy("rep")
def read_suggestion(deps: Given, me: Me, suggestion_id: Id) -> dict[str, Any]:
    """One suggestion with its evidence."""
    with deps.db.read() as session:
        return _shape(session, get_suggestion(session, suggestion_id), me)


@router.post("/{suggestion_id}/acceptance")
@policy("rep")
def accept(deps: Given, me: Me, suggestion_id: Id, body: Acceptance | None = None) -> dict[str, Any]:
    """Move the deal as suggested."""
    wanted = body or Acceptance()
    with deps.db.write() as session:
        row = get_suggestion(session, suggestion_id)
        deal = existing(session, Deal, row.deal_id, "deal")
        verbs.accept(
            session,
            row,
            actor_id=me.id,
            now=deps.clock(),
            stage=stage_in(session, deal.pipeline_id, wanted.stage) if wanted.stage is not None else None,
            reason=wanted.reason,
            amount_minor=minor(wanted.amount),
            wake_on=wanted.wake_on,
        )
        return _shape(session, row, me)


@router.delete("/{suggestion_id}/acceptance")
@policy("rep")
def undo_acceptance(deps: Given, me: Me, suggestion_id: Id) -> dict[str, Any]:
    """Take an acceptance back: the deal returns, the suggestion is open again."""
    with deps.db.write() as session:
        row = get_suggestion(session, suggestion_id)
        verbs.undo_acceptance(session, row, actor_id=me.id, now=deps.clock())
        return _shape(session, row, me)


@router.post("/{suggestion_id}/dismissal")
@policy("rep")
def dismiss(deps: Given, me: Me, suggestion_id: Id, body: Dismissal | None = None) -> dict[str, Any]:
    """Say no; the same evidence is not brought up again."""
    with deps.db.write() as session:
        row = get_suggestion(session, suggestion_id)
        verbs.dismiss(session, row, actor_id=me.id, now=deps.clock(), why=body.why if body else "")
        return _shape(session, row, me)


@router.delete("/{suggestion_id}/dismissal")
@policy("rep")
def undo_dismissal(deps: Given, me: Me, suggestion_id: Id) -> dict[str, Any]:
    """Open a dismissed suggestion again."""
    with deps.db.write() as session:
        row = get_suggestion(session, suggestion_id)
        verbs.undo_dismissal(session, row)
        return _shape(session, row, me)


def _shape(session: Session, row: Suggestion, me: Viewer) -> dict[str, Any]:
    return present.suggestions(session, [row], me)[0]
