"""After an erasure the mailboxes still hold everything; no sync, audit, rescued cursor or newly connected colleague brings
the person back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

import house as building
import sandbox
from models import erasing
from models.account import Source, Walk, disconnect_account
from models.contact import Contact
from models.health import ledger_sum
from models.interaction import Interaction
from models.ledger import LedgerEntry
from tests.support import BUYER, COLLEAGUE, REP, connect, mail, poll, settle
from tests.worker.scene import opened, outcomes, people, places_of

CAS = "cas@northwind.example"
TRACES = ("bea@northwind", "bea+shop", "Bea Buyer", "Bea", "zebra")


@pytest.fixture
def any_house(any_url: str, make_house: Callable[..., building.House]) -> building.House:
    return make_house(database_url=any_url)


def _letters(world: sandbox.World) -> None:
    """Bea alone, Bea with Cas, Cas about Bea, Cas alone: in Rae's mailbox, the shared ones in her colleague's too."""
    at = datetime.now(UTC) - timedelta(days=2)
    bea, cas, quoted = (
        f"Bea Buyer <{BUYER}>",
        f"Cas Clerk <{CAS}>",
        "\n\nOn Monday Bea Buyer wrote:\n> The zebra is fine.\n",
    )
    alone = mail(bea, REP, "Zebra: zebra", "The zebra is fine.", at=at, message_id="1@x")
    ours = mail(REP, bea, "For Bea Buyer", "Dear Bea, thank you.", at=at, message_id="2@x")
    both = mail(bea, [REP, COLLEAGUE, cas], "Zebra for all", "The zebra is fine.", at=at, message_id="3@x")
    reply = mail(
        cas, [REP, COLLEAGUE, bea], "Re: for all", f"Agreed with Bea.{quoted}", at=at, message_id="4@x", reply_to="3@x"
    )
    about = mail(cas, REP, "Who signs", f"Ask Bea Buyer, {BUYER}.{quoted}", at=at, message_id="5@x")
    later = mail(
        cas, [COLLEAGUE, f"Bea Buyer <bea+shop@{BUYER.partition('@')[2]}>"], "New", f"Bea, hello.{quoted}", at=at
    )
    lunch = mail(cas, REP, "Lunch", "Soup?", at=at, message_id="6@x")
    for raw in (alone, both, reply, about, lunch):
        world.mailbox(REP).deliver(raw, at=at.timestamp(), history=False)
    world.mailbox(REP).deliver(ours, at=at.timestamp(), history=False, labels=["SENT"])
    for raw in (both, reply, later):
        world.mailbox(COLLEAGUE).deliver(raw, at=at.timestamp(), history=False)


def _erase(house: building.House) -> None:
    with house.db.write() as session:
        bea = session.exec(select(Contact).where(Contact.name == "Bea Buyer")).one()
        erasing.erase(session, house.keyring, bea.id or 0, user_id=1, by="x", now=building.now())


def _afresh(house: building.House) -> None:
    """As if nothing had ever been read: no cursor, every way still to be walked, every entry to be looked at again."""
    with house.db.write() as session:
        for source in session.exec(select(Source)):
            source.cursor, source.next_sync_at = "", building.now()
            session.add(source)
        for row in session.exec(select(LedgerEntry).where(LedgerEntry.outcome == "ignored")):
            row.outcome, row.priority = "unopened", 1
            session.add(row)
        for walk in session.exec(select(Walk)):
            session.delete(walk)


def _nowhere(house: building.House) -> None:
    assert {trace: places_of(house.db, trace) for trace in TRACES} == {trace: [] for trace in TRACES}


def test_a_full_resync_brings_nobody_back(any_house: building.House, world: sandbox.World) -> None:
    house = any_house
    people(house)
    _letters(world)
    work, _ = opened(house, world)
    settle(work)
    assert all(places_of(house.db, trace) for trace in TRACES if trace != "bea+shop")
    _erase(house)
    settle(work)
    _nowhere(house)
    with house.db.read() as session:
        mine = session.exec(select(Interaction.subject).order_by(col(Interaction.subject))).all()
        assert mine == ["", "Lunch", "Re: for all", "Who signs"]
    _afresh(house)
    settle(work)
    _nowhere(house)
    with house.db.read() as session:
        assert outcomes(session) == {"logged": 4, "ignored": 2}
        source = session.exec(select(Source.id).where(Source.kind == "mail")).one()
        assert ledger_sum(session, [source or 0]).missing == 0
        assert session.exec(select(Interaction.subject).order_by(col(Interaction.subject))).all() == mine


def test_nor_does_another_mailbox_or_one_that_is_connected_again(
    any_house: building.House, world: sandbox.World
) -> None:
    house = any_house
    people(house)
    _letters(world)
    work, (account,) = opened(house, world)
    settle(work)
    _erase(house)
    connect(house, world, COLLEAGUE)
    with house.db.write() as session:
        disconnect_account(session, session.get_one(type(account), account.id), now=building.now())
    connect(house, world, REP)
    settle(work)
    poll(work)
    _nowhere(house)
    with house.db.read() as session:
        new = session.exec(select(Interaction).where(Interaction.subject == "New")).one()
        assert (
            new.text == "███, hello." and [p["name"] for p in new.parties if p["role"] == "to"][-1] == "erased person"
        )


def test_what_they_write_from_now_on_is_not_even_opened(house: building.House, world: sandbox.World) -> None:
    people(house)
    _letters(world)
    work, _ = opened(house, world)
    settle(work)
    _erase(house)
    at = datetime.now(UTC)
    world.mailbox(REP).deliver(mail(f"Bea Buyer <{BUYER}>", REP, "Again a zebra", "zebra", at=at, reply_to="1@x"))
    world.mailbox(REP).deliver(mail(f"Bea <{BUYER}>", [REP, CAS], "And a zebra", "zebra", at=at, reply_to="4@x"))
    world.stats.record.clear()
    poll(work)
    assert {seen.form for seen in world.stats.record if seen.item} == {"metadata"}, "no text of theirs is asked for"
    _nowhere(house)
