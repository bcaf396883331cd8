"""One thought about one deal: its timeline and the clock in, at most one open suggestion out.

Due by the row (``deal.suggest_at``): every new link, move, dismissal and held meeting asks for it, and each thought asks
for the next one, because silence speaks too. Running it again over the same timeline gives the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select as choose
from sqlmodel import Session, col, select

from models.account import Account
from models.addresses import registrable
from models.contact import CompanyDomain
from models.db import Database, chunks, table
from models.deal import Deal
from models.fields import EPOCH
from models.interaction import Copy, Interaction, Link
from models.pipeline import FINAL, Stage, stage_of_meaning, stages_of
from models.suggestion import Signal as SignalRow
from models.suggestion import open_suggestion, propose, withdraw
from worker import suggest
from worker.evidence import LINE_FIELDS, line_of
from worker.signals import Signal
from worker.timeline_view import DealView, Line

MOST_LINES = 400
"""The newest interactions of a deal that are weighed."""
AGAIN = timedelta(hours=12)
PAGE = 50


def due_deals(db: Database, now: datetime) -> list[int]:
    """Deals that ask to be thought about, longest waiting first."""
    with db.read() as session:
        rows = session.exec(
            select(Deal.id).where(col(Deal.suggest_at) <= now).order_by(col(Deal.suggest_at)).limit(PAGE)
        ).all()
        return [deal_id for deal_id in rows if deal_id is not None]


def think(db: Database, deal_id: int, now: datetime) -> None:
    """Weigh a deal's timeline; open, keep, supersede or withdraw its suggestion; refresh its clocks."""
    with db.write() as session:
        deal = session.get(Deal, deal_id, with_for_update={"skip_locked": True})
        stage = session.get(Stage, deal.stage_id) if deal else None
        if deal is None or stage is None or deal.suggest_at is None or deal.suggest_at > now:
            return
        rows = _rows(session, deal_id)
        theirs = _domains(session, deal)
        lines = [line_of(row, lambda one: one in theirs or registrable(one) in theirs) for row in rows]
        _touch(deal, lines, now)
        if stage.meaning in FINAL:
            withdraw(session, open_suggestion(session, deal_id), now=now)
            deal.suggest_at = None
        else:
            _suggest(session, deal, stage, lines, now)
            deal.suggest_at = now + AGAIN
        session.add(deal)


def touches(lines: Sequence[Line], now: datetime) -> tuple[datetime | None, datetime | None]:
    """(last touch of either side, last touch of the customer). Machine mail and internal edits are no touch."""
    human = [line for line in lines if line.machine is None and not _not_held(line, now)]
    either = max((line.end or line.at for line in human), default=None)
    theirs = [line for line in human if line.kind == "meeting" or not line.sender_ours]
    return either, max((line.end or line.at for line in theirs), default=None)


def _suggest(session: Session, deal: Deal, stage: Stage, lines: Sequence[Line], now: datetime) -> None:
    view = deal_view(session, deal, stage, now)
    proposal = suggest.decide(view, lines, now, _signals(session, lines))
    target = _target(session, deal, proposal.to) if proposal else None
    if proposal is None or target is None or target.id == deal.stage_id:
        withdraw(session, open_suggestion(session, deal.id or 0), now=now)
        return
    evidence = [
        {"interaction_id": e.line_id, "rule": e.rule, "quote": e.quote, "start": e.start, "end": e.end}
        for e in proposal.evidence
    ]
    newest = max((line.at for line in lines if line.id in {e.line_id for e in proposal.evidence}), default=now)
    propose(
        session,
        deal,
        target,
        rule=proposal.rule,
        reason=proposal.reason,
        confidence=proposal.confidence,
        evidence=evidence,
        now=now,
        wake_on=proposal.wake_on,
        announced=not evidence or newest >= _connected_since(session, evidence[0]["interaction_id"]),
    )


def deal_view(session: Session, deal: Deal, stage: Stage, now: datetime) -> DealView:
    """A deal as the rules see it."""
    return DealView(
        id=deal.id or 0,
        name=deal.name,
        stage_id=deal.stage_id,
        meaning=stage.meaning,
        days_in_stage=(now - deal.stage_since).total_seconds() / 86_400,
        stage_since=deal.stage_since,
        patience_days=stage.patience_days,
        version=deal.version,
        stages=tuple((s.id or 0, s.meaning, s.position) for s in stages_of(session, deal.pipeline_id)),
        created_at=deal.created_at,
    )


def _target(session: Session, deal: Deal, to: str) -> Stage | None:
    """The stage that an answer means on this deal's pipeline. A revived deal goes back to where it was shelved."""
    if to != "revive":
        return stage_of_meaning(session, deal.pipeline_id, to)
    before = session.get(Stage, deal.shelved_from_id) if deal.shelved_from_id else None
    return before or stage_of_meaning(session, deal.pipeline_id, "contacted")


def _rows(session: Session, deal_id: int) -> list[dict[str, Any]]:
    """The newest interactions of a deal, oldest first, as far as the rules look at them."""
    interactions, links = table(Interaction), table(Link)
    newest = session.connection().execute(
        choose(*(interactions.c[name] for name in LINE_FIELDS))
        .join(links, links.c.interaction_id == interactions.c.id)
        .where(links.c.deal_id == deal_id, links.c.removed_at.is_(None))
        .order_by(interactions.c.occurred_at.desc(), interactions.c.id.desc())
        .limit(MOST_LINES)
    )
    return [dict(row) for row in reversed(newest.mappings().all())]


def _domains(session: Session, deal: Deal) -> set[str]:
    """The domains of the deal's company: who writes from there is known, contact or not."""
    return set(session.exec(select(CompanyDomain.domain).where(CompanyDomain.company_id == deal.company_id)).all())


def _signals(session: Session, lines: Sequence[Line]) -> dict[int, list[Signal]]:
    """What was found in each line when it was logged."""
    signals = table(SignalRow)
    at = {line.id: line.at for line in lines}
    found: dict[int, list[Signal]] = {line.id: [] for line in lines}
    for part in chunks(at):
        rows = session.connection().execute(
            choose(signals).where(signals.c.interaction_id.in_(part)).order_by(signals.c.id)
        )
        for row in rows:
            found[row.interaction_id].append(
                Signal(
                    kind=row.kind,
                    line_id=row.interaction_id,
                    rule=row.rule,
                    quote=row.quote,
                    start=row.start,
                    end=row.end,
                    at=at[row.interaction_id],
                    weight=row.weight,
                    lang=row.lang,
                    value=row.value,
                )
            )
    return found


def _connected_since(session: Session, interaction_id: int) -> datetime:
    """When the first account that holds an interaction was connected; a little earlier, for clocks that differ."""
    moments = session.exec(
        select(Account.connected_at)
        .join(Copy, col(Copy.account_id) == Account.id)
        .where(Copy.interaction_id == interaction_id)
    ).all()
    return min(moments, default=EPOCH) - timedelta(minutes=10)


def _touch(deal: Deal, lines: Sequence[Line], now: datetime) -> None:
    deal.last_touch_at, deal.customer_touch_at = touches(lines, now)


def _not_held(line: Line, now: datetime) -> bool:
    return line.kind == "meeting" and (line.status == "cancelled" or (line.end or line.at) > now)


def put_off(db: Database, deal_id: int, now: datetime) -> None:
    """Think about a deal later, after a fault of our own."""
    with db.write() as session:
        deal = session.get(Deal, deal_id)
        if deal is not None:
            deal.suggest_at = now + timedelta(hours=1)
            session.add(deal)
