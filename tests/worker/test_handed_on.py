"""A customer's mail that a list of ours or a web form hands on: held for the mailbox's owner, and never put on a deal unseen."""

from __future__ import annotations

import pytest
from sqlmodel import select

from connectors.items import Party
from models.db import Database
from models.interaction import Held, Interaction
from models.keyring import Keyring
from models.linking import choose_deal
from tests.models.cast import buyer, firm, sale
from tests.support import BUYER, NOW
from tests.worker.scene import Desk, note, on_deals, outcomes
from worker.rematch import rematch

GROUP = "sales@acme.example"
PARTIES = (Party("from", GROUP, "Bea via Sales"), Party("to", GROUP), Party("reply_to", BUYER, "Bea"))


@pytest.fixture
def desk(any_db: Database, keyring: Keyring) -> Desk:
    """Bea of Northwind, and her deal."""
    desk = Desk(any_db, keyring)
    with any_db.write() as session:
        person = buyer(session, company_id=firm(session).id)
        sale(session, company_id=person.company_id, people=[(person, "buyer")])
    return desk


def test_it_waits_for_the_owner_of_the_mailbox_and_stands_where_they_say(desk: Desk) -> None:
    desk.take(note(parties=PARTIES, machine="list", machine_reason="List-Id"))
    with desk.db.write() as session:
        assert (outcomes(session), on_deals(session)) == ({"held": 1}, [])
        held, row = session.exec(select(Held)).one(), session.exec(select(Interaction)).one()
        assert held.user_id == desk.account.user_id
        assert held.reason == "answers to it go to Bea Buyer"
        assert [one["role"] for one in row.parties] == ["from", "to", "reply_to"]
        choose_deal(session, held, held.candidates[0]["deal_id"], user_id=desk.account.user_id, now=NOW)
    with desk.db.read() as session:
        assert on_deals(session) == [("Hello", "Windmill", "person")]


def test_it_still_waits_when_it_is_decided_again(desk: Desk) -> None:
    desk.take(note(parties=PARTIES, machine="list", machine_reason="List-Id"))
    with desk.db.write() as session:
        session.exec(select(Interaction)).one().rematch_at = NOW
    assert rematch(desk.db, NOW) == 1
    with desk.db.read() as session:
        assert (outcomes(session), on_deals(session)) == ({"held": 1}, [])
        assert session.exec(select(Held)).one().state == "open"


def test_where_the_answers_of_a_person_go_is_not_kept(desk: Desk) -> None:
    parties = (Party("from", BUYER), Party("to", GROUP), Party("reply_to", "zoe@stranger.example"))
    desk.take(note(parties=parties))
    with desk.db.read() as session:
        assert [one["role"] for one in session.exec(select(Interaction)).one().parties] == ["from", "to"]


def test_of_a_stranger_behind_a_group_of_ours_nothing_is_kept(desk: Desk) -> None:
    desk.take(note(parties=(*PARTIES[:2], Party("reply_to", "zoe@stranger.example"))))
    with desk.db.read() as session:
        assert outcomes(session) == {"internal": 1}
        assert session.exec(select(Interaction)).all() == []
