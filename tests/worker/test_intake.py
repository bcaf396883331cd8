"""Each item, once: pages of items straight into the books, on both databases where it matters."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import col, select

from connectors.errors import ConnectorError
from connectors.items import Body, Listed, Message, Party, Removed, Unreadable
from models.account import Source
from models.db import Database
from models.event import Event
from models.health import account_health
from models.interaction import Copy, Held, Interaction, InteractionCompany, InteractionContact, Link, Thread
from models.keyring import Keyring
from models.ledger import LedgerEntry, LedgerHash, due_owed
from tests.models.cast import count
from tests.support import BUYER, COLLEAGUE, NOW, OUTSIDER, REP
from tests.worker.scene import (
    Desk,
    at_rest,
    entry,
    kinds,
    northwind,
    note,
    on_deals,
    outcomes,
    places_of,
    states,
    subjects,
)
from worker.intake import LeaseLost, to_open
from worker.upkeep import keep_up


def test_a_page_becomes_rows_and_its_cursor_moves_with_it(any_db: Database, keyring: Keyring) -> None:
    northwind(any_db)
    desk = Desk(any_db, keyring)
    touched = desk.take(note(subject="Offer"), note(OUTSIDER), note(COLLEAGUE), cursor="next")
    with any_db.read() as session:
        assert len(touched) == 1 and on_deals(session) == [("Offer", "Windmill", "address")]
        assert outcomes(session) == {"logged": 1, "ignored": 1, "internal": 1}
        assert session.get_one(Source, desk.source).cursor == "next"
        assert kinds(session)["interaction.logged"] == 1
        assert count(session, InteractionContact) == count(session, InteractionCompany) == 1
        assert {row.month for row in session.exec(select(LedgerEntry))} == {"2026-11"}


def test_a_page_that_is_played_twice_changes_nothing(any_db: Database, keyring: Keyring) -> None:
    """Field note 1: a crash after the commit brings the same page again."""
    northwind(any_db)
    desk = Desk(any_db, keyring)
    page = [note(subject="Offer"), note(OUTSIDER), note(COLLEAGUE), Removed("x", "deleted"), Listed("later")]

    def rows() -> dict[str, int]:
        with any_db.read() as session:
            models = (Interaction, Copy, Link, LedgerEntry, LedgerHash, Event, Thread, InteractionContact)
            return {model.__name__: count(session, model) for model in models}

    desk.take(*page)
    before = rows()
    for _ in range(2):
        desk.take(*page)
    assert rows() == before


def test_a_page_that_fails_halfway_leaves_nothing_and_its_cursor(
    any_db: Database, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Field note 1: a kill between finding an item and storing it costs the page, never an item."""
    northwind(any_db)
    desk = Desk(any_db, keyring)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr("worker.log.announce_cases", lambda *given: 1 / 0)
        desk.take(note(), cursor="next")
    with any_db.read() as session:
        assert (count(session, Interaction), count(session, LedgerEntry), count(session, Event)) == (0, 0, 2 - 1)
        assert session.get_one(Source, desk.source).cursor == "start"


def test_who_lost_the_lease_writes_nothing(any_db: Database, keyring: Keyring) -> None:
    """Field note 12."""
    northwind(any_db)
    desk = Desk(any_db, keyring)
    with any_db.write() as session:
        session.get_one(Source, desk.source).lease_owner = "somebody else"
    with pytest.raises(LeaseLost):
        desk.take(note(), cursor="next")
    with any_db.read() as session:
        assert count(session, LedgerEntry) == 0
        assert session.get_one(Source, desk.source).cursor == "start"


def test_what_fits_several_deals_is_held_for_its_owner_alone(any_db: Database, keyring: Keyring) -> None:
    northwind(any_db, "Alpha", "Beta")
    desk = Desk(any_db, keyring)
    desk.take(note(subject="Which one?"))
    Desk(any_db, keyring, COLLEAGUE).take(note(subject="Which one?"))
    with any_db.read() as session:
        held = session.exec(select(Held)).all()
        assert [row.user_id for row in held][0] == desk.account.user_id
        assert {c["deal_id"] for c in held[0].candidates} == {1, 2} and all(c["reasons"] for c in held[0].candidates)
        events = session.exec(select(Event).where(Event.kind == "interaction.held")).all()
        assert {event.user_id for event in events} == {row.user_id for row in held}
        assert kinds(session)["interaction.logged"] == 0 and all(session.exec(select(Interaction.held)).all())


