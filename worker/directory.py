"""Once a day: who an account is, which addresses it sends from, and which sources it holds."""

from __future__ import annotations

from connectors.base import Connection
from models.account import Account, Source, find_source, set_own_addresses
from worker.context import Work
from worker.intake import Holding
from worker.walks import _held_source

DAY = 86_400.0


def refresh(work: Work, connection: Connection, account: Account, holding: Holding) -> None:
    """Own addresses first (they tell what is internal before the first mail is read), then the sources; new ones are due
    at once, vanished ones are marked, none is ever deleted."""
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
