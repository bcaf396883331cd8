"""The board: a column for each stage, with what stands in it and how long it has stood there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, col, func, or_, select

from models.contact import Company
from models.deal import Deal, money
from models.pipeline import FINAL, Pipeline, Stage, default_pipeline, stages_of
from models.suggestion import Suggestion
from models.user import User
from webapp import present
from webapp.deps import Given, Me
from webapp.pages.show import page
from webapp.security import policy

router = APIRouter()
CARDS = 60
"""Cards shown in a column; the totals count all."""
CLOSED_DAYS = 90
"""How long a decided deal stays on the board."""


@router.get("/board")
@policy("rep")
def board(
    request: Request, given: Given, me: Me, owner: str = "", q: str = "", pipeline: int | None = None, stage: int = 0
) -> Response:
    """All deals, or those of one owner or with some words in their name."""
    now = given.clock()
    with given.db.read() as session:
        chosen = _pipeline(session, pipeline)
        where = _filters(owner, q, me.id)
        columns = [
            read_column(session, one, where, closed_since=now - timedelta(days=CLOSED_DAYS))
            for one in stages_of(session, chosen.id or 0)
        ]
        people = list(session.exec(select(User).where(col(User.disabled_at).is_(None)).order_by(User.name)).all())
        pipelines = list(session.exec(select(Pipeline).order_by(col(Pipeline.id))).all())
        any_deal = session.exec(select(Deal.id)).first() is not None
    shown = stage or next((c["stage"]["id"] for c in columns if c["count"]), columns[0]["stage"]["id"])
    return page(
        request,
        "board.html",
        columns=columns,
        people=people,
        pipelines=pipelines,
        pipeline=chosen,
        owner=owner,
        q=q,
        shown=shown,
        any_deal=any_deal,
        closed_days=CLOSED_DAYS,
        active="board",
    )


def read_column(session: Session, stage: Stage, where: list[Any], *, closed_since: Any) -> dict[str, Any]:
    """A stage with its totals and its newest cards; decided deals only for a while."""
    wanted = [Deal.stage_id == stage.id, *where]
    if stage.meaning in FINAL:
        wanted.append(or_(col(Deal.closed_at).is_(None), col(Deal.closed_at) >= closed_since))
    totals = session.exec(
        select(Deal.currency, func.count(), func.sum(Deal.amount_minor))
        .outerjoin(Company, col(Company.id) == Deal.company_id)
        .where(*wanted)
        .group_by(Deal.currency)
        .order_by(func.count().desc())
    ).all()
    rows = session.exec(
        select(Deal)
        .outerjoin(Company, col(Company.id) == Deal.company_id)
        .where(*wanted)
        .order_by(col(Deal.stage_since).desc(), col(Deal.id).desc())
        .limit(CARDS)
    ).all()
    suggested = _suggested(session, rows)
    return {
        "stage": present.stage_of(stage),
        "count": sum(number for _, number, _ in totals),
        "totals": [(money(total), currency) for currency, _, total in totals if total],
        "cards": [card | {"suggested": suggested.get(card["id"])} for card in present.deals(session, list(rows))],
    }


def _suggested(session: Session, rows: Sequence[Deal]) -> dict[int, dict[str, Any]]:
    """By deal, the open suggestion's id and the name of the stage it proposes."""
    found = session.exec(
        select(Suggestion.deal_id, Suggestion.id, Stage.name)
        .join(Stage, col(Stage.id) == Suggestion.to_stage_id)
        .where(Suggestion.state == "open", col(Suggestion.deal_id).in_([row.id for row in rows]))
    ).all()
    return {deal_id: {"id": key, "stage": name} for deal_id, key, name in found}


def _filters(owner: str, q: str, me: int) -> list[Any]:
    where: list[Any] = []
    if owner == "me":
        where.append(Deal.owner_id == me)
    elif owner.isdigit():
        where.append(Deal.owner_id == int(owner))
    if q.strip():
        words = q.strip().lower()
        name, firm = func.lower(col(Deal.name)), func.lower(col(Company.name))
        where.append(or_(name.contains(words, autoescape=True), firm.contains(words, autoescape=True)))
    return where


def _pipeline(session: Session, wanted: int | None) -> Pipeline:
    found = session.get(Pipeline, wanted) if wanted else None
    return found or default_pipeline(session)
