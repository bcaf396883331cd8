"""The ledger of an account: what became of every item, without a word of what stands in it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, col, func, select

from models.account import Source, request_sync
from models.errors import NotFound
from models.interaction import Interaction
from models.ledger import OUTCOMES, LedgerEntry, retry_unreadable
from webapp import present, timeline
from webapp.deps import Given, Me, Viewer
from webapp.pages.show import done, page
from webapp.security import policy

router = APIRouter()
PAGE = 100


@router.get("/accounts/{account_id}/ledger")
@policy("rep")
def entries(
    request: Request, given: Given, me: Me, account_id: int, outcome: str = "", reason: str = "", after: int = 0
) -> Response:
    """Entries with one outcome (and reason), those settled last first; ``after``: the id of the last one shown."""
    if outcome and outcome not in OUTCOMES:
        raise NotFound(f"There is no outcome {outcome!r}.")
    with given.db.read() as session:
        row = timeline.account_for(session, account_id, me)
        sources = _sources(session, account_id)
        statement = select(LedgerEntry).where(col(LedgerEntry.source_id).in_(list(sources)))
        if outcome:
            statement = statement.where(LedgerEntry.outcome == outcome)
        if reason:
            statement = statement.where(LedgerEntry.reason == reason)
        if after:
            statement = statement.where(col(LedgerEntry.id) < after)
        rows = list(session.exec(statement.order_by(col(LedgerEntry.id).desc()).limit(PAGE + 1)).all())
        context = {
            "account": present.account(session, row, now=given.clock()),
            "ledger": present.ledger(session, row),
            "reasons": _reasons(session, list(sources), outcome),
            "subjects": _subjects(session, rows[:PAGE], me),
        }
    return page(
        request,
        "ledger.html",
        rows=rows[:PAGE],
        after=rows[PAGE - 1].id if len(rows) > PAGE else 0,
        sources=sources,
        outcome=outcome,
        reason=reason,
        mine=row.user_id == me.id,
        active="accounts",
        **context,
    )


@router.post("/accounts/{account_id}/retry")
@policy("rep")
def retry(request: Request, given: Given, me: Me, account_id: int) -> Response:
    """Try what is owed or was given up again, from now."""
    now = given.clock()
    with given.db.write() as session:
        timeline.account_for(session, account_id, me)
        sources = list(_sources(session, account_id))
        retry_unreadable(session, sources, now=now)
        for entry in session.exec(
            select(LedgerEntry).where(col(LedgerEntry.source_id).in_(sources), LedgerEntry.outcome == "owed")
        ):
            entry.next_try_at = now
            session.add(entry)
        request_sync(session, account_id, now=now)
    return done(request, "What is owed is tried again now.", to=f"/accounts/{account_id}/ledger?outcome=owed")


def _subjects(session: Session, rows: Sequence[LedgerEntry], me: Viewer) -> dict[int, str]:
    """The subjects of what is on timelines, as far as the viewer may see them; by interaction."""
    found = present.by_id(session, Interaction, [row.interaction_id for row in rows])
    shown = present.interactions(session, list(found.values()), me)
    return {item["id"]: item["subject"] for item in shown if item["subject"]}


def _sources(session: Session, account_id: int) -> dict[int, Source]:
    rows = session.exec(select(Source).where(Source.account_id == account_id, Source.kind != "directory")).all()
    return {row.id or 0: row for row in rows}


def _reasons(session: Session, sources: list[int], outcome: str) -> list[tuple[str, int]]:
    if not outcome:
        return []
    rows = session.exec(
        select(LedgerEntry.reason, func.count())
        .where(col(LedgerEntry.source_id).in_(sources), LedgerEntry.outcome == outcome)
        .group_by(LedgerEntry.reason)
        .order_by(func.count().desc())
    ).all()
    return [(reason, number) for reason, number in rows]
