"""Once a day: who an account is, which addresses it sends from, and which sources it holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlmodel import Session, col, select

from connectors.base import Connection, SourceInfo
from models.account import Account, Source, find_source, request_audit, set_own_addresses
from worker.context import Work
from worker.intake import Holding
from worker.walks import _held_source

DAY = 86_400.0
SHRUNKEN = "The provider lists far fewer calendars than before; nothing was taken off until it says so again."
log = structlog.get_logger()


def refresh(work: Work, connection: Connection, account: Account, holding: Holding) -> None:
    """Own addresses first (they tell what is internal before the first mail is read), then the sources; new ones are due
    at once, vanished ones are marked, none is ever deleted. Each of these looks but the first asks for an audit."""
    identity = connection.identity()
    found = connection.sources()
    now = work.now()
    with work.db.write() as session:
        _held_source(session, holding, now)
        row = session.get(Account, account.id)
        if row is None:
            return
        row.identity_at = now
        if identity.email:
            row.email = identity.email
        if identity.capabilities:
            row.capabilities, row.missing = sorted(identity.capabilities), list(identity.missing)
        session.add(row)
        set_own_addresses(session, row.id or 0, identity.addresses or (row.email,))
        for info in found:
            source = find_source(session, row.id or 0, info.kind, info.external_id)
            if source is None:
                source = Source(
                    account_id=row.id or 0,
                    kind=info.kind,
                    external_id=info.external_id,
                    selected=info.selected,
                    next_sync_at=now,
                )
            source.name = info.name
            if source.gone_at is not None:
                source.gone_at, source.next_sync_at = None, now
            session.add(source)
        _mark_vanished(session, row, found, now)
        if account.identity_at is not None:
            request_audit(session, row.id or 0, now=now)


def _mark_vanished(session: Session, account: Account, found: Sequence[SourceInfo], now: datetime) -> None:
    """Sources that the account no longer holds, as long as the answer can be believed: an empty list, or one that has lost
    more than half of what was known, marks nothing and is told on the account instead."""
    known = session.exec(
        select(Source).where(
            Source.account_id == account.id,
            col(Source.kind).in_(account.capabilities),
            col(Source.gone_at).is_(None),
        )
    ).all()
    there = {(info.kind, info.external_id) for info in found}
    vanished = [source for source in known if (source.kind, source.external_id) not in there]
    if len(vanished) > max(1, len(known) // 2) or (vanished and not found):
        log.warning("directory.shrunken", account=account.id, known=len(known), found=len(found))
        account.missing = [*account.missing, SHRUNKEN]
        session.add(account)
        return
    for source in vanished:
        source.gone_at = now
        session.add(source)
