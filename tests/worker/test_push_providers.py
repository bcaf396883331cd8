"""What holds of every provider's doorbells: each test runs with Google's and with Microsoft's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import doctor
import house as building
import sandbox
from models.account import Account, disconnect_account
from models.doorbell import Ring, claim_due_channels, hear_channels
from tests.sandbox.test_ms_push import Door
from tests.support import BUYER, REP, mail, poll, settle
from tests.worker import scene
from tests.worker.ringing import TOPIC, OutlookRung, Rung
from worker import push

Make = Callable[..., building.House]


@pytest.fixture
def door() -> Iterator[Door]:
    """Answers handshakes."""
    made = Door()
    yield made
    made.close()


@pytest.fixture
def outlook(make_house: Make, world: sandbox.World, server: sandbox.Server, door: Door) -> OutlookRung:
    return OutlookRung(make_house, world, server, f"{door.url}/push/microsoft")


@pytest.fixture(params=["google", "microsoft"])
def rung(request: pytest.FixtureRequest, make_house: Make, world: sandbox.World, tmp_path: Path) -> Iterator[Rung]:
    if request.param == "microsoft":
        yield request.getfixturevalue("outlook")
        return
    made = Rung(make_house, world, tmp_path)
    yield made
    assert made.reader is not None
    made.reader.close()


def arrive(rung: Rung, subject: str) -> None:
    """A mail of Bea's, wherever Rae's mailbox is."""
    raw = mail(BUYER, REP, subject, at=rung.work.now())
    world = rung.world
    if isinstance(rung, OutlookRung):
        world.outlook(REP).deliver(raw)
    else:
        world.mailbox(REP).deliver(raw)


def end_unheard(rung: Rung) -> None:
    """The provider's side of the doorbell goes, and nobody is told."""
    if isinstance(rung, OutlookRung):
        rung.world.faults.add("F58X", account=REP)
    else:
        rung.world.watches.stop(rung.world.mailbox(REP), "test-client")


def test_a_mailbox_is_watched_once_it_was_read(rung: Rung) -> None:
    rung.connect()
    assert rung.channels() == [] and rung.watched() is None
    settle(rung.work)
    rung.tend()
    (row,) = rung.channels()
    assert rung.watched() is not None
    assert row.expires_at is not None and row.renew_at is not None
    assert timedelta(days=6.9) < row.expires_at - rung.work.now() <= timedelta(days=7)
    assert timedelta(hours=17) < row.renew_at - rung.work.now() <= timedelta(days=1)
    assert (row.error, row.lease_owner, row.sealed_grant) == ("", "", b"")
    settle(rung.work)
    assert rung.tend() == 0 and len(rung.channels()) == 1


def test_it_is_renewed_daily_and_never_runs_out(rung: Rung) -> None:
    rung.opened()
    for _ in range(20):
        rung.after(hours=12)
        rung.tend()
        assert rung.watched() is not None
        assert rung.watched().expires - rung.world.clock.now() > 5 * 86_400
    assert [row.error for row in rung.channels()] == [""]


def test_one_that_ended_unheard_is_there_again_within_a_day(rung: Rung) -> None:
    rung.opened()
    end_unheard(rung)
    assert rung.watched() is None
    rung.after(days=1)
    rung.tend()
    assert rung.watched() is not None
    assert [row.error for row in rung.channels()] == [""]


def test_the_pace_is_slow_while_it_is_relied_on_and_usual_when_it_has_ended(rung: Rung) -> None:
    rung.opened()
    rung.after(minutes=10)
    rung.turn()
    poll(rung.work)
    assert rung.until_next() > 600
    rung.after(days=8)
    rung.turn()
    settle(rung.work)
    assert rung.until_next() <= 75


def test_one_that_missed_something_is_not_relied_on_and_asked_after(rung: Rung) -> None:
    rung.opened()
    rung.after(hours=2)
    rung.turn()
    settle(rung.work)
    end_unheard(rung)
    arrive(rung, "Unannounced")
    rung.after(minutes=20)
    rung.turn()
    settle(rung.work)
    (row,) = rung.channels()
    assert row.missed_at is not None
    assert rung.until_next() <= 75
    rung.tend()
    assert rung.watched() is not None, "it had ended unheard, and is there again before its day is over"


def test_a_renewal_that_fails_is_told_and_tried_again(rung: Rung, world: sandbox.World) -> None:
    rung.opened()
    rung.after(days=1)
    operation = "graph.subscriptions.*" if isinstance(rung, OutlookRung) else "gmail.watch"
    world.faults.add("F30", operation=operation, times=None)
    rung.tend()
    (row,) = rung.channels()
    assert row.error in ("network", "truncated") and row.failures == 1 and row.error_sentence
    assert rung.until_next() <= 75, "what was put off for long is looked at soon"
    world.faults.clear()
    rung.after(minutes=2)
    rung.tend()
    assert [(row.error, row.failures) for row in rung.channels()] == [("", 0)]


