"""A deal: where it stands, what comes next, who takes part, and everything that happened."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, col, func, select

from models.contact import Contact
from models.deal import ROLES, Deal, DealContact, StageChange
from models.existing import existing
from models.interaction import Interaction, InteractionContact, Link
from models.pipeline import stages_of
from models.suggestion import open_suggestion
from models.user import User
from webapp import present
from webapp.deps import Deps, Given, Me, Viewer
from webapp.pages import stream
from webapp.pages.case import open_deals, suggestion_case
from webapp.pages.show import live, page
from webapp.security import policy

router = APIRouter()


@router.get("/deals/{deal_id}")
@policy("rep")
def deal_page(request: Request, given: Given, me: Me, deal_id: int) -> Response:
    """Everything about one deal."""
    with given.db.read() as session:
        row = deal_row(session, deal_id)
        context = read_deal(session, row, me, given)
        context["stream"] = stream.of_deal(session, deal_id, me)
        context["version"] = stream.version_of_deal(session, row)
        context["elsewhere"] = open_deals(session, but={deal_id})
        context["users"] = users(session)
        context["addable"] = _addable(session, deal_id)
    return page(request, "deal.html", roles=ROLES, active="board", **context)


@router.get("/deals/{deal_id}/news")
@policy("rep")
def deal_news(request: Request, given: Given, me: Me, deal_id: int, v: str = "", shown: int = stream.PAGE) -> Response:
    """What the page would show now; 204 when that has not changed. ``shown``: how many rows it shows."""
    with given.db.read() as session:
        row = deal_row(session, deal_id)
        version = stream.version_of_deal(session, row)
        if v == version:
            return Response(status_code=204)
        context = read_deal(session, row, me, given)
        context["stream"] = stream.of_deal(session, deal_id, me, limit=max(stream.PAGE, min(shown, 300)))
        context["elsewhere"] = open_deals(session, but={deal_id})
    return live(request, "_deal_news.html", version, roles=ROLES, **context)


@router.get("/deals/{deal_id}/earlier")
@policy("rep")
def earlier(request: Request, given: Given, me: Me, deal_id: int, before: str) -> Response:
    """The next page of the timeline."""
    with given.db.read() as session:
        deal = present.deals(session, [deal_row(session, deal_id)])[0]
        found = stream.of_deal(session, deal_id, me, before=stream.read_cursor(before))
        elsewhere = open_deals(session, but={deal_id})
    return page(
        request, "_earlier.html", stream=found, deal=deal, elsewhere=elsewhere, more=f"/deals/{deal_id}/earlier"
    )


def deal_row(session: Session, deal_id: int) -> Deal:
    """Raises NotFound."""
    return existing(session, Deal, deal_id, "deal")


def read_deal(session: Session, row: Deal, me: Viewer, given: Deps) -> dict[str, Any]:
    """The deal's facts, its steps, its people and its open suggestion."""
    suggestion = open_suggestion(session, row.id or 0)
    return {
        "deal": present.deals(session, [row])[0],
        "steps": _steps(session, row, given),
        "people": _people(session, row.id or 0, given.clock()),
        "case": suggestion_case(session, suggestion, me) if suggestion else None,
    }


def users(session: Session) -> list[User]:
    """Those who can own a deal."""
    return list(session.exec(select(User).where(col(User.disabled_at).is_(None)).order_by(User.name)).all())


def _steps(session: Session, row: Deal, given: Deps) -> list[dict[str, Any]]:
    """Each stage with the days that the deal spent in it; moves that were taken back do not count."""
    changes = session.exec(
        select(StageChange)
        .where(StageChange.deal_id == row.id, col(StageChange.undone_at).is_(None))
        .order_by(col(StageChange.at), col(StageChange.id))
    ).all()
    spent: dict[int, float] = {}
    for change, following in zip(changes, [*changes[1:], None], strict=True):
        end = following.at if following else given.clock()
        spent[change.to_stage_id] = spent.get(change.to_stage_id, 0.0) + max(0.0, (end - change.at).total_seconds())
    stages = stages_of(session, row.pipeline_id)
    here = next((stage.position for stage in stages if stage.id == row.stage_id), 0)
    return [
        (present.stage_of(stage) or {})
        | {
            "days": round(spent[stage.id or 0] / 86_400) if stage.id in spent else None,
            "now": stage.id == row.stage_id,
            "past": stage.position < here and stage.meaning not in ("won", "lost", "fridge"),
        }
        for stage in stages
    ]


def _people(session: Session, deal_id: int, now: datetime) -> list[dict[str, Any]]:
    """Who takes part, with the last time they were in touch on this deal (by a person, not a machine)."""
    rows = session.exec(
        select(DealContact, Contact)
        .join(Contact, col(Contact.id) == DealContact.contact_id)
        .where(DealContact.deal_id == deal_id)
        .order_by(col(Contact.name))
    ).all()
    touches = dict(
        session.exec(
            select(InteractionContact.contact_id, func.max(Interaction.occurred_at))
            .join(Interaction, col(Interaction.id) == InteractionContact.interaction_id)
            .join(Link, col(Link.interaction_id) == Interaction.id)
            .where(
                Link.deal_id == deal_id,
                col(Link.removed_at).is_(None),
                Interaction.machine == "",
                col(Interaction.held).is_(False),
                Interaction.occurred_at <= now,
            )
            .group_by(col(InteractionContact.contact_id))
        ).all()
    )
    return [
        {
            "id": contact.id,
            "name": contact.name,
            "title": contact.title,
            "role": link.role,
            "touch": present.iso(touches.get(contact.id or 0)),
        }
        for link, contact in rows
    ]


def _addable(session: Session, deal_id: int) -> list[tuple[int, str]]:
    """Contacts who do not take part yet."""
    inside = select(DealContact.contact_id).where(DealContact.deal_id == deal_id)
    rows = session.exec(
        select(Contact.id, Contact.name)
        .where(col(Contact.id).not_in(inside))
        .order_by(func.lower(Contact.name))
        .limit(1_000)
    ).all()
    return [(key or 0, name) for key, name in rows]
