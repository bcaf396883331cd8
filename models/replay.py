"""Sending a webhook what it missed: one range of the feed again, or only what never arrived."""

from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, or_, select

from models.db import chunks, table
from models.errors import Conflict, Invalid
from models.event import Event
from models.webhook import Delivery, Webhook, matches, plan_deliveries

MOST = 5_000
"""Events looked at in one request."""


def position_of(session: Session, mark: str) -> int:
    """A place in the feed from an event's id or from its position. Raises Invalid."""
    if mark.isascii() and mark.isdigit() and len(mark) < 10:
        return int(mark)
    found = session.exec(select(Event.position).where(Event.uid == mark)).first()
    if found is None:
        raise Invalid(f"There is no event {mark!r} in the feed.", "after")
    return found


def replay(
    session: Session, hook: Webhook, *, after: int, until: int | None, only_missing: bool, now: datetime
) -> tuple[int, int | None]:
    """Make due again what a webhook asked for, after one position and up to another: how many deliveries, and where to
    go on when there is more. Raises Conflict when it is paused."""
    if hook.paused_at is not None:
        raise Conflict("This webhook is paused. Resume it first; what was kept for it goes out then.")
    statement = (
        select(Event)
        .where(col(Event.position) > after, or_(col(Event.user_id).is_(None), Event.user_id == hook.user_id))
        .order_by(col(Event.position))
        .limit(MOST + 1)
    )
    if until is not None:
        statement = statement.where(col(Event.position) <= until)
    events = list(session.exec(statement).all())
    more, events = len(events) > MOST, events[:MOST]
    wanted = [event for event in events if hook.event in ("*", event.kind) and matches(hook.filter, event.payload)]
    planned = sum(_plan(session, hook, part, only_missing=only_missing, now=now) for part in chunks(wanted))
    return planned, events[-1].position if more else None


def _plan(session: Session, hook: Webhook, events: list[Event], *, only_missing: bool, now: datetime) -> int:
    deliveries = table(Delivery)
    theirs = (deliveries.c.webhook_id == hook.id) & deliveries.c.event_id.in_([event.id for event in events])
    again = deliveries.c.state.in_(("failed", "dropped") if only_missing else ("failed", "dropped", "delivered"))
    done = session.connection().execute(
        update(deliveries)
        .where(theirs, again)
        .values(state="pending", attempts=0, next_attempt_at=now, lease_owner="", lease_until=None)
    )
    have = set(session.connection().execute(select(deliveries.c.event_id).where(theirs)).scalars())
    fresh = [event for event in events if event.id not in have]
    plan_deliveries(session, [(hook, event) for event in fresh], now=now)
    return done.rowcount + len(fresh)
