"""Suggested stage moves: evidence first, decided by a person, undoable.

A suggestion is pinned to the deal's version and to the meaning of the stage it proposes; one may be open for a deal at a
time; newer evidence supersedes it; what was dismissed does not come back for the same evidence.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, Session, SQLModel, col, select

from models.deal import Actor, Deal, StageChange, deal_payload, lock, move_deal, undo_move
from models.errors import Conflict, Invalid, NotFound
from models.event import announce, event_row
from models.existing import existing
from models.fields import instant, json_list
from models.pipeline import Stage


class Signal(SQLModel, table=True):
    """A piece of evidence in an interaction: what kind, by which rule, and the exact span of ``Interaction.new_text``."""

    id: int | None = Field(default=None, primary_key=True)
    interaction_id: int = Field(foreign_key="interaction.id", index=True, ondelete="CASCADE")
    kind: str
    rule: str
    quote: str = ""
    start: int = -1
    end: int = -1
    weight: float = 0.0
    lang: str = ""
    value: str = ""


class Suggestion(SQLModel, table=True):
    """A proposed move. ``evidence``: [{interaction_id, rule, quote, start, end}]. ``evidence_key`` names the evidence, so
    that a dismissal is remembered. ``meaning`` is what the proposed stage meant when it was proposed. ``state``:
    open | accepted | dismissed | superseded | stale."""

    __table_args__ = (
        Index(
            "ix_one_open_suggestion",
            "deal_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    deal_id: int = Field(foreign_key="deal.id", index=True, ondelete="CASCADE")
    from_stage_id: int
    to_stage_id: int
    meaning: str
    deal_version: int
    state: str = Field(default="open", index=True)
    confidence: float = 0.5
    rule: str
    reason: str
    evidence: list[dict[str, Any]] = json_list()
    evidence_key: str = Field(default="", index=True)
    wake_on: date | None = None
    created_at: datetime = instant()
    decided_at: datetime | None = instant(None)
    decided_by: int | None = None
    dismissal: str = ""


def get_suggestion(session: Session, suggestion_id: int) -> Suggestion:
    """Raises NotFound."""
    return existing(session, Suggestion, suggestion_id, "suggestion")


def accept(
    session: Session,
    suggestion: Suggestion,
    *,
    actor_id: int,
    now: datetime,
    stage: Stage | None = None,
    reason: str = "",
    amount_minor: int | None = None,
    wake_on: date | None = None,
) -> Deal:
    """Move the deal as proposed (or to another ``stage``). Raises Conflict when it was decided before, when the deal has
    moved since, or when the stage now means something else. Of two who decide at once one gets the Conflict."""
    deal = _locked(session, suggestion)
    target = stage or session.get(Stage, suggestion.to_stage_id)
    if deal is None or target is None:
        raise NotFound("The deal or the stage no longer exists.")
    if suggestion.state != "open":
        raise Conflict(f"This suggestion is {suggestion.state} already.")
    if deal.version != suggestion.deal_version:
        raise Conflict("The deal has moved since this was suggested; it will be looked at again.")
    if stage is None and target.meaning != suggestion.meaning:
        raise Conflict(f"The stage {target.name!r} now means {target.meaning}, not {suggestion.meaning} as suggested.")
    if amount_minor is not None and amount_minor < 0:
        raise Invalid("A deal's amount is not negative.", "amount")
    _decide(suggestion, "accepted", actor_id, now)
    session.add(suggestion)
    actor = Actor(actor_id, "suggestion", suggestion.id)
    move_deal(
        session,
        deal,
        target,
        actor=actor,
        now=now,
        reason=reason,
        amount_minor=amount_minor,
        wake_on=wake_on or suggestion.wake_on,
    )
    _announce_decision(session, suggestion, deal, now)
    return deal


def undo_acceptance(session: Session, suggestion: Suggestion, *, actor_id: int, now: datetime) -> Deal:
    """Take an acceptance back: the deal returns and the suggestion is open again. Raises Conflict."""
    _locked(session, suggestion)
    if suggestion.state != "accepted":
        raise Conflict("This suggestion is not accepted.")
    change = session.exec(
        select(StageChange)
        .where(StageChange.suggestion_id == suggestion.id, col(StageChange.undone_at).is_(None))
        .order_by(col(StageChange.id).desc())
    ).first()
    if change is None:
        raise Conflict("There is no move to take back.")
    deal = undo_move(session, change, actor=Actor(actor_id, "suggestion", suggestion.id), now=now)
    _reopen(session, suggestion, deal)
    return deal


def dismiss(session: Session, suggestion: Suggestion, *, actor_id: int, now: datetime, why: str = "") -> None:
    """Say no; the same evidence will not be brought up again. Raises Conflict."""
    deal = _locked(session, suggestion)
    if suggestion.state != "open":
        raise Conflict(f"This suggestion is {suggestion.state} already.")
    if deal is None:
        raise NotFound("The deal no longer exists.")
    _decide(suggestion, "dismissed", actor_id, now)
    suggestion.dismissal = why[:200]
    session.add(suggestion)
    deal.suggest_at = now
    session.add(deal)
    _announce_decision(session, suggestion, deal, now)


def undo_dismissal(session: Session, suggestion: Suggestion) -> None:
    """Open a dismissed suggestion again. Raises Conflict."""
    deal = _locked(session, suggestion)
    if suggestion.state != "dismissed":
        raise Conflict("This suggestion is not dismissed.")
    if deal is None or deal.version != suggestion.deal_version:
        raise Conflict("The deal has moved since; there is nothing to bring back.")
    _reopen(session, suggestion, deal)


def propose(
    session: Session,
    deal: Deal,
    target: Stage,
    *,
    rule: str,
    reason: str,
    confidence: float,
    evidence: list[dict[str, Any]],
    now: datetime,
    wake_on: date | None = None,
    announced: bool = True,
) -> Suggestion | None:
    """Open a suggestion, superseding an open one for other evidence. None when the same stands open already or was
    decided before."""
    key = evidence_key(target.meaning, evidence, deal)
    current = open_suggestion(session, deal.id or 0)
    if current is not None and current.evidence_key == key and current.deal_version == deal.version:
        return None
    refused = session.exec(
        select(Suggestion.id).where(
            Suggestion.deal_id == deal.id,
            Suggestion.evidence_key == key,
            col(Suggestion.state).in_(("dismissed", "accepted")),
        )
    ).first()
    if refused is not None:
        withdraw(session, current, now=now)
        return None
    withdraw(session, current, now=now, state="superseded")
    session.flush()
    suggestion = Suggestion(
        deal_id=deal.id or 0,
        from_stage_id=deal.stage_id,
        to_stage_id=target.id or 0,
        meaning=target.meaning,
        deal_version=deal.version,
        confidence=round(confidence, 3),
        rule=rule,
        reason=reason,
        evidence=evidence,
        evidence_key=key,
        wake_on=wake_on,
        created_at=now,
    )
    session.add(suggestion)
    session.flush()
    if announced:
        payload = suggestion_payload(session, suggestion, deal)
        announce(
            session,
            event_row("deal.stage_suggested", str(suggestion.id), payload, now=now, deal_id=deal.id),
        )
    return suggestion


def withdraw(session: Session, suggestion: Suggestion | None, *, now: datetime, state: str = "stale") -> None:
    """Close an open suggestion that no longer holds."""
    if suggestion is not None and suggestion.state == "open":
        suggestion.state, suggestion.decided_at = state, now
        session.add(suggestion)


def open_suggestion(session: Session, deal_id: int) -> Suggestion | None:
    """The deal's open suggestion."""
    return session.exec(select(Suggestion).where(Suggestion.deal_id == deal_id, Suggestion.state == "open")).first()


