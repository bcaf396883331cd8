"""One mail in several mailboxes is one entry, whoever stores it first, and only when the copies agree."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import select

from models.db import Database
from models.interaction import Copy, Held, Interaction, Link
from models.keyring import Keyring
from models.linking import choose_none, unlink
from tests.models.cast import buyer, count
from tests.support import COLLEAGUE, NOW, REP
from tests.worker.scene import Desk, kinds, northwind, note, on_deals, outcomes, states


def test_one_mail_in_three_mailboxes_is_one_entry(any_db: Database, keyring: Keyring) -> None:
    """Field note 16."""
    northwind(any_db)
    for email in (REP, COLLEAGUE, "kim@acme.example"):
        Desk(any_db, keyring, email).take(note(to=[REP, COLLEAGUE], message_id="one@x"))
    with any_db.read() as session:
        assert count(session, Interaction) == count(session, Link) == 1
        assert states(session) == ["present"] * 3 and outcomes(session) == {"logged": 3}
        assert kinds(session)["interaction.logged"] == 1


def test_three_workers_that_store_one_mail_at_one_moment_store_it_once(any_db: Database, keyring: Keyring) -> None:
    """Field notes 16 and 22."""
    northwind(any_db)
    desks = [Desk(any_db, keyring, email) for email in (REP, COLLEAGUE, "kim@acme.example")]
    start = threading.Barrier(len(desks))

    def run(desk: Desk) -> None:
        start.wait()
        for number in range(5):
            desk.take(note(to=[REP, COLLEAGUE], message_id=f"{number}@x", references=("root@x",)))

    with ThreadPoolExecutor(len(desks)) as pool:
        list(pool.map(run, desks))
    with any_db.read() as session:
        assert count(session, Interaction) == 5 and count(session, Copy) == 15
        assert len(set(session.exec(select(Interaction.thread_id)).all())) == 1
        assert kinds(session)["interaction.logged"] == 5


@pytest.mark.parametrize(
    ("first", "second", "entries"),
    [
        ({}, {}, 1),
        ({}, {"subject": "[team] Hello"}, 1),
        ({}, {"subject": "Something else entirely"}, 2),
        ({}, {"sender": "eve@evil.example"}, 2),
        ({}, {"sender": "bob@northwind.example"}, 1),
        ({}, {"at": NOW + timedelta(days=3)}, 2),
        ({"message_id": ""}, {"message_id": ""}, 1),
        ({"message_id": ""}, {}, 1),
        ({}, {"message_id": ""}, 1),
        ({"message_id": ""}, {"message_id": "", "subject": "Other"}, 2),
        ({"message_id": ""}, {"message_id": "", "at": NOW + timedelta(minutes=2)}, 2),
        ({"message_id": "a@x"}, {"message_id": "b@x"}, 2),
    ],
)
@pytest.mark.parametrize("pages", [1, 2])
def test_two_copies_are_one_mail_only_when_they_agree(
    db: Database, keyring: Keyring, first: dict, second: dict, entries: int, pages: int
) -> None:
    """Field note 16: Message-ID missing, rewritten, reused or spoofed."""
    northwind(db)
    with db.write() as session:
        buyer(session, "eve@evil.example", name="Eve")
    desk = Desk(db, keyring)
    same = {"message_id": "same@x", "to": [REP, COLLEAGUE]}
    one, two = note(**(same | first)), note(**(same | second))
    if pages == 1:
        desk.take(one, two)
    else:
        desk.take(one)
        desk.take(two)
    with db.read() as session:
        assert count(session, Interaction) == entries
        assert count(session, Copy) == 2 and outcomes(session) == {"logged": 2}


def test_a_stranger_s_mail_with_a_customer_s_message_id_stays_outside(db: Database, keyring: Keyring) -> None:
    """F60: two different mails with one Message-ID are no match; a colleague's copy of the customer's is."""
    northwind(db)
    desk, other = Desk(db, keyring), Desk(db, keyring, COLLEAGUE)
    desk.take(note(subject="Alpha", message_id="same@x", to=[REP, COLLEAGUE]))
    desk.take(note(sender="mallory@evil.example", subject="Wire it here", message_id="same@x"))
    other.take(note(subject="Alpha", message_id="same@x", to=[REP, COLLEAGUE]))
    with db.read() as session:
        assert session.exec(select(Interaction.subject)).all() == ["Alpha"]
        assert count(session, Copy) == 2 and outcomes(session) == {"logged": 2, "ignored": 1}


def test_a_later_copy_of_a_reused_id_finds_its_own_twin(db: Database, keyring: Keyring) -> None:
    northwind(db)
    desk, other = Desk(db, keyring), Desk(db, keyring, COLLEAGUE)
    odd = {"message_id": "same@x", "to": [REP, COLLEAGUE]}
    desk.take(note(subject="Alpha", **odd), note(subject="Beta", **odd))
    other.take(note(subject="Beta", **odd))
    other.take(note(subject="Alpha", **odd))
    with db.read() as session:
        assert count(session, Interaction) == 2
        assert Counter(session.exec(select(Copy.interaction_id)).all()) == {1: 2, 2: 2}


def test_a_copy_that_may_be_opened_fills_in_what_the_first_kept_closed(any_db: Database, keyring: Keyring) -> None:
    northwind(any_db)
    Desk(any_db, keyring, REP, visibility="metadata").take(note(message_id="one@x", text=None))
    Desk(any_db, keyring, COLLEAGUE).take(note(message_id="one@x", text="We accept your offer, please go ahead."))
    with any_db.read() as session:
        row = session.exec(select(Interaction)).one()
        assert row.new_text.startswith("We accept") and row.snippet


def test_a_copy_does_not_reverse_what_a_person_decided(any_db: Database, keyring: Keyring) -> None:
    northwind(any_db, "Alpha", "Beta")
    desk, other = Desk(any_db, keyring), Desk(any_db, keyring, COLLEAGUE)
    desk.take(note(message_id="one@x"))
    with any_db.write() as session:
        held = session.exec(select(Held)).one()
        choose_none(session, held, user_id=desk.account.user_id, now=NOW)
    other.take(note(message_id="one@x"))
    with any_db.read() as session:
        assert count(session, Link) == 0 and outcomes(session) == {"logged": 2}
        assert session.exec(select(Held.state)).all() == ["none"]


def test_a_copy_does_not_bring_back_a_link_that_was_taken_off(any_db: Database, keyring: Keyring) -> None:
    northwind(any_db)
    Desk(any_db, keyring).take(note(message_id="one@x"))
    with any_db.write() as session:
        row = session.exec(select(Interaction)).one()
        unlink(session, row, session.exec(select(Link.deal_id)).one(), now=NOW)
    Desk(any_db, keyring, COLLEAGUE).take(note(message_id="one@x"))
    with any_db.read() as session:
        assert on_deals(session) == [] and kinds(session)["interaction.logged"] == 1
