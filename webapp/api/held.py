"""What waits for its owner to say which deal it belongs to. Nobody else sees it, administrators included."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import model_validator
from sqlmodel import Session, col, select

from models.deal import Deal
from models.interaction import Held
from models.linking import choose_deal, choose_none, undo_choice
from webapp import present, timeline
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Asked, Body, Id, named
from webapp.deps import Given, Me, Viewer
from webapp.security import policy

router = api_router("held")


class HeldFilter(Asked):
    """``state``: open (waiting), chosen, or none (belongs to no deal)."""

    state: Literal["open", "chosen", "none", "all"] = "open"


class Choice(Body):
    """A deal, or that it belongs to none."""

    deal_id: Id | None = None
    none: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Choice:
        if (self.deal_id is None) != self.none:
            raise ValueError('send {"deal_id": ...} or {"none": true}')
        return self


@router.get("")
@policy("rep")
def list_held(deps: Given, me: Me, asked: Annotated[HeldFilter, Query()]) -> dict[str, Any]:
    """The caller's own held items, newest first, with candidates and reasons."""
    statement = select(Held).where(Held.user_id == me.id)
    if asked.state != "all":
        statement = statement.where(Held.state == asked.state)
    with deps.db.read() as session:
        rows, after = page(session, statement, asked, col(Held.id), newest_first=True)
        return {"items": present.held(session, rows, me), "next": after}


@router.get("/{held_id}")
@policy("rep")
def read_held(deps: Given, me: Me, held_id: Id) -> dict[str, Any]:
    """One of the caller's own held items."""
    with deps.db.read() as session:
        return _shape(session, timeline.held_for(session, held_id, me), me)


@router.post("/{held_id}/choice")
@policy("rep")
def choose(deps: Given, me: Me, held_id: Id, body: Choice) -> dict[str, Any]:
    """Say which deal it belongs to; the conversation and the contact remember it."""
    now = deps.clock()
    with deps.db.write() as session:
        held = timeline.held_for(session, held_id, me)
        named(session, Deal, body.deal_id, "deal", "deal_id")
        if body.deal_id is None:
            choose_none(session, held, user_id=me.id, now=now)
        else:
            choose_deal(session, held, body.deal_id, user_id=me.id, now=now)
        return _shape(session, held, me)


@router.delete("/{held_id}/choice")
@policy("rep")
def take_back(deps: Given, me: Me, held_id: Id) -> dict[str, Any]:
    """Undo a choice: the item waits again, and what the choice taught is forgotten."""
    with deps.db.write() as session:
        held = timeline.held_for(session, held_id, me)
        undo_choice(session, held, now=deps.clock())
        return _shape(session, held, me)


def _shape(session: Session, held: Held, me: Viewer) -> dict[str, Any]:
    return present.held(session, [held], me)[0]
