"""The secret of an account between a connector and its row: opened only here, sealed whenever it is stored, and locked so
that eight workers make one token call (provider-contract 1.2, 3.3)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import or_, update

from connectors.base import GrantState
from connectors.errors import TryLater
from models.account import Account, is_dead, lease_owner
from models.db import Database, table
from models.keyring import Keyring
from models.service_key import ServiceKey

LOCK_SECONDS = 120
"""Longer than a token call with all its attempts; a killed holder on another machine blocks the account for so long."""
PATIENCE = 45.0
PAUSE = 0.05
log = structlog.get_logger()


class SealedGrant:
    """``connectors.base.GrantStore`` on an account's row. One for each thread."""

    def __init__(self, db: Database, keyring: Keyring, account_id: int, *, now: Callable[[], datetime]) -> None:
        self._db, self._keyring, self._account_id, self._now = db, keyring, account_id, now
        self._read: dict[str, Any] = {}

    def state(self) -> GrantState:
        """The grant as stored now; empty after a disconnection."""
        with self._db.read() as session:
            account = session.get(Account, self._account_id)
            if account is None or not account.sealed_grant:
                return GrantState()
            key = session.get(ServiceKey, account.key_id) if account.key_id is not None else None
        self._read = self._keyring.open_json(account.sealed_grant)
        return GrantState.from_plain(self._read, self._keyring.open_json(key.sealed_key) if key is not None else None)

    @contextmanager
    def exclusive(self) -> Iterator[GrantState]:
        """Hold the account's grant alone, across threads and processes; a lease on the row, so that a killed holder
        blocks nobody for long. Raises TryLater when another holds it for too long."""
        owner = lease_owner()
        deadline = time.monotonic() + PATIENCE
        while not (self._looks_free() and self._lock(owner)):
            if time.monotonic() > deadline:
                raise TryLater("grant_locked", "Another worker is renewing this account's access.", after=5.0)
            time.sleep(PAUSE * random.uniform(0.5, 1.5))
        try:
            yield self.state()
        finally:
            self._unlock(owner)

    def save(self, state: GrantState) -> None:
        """Persist at once, unless the grant is another one than was read: what a person has consented to meanwhile is newer
        than any token of the grant before, and what was disconnected stays so."""
        plain = state.to_plain()
        with self._db.write() as session:
            account = session.get(Account, self._account_id, with_for_update=True)
            stored = self._keyring.open_json(account.sealed_grant) if account and account.sealed_grant else None
            if account is None or stored != self._read:
                log.info("grant.superseded", account=self._account_id)
                return
            account.sealed_grant = self._keyring.seal_json(plain)
            session.add(account)
        self._read = plain

    def _looks_free(self) -> bool:
        """A look without a write, so that those who wait do not queue before the one who works."""
        with self._db.read() as session:
            account = session.get(Account, self._account_id)
        return account is None or _free(account.grant_owner, account.grant_until, self._now())

    def _lock(self, owner: str) -> bool:
        now, accounts = self._now(), table(Account)
        with self._db.write() as session:
            row = session.get(Account, self._account_id)
            if row is None:
                return True
            if not _free(row.grant_owner, row.grant_until, now):
                return False
            same = or_(accounts.c.grant_until.is_(None), accounts.c.grant_owner == row.grant_owner)
            won = session.connection().execute(
                update(accounts)
                .where(accounts.c.id == self._account_id, same)
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


def _free(owner: str, until: datetime | None, now: datetime) -> bool:
    return until is None or until <= now or is_dead(owner)
