"""Doorbells: opened, renewed and stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

import house as building
import sandbox
from enrol import enrol
from models.account import Account, Source, disconnect_account
from models.channel import Channel
from models.doorbell import claim_due_channels, hear_channel
from settings import SettingsError
from tests.sandbox.receiver import Receiver
from tests.support import BUYER, REP, mail, poll, settle
from tests.worker import scene
from tests.worker.ringing import SUB, TOPIC, Rung
from worker import push

OTHER = "projects/p/topics/other"
Make = Callable[..., building.House]


# ---- opening


def test_a_mailbox_is_watched_once_it_was_read(rung: Rung) -> None:
    rung.connect()
    assert rung.channels() == [] and rung.watched() is None
    settle(rung.work)
    assert rung.tend() == 1
    (row,) = rung.channels()
    assert rung.watched().topic == TOPIC
    assert row.expires_at is not None and row.renew_at is not None
    assert timedelta(days=6.9) < row.expires_at - rung.work.now() <= timedelta(days=7)
    assert timedelta(hours=17) < row.renew_at - rung.work.now() <= timedelta(days=1)
    assert (row.error, row.lease_owner, row.sealed_grant) == ("", "", b"")
    assert rung.channels("calendar") == [], "calendars ring only where BASE_URL is https"
    settle(rung.work)
    assert rung.tend() == 0 and len(rung.channels()) == 1


def test_without_a_topic_nothing_is_asked_for(make_house: Make, world: sandbox.World) -> None:
    house = make_house()
    work, _ = scene.opened(house, world)
    settle(work)
    with house.db.read() as session:
        assert session.exec(select(Channel)).all() == []
    assert work.push.inbox is None
    assert {seen.operation for seen in world.stats.record} & {"gmail.watch", "calendar.events.watch"} == set()


def test_wrong_settings_are_refused_at_start(make_house: Make) -> None:
    wrong: list[dict[str, Any]] = [
        {"google_pubsub_topic": "my-topic"},
        {"google_pubsub_topic": TOPIC},
        {"google_pubsub_topic": TOPIC, "google_pubsub_subscription": SUB},
        {"google_pubsub_root": "https://pubsub.elsewhere.example"},
        {"google_calendar_push": "on", "base_url": "http://dealtrail.acme.example"},
    ]
    for settings in wrong:
        with pytest.raises(SettingsError):
            make_house(**settings)


def elsewhere(world: sandbox.World) -> None:
    """Another installation of the same project watches Rae's mailbox."""
    world.pubsub.topic(OTHER)
    world.watches.stop(world.mailbox(REP), "test-client")
    world.watches.watch(world.mailbox(REP), "test-client", {"topicName": OTHER})


def test_a_watch_that_somebody_left_behind_is_replaced_once(rung: Rung, world: sandbox.World) -> None:
    rung.connect()
    elsewhere(world)
    settle(rung.work)
    assert rung.tend() == 1
    assert (rung.watched().topic, rung.channels()[0].error) == (TOPIC, "")


def test_another_installation_that_takes_the_watch_is_told_and_not_fought(rung: Rung, world: sandbox.World) -> None:
    account = rung.opened()
    elsewhere(world)
    rung.after(days=1)
    rung.turn()
    assert rung.tend() == 1
    (row,) = rung.channels()
    assert (row.error, row.failures) == ("watch_conflict", 1)
    assert "Another installation" in row.error_sentence
    assert rung.watched().topic == OTHER, "or the two would take it from each other for ever"
    with rung.work.db.read() as session:
        assert session.get_one(Account, account.id).refused == ""
    rung.after(minutes=2)
    settle(rung.work)
    assert rung.until_next() <= 75
    assert rung.tend() == 0
    world.watches.stop(world.mailbox(REP), "test-client")
    rung.after(hours=8)
    assert rung.tend() == 1
    assert (rung.channels()[0].error, rung.watched().topic) == ("", TOPIC)


