"""Doorbells at the providers: opened for what is read, renewed before they end, stopped when they are not wanted any more.

Rows say what is due (``models.channel``); the scheduler leases them and each is tended by one job. A lasting doorbell is
renewed daily on the same row, and opened anew when it is no more. Of the others a next one is opened, under a name of its own,
before the one before it is stopped. What goes wrong stands on the row and costs nothing but time: polling goes on at its usual
pace.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, cast

import structlog
from sqlmodel import Session, col, select

from connectors.base import GrantState
from connectors.doorbell import Doorbells, Watched
from connectors.errors import ConnectorError, Gone, OperatorFault, Refused, TryLater
from connectors.passing import Passing
from models.account import Account, Source
from models.channel import (
    Channel,
    add_channel,
    channel_failed,
    channel_opened,
    end_channels,
    forget_channel,
    give_up_channel,
    prepare_channel,
    replace_channel,
)
from models.doorbell import REST, hash_of, hasten, moved, unwanted, unwatched
from worker.context import Work

log = structlog.get_logger()
DAY, HOUR = 86_400.0, 3_600.0
OVERLAP = timedelta(seconds=60)
"""How long a doorbell that is replaced rings beside the next one."""
TRIES_TO_STOP = 3


def plan(work: Work) -> int:
    """Doorbells that are wanted and not there are entered, those not wanted any more are to be stopped; how many rows
    changed. Looks without a lock first."""
    wanted, now = work.push.wanted, work.now()

    def look(session: Session) -> tuple[list[tuple[int, str]], list[int], list[int]]:
        missing = [(one, kind) for provider, kind in wanted for one in unwatched(session, provider, kind)]
        elsewhere = [one for pair in wanted for one in moved(session, *pair, address=work.push.address(*pair), now=now)]
        return missing, unwanted(session, wanted), elsewhere

    with work.db.read() as session:
        if not any(look(session)):
            return 0
    with work.db.write() as session:
        missing, surplus, elsewhere = look(session)
        for source_id, kind in missing:
            add_channel(session, source_id, kind, now=now)
        end_channels(session, now=now, ids=surplus)
        for channel in session.exec(select(Channel).where(col(Channel.id).in_(elsewhere))).all():
            channel.renew_at = now
            session.add(channel)
        return len(missing) + len(surplus) + len(elsewhere)


def tend(work: Work, channel_id: int, owner: str) -> None:
    """Open, renew or stop one leased doorbell. Never raises: what went wrong is on the row."""
    loaded = _load(work, channel_id, owner)
    if loaded is None:
        return
    channel, source, account = loaded
    try:
        if channel.stop_at is not None:
            _stop(work, channel, account)
        else:
            bells = _bells(work, account)
            (_keep if channel.kind in bells.lasting else _replace)(work, bells, channel, source, account)
    except ConnectorError as error:
        if not isinstance(error, TryLater):
            work.forget(account.id or 0)
        _record(work, channel, owner, error)
    except Exception as error:  # noqa: BLE001  (our own fault: shown on the row, tried again)
        log.error("push.bug", channel=channel_id, error=type(error).__name__)
        _record(work, channel, owner, TryLater("internal", "Dealtrail met a fault of its own; it tries again."))


def _load(work: Work, channel_id: int, owner: str) -> tuple[Channel, Source, Account] | None:
    with work.db.read() as session:
        channel = session.get(Channel, channel_id)
        if channel is None or channel.lease_owner != owner or channel.source_id is None:
            return None
        source = session.get(Source, channel.source_id)
        account = session.get(Account, source.account_id) if source is not None else None
        return (channel, source, account) if source is not None and account is not None else None


def _keep(work: Work, bells: Doorbells, channel: Channel, source: Source, account: Account) -> None:
    """A lasting one: renewed on its row; or opened there, when there was none, when it is no more, when it rings elsewhere
    than it should."""
    address, began, kind = work.push.address(account.provider, channel.kind), work.now(), cast(Any, channel.kind)
    if channel.address not in ("", address):
        bells.stop(kind, channel.channel_id or "", channel.resource_id)
    watched, token = None, secrets.token_urlsafe(32)
    if channel.opened_at is not None and channel.address == address:
        watched = _renewed(bells, channel, source)
    fresh = watched is None
    if watched is None:
        watched = bells.open(
            kind,
            source.external_id,
            address=address,
            channel_id=str(uuid.uuid4()),
            token=token,
            first=channel.opened_at is None and not channel.failures,
        )
    daily = min(DAY, (watched.expires_at - began).total_seconds() / 2)
    named = (watched.channel_id, hash_of(token)) if fresh and watched.channel_id else None
    with work.db.write() as session:
        _opened(session, channel.id or 0, watched, began, daily * work.rng.uniform(0.75, 1.0), address, named)
        if not watched.greets:
            hasten(session, source.id or 0, at=work.now() + REST[channel.kind])


def _renewed(bells: Doorbells, channel: Channel, source: Source) -> Watched | None:
    """None: it is no more, though nobody said so."""
    name = channel.channel_id or ""
    try:
        return bells.renew(cast(Any, channel.kind), source.external_id, address=channel.address, channel_id=name)
    except Gone:
        log.info("push.ended", channel=channel.id)
        return None


def _replace(work: Work, bells: Doorbells, channel: Channel, source: Source, account: Account) -> None:
    """The next one: its row first, then the provider, then the end of the one before."""
    address, began, kind = work.push.address(account.provider, channel.kind), work.now(), cast(Any, channel.kind)
    name, token = str(uuid.uuid4()), secrets.token_urlsafe(32)
    with work.db.write() as session:
        next_id = prepare_channel(
            session,
            channel,
            channel.lease_owner,
            channel_id=name,
            token_hash=hash_of(token),
            address=address,
            now=began,
        )
    first = channel.opened_at is None
    try:
        watched = bells.open(kind, source.external_id, address=address, channel_id=name, token=token, first=first)
    except BaseException:
        with work.db.write() as session:
            forget_channel(session, next_id)
        raise
    life = (watched.expires_at - began).total_seconds()
    with work.db.write() as session:
        _opened(session, next_id, watched, began, life * work.rng.uniform(0.7, 0.85), address)
        replace_channel(session, channel, stop_at=work.now() + OVERLAP)


def _opened(
    session: Session,
    row_id: int,
    watched: Watched,
    began: datetime,
    renew_in: float,
    address: str,
    named: tuple[str, bytes] | None = None,
) -> None:
    channel_opened(
        session,
        row_id,
        opened_at=began,
        expires_at=watched.expires_at,
        renew_at=began + timedelta(seconds=renew_in),
        address=address,
        resource_id=watched.resource_id,
        named=named,
        heard_at=None if watched.greets else began,
    )


def _stop(work: Work, channel: Channel, account: Account) -> None:
    """Have it silenced, unless it has run out, or a newer one of the same mailbox would be silenced with it."""
    if (channel.expires_at or work.now()) > work.now():
        with _last_bells(work, channel, account) as bells:
            if not (channel.kind in bells.only_one and _rung_anew(work, channel)):
                bells.stop(cast(Any, channel.kind), channel.channel_id or "", channel.resource_id)
    with work.db.write() as session:
        forget_channel(session, channel.id or 0)


def _rung_anew(work: Work, channel: Channel) -> bool:
    newer = select(Channel.id).where(
        Channel.source_id == channel.source_id, Channel.kind == channel.kind, col(Channel.stop_at).is_(None)
    )
    with work.db.read() as session:
        return session.exec(newer).first() is not None


def _record(work: Work, channel: Channel, owner: str, error: ConnectorError) -> None:
    now, channel_id = work.now(), channel.id or 0
    log.warning("push.fault", channel=channel_id, kind=channel.kind, code=error.code)
    final = not isinstance(error, TryLater) or channel.failures + 1 >= TRIES_TO_STOP
    with work.db.write() as session:
        if channel.stop_at is not None and final:
            give_up_channel(session, channel_id, code=error.code, sentence=error.sentence, now=now)
            return
        again = now + timedelta(seconds=_wait(error, channel.failures) * work.rng.uniform(1.0, 1.2))
        channel_failed(session, channel_id, owner, code=error.code, sentence=error.sentence, again_at=again, now=now)
        if channel.stop_at is None:
            usual = work.pace.poll if channel.kind == "mail" else work.pace.calendar_poll
            at = now + timedelta(seconds=usual * work.rng.uniform(0.75, 1.25))
            hasten(session, channel.source_id or 0, at=at)


def _wait(error: ConnectorError, failures: int) -> float:
    if isinstance(error, TryLater):
        return max(error.after, min(30.0 * 2**failures, HOUR))
    return error.after if isinstance(error, Refused | OperatorFault) else HOUR


def _bells(work: Work, account: Account) -> Doorbells:
    connection = work.connection(account.id or 0, account.provider, account.email)
    return cast(Doorbells, connection.doorbells())  # pyright: ignore[reportAttributeAccessIssue]


@contextmanager
def _last_bells(work: Work, channel: Channel, account: Account) -> Iterator[Doorbells]:
    """With the account's own grant, or, after a disconnection, with the one that was kept for this call."""
    if not channel.sealed_grant:
        yield _bells(work, account)
        return
    provider = work.providers[account.provider]
    store = Passing(GrantState.from_plain(work.keyring.open_json(channel.sealed_grant)))
    connection = provider.connect(store, provider.budget(account.id or 0), email=account.email)
    try:
        yield cast(Doorbells, connection.doorbells())  # pyright: ignore[reportAttributeAccessIssue]
    finally:
        connection.close()
