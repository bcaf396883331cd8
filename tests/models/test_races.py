"""Many at once: what two people or forty workers do at the same moment happens once (field note 22)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlmodel import Session, select

from models.contact import Company, CompanyDomain, Contact, company_for_domain, contact_for_address
from models.db import Database
from models.deal import Actor, Deal, StageChange, move_deal
from models.errors import Conflict
from models.event import Event
from models.interaction import Held
from models.linking import choose_deal
from models.pipeline import Stage
from models.suggestion import Suggestion, accept, dismiss, propose
from tests.models.cast import buyer, count, firm, mailbox, sale, stage, waiting
from tests.support import BUYER, NOW

WORKERS = 8


def _at_once(db: Database, act: Callable[[Session, int], object]) -> Counter[str]:
    """Let all workers act in the same moment, each in its own transaction; what became of them."""
    start = threading.Barrier(WORKERS)

    def run(number: int) -> str:
        try:
            with db.write() as session:
                start.wait() if not db.is_sqlite else None
                act(session, number)
        except Conflict:
            return "conflict"
        return "done"

    with ThreadPoolExecutor(WORKERS) as pool:
        return Counter(pool.map(run, range(WORKERS)))


def test_many_workers_and_one_unseen_domain_make_one_company_and_one_contact(any_db: Database) -> None:
    """Field note 22: one company, one contact, on SQLite and Postgres."""

    def discover(session: Session, number: int) -> None:
        company_for_domain(session, "northwind.example", now=NOW)
        contact_for_address(session, BUYER, now=NOW, name=f"Bea {number}")

    assert _at_once(any_db, discover) == {"done": WORKERS}
    with any_db.read() as session:
        assert (count(session, Company), count(session, CompanyDomain), count(session, Contact)) == (1, 1, 1)
        assert session.exec(select(Contact.company_id)).one() == session.exec(select(Company.id)).one()


def test_many_who_add_the_same_company_get_one_and_a_sentence(any_db: Database) -> None:
    assert _at_once(any_db, lambda session, number: firm(session, f"N{number}")) == {"done": 1, "conflict": WORKERS - 1}
    with any_db.read() as session:
        assert count(session, Company) == 1


def test_many_who_add_the_same_contact_get_one_and_a_sentence(any_db: Database) -> None:
    assert _at_once(any_db, lambda session, number: buyer(session)) == {"done": 1, "conflict": WORKERS - 1}
    with any_db.read() as session:
        assert count(session, Contact) == 1


def test_many_who_accept_one_suggestion_move_the_deal_once(any_db: Database) -> None:
    key, deal_id = _suggested(any_db)
    became = _at_once(
        any_db,
        lambda session, number: accept(session, session.get_one(Suggestion, key), actor_id=number, now=NOW),
    )
    assert became == {"done": 1, "conflict": WORKERS - 1}
    with any_db.read() as session:
        assert session.get_one(Deal, deal_id).version == 2
        assert count(session, StageChange) == 2
        assert len(session.exec(select(Event.id).where(Event.kind == "deal.stage_changed")).all()) == 1


def test_of_those_who_accept_and_those_who_dismiss_one_has_the_say(any_db: Database) -> None:
    key, deal_id = _suggested(any_db)

    def decide(session: Session, number: int) -> None:
        verb = accept if number % 2 else dismiss
        verb(session, session.get_one(Suggestion, key), actor_id=number, now=NOW)

    assert _at_once(any_db, decide) == {"done": 1, "conflict": WORKERS - 1}
    with any_db.read() as session:
        state, version = session.get_one(Suggestion, key).state, session.get_one(Deal, deal_id).version
        assert (state, version) in {("accepted", 2), ("dismissed", 1)}


def test_many_moves_at_once_leave_one_unbroken_history(any_db: Database) -> None:
    with any_db.write() as session:
        deal_id = sale(session).id
        targets = [stage(session, name).id for name in ("Contacted", "Qualified", "Proposal", "Won")]

    def move(session: Session, number: int) -> None:
        target = session.get_one(Stage, targets[number % len(targets)])
        move_deal(session, session.get_one(Deal, deal_id), target, actor=Actor(None), now=NOW)

    assert _at_once(any_db, move) == {"done": WORKERS}
    with any_db.read() as session:
        changes = session.exec(select(StageChange).order_by(StageChange.id)).all()
        deal = session.get_one(Deal, deal_id)
        assert [c.from_stage_id for c in changes[1:]] == [c.to_stage_id for c in changes[:-1]]
        assert deal.stage_id == changes[-1].to_stage_id and deal.version == len(changes)


def test_many_who_decide_one_held_mail_decide_it_once(any_db: Database) -> None:
    with any_db.write() as session:
        account, source = mailbox(session)
        held_id = waiting(session, account, source, [buyer(session)]).id
        deals = [sale(session, f"Deal {number}").id or 0 for number in range(WORKERS)]

    def choose(session: Session, number: int) -> None:
        choose_deal(session, session.get_one(Held, held_id), deals[number], user_id=1, now=NOW)

    assert _at_once(any_db, choose) == {"done": 1, "conflict": WORKERS - 1}


def test_many_thoughts_about_one_deal_leave_one_open_suggestion(any_db: Database) -> None:
    """Field note 23: duplicated evidence, brought by workers that think at the same moment."""
    with any_db.write() as session:
        deal_id = sale(session).id

    def suggest(session: Session, number: int) -> None:
        deal = session.get_one(Deal, deal_id, with_for_update=True)
        evidence = [{"interaction_id": 7, "rule": "accept.go"}]
        target = stage(session, "Proposal")
        propose(session, deal, target, rule="r", reason="s", confidence=0.5, evidence=evidence, now=NOW)

    assert _at_once(any_db, suggest) == {"done": WORKERS}
    with any_db.read() as session:
        assert count(session, Suggestion) == 1


def _suggested(db: Database) -> tuple[int, int]:
    with db.write() as session:
        deal = sale(session)
        made = propose(
            session,
            deal,
            stage(session, "Proposal"),
            rule="r",
            reason="s",
            confidence=0.5,
            evidence=[{"interaction_id": 7, "rule": "r"}],
            now=NOW,
        )
        assert made is not None
        return made.id or 0, deal.id or 0
