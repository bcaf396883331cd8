"""Events, webhooks and their deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from models.db import chunks
from models.event import Event
from models.webhook import Attempt, Delivery, Webhook
from webapp.present.rows import by_id, iso


def hook(row: Webhook) -> dict[str, Any]:
    """A webhook without its secret."""
    return {
        "id": row.id,
        "target_url": row.target_url,
        "event": row.event,
        "filter": row.filter,
        "user_id": row.user_id,
        "created_at": iso(row.created_at),
        "paused_at": iso(row.paused_at),
        "paused_reason": row.paused_reason or None,
        "failing_since": iso(row.failing_since),
    }


def deliveries(session: Session, rows: Sequence[Delivery], *, attempts: bool = False) -> list[dict[str, Any]]:
    """Deliveries with the event they carry; with ``attempts`` every try."""
    events = by_id(session, Event, [row.event_id for row in rows])
    tries: dict[int, list[dict[str, Any]]] = {}
    for part in chunks(row.id for row in rows) if attempts else ():
        for row in session.exec(select(Attempt).where(col(Attempt.delivery_id).in_(part)).order_by(col(Attempt.id))):
            tries.setdefault(row.delivery_id, []).append(
                {
                    "at": iso(row.at),
                    "status": row.status,
                    "error": row.error,
                    "answer": row.answer,
                    "took_ms": row.took_ms,
                }
            )
    return [
        {
            "id": row.id,
            "webhook_id": row.webhook_id,
            "event_id": events[row.event_id].uid if row.event_id in events else None,
            "type": events[row.event_id].kind if row.event_id in events else None,
            "state": row.state,
            "attempts": row.attempts,
            "next_attempt_at": iso(row.next_attempt_at),
            "created_at": iso(row.created_at),
            "delivered_at": iso(row.delivered_at),
        }
        | ({"tries": tries.get(row.id or 0, [])} if attempts else {})
        for row in rows
    ]


def event(row: Event) -> dict[str, Any]:
    """An event as the feed and the hooks tell it."""
    return {"id": row.uid, "type": row.kind, "timestamp": iso(row.at), "data": row.payload}
