"""Webhooks (REST hooks), what is to be delivered to them, and every attempt, readable."""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, or_, update
from sqlmodel import Field, Session, SQLModel, UniqueConstraint, col, select

from models.account import is_dead, lease_owner
from models.db import insert_new, table
from models.errors import Conflict, Invalid, NotFound
from models.event import KINDS, Event
from models.fields import instant, json_dict, sealed
from models.keyring import Keyring

RETRY_AFTER = (5, 30, 120, 600, 3_600, 10_800, 21_600, 43_200, 86_400)
"""Seconds between the ten attempts: about three days in all."""
PAUSE_AFTER = timedelta(days=5)


class Webhook(SQLModel, table=True):
    """A subscription of a person's. ``event`` is one kind or ``*``; ``filter`` narrows it by fields of the payload."""

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", index=True, ondelete="CASCADE")
    target_url: str
    event: str
    filter: dict[str, Any] = json_dict()
    sealed_secret: bytes = sealed()
    created_at: datetime = instant()
    failing_since: datetime | None = instant(None)
    paused_at: datetime | None = instant(None)
    paused_reason: str = ""
    deleted_at: datetime | None = instant(None)


class Delivery(SQLModel, table=True):
    """One event on its way to one webhook. ``state``: pending | delivered | failed | dropped."""

    __table_args__ = (
        UniqueConstraint("webhook_id", "event_id"),
        Index("ix_delivery_due", "state", "next_attempt_at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    webhook_id: int = Field(foreign_key="webhook.id", ondelete="CASCADE")
    event_id: int = Field(foreign_key="event.id", index=True, ondelete="CASCADE")
    deal_id: int | None = None
    position: int = 0
    state: str = "pending"
    attempts: int = 0
    next_attempt_at: datetime | None = instant(None)
    lease_owner: str = ""
    lease_until: datetime | None = instant(None)
    created_at: datetime = instant()
    delivered_at: datetime | None = instant(None)


class Attempt(SQLModel, table=True):
    """One try. ``status`` 0: no answer. ``answer`` is the beginning of what the receiver said."""

    id: int | None = Field(default=None, primary_key=True)
    delivery_id: int = Field(foreign_key="delivery.id", index=True, ondelete="CASCADE")
    at: datetime = instant()
    status: int = 0
    error: str = ""
    answer: str = ""
    took_ms: int = 0


def add_webhook(
    session: Session,
    keyring: Keyring,
    *,
    user_id: int,
    target_url: str,
    event: str,
    now: datetime,
    filter: dict[str, Any] | None = None,
) -> tuple[Webhook, str]:
    """Subscribe; the row and its signing secret (``whsec_...``, Standard Webhooks). Raises Invalid."""
    if event != "*" and event not in KINDS:
        raise Invalid(f"{event!r} is no event. Known: {', '.join(KINDS)}, or * for all.", "event")
    if not target_url.startswith(("https://", "http://")) or len(target_url) > 2000:
        raise Invalid("A target_url starts with https:// and has at most 2,000 characters.", "target_url")
    secret = "whsec_" + _base64(secrets.token_bytes(24))
    hook = Webhook(
        user_id=user_id,
        target_url=target_url,
        event=event,
        filter=filter or {},
        sealed_secret=keyring.seal(secret.encode()),
        created_at=now,
    )
    session.add(hook)
    session.flush()
    return hook, secret


def remove_webhook(session: Session, webhook: Webhook, *, now: datetime) -> None:
    """Unsubscribe; what was pending is dropped, what happened stays readable."""
    webhook.deleted_at = now
    session.add(webhook)
    _drop_pending(session, webhook.id or 0)


def active_webhooks(session: Session) -> list[Webhook]:
    """Those that new events go to."""
    return list(session.exec(select(Webhook).where(col(Webhook.deleted_at).is_(None))).all())


def matches(wanted: dict[str, Any], payload: dict[str, Any]) -> bool:
    """Whether a payload has every field of a filter with that value (dots lead into objects); a list means one of."""
    for name, value in wanted.items():
        found: Any = payload
        for step in name.split("."):
            found = found.get(step) if isinstance(found, dict) else None
        if found not in value if isinstance(value, list) else found != value:
            return False
    return True


def plan_deliveries(session: Session, pairs: list[tuple[Webhook, Event]], *, now: datetime) -> None:
    """One delivery for each (webhook, event), once."""
    insert_new(
        session,
        Delivery,
        [
            {
                "webhook_id": hook.id,
                "event_id": event.id,
                "deal_id": event.deal_id,
                "position": event.position or 0,
                "state": "pending",
                "attempts": 0,
                "next_attempt_at": now,
                "lease_owner": "",
                "created_at": now,
            }
            for hook, event in pairs
        ],
    )


def claim_due_deliveries(session: Session, *, now: datetime, seconds: float, limit: int) -> list[tuple[int, str]]:
    """Lease deliveries that are due: (id, owner). Of one deal and one webhook only the earliest pending goes, so that a
    receiver sees a deal's events in order."""
    return _claim(session, due_deliveries(now).limit(limit), now=now, seconds=seconds)


def claim_following(session: Session, delivery_id: int, *, now: datetime, seconds: float) -> list[tuple[int, str]]:
    """Lease what comes after a delivery for the same webhook and deal, if it is due: (id, owner), at most one."""
    delivery = session.get(Delivery, delivery_id)
    if delivery is None or delivery.deal_id is None:
        return []
    deliveries = table(Delivery)
    same = (deliveries.c.webhook_id == delivery.webhook_id, deliveries.c.deal_id == delivery.deal_id)
    return _claim(session, due_deliveries(now).where(*same).limit(1), now=now, seconds=seconds)


def _claim(session: Session, due: Any, *, now: datetime, seconds: float) -> list[tuple[int, str]]:
    deliveries = table(Delivery)
    won = []
    for delivery_id in session.connection().execute(due).scalars().all():
        owner = lease_owner()
        claimed = session.connection().execute(
            update(deliveries)
            .where(deliveries.c.id == delivery_id, _free(now), deliveries.c.state == "pending")
            .values(lease_owner=owner, lease_until=now + timedelta(seconds=seconds))
        )
        if claimed.rowcount == 1:
            won.append((delivery_id, owner))
    return won


def due_deliveries(now: datetime) -> Any:
    """The ids of the deliveries that may be claimed now, in order of the feed."""
    deliveries, hooks = table(Delivery), table(Webhook)
    earlier = deliveries.alias("earlier")
    blocked = (
        select(earlier.c.id)
        .where(
            earlier.c.webhook_id == deliveries.c.webhook_id,
            earlier.c.deal_id == deliveries.c.deal_id,
            earlier.c.position < deliveries.c.position,
            earlier.c.state == "pending",
        )
        .exists()
    )
    return (
        select(deliveries.c.id)
        .join(hooks, hooks.c.id == deliveries.c.webhook_id)
        .where(
            deliveries.c.state == "pending",
            deliveries.c.next_attempt_at <= now,
            _free(now),
            hooks.c.paused_at.is_(None),
            hooks.c.deleted_at.is_(None),
            ~blocked,
        )
        .order_by(deliveries.c.position)
    )


def _free(now: datetime) -> Any:
    deliveries = table(Delivery)
    return or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= now)


def free_delivery(session: Session, delivery_id: int, owner: str) -> None:
    """Give a lease back unused."""
    deliveries = table(Delivery)
    session.connection().execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.lease_owner == owner)
        .values(lease_owner="", lease_until=None)
    )


