"""``dealtrail audit``: what the providers hold against what the ledger says, here and now, with what was missing repaired."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from house import House, now, open_house
from models.account import Account, Source, Walk, open_audits, request_audit
from models.audit import receipt
from models.health import account_health
from models.ledger import LedgerEntry
from serving import working
from sync import ask, until_done


def audit(email: str, *, progress: Any = None, house: House | None = None) -> dict[str, Any]:
    """Audit the connected accounts (or one) and repair what is found; work in this process until it is done. ``ok`` is
    False when something is missing, could not be compared or could not be believed. Raises NotFound."""
    house = house or open_house()
    asked = now()
    ids = ask(house, email, request_audit, asked)
    with working(house):
        until_done(house, lambda session: _running(session, ids), progress)
    with house.db.read() as session:
        told = [_told(session, session.get_one(Account, account_id), asked) for account_id in ids]
    return {"ok": all(one["ok"] for one in told), "accounts": told}


def _running(session: Session, ids: list[int]) -> tuple[int, str]:
    """How much still moves by itself, and how far it is. An account that waits for a person, or a source that
    failed three times running, does not."""
    sources = session.exec(
        select(Source)
        .join(Account, col(Account.id) == Source.account_id)
        .where(col(Account.id).in_(ids), Account.refused == "", col(Source.gone_at).is_(None))
    ).all()
    moving = [source.id for source in sources if not (source.error and source.failures >= 3)]
    statement = select(Walk).where(col(Walk.source_id).in_(moving), Walk.kind == "audit", col(Walk.done_at).is_(None))
    walks = session.exec(statement).all()
    found = session.exec(
        select(func.count()).where(
            col(LedgerEntry.source_id).in_(moving), LedgerEntry.outcome == "unopened", LedgerEntry.priority > 0
        )
    ).one()
    seen = sum(walk.seen for walk in walks)
    shown = f"{seen} items compared, {found} to be read" if walks or found else "compared"
    return len(session.exec(open_audits(moving)).all()) + found, shown


def _told(session: Session, account: Account, asked: datetime) -> dict[str, Any]:
    paper = receipt(session, account, now=now())
    health = account_health(session, account, now=now())
    done = all(source["audited_at"] and source["audited_at"] >= asked.isoformat() for source in paper["sources"])
    believed = not any(source["not_believed"] for source in paper["sources"])
    missing = paper["sum"]["missing"]
    return paper | {
        "ok": bool(paper["sources"]) and done and believed and missing == 0,
        "state": health.state,
        "sentence": health.sentence,
    }
