"""What people decide about where an interaction belongs: remembered, and undoable whole."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from models.db import Database
from models.deal import Actor, move_deal
from models.errors import Conflict, NotFound
from models.interaction import Choice, Held, Interaction, Link
from models.ledger import LedgerEntry
from models.linking import choose_deal, choose_none, owner_of_copy, relink, undo_choice, unlink
from tests.models.cast import (
    buyer,
    conversation,
    copied,
    count,
    firm,
    letter,
    mailbox,
    member,
    sale,
    stage,
    told,
    waiting,
)
from tests.support import COLLEAGUE, NOW

LATER = NOW + timedelta(hours=1)


def _links(session: Session, row: Interaction | Held) -> list[tuple[int, str]]:
    key = row.interaction_id if isinstance(row, Held) else row.id
    found = session.exec(select(Link).where(Link.interaction_id == key, Link.removed_at == None))  # noqa: E711
    return [(link.deal_id, link.rule) for link in found]


def _outcome(session: Session, held: Held) -> str:
    return session.exec(select(LedgerEntry.outcome).where(LedgerEntry.interaction_id == held.interaction_id)).one()


def _taught(session: Session) -> dict[tuple[str, str], int]:
    return {(row.kind, row.key): row.deal_id for row in session.exec(select(Choice))}


def test_a_choice_links_teaches_and_takes_the_rest_of_the_thread_along(any_db: Database) -> None:
    with any_db.write() as session:
        account, source = mailbox(session)
        bea, deal, thread = buyer(session), sale(session), conversation(session)
        deal.suggest_at = None
        held = waiting(session, account, source, [bea], thread=thread)
        alike = waiting(session, account, source, [bea], thread=thread)
        other = waiting(session, account, source, [bea], thread=conversation(session))
        link = choose_deal(session, held, deal.id or 0, user_id=account.user_id, now=LATER)
        assert (link.rule, link.made_by, link.reasons) == ("person", account.user_id, ["chosen by hand"])
        assert _links(session, alike) == [(deal.id, "thread")] and _links(session, other) == []
        assert [row.state for row in (held, alike, other)] == ["chosen", "chosen", "open"]
        assert [_outcome(session, row) for row in (held, alike, other)] == ["logged", "logged", "held"]
        assert _taught(session) == {("thread", str(thread)): deal.id, ("contact", str(bea.id)): deal.id}
        assert not session.get_one(Interaction, held.interaction_id).held
        assert deal.suggest_at == LATER
        assert [event.deal_id for event in told(session, "interaction.logged")] == [deal.id, deal.id]
        with pytest.raises(Conflict):
            choose_deal(session, held, deal.id or 0, user_id=account.user_id, now=LATER)


def test_a_choice_teaches_nothing_about_another_customer_on_the_mail(any_db: Database) -> None:
    """Field note 13: Pat's deal was in question; Bea's mail goes on to her own."""
    with any_db.write() as session:
        account, source = mailbox(session)
        south = firm(session, "Southgate", "southgate.example")
        bea, pat = buyer(session), buyer(session, "pat@southgate.example", name="Pat", company_id=south.id)
        sale(session, people=[(bea, "")])
        harbour = sale(session, "Harbour", company_id=south.id)
        held = waiting(session, account, source, [bea, pat])
        choose_deal(session, held, harbour.id or 0, user_id=account.user_id, now=NOW)
        assert _taught(session) == {("contact", str(pat.id)): harbour.id}


def test_a_choice_does_not_decide_what_waits_for_somebody_else(any_db: Database) -> None:
    with any_db.write() as session:
        mine, theirs = mailbox(session), mailbox(session, COLLEAGUE)
        thread, deal = conversation(session), sale(session)
        held = waiting(session, *mine, [], thread=thread)
        other = waiting(session, *theirs, [], thread=thread)
        choose_deal(session, held, deal.id or 0, user_id=mine[0].user_id, now=NOW)
        assert other.state == "open"


def test_a_choice_for_a_deal_that_is_none_is_refused(db: Database) -> None:
    with db.write() as session:
        held = waiting(session, *mailbox(session), [])
        with pytest.raises(NotFound):
            choose_deal(session, held, 99, user_id=1, now=NOW)
        assert held.state == "open"


def test_no_deal_keeps_it_on_the_contacts_page_and_teaches_nothing(any_db: Database) -> None:
    with any_db.write() as session:
        account, source = mailbox(session)
        held = waiting(session, account, source, [buyer(session)], thread=conversation(session))
        choose_none(session, held, user_id=account.user_id, now=LATER)
        assert (held.state, held.decided_by, _outcome(session, held)) == ("none", account.user_id, "logged")
        assert not session.get_one(Interaction, held.interaction_id).held
        assert _links(session, held) == [] and _taught(session) == {}
        with pytest.raises(Conflict):
            choose_none(session, held, user_id=account.user_id, now=LATER)
        undo_choice(session, held, now=LATER)
        assert (held.state, _outcome(session, held)) == ("open", "held")


def test_undoing_a_choice_takes_back_all_of_it(any_db: Database) -> None:
    with any_db.write() as session:
        account, source = mailbox(session)
        bea, deal, thread = buyer(session), sale(session), conversation(session)
        held = waiting(session, account, source, [bea], thread=thread)
        alike = waiting(session, account, source, [bea], thread=thread)
        choose_deal(session, held, deal.id or 0, user_id=account.user_id, now=NOW)
        undo_choice(session, held, now=LATER)
        for row in (held, alike):
            assert (row.state, row.decided_at, row.decided_by) == ("open", None, None)
            assert session.get_one(Interaction, row.interaction_id).held
            assert _links(session, row) == [] and _outcome(session, row) == "held"
        assert _taught(session) == {}
        assert deal.suggest_at == LATER
        with pytest.raises(Conflict):
            undo_choice(session, held, now=LATER)
        choose_deal(session, held, deal.id or 0, user_id=account.user_id, now=LATER)
        assert len(told(session, "interaction.logged")) == 2


def test_undo_forgets_nothing_that_a_later_choice_taught(any_db: Database) -> None:
    with any_db.write() as session:
        account, source = mailbox(session)
        bea, one, two = buyer(session), sale(session), sale(session, "Two")
        first = waiting(session, account, source, [bea], thread=conversation(session))
        second = waiting(session, account, source, [bea], thread=conversation(session))
        choose_deal(session, first, one.id or 0, user_id=account.user_id, now=NOW)
        choose_deal(session, second, two.id or 0, user_id=account.user_id, now=LATER)
        undo_choice(session, first, now=LATER)
        assert _taught(session)[("contact", str(bea.id))] == two.id
        assert _links(session, second) == [(two.id, "person")]


def test_relinking_moves_it_and_is_remembered(any_db: Database) -> None:
    with any_db.write() as session:
        account, source = mailbox(session)
        bea, wrong, right = buyer(session), sale(session), sale(session, "Right")
        row = letter(session, account=account, source=source, people=[bea], on=wrong, thread=conversation(session))
        for _ in range(2):
            relink(session, row, right.id or 0, user_id=account.user_id, now=LATER)
            assert _links(session, row) == [(right.id, "person")]
        assert set(_taught(session).values()) == {right.id}
        assert wrong.suggest_at == right.suggest_at == LATER
        relink(session, row, wrong.id or 0, user_id=account.user_id, now=LATER)
        assert _links(session, row) == [(wrong.id, "person")] and count(session, Link) == 2
        with pytest.raises(NotFound):
            relink(session, row, 99, user_id=account.user_id, now=LATER)


def test_relinking_what_is_held_decides_it(any_db: Database) -> None:
    """Field note 12: it must not go on waiting on a queue, hidden from the deal's team."""
    with any_db.write() as session:
        account, source = mailbox(session)
        deal = sale(session)
        held = waiting(session, account, source, [])
        row = session.get_one(Interaction, held.interaction_id)
        relink(session, row, deal.id or 0, user_id=account.user_id, now=LATER)
        assert (held.state, row.held, _outcome(session, held)) == ("chosen", False, "logged")


