"""Which conversation an item belongs to, and by what a view leads there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import col, select

from connectors.items import Party
from models.db import Database
from models.interaction import Interaction, Thread, ThreadKey
from models.keyring import Keyring
from tests.models.cast import buyer, count, firm, sale
from tests.support import BUYER, COLLEAGUE, NOW, OUTSIDER, REP
from tests.worker.scene import Desk, note, on_deals, talk
from worker import threads, view


def _cast(db: Database) -> None:
    with db.write() as session:
        sale(session, company_id=firm(session).id, people=[(buyer(session), "")])


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({}, []),
        ({"references": ("a@x", "b@x")}, ["m:b@x", "m:a@x"]),
        ({"references": ("a@x",), "thread": "g"}, ["m:a@x", "p:7:g"]),
        ({"references": ("a@x",), "thread": "g", "forwarded": True, "subject": "Fwd: Hello"}, []),
        ({"references": ("a@x", "b@x"), "thread": "g", "forwarded": True, "subject": "Re: Fwd: Hello"}, ["m:b@x"]),
        ({"thread": "g", "forwarded": True, "subject": "Re: Fwd: Hello"}, []),
        ({"bounce_of": "sent@x", "thread": "g", "machine": "bounce"}, ["m:sent@x", "p:7:g"]),
        ({"references": tuple(f"{n}@x" for n in range(80))}, [f"m:{n}@x" for n in range(79, 29, -1)]),
    ],
)
def test_a_mail_leads_to_its_conversation_nearest_first(fields: dict, keys: list[str]) -> None:
    assert list(view.of_message(note(**fields), 7).thread_keys) == keys


def test_only_what_hands_on_counts_as_a_forward() -> None:
    handed = view.of_message(note(subject="Fwd: Hello", forwarded=True, references=("a@x",)), 7)
    answer = view.of_message(note(subject="AW: WG: Hallo", forwarded=True, references=("a@x",)), 7)
    assert handed.forwarded and not answer.forwarded


def test_rooms_and_reply_addresses_are_nobody() -> None:
    parties = (Party("from", BUYER.upper()), Party("from", BUYER), Party("reply_to", OUTSIDER), Party("to", REP))
    assert [(p.role, p.address) for p in view.of_message(note(parties=parties), 7).people] == [
        ("from", BUYER),
        ("to", REP),
    ]
    room = Party("attendee", "room@acme.example", resource=True)
    seen = view.of_meeting(talk(parties=(Party("organizer", REP), room), uid="u@cal"))
    assert [p.address for p in seen.people] == [REP] and seen.thread_keys == ("u:u@cal",)


def test_what_is_stored_is_seen_as_it_was_when_it_came(db: Database, keyring: Keyring) -> None:
    """Deciding again must look at the same facts."""
    _cast(db)
    desk = Desk(db, keyring)
    mails = [
        note(machine="list", machine_reason="List-Id: x"),
        note(subject="Fwd: x", forwarded=True),
        note(REP, BUYER, outbound=True),
        note(parties=(Party("from", BUYER), Party("sender", OUTSIDER), Party("to", REP, "Rae"))),
    ]
    desk.take(*mails)
    with db.read() as session:
        rows = session.exec(select(Interaction).order_by(col(Interaction.id))).all()
        for mail, row in zip(mails, rows, strict=True):
            first, again = view.of_message(mail, desk.source), view.of_stored(row)
            for name in ("kind", "at", "people", "machine", "machine_reason", "forwarded", "outbound", "private"):
                assert getattr(first, name) == getattr(again, name), name


def test_one_page_in_any_order_is_one_thread(db: Database) -> None:
    root, reply, last = (
        view.of_message(note(message_id=f"{n}@x", references=refs), 7)
        for n, refs in ((1, ()), (2, ("1@x",)), (3, ("1@x", "2@x")))
    )
    for order in ([root, reply, last], [last, reply, root], [reply, last, root]):
        with db.write() as session:
            assert len(set(threads.assign(session, order, {}, now=NOW).values())) == 1
            session.rollback()


def test_the_older_of_two_threads_stays(db: Database) -> None:
    with db.write() as session:
        session.add_all([Thread(id=1, created_at=NOW), Thread(id=2, created_at=NOW)])
        session.flush()
        session.add_all([ThreadKey(key="m:a@x", thread_id=2), ThreadKey(key="m:b@x", thread_id=1)])
        session.flush()
        seen = view.of_message(note(message_id="a@x", references=("b@x",)), 7)
        assert threads.assign(session, [seen], {"m:a@x": 2, "m:b@x": 1}, now=NOW) == {seen.item_id: 1}
        assert set(session.exec(select(ThreadKey.thread_id)).all()) == {1}


def test_strangers_threads_stay_apart(db: Database) -> None:
    one, other = (view.of_message(note(references=(f"{n}@x",), subject="Hello"), 7) for n in range(2))
    with db.write() as session:
        assert len(set(threads.assign(session, [one, other], {}, now=NOW).values())) == 2


def test_an_answer_to_the_id_that_a_relay_gave_finds_the_thread(any_db: Database, keyring: Keyring) -> None:
    """Field note 16: the sender's copy and the recipients' have different Message-IDs; customers answer theirs."""
    _cast(any_db)
    sender, colleague = Desk(any_db, keyring), Desk(any_db, keyring, COLLEAGUE)
    sent = {"sender": REP, "to": [BUYER, COLLEAGUE]}
    sender.take(note(**sent, message_id="ours@acme", outbound=True))
    colleague.take(note(**sent, message_id="relay@ses", thread="g-col"))
    sender.take(note(OUTSIDER, REP, "Re: Hello", references=("relay@ses",), at=NOW + timedelta(hours=1)))
    colleague.take(note(OUTSIDER, COLLEAGUE, "Me too", thread="g-col", at=NOW + timedelta(hours=2)))
    with any_db.read() as session:
        assert count(session, Interaction) == 3
        assert {rule for _, _, rule in on_deals(session)[1:]} == {"thread"}
        assert len(set(session.exec(select(Interaction.thread_id)).all())) == 1
