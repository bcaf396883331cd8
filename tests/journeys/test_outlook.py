"""An Outlook mailbox on the whole path: connected, read, kept up to date, killed and resumed, and one conversation with Gmail."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session, col, select

import house as building
import sandbox
from models.account import Account, Source, Walk
from models.interaction import Copy, Interaction, Link
from models.ledger import LedgerEntry
from sandbox.microsoft.outlook import OutlookBox
from tests import support
from tests.journeys.conftest import Receiver
from tests.journeys.killing import announced_to, entered, kill_while_it_grows, webhooks_are_whole
from tests.support import BUYER, COLLEAGUE, OUTSIDER, REP, mail
from tests.worker import scene
from worker.context import Work

START = datetime.now(UTC) - timedelta(days=5)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while scene.AT_WORK:
        scene.AT_WORK.pop().close_all()


@pytest.fixture
def outlook_house(make_house: Callable[..., building.House], server: sandbox.Server) -> building.House:
    """Dealtrail on both pretend providers."""
    return make_house(**support.outlook_settings(server))


@pytest.fixture
def box(world: sandbox.World) -> OutlookBox:
    return world.outlook(REP, "Rae Rep")


def at_work(house: building.House) -> Work:
    work = house.work()
    scene.AT_WORK.append(work)
    return work


def fill(box: OutlookBox, count: int = 24) -> None:
    """Letters of four kinds in three folders, as old as days."""
    for number in range(count):
        at = START - timedelta(hours=number)
        sender, to, folder = (
            (BUYER, REP, "inbox"),
            (OUTSIDER, REP, "Customers/North"),
            (COLLEAGUE, REP, "archive"),
            (REP, BUYER, "sentitems"),
        )[number % 4]
        raw = mail(sender, to, f"Letter {number}", f"Text {number}.", at=at, message_id=f"o{number}@test.example")
        box.deliver(raw, folder, at=at.timestamp(), history=False)


def present(box: OutlookBox) -> set[str]:
    """What counts as mail in the sandbox's mailbox."""
    excluded = {box.known[name].id for name in ("drafts", "deleteditems", "junkemail", "outbox")}
    return {key for key, item in box.items.items() if item.folder not in excluded}


def ledger(session: Session) -> dict[str, LedgerEntry]:
    source = session.exec(select(Source).where(Source.kind == "mail")).one()
    rows = session.exec(select(LedgerEntry).where(LedgerEntry.source_id == source.id)).all()
    assert len({row.item_id for row in rows}) == len(rows)
    return {row.item_id: row for row in rows}


def test_a_first_sync_accounts_for_every_message(
    outlook_house: building.House, world: sandbox.World, box: OutlookBox
) -> None:
    scene.people(outlook_house)
    fill(box)
    box.deliver(mail(OUTSIDER, REP, "You won"), "junkemail", history=False)
    box.draft_save(mail(REP, BUYER, "Not yet"))
    support.connect_outlook(outlook_house, world, REP)
    work = at_work(outlook_house)
    support.settle(work)
    with outlook_house.db.read() as session:
        entries = ledger(session)
        assert set(entries) == present(box)
        assert Counter(entry.outcome for entry in entries.values()) == {"logged": 12, "ignored": 6, "internal": 6}
        rows = session.exec(select(Interaction).where(Interaction.kind == "email")).all()
        assert {row.direction for row in rows} == {"inbound", "outbound"}
        assert all(row.new_text.strip() == f"Text {row.subject.rpartition(' ')[2]}." for row in rows)
        assert len(session.exec(select(Link)).all()) == 12
        account = session.exec(select(Account)).one()
        assert (account.provider, account.email, account.refused) == ("microsoft", REP, "")
        assert {source.error for source in session.exec(select(Source).where(Source.kind == "mail"))} == {""}


def test_what_concerns_nobody_is_never_opened(
    outlook_house: building.House, world: sandbox.World, box: OutlookBox
) -> None:
    scene.people(outlook_house)
    fill(box)
    support.connect_outlook(outlook_house, world, REP)
    support.settle(at_work(outlook_house))
    assert scene.places_of(outlook_house.db, "Text 1.") == []
    assert scene.places_of(outlook_house.db, "Text 2.") == []


