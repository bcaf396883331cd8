"""What would move if the settings were different: shown as it would be, changed by nobody's looking, applied exactly."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from models.blocks import add_block
from models.contact import Contact
from models.db import Database
from models.errors import Conflict, Invalid, NotFound
from models.event import Event
from models.interaction import Held, Interaction, Link
from models.keyring import Keyring
from models.ledger import LedgerEntry
from models.linking import choose_deal, relink
from models.setting import set_team_setting, team_settings
from models.simulating import propose, start_applying
from models.simulation import SimulatedMove, Simulation, cancel, claim_due_simulations
from models.user import User
from tests.models import cast
from tests.support import BUYER, COLLEAGUE, NOW, OUTSIDER, REP
from tests.worker.scene import Desk, at_rest, note, on_deals
from worker import simulate, turns
from worker.scheduler import Scheduler
from worker.simulate import run_simulation

DAY = timedelta(days=1)


class Ground:
    """Bea with one deal that was won ten days ago, and Cas with two open ones; mail of both."""

    def __init__(self, db: Database, keyring: Keyring) -> None:
        self.db, self.keyring = db, keyring
        self.desk = Desk(db, keyring)
        with db.write() as session:
            firm = cast.firm(session)
            self.bea = cast.buyer(session, company_id=firm.id).id or 0
            closed = cast.sale(session, "Closed", people=[(session.get_one(Contact, self.bea), "buyer")])
            closed.closed_at = NOW - 10 * DAY
            cas = cast.buyer(session, "cas@other.example", name="Cas Clerk")
            self.old = cast.sale(session, "Old", people=[(cas, "")]).id or 0
            self.new = cast.sale(session, "New", at=NOW - 20 * DAY, people=[(cas, "")]).id or 0
            self.closed = closed.id or 0
        self.work = at_rest(db, keyring)

    def ask(self, **settings: Any) -> int:
        """Ask, and let the worker compute."""
        more = {name: settings.pop(name) for name in ("block", "unblock") if name in settings}
        with self.db.write() as session:
            key = propose(session, settings=settings, user_id=1, now=NOW, **more).id or 0
        self.run()
        return key

    def run(self) -> int:
        with self.db.write() as session:
            won = claim_due_simulations(session, now=NOW, seconds=60, limit=5)
        for key, owner in won:
            run_simulation(self.work, key, owner)
        return len(won)

    def apply(self, key: int) -> None:
        with self.db.write() as session:
            start_applying(session, self.keyring, session.get_one(Simulation, key), user_id=1, now=NOW)
        self.run()

    def row(self, key: int) -> Simulation:
        with self.db.read() as session:
            return session.get_one(Simulation, key)

    def moves(self, key: int) -> list[tuple[str, str, list[int], list[int]]]:
        """(subject, kind, deals before, deals after)."""
        with self.db.read() as session:
            rows = session.exec(
                select(SimulatedMove, Interaction.subject)
                .join(Interaction, col(Interaction.id) == SimulatedMove.interaction_id)
                .where(SimulatedMove.simulation_id == key)
                .order_by(col(Interaction.occurred_at), col(Interaction.id))
            )
            return [
                (subject, move.kind, move.before["deals"], sorted(link["deal_id"] for link in move.after["links"]))
                for move, subject in rows
            ]

    def deals(self) -> list[tuple[str, str]]:
        with self.db.read() as session:
            return [(subject, deal) for subject, deal, _ in on_deals(session)]

    def questions(self) -> list[str]:
        with self.db.read() as session:
            rows = select(Interaction.subject).join(Held, col(Held.interaction_id) == Interaction.id)
            return list(session.exec(rows.where(Held.state == "open").order_by(Interaction.subject)).all())


@pytest.fixture
def ground(any_db: Database, keyring: Keyring) -> Ground:
    return Ground(any_db, keyring)


def snapshot(session: Session) -> tuple[Any, ...]:
    """What must not change by looking."""
    links = [(one.interaction_id, one.deal_id, one.rule) for one in session.exec(select(Link).order_by(col(Link.id)))]
    held = [(one.interaction_id, one.state) for one in session.exec(select(Held).order_by(col(Held.id)))]
    return links, held, len(session.exec(select(Event)).all()), team_settings(session)


def test_a_shorter_grace_takes_mail_off_and_a_look_changes_nothing(ground: Ground) -> None:
    ground.desk.take(note(BUYER, REP, "Thanks", at=NOW - 3 * DAY), note(BUYER, REP, "Before", at=NOW - 15 * DAY))
    assert ground.deals() == [("Before", "Closed"), ("Thanks", "Closed")]
    with ground.db.read() as session:
        before = snapshot(session)
    key = ground.ask(grace_days=5)
    assert ground.moves(key) == [("Thanks", "taken_off", [ground.closed], [])]
    row = ground.row(key)
    assert (row.state, row.total, row.position, row.counts["taken_off"]) == ("ready", 2, 2, 1)
    with ground.db.read() as session:
        assert snapshot(session) == before
    ground.apply(key)
    assert ground.deals() == [("Before", "Closed")] and ground.row(key).state == "applied"
    with ground.db.read() as session:
        assert team_settings(session)["grace_days"] == 5


def test_questions_become_answers_and_answers_questions(ground: Ground) -> None:
    ground.desk.take(note("cas@other.example", REP, "Which?", at=NOW - DAY))
    assert ground.questions() == ["Which?"]
    key = ground.ask(several_deals="newest")
    assert ground.moves(key) == [("Which?", "placed", [], [ground.new])]
    with ground.db.read() as session:
        move = session.exec(select(SimulatedMove)).one()
        assert "the newest of several open deals" in move.after["links"][0]["reasons"]
    ground.apply(key)
    assert ground.questions() == [] and ground.deals() == [("Which?", "New")]
    back = ground.ask(several_deals="ask")
    assert ground.moves(back) == [("Which?", "asked", [ground.new], [])]
    ground.apply(back)
    assert ground.questions() == ["Which?"] and ground.deals() == []
    both = ground.ask(several_deals="all")
    assert ground.moves(both) == [("Which?", "placed", [], [ground.old, ground.new])]


def test_a_conversation_follows_as_it_would_have_grown(ground: Ground) -> None:
    """The answer hangs on its thread's deal today; it must go where the first mail of it would have gone."""
    with ground.db.write() as session:
        set_team_setting(session, "several_deals", "newest")
    first = note("cas@other.example", REP, "First", at=NOW - 5 * DAY, message_id="1@x")
    answer = note(REP, "cas@other.example", "Re: First", at=NOW - 4 * DAY, message_id="2@x", references=("1@x",))
    last = note("cas@other.example", REP, "Re: Re: First", at=NOW - 3 * DAY, references=("1@x", "2@x"))
    ground.desk.take(first)
    ground.desk.take(answer, last)
    assert {deal for _, deal in ground.deals()} == {"New"}
    key = ground.ask(several_deals="all")
    assert [(subject, after) for subject, _, _, after in ground.moves(key)] == [
        (subject, [ground.old, ground.new]) for subject in ("First", "Re: First", "Re: Re: First")
    ]


