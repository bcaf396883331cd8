"""The block list: whose mail is never logged."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from sqlmodel import col, or_, select

from models.blocks import add_block
from models.errors import Forbidden, NotFound
from models.interaction import Block
from webapp import present
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Address, Asked, Body, Id
from webapp.deps import Given, Me, Viewer
from webapp.security import policy

router = api_router("blocks")


class NewBlock(Body):
    """What to block. ``team``: for everybody, which managers and administrators decide."""

    kind: Literal["address", "domain", "label"]
    value: Address
    team: bool = False


@router.get("")
@policy("rep")
def list_blocks(deps: Given, me: Me, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """The team's blocks and the caller's own."""
    statement = select(Block).where(or_(col(Block.user_id).is_(None), Block.user_id == me.id))
    with deps.db.read() as session:
        rows, after = page(session, statement, asked, col(Block.id))
        return {"items": [_shape(row) for row in rows], "next": after}


@router.post("", status_code=201)
@policy("rep")
def create_block(deps: Given, me: Me, body: NewBlock) -> dict[str, Any]:
    """Block an address, a domain or a label from now on."""
    _may(me, body.team)
    with deps.db.write() as session:
        owner = None if body.team else me.id
        return _shape(add_block(session, kind=body.kind, value=body.value, user_id=owner, now=deps.clock()))


@router.delete("/{block_id}", status_code=204)
@policy("rep")
def delete_block(deps: Given, me: Me, block_id: Id) -> None:
    """Take a block away."""
    with deps.db.write() as session:
        row = session.get(Block, block_id)
        if row is None or row.user_id not in (None, me.id):
            raise NotFound("There is no such block.")
        _may(me, row.user_id is None)
        session.delete(row)


def _may(me: Viewer, team: bool) -> None:
    if team and not me.leads:
        raise Forbidden("What the whole team blocks is for managers and administrators to decide.")


def _shape(row: Block) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "value": row.value,
        "team": row.user_id is None,
        "made_at": present.iso(row.made_at),
    }
