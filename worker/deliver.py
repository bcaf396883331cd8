"""One leased delivery: read, POST with no transaction open, write down what happened and when to try again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from connectors import webhook as wire
from models.event import Event
from models.keyring import KeyringError
from models.telling import told
from models.user import User
from models.webhook import Delivery, Webhook, claim_following, drop_delivery, free_delivery, record_attempt
from worker.context import Work

log = structlog.get_logger()
JITTER = 0.2
STRETCH = 30.0
"""Seconds after which a job leaves the rest of a deal's events to the next one."""


@dataclass(frozen=True, slots=True)
class _Parcel:
    url: str
    secret: str
    uid: str
    body: bytes


def run(work: Work, delivery_id: int, owner: str) -> None:
    """Send it if the lease is still ours, then what waited behind it for the same webhook and deal. A worker that dies
    between send and record sends the same id once more: receivers tell repeats by ``webhook-id``, as Standard Webhooks asks
    them to."""
    started = work.monotonic()
    won = [(delivery_id, owner)]
    while won and work.monotonic() - started < STRETCH:
        ((delivery_id, owner),) = won
        _one(work, delivery_id, owner)
        with work.db.write() as session:
            won = claim_following(session, delivery_id, now=work.now(), seconds=work.pace.delivery_lease)
    if won:
        with work.db.write() as session:
            free_delivery(session, *won[0])


def _one(work: Work, delivery_id: int, owner: str) -> None:
    parcel = _load(work, delivery_id, owner)
    if parcel is None:
        return
    if isinstance(parcel, str):
        _drop(work, delivery_id, owner, parcel)
        return
    outcome = wire.send(
        parcel.url,
        parcel.secret,
        parcel.uid,
        parcel.body,
        now=work.now(),
        timeout=work.pace.webhook_timeout,
        allow_private=work.pace.webhook_allow_private,
    )
    _record(work, delivery_id, owner, outcome, work.now())


def _load(work: Work, delivery_id: int, owner: str) -> _Parcel | str | None:
    """What to send, as the webhook's owner may read it today; the reason why nothing may go; None when it is not ours."""
    with work.db.read() as session:
        delivery = session.get(Delivery, delivery_id)
        if delivery is None or delivery.lease_owner != owner or delivery.state != "pending":
            return None
        hook, event = session.get(Webhook, delivery.webhook_id), session.get(Event, delivery.event_id)
        if hook is None or event is None or hook.deleted_at is not None:
            return None
        user = session.get(User, hook.user_id)
        told_now = told(session, [event], hook.user_id, is_admin=user is not None and user.role == "admin")
        if event.id not in told_now:
            return "It has become private since; the webhook's owner may not read it any more."
        try:
            secret = work.keyring.open(hook.sealed_secret).decode()
        except KeyringError:
            log.error("deliver.no_secret", webhook=hook.id)
            secret = ""
        body = wire.body_of(event.uid, event.kind, event.at, told_now[event.id])
        return _Parcel(hook.target_url, secret, event.uid, body)


def _drop(work: Work, delivery_id: int, owner: str, why: str) -> None:
    with work.db.write() as session:
        delivery = session.get(Delivery, delivery_id)
        if delivery is not None and delivery.lease_owner == owner:
            drop_delivery(session, delivery, now=work.now(), why=why)
    log.info("delivery.dropped", id=delivery_id)


def _record(work: Work, delivery_id: int, owner: str, outcome: wire.Outcome, now: datetime) -> None:
    with work.db.write() as session:
        delivery = session.get(Delivery, delivery_id)
        hook = session.get(Webhook, delivery.webhook_id) if delivery else None
        if delivery is None or hook is None or delivery.lease_owner != owner:
            return
        record_attempt(
            session,
            delivery,
            hook,
            now=now,
            status=outcome.status,
            error=outcome.error,
            answer=outcome.answer,
            took_ms=outcome.took_ms,
            retry_after=outcome.retry_after,
            jitter=work.rng.uniform(0, JITTER),
        )
    log.info("delivery", id=delivery_id, status=outcome.status, took_ms=outcome.took_ms)