def test_a_persons_choice_stays_and_is_counted(ground: Ground) -> None:
    ground.desk.take(note("cas@other.example", REP, "Mine", at=NOW - DAY), note(BUYER, REP, "Thanks", at=NOW - DAY))
    with ground.db.write() as session:
        held = session.exec(select(Held)).one()
        choose_deal(session, held, ground.old, user_id=1, now=NOW)
        thanks = session.exec(select(Interaction).where(Interaction.subject == "Thanks")).one()
        relink(session, thanks, ground.new, user_id=1, now=NOW)
    key = ground.ask(several_deals="newest", grace_days=0)
    assert ground.moves(key) == []
    ground.apply(key)
    assert sorted(ground.deals()) == [("Mine", "Old"), ("Thanks", "New")]


def test_what_somebody_touches_between_look_and_application_stays_there(ground: Ground) -> None:
    ground.desk.take(note(BUYER, REP, "Thanks", at=NOW - DAY), note(BUYER, REP, "Bye", at=NOW - DAY))
    key = ground.ask(grace_days=0)
    assert len(ground.moves(key)) == 2
    with ground.db.write() as session:
        thanks = session.exec(select(Interaction).where(Interaction.subject == "Thanks")).one()
        relink(session, thanks, ground.closed, user_id=1, now=NOW)
    ground.apply(key)
    assert ground.deals() == [("Thanks", "Closed")] and ground.row(key).counts["left"] == 1


def test_own_domains_and_blocks_take_off_what_they_would_have_kept_out(ground: Ground) -> None:
    ground.desk.take(note(BUYER, REP, "Thanks", at=NOW - DAY))
    key = ground.ask(internal_domains=["northwind.example"])
    assert ground.moves(key) == [("Thanks", "taken_off", [ground.closed], [])]
    with ground.db.read() as session:
        assert session.exec(select(SimulatedMove)).one().after["outcome"] in ("internal", "ignored")
    blocked = ground.ask(block=[{"kind": "address", "value": BUYER.upper()}])
    assert ground.row(key).state == "cancelled", "one look at a time"
    assert [kind for _, kind, _, _ in ground.moves(blocked)] == ["taken_off"]
    ground.apply(blocked)
    ground.desk.take(note(BUYER, REP, "Again", at=NOW))
    assert ground.deals() == []


