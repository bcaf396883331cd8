"""Field note 1: SIGKILL at any moment of a first sync loses nothing, doubles nothing and fires no webhook twice."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes

from sqlmodel import Session, col, func, select

import house as building
import sandbox
from models.contact import add_company, add_contact
from models.deal import add_deal
from models.event import Event
from models.interaction import Copy, Interaction, Link
from models.ledger import LedgerEntry
from models.setting import set_team_setting
from models.webhook import Delivery, add_webhook, release_dead_deliveries
from tests import support
from tests.journeys.conftest import Receiver
from tests.support import BUYER, COLLEAGUE, NOW, OUTSIDER, REP

KILLS = 10
MAILS = 2_400


def test_ten_kills_during_the_first_sync_lose_and_double_nothing(
    house: building.House,
    world: sandbox.World,
    receiver: Receiver,
    dealtrail: Callable[..., subprocess.Popen[str]],
) -> None:
    chance = random.Random(20261124)
    world.knobs.latency = 0.08
    _fill(world)
    with house.db.write() as session:
        _book(session)
        set_team_setting(session, "announce_backfill", True)
    support.connect(house, world, REP)
    with house.db.write() as session:
        add_webhook(
            session,
            house.keyring,
            user_id=1,
            target_url=receiver.url,
            event="interaction.logged",
            now=house.work().now(),
        )

    kills, seen = 0, 0
    while kills < KILLS:
        process = dealtrail("work")
        grown = _wait_for_growth(house, process, seen)
        time.sleep(chance.uniform(0.0, 0.12))
        process.kill()
        process.wait(10)
        kills += 1
        seen = grown
    assert _entries(house) < MAILS, "the kills came too late to interrupt anything"

    last = dealtrail("sync", "--wait")
    assert last.wait(120) == 0, last.communicate()[0]

    box = world.mailbox(REP)
    ids = {message.id for message in box.messages.values() if "DRAFT" not in message.labels}
    with house.db.read() as session:
        _ledger_equals_mailbox(session, ids)
        _nothing_twice(session)
        expected = {
            _message_id(box.messages[key].bytes()) for key in ids if _concerns_the_buyer(box.messages[key].bytes())
        }
        logged = set(session.exec(select(Interaction.identity).where(Interaction.kind == "email")).all())
        assert logged == {f"m:{one}" for one in expected}
        assert session.exec(select(func.count()).select_from(Link)).one() == len(expected)
    _webhooks_are_whole(house, receiver)


def _fill(world: sandbox.World) -> None:
    box = world.mailbox(REP)
    for number in range(MAILS):
        at = NOW - timedelta(hours=3 * number)
        sender, to, subject = (
            (BUYER, REP, f"Question {number}"),
            (OUTSIDER, REP, f"Stranger {number}"),
            (COLLEAGUE, REP, f"Internal {number}"),
            (REP, BUYER, f"Answer {number}"),
        )[number % 4]
        raw = support.mail(
            sender, to, subject, f"Text number {number}.", at=at, message_id=f"kill-{number}@test.example"
        )
        box.deliver(raw, at=at.timestamp(), history=False)


def _book(session: Session) -> None:
    company = add_company(session, "Northwind", ["northwind.example"], now=NOW)
    contact = add_contact(session, name="Bea Buyer", emails=[BUYER], now=NOW, company_id=company.id)
    add_deal(
        session,
        name="Fleet pilot",
        now=NOW,
        contacts=[(contact.id or 0, "buyer")],
        created_at=NOW - timedelta(days=900),
    )


def _entries(house: building.House) -> int:
    with house.db.read() as session:
        return session.exec(
            select(func.count()).select_from(LedgerEntry).where(LedgerEntry.outcome != "unopened")
        ).one()


def _wait_for_growth(house: building.House, process: subprocess.Popen[str], before: int) -> int:
    """Until the process has stored something more."""
    for _ in range(4000):
        now = _entries(house)
        if now > before:
            return now
        assert process.poll() is None, "the worker ended by itself"
        time.sleep(0.02)
    raise AssertionError("the worker does nothing")


def _ledger_equals_mailbox(session: Session, ids: set[str]) -> None:
    from models.account import Source

    source = session.exec(select(Source).where(Source.kind == "mail")).one()
    entries = session.exec(select(LedgerEntry).where(LedgerEntry.source_id == source.id)).all()
    assert Counter(entry.item_id for entry in entries) == Counter(ids)
    assert {entry.outcome for entry in entries} == {"logged", "ignored", "internal"}


def _nothing_twice(session: Session) -> None:
    doubled = session.exec(
        select(Copy.source_id, Copy.item_id).group_by(col(Copy.source_id), col(Copy.item_id)).having(func.count() > 1)
    ).all()
    assert not doubled


def _webhooks_are_whole(house: building.House, receiver: Receiver) -> None:
    """Every event has one id and one delivery; the receiver saw each of them. A kill between a send and its record may
    repeat a send, and then it is the same id."""
    work = house.work()
    with house.db.write() as session:
        release_dead_deliveries(session)
    while support.send_due(work):
        pass
    with house.db.read() as session:
        events = session.exec(select(Event).where(Event.kind == "interaction.logged")).all()
        deliveries = session.exec(select(Delivery)).all()
        assert len({event.uid for event in events}) == len(events) > 0
        assert Counter(delivery.event_id for delivery in deliveries) == Counter(event.id for event in events)
        assert {delivery.state for delivery in deliveries} == {"delivered"}
        assert set(receiver.ids()) == {event.uid for event in events}
    repeated = len(receiver.ids()) - len(set(receiver.ids()))
    assert repeated <= KILLS * house.settings.workers


def _message_id(raw: bytes) -> str:
    return str(message_from_bytes(raw)["Message-ID"]).strip("<>")


def _concerns_the_buyer(raw: bytes) -> bool:
    message = message_from_bytes(raw)
    return BUYER in f"{message['From']} {message['To']}"
