"""Accounts, and what became of everything in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from models.account import Account, Source
from models.health import account_health, ledger_sum
from models.user import User
from webapp.present.rows import iso


def account(session: Session, row: Account, *, now: datetime) -> dict[str, Any]:
    """An account with its health; never anything of its grant."""
    health = account_health(session, row, now=now)
    owner = session.get(User, row.user_id)
    return {
        "id": row.id,
        "provider": row.provider,
        "email": row.email,
        "user_id": row.user_id,
        "user": owner.name if owner else "",
        "visibility": row.visibility,
        "capabilities": row.capabilities,
        "missing": row.missing,
        "notices": health.notices,
        "state": health.state,
        "sentence": health.sentence,
        "owed": health.owed,
        "unreadable": health.unreadable,
        "oldest_owed_at": iso(health.oldest_owed_at),
        "synced_at": iso(health.synced_at),
        "lag_seconds": health.lag_seconds,
        "walks": health.walks,
        "seen": health.seen,
        "estimate": health.estimate,
        "throttled_until": iso(row.throttled_until),
        "connected_at": iso(row.connected_at),
        "disconnected_at": iso(row.disconnected_at),
    }


def ledger(session: Session, row: Account) -> dict[str, Any]:
    """What became of everything in an account's mailboxes and calendars, by kind of source and in all."""
    sources = session.exec(select(Source).where(Source.account_id == row.id, Source.kind != "directory")).all()
    by_kind = {kind: _sum(session, [s.id or 0 for s in sources if s.kind == kind]) for kind in ("mail", "calendar")}
    return {
        "account_id": row.id,
        "email": row.email,
        **_sum(session, [s.id or 0 for s in sources]),
        "by_kind": by_kind,
        "sources": [
            {
                "id": s.id,
                "kind": s.kind,
                "name": s.name,
                "selected": s.selected,
                "synced_at": iso(s.synced_at),
                "next_sync_at": iso(s.next_sync_at),
                "error": s.error_sentence or None,
                "gone_at": iso(s.gone_at),
                "gap_recovered_at": s.facts.get("gap_recovered_at"),
            }
            for s in sources
        ],
    }


def _sum(session: Session, source_ids: list[int]) -> dict[str, Any]:
    found = ledger_sum(session, source_ids)
    return {
        "in_mailbox": found.total,
        "logged": found.logged,
        "held": found.held,
        "ignored": found.ignored,
        "internal": found.internal,
        "owed": found.owed,
        "unreadable": found.unreadable,
        "unopened": found.unopened,
        "gone": found.gone,
        "missing": found.missing,
        "checked_at": iso(found.checked_at),
        "ignored_by_reason": found.ignored_by_reason,
    }
