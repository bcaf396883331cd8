"""Rings: heard, gathered, read by one process, and never believed. With every ring lost, the end is the same as by polling."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

import house as building
import sandbox
import serving
from models.account import claim_due_sources
from models.channel import Channel
from models.doorbell import hear_mailboxes
from models.ledger import LedgerEntry
from models.reader import hold_reader, reader_of
from tests.support import BUYER, COLLEAGUE, REP, connect, mail, settle
from tests.worker import scene
from tests.worker.ringing import SUB, TOPIC, Rung, key_file
from worker import pacing
from worker import reader as reading
from worker.reader import ELSEWHERE, IDLE, Reader
from worker.sync import sync_source

Make = Callable[..., building.House]


def ledger(house: building.House) -> Counter[str]:
    """What became of every item."""
    with house.db.read() as session:
        return Counter(f"{row.item_id} {row.outcome}" for row in session.exec(select(LedgerEntry)).all())


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

    def hung() -> bool:
        with house.db.read() as session:
            row = session.exec(select(Channel).where(Channel.kind == "mail")).first()
            return row is not None and row.opened_at is not None

    with serving.working(house):
        until(hung)
        world.mailbox(REP).deliver(mail(BUYER, REP, "At once", at=building.now()))
        until(lambda: subjects() == ["At once"])
