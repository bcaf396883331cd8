"""Who empties a subscription: one process at a time, under a lease, on a row of the doorbells' table that has no source."""

from datetime import datetime, timedelta

from sqlalchemy import or_, update
from sqlmodel import Session, select

from models.account import is_dead
from models.channel import NO_LEASE, Channel
from models.db import table


def hold_reader(session: Session, subscription: str, owner: str, *, now: datetime, seconds: float) -> bool:
    """Take or keep the lease under which a subscription is read. False: another process reads it. That of a process of
    this machine that no longer runs is taken over at once."""
    row = reader_of(session, subscription)
    if row is None:
        row = Channel(kind="reader", channel_id=_name(subscription), address=subscription, created_at=now)
        session.add(row)
        session.flush()
    channels = table(Channel)
    free = [channels.c.lease_owner.in_(("", owner)), channels.c.lease_until <= now]
    if is_dead(row.lease_owner):
        free.append(channels.c.lease_owner == row.lease_owner)
    won = session.connection().execute(
        update(channels)
        .where(channels.c.id == row.id, or_(*free))
        .values(lease_owner=owner, lease_until=now + timedelta(seconds=seconds))
    )
    return won.rowcount == 1


def reader_of(session: Session, subscription: str) -> Channel | None:
    """The reader's row: ``opened_at`` is when it last got an answer, ``error`` what is wrong with it."""
    return session.exec(select(Channel).where(Channel.channel_id == _name(subscription))).first()


def reader_went(session: Session, subscription: str, *, now: datetime, code: str = "", sentence: str = "") -> None:
    """How the last look into the subscription went."""
    row = reader_of(session, subscription)
    if row is None:
        return
    row.opened_at = row.opened_at if code else now
    row.failures = row.failures + 1 if code else 0
    row.error, row.error_sentence, row.error_at = code, sentence, now if code else None
    session.add(row)


def free_reader(session: Session, subscription: str, owner: str) -> None:
    """Let another process read."""
    channels = table(Channel)
    session.connection().execute(
        update(channels)
        .where(channels.c.channel_id == _name(subscription), channels.c.lease_owner == owner)
        .values(**NO_LEASE)
    )


def _name(subscription: str) -> str:
    return f"reader:{subscription}"
