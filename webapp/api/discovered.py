"""People whom the caller corresponds with and whom the address book does not know. Each caller sees their own mailboxes'."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import MaxLen, MinLen
from fastapi import Query

from models.discovery import offers
from models.errors import NotFound
from models.offering import MOST, decide, undo
from webapp.api.cursors import make_cursor, open_cursor
from webapp.api.idempotency import api_router
from webapp.api.inputs import Asked, Body, Id
from webapp.deps import Given, Me
from webapp.offers import reading, shapes
from webapp.security import policy

router = api_router("discovered")


class Decision(Body):
    """What becomes of some of them: a ``contact``, a contact and a ``deal``, ``ignore`` for now, ``never`` again."""

    ids: Annotated[list[Id], MinLen(1), MaxLen(MOST)]
    decision: Literal["contact", "deal", "ignore", "never"]


@router.get("")
@policy("rep")
def list_discovered(deps: Given, me: Me, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """The caller's own, those who answered first, then by how much was exchanged. ``reading``: more may come."""
    with deps.db.read() as session:
        rows = offers(session, me.id, now=deps.clock())
        if asked.cursor is not None:
            _, last = open_cursor(asked.cursor, dated=False)
            place = next((place for place, row in enumerate(rows) if row.id == last), None)
            if place is None:
                raise NotFound("The person at which the page before ended was decided since. Start again.")
            rows = rows[place + 1 :]
        shown = rows[: asked.limit]
        after = make_cursor(None, shown[-1].id or 0) if len(rows) > len(shown) else None
        return {"items": shapes(session, shown), "next": after, "reading": reading(session, me)}


@router.post("/decisions", status_code=201)
@policy("rep")
def make_decision(deps: Given, me: Me, body: Decision) -> dict[str, Any]:
    """Decide about one or many at once; ``id`` takes all of it back."""
    with deps.db.write() as session:
        done = decide(session, deps.keyring, body.ids, body.decision, user_id=me.id, now=deps.clock())
        return {
            "id": done.batch,
            "decision": done.decision,
            "items": shapes(session, done.rows),
            "contacts": done.contacts,
            "deals": done.deals,
        }


@router.delete("/decisions/{batch}")
@policy("rep")
def take_back(deps: Given, me: Me, batch: str) -> dict[str, Any]:
    """Undo a decision: what it made goes, and the people are offered again."""
    with deps.db.write() as session:
        return {"items": shapes(session, undo(session, deps.keyring, batch, user_id=me.id, now=deps.clock()))}