def test_poison_stops_nobody(any_db: Database, keyring: Keyring) -> None:
    """Field note 2: of 1,000 one raises in parse, one is 404, one is 500 for ever: 997 stored, the cursor moved, health
    says what is owed, and in the end nothing is in doubt."""
    northwind(any_db)
    desk = Desk(any_db, keyring)
    good = [note(subject=f"Mail {number}") for number in range(997)]
    poison = [
        Unreadable("parse", "parse_valueerror"),
        Unreadable("gone", "not_found", gone=True),
        Unreadable("broken", "server_error"),
    ]
    desk.take(*good[:500], *poison, *good[500:], cursor="next")
    with any_db.read() as session:
        assert outcomes(session) == {"logged": 997, "owed": 3}
        assert session.get_one(Source, desk.source).cursor == "next"
        session.get_one(Source, desk.source).synced_at = NOW
        health = account_health(session, desk.account, now=NOW)
        assert (health.owed, health.unreadable) == (3, 0) and health.state in ("owed", "syncing")
    for _ in range(4):
        desk.now += timedelta(hours=7)
        with any_db.read() as session:
            due = due_owed(session, desk.source, now=desk.now, limit=9)
        desk.take(*(one for one in poison if one.item_id in due))
    with any_db.write() as session:
        assert outcomes(session) == {"logged": 997, "gone": 1, "unreadable": 2}
        assert {row.item_id for row in session.exec(select(LedgerEntry).where(LedgerEntry.outcome == "gone"))} == {
            "gone"
        }
        for source in session.exec(select(Source)):
            source.synced_at = NOW
        session.flush()
        health = account_health(session, desk.account, now=desk.now)
        assert health.state == "owed" and "2 unreadable" in health.sentence


def test_an_item_that_is_not_yet_there_is_asked_for_again(any_db: Database, keyring: Keyring) -> None:
    desk = Desk(any_db, keyring)
    northwind(any_db)
    late = note(subject="Late")
    desk.take(Unreadable(late.item_id, "not_found", gone=True))
    with any_db.read() as session:
        row = entry(session, late.item_id)
        assert (row.outcome, row.attempts, row.error) == ("owed", 1, "not_found")
        assert row.next_try_at == NOW + timedelta(seconds=10)
    desk.take(late)
    with any_db.read() as session:
        row = entry(session, late.item_id)
        assert (row.outcome, row.attempts, row.next_try_at, row.error) == ("logged", 0, None, "")


def test_a_throttled_read_is_no_strike(any_db: Database, keyring: Keyring) -> None:
    desk = Desk(any_db, keyring)
    for _ in range(20):
        desk.take(Unreadable("slow", "rate_limited", strike=False))
    with any_db.read() as session:
        row = entry(session, "slow")
        assert (row.outcome, row.attempts, row.next_try_at) == ("owed", 0, NOW + timedelta(seconds=5))


def test_a_fault_never_takes_back_what_is_known(any_db: Database, keyring: Keyring) -> None:
    northwind(any_db)
    desk = Desk(any_db, keyring)
    logged, ignored, inside = note(), note(OUTSIDER), note(COLLEAGUE)
    desk.take(logged, ignored, inside)
    for item in (logged, ignored, inside):
        desk.take(Unreadable(item.item_id, "server_error"))
    with any_db.read() as session:
        assert entry(session, logged.item_id).outcome == "logged"
        assert entry(session, inside.item_id).outcome == "internal"
        row = entry(session, ignored.item_id)
        assert (row.outcome, row.month) == ("owed", "2026-11"), "its month stays, or the sum by month would be wrong"
    gone = Unreadable(logged.item_id, "not_found", gone=True)
    desk.take(gone)
    with any_db.read() as session:
        assert states(session) == ["present"], "it may be out of sight for a moment only"
        later = desk.now + timedelta(minutes=1)
        assert logged.item_id in due_owed(session, desk.source, now=later, limit=9)
    desk.take(logged)
    with any_db.read() as session:
        assert logged.item_id not in due_owed(session, desk.source, now=later, limit=9), "there it is"
    for _ in range(3):
        desk.take(gone)
    with any_db.read() as session:
        assert entry(session, logged.item_id).state == "deleted" and states(session) == ["deleted"]
        assert logged.item_id not in due_owed(session, desk.source, now=later, limit=9)
        assert count(session, Link) == 1