def evidence_key(meaning: str, evidence: list[dict[str, Any]], deal: Deal) -> str:
    """What makes evidence the same: the interactions and rules it rests on; for silence, the touch it counts from."""
    parts = sorted({f"{item['interaction_id']}/{item['rule']}" for item in evidence})
    since = f"@{deal.customer_touch_at or deal.stage_since:%Y%m%d%H%M}" if not parts else ""
    return f"{meaning}:{','.join(parts)}{since}"[:500]


def suggestion_payload(session: Session, suggestion: Suggestion, deal: Deal) -> dict[str, Any]:
    """What an event tells about a suggestion. Quotes stay at home: a webhook carries the reason, not the mail's words."""
    before, after = session.get(Stage, suggestion.from_stage_id), session.get(Stage, suggestion.to_stage_id)
    return {
        "id": suggestion.id,
        "deal": deal_payload(session, deal),
        "from": {"id": before.id, "name": before.name, "meaning": before.meaning} if before else None,
        "to": {"id": after.id, "name": after.name, "meaning": after.meaning} if after else None,
        "confidence": suggestion.confidence,
        "rule": suggestion.rule,
        "reason": suggestion.reason,
        "state": suggestion.state,
        "wake_on": suggestion.wake_on.isoformat() if suggestion.wake_on else None,
        "evidence": [{k: item[k] for k in ("interaction_id", "rule")} for item in suggestion.evidence],
    }


def _locked(session: Session, suggestion: Suggestion) -> Deal | None:
    """The suggestion's deal; both rows read again and held, the deal first."""
    deal = session.get(Deal, suggestion.deal_id)
    if deal is not None:
        lock(session, deal)
    lock(session, suggestion)
    return deal


def _decide(suggestion: Suggestion, state: str, actor_id: int, now: datetime) -> None:
    suggestion.state, suggestion.decided_at, suggestion.decided_by = state, now, actor_id


def _reopen(session: Session, suggestion: Suggestion, deal: Deal) -> None:
    other = open_suggestion(session, deal.id or 0)
    if other is not None:
        withdraw(session, other, now=suggestion.decided_at or other.created_at, state="superseded")
        session.flush()
    suggestion.state, suggestion.decided_at, suggestion.decided_by = "open", None, None
    suggestion.deal_version, suggestion.dismissal = deal.version, ""
    session.add(suggestion)
    session.flush()


def _announce_decision(session: Session, suggestion: Suggestion, deal: Deal, now: datetime) -> None:
    kind = f"suggestion.{suggestion.state}"
    payload = suggestion_payload(session, suggestion, deal) | {
        "user_id": suggestion.decided_by,
        "dismissal": suggestion.dismissal,
    }
    once = f"{suggestion.id}:{now.timestamp()}"
    announce(session, event_row(kind, once, payload, now=now, deal_id=deal.id))