@pytest.mark.parametrize(("fault", "code"), [("F31", "watch_conflict"), ("F32", "topic_not_granted")])
def test_a_watch_that_google_keeps_refusing_leaves_polling_as_it_was(
    rung: Rung, world: sandbox.World, fault: str, code: str
) -> None:
    scene.people(rung.house)
    world.faults.add(fault, times=None)
    rung.connect()
    settle(rung.work)
    rung.tend()
    (row,) = rung.channels()
    assert (row.error, row.opened_at) == (code, None)
    world.mailbox(REP).deliver(mail(BUYER, REP, "Prices", at=rung.work.now()))
    rung.after(seconds=80)
    settle(rung.work)
    with rung.work.db.read() as session:
        assert scene.subjects(session) == ["Prices"]


def test_a_new_topic_takes_the_place_of_our_own_old_one(rung: Rung, world: sandbox.World) -> None:
    rung.opened()
    world.pubsub.topic(OTHER)
    rung.work.push = dataclasses.replace(rung.work.push, places={("google", "mail"): OTHER})
    settle(rung.work)
    assert rung.tend() == 1
    assert rung.watched().topic == OTHER
    (row,) = rung.channels()
    assert (row.address, row.error) == (OTHER, "")
    settle(rung.work)
    assert rung.tend() == 0


# ---- renewing


def test_a_watch_is_renewed_daily_and_never_runs_out(rung: Rung, world: sandbox.World) -> None:
    rung.opened()
    asked = [seen for seen in world.stats.record if seen.operation == "gmail.watch"]
    for _ in range(40):
        rung.after(hours=6)
        rung.tend()
        assert rung.watched() is not None
        assert rung.watched().expires - world.clock.now() > 5 * 86_400
    renewed = [seen for seen in world.stats.record if seen.operation == "gmail.watch" and seen.status == 200]
    assert 9 <= len(renewed) - len(asked) <= 14
    assert len(rung.channels()) == 1


def test_a_renewal_that_fails_is_tried_again_long_before_the_end(rung: Rung, world: sandbox.World) -> None:
    rung.opened()
    rung.after(days=1)
    world.pubsub.topic(TOPIC, granted=False)
    rung.tend()
    (row,) = rung.channels()
    assert row.error == "topic_not_granted"
    assert rung.until_next() <= 75, "what was put off for long is looked at soon"
    world.pubsub.topic(TOPIC, granted=True)
    rung.after(hours=8)
    rung.tend()
    assert rung.channels()[0].error == ""
    assert rung.watched().expires - world.clock.now() > 6.9 * 86_400


def test_two_workers_never_renew_the_same_doorbell(rung: Rung) -> None:
    rung.connect()
    settle(rung.work)
    with rung.work.db.write() as session:
        first = claim_due_channels(session, now=rung.work.now(), seconds=300, limit=50)
        second = claim_due_channels(session, now=rung.work.now(), seconds=300, limit=50)
    assert (len(first), second) == (1, [])
    push.tend(rung.work, first[0][0], "somebody else")
    assert rung.watched() is None
    rung.after(seconds=301)
    assert rung.tend() == 1


def test_a_calendars_next_channel_is_open_before_the_last_one_ends(belled: Rung, world: sandbox.World) -> None:
    belled.connect()
    settle(belled.work)
    assert belled.tend() == 1
    seen = set()
    for _ in range(28):
        belled.after(hours=12)
        belled.tend()
        alive = [one for one in world.channels.open.values() if one.expires > world.clock.now()]
        assert 1 <= len(alive) <= 2
        seen |= {one.id for one in alive}
        belled.after(seconds=61)
        belled.tend()
        assert len([one for one in world.channels.open.values() if one.expires > world.clock.now()]) == 1
        assert len(belled.channels("calendar")) == 1
    assert 2 <= len(seen) <= 5
    (row,) = belled.channels("calendar")
    assert row.resource_id and row.channel_id in world.channels.open
    tokens = {one.token for one in world.channels.open.values()}
    assert not any(scene.places_of(belled.work.db, token) for token in tokens), "only a hash of the secret is kept"


