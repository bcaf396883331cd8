"""One delivery from its row to a real receiver: what it says, and when it may no longer be said."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from models.db import Database
from models.deal import Deal, deal_payload
from models.event import Event, announce, event_row
from models.interaction import Interaction
from models.keyring import Keyring
from models.linking import interaction_payload
from models.webhook import Attempt, Delivery, Webhook, add_webhook, claim_due_deliveries, remove_webhook
from tests.journeys.conftest import Receiver, receiver
from tests.models.cast import letter, mailbox, member, sale
from tests.support import COLLEAGUE, NOW, REP
from worker import deliver
from worker.context import Pace, Work
from worker.outbox import drain

__all__ = ["receiver"]


class Post:
    """A colleague's webhook, one logged mail of the rep's, and the worker that sends."""

    def __init__(self, db: Database, keyring: Keyring, url: str) -> None:
        self.db, self.now = db, NOW
        self.work = Work(db, keyring, {}, Pace(webhook_allow_private=True), now=lambda: self.now, rng=random.Random(7))
        with db.write() as session:
            owner = member(session, COLLEAGUE).id or 0
            self.hook, self.secret = add_webhook(session, keyring, user_id=owner, target_url=url, event="*", now=NOW)
            self.hook_id = self.hook.id or 0
            self.account, source = mailbox(session, REP)
            deal = sale(session)
            row = letter(session, account=self.account, source=source, on=deal, subject="Secret price", snippet="42")
            self.mail = row.id or 0
            payload = interaction_payload(session, row, [])
            announce(session, event_row("interaction.logged", "1", payload, now=NOW, deal_id=deal.id))
        drain(db, NOW)

    def send(self) -> int:
        """Everything that is due; how many."""
        with self.db.write() as session:
            due = claim_due_deliveries(session, now=self.now, seconds=60, limit=50)
        for delivery_id, owner in due:
            deliver.run(self.work, delivery_id, owner)
        return len(due)

    def next_due(self) -> datetime | None:
        with self.db.read() as session:
            times = session.exec(select(Delivery.next_attempt_at).where(Delivery.state == "pending")).all()
        return min((at for at in times if at is not None and at > self.now), default=None)

    def states(self) -> list[str]:
        with self.db.read() as session:
            return [row.state for row in session.exec(select(Delivery).where(Delivery.webhook_id == self.hook_id))]


def _logged(receiver: Receiver) -> list[dict[str, object]]:
    return [body["data"] for body in receiver.bodies() if body["type"] == "interaction.logged"]


def _until_done(post: Post) -> None:
    for _ in range(20):
        if not post.send():
            return


def test_what_arrives_is_signed_and_whole(any_db: Database, keyring: Keyring, receiver: Receiver) -> None:
    post = Post(any_db, keyring, receiver.url)
    _until_done(post)
    assert set(post.states()) == {"delivered"}
    headers, body = receiver.got[0]
    assert Verifier(post.secret).verify(body, _just_now(headers, post.secret, body))
    with pytest.raises(WebhookVerificationError):
        Verifier(post.secret).verify(body.replace(b"}", b" }"), _just_now(headers, post.secret, body))
    assert _logged(receiver)[0]["subject"] == "Secret price"


def _just_now(headers: dict[str, str], secret: str, body: bytes) -> dict[str, str]:
    """The receiver's clock is the real one, the sender's is the test's: what was signed is checked first, by hand."""
    then = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert headers["webhook-signature"] == Verifier(secret).sign(headers["webhook-id"], then, body.decode())
    now = datetime.now(UTC)
    return headers | {
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Verifier(secret).sign(headers["webhook-id"], now, body.decode()),
    }


def test_what_became_private_meanwhile_leaves_without_its_words(
    any_db: Database, keyring: Keyring, receiver: Receiver
) -> None:
    """Field note 9: the level is asked for again at the moment of sending."""
    post = Post(any_db, keyring, receiver.url)
    with any_db.write() as session:
        session.get_one(Interaction, post.mail).visibility = "metadata"
    _until_done(post)
    assert [(row["subject"], row["snippet"]) for row in _logged(receiver)] == [(None, None)]
    assert b"Secret price" not in b"".join(body for _, body in receiver.got)


