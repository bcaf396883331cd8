"""How long a mailbox may rest while its doorbell is relied on, and what is told of it."""

from __future__ import annotations

from datetime import timedelta

import doctor
import sandbox
from models.channel import Channel
from tests.support import BUYER, NOW, REP, mail, settle
from tests.worker.ringing import TOPIC, Rung
from worker import pacing

# ---- the pace


def test_the_pace_slows_while_the_doorbell_is_relied_on_and_not_just_after_it_rang(rung: Rung) -> None:
    rung.connect()
    settle(rung.work)
    assert rung.until_next() <= 75
    rung.tend()
    rung.after(seconds=76)
    settle(rung.work)
    assert rung.until_next() <= 75, "it was not heard yet"
    rung.turn()
    rung.after(seconds=76)
    settle(rung.work)
    assert rung.until_next() <= 75, "it rang just now"
    rung.after(seconds=121)
    settle(rung.work)
    assert 675 <= rung.until_next() <= 1_125


def test_a_doorbell_that_misses_mail_is_not_relied_on_until_it_rings_again(rung: Rung, world: sandbox.World) -> None:
    rung.opened()
    world.knobs.push_drops = 1.0
    world.mailbox(REP).deliver(mail(BUYER, REP, "Unannounced", at=rung.work.now()))
    rung.after(minutes=19)
    rung.turn()
    settle(rung.work)
    assert rung.channels()[0].missed_at is not None
    assert rung.until_next() <= 75
    world.knobs.push_drops = 0.0
    world.mailbox(REP).deliver(mail(BUYER, REP, "Announced", at=rung.work.now()))
    rung.turn()
    for _ in range(3):
        rung.after(minutes=2)
        rung.turn()
        settle(rung.work)
    assert rung.until_next() > 300


def test_an_expired_watch_brings_the_usual_pace_back(rung: Rung) -> None:
    rung.opened()
    assert rung.until_next() > 600
    rung.after(days=8)
    rung.turn()
    settle(rung.work)
    assert rung.until_next() <= 75


def test_the_last_slow_look_is_no_later_than_the_watchs_end() -> None:
    bell = Channel(
        kind="mail", created_at=NOW, opened_at=NOW, last_message_at=NOW, expires_at=NOW + timedelta(minutes=20)
    )
    look = {"usual": 60.0, "slow": 900.0}
    assert pacing.between_looks([bell], now=NOW + timedelta(minutes=3), **look) == 900
    assert pacing.between_looks([bell], now=NOW + timedelta(minutes=15), **look) == 300
    assert pacing.between_looks([bell], now=NOW + timedelta(minutes=19.5), **look) == 60
    assert pacing.between_looks([bell], now=NOW + timedelta(minutes=20), **look) == 60


def test_a_renewed_doorbell_that_stays_silent_is_not_relied_on_for_long() -> None:
    later = NOW + timedelta(days=1)
    bell = Channel(
        kind="mail", created_at=NOW, opened_at=later, last_message_at=NOW, expires_at=later + timedelta(days=7)
    )
    assert pacing.relied_on(bell, later + timedelta(minutes=9))
    assert not pacing.relied_on(bell, later + timedelta(minutes=11))
    bell.last_message_at = later
    assert pacing.relied_on(bell, later + timedelta(days=6))
    bell.error = "watch_conflict"
    assert not pacing.relied_on(bell, later)


# ---- what is shown


def test_the_doctor_says_how_many_ring_and_what_is_wrong(rung: Rung, world: sandbox.World) -> None:
    rung.opened()
    with rung.work.db.read() as session:
        assert doctor.doorbells(session) == [(True, "1 of 1 mailboxes and calendars tell of changes themselves")]
    rung.after(days=1)
    world.pubsub.topic(TOPIC, granted=False)
    rung.tend()
    with rung.work.db.read() as session:
        (_, counted), (ok, sentence) = doctor.doorbells(session)
    assert counted.startswith("0 of 1")
    assert not ok and "Pub/Sub Publisher" in sentence