def test_a_calendar_rings_with_its_own_secret_and_rests_slower(
    belled: Rung, world: sandbox.World, receiver: Receiver
) -> None:
    belled.connect()
    settle(belled.work)
    belled.tend()
    world.courier.settle()
    (row,) = belled.channels("calendar")
    headers, _ = receiver.got[0]
    assert headers["x-goog-channel-id"] == row.channel_id
    assert hear_channel(belled.work.db, row, now=belled.work.now(), wake=False) == 1
    belled.after(minutes=21)
    settle(belled.work)
    assert 1_350 <= belled.until_next("calendar") <= 2_250
    assert belled.until_next("mail") <= 75


def test_a_channel_that_google_refuses_leaves_nothing_behind(belled: Rung, world: sandbox.World) -> None:
    world.knobs.https_push_only = True
    belled.connect()
    settle(belled.work)
    belled.tend()
    (row,) = belled.channels("calendar")
    assert (row.error, row.channel_id) == ("push_not_https", None)
    assert belled.until_next("calendar") <= 375


# ---- stopping


def test_a_disconnected_mailbox_is_not_watched_any_more_and_its_grant_is_forgotten(
    rung: Rung, world: sandbox.World
) -> None:
    account = rung.opened()
    with rung.work.db.write() as session:
        disconnect_account(session, session.get_one(Account, account.id), now=rung.work.now())
    (row,) = rung.channels()
    assert row.stop_at is not None and row.sealed_grant
    assert rung.tend() == 1
    assert rung.watched() is None
    assert rung.channels() == []
    assert settle(rung.work) == 0


def test_a_mailbox_read_by_a_service_account_is_stopped_too(
    rung: Rung, world: sandbox.World, server: sandbox.Server, tmp_path: Path
) -> None:
    """Its key goes with the account; the access token that it gave last still serves."""
    world.mailbox(REP)
    key = tmp_path / "team.json"
    key.write_text(json.dumps(world.service_account("acme.example").info(f"{server.google_oauth_root}/token")))
    enrol("google", key, addresses=[REP], house=rung.house)
    settle(rung.work)
    rung.tend()
    assert rung.watched() is not None
    with rung.work.db.write() as session:
        disconnect_account(session, session.exec(select(Account)).one(), now=rung.work.now())
    rung.tend()
    assert rung.watched() is None and rung.channels() == []


def test_a_watch_that_cannot_be_stopped_is_told_and_keeps_no_grant(rung: Rung, world: sandbox.World) -> None:
    account = rung.opened()
    world.grants.kill(REP)
    world.grants.forget_access()
    with rung.work.db.write() as session:
        disconnect_account(session, session.get_one(Account, account.id), now=rung.work.now())
    rung.tend()
    (row,) = rung.channels()
    assert (row.error, row.sealed_grant) == ("invalid_grant", b"")
    assert rung.tend() == 0
    rung.after(days=8)
    rung.tend()
    assert rung.channels() == []


def test_a_mailbox_that_is_connected_again_at_once_stays_watched(rung: Rung, world: sandbox.World) -> None:
    account = rung.opened()
    with rung.work.db.write() as session:
        disconnect_account(session, session.get_one(Account, account.id), now=rung.work.now())
    rung.connect()
    settle(rung.work)
    assert rung.tend() == 2
    assert rung.watched() is not None
    (row,) = rung.channels()
    assert row.sealed_grant == b"" and row.stop_at is None


def test_a_calendar_that_is_not_read_any_more_falls_silent(belled: Rung, world: sandbox.World) -> None:
    belled.connect()
    settle(belled.work)
    belled.tend()
    with belled.work.db.write() as session:
        source = session.get_one(Source, belled.source("calendar").id)
        source.selected = False
        session.add(source)
    poll(belled.work)
    belled.tend()
    assert world.channels.open == {}
    assert belled.channels("calendar") == []


def test_push_that_is_switched_off_is_stopped(rung: Rung) -> None:
    rung.opened()
    rung.work.push = type(rung.work.push)()
    poll(rung.work)
    rung.tend()
    assert rung.watched() is None and rung.channels() == []
