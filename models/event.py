"""The outbox: what leaves us, written in the same transaction as the change that it tells of.

``position`` is given afterwards, in order, by the one worker that holds the outbox; the feed and the deliveries go by it,
because ids are handed out before their transactions commit.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, text, update
from sqlmodel import Field, Session, SQLModel, col, func, select

from models.db import insert_new, table
from models.fields import instant, json_dict

KINDS = (
    "interaction.logged",
    "interaction.held",
    "contact.discovered",
    "deal.created",
    "deal.stage_suggested",
    "deal.stage_changed",
    "deal.won",
    "deal.lost",
    "deal.cooling",
    "deal.shelved",
    "deal.revived",
    "suggestion.accepted",
    "suggestion.dismissed",
    "meeting.scheduled",
    "meeting.held",
    "meeting.cancelled",
    "account.needs_reconnect",
    "account.gap_recovered",
)


PLACING = 7_304_021
"""Name of the advisory lock (Postgres) under which positions are given; on SQLite writers queue anyway."""


class Event(SQLModel, table=True):
    """One thing that happened. ``uid`` is its public id, the same on every retry and in the feed; ``once`` is what makes
    it happen once only (kind and subject), however often the cause is seen. ``user_id``: private to one person.
    ``interaction_id``: of an event about a mail or meeting, so that its words can be taken back."""

    id: int | None = Field(default=None, primary_key=True)
    uid: str = Field(unique=True)
    once: str = Field(unique=True)
    kind: str = Field(index=True)
    at: datetime = instant()
    deal_id: int | None = Field(default=None, index=True)
    user_id: int | None = Field(default=None, index=True)
    interaction_id: int | None = Field(default=None, index=True)
    payload: dict[str, Any] = json_dict()
    position: int | None = Field(default=None, unique=True)


def event_row(
    kind: str,
    once: str,
    payload: dict[str, Any],
    *,
    now: datetime,
    deal_id: int | None = None,
    user_id: int | None = None,
) -> dict[str, Any]:
    """A row for ``announce``."""
    return {
        "uid": f"evt_{uuid.uuid4().hex}",
        "once": f"{kind}:{once}",
        "kind": kind,
        "at": now,
        "deal_id": deal_id,
        "user_id": user_id,
        "interaction_id": payload.get("id") if kind.startswith(("interaction.", "meeting.")) else None,
        "payload": payload,
    }


def announce(session: Session, *rows: dict[str, Any]) -> None:
    """Write events to the outbox; those announced before (same ``once``) are left alone."""
    insert_new(session, Event, rows)


def place_events(session: Session, limit: int = 500) -> list[Event]:
    """Give the next positions to events that have none, in order of their ids; the events. One caller at a time: the
    others wait until its transaction ends."""
    if session.connection().dialect.name == "postgresql":
        session.connection().execute(text(f"SELECT pg_advisory_xact_lock({PLACING})"))
    waiting = session.exec(
        select(Event).where(col(Event.position).is_(None)).order_by(col(Event.id)).limit(limit)
    ).all()
    if not waiting:
        return []
    last = session.exec(select(func.max(Event.position))).one() or 0
    numbers = [{"key": event.id, "place": last + offset} for offset, event in enumerate(waiting, start=1)]
    events = table(Event)
    session.connection().execute(
        update(events).where(events.c.id == bindparam("key")).values(position=bindparam("place")), numbers
    )
    for event, number in zip(waiting, numbers, strict=True):
        session.expunge(event)
        event.position = number["place"]
    return list(waiting)