def test_then_only_what_changed(outlook_house: building.House, world: sandbox.World, box: OutlookBox) -> None:
    scene.people(outlook_house)
    fill(box)
    support.connect_outlook(outlook_house, world, REP)
    work = at_work(outlook_house)
    support.settle(work)
    keys = {item.envelope.subject: key for key, item in box.items.items()}
    fresh = box.deliver(mail(BUYER, REP, "Fresh", "Anything new?"), "inbox")
    ruled = box.deliver(mail(BUYER, REP, "By a rule", "In a folder made just now."), "Customers/South")
    box.move(keys["Letter 0"], "Customers/North")
    box.mark(keys["Letter 4"], read=True)
    box.delete(keys["Letter 8"])
    box.purge(keys["Letter 12"])
    world.stats.record.clear()
    support.poll(work)
    with outlook_house.db.read() as session:
        entries = ledger(session)
        assert (entries[fresh].outcome, entries[ruled].outcome) == ("logged", "logged")
        copies = {row.item_id: row.state for row in session.exec(select(Copy)).all()}
    assert copies[keys["Letter 0"]] == "present"
    assert copies[keys["Letter 4"]] == "present"
    assert copies[keys["Letter 8"]] == "trash"
    assert copies[keys["Letter 12"]] == "deleted"
    world.stats.record.clear()
    with outlook_house.db.write() as session:
        source = session.exec(select(Source).where(Source.kind == "mail")).one()
        source.next_sync_at = work.now()
        session.add(source)
    support.settle(work)
    asked = Counter(seen.operation for seen in world.stats.record)
    assert asked["graph.batch"] == 0
    assert asked["graph.messages.delta"] <= 6


def test_an_expired_folder_is_read_again_and_told_once(
    outlook_house: building.House, world: sandbox.World, box: OutlookBox
) -> None:
    scene.people(outlook_house)
    fill(box)
    support.connect_outlook(outlook_house, world, REP)
    work = at_work(outlook_house)
    support.settle(work)
    before = scene.places_of(outlook_house.db, "Letter 0")
    late = box.deliver(mail(BUYER, REP, "Meanwhile", "While you were away."), "inbox")
    keys = {item.envelope.subject: key for key, item in box.items.items()}
    box.purge(keys["Letter 4"])
    box.expire_delta()
    support.poll(work)
    with outlook_house.db.read() as session:
        entries = ledger(session)
        assert entries[late].outcome == "logged"
        assert set(entries) - {keys["Letter 4"]} == present(box)
        assert scene.kinds(session)["account.gap_recovered"] == 1
        copies = {row.item_id: row.state for row in session.exec(select(Copy)).all()}
        assert copies[keys["Letter 4"]] == "deleted"
        assert Counter(copies.values())["deleted"] == 1
    assert scene.places_of(outlook_house.db, "Letter 0") == before


def test_a_folder_thrown_away_takes_its_letters_along(
    outlook_house: building.House, world: sandbox.World, box: OutlookBox
) -> None:
    scene.people(outlook_house)
    fill(box)
    lost = box.deliver(mail(BUYER, REP, "In a drawer", "Old news."), "Drawer")
    support.connect_outlook(outlook_house, world, REP)
    work = at_work(outlook_house)
    support.settle(work)
    box.move_folder("Drawer", "deleteditems")
    support.poll(work)
    with outlook_house.db.read() as session:
        assert session.exec(select(Copy.state).where(Copy.item_id == lost)).one() == "trash"


def test_an_audit_finds_what_was_lost(outlook_house: building.House, world: sandbox.World, box: OutlookBox) -> None:
    scene.people(outlook_house)
    fill(box)
    support.connect_outlook(outlook_house, world, REP)
    work = at_work(outlook_house)
    support.settle(work)
    with outlook_house.db.write() as session:
        for entry in list(ledger(session).values())[::5]:
            session.delete(entry)
        source = session.exec(select(Source).where(Source.kind == "mail")).one()
        session.add(Walk(source_id=source.id or 0, kind="audit", created_at=work.now()))
    support.poll(work)
    with outlook_house.db.read() as session:
        assert set(ledger(session)) == present(box)
        audits = session.exec(select(Walk).where(Walk.kind == "audit", Walk.source_id == source.id)).all()
        assert sum(audit.state["holes"] for audit in audits) == 5, (
            "the nightly look at the account asks for another one"
        )
        assert [audit.state["missing"] for audit in audits] == [0] * len(audits)