def test_two_workers_never_tend_the_same_doorbell(rung: Rung) -> None:
    rung.connect()
    settle(rung.work)
    with rung.work.db.write() as session:
        first = claim_due_channels(session, now=rung.work.now(), seconds=300, limit=50)
        second = claim_due_channels(session, now=rung.work.now(), seconds=300, limit=50)
    assert first and second == []
    for channel_id, _ in first:
        push.tend(rung.work, channel_id, "somebody else")
    assert rung.watched() is None
    rung.after(seconds=301)
    assert rung.tend() == len(first)


def test_a_new_address_takes_the_place_of_the_old_one(rung: Rung, world: sandbox.World, door: Door) -> None:
    rung.opened()
    if isinstance(rung, OutlookRung):
        elsewhere = f"{door.url}/other/push/microsoft"
        rung.work.push = dataclasses.replace(rung.work.push, places={("microsoft", "mail"): elsewhere})
    else:
        elsewhere = TOPIC.replace("topics/t", "topics/other")
        world.pubsub.topic(elsewhere)
        rung.work.push = dataclasses.replace(rung.work.push, places={("google", "mail"): elsewhere})
    push.plan(rung.work)
    rung.tend()
    (row,) = rung.channels()
    assert (row.address, row.error) == (elsewhere, "")
    watched = rung.watched()
    assert elsewhere in (getattr(watched, "topic", ""), getattr(watched, "url", ""))


def test_push_that_is_switched_off_is_stopped(rung: Rung) -> None:
    rung.opened()
    rung.work.push = type(rung.work.push)()
    poll(rung.work)
    rung.tend()
    assert rung.watched() is None and rung.channels() == []


def test_a_disconnected_mailbox_falls_silent_and_its_grant_is_forgotten(rung: Rung) -> None:
    account = rung.opened()
    with rung.work.db.write() as session:
        disconnect_account(session, session.get_one(Account, account.id), now=rung.work.now())
    assert all(row.stop_at is not None and row.sealed_grant for row in rung.channels())
    rung.tend()
    assert rung.watched() is None
    assert rung.channels() == [] and rung.channels("calendar") == []
    assert settle(rung.work) == 0


def test_a_mailbox_that_is_connected_again_at_once_stays_watched(rung: Rung) -> None:
    account = rung.opened()
    with rung.work.db.write() as session:
        disconnect_account(session, session.get_one(Account, account.id), now=rung.work.now())
    rung.connect()
    settle(rung.work)
    for _ in range(3):
        rung.tend()
        rung.after(minutes=2)
    assert rung.watched() is not None
    (row,) = rung.channels()
    assert (row.sealed_grant, row.stop_at, row.error) == (b"", None, "")


# ---- Microsoft alone


def test_a_calendar_rings_as_its_mailbox_does_with_a_secret_of_its_own(outlook: OutlookRung) -> None:
    outlook.opened()
    (mailbox,), (calendar,) = outlook.channels(), outlook.channels("calendar")
    assert mailbox.token_hash != calendar.token_hash
    state = next(one.state for one in outlook.world.microsoft.subscriptions.open.values() if one.kind == "event")
    now = outlook.work.now()
    assert hear_channels(outlook.work.db, [Ring(calendar.channel_id or "", state)], now=now) == 1
    assert hear_channels(outlook.work.db, [Ring(mailbox.channel_id or "", state)], now=now) == 0
    assert outlook.until_next("calendar") <= 3
    assert outlook.until_next("mail") > 600


def test_a_fresh_doorbell_is_answered_by_a_look(outlook: OutlookRung) -> None:
    """What happened while it was opened, or while there was none, rang nowhere."""
    scene.people(outlook.house)
    outlook.opened()
    end_unheard(outlook)
    arrive(outlook, "Between")
    outlook.after(days=1)
    outlook.tend()
    assert outlook.until_next() <= 2
    outlook.after(seconds=3)
    settle(outlook.work)
    with outlook.work.db.read() as session:
        assert scene.subjects(session) == ["Between"]


def test_what_cannot_be_reached_leaves_polling_as_it_was(outlook: OutlookRung, door: Door) -> None:
    door.mute = True
    outlook.connect()
    settle(outlook.work)
    outlook.tend()
    assert {row.error for row in (*outlook.channels(), *outlook.channels("calendar"))} == {"push_not_reached"}
    assert outlook.until_next() <= 75 and outlook.until_next("calendar") <= 375
    with outlook.work.db.read() as session:
        assert any("push/microsoft" in sentence for ok, sentence in doctor.doorbells(session) if not ok)
    door.mute = False
    outlook.after(hours=8)
    outlook.tend()
    assert outlook.watched() is not None
