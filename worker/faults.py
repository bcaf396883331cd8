"""What follows from a connector's error: one table from "what to do next" to rows. Cursors never move here."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import update
from sqlmodel import Session, col, select

from connectors.errors import ConnectorError, Gone, OperatorFault, Reconnect, Refused, Scope, TryLater
from models.account import Account, Source, release_source
from models.addresses import domain_of
from models.db import table
from models.event import announce, event_row
from worker.context import Work

log = structlog.get_logger()
LONGEST = 3_600.0
TIRED_OF_401 = 3
"""Runs in a row that end unauthorized although a fresh token was given, until we ask for a reconnect."""


def record(work: Work, source: Source, account: Account, owner: str, error: ConnectorError) -> None:
    """Put an error where people see it and say when to look again."""
    now = work.now()
    log.warning("sync.fault", source=source.id, kind=type(error).__name__, code=error.code)
    if isinstance(error, TryLater) and error.code == "unauthorized" and source.failures + 1 >= TIRED_OF_401:
        error = Reconnect("unauthorized", "The provider keeps refusing the access it granted. Please reconnect.")
    if isinstance(error, Reconnect) and account.key_id is not None:
        error = _administrators(error)
    with work.db.write() as session:
        row = session.get(Account, account.id, with_for_update=True)
        if row is None:
            return
        failures = source.failures + 1
        wait = _wait(error, failures)
        changes: dict[str, Any] = {
            "failures": failures,
            "error": error.code,
            "error_sentence": error.sentence,
            "error_at": now,
        }
        if isinstance(error, Gone):
            changes["gone_at"] = now
        _mark_account(session, row, error, now, wait)
        release_source(
            session,
            source.id or 0,
            owner,
            now=now - timedelta(days=1),
            next_sync_at=now + timedelta(seconds=wait * work.rng.uniform(1.0, 1.2)),
            **changes,
        )
    if not isinstance(error, TryLater):
        work.forget(account.id or 0)


def record_bug(work: Work, source: Source, owner: str, error: Exception) -> None:
    """A fault of our own. The class of the error is shown, never its text, which may quote mail."""
    now = work.now()
    log.error("sync.bug", source=source.id, error=type(error).__name__, where=_where(error))
    failures = source.failures + 1
    wait = min(15.0 * 2**failures, LONGEST)
    with work.db.write() as session:
        release_source(
            session,
            source.id or 0,
            owner,
            now=now - timedelta(days=1),
            next_sync_at=now + timedelta(seconds=wait),
            failures=failures,
            error="internal",
            error_sentence=f"Dealtrail met a fault of its own ({type(error).__name__}); it will try again.",
            error_at=now,
        )


def clear(session: Session, account_id: int, *, since: datetime, mended: str = "") -> None:
    """The provider answered a run that began at ``since``: whatever it refused before that is over. What another source
    was refused meanwhile stands. ``mended``: the fault that this source had met; an operator's may be over for others too."""
    accounts = table(Account)
    account = session.get(Account, account_id)
    session.connection().execute(
        update(accounts)
        .where(accounts.c.id == account_id, accounts.c.refused != "", accounts.c.refused_at <= since)
        .values(refused="", refused_code="", refused_sentence="", refused_at=None, look_again_at=None)
    )
    if account is not None and account.refused == "operator" and account.refused_code == mended:
        _wake(session, account, mended, since)


def _wake(session: Session, account: Account, code: str, since: datetime) -> None:
    """Let those look at once who were stopped by the same fault."""
    for other in _concerned(session, account, "provider"):
        if other.id == account.id or other.refused_code != code or (other.refused_at or since) > since:
            continue
        other.look_again_at = since
        session.add(other)
        for source in session.exec(select(Source).where(Source.account_id == other.id, Source.error == code)):
            source.next_sync_at = since
            session.add(source)


def _wait(error: ConnectorError, failures: int) -> float:
    if isinstance(error, TryLater):
        return max(error.after, 0.0 if error.throttled and error.after else min(2.0**failures, 64.0))
    if isinstance(error, Refused | OperatorFault):
        return error.after
    return LONGEST


def _mark_account(session: Session, account: Account, error: ConnectorError, now: datetime, wait: float) -> None:
    if isinstance(error, TryLater):
        for other in _concerned(session, account, error.scope) if error.scope in ("account", "provider") else ():
            other.throttled_until = now + timedelta(seconds=wait)
            session.add(other)
    elif isinstance(error, Reconnect):
        known = account.refused == "reconnect"
        _refuse(account, "reconnect", error, now, None)
        if not known:
            _ask_to_reconnect(session, account, error, now)
    elif isinstance(error, OperatorFault):
        for other in _concerned(session, account, error.scope):
            _refuse(other, "operator", error, now, now + timedelta(seconds=wait))
            session.add(other)
    elif isinstance(error, Refused) and error.scope in ("account", "provider"):
        _refuse(account, "blocked", error, now, now + timedelta(seconds=wait))
    session.add(account)


def _administrators(error: Reconnect) -> ConnectorError:
    """Nobody can reconnect a mailbox that a service account opens: its administrator must allow what is missing."""
    return Refused(
        error.code,
        "The provider does not let the service account read this mailbox. Its administrator must allow what Dealtrail "
        "asks for; then connect the team again.",
        after=LONGEST,
        scope="account",
    )


def _concerned(session: Session, account: Account, scope: Scope) -> list[Account]:
    """Whom a fault of the operator's or of the project's quota stops: this account, and as far as it reaches those that are reached with the same client
    or service account. One that waits for its person to reconnect still does."""
    same = session.exec(
        select(Account).where(
            Account.provider == account.provider,
            col(Account.key_id).is_(None) if account.key_id is None else Account.key_id == account.key_id,
            col(Account.disconnected_at).is_(None),
            Account.refused != "reconnect",
            Account.id != account.id,
        )
    ).all()
    if scope == "domain":
        same = [other for other in same if domain_of(other.email) == domain_of(account.email)]
    return [account, *(same if scope in ("domain", "provider") else ())]


def _ask_to_reconnect(session: Session, account: Account, error: ConnectorError, now: datetime) -> None:
    """Once, however many sources of the account meet the same dead grant."""
    told = {"account_id": account.id, "email": account.email, "reason": error.code, "sentence": error.sentence}
    announce(session, event_row("account.needs_reconnect", f"{account.id}:{now.isoformat()}", told, now=now))


def _refuse(account: Account, refused: str, error: ConnectorError, now: datetime, again: datetime | None) -> None:
    account.refused, account.refused_code, account.refused_sentence = refused, error.code, error.sentence
    account.refused_at, account.look_again_at = now, again


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