def test_one_conversation_of_two_reps_is_one_thread_on_one_timeline(
    outlook_house: building.House, world: sandbox.World, box: OutlookBox
) -> None:
    """Rae writes from Outlook, Bea answers both, Col answers from Gmail."""
    deal = scene.people(outlook_house)
    gmail = world.mailbox(COLLEAGUE)
    first = mail(REP, BUYER, "Windmill", "May I show you?", at=START, message_id="first@acme.example")
    box.send(first, at=START.timestamp())
    later = START + timedelta(hours=1)
    answer = mail(
        BUYER,
        [REP, COLLEAGUE],
        "Re: Windmill",
        "Gladly, and bring Col.",
        at=later,
        message_id="answer@northwind.example",
        reply_to="first@acme.example",
    )
    box.deliver(answer, "inbox", at=later.timestamp())
    gmail.deliver(answer, labels=["INBOX"], at=later.timestamp())
    last = later + timedelta(hours=1)
    closing = mail(
        COLLEAGUE,
        [BUYER, REP],
        "Re: Windmill",
        "Thursday at ten.",
        at=last,
        message_id="closing@acme.example",
        reply_to="answer@northwind.example",
    )
    gmail.deliver(closing, labels=["SENT"], at=last.timestamp())
    box.deliver(closing, "inbox", at=last.timestamp())
    support.connect_outlook(outlook_house, world, REP)
    support.connect(outlook_house, world, COLLEAGUE)
    support.settle(at_work(outlook_house))
    with outlook_house.db.read() as session:
        rows = session.exec(select(Interaction).order_by(col(Interaction.occurred_at))).all()
        assert [row.subject for row in rows] == ["Windmill", "Re: Windmill", "Re: Windmill"]
        assert len({row.thread_id for row in rows}) == 1
        links = session.exec(select(Link).where(col(Link.removed_at).is_(None))).all()
        assert [link.deal_id for link in links] == [deal] * 3
        copies = Counter(session.exec(select(Copy.interaction_id)).all())
        assert [copies[row.id or 0] for row in rows] == [1, 2, 2]


# ---- processes that are killed


KILLS, MAILS = 3, 200


@pytest.fixture
def environment(environment: dict[str, str], server: sandbox.Server) -> dict[str, str]:
    """With Microsoft's settings."""
    given = support.outlook_settings(server)
    return environment | {f"DEALTRAIL_{name.upper()}": str(value) for name, value in given.items()}


def test_kills_during_the_first_sync_lose_and_double_nothing(
    outlook_house: building.House,
    world: sandbox.World,
    box: OutlookBox,
    receiver: Receiver,
    dealtrail: Callable[..., subprocess.Popen[str]],
) -> None:
    world.knobs.latency, world.microsoft.knobs.page_size = 0.1, 10
    scene.people(outlook_house)
    fill(box, MAILS)
    support.connect_outlook(outlook_house, world, REP)
    announced_to(outlook_house, receiver)
    kill_while_it_grows(outlook_house, dealtrail, KILLS, seed=20261126)
    assert entered(outlook_house) < MAILS, "the kills came too late to interrupt anything"
    last = dealtrail("sync", "--wait")
    assert last.wait(120) == 0, last.communicate()[0]
    with outlook_house.db.read() as session:
        entries = ledger(session)
        assert set(entries) == present(box)
        assert Counter(entry.outcome for entry in entries.values()) == {"logged": 100, "ignored": 50, "internal": 50}
        rows = session.exec(select(Interaction).where(Interaction.kind == "email")).all()
        assert len({row.identity for row in rows}) == len(rows) == 100
        assert scene.kinds(session)["interaction.logged"] == 100
    webhooks_are_whole(outlook_house, receiver, KILLS)
