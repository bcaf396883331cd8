"""Audits: when the next one is due, and the receipt of the last: what the provider held, and what became of each item."""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, func, or_, select

from models.account import Account, Source, request_audit
from models.db import table
from models.health import LedgerSum, ledger_sum
from models.ledger import LedgerEntry

WHAT_IT_IS = (
    "Dealtrail listed every item that the provider holds in this account and compared the list with its ledger. "
    "in_mailbox = logged + held + ignored + internal + unopened + owed + unreadable; missing is what the provider listed "
    "and the ledger had not at the end. ids_sha256 is the SHA-256 of the item ids that are there, sorted, a line each."
)


def due_audits(now: datetime) -> Any:
    """The (source id, account id) pairs that are to be audited, or that have no time for it yet."""
    return (
        select(Source.id, Source.account_id)
        .join(Account, col(Account.id) == Source.account_id)
        .where(
            Source.kind != "directory",
            col(Source.selected),
            col(Source.gone_at).is_(None),
            col(Source.synced_at).is_not(None),
            col(Account.disconnected_at).is_(None),
            Account.refused == "",
            or_(col(Source.next_audit_at).is_(None), col(Source.next_audit_at) <= now),
        )
    )


def plan_audits(session: Session, *, every: timedelta, now: datetime, jitter: Callable[[], float]) -> int:
    """Ask for the audits that are due, and say when the next ones are: after ``every``, give or take a quarter (``jitter``
    gives 0 to 1), so that a team's mailboxes do not come at one hour. How many sources were planned."""
    due = session.exec(due_audits(now)).all()
    for account_id in {account_id for source_id, account_id in due if _has_time(session, source_id)}:
        request_audit(session, account_id, now=now)
    sources = table(Source)
    for account_id in {account_id for _, account_id in due}:
        again = now + every * (0.75 + 0.5 * jitter())
        session.connection().execute(
            update(sources).where(sources.c.account_id == account_id).values(next_audit_at=again)
        )
    return len(due)


def _has_time(session: Session, source_id: int | None) -> bool:
    """One that was never planned has just had its first sync; its first audit is a day away."""
    source = session.get(Source, source_id)
    return source is not None and source.next_audit_at is not None


def receipt(session: Session, account: Account, *, now: datetime) -> dict[str, Any]:
    """What the last audit of an account found, over all and by source and month: figures and hashes, no word of any mail."""
    sources = session.exec(
        select(Source)
        .where(Source.account_id == account.id, Source.kind != "directory", col(Source.selected))
        .order_by(col(Source.id))
    ).all()
    return {
        "account": account.email,
        "provider": account.provider,
        "made_at": now.isoformat(),
        "what_it_is": WHAT_IT_IS,
        "sum": _sum(ledger_sum(session, [source.id or 0 for source in sources])),
        "sources": [_of_source(session, source) for source in sources],
    }


def _of_source(session: Session, source: Source) -> dict[str, Any]:
    facts = source.facts
    return {
        "name": source.name or source.external_id,
        "kind": source.kind,
        "audited_at": facts.get("audited_at"),
        "holes_found": facts.get("found"),
        "vanished": facts.get("vanished"),
        "missing": facts.get("missing"),
        "not_believed": facts.get("shrunken") or None,
        "sum": _sum(ledger_sum(session, [source.id or 0])),
        "months": _months(session, source.id or 0),
        "ids_sha256": _digest(session, source.id or 0),
    }


def _sum(found: LedgerSum) -> dict[str, Any]:
    names = ("logged", "held", "ignored", "internal", "unopened", "owed", "unreadable", "gone", "missing")
    return {"in_mailbox": found.total} | {name: getattr(found, name) for name in names}


def _there(source_id: int) -> Any:
    return (LedgerEntry.source_id == source_id, LedgerEntry.state != "deleted", LedgerEntry.outcome != "gone")


def _months(session: Session, source_id: int) -> dict[str, dict[str, int]]:
    """Items by month (``unknown`` while only their id is known) and outcome."""
    rows = session.exec(
        select(LedgerEntry.month, LedgerEntry.outcome, func.count())
        .where(*_there(source_id))
        .group_by(LedgerEntry.month, LedgerEntry.outcome)
        .order_by(LedgerEntry.month.desc(), LedgerEntry.outcome)  # pyright: ignore[reportAttributeAccessIssue]
    ).all()
    months: dict[str, dict[str, int]] = {}
    for month, outcome, count in rows:
        months.setdefault(month or "unknown", {})[outcome] = count
    return months


def _digest(session: Session, source_id: int) -> str:
    digest = sha256()
    rows = session.exec(select(LedgerEntry.item_id).where(*_there(source_id)).execution_options(yield_per=1_000))
    for item_id in sorted(rows):
        digest.update(item_id.encode() + b"\n")
    return digest.hexdigest()
