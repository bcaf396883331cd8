"""Mails and meetings, what is held and what is suggested because of them.

Every function here asks ``models.privacy`` first, evidence quotes included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from models.account import Account
from models.db import chunks
from models.deal import Deal
from models.interaction import Copy, Held, Interaction, Link
from models.pipeline import Stage
from models.privacy import Sight, sights
from models.suggestion import Suggestion
from webapp.deps import Viewer
from webapp.present.chances import stage_of
from webapp.present.rows import by_id, iso


def interactions(
    session: Session, rows: Sequence[Interaction], viewer: Viewer, *, whole: bool = False
) -> list[dict[str, Any]]:
    """Interactions as far as the viewer may see them; those that are none of their business are left out. ``whole``: with
    the text."""
    seen = sights(session, rows, viewer.id)
    shown = [row for row in rows if seen[row.id or 0].any]
    ids = [row.id or 0 for row in shown]
    links = _links(session, ids)
    copies = _copies(session, ids)
    return [_interaction(row, seen[row.id or 0], links, copies, whole=whole) for row in shown]


def _interaction(
    row: Interaction,
    sight: Sight,
    links: dict[int, list[dict[str, Any]]],
    copies: dict[int, list[dict[str, Any]]],
    *,
    whole: bool,
) -> dict[str, Any]:
    key = row.id or 0
    shape = {
        "id": key,
        "kind": row.kind,
        "direction": row.direction,
        "occurred_at": iso(row.occurred_at),
        "ends_at": iso(row.ends_at),
        "all_day": row.all_day,
        "status": row.status,
        "subject": row.subject if sight.subject else None,
        "snippet": row.snippet if sight.text else None,
        "machine": row.machine or None,
        "machine_reason": (row.machine_reason or None) if sight.subject else None,
        "visibility": sight.level,
        "held": row.held,
        "parties": row.parties,
        "attachments": [{k: a.get(k) for k in ("name", "mime", "size")} for a in row.attachments] if sight.text else [],
        "links": links.get(key, []),
        "copies": copies.get(key, []),
        "thread_id": row.thread_id,
        "logged_at": iso(row.logged_at),
    }
    if whole:
        shape |= {"text": row.text, "new_text": row.new_text} if sight.text else {"text": None, "new_text": None}
    return shape


def _links(session: Session, ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for part in chunks(ids):
        for link in session.exec(
            select(Link)
            .where(col(Link.interaction_id).in_(part), col(Link.removed_at).is_(None))
            .order_by(col(Link.id))
        ):
            found.setdefault(link.interaction_id, []).append(
                {
                    "deal_id": link.deal_id,
                    "rule": link.rule,
                    "score": link.score,
                    "reasons": link.reasons,
                    "stage_id": link.stage_id,
                    "made_by": link.made_by,
                }
            )
    return found


def _copies(session: Session, ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for part in chunks(ids):
        for copy, email in session.exec(
            select(Copy, Account.email)
            .join(Account, col(Account.id) == Copy.account_id)
            .where(col(Copy.interaction_id).in_(part))
            .order_by(col(Copy.id))
        ):
            found.setdefault(copy.interaction_id, []).append(
                {"account_id": copy.account_id, "email": email, "state": copy.state}
            )
    return found


def suggestions(session: Session, rows: Sequence[Suggestion], viewer: Viewer) -> list[dict[str, Any]]:
    """Suggestions with their evidence; a quote only for those who may read the mail it comes from."""
    stages = by_id(session, Stage, [key for row in rows for key in (row.from_stage_id, row.to_stage_id)])
    sources = by_id(session, Interaction, [e["interaction_id"] for row in rows for e in row.evidence])
    seen = sights(session, sources.values(), viewer.id)
    chances = by_id(session, Deal, [row.deal_id for row in rows])
    return [
        {
            "id": row.id,
            "deal_id": row.deal_id,
            "deal": chances[row.deal_id].name if row.deal_id in chances else None,
            "from_stage": stage_of(stages.get(row.from_stage_id)),
            "to_stage": stage_of(stages.get(row.to_stage_id)),
            "confidence": row.confidence,
            "state": row.state,
            "rule": row.rule,
            "reason": row.reason,
            "wake_on": iso(row.wake_on),
            "evidence": [_evidence(e, sources, seen) for e in row.evidence],
            "created_at": iso(row.created_at),
            "decided_at": iso(row.decided_at),
            "decided_by": row.decided_by,
            "dismissal": row.dismissal,
        }
        for row in rows
    ]


def _evidence(item: dict[str, Any], sources: dict[int, Interaction], seen: dict[int, Sight]) -> dict[str, Any]:
    key = item["interaction_id"]
    sight, source = seen.get(key, Sight("none")), sources.get(key)
    sender = next((p for p in source.parties if p["role"] in ("from", "organizer")), None) if source else None
    return {
        "interaction_id": key,
        "rule": item["rule"],
        "quote": item["quote"] if sight.text else None,
        "start": item["start"] if sight.text else None,
        "end": item["end"] if sight.text else None,
        "kind": source.kind if source else None,
        "occurred_at": iso(source.occurred_at) if source and sight.any else None,
        "subject": source.subject if source and sight.subject else None,
        "sender": {"name": sender["name"], "address": sender["address"]} if sender and sight.any else None,
    }


def held(session: Session, rows: Sequence[Held], viewer: Viewer) -> list[dict[str, Any]]:
    """Held items with their candidates. Callers pass the viewer's own only."""
    mails = by_id(session, Interaction, [row.interaction_id for row in rows])
    shown = {item["id"]: item for item in interactions(session, list(mails.values()), viewer)}
    chances = by_id(session, Deal, [c["deal_id"] for row in rows for c in row.candidates])
    return [
        {
            "id": row.id,
            "state": row.state,
            "reason": row.reason,
            "created_at": iso(row.created_at),
            "decided_at": iso(row.decided_at),
            "interaction": shown[row.interaction_id],
            "candidates": [c | {"deal": chances[c["deal_id"]].name} for c in row.candidates if c["deal_id"] in chances],
        }
        for row in rows
        if row.interaction_id in shown and row.user_id == viewer.id
    ]
