"""Two contacts, or two companies, that turned out to be one; with the way back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from sqlmodel import col, select

from models.merging import Merge, get_merge, merge_companies, merge_contacts
from models.parting import undo_merge
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Asked, Body, Id
from webapp.deps import Given, Me
from webapp.offers import merge_shape
from webapp.security import policy

router = api_router("merges")
VERBS = {"contact": merge_contacts, "company": merge_companies}


class NewMerge(Body):
    """``gone_id`` becomes a part of ``kept_id``: addresses or domains, deals, people and timeline."""

    kind: Literal["contact", "company"]
    kept_id: Id
    gone_id: Id


@router.get("")
@policy("rep")
def list_merges(deps: Given, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """Merges, newest first."""
    with deps.db.read() as session:
        rows, after = page(session, select(Merge), asked, col(Merge.id), newest_first=True)
        return {"items": [merge_shape(row) for row in rows], "next": after}


@router.post("", status_code=201)
@policy("rep")
def merge(deps: Given, me: Me, body: NewMerge) -> dict[str, Any]:
    """Make two of them one."""
    with deps.db.write() as session:
        row = VERBS[body.kind](session, body.kept_id, body.gone_id, user_id=me.id, now=deps.clock())
        return merge_shape(row)


@router.delete("/{merge_id}")
@policy("rep")
def take_apart(deps: Given, merge_id: Id) -> dict[str, Any]:
    """Take them apart again. ``back_id``: where the one that had gone is now."""
    with deps.db.write() as session:
        row = get_merge(session, merge_id)
        back = undo_merge(session, row, now=deps.clock())
        return merge_shape(row) | {"back_id": back}
