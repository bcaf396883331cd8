"""Subscriptions, what is to be delivered to them, in which order and when again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from models.db import Database
from models.errors import Conflict, Invalid, NotFound
from models.event import announce, event_row, place_events
from models.keyring import Keyring
from models.webhook import (
    RETRY_AFTER,
    Attempt,
    Delivery,
    Webhook,
    active_webhooks,
    add_webhook,
    claim_due_deliveries,
    plan_deliveries,
    record_attempt,
    redeliver,
    remove_webhook,
    resume_webhook,
)
from tests.models.cast import member, sale
from tests.support import NOW

URL = "https://hooks.zapier.example/1"


def _hook(session: Session, keyring: Keyring, event: str = "*", **more: Any) -> Webhook:
    return add_webhook(session, keyring, user_id=member(session).id or 0, target_url=URL, event=event, now=NOW, **more)[
        0
    ]


def _plan(session: Session, hook: Webhook, *deals: int | None) -> list[Delivery]:
    """One event a deal, placed and planned; the deliveries in order."""
    for number, deal_id in enumerate(deals):
        once = f"{number}:{deal_id}:{len(session.exec(select(Delivery.id)).all())}"
        announce(session, event_row("deal.stage_changed", once, {"n": number}, now=NOW, deal_id=deal_id))
    events = [event for event in place_events(session) if event.kind == "deal.stage_changed"]
    plan_deliveries(session, [(hook, event) for event in events], now=NOW)
    ids = {event.id for event in events}
    return [row for row in session.exec(select(Delivery).order_by(Delivery.position)) if row.event_id in ids]


def _claim(session: Session, at: timedelta = timedelta(0)) -> list[int]:
    return [key for key, _ in claim_due_deliveries(session, now=NOW + at, seconds=60, limit=100)]


def _answer(session: Session, row: Delivery, status: int, **more: Any) -> None:
    hook = session.get_one(Webhook, row.webhook_id)
    given: dict[str, Any] = {"error": "", "answer": "", "took_ms": 5, "retry_after": None, "jitter": 0.0, "now": NOW}
    record_attempt(session, row, hook, status=status, **(given | more))
    session.flush()


def test_a_subscription_keeps_its_secret_sealed(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        hook, secret = add_webhook(
            session, keyring, user_id=member(session).id or 0, target_url=URL, event="deal.won", now=NOW
        )
        assert secret.startswith("whsec_") and secret.encode() not in hook.sealed_secret
        assert keyring.open(hook.sealed_secret).decode() == secret
        assert active_webhooks(session) == [hook]


@pytest.mark.parametrize(
    ("url", "event"),
    [(URL, "deal.exploded"), ("ftp://x.example", "*"), ("hooks.example", "*"), (URL + "x" * 2000, "*")],
)
def test_a_subscription_that_cannot_be_is_refused(db: Database, keyring: Keyring, url: str, event: str) -> None:
    with db.write() as session, pytest.raises(Invalid):
        add_webhook(session, keyring, user_id=member(session).id or 0, target_url=url, event=event, now=NOW)


def test_an_event_is_planned_once_for_each_webhook(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        hook, deal = _hook(session, keyring), sale(session)
        (row,) = _plan(session, hook, deal.id)
        from models.event import Event

        plan_deliveries(session, [(hook, session.get_one(Event, row.event_id))], now=NOW)
        assert len(session.exec(select(Delivery.id)).all()) == 1


def test_of_one_deal_only_the_earliest_pending_delivery_goes(any_db: Database, keyring: Keyring) -> None:
    """Field note 21: order per deal."""
    with any_db.write() as session:
        hook = _hook(session, keyring)
        one, two = sale(session), sale(session, "Other")
        first, second, other, loose, loose_too = _plan(session, hook, one.id, one.id, two.id, None, None)
        assert _claim(session) == [first.id, other.id, loose.id, loose_too.id]
        assert _claim(session) == []
        _answer(session, first, 500)
        assert _claim(session) == []
        _answer(session, first, 200, now=NOW + timedelta(seconds=9))
        assert _claim(session) == [second.id]


def test_one_webhook_that_fails_does_not_hold_up_another(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        deal = sale(session)
        slow, quick = _hook(session, keyring), _hook(session, keyring)
        _plan(session, slow, deal.id)
        rows = _plan(session, quick, deal.id)
        _claim(session)
        blocked = session.exec(select(Delivery).where(Delivery.webhook_id == slow.id)).one()
        _answer(session, blocked, 500)
        _answer(session, rows[0], 200)
        assert [row.id for row in _plan(session, quick, deal.id)] == _claim(session)


def test_a_lease_that_ran_out_is_claimed_again(any_db: Database, keyring: Keyring) -> None:
    """Field note 12: the owner of a lease was killed."""
    with any_db.write() as session:
        (row,) = _plan(session, _hook(session, keyring), None)
        assert _claim(session) == [row.id]
        assert _claim(session, timedelta(seconds=59)) == []
        assert _claim(session, timedelta(seconds=60)) == [row.id]


def test_ten_attempts_are_columns_over_three_days_and_then_it_has_failed(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        (row,) = _plan(session, _hook(session, keyring), None)
        now = NOW
        for wait in RETRY_AFTER:
            _answer(session, row, 503, now=now, jitter=0.0)
            assert row.state == "pending" and row.next_attempt_at == now + timedelta(seconds=wait)
            now = row.next_attempt_at
        _answer(session, row, 503, now=now)
        assert (row.state, row.next_attempt_at, row.attempts) == ("failed", None, 10)
        assert timedelta(days=1.5) < now - NOW < timedelta(days=4)
        assert len(session.exec(select(Attempt.id)).all()) == 10


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [(None, 5 * 1.2), (1.0, 5 * 1.2), (90.0, 90.0), (1_000_000.0, 86_400.0)]
)
def test_the_receiver_may_ask_for_a_longer_wait_but_not_for_ever(
    db: Database, keyring: Keyring, retry_after: float | None, seconds: float
) -> None:
    with db.write() as session:
        (row,) = _plan(session, _hook(session, keyring), None)
        _answer(session, row, 429, retry_after=retry_after, jitter=0.2)
        assert row.next_attempt_at == NOW + timedelta(seconds=seconds)


def test_gone_ends_the_subscription_and_drops_what_was_pending(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        hook = _hook(session, keyring)
        first, second = _plan(session, hook, None, None)
        _claim(session)
        _answer(session, first, 410, answer="x" * 5000)
        session.refresh(second)
        assert (first.state, second.state) == ("failed", "dropped")
        assert hook.deleted_at == NOW and active_webhooks(session) == []
        assert _claim(session, timedelta(days=1)) == []
        assert len(session.exec(select(Attempt.answer)).one()) == 2000
        with pytest.raises(Conflict, match="ended"):
            redeliver(session, first.id or 0, now=NOW)


def test_five_failing_days_pause_a_webhook_and_resuming_goes_on(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        hook = _hook(session, keyring)
        first, second = _plan(session, hook, None, None)
        _answer(session, first, 0, error="nobody answers")
        assert (hook.failing_since, hook.paused_at) == (NOW, None)
        _answer(session, second, 500, now=NOW + timedelta(days=5))
        assert hook.paused_at == NOW + timedelta(days=5) and "five days" in hook.paused_reason
        assert _claim(session, timedelta(days=6)) == []
        resume_webhook(session, hook)
        session.flush()
        assert (hook.failing_since, hook.paused_reason) == (None, "")
        assert set(_claim(session, timedelta(days=6))) == {first.id, second.id}


def test_one_success_forgets_the_failing_days(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        hook = _hook(session, keyring)
        first, second, third = _plan(session, hook, None, None, None)
        _answer(session, first, 500)
        _answer(session, second, 204, now=NOW + timedelta(days=4))
        assert second.delivered_at == NOW + timedelta(days=4)
        _answer(session, third, 500, now=NOW + timedelta(days=6))
        assert hook.paused_at is None


def test_a_redelivery_is_due_at_once_with_all_its_attempts(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        (row,) = _plan(session, _hook(session, keyring), None)
        event_id = row.event_id
        _answer(session, row, 200)
        assert _claim(session) == []
        again = redeliver(session, row.id or 0, now=NOW)
        session.flush()
        assert (again.id, again.event_id, again.attempts, again.state) == (row.id, event_id, 0, "pending")
        assert _claim(session) == [row.id]
        with pytest.raises(NotFound):
            redeliver(session, 999, now=NOW)


def test_unsubscribing_drops_what_is_pending_and_keeps_what_happened(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        hook = _hook(session, keyring)
        done, pending = _plan(session, hook, None, None)
        _answer(session, done, 200)
        remove_webhook(session, hook, now=NOW)
        session.flush()
        session.refresh(done)
        session.refresh(pending)
        assert (done.state, pending.state) == ("delivered", "dropped")
        assert _claim(session) == []