def test_taking_it_off_a_deal_is_kept_as_a_removal(any_db: Database) -> None:
    with any_db.write() as session:
        account, source = mailbox(session)
        deal = sale(session)
        row = letter(session, account=account, source=source, on=deal)
        unlink(session, row, deal.id or 0, now=LATER)
        assert _links(session, row) == [] and count(session, Link) == 1
        with pytest.raises(NotFound):
            unlink(session, row, deal.id or 0, now=LATER)


def test_a_link_made_by_hand_remembers_the_stage_of_its_own_day(any_db: Database) -> None:
    with any_db.write() as session:
        account, source = mailbox(session)
        deal = sale(session, at=NOW - timedelta(days=30))
        move_deal(session, deal, stage(session, "Won"), actor=Actor(None), now=NOW)
        row = letter(session, account=account, source=source, occurred_at=NOW - timedelta(days=20))
        link = relink(session, row, deal.id or 0, user_id=account.user_id, now=LATER)
        assert link.stage_id == stage(session, "Lead").id


def test_the_event_of_a_choice_tells_the_team_no_more_than_the_mailbox_allows(any_db: Database) -> None:
    """Field note 9: webhooks included."""
    with any_db.write() as session:
        deal = sale(session)
        open_box = mailbox(session, visibility="full")
        shy_box = mailbox(session, COLLEAGUE, visibility="metadata")
        for box in (open_box, shy_box):
            held = waiting(session, *box, [], subject="Secret plan", snippet="we will")
            choose_deal(session, held, deal.id or 0, user_id=box[0].user_id, now=NOW)
        shown, hidden = (event.payload for event in told(session, "interaction.logged"))
        assert (shown["subject"], shown["snippet"]) == ("Secret plan", "we will")
        assert (hidden["subject"], hidden["snippet"]) == (None, None)


def test_the_owners_of_the_copies_are_told_apart(any_db: Database) -> None:
    with any_db.write() as session:
        mine, theirs = mailbox(session), mailbox(session, COLLEAGUE)
        row = letter(session, account=mine[0], source=mine[1])
        copied(session, row, *theirs)
        assert set(owner_of_copy(session, row.id or 0)) == {mine[0].user_id, theirs[0].user_id}
        assert member(session).id in owner_of_copy(session, row.id or 0)
