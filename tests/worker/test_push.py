"""Doorbells: opened, heard, renewed, stopped, and never believed. With every ring lost, the end is the same as by polling."""

from __future__ import annotations

import dataclasses
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

import doctor
import house as building
import sandbox
import serving
from enrol import enrol
from models.account import Account, Source, claim_due_sources, disconnect_account
from models.channel import Channel
from models.doorbell import claim_due_channels, hear_channel, hear_mailboxes
from models.ledger import LedgerEntry
from models.reader import hold_reader, reader_of
from settings import SettingsError
from tests.sandbox.receiver import Receiver
from tests.support import BUYER, COLLEAGUE, NOW, REP, connect, mail, poll, settle
from tests.worker import scene
from tests.worker.ringing import SUB, TOPIC, Rung, key_file
from worker import pacing, push
from worker import reader as reading
from worker.reader import ELSEWHERE, IDLE, Reader
from worker.sync import sync_source

OTHER = "projects/p/topics/other"
Make = Callable[..., building.House]


@pytest.fixture
def rung(make_house: Make, world: sandbox.World, tmp_path: Path) -> Iterator[Rung]:
    made = Rung(make_house, world, tmp_path)
    yield made
    assert made.reader is not None
    made.reader.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def belled(make_house: Make, world: sandbox.World, tmp_path: Path, receiver: Receiver) -> Rung:
    """Rae's calendar, which rings at a receiver; no topic, so mailboxes are polled."""
    none = {"google_pubsub_topic": "", "google_pubsub_subscription": "", "google_pubsub_credentials_file": None}
    base = receiver.url.removesuffix("/push")
    return Rung(make_house, world, tmp_path, base_url=base, google_calendar_push="on", **none)


def ledger(house: building.House) -> Counter[str]:
    """What became of every item."""
    with house.db.read() as session:
        return Counter(f"{row.item_id} {row.outcome}" for row in session.exec(select(LedgerEntry)).all())


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


# ---- ringing


def test_a_ring_makes_the_mailbox_due_and_the_mail_is_logged(rung: Rung, world: sandbox.World) -> None:
    scene.people(rung.house)
    rung.opened()
    assert rung.until_next() > 600
    world.mailbox(REP).deliver(mail(BUYER, REP, "Prices", at=rung.work.now()))
    assert rung.turn() == IDLE
    assert 0 < rung.until_next() <= 2
    rung.after(seconds=5)
    assert settle(rung.work) == 1
    with rung.work.db.read() as session:
        assert scene.subjects(session) == ["Prices"]
    assert rung.turn() == IDLE
    assert settle(rung.work) == 0, "what was acknowledged does not come again"


def test_rings_are_gathered_and_written_once(rung: Rung, world: sandbox.World) -> None:
    rung.opened()
    now = rung.work.now()

    def ring(at: float) -> int:
        return hear_mailboxes(rung.work.db, "google", [REP.title()], now=now + timedelta(seconds=at))

    assert ring(0) == 2, "the source is due, and the doorbell was heard"
    assert [ring(step / 100) for step in range(1, 190)] == [0] * 189
    assert rung.source().next_sync_at == now + timedelta(seconds=2)
    assert rung.channels()[0].last_message_at == now
    assert ring(30) == 1, "heard again; the source is long due"


@pytest.mark.parametrize("rings", [1, 40])
def test_rings_during_a_run_make_one_more_run(rung: Rung, world: sandbox.World, rings: int) -> None:
    rung.opened()
    mine = rung.ask()
    with rung.work.db.write() as session:
        won = dict(claim_due_sources(session, now=rung.work.now(), seconds=120, limit=50))
    for _ in range(rings):
        world.pubsub.publish(TOPIC, {"emailAddress": REP.upper(), "historyId": "1"})
        rung.turn()
    for source_id, owner in won.items():
        sync_source(rung.work, source_id, owner)
    again = []
    for _ in range(5):
        with rung.work.db.write() as session:
            due = claim_due_sources(session, now=rung.work.now(), seconds=120, limit=50)
        again += [source_id for source_id, _ in due]
        for source_id, owner in due:
            sync_source(rung.work, source_id, owner)
    assert again == [mine]


def test_a_ring_that_comes_with_the_end_of_a_run_is_not_lost(rung: Rung, world: sandbox.World) -> None:
    """It falls between what the run read and its release, where a later moment would be overwritten."""
    rung.opened()
    rung.ask()
    with rung.work.db.write() as session:
        won = dict(claim_due_sources(session, now=rung.work.now(), seconds=120, limit=50))
    source = rung.source()
    real = pacing.wait

    def late(*given: Any) -> float:
        if given[1].id == source.id:
            world.pubsub.publish(TOPIC, {"emailAddress": REP, "historyId": "1"})
            rung.turn()
        return real(*given)

    pacing.wait = late
    try:
        sync_source(rung.work, source.id or 0, won[source.id or 0])
    finally:
        pacing.wait = real
    assert rung.until_next() <= 0


