"""The members of the team, for everybody to see and for administrators to change."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from sqlmodel import col, select

from models.errors import Conflict, Invalid
from models.existing import existing
from models.user import User, add_user, change_role, disable_user, enable_user
from webapp import present
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Address, Asked, Body, Id, Line, given, left
from webapp.deps import Given, Me
from webapp.security import policy

router = api_router("users")
Role = Literal["admin", "manager", "rep"]


class NewUser(Body):
    """Somebody to invite."""

    email: Address
    name: Line = ""
    role: Role = "rep"


class ChangedUser(Body):
    """What is to change. A disabled person cannot come in; what they did stays."""

    name: Line = left()
    role: Role = left()
    disabled: bool = left()


@router.get("")
@policy("rep")
def list_users(deps: Given, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """Everybody, also those who are disabled."""
    with deps.db.read() as session:
        rows, after = page(session, select(User), asked, col(User.id))
        return {"items": [_shape(row) for row in rows], "next": after}


@router.post("", status_code=201)
@policy("admin")
def create_user(deps: Given, body: NewUser) -> dict[str, Any]:
    """Invite somebody; ``invitation`` is shown this once."""
    with deps.db.write() as session:
        user, token = add_user(session, body.email, role=body.role, now=deps.clock(), name=body.name)
        return _shape(user) | {"invitation": f"{deps.base_url}/invite/{token}"}


@router.get("/me")
@policy("rep")
def read_myself(deps: Given, me: Me) -> dict[str, Any]:
    """Whose key this is."""
    with deps.db.read() as session:
        return _shape(existing(session, User, me.id, "user"))


@router.get("/{user_id}")
@policy("rep")
def read_user(deps: Given, user_id: Id) -> dict[str, Any]:
    """One member."""
    with deps.db.read() as session:
        return _shape(existing(session, User, user_id, "user"))


@router.patch("/{user_id}")
@policy("admin")
def change_user(deps: Given, me: Me, user_id: Id, body: ChangedUser) -> dict[str, Any]:
    """Change a member's name or role, or disable them."""
    changes = given(body)
    with deps.db.write() as session:
        user = existing(session, User, user_id, "user")
        if "name" in changes:
            if not body.name:
                raise Invalid("A person needs a name.", "name")
            user.name = body.name
        if "role" in changes:
            change_role(session, user, body.role)
        if changes.get("disabled") is True:
            if user_id == me.id:
                raise Conflict("You cannot disable yourself; another administrator can.")
            disable_user(session, user, now=deps.clock())
        if changes.get("disabled") is False:
            enable_user(session, user)
        session.add(user)
        session.flush()
        return _shape(user)


def _shape(row: User) -> dict[str, Any]:
    return {
        "id": row.id,
        "email": row.email,
        "name": row.name,
        "role": row.role,
        "created_at": present.iso(row.created_at),
        "disabled_at": present.iso(row.disabled_at),
    }
