"""Events become deliveries: each event gets its place in the feed and one delivery for each webhook that asked for it.

Whether two workers come at once does not matter: places are unique, and so is (webhook, event).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from models.db import Database
from models.event import Event, place_events
from models.user import User
from models.webhook import Webhook, active_webhooks, matches, plan_deliveries


def drain(db: Database, now: datetime) -> int:
    """Place what waits and plan its deliveries, one page in one transaction; how many events."""
    if not db.finds(select(Event.id).where(col(Event.position).is_(None))):
        return 0
    try:
        with db.write() as session:
            events = place_events(session)
            if not events:
                return 0
            hooks = [(hook, session.get(User, hook.user_id)) for hook in active_webhooks(session)]
            pairs = [(hook, event) for event in events for hook, user in hooks if _wanted(hook, user, event)]
            plan_deliveries(session, pairs, now=now)
            return len(events)
    except IntegrityError:
        return 0


def _wanted(hook: Webhook, user: User | None, event: Event) -> bool:
    """What is private to one person goes to that person's hooks only; nothing from before a hook's creation goes to it."""
    if user is None or user.disabled_at is not None or hook.event not in ("*", event.kind):
        return False
    if event.at < hook.created_at or event.user_id not in (None, user.id):
        return False
    return matches(hook.filter, event.payload)
