"""The caller's own API keys."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlmodel import col, select

from models.errors import NotFound
from models.existing import existing
from models.user import ApiKey, User, create_key, hash_token, revoke_key
from webapp import present
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Asked, Body, Id, Line
from webapp.deps import Given, Me
from webapp.security import policy

router = api_router("keys")


class NewKey(Body):
    """A key to make. ``name``: what it is for."""

    name: Line = ""


@router.get("")
@policy("rep")
def list_keys(deps: Given, me: Me, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """The caller's keys that still open something; of each only its last letters."""
    mine = select(ApiKey).where(ApiKey.user_id == me.id, col(ApiKey.revoked_at).is_(None))
    with deps.db.read() as session:
        rows, after = page(session, mine, asked, col(ApiKey.id))
        return {"items": [_shape(row) for row in rows], "next": after}


@router.post("", status_code=201)
@policy("rep")
def add_key(deps: Given, me: Me, body: NewKey) -> dict[str, Any]:
    """A new key of the caller's; ``key`` is shown this once."""
    with deps.db.write() as session:
        token = create_key(session, existing(session, User, me.id, "user"), now=deps.clock(), name=body.name)
        session.flush()
        row = session.exec(select(ApiKey).where(ApiKey.key_hash == hash_token(token))).one()
        return _shape(row) | {"key": token}


@router.delete("/{key_id}", status_code=204)
@policy("rep")
def delete_key(deps: Given, me: Me, key_id: Id) -> None:
    """Revoke one of the caller's keys."""
    with deps.db.write() as session:
        row = session.get(ApiKey, key_id)
        if row is None or row.user_id != me.id or row.revoked_at is not None:
            raise NotFound("There is no such key.")
        revoke_key(session, row, now=deps.clock())


def _shape(row: ApiKey) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "hint": row.hint,
        "created_at": present.iso(row.created_at),
        "last_used_at": present.iso(row.last_used_at),
    }
