"""Settings: the team's own, who is in it, what is never logged, and everybody's own keys."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, col, or_, select

from models.blocks import KINDS, add_block
from models.errors import Conflict, Forbidden, Invalid, NotFound
from models.interaction import Block
from models.setting import DEFAULTS, MATCHING, team_settings
from models.user import ROLES, ApiKey, User, create_key, revoke_key
from webapp.deps import Deps, Given, Me, Viewer
from webapp.pages.forms import Fields, Sent
from webapp.pages.setting_fields import keep_sent, typed_setting
from webapp.pages.show import done, go, page
from webapp.security import policy

router = APIRouter()


@router.get("/settings")
@policy("rep")
def settings(request: Request, given: Given, me: Me) -> Response:
    """Everybody's own keys and blocks; for administrators the team as well."""
    return settings_page(request, given, me)


@router.post("/settings/team")
@policy("admin")
def change_team(request: Request, given: Given, me: Me, form: Sent) -> Response:
    """The team's settings, those that the form names; a box that is not ticked is not sent."""
    try:
        with given.db.write() as session:
            keep_sent(session, form, _named(form))
    except Invalid as error:
        field = "" if error.field in MATCHING else error.field
        return settings_page(request, given, me, typed=form.as_typed(), fault=str(error), field=field)
    return go("/settings", "Saved.")


@router.post("/keys")
@policy("rep")
def make_key(request: Request, given: Given, me: Me, form: Sent) -> Response:
    """A key of one's own; shown on the answer, once."""
    with given.db.write() as session:
        user = session.get(User, me.id)
        if user is None:
            raise NotFound("There is no such user.")
        token = create_key(session, user, now=given.clock(), name=form.text("name", 100))
    return settings_page(request, given, me, key=token)


@router.post("/keys/{key_id}/revocation")
@policy("rep")
def revocation(request: Request, given: Given, me: Me, key_id: int) -> Response:
    """A key opens nothing any more."""
    with given.db.write() as session:
        row = session.get(ApiKey, key_id)
        if row is None or row.user_id != me.id:
            raise NotFound("There is no such key.")
        revoke_key(session, row, now=given.clock())
    return done(request, "The key is revoked.", to="/settings")


@router.post("/blocks")
@policy("rep")
def block(request: Request, given: Given, me: Me, form: Sent) -> Response:
    """Never log an address, a domain or a label: in one's own mailboxes, or for the whole team (who leads)."""
    team = form.text("whose") == "team"
    if team and not me.leads:
        raise Forbidden("What the whole team blocks is for managers and administrators to decide.")
    try:
        with given.db.write() as session:
            made = add_block(
                session,
                kind=form.text("kind"),
                value=form.text("value", 320),
                user_id=None if team else me.id,
                now=given.clock(),
            )
    except (Invalid, Conflict) as error:
        return settings_page(request, given, me, typed=form.as_typed(), fault=str(error), field="value")
    return go("/settings", f"{made.value} is not logged from now on.")


@router.post("/blocks/{block_id}/removal")
@policy("rep")
def unblock(request: Request, given: Given, me: Me, block_id: int) -> Response:
    """Take a block off; what was skipped meanwhile stays skipped."""
    with given.db.write() as session:
        row = session.get(Block, block_id)
        if row is None or row.user_id not in (None, me.id):
            raise NotFound("There is no such block.")
        if row.user_id is None and not me.leads:
            raise Forbidden("What the whole team blocks is for managers and administrators to decide.")
        session.delete(row)
    return done(request, f"{row.value} may be logged again.", to="/settings")


def settings_page(
    request: Request,
    given: Deps,
    me: Viewer,
    *,
    typed: dict[str, str] | None = None,
    fault: str = "",
    field: str = "",
    key: str = "",
    link: str = "",
    invited: str = "",
) -> Response:
    """The page, with what was typed and what is wrong with it."""
    with given.db.read() as session:
        context = _read(session, me)
    typed = typed or {name: typed_setting(value) for name, value in context["team"].items()}
    return page(
        request,
        "settings.html",
        status=422 if fault else 200,
        typed=typed,
        fault=fault,
        field=field,
        key=key,
        link=link,
        invited=invited,
        kinds=KINDS,
        roles=ROLES,
        base_url=given.base_url,
        active="settings",
        **context,
    )


def _read(session: Session, me: Viewer) -> dict[str, Any]:
    keys = session.exec(
        select(ApiKey)
        .where(ApiKey.user_id == me.id, col(ApiKey.revoked_at).is_(None))
        .order_by(col(ApiKey.created_at).desc())
    ).all()
    blocks = session.exec(
        select(Block)
        .where(or_(col(Block.user_id).is_(None), Block.user_id == me.id))
        .order_by(col(Block.user_id).is_not(None), col(Block.value))
    ).all()
    people = session.exec(select(User).order_by(col(User.disabled_at).is_not(None), User.name)).all()
    return {
        "team": team_settings(session),
        "keys": list(keys),
        "blocks": list(blocks),
        "people": list(people) if me.is_admin else [],
    }


def _named(form: Fields) -> list[str]:
    sent = form.as_typed()
    return [name for name, default in DEFAULTS.items() if name in sent or isinstance(default, bool)]