def release_dead_deliveries(session: Session) -> int:
    """Free the deliveries that a killed process of this machine held; how many. What it had sent already is sent once more
    under the same id."""
    freed = 0
    for delivery in session.exec(select(Delivery).where(Delivery.state == "pending", Delivery.lease_owner != "")):
        if is_dead(delivery.lease_owner):
            delivery.lease_owner, delivery.lease_until = "", None
            session.add(delivery)
            freed += 1
    return freed


def record_attempt(
    session: Session,
    delivery: Delivery,
    webhook: Webhook,
    *,
    now: datetime,
    status: int,
    error: str,
    answer: str,
    took_ms: int,
    retry_after: float | None,
    jitter: float,
) -> None:
    """Write down one try and what follows from it: delivered, another try (``RETRY_AFTER``, or later when the receiver
    asked for it), given up; 410 ends the subscription; five failing days pause it."""
    session.add(
        Attempt(delivery_id=delivery.id or 0, at=now, status=status, error=error, answer=answer[:2000], took_ms=took_ms)
    )
    delivery.attempts += 1
    delivery.lease_owner, delivery.lease_until = "", None
    if 200 <= status < 300:
        delivery.state, delivery.delivered_at, delivery.next_attempt_at = "delivered", now, None
        webhook.failing_since = None
    elif status == 410:
        delivery.state, delivery.next_attempt_at = "failed", None
        remove_webhook(session, webhook, now=now)
    else:
        _plan_retry(delivery, now=now, retry_after=retry_after, jitter=jitter)
        webhook.failing_since = webhook.failing_since or now
        if now - webhook.failing_since >= PAUSE_AFTER and webhook.paused_at is None:
            webhook.paused_at = now
            webhook.paused_reason = (
                "It has failed for five days. Mend the receiver, then resume and replay what is missing."
            )
    session.add_all([delivery, webhook])


