"""Meetings that change after they were logged: one row for all calendars that hold them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from connectors.items import Meeting, Party
from models.db import Database
from models.deal import Deal
from models.interaction import Copy, Interaction
from models.keyring import Keyring
from tests.models.cast import buyer, count, firm, sale, told
from tests.support import BUYER, COLLEAGUE, NOW, OUTSIDER, REP
from tests.worker.scene import Desk, entry, on_deals, outcomes, talk
from worker.meetings import hold_meetings

DAY = timedelta(days=1)
SPARSE = {"sparse": True, "status": "cancelled", "parties": (), "subject": ""}


def _desks(db: Database, keyring: Keyring) -> tuple[Desk, Desk]:
    with db.write() as session:
        sale(session, company_id=firm(session).id, people=[(buyer(session), "")])
    return Desk(db, keyring, kind="calendar"), Desk(db, keyring, COLLEAGUE, kind="calendar")


def _answers(db: Database) -> dict[str, str]:
    with db.read() as session:
        row = session.exec(select(Interaction)).one()
        return {party["address"]: party["response"] for party in row.parties}


def test_one_meeting_in_two_calendars_is_one_row_with_all_answers(any_db: Database, keyring: Keyring) -> None:
    """Field note 18: each attendee's calendar knows its own answer first."""
    rae, col = _desks(any_db, keyring)
    people = {"organizer": BUYER, "uid": "u@cal"}
    rae.take(talk(REP, COLLEAGUE, answers={REP: "accepted"}, **people))
    col.take(talk(REP, COLLEAGUE, answers={COLLEAGUE: "tentative"}, **people))
    with any_db.read() as session:
        assert count(session, Interaction) == 1 and count(session, Copy) == 2
        assert on_deals(session) == [("Kick-off", "Windmill", "address")]
        assert len(told(session, "meeting.scheduled")) == 1
    assert _answers(any_db) == {BUYER: "none", REP: "accepted", COLLEAGUE: "tentative"}


@pytest.mark.parametrize("whole", [True, False])
def test_who_invites_is_a_guest_too_and_stays_the_organizer(any_db: Database, keyring: Keyring, whole: bool) -> None:
    rae, colleague = _desks(any_db, keyring)
    parties = (
        Party("organizer", REP),
        Party("attendee", REP, "Rae", "accepted"),
        Party("attendee", COLLEAGUE, "Col"),
        Party("attendee", BUYER, "Bea"),
    )
    rae.take(replace(talk(uid="u@cal"), parties=parties))
    colleague.take(replace(talk(uid="u@cal"), parties=parties, parties_complete=whole))
    with any_db.read() as session:
        row = session.exec(select(Interaction)).one()
    assert [(party["address"], party["response"]) for party in row.parties if party["role"] == "organizer"] == [
        (REP, "accepted")
    ]
    assert sorted(party["address"] for party in row.parties) == sorted([REP, COLLEAGUE, BUYER])


def test_the_buyers_refusal_is_seen_and_no_partial_list_takes_anybody_off(any_db: Database, keyring: Keyring) -> None:
    rae, _ = _desks(any_db, keyring)
    first = talk(BUYER, OUTSIDER, uid="u@cal")
    rae.take(first)
    rae.take(talk(BUYER, OUTSIDER, uid="u@cal", item_id=first.item_id, answers={BUYER: "declined"}))
    assert _answers(any_db)[BUYER] == "declined"
    rae.take(talk(BUYER, uid="u@cal", item_id=first.item_id, parties_complete=False))
    assert _answers(any_db) == {REP: "none", BUYER: "declined", OUTSIDER: "none"}
    rae.take(talk(BUYER, uid="u@cal", item_id=first.item_id))
    assert _answers(any_db) == {REP: "none", BUYER: "declined"}, "the whole list says that somebody was taken off"