def test_rings_for_nobody_and_rings_that_say_nothing_are_taken_and_forgotten(rung: Rung, world: sandbox.World) -> None:
    rung.opened()
    before = rung.source()
    for junk in (b"junk", b"{}", b'{"emailAddress": "nobody@nowhere.example", "historyId": 5}'):
        world.pubsub.publish(TOPIC, junk)
    assert rung.turn() == IDLE
    assert rung.source() == before
    rung.after(minutes=30)
    assert rung.reader is not None and rung.reader._inbox.pull(10) == []


def test_what_could_not_be_written_is_not_acknowledged(
    rung: Rung, world: sandbox.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung.opened()

    def broken(*_: Any, **__: Any) -> int:
        raise RuntimeError("the disk is full")

    world.pubsub.publish(TOPIC, {"emailAddress": REP, "historyId": "1"})
    monkeypatch.setattr(reading, "hear_mailboxes", broken)
    assert rung.turn() > IDLE
    monkeypatch.undo()
    rung.after(seconds=11)
    rung.turn()
    assert rung.until_next() <= 2


def test_lost_and_doubled_rings_end_as_polling_does(
    rung: Rung, make_house: Make, world: sandbox.World, tmp_path: Path
) -> None:
    scene.people(rung.house)
    rung.opened()
    world.knobs.push_drops, world.knobs.push_duplicates = 0.4, 0.5
    chance, box = random.Random(5), world.mailbox(REP)
    for number in range(12):
        sender = chance.choice([BUYER, "news@list.example", COLLEAGUE])
        found = box.deliver(mail(sender, REP, f"Mail {number}", at=rung.work.now(), message_id=f"m{number}"))
        if number % 4 == 3:
            box.delete(found)
        rung.turn()
        rung.after(seconds=5)
        settle(rung.work)
    rung.after(minutes=20)
    assert settle(rung.work) >= 1
    polled = make_house(database_url=f"sqlite:///{tmp_path}/polled/dealtrail.db")
    scene.people(polled)
    other, _ = scene.opened(polled, world)
    other.now = rung.work.now
    settle(other)
    gone = {line for line in ledger(rung.house) if line.endswith(" gone")}
    assert ledger(rung.house) - Counter(gone) == ledger(polled)
    assert sum(ledger(polled).values()) == 9
    with rung.work.db.read() as mine, polled.db.read() as theirs:
        logged = [subject for subject in scene.subjects(mine) if subject in scene.subjects(theirs)]
        assert logged == scene.subjects(theirs)


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


# ---- the reader


def test_one_process_reads_and_a_dead_one_is_replaced(rung: Rung, world: sandbox.World) -> None:
    assert rung.turn() == IDLE
    assert rung.work.push.inbox is not None
    second = Reader(rung.work, rung.work.push.inbox)
    assert second.turn() == ELSEWHERE
    assert rung.reader is not None
    rung.reader.close()
    assert second.turn() == IDLE
    second.close()
    host = second._owner.split(":")[0]
    with rung.work.db.write() as session:
        assert hold_reader(session, SUB, f"{host}:999999999:dead", now=rung.work.now(), seconds=300)
    assert rung.turn() == IDLE


def test_a_subscription_that_cannot_be_read_is_told_and_mailboxes_are_polled(rung: Rung, world: sandbox.World) -> None:
    rung.opened()
    assert rung.until_next() > 600
    kept = world.pubsub.subscriptions.pop(SUB)
    assert rung.turn() == 300
    with rung.work.db.read() as session:
        row = reader_of(session, SUB)
    assert row is not None and row.error == "subscription_missing" and "31 days" in row.error_sentence
    assert rung.until_next() <= 60
    rung.after(minutes=2)
    settle(rung.work)
    assert rung.until_next() <= 75
    world.pubsub.subscriptions[SUB] = kept
    assert rung.turn() == IDLE
    rung.after(minutes=2)
    settle(rung.work)
    assert rung.until_next() > 600


def test_a_reader_that_died_brings_the_usual_pace_back(rung: Rung) -> None:
    rung.opened()
    rung.after(minutes=20)
    settle(rung.work)
    assert rung.until_next() <= 75, "nobody has read the subscription for twenty minutes"


# ---- all of it at once


def test_new_mail_is_logged_by_a_ring_in_a_running_house(
    make_house: Make, world: sandbox.World, tmp_path: Path
) -> None:
    world.pubsub.subscribe(SUB, TOPIC)
    house = make_house(
        google_pubsub_topic=TOPIC,
        google_pubsub_subscription=SUB,
        google_pubsub_credentials_file=key_file(world, tmp_path),
        poll_seconds=3_600,
        calendar_poll_seconds=3_600,
    )
    scene.people(house)
    connect(house, world, REP)

    def until(fact: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 30
        while not fact():
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.05)

    def subjects() -> list[str]:
        with house.db.read() as session:
            return scene.subjects(session)

    def heard() -> bool:
        with house.db.read() as session:
            row = session.exec(select(Channel).where(Channel.kind == "mail")).first()
            return row is not None and row.last_message_at is not None

    with serving.working(house):
        until(heard)
        world.mailbox(REP).deliver(mail(BUYER, REP, "At once", at=building.now()))
        until(lambda: subjects() == ["At once"])


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