def drop_delivery(session: Session, delivery: Delivery, *, now: datetime, why: str) -> None:
    """Send it no more, and say why."""
    session.add(Attempt(delivery_id=delivery.id or 0, at=now, error=why))
    delivery.state, delivery.next_attempt_at = "dropped", None
    delivery.lease_owner, delivery.lease_until = "", None
    session.add(delivery)


def redeliver(session: Session, delivery_id: int, *, now: datetime) -> Delivery:
    """Ask for one more send of the same event under the same id. Raises NotFound, Conflict (the subscription ended)."""
    delivery = session.get(Delivery, delivery_id)
    hook = session.get(Webhook, delivery.webhook_id) if delivery else None
    if delivery is None or hook is None:
        raise NotFound("There is no such delivery.")
    if hook.deleted_at is not None:
        raise Conflict("This subscription has ended; nothing is sent to it any more.")
    delivery.state, delivery.next_attempt_at, delivery.attempts = "pending", now, 0
    session.add(delivery)
    return delivery


def resume_webhook(session: Session, webhook: Webhook) -> None:
    """Take a pause off."""
    webhook.paused_at, webhook.paused_reason, webhook.failing_since = None, "", None
    session.add(webhook)


def _plan_retry(delivery: Delivery, *, now: datetime, retry_after: float | None, jitter: float) -> None:
    if delivery.attempts > len(RETRY_AFTER):
        delivery.state, delivery.next_attempt_at = "failed", None
        return
    wait = RETRY_AFTER[delivery.attempts - 1] * (1 + jitter)
    delivery.next_attempt_at = now + timedelta(seconds=max(wait, min(retry_after or 0.0, 86_400)))


def _drop_pending(session: Session, webhook_id: int) -> None:
    deliveries = table(Delivery)
    session.connection().execute(
        update(deliveries)
        .where(deliveries.c.webhook_id == webhook_id, deliveries.c.state == "pending")
        .values(state="dropped", next_attempt_at=None)
    )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def pause_webhook(session: Session, webhook: Webhook, *, now: datetime, reason: str) -> None:
    """Send nothing for now; what happens meanwhile waits until it is resumed."""
    if webhook.paused_at is None:
        webhook.paused_at, webhook.paused_reason = now, reason
        session.add(webhook)