def test_ignored_items_are_counted_by_hash_and_looked_at_again(ground: Ground) -> None:
    with ground.db.write() as session:
        block = add_block(session, kind="domain", value="northwind.example", user_id=None, now=NOW).id
    ground.desk.take(note(BUYER, REP, "Kept out", at=NOW - DAY), note(OUTSIDER, REP, "Stranger", at=NOW - DAY))
    key = ground.ask(unblock=[block])
    assert ground.moves(key) == [] and ground.row(key).counts["maybe_logged"] == 1
    ground.apply(key)
    with ground.db.read() as session:
        rows = session.exec(select(LedgerEntry.outcome, LedgerEntry.reason).order_by(LedgerEntry.outcome)).all()
        assert rows == [("ignored", "no contact"), ("owed", "a new contact")]


def test_a_person_may_want_it_their_own_way(ground: Ground) -> None:
    with ground.db.write() as session:
        user = session.exec(select(User).where(User.email == REP)).one()
        user.several_deals = "newest"
        session.add(user)
    other = Desk(ground.db, ground.keyring, COLLEAGUE)
    ground.desk.take(note("cas@other.example", REP, "Rae's", at=NOW - DAY))
    other.take(note("cas@other.example", COLLEAGUE, "Col's", at=NOW - DAY))
    assert ground.deals() == [("Rae's", "New")] and ground.questions() == ["Col's"]
    key = ground.ask(several_deals="all")
    assert [subject for subject, *_ in ground.moves(key)] == ["Col's"], "the team's way is not Rae's"


def test_pages_are_small_and_another_process_goes_on(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "PAGE", 2)
    mails = [note(BUYER, REP, f"Thanks {n}", at=NOW - timedelta(hours=n)) for n in range(5)]
    ground.desk.take(*mails, note(BUYER, REP, "Too old", at=NOW - 95 * DAY))
    with ground.db.write() as session:
        key = propose(session, settings={"grace_days": 0}, user_id=1, now=NOW).id or 0
        won = claim_due_simulations(session, now=NOW, seconds=60, limit=5)
        assert claim_due_simulations(session, now=NOW, seconds=60, limit=5) == []
    assert simulate._page(ground.work, key, won[0][1]) is False
    assert (ground.row(key).position, ground.row(key).total) == (2, 5)
    with ground.db.write() as session:
        again = claim_due_simulations(session, now=NOW + timedelta(minutes=2), seconds=60, limit=5)
    run_simulation(ground.work, key, won[0][1])
    assert ground.row(key).position == 2, "whose lease is lost writes nothing"
    run_simulation(ground.work, key, again[0][1])
    assert ground.row(key).state == "ready" and len(ground.moves(key)) == 5


def test_a_fault_of_ours_is_told_and_at_last_given_up(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(simulate, "compute_page", broken)
    with ground.db.write() as session:
        key = propose(session, settings={"grace_days": 0}, user_id=1, now=NOW).id or 0
    for turn in range(turns.MOST_FAILURES):
        later = NOW + timedelta(hours=turn)
        with ground.db.write() as session:
            won = claim_due_simulations(session, now=later, seconds=60, limit=5)
        assert len(won) == 1
        run_simulation(at_rest(ground.db, ground.keyring, later), *won[0])
    assert ground.row(key).state == "failed" and "ZeroDivisionError" in ground.row(key).error
    assert ground.run() == 0


def test_what_cannot_be_is_refused(ground: Ground) -> None:
    with ground.db.write() as session:
        for settings, error in (
            ({"team_name": "x"}, Invalid),
            ({"grace_days": -1}, Invalid),
            ({"grace_days": 14}, Invalid),
            ({}, Invalid),
        ):
            with pytest.raises(error):
                propose(session, settings=settings, user_id=1, now=NOW)
        with pytest.raises(NotFound):
            propose(session, settings={}, unblock=[99], user_id=1, now=NOW)
        with pytest.raises(Invalid):
            propose(session, settings={}, block=[{"kind": "address", "value": "x"}], user_id=1, now=NOW)
    key = ground.ask(grace_days=3)
    with ground.db.write() as session:
        set_team_setting(session, "reach_back_days", 1)
    with pytest.raises(Conflict, match="changed since"):
        ground.apply(key)
    with ground.db.write() as session:
        cancel(session, session.get_one(Simulation, key), now=NOW)
    with pytest.raises(Conflict):
        ground.apply(key)


def test_the_scheduler_hands_it_out(ground: Ground) -> None:
    with ground.db.write() as session:
        key = propose(session, settings={"grace_days": 0}, user_id=1, now=NOW).id
    handed: list[tuple[Any, ...]] = []
    Scheduler(ground.work, lambda *job: handed.append(job)).tick()
    assert [job[:2] for job in handed if job[0] == "run_simulation"] == [("run_simulation", key)]
