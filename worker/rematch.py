"""Decide again about what is stored, because people or deals have changed. Links are added, never taken off; what a person
decided stays."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from models.db import Database, insert_new, table
from models.deal import Deal
from models.event import announce, event_row
from models.interaction import Held, Interaction, InteractionContact, Link
from models.ledger import LedgerEntry
from models.linking import interaction_payload
from worker import book as books
from worker import match, view
from worker.log import release_held

PAGE = 200


def rematch(db: Database, now: datetime) -> int:
    """One page of interactions that ask for it; how many."""
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
        placed = _placed(session, list(views))
        for row in rows:
            row.rematch_at = None
            session.add(row)
            if (row.id or 0) not in placed:
                _place(session, row, match.decide(views[row.id or 0], book), book, now)
        return len(rows)


def _placed(session: Session, ids: list[int]) -> set[int]:
    """Those that stand on a deal already, or that a person took off one or sent to none."""
    linked = set(session.exec(select(Link.interaction_id).where(col(Link.interaction_id).in_(ids))).all())
    decided = session.exec(
        select(Held.interaction_id).where(col(Held.interaction_id).in_(ids), Held.state != "open")
    ).all()
    return linked | set(decided)


def _place(session: Session, row: Interaction, decision: match.Decision, book: books.Book, now: datetime) -> None:
    row.parties = _known_parties(row.parties, book)
    contacts = [{"interaction_id": row.id, "contact_id": contact_id} for contact_id in decision.contacts]
    insert_new(session, InteractionContact, contacts)
    held = session.exec(select(Held).where(Held.interaction_id == row.id, Held.state == "open")).first()
    if decision.outcome == "held" and held is not None:
        held.candidates = [
            {"deal_id": c.deal_id, "score": c.score, "rule": c.rule, "reasons": list(c.reasons)}
            for c in decision.candidates
        ]
        session.add(held)
    if not decision.links:
        return
    insert_new(session, Link, [_link(row, link, now) for link in decision.links])
    if held is not None:
        release_held(session, [row.id or 0], now)
    _set_logged(session, row, decision.reason, now)

    session.flush()
    deals = table(Deal)
    ids = [link.deal_id for link in decision.links]
    session.connection().execute(update(deals).where(deals.c.id.in_(ids)).values(suggest_at=now))
    if held is not None:
        _announce(session, row, ids, now)


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


def _set_logged(session: Session, row: Interaction, reason: str, now: datetime) -> None:
    ledger = table(LedgerEntry)
    session.connection().execute(
        update(ledger)
        .where(ledger.c.interaction_id == row.id)
        .values(outcome="logged", reason=reason[:200], updated_at=now)
    )


def _announce(session: Session, row: Interaction, deal_ids: list[int], now: datetime) -> None:
    links = session.exec(select(Link).where(Link.interaction_id == row.id, col(Link.removed_at).is_(None))).all()
    payload = interaction_payload(session, row, list(links))
    announce(
        session,
        *(event_row("interaction.logged", f"{row.id}:{key}", payload, now=now, deal_id=key) for key in deal_ids),
    )
