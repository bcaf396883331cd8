"""How mail finds its deal, on one page with its reasons: one's own way, the team's rules, and what other rules would move."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, col, select

from models.errors import Conflict, Invalid, NotFound
from models.interaction import Block
from models.setting import MATCHING, team_settings
from models.simulating import propose, start_applying
from models.simulation import KINDS, SimulatedMove, Simulation, cancel, simulation_for
from models.user import User
from webapp import present
from webapp.deps import Deps, Given, Me, Viewer
from webapp.pages.forms import Sent
from webapp.pages.setting_fields import keep_sent, sent_setting, typed_setting
from webapp.pages.show import go, live, page
from webapp.security import policy

router = APIRouter()
WAYS = ("", "ask", "newest", "all")
SHOWN = 50


@router.get("/settings/matching")
@policy("rep")
def matching(request: Request, given: Given, me: Me) -> Response:
    """The rules, explained; administrators change them, everybody has a way of their own for the undecided."""
    return _page(request, given, me)


@router.post("/settings/matching")
@policy("admin")
def save(request: Request, given: Given, me: Me, form: Sent) -> Response:
    """Save for what comes from now on; what is logged stays where it is."""
    try:
        with given.db.write() as session:
            keep_sent(session, form, MATCHING)
    except Invalid as error:
        return _page(request, given, me, typed=form.as_typed(), fault=str(error), field=error.field)
    return go("/settings/matching", "Saved. It holds for what comes in from now on.")


@router.post("/settings/mine")
@policy("rep")
def save_mine(request: Request, given: Given, me: Me, form: Sent) -> Response:
    """What becomes of mail in one's own mailboxes that fits several deals."""
    way = form.text("several_deals")
    if way not in WAYS:
        raise Invalid("Choose one of the ways.", "several_deals")
    with given.db.write() as session:
        user = session.get(User, me.id)
        if user is None:
            raise NotFound("There is no such user.")
        user.several_deals = way
        session.add(user)
    return go("/settings/matching", "Saved for your own mailboxes.")


@router.post("/simulations")
@policy("admin")
def look(request: Request, given: Given, me: Me, form: Sent) -> Response:
    """See what would move, without changing anything."""
    try:
        with given.db.write() as session:
            settings = {name: sent_setting(form, name) for name in MATCHING}
            block = (
                [{"kind": form.text("block_kind"), "value": form.text("block", 320)}] if form.text("block", 320) else []
            )
            gone = form.number("unblock")
            unblock = [gone] if gone else []
            made = propose(session, settings=settings, block=block, unblock=unblock, user_id=me.id, now=given.clock())
            key = made.id
    except (Invalid, NotFound) as error:
        field = getattr(error, "field", "")
        return _page(request, given, me, typed=form.as_typed(), fault=str(error), field=field)
    return go(f"/simulations/{key}")


@router.get("/simulations/{simulation_id}")
@policy("admin")
def simulation(request: Request, given: Given, me: Me, simulation_id: int, number: int = 1, kind: str = "") -> Response:
    """How far it is, and what would move."""
    with given.db.read() as session:
        context = _read(session, simulation_for(session, simulation_id), me, number, kind)
    return page(request, "simulation.html", active="settings", version=_version(context), **context)


@router.get("/simulations/{simulation_id}/news")
@policy("admin")
def news(request: Request, given: Given, me: Me, simulation_id: int) -> Response:
    """The same as it is now; 204 when nothing moved."""
    with given.db.read() as session:
        context = _read(session, simulation_for(session, simulation_id), me, 1, "")
    return live(request, "_simulation_news.html", _version(context), **context)


@router.post("/simulations/{simulation_id}/application")
@policy("admin")
def application(request: Request, given: Given, me: Me, simulation_id: int) -> Response:
    """Change the settings, and move exactly what was shown."""
    with given.db.write() as session:
        row = simulation_for(session, simulation_id)
        start_applying(session, given.keyring, row, user_id=me.id, now=given.clock())
    return go(f"/simulations/{simulation_id}", "The settings are changed; what was shown is being moved.")


@router.post("/simulations/{simulation_id}/cancellation")
@policy("admin")
def cancellation(request: Request, given: Given, simulation_id: int) -> Response:
    """Leave everything as it is."""
    try:
        with given.db.write() as session:
            cancel(session, simulation_for(session, simulation_id), now=given.clock())
    except Conflict as error:
        return go(f"/simulations/{simulation_id}", str(error))
    return go("/settings/matching", "Nothing was changed.")


def _page(
    request: Request,
    given: Deps,
    me: Viewer,
    *,
    typed: dict[str, str] | None = None,
    fault: str = "",
    field: str = "",
) -> Response:
    with given.db.read() as session:
        team = team_settings(session)
        user = session.get(User, me.id)
        blocks = session.exec(select(Block).where(col(Block.user_id).is_(None)).order_by(Block.value)).all()
        last = session.exec(select(Simulation).order_by(col(Simulation.id).desc()).limit(1)).first()
    return page(
        request,
        "matching.html",
        status=422 if fault else 200,
        team=team,
        typed=typed or {name: typed_setting(team[name]) for name in MATCHING},
        mine=user.several_deals if user else "",
        blocks=blocks,
        block_names=[(block.id, block.value) for block in blocks],
        last=last if me.is_admin else None,
        fault=fault,
        field=field,
        active="settings",
    )


def _read(session: Session, row: Simulation, me: Viewer, number: int, kind: str) -> dict[str, Any]:
    kind, number = kind if kind in KINDS else "", max(1, number)
    statement = select(SimulatedMove).where(SimulatedMove.simulation_id == row.id)
    if kind:
        statement = statement.where(SimulatedMove.kind == kind)
    found = session.exec(statement.order_by(col(SimulatedMove.id)).offset((number - 1) * SHOWN).limit(SHOWN)).all()
    shown = present.simulation(row)
    counts = shown["counts"]
    total = counts[kind] if kind else sum(counts[name] for name in KINDS)
    present_ones = team_settings(session)
    changes = [(name, present_ones[name], value) for name, value in row.changes["settings"].items()]
    names = {block.id: block.value for block in session.exec(select(Block))}
    return {
        "one": shown,
        "moves": present.moves(session, found, me) if row.state != "computing" else [],
        "changes": changes,
        "unblocked": [names[key] for key in row.changes["unblock"] if key in names],
        "kind": kind,
        "number": number,
        "pages": -(-total // SHOWN),
        "total": total,
    }


def _version(context: dict[str, Any]) -> str:
    one = context["one"]
    return f"{one['state']}-{one['seen']}-{one['total']}-{len(context['moves'])}-{one['error'] or ''}"[:120]
