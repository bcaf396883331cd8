"""Doorbells at Google: opened for what is read, renewed before they end, stopped when they are not wanted any more.

Rows say what is due (``models.channel``); the scheduler leases them and each is tended by one job. A mailbox's watch is
renewed daily on the same row. A calendar's next channel is opened, under an id of its own, before the one before it is
stopped. What goes wrong stands on the row and costs nothing but time: polling goes on at its usual pace.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import cast

import structlog
from sqlmodel import Session, col, select

from connectors.base import GrantState
from connectors.doorbell import Doorbells
from connectors.errors import ConnectorError, OperatorFault, Refused, TryLater
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
from models.doorbell import SOURCE_KINDS, hash_of, hasten, moved, unwanted, unwatched
from worker.context import Work

log = structlog.get_logger()
PROVIDER = "google"
DAY, HOUR = 86_400.0, 3_600.0
OVERLAP = timedelta(seconds=60)
"""How long a calendar's old channel rings beside the new one."""
TRIES_TO_STOP = 3


def plan(work: Work) -> int:
    """Doorbells that are wanted and not there are entered, those not wanted any more are to be stopped; how many rows
    changed. Looks without a lock first."""
    kinds = [kind for kind in SOURCE_KINDS if work.push.address(kind)]
    now = work.now()

    def look(session: Session) -> tuple[list[tuple[int, str]], list[int], list[int]]:
        missing = [(source_id, kind) for kind in kinds for source_id in unwatched(session, PROVIDER, kind)]
        elsewhere = [one for kind in kinds for one in moved(session, kind, work.push.address(kind), now)]
        return missing, unwanted(session, kinds), elsewhere

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
        elif channel.kind == "gmail":
            _watch_mailbox(work, channel, account)
        else:
            _watch_calendar(work, channel, source, account)
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


def _watch_mailbox(work: Work, channel: Channel, account: Account) -> None:
    """Begin or renew. Google allows one topic a mailbox and project: where we watched another ourselves, that is ended
    first; where somebody else does, it is ended once, at our first try, and never again."""
    topic, began = work.push.gmail_topic, work.now()
    bells = _bells(work, account)
    if channel.address and channel.address != topic:
        bells.stop_mailbox()
    try:
        watched = bells.watch_mailbox(topic)
    except OperatorFault as error:
        if error.code != "watch_conflict" or channel.opened_at is not None or channel.failures:
            raise
        log.warning("push.taken_over", account=account.id)
        bells.stop_mailbox()
        watched = bells.watch_mailbox(topic)
    daily = min(DAY, (watched.expires_at - began).total_seconds() / 2)
    with work.db.write() as session:
        channel_opened(
            session,
            channel.id or 0,
            opened_at=began,
            expires_at=watched.expires_at,
            renew_at=began + timedelta(seconds=daily * work.rng.uniform(0.75, 1.0)),
            address=topic,
        )


def _watch_calendar(work: Work, channel: Channel, source: Source, account: Account) -> None:
    """The next channel: its row first, then Google, then the end of the one before."""
    address, began = work.push.calendar_address, work.now()
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
    try:
        watched = _bells(work, account).watch_calendar(
            source.external_id, channel_id=name, token=token, address=address
        )
    except BaseException:
        with work.db.write() as session:
            forget_channel(session, next_id)
        raise
    life = (watched.expires_at - began).total_seconds()
    with work.db.write() as session:
        channel_opened(
            session,
            next_id,
            opened_at=began,
            expires_at=watched.expires_at,
            renew_at=began + timedelta(seconds=life * work.rng.uniform(0.7, 0.85)),
            address=address,
            resource_id=watched.resource_id,
        )
        replace_channel(session, channel, stop_at=work.now() + OVERLAP)


def _stop(work: Work, channel: Channel, account: Account) -> None:
    """Have it silenced, unless it has run out, or a newer watch of the same mailbox would be silenced with it."""
    if (channel.expires_at or work.now()) > work.now() and not _watched_again(work, channel):
        with _last_bells(work, channel, account) as bells:
            if channel.kind == "gmail":
                bells.stop_mailbox()
            else:
                bells.stop_calendar(channel.channel_id or "", channel.resource_id)
    with work.db.write() as session:
        forget_channel(session, channel.id or 0)


def _watched_again(work: Work, channel: Channel) -> bool:
    if channel.kind != "gmail":
        return False
    newer = select(Channel.id).where(
        Channel.source_id == channel.source_id, Channel.kind == "gmail", col(Channel.stop_at).is_(None)
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
            usual = work.pace.poll if channel.kind == "gmail" else work.pace.calendar_poll
            at = now + timedelta(seconds=usual * work.rng.uniform(0.75, 1.25))
            hasten(session, channel.kind, at=at, source_id=channel.source_id)


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
    store = KeptGrant(GrantState.from_plain(work.keyring.open_json(channel.sealed_grant)))
    connection = provider.connect(store, provider.budget(account.id or 0), email=account.email)
    try:
        yield cast(Doorbells, connection.doorbells())  # pyright: ignore[reportAttributeAccessIssue]
    finally:
        connection.close()


class KeptGrant:
    """``connectors.base.GrantStore`` of a grant that is used once more and then forgotten; nothing is stored."""

    def __init__(self, state: GrantState) -> None:
        self._state = state

    def state(self) -> GrantState:
        return self._state

    @contextmanager
    def exclusive(self) -> Iterator[GrantState]:
        yield self._state

    def save(self, state: GrantState) -> None:
        self._state = state