@pytest.mark.parametrize("reason", ["deleted", "trash", "spam"])
def test_removal_marks_what_is_logged_and_accounts_for_what_is_not(
    any_db: Database, keyring: Keyring, reason: str
) -> None:
    northwind(any_db)
    desk = Desk(any_db, keyring)
    logged, ignored = note(), note(OUTSIDER)
    desk.take(logged, ignored, Listed("listed"), Unreadable("owed", "x"))
    desk.take(*(Removed(key, reason) for key in (logged.item_id, ignored.item_id, "listed", "owed", "new")))  # type: ignore[arg-type]
    with any_db.read() as session:
        assert entry(session, logged.item_id).outcome == "logged" and states(session) == [reason]
        assert entry(session, ignored.item_id).outcome == "ignored"
        wanted = "gone" if reason == "deleted" else "ignored"
        assert {entry(session, key).outcome for key in ("listed", "owed")} == {wanted}
        found = session.exec(select(LedgerEntry.item_id).where(LedgerEntry.item_id == "new")).all()
        assert found == ([] if reason == "deleted" else ["new"])
        assert {row.state for row in session.exec(select(LedgerEntry))} == {reason}
    desk.take(logged)
    with any_db.read() as session:
        assert states(session) == ["present"] and entry(session, logged.item_id).state == "present"


def test_headers_alone_open_only_what_concerns_a_contact(any_db: Database, keyring: Keyring) -> None:
    northwind(any_db)
    desk = Desk(any_db, keyring)
    ours, theirs, inside = note(text=None), note(OUTSIDER, text=None), note(COLLEAGUE, text=None)
    whole = note()
    known = note(text=None)
    desk.take(note(item_id=known.item_id))
    wanted = to_open(any_db, desk.source, [ours, theirs, inside, whole, known, Removed("x", "deleted")])
    assert [one.item_id for one in wanted] == [ours.item_id]
    desk.take(ours, theirs, inside)
    with any_db.read() as session:
        assert entry(session, ours.item_id).outcome == "owed", "it concerns us: it is opened before it is logged"
    shy = Desk(any_db, keyring, COLLEAGUE, visibility="subject")
    assert to_open(any_db, shy.source, [ours]) == []
    shy.take(ours)
    with any_db.read() as session:
        assert "Hello" in subjects(session)


@pytest.mark.parametrize(
    ("item", "hashed"),
    [
        (note(OUTSIDER), True),
        (note(OUTSIDER, place="spam"), True),
        (note(OUTSIDER, place="draft"), False),
        (note(COLLEAGUE), False),
        (note(REP, [COLLEAGUE]), False),
    ],
)
def test_what_concerns_nobody_leaves_hashes_at_the_most(
    db: Database, keyring: Keyring, item: Message, hashed: bool
) -> None:
    """Field note 8: internal mail and drafts leave not even those."""
    desk = Desk(db, keyring)
    desk.take(item)
    with db.read() as session:
        assert (count(session, LedgerHash) > 0) == hashed
        assert count(session, Interaction) == count(session, Thread) == 0
    assert places_of(db, OUTSIDER) == [] and places_of(db, "Hello") == []


def test_mail_that_turns_out_to_be_internal_loses_its_hashes(any_db: Database, keyring: Keyring) -> None:
    """Field note 8: somebody configured the second domain of the team a day late."""
    from models.setting import set_team_setting

    desk = Desk(any_db, keyring)
    item = note("kim@acme-labs.example")
    desk.take(item)
    with any_db.write() as session:
        assert count(session, LedgerHash) > 0
        set_team_setting(session, "internal_domains", ["acme-labs.example"])
    desk.take(item)
    with any_db.read() as session:
        assert count(session, LedgerHash) == 0 and outcomes(session) == {"internal": 1}


def test_a_conversation_is_one_thread_whichever_mail_is_seen_first(any_db: Database, keyring: Keyring) -> None:
    northwind(any_db)
    desk, other = Desk(any_db, keyring), Desk(any_db, keyring, COLLEAGUE)
    root = note(message_id="root@x")
    reply = note(REP, BUYER, "Re: Hello", message_id="re@x", references=("root@x",), outbound=True)
    last = note(subject="Re: Hello", message_id="last@x", references=("root@x", "re@x"))
    desk.take(last)
    other.take(root)
    desk.take(reply)
    with any_db.read() as session:
        assert len(set(session.exec(select(Interaction.thread_id)).all())) == 1


