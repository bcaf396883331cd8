"""How long until a source is looked at again: its usual pace, or a slow one while its doorbell can be relied on
(provider-contract, appendix B).

A doorbell is relied on when it is open, without a fault, was heard since it was opened last, and has not missed anything.
Soon after it rang the usual pace holds: a ring may come before what it tells of can be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import col, select

from models.account import Account, Source
from models.channel import Channel
from models.reader import reader_of
from worker import directory
from worker.context import Work

GRACE = timedelta(minutes=10)
"""Time that a renewed doorbell has to be heard."""
ASKED_AFTER = timedelta(hours=1)
"""A doorbell that missed something and is older than this is renewed: it may have ended unheard."""
READ_LATELY = timedelta(minutes=5)
"""A subscription that was not read for so long is not read."""


def wait(work: Work, source: Source, started: datetime) -> float:
    """Seconds from the end of a run that began at ``started``; ``source`` is the row as it was then."""
    pace, kind = work.pace, source.kind
    usual, slow = {
        "mail": (pace.poll, pace.poll_with_push),
        "calendar": (pace.calendar_poll, pace.calendar_poll_with_push),
    }.get(kind, (directory.DAY, directory.DAY))
    if not work.push.wanted:
        return usual
    now = work.now()
    with work.db.read() as session:
        account = session.get_one(Account, source.account_id)
        if not work.push.address(account.provider, kind):
            return usual
        bells = session.exec(select(Channel).where(Channel.source_id == source.id, Channel.kind == kind)).all()
        row = session.get(Source, source.id)
        inbox = work.push.inbox_of(account.provider, kind)
        reader = reader_of(session, inbox.name) if inbox else None
    if inbox and not is_read(reader, now):
        return usual
    found = row is not None and row.cursor_at is not None and row.cursor_at >= started
    if kind == "mail" and found and missed(bells, source.synced_at, usual):
        _mark_missed(work, bells, now)
        return usual
    return between_looks(bells, usual=usual, slow=slow, now=now)


def between_looks(bells: Sequence[Channel], *, usual: float, slow: float, now: datetime) -> float:
    """The slow pace while one of the doorbells is relied on and none rang just now; never past its end."""
    trusted = [bell for bell in bells if relied_on(bell, now)]
    rang = [bell.last_message_at for bell in bells if bell.last_message_at is not None]
    if not trusted or (rang and now - max(rang) < timedelta(seconds=2 * usual)):
        return usual
    left = max((bell.expires_at - now).total_seconds() for bell in trusted if bell.expires_at)
    return max(usual, min(slow, left))


def relied_on(bell: Channel, now: datetime) -> bool:
    """Whether silence means that nothing happened."""
    if bell.opened_at is None or bell.expires_at is None or bell.expires_at <= now or bell.error:
        return False
    heard = bell.last_message_at
    if heard is None or (bell.missed_at is not None and heard <= bell.missed_at):
        return False
    return heard >= bell.opened_at or now - bell.opened_at < GRACE


def missed(bells: Sequence[Channel], looked_at: datetime | None, usual: float) -> bool:
    """Whether something was found that no doorbell told of: none rang since (shortly before) the look before."""
    if looked_at is None:
        return False
    since = looked_at - timedelta(seconds=2 * usual)
    return not any(bell.last_message_at is not None and bell.last_message_at >= since for bell in bells)


def is_read(reader: Channel | None, now: datetime) -> bool:
    """Whether somebody takes the rings out of the subscription."""
    return (
        reader is not None
        and not reader.error
        and reader.opened_at is not None
        and (now - reader.opened_at < READ_LATELY)
    )


def _mark_missed(work: Work, bells: Sequence[Channel], now: datetime) -> None:
    with work.db.write() as session:
        for row in session.exec(select(Channel).where(col(Channel.id).in_([bell.id for bell in bells]))).all():
            row.missed_at = now
            if row.stop_at is None and row.opened_at is not None and now - row.opened_at > ASKED_AFTER:
                row.renew_at = now
            session.add(row)
