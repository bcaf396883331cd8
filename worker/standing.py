"""Where an item stands: links to deals, and questions that wait for a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from models.db import chunks, insert_new, table
from models.interaction import Held, Interaction, Link
from worker.case import Case, Logging
from worker.evidence import store_signals
from worker.match import Decision


def store_links(work: Logging, cases: Sequence[Case]) -> None:
    """Links, what is held, and signals. A case that only adds a copy adds no link where there is one (or where a person
    said that there is none), and asks nothing that was not asked of the first copy."""
    known = [case.interaction_id for case in cases if not case.fresh]
    held, settled = _questions(work.session, known)
    settled |= _linked(work.session, known)
    fresh = {case.interaction_id for case in cases if case.fresh}
    for case in cases:
        if case.fresh or case.interaction_id in fresh:
            continue
        asks = case.decision.outcome == "held" and case.interaction_id not in held
        if case.interaction_id in settled or asks:
            case.decision = _as_logged(case.decision)
        case.released = case.interaction_id in held and case.decision.outcome == "logged"
    insert_new(
        work.session,
        Link,
        [
            {
                "interaction_id": case.interaction_id,
                "deal_id": link.deal_id,
                "rule": link.rule,
                "score": link.score,
                "reasons": list(link.reasons),
                "stage_id": link.stage_id,
                "made_at": work.now,
            }
            for case in cases
            for link in case.decision.links
        ],
    )
    insert_new(work.session, Held, [held_row(work, case) for case in cases if case.decision.outcome == "held"])
    release_held(work.session, [case.interaction_id for case in cases if case.released], work.now)
    store_signals(work, [case for case in cases if case.fresh])


def _as_logged(decision: Decision) -> Decision:
    return replace(decision, outcome="logged", links=(), candidates=())


def _questions(session: Session, interaction_ids: Sequence[int]) -> tuple[set[int], set[int]]:
    """Of some interactions: those that wait for a person, and those that a person has decided."""
    waiting: set[int] = set()
    decided: set[int] = set()
    for part in chunks(set(interaction_ids)):
        for held in session.exec(select(Held).where(col(Held.interaction_id).in_(part))):
            (waiting if held.state == "open" else decided).add(held.interaction_id)
    return waiting, decided


def _linked(session: Session, interaction_ids: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for part in chunks(set(interaction_ids)):
        found |= set(session.exec(select(Link.interaction_id).where(col(Link.interaction_id).in_(part))).all())
    return found


def held_row(work: Logging, case: Case) -> dict[str, Any]:
    """An item that waits for its mailbox's owner."""
    return {
        "interaction_id": case.interaction_id,
        "account_id": work.account.id,
        "user_id": work.account.user_id,
        "candidates": candidate_rows(case.decision),
        "reason": case.decision.reason,
        "state": "open",
        "created_at": work.now,
    }


def candidate_rows(decision: Decision) -> list[dict[str, Any]]:
    """The deals among which a person chooses, as they are kept with the question."""
    return [
        {"deal_id": link.deal_id, "score": link.score, "rule": link.rule, "reasons": list(link.reasons)}
        | ({"sure": True} if link.sure else {})
        for link in decision.candidates
    ]


def release_held(session: Session, interaction_ids: Iterable[int], now: datetime) -> None:
    """What was held is settled by another copy or by a later decision."""
    held, interactions = table(Held), table(Interaction)
    for part in chunks(interaction_ids):
        session.connection().execute(
            update(held)
            .where(held.c.interaction_id.in_(part), held.c.state == "open")
            .values(state="chosen", decided_at=now)
        )
        session.connection().execute(
            update(interactions).where(interactions.c.id.in_(part), interactions.c.held).values(held=False)
        )
