"""Who is in the team: invitations, roles, and shutting somebody out."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session

from models.errors import Conflict, Invalid
from models.existing import existing
from models.invitation import invite_again
from models.user import User, add_user, change_role, disable_user, enable_user
from webapp.deps import Given, Me
from webapp.pages.forms import Sent
from webapp.pages.settings import settings_page
from webapp.pages.show import done
from webapp.security import policy

router = APIRouter()


@router.post("/users")
@policy("admin")
def invite(request: Request, given: Given, me: Me, form: Sent) -> Response:
    """Add somebody; the link with which they set their password is shown once."""
    try:
        with given.db.write() as session:
            user, token = add_user(
                session,
                form.text("email", 320),
                role=form.text("role") or "rep",
                now=given.clock(),
                name=form.text("name", 200),
            )
    except (Invalid, Conflict) as error:
        return settings_page(request, given, me, typed=form.as_typed(), fault=str(error), field="email")
    return settings_page(request, given, me, link=f"{given.base_url}/invite/{token}", invited=user.email)


@router.post("/users/{user_id}/invitation")
@policy("admin")
def invitation(request: Request, given: Given, me: Me, user_id: int) -> Response:
    """A new link for somebody who lost theirs, or their password."""
    with given.db.write() as session:
        user = _user(session, user_id)
        token = invite_again(session, user)
    return settings_page(request, given, me, link=f"{given.base_url}/invite/{token}", invited=user.email)


@router.post("/users/{user_id}/role")
@policy("admin")
def role(request: Request, given: Given, user_id: int, form: Sent) -> Response:
    """What they may do."""
    with given.db.write() as session:
        user = _user(session, user_id)
        change_role(session, user, form.text("role"))
    return done(request, f"{user.name} is {user.role} now.", to="/settings")


@router.post("/users/{user_id}/absence")
@policy("admin")
def shut_out(request: Request, given: Given, user_id: int) -> Response:
    """They can no longer come in."""
    with given.db.write() as session:
        user = _user(session, user_id)
        disable_user(session, user, now=given.clock())
    return done(request, f"{user.name} is shut out.", to="/settings", undo=("DELETE", f"/users/{user_id}/absence"))


@router.delete("/users/{user_id}/absence")
@policy("admin")
def let_in_again(request: Request, given: Given, user_id: int) -> Response:
    """They can come in again."""
    with given.db.write() as session:
        user = _user(session, user_id)
        enable_user(session, user)
    return done(request, f"{user.name} may come in again.", to="/settings")


def _user(session: Session, user_id: int) -> User:
    return existing(session, User, user_id, "user")
