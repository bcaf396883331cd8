"""Decide again about what is stored, because people or deals have changed. Links are added, never taken off; what a person
decided stays. The answer is the one that it would have been, had the people and the deals been there first.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from models.db import Database, insert_new, table
from models.deal import Deal
from models.event import announce, event_row
from models.interaction import Held, Interaction, InteractionCompany, InteractionContact, Link
from models.ledger import LedgerEntry
from models.linking import first_keeper, interaction_payload
from worker import book as books
from worker import match, view
from worker.announce import HISTORY_GRACE
from worker.standing import candidate_rows, release_held

PAGE = 200


def rematch(db: Database, now: datetime) -> int:
    """One page of interactions that ask for it; how many."""
    if not db.finds(select(Interaction.id).where(col(Interaction.rematch_at) <= now)):
        return 0
    with db.write() as session:
        rows = list(
            session.exec(
                select(Interaction)
                .where(col(Interaction.rematch_at) <= now)
                .order_by(col(Interaction.id))
                .limit(PAGE)
                .with_for_update(skip_locked=True)
            ).all()
        )
        if not rows:
            return 0
        views = {row.id or 0: view.of_stored(row) for row in rows}
        book = books.load(session, list(views.values()))
        standing, decided = _standing(session, list(views))
        for row in rows:
            row.rematch_at = None
            session.add(row)
            decision = match.decide(views[row.id or 0], book)
            _know(session, row, decision, book)
            if (row.id or 0) in decided:
                continue
            if (row.id or 0) in standing:
                decision = _for_others(decision, standing[row.id or 0], book)
            _place(session, row, decision, now)
        return len(rows)


def _standing(session: Session, ids: list[int]) -> tuple[dict[int, set[int]], set[int]]:
    """The deals on which they stand already by rule; and those about which a person decided (put on a deal, taken off one,
    or sent to none)."""
    standing: dict[int, set[int]] = {}
    decided = set(
        session.exec(select(Held.interaction_id).where(col(Held.interaction_id).in_(ids), Held.state != "open")).all()
    )
    for link in session.exec(select(Link).where(col(Link.interaction_id).in_(ids))):
        standing.setdefault(link.interaction_id, set()).add(link.deal_id)
        if link.removed_at is not None or link.made_by is not None:
            decided.add(link.interaction_id)
    return standing, decided


def _for_others(decision: match.Decision, standing: set[int], book: books.Book) -> match.Decision:
    """What is new about an item that stands on deals already: the deals of other customers on it. It raises no question."""
    here = [book.deals[key] for key in standing if key in book.deals]
    firms = {deal.company_id for deal in here} - {None}
    people = {contact_id for deal in here for contact_id in deal.roles}
    new = tuple(
        link
        for link in decision.links
        if link.deal_id not in standing
        and book.deals[link.deal_id].company_id not in firms
        and people.isdisjoint(book.deals[link.deal_id].roles)
    )
    return replace(decision, outcome="logged", links=new, candidates=())


def _know(session: Session, row: Interaction, decision: match.Decision, book: books.Book) -> None:
    """Who takes part, as far as the address book knows it now; whatever deal it stands on."""
    row.parties = _known_parties(row.parties, book)
    people = [{"interaction_id": row.id, "contact_id": contact_id} for contact_id in decision.contacts]
    firms = [{"interaction_id": row.id, "company_id": company_id} for company_id in decision.companies]
    insert_new(session, InteractionContact, people)
    insert_new(session, InteractionCompany, firms)


def _place(session: Session, row: Interaction, decision: match.Decision, now: datetime) -> None:
    held = session.exec(select(Held).where(Held.interaction_id == row.id, Held.state == "open")).first()
    if decision.outcome == "held":
        _ask(session, row, held, decision, now)
    if not decision.links:
        return
    insert_new(session, Link, [_link(row, link, now) for link in decision.links])
    _set_outcome(session, row, "logged", decision.reason, now)
    deals = table(Deal)
    ids = [link.deal_id for link in decision.links]
    session.flush()
    session.connection().execute(update(deals).where(deals.c.id.in_(ids)).values(suggest_at=now))
    if held is not None:
        release_held(session, [row.id or 0], now)
        session.refresh(row)
        _announce(session, row, ids, now)


def _ask(session: Session, row: Interaction, held: Held | None, decision: match.Decision, now: datetime) -> None:
    """Several deals fit: the owner of the oldest copy is asked, or shown the candidates of today."""
    candidates = candidate_rows(decision)
    if held is not None:
        held.candidates, held.reason = candidates, decision.reason
        session.add(held)
        return
    owner = first_keeper(session, row.id or 0)
    if owner is None:
        return
    row.held = True
    asked = Held(
        interaction_id=row.id or 0,
        account_id=owner.id or 0,
        user_id=owner.user_id,
        candidates=candidates,
        reason=decision.reason,
        created_at=now,
    )
    session.add_all([row, asked])
    session.flush()
    _set_outcome(session, row, "held", decision.reason, now)
    if row.occurred_at >= owner.connected_at - HISTORY_GRACE:
        payload = interaction_payload(session, row, [], viewer_id=owner.user_id) | {"candidates": candidates}
        announce(session, event_row("interaction.held", str(row.id), payload, now=now, user_id=owner.user_id))


def _link(row: Interaction, link: match.LinkTo, now: datetime) -> dict[str, Any]:
    return {
        "interaction_id": row.id,
        "deal_id": link.deal_id,
        "rule": link.rule,
        "score": link.score,
        "reasons": list(link.reasons),
        "stage_id": link.stage_id,
        "made_at": now,
    }


def _known_parties(parties: list[dict[str, Any]], book: books.Book) -> list[dict[str, Any]]:
    told = []
    for party in parties:
        known = book.contact(party["address"])
        told.append(party | {"contact_id": known[0].id if known else party.get("contact_id")})
    return told


def _set_outcome(session: Session, row: Interaction, outcome: str, reason: str, now: datetime) -> None:
    ledger = table(LedgerEntry)
    session.connection().execute(
        update(ledger)
        .where(ledger.c.interaction_id == row.id)
        .values(outcome=outcome, reason=reason[:200], updated_at=now)
    )


def _announce(session: Session, row: Interaction, deal_ids: list[int], now: datetime) -> None:
    links = session.exec(select(Link).where(Link.interaction_id == row.id, col(Link.removed_at).is_(None))).all()
    payload = interaction_payload(session, row, list(links))
    announce(
        session,
        *(event_row("interaction.logged", f"{row.id}:{key}", payload, now=now, deal_id=key) for key in deal_ids),
    )