def test_a_moved_meeting_keeps_its_row_and_an_older_copy_moves_nothing(any_db: Database, keyring: Keyring) -> None:
    """Field note 17."""
    rae, col = _desks(any_db, keyring)
    first = talk(BUYER, COLLEAGUE, uid="u@cal")
    rae.take(first)
    rae.take(talk(BUYER, COLLEAGUE, uid="u@cal", item_id=first.item_id, start=NOW + 3 * DAY, sequence=2))
    col.take(talk(BUYER, COLLEAGUE, uid="u@cal", sequence=1, subject="Old words"))
    with any_db.read() as session:
        row = session.exec(select(Interaction)).one()
        assert (row.occurred_at, row.sequence, row.subject) == (NOW + 3 * DAY, 2, "Kick-off")


@pytest.mark.parametrize(("sparse", "cancelled"), [(True, False), (False, True)])
def test_one_calendar_less_is_no_cancellation_for_all(
    any_db: Database, keyring: Keyring, sparse: bool, cancelled: bool
) -> None:
    """Field note 18: ids alone may mean that one of us took it off the own calendar."""
    rae, col = _desks(any_db, keyring)
    mine, theirs = talk(BUYER, COLLEAGUE, uid="u@cal"), talk(BUYER, COLLEAGUE, uid="u@cal")
    rae.take(mine), col.take(theirs)
    gone = SPARSE if sparse else {"status": "cancelled"}
    rae.take(talk(BUYER, COLLEAGUE, uid="u@cal", item_id=mine.item_id, **gone))
    with any_db.read() as session:
        row = session.exec(select(Interaction)).one()
        assert (row.status == "cancelled") == cancelled and row.subject == "Kick-off" and len(row.parties) == 3
    col.take(talk(BUYER, COLLEAGUE, uid="u@cal", item_id=theirs.item_id, **gone))
    with any_db.read() as session:
        assert session.exec(select(Interaction.status)).one() == "cancelled"
        assert set(session.exec(select(Copy.state)).all()) == {"deleted"}
        assert len(told(session, "meeting.cancelled")) == 1


def test_what_was_cancelled_before_it_was_seen_is_accounted_for(db: Database, keyring: Keyring) -> None:
    rae, _ = _desks(db, keyring)
    gone = talk(uid="", **SPARSE)
    rae.take(gone)
    with db.read() as session:
        row = entry(session, gone.item_id)
        assert (row.outcome, row.reason, row.state) == ("ignored", "cancelled before it was seen", "deleted")
        assert count(session, Interaction) == 0


def test_a_meeting_is_held_once_and_again_when_it_was_moved(any_db: Database, keyring: Keyring) -> None:
    rae, _ = _desks(any_db, keyring)
    first = talk(BUYER, uid="u@cal")
    called_off = talk(BUYER, status="cancelled")
    rae.take(first, called_off)
    after = NOW + DAY + timedelta(hours=1)
    assert hold_meetings(any_db, after - timedelta(minutes=1)) == 0
    assert [hold_meetings(any_db, after), hold_meetings(any_db, after)] == [1, 0]
    with any_db.read() as session:
        assert [event.deal_id for event in told(session, "meeting.held")] == [1]
        assert session.exec(select(Deal.suggest_at)).one() == after
    rae.take(talk(BUYER, uid="u@cal", item_id=first.item_id, start=NOW + 9 * DAY, sequence=1))
    assert hold_meetings(any_db, after) == 0
    assert hold_meetings(any_db, NOW + 10 * DAY) == 1


def test_history_is_held_without_a_word(db: Database, keyring: Keyring) -> None:
    rae, _ = _desks(db, keyring)
    rae.take(talk(BUYER, start=NOW - 5 * DAY))
    assert hold_meetings(db, NOW) == 1
    with db.read() as session:
        assert told(session, "meeting.held") == [] and session.exec(select(Interaction.held_at)).one() is not None


def test_private_and_internal_meetings_leave_nothing_but_their_id(db: Database, keyring: Keyring) -> None:
    rae, _ = _desks(db, keyring)
    private: Meeting = talk(BUYER, private=True)
    inside = talk(COLLEAGUE, parties=(Party("organizer", REP), Party("attendee", COLLEAGUE)))
    rae.take(private, inside)
    with db.read() as session:
        assert outcomes(session, "calendar") == {"ignored": 1, "internal": 1} and count(session, Interaction) == 0