def test_two_threads_that_turn_out_to_be_one_are_joined(any_db: Database, keyring: Keyring) -> None:
    northwind(any_db)
    desk = Desk(any_db, keyring)
    desk.take(note(message_id="a@x", thread="g1"))
    desk.take(note(message_id="c@x", references=("b@x",), thread="g2"))
    with any_db.read() as session:
        assert len(set(session.exec(select(Interaction.thread_id)).all())) == 2
    desk.take(note(message_id="b@x", references=("a@x",), thread="g3"))
    with any_db.read() as session:
        assert len(set(session.exec(select(Interaction.thread_id)).all())) == 1


def test_a_race_for_the_keys_of_a_thread_ends_in_one_thread(any_db: Database, keyring: Keyring) -> None:
    """Field note 22: another worker stored the conversation after our address book was read."""
    from worker import threads, view

    northwind(any_db)
    desk = Desk(any_db, keyring)
    desk.take(note(message_id="a@x"))
    late = view.of_message(note(message_id="b@x", references=("a@x",)), desk.source)
    with any_db.write() as session:
        first = session.exec(select(Interaction.thread_id)).one()
        assert threads.assign(session, [late], {}, now=NOW) == {late.item_id: first}


def test_hostile_text_is_stored_without_harm(any_db: Database, keyring: Keyring) -> None:
    """Field note 24: NUL bytes, lone surrogates, two thousand recipients."""
    northwind(any_db)
    crowd = tuple(Party("to", f"p{number}@crowd.example", "N\x00ame\ud800") for number in range(2000))
    Desk(any_db, keyring).take(
        note(
            subject="N\x00ul \ud83d",
            parties=(Party("from", BUYER, "B\x00ea"), *crowd),
            body=Body("x" * 300_000 + "\x00", "\ud800hi", links=("https://x.example",) * 50),
        )
    )
    with any_db.read() as session:
        row = session.exec(select(Interaction)).one()
        assert "\x00" not in row.subject + row.text + row.new_text and len(row.text) <= 200_000
        assert len(row.parties) == 200
        assert len(str(session.exec(select(Event.payload).where(Event.kind == "interaction.logged")).one())) < 20_000


def test_history_is_announced_only_when_the_team_asks(any_db: Database, keyring: Keyring) -> None:
    from models.setting import set_team_setting

    northwind(any_db)
    desk = Desk(any_db, keyring)
    desk.take(note(at=NOW - timedelta(days=2)), note(subject="News"))
    with any_db.write() as session:
        assert kinds(session)["interaction.logged"] == 1
        set_team_setting(session, "announce_backfill", True)
    desk.take(note(subject="Older", at=NOW - timedelta(days=3)))
    with any_db.read() as session:
        assert kinds(session)["interaction.logged"] == 2


def test_an_event_tells_no_more_than_the_account_allows(any_db: Database, keyring: Keyring) -> None:
    """Field note 9: webhooks included."""
    northwind(any_db)
    Desk(any_db, keyring, visibility="subject").take(note(subject="Shown", text=None))
    Desk(any_db, keyring, COLLEAGUE, visibility="metadata").take(note(subject="Hidden", text=None))
    with any_db.read() as session:
        rows = session.exec(
            select(Event.payload).where(Event.kind == "interaction.logged").order_by(col(Event.id))
        ).all()
        assert [(row["subject"], row["snippet"]) for row in rows] == [("Shown", None), (None, None)]


def test_what_was_stored_makes_the_deal_think(any_db: Database, keyring: Keyring) -> None:
    northwind(any_db)
    work = at_rest(any_db, keyring)
    keep_up(work)
    Desk(any_db, keyring).take(note())
    from models.deal import Deal

    with any_db.read() as session:
        assert session.exec(select(Deal.suggest_at)).one() == NOW


def test_connector_errors_are_not_swallowed_by_the_books(db: Database, keyring: Keyring) -> None:
    desk = Desk(db, keyring)
    with pytest.raises(ConnectorError):
        raise ConnectorError("x", "y")
    assert desk.take() == []
