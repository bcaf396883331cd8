"""Where an account's level allows no text, none is asked for and none is kept; a narrowed conversation stays narrow; what
keeps a mail out keeps it out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

import house as building
import sandbox
from connectors.items import Party
from models.account import Account
from models.blocks import add_block
from models.db import Database
from models.event import Event
from models.interaction import Interaction
from models.keyring import Keyring
from models.ledger import LedgerEntry
from models.levels import set_account_level, set_thread_level
from models.setting import set_team_setting
from tests.models.cast import buyer, firm, member
from tests.support import BUYER, COLLEAGUE, NOW, REP, mail, poll, settle
from tests.worker.scene import Desk, note, opened, outcomes, people, places_of, subjects, talk

AT = datetime.now(UTC) - timedelta(days=2)


def _level(house: building.House, account: Account, level: str, **more: bool) -> None:
    with house.db.write() as session:
        set_account_level(session, session.get_one(Account, account.id), level, now=building.now(), **more)


@pytest.mark.parametrize("level", ["subject", "metadata"])
def test_headers_only_never_asks_for_a_text_and_keeps_none(
    house: building.House, world: sandbox.World, level: str
) -> None:
    """Field note 9 and provider-contract 1.1: not even the beginning that Gmail would send along crosses the wire."""
    people(house)
    box = world.mailbox(REP)
    for number in range(4):
        box.deliver(mail(BUYER, REP, f"Prices {number}", "walrus", at=AT), at=AT.timestamp(), history=False)
    work, (account,) = opened(house, world)
    _level(house, account, level)
    settle(work)
    box.deliver(mail(BUYER, REP, "New", "walrus", at=AT))
    poll(work)
    assert {seen.form for seen in world.stats.record if seen.item} == {"metadata"}
    assert places_of(house.db, "walrus") == []
    with house.db.read() as session:
        assert outcomes(session) == {"logged": 5}
        assert {row.snippet or row.text or row.new_text for row in session.exec(select(Interaction))} == {""}


def test_lowering_the_level_removes_what_was_stored_and_a_resync_brings_it_not_back(
    house: building.House, world: sandbox.World
) -> None:
    people(house)
    world.mailbox(REP).deliver(mail(BUYER, REP, "Prices", "walrus", at=AT), at=AT.timestamp(), history=False)
    work, (account,) = opened(house, world)
    settle(work)
    assert places_of(house.db, "walrus")
    _level(house, account, "subject", remove_texts=True)
    assert places_of(house.db, "walrus") == []
    poll(work)
    assert places_of(house.db, "walrus") == []
    with house.db.read() as session:
        assert subjects(session) == ["Prices"]


def test_a_meetings_description_is_text_too(any_db: Database, keyring: Keyring) -> None:
    closed = Desk(any_db, keyring, kind="calendar", visibility="metadata")
    with any_db.write() as session:
        buyer(session)
    meeting = talk(BUYER, description="walrus", join_url="https://meet.example/walrus")
    closed.take(meeting)
    closed.take(meeting)
    assert places_of(any_db, "walrus") == []
    Desk(any_db, keyring, COLLEAGUE, kind="calendar").take(meeting)
    assert places_of(any_db, "walrus"), "a colleague's calendar keeps it"


def test_a_level_lowered_while_a_text_is_under_way_still_counts(any_db: Database, keyring: Keyring) -> None:
    desk = Desk(any_db, keyring)
    with any_db.write() as session:
        buyer(session)
        set_account_level(session, session.get_one(Account, desk.account.id), "subject", now=NOW)
    desk.take(note(text="walrus"))
    assert places_of(any_db, "walrus") == []
    with any_db.read() as session:
        assert subjects(session) == ["Hello"]


def test_later_mail_of_a_narrowed_conversation_is_narrow_from_the_start(any_db: Database, keyring: Keyring) -> None:
    desk = Desk(any_db, keyring)
    with any_db.write() as session:
        buyer(session)
    desk.take(note(message_id="a@x", subject="First"), note(message_id="z@x", subject="Elsewhere"))
    with any_db.write() as session:
        first = session.exec(select(Interaction).where(Interaction.subject == "First")).one()
        set_thread_level(session, first.thread_id or 0, "metadata", user_id=desk.account.user_id)
    desk.take(
        note(message_id="b@x", subject="Second", text="walrus", references=("a@x",)),
        note(message_id="y@x", subject="Third", references=("z@x",)),
    )
    with any_db.read() as session:
        levels = {row.subject: row.visibility for row in session.exec(select(Interaction))}
        assert levels == {"First": "metadata", "Second": "metadata", "Elsewhere": "", "Third": ""}
        told = [event.payload["subject"] for event in session.exec(select(Event).order_by(Event.id))]  # pyright: ignore
        assert sorted(filter(None, told)) == ["Elsewhere", "Third"]


def test_two_conversations_that_turn_out_to_be_one_stay_narrow(any_db: Database, keyring: Keyring) -> None:
    desk = Desk(any_db, keyring)
    with any_db.write() as session:
        buyer(session)
    desk.take(note(message_id="a@x", subject="One"))
    desk.take(note(message_id="b@x", subject="Two", references=("unseen@x",)))
    with any_db.write() as session:
        two = session.exec(select(Interaction).where(Interaction.subject == "Two")).one()
        set_thread_level(session, two.thread_id or 0, "metadata", user_id=desk.account.user_id)
    desk.take(note(message_id="unseen@x", subject="Between", references=("a@x",)))
    with any_db.read() as session:
        assert len({row.thread_id for row in session.exec(select(Interaction))}) == 1
    desk.take(note(message_id="c@x", subject="Four", references=("a@x",)))
    with any_db.read() as session:
        assert session.exec(select(Interaction.visibility).where(Interaction.subject == "Four")).one() == "metadata"


# ---- what keeps a mail out


def _reasons(db: Database) -> dict[str, str]:
    with db.read() as session:
        return {row.item_id: row.reason for row in session.exec(select(LedgerEntry)) if row.outcome == "ignored"}


@pytest.mark.parametrize("whose", ["team", "mine"])
@pytest.mark.parametrize(
    ("kind", "value", "more"),
    [
        ("address", "BEA@northwind.example", {"sender": "bea+x@northwind.example"}),
        ("domain", "northwind.example", {"sender": "any@mail.northwind.example"}),
        ("label", "Private", {"labels": ("private",)}),
    ],
)
def test_a_block_of_the_team_holds_for_all_and_ones_own_for_oneself(
    any_db: Database, keyring: Keyring, whose: str, kind: str, value: str, more: dict[str, object]
) -> None:
    mine, theirs = Desk(any_db, keyring), Desk(any_db, keyring, COLLEAGUE)
    with any_db.write() as session:
        firm(session)
        user_id = None if whose == "team" else member(session, REP).id
        add_block(session, kind=kind, value=value, user_id=user_id, now=NOW)
    mine.take(note(item_id="m", to=REP, **more))  # type: ignore[arg-type]
    theirs.take(note(item_id="t", to=COLLEAGUE, **more))  # type: ignore[arg-type]
    wanted = {"m"} | ({"t"} if whose == "team" else set())
    reasons = _reasons(any_db)
    assert set(reasons) == wanted and set(reasons.values()) == {"blocked label" if kind == "label" else "blocked"}


@pytest.mark.parametrize("role", ["to", "cc", "bcc"])
def test_a_sent_mail_with_the_address_that_keeps_out_is_never_logged(
    any_db: Database, keyring: Keyring, role: str
) -> None:
    desk = Desk(any_db, keyring)
    with any_db.write() as session:
        buyer(session)
        set_team_setting(session, "no_log_addresses", ["nolog@acme.example"])
    out = (Party("from", REP), Party("to", BUYER), Party(role, "NoLog+x@acme.example"))  # type: ignore[arg-type]
    received = (Party("from", BUYER), Party("to", REP), Party("cc", "nolog@acme.example"))
    desk.take(
        note(item_id="out", parties=out, outbound=True, text="walrus"),
        note(item_id="in", parties=received, subject="Received"),
        note(item_id="plain", sender=REP, to=BUYER, outbound=True, subject="Plain"),
    )
    assert _reasons(any_db) == {"out": "marked not to be logged"} and places_of(any_db, "walrus") == []
    with any_db.read() as session:
        assert sorted(subjects(session)) == ["Plain", "Received"], "only our own people mark their mail so"


def test_the_label_no_log_keeps_out_until_the_team_decides_otherwise(any_db: Database, keyring: Keyring) -> None:
    desk = Desk(any_db, keyring)
    with any_db.write() as session:
        buyer(session)
    desk.take(note(item_id="one", labels=("No-Log",)))
    with any_db.write() as session:
        set_team_setting(session, "no_log_labels", ["secret"])
    desk.take(note(item_id="two", labels=("no-log",)), note(item_id="three", labels=("Secret",)))
    assert set(_reasons(any_db)) == {"one", "three"}
