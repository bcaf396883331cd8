"""The secret of an account between a connector and its row: opened only here, sealed whenever it is stored, and locked so
that eight workers make one token call (provider-contract 1.2, 3.3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, update

from connectors.base import GrantState
from connectors.errors import TryLater
from models.account import Account, lease_owner
from models.db import Database, table
from models.keyring import Keyring

LOCK_SECONDS = 60
PATIENCE = 45.0


class SealedGrant:
    """``connectors.base.GrantStore`` on an account's row."""

    def __init__(self, db: Database, keyring: Keyring, account_id: int, *, now: Callable[[], datetime]) -> None:
        self._db, self._keyring, self._account_id, self._now = db, keyring, account_id, now

    def state(self) -> GrantState:
        """The grant as stored now."""
        with self._db.read() as session:
            account = session.get(Account, self._account_id)
            if account is None or not account.sealed_grant:
                return GrantState()
            return unpack(self._keyring.open_json(account.sealed_grant))

    @contextmanager
    def exclusive(self) -> Iterator[GrantState]:
        """Hold the account's grant alone, across threads and processes; a lease on the row, so that a killed holder
        blocks nobody for longer than a minute. Raises TryLater when another holds it for too long."""
        owner = lease_owner()
        deadline = time.monotonic() + PATIENCE
        while not self._lock(owner):
            if time.monotonic() > deadline:
                raise TryLater("grant_locked", "Another worker is renewing this account's access.", after=5.0)
            time.sleep(0.05)
        try:
            yield self.state()
        finally:
            self._unlock(owner)

    def save(self, state: GrantState) -> None:
        """Persist at once."""
        accounts = table(Account)
        with self._db.write() as session:
            session.connection().execute(
                update(accounts)
                .where(accounts.c.id == self._account_id, accounts.c.disconnected_at.is_(None))
                .values(sealed_grant=self._keyring.seal_json(pack(state)))
            )

    def _lock(self, owner: str) -> bool:
        now, accounts = self._now(), table(Account)
        free = or_(accounts.c.grant_until.is_(None), accounts.c.grant_until <= now)
        with self._db.write() as session:
            won = session.connection().execute(
                update(accounts)
                .where(accounts.c.id == self._account_id, free)
                .values(grant_owner=owner, grant_until=now + timedelta(seconds=LOCK_SECONDS))
            )
            return won.rowcount == 1

    def _unlock(self, owner: str) -> None:
        accounts = table(Account)
        with self._db.write() as session:
            session.connection().execute(
                update(accounts)
                .where(accounts.c.id == self._account_id, accounts.c.grant_owner == owner)
                .values(grant_owner="", grant_until=None)
            )


def pack(state: GrantState) -> dict[str, Any]:
    """A grant as JSON."""
    plain = asdict(state)
    plain["expires_at"] = state.expires_at.isoformat() if state.expires_at else None
    return plain


def unpack(plain: dict[str, Any]) -> GrantState:
    """The reverse of ``pack``."""
    expires = plain.get("expires_at")
    return GrantState(
        refresh_token=plain.get("refresh_token", ""),
        access_token=plain.get("access_token", ""),
        expires_at=datetime.fromisoformat(expires) if expires else None,
        scopes=tuple(plain.get("scopes", ())),
        extra=dict(plain.get("extra", {})),
    )