def test_what_its_owner_may_not_see_at_all_is_dropped_with_the_reason(
    any_db: Database, keyring: Keyring, receiver: Receiver
) -> None:
    post = Post(any_db, keyring, receiver.url)
    with any_db.write() as session:
        session.get_one(Interaction, post.mail).held = True
    _until_done(post)
    assert _logged(receiver) == [] and sorted(set(post.states())) == ["delivered", "dropped"]
    with any_db.read() as session:
        assert "private" in session.exec(select(Attempt.error).where(Attempt.error != "")).one()


def test_a_receiver_that_fails_is_asked_again_under_the_same_id_ten_times(
    db: Database, keyring: Keyring, receiver: Receiver
) -> None:
    """Field note 21."""
    receiver.status = 500
    post = Post(db, keyring, receiver.url)
    started, deliveries = post.now, len(post.states())
    for _ in range(12 * deliveries):
        post.send()
        post.now = post.next_due() or post.now
    assert set(post.states()) == {"failed"} and deliveries == len(set(receiver.ids()))
    assert Counter(receiver.ids()).most_common()[-1][1] == 10
    assert timedelta(days=2) < post.now - started < timedelta(days=5)


def test_gone_ends_the_subscription(db: Database, keyring: Keyring, receiver: Receiver) -> None:
    receiver.status = 410
    post = Post(db, keyring, receiver.url)
    _until_done(post)
    with db.read() as session:
        assert session.get_one(Webhook, post.hook_id).deleted_at is not None
    assert len(receiver.got) == 1 and "pending" not in post.states()


def test_after_the_end_of_a_subscription_nothing_leaves(db: Database, keyring: Keyring, receiver: Receiver) -> None:
    post = Post(db, keyring, receiver.url)
    with db.write() as session:
        due = claim_due_deliveries(session, now=NOW, seconds=60, limit=50)
        remove_webhook(session, session.get_one(Webhook, post.hook_id), now=NOW)
    for delivery_id, owner in due:
        deliver.run(post.work, delivery_id, owner)
    assert receiver.got == []


def test_a_lease_that_was_lost_sends_nothing(db: Database, keyring: Keyring, receiver: Receiver) -> None:
    post = Post(db, keyring, receiver.url)
    with db.write() as session:
        ((delivery_id, _), *_) = claim_due_deliveries(session, now=NOW, seconds=60, limit=50)
    deliver.run(post.work, delivery_id, "somebody else")
    assert receiver.got == []


def test_a_body_is_json_that_names_its_event(db: Database, keyring: Keyring, receiver: Receiver) -> None:
    post = Post(db, keyring, receiver.url)
    _until_done(post)
    for headers, body in receiver.got:
        told = json.loads(body)
        assert told["id"] == headers["webhook-id"] and {"type", "timestamp", "data"} <= told.keys()
        assert len(body) < 20_000


def test_the_events_of_one_deal_leave_in_order_in_one_go(db: Database, keyring: Keyring, receiver: Receiver) -> None:
    """Field note 21: order per deal, without a tick of the clock between two of them."""
    post = Post(db, keyring, receiver.url)
    with db.write() as session:
        deal = session.exec(select(Deal)).one()
        payload = deal_payload(session, deal)
        announce(session, *(event_row("deal.cooling", str(n), payload, now=NOW, deal_id=deal.id) for n in range(30)))
    drain(db, NOW)
    assert post.send() <= 2
    assert set(post.states()) == {"delivered"} and len(receiver.got) == 32
    with db.read() as session:
        order = session.exec(select(Event.uid).where(Event.deal_id == deal.id).order_by(col(Event.position))).all()
    assert [key for key in receiver.ids() if key in order] == list(order)
