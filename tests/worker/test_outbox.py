"""Who gets which event: to whom it is private, since when they asked, and what they filter for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from models.db import Database
from models.event import Event, announce, event_row
from models.keyring import Keyring
from models.user import disable_user
from models.webhook import Delivery, Webhook, add_webhook, remove_webhook
from tests.models.cast import count, member
from tests.support import COLLEAGUE, NOW, REP
from worker.outbox import drain


def _hook(session: Session, keyring: Keyring, email: str = REP, event: str = "*", **more: Any) -> int:
    made, _ = add_webhook(
        session,
        keyring,
        user_id=member(session, email).id or 0,
        target_url="https://hooks.example/x",
        event=event,
        now=more.pop("now", NOW),
        **more,
    )
    return made.id or 0


def _announce(session: Session, kind: str = "interaction.logged", once: str = "1", **more: Any) -> None:
    announce(session, event_row(kind, once, more.pop("payload", {}), now=NOW, **more))


def _sent_to(db: Database) -> list[int]:
    with db.read() as session:
        return list(session.exec(select(Delivery.webhook_id).order_by(col(Delivery.webhook_id))).all())


def test_each_event_goes_once_to_each_hook_that_asked(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        every, logged, _ = (_hook(session, keyring, event=kind) for kind in ("*", "interaction.logged", "deal.won"))
        _announce(session)
        _announce(session)
    assert [drain(any_db, NOW), drain(any_db, NOW)] == [1, 0]
    assert _sent_to(any_db) == [every, logged]


def test_what_is_private_goes_to_its_owners_hooks_alone(any_db: Database, keyring: Keyring) -> None:
    """Field note 9: held mail and its candidates are one person's."""
    with any_db.write() as session:
        mine = _hook(session, keyring)
        _hook(session, keyring, COLLEAGUE)
        _announce(session, "interaction.held", user_id=member(session).id)
    drain(any_db, NOW)
    assert _sent_to(any_db) == [mine]


def test_nobody_gets_what_happened_before_they_asked_or_after_they_left(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        _hook(session, keyring, now=NOW + timedelta(seconds=1))
        _hook(session, keyring, COLLEAGUE)
        member(session, "ann@acme.example", "admin")
        disable_user(session, member(session, COLLEAGUE), now=NOW)
        _announce(session)
    drain(db, NOW)
    assert _sent_to(db) == []


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ({"deal.stage": "Won"}, True),
        ({"deal.stage": ["Lost", "Won"]}, True),
        ({"deal.stage": "Lost"}, False),
        ({"deal.stage": "Won", "source": "api"}, False),
        ({"deal.stage.deeper": "Won"}, False),
        ({"missing": "Won"}, False),
        ({}, True),
    ],
)
def test_a_filter_lets_through_what_it_names(db: Database, keyring: Keyring, wanted: dict, sent: bool) -> None:
    with db.write() as session:
        _hook(session, keyring, filter=wanted)
        _announce(session, payload={"deal": {"stage": "Won"}, "source": "person"})
    drain(db, NOW)
    assert bool(_sent_to(db)) == sent


def test_a_subscription_that_ended_gets_nothing(db: Database, keyring: Keyring) -> None:
    with db.write() as session:
        remove_webhook(session, session.get_one(Webhook, _hook(session, keyring)), now=NOW)
        _announce(session)
    drain(db, NOW)
    assert _sent_to(db) == []


def test_two_workers_that_drain_at_once_plan_each_delivery_once(any_db: Database, keyring: Keyring) -> None:
    """Field note 21: at least once, in order, no double."""
    with any_db.write() as session:
        _hook(session, keyring)
        for number in range(50):
            _announce(session, once=str(number))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: drain(any_db, NOW), range(4)))
    while drain(any_db, NOW):
        pass
    with any_db.read() as session:
        places = session.exec(select(Event.position).order_by(col(Event.position))).all()
        assert len(set(places)) == len(places) == 50 and None not in places
        assert count(session, Delivery) == 50
