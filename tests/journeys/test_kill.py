"""Field note 1: SIGKILL at any moment of a first sync loses nothing, doubles nothing and fires no webhook twice."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes

from sqlmodel import Session, col, func, select

import house as building
import sandbox
from models.contact import add_company, add_contact
from models.deal import add_deal
from models.interaction import Copy, Interaction, Link
from models.ledger import LedgerEntry
from tests import support
from tests.journeys.conftest import Receiver
from tests.journeys.killing import announced_to, entered, kill_while_it_grows, webhooks_are_whole
from tests.support import BUYER, COLLEAGUE, NOW, OUTSIDER, REP

KILLS = 10
MAILS = 2_400


def test_ten_kills_during_the_first_sync_lose_and_double_nothing(
    house: building.House,
    world: sandbox.World,
    receiver: Receiver,
    dealtrail: Callable[..., subprocess.Popen[str]],
) -> None:
    world.knobs.latency = 0.08
    _fill(world)
    with house.db.write() as session:
        _book(session)
    support.connect(house, world, REP)
    announced_to(house, receiver)
    kill_while_it_grows(house, dealtrail, KILLS, seed=20261124)
    assert entered(house) < MAILS, "the kills came too late to interrupt anything"

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
    webhooks_are_whole(house, receiver, KILLS)


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


def _message_id(raw: bytes) -> str:
    return str(message_from_bytes(raw)["Message-ID"]).strip("<>")


def _concerns_the_buyer(raw: bytes) -> bool:
    message = message_from_bytes(raw)
    return BUYER in f"{message['From']} {message['To']}"
