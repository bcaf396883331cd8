"""Who rings, and what that does: a source becomes due a moment later, whatever else the message said."""

import hashlib
import hmac
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, case, or_, update
from sqlmodel import Session, col, func, select

from models.account import Account, Source, lease_owner
from models.channel import Channel
from models.db import Database, table
from models.fields import UtcDateTime

REST = {"gmail": timedelta(seconds=2), "calendar": timedelta(seconds=3)}
"""How long further rings are gathered before a source is looked at (provider-contract 2.4: 2 to 5 s for a calendar)."""
SOURCE_KINDS = {"gmail": "mail", "calendar": "calendar"}
"""What a kind of doorbell rings for."""
FRESH = timedelta(seconds=20)
"""How exactly ``Channel.last_message_at`` is kept: a ring so soon after another writes nothing."""


def hear_mailboxes(db: Database, provider: str, emails: Collection[str], *, now: datetime) -> int:
    """A doorbell rang for the mailboxes with these addresses (case does not matter, unknown ones are passed over); how
    many rows were written. One look without a lock, so that a hundred rings in a second write once."""
    sources, channels, accounts = table(Source), table(Channel), table(Account)
    soon = now + REST["gmail"]
    belled = and_(channels.c.source_id == sources.c.id, channels.c.kind == "gmail")
    named = (
        select(
            sources.c.id,
            case((_asleep(now, soon), 1), else_=0),
            channels.c.id,
            case((_unheard(now), 1), else_=0),
        )
        .select_from(sources.join(accounts, accounts.c.id == sources.c.account_id).outerjoin(channels, belled))
        .where(
            accounts.c.provider == provider,
            accounts.c.email.in_([email.strip().lower() for email in emails]),
            accounts.c.disconnected_at.is_(None),
            sources.c.kind == "mail",
        )
    )
    with db.read() as session:
        found = session.connection().execute(named).all()
    asleep = {source_id for source_id, yes, _, _ in found if yes}
    unheard = {channel_id for _, _, channel_id, yes in found if yes and channel_id is not None}
    return _write(db, asleep, unheard, now, soon)


def hear_channel(db: Database, channel: Channel, *, now: datetime, wake: bool = True) -> int:
    """A calendar's channel rang; how many rows were written. ``wake`` False: it only said that it is there."""
    soon = now + REST["calendar"]
    with db.read() as session:
        asleep = session.exec(select(Source.id).where(Source.id == channel.source_id, _asleep(now, soon))).all()
        unheard = session.exec(select(Channel.id).where(Channel.id == channel.id, _unheard(now))).all()
    return _write(db, set(asleep) - {None} if wake else set(), set(unheard) - {None}, now, soon)


def channel_for(session: Session, channel_id: str, token: str, resource_id: str) -> Channel | None:
    """The calendar channel that a message belongs to; None when id, secret or resource is not the one we know. The secret
    is compared in constant time, also where there is no such channel."""
    row = session.exec(select(Channel).where(Channel.channel_id == channel_id, Channel.kind == "calendar")).first()
    kept = row.token_hash if row is not None else b"\x00" * 32
    same = hmac.compare_digest(hash_of(token), kept)
    if row is None or not same or (row.resource_id and row.resource_id != resource_id):
        return None
    return row


def hash_of(token: str) -> bytes:
    """What is stored of a channel's secret (256 random bits, so that a plain SHA-256 gives nothing away)."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def claim_due_channels(session: Session, *, now: datetime, seconds: float, limit: int) -> list[tuple[int, str]]:
    """Lease the doorbells that are to be opened, renewed or stopped: (id, owner) of each one won."""
    channels = table(Channel)
    won = []
    for channel_id in session.exec(due_channels(now).limit(limit)).all():
        owner = lease_owner()
        claimed = session.connection().execute(
            update(channels)
            .where(channels.c.id == channel_id, _free(now))
            .values(lease_owner=owner, lease_until=now + timedelta(seconds=seconds))
        )
        if claimed.rowcount == 1:
            won.append((channel_id, owner))
    return won


def due_channels(now: datetime) -> Any:
    """The ids of the doorbells that may be claimed now. A refused or throttled account is left in peace."""
    able = and_(
        col(Account.disconnected_at).is_(None),
        col(Account.refused) == "",
        or_(col(Account.throttled_until).is_(None), col(Account.throttled_until) <= now),
    )
    renew = and_(col(Channel.stop_at).is_(None), col(Channel.renew_at) <= now, able)
    return (
        select(Channel.id)
        .join(Source, col(Source.id) == Channel.source_id)
        .join(Account, col(Account.id) == Source.account_id)
        .where(_free(now), or_(col(Channel.stop_at) <= now, renew))
        .order_by(col(Channel.id))
    )


def unwatched(session: Session, provider: str, kind: str, *, limit: int = 50) -> list[int]:
    """Sources that are read already and have no doorbell of this kind."""
    belled = select(Channel.source_id).where(
        Channel.kind == kind, col(Channel.stop_at).is_(None), col(Channel.source_id).is_not(None)
    )
    found = session.exec(
        select(Source.id)
        .join(Account, col(Account.id) == Source.account_id)
        .where(
            Account.provider == provider,
            col(Account.disconnected_at).is_(None),
            Source.kind == SOURCE_KINDS[kind],
            col(Source.selected),
            col(Source.gone_at).is_(None),
            col(Source.synced_at).is_not(None),
            col(Source.id).not_in(belled),
        )
        .limit(limit)
    )
    return [source_id for source_id in found.all() if source_id is not None]


def unwanted(session: Session, kinds: Collection[str]) -> list[int]:
    """Doorbells to be stopped: of kinds that are not wanted (any more), of sources that nobody reads, and second ones."""
    newest = select(func.max(Channel.id)).where(col(Channel.stop_at).is_(None), col(Channel.opened_at).is_not(None))
    newest = newest.group_by(col(Channel.source_id), col(Channel.kind))
    found = session.exec(
        select(Channel.id)
        .join(Source, col(Source.id) == Channel.source_id)
        .where(
            col(Channel.stop_at).is_(None),
            or_(
                col(Channel.kind).not_in(list(kinds)),
                col(Source.selected).is_(False),
                col(Source.gone_at).is_not(None),
                and_(col(Channel.opened_at).is_not(None), col(Channel.id).not_in(newest)),
            ),
        )
    )
    return [channel_id for channel_id in found.all() if channel_id is not None]


def moved(session: Session, kind: str, address: str, now: datetime) -> list[int]:
    """Doorbells that ring elsewhere than they should by now, and are not being renewed already."""
    found = session.exec(
        select(Channel.id).where(
            Channel.kind == kind,
            col(Channel.address).not_in(("", address)),
            col(Channel.stop_at).is_(None),
            col(Channel.renew_at) > now,
            Channel.failures == 0,
        )
    )
    return [channel_id for channel_id in found.all() if channel_id is not None]


def hasten(session: Session, kind: str, *, at: datetime, source_id: int | None = None) -> int:
    """The doorbells of a kind (or of one source) cannot be relied on: look by ``at`` at what would be looked at later."""
    sources, channels = table(Source), table(Channel)
    belled = select(channels.c.source_id).where(channels.c.kind == kind, channels.c.source_id.is_not(None))
    which = sources.c.id.in_(belled) if source_id is None else sources.c.id == source_id
    free = or_(sources.c.lease_until.is_(None), sources.c.lease_until <= at)
    done = session.connection().execute(
        update(sources).where(which, free, sources.c.next_sync_at > at).values(next_sync_at=at)
    )
    return done.rowcount


def _free(now: datetime) -> Any:
    channels = table(Channel)
    return or_(channels.c.lease_until.is_(None), channels.c.lease_until <= now)


def _asleep(now: datetime, soon: datetime) -> Any:
    """Whether a source would otherwise not be looked at by ``soon``. One under a lease is due again the moment that it is
    released, however often it rings meanwhile: one more run."""
    sources = table(Source)
    held = sources.c.lease_until > now
    free = or_(sources.c.lease_until.is_(None), sources.c.lease_until <= now)
    return or_(and_(held, sources.c.next_sync_at > now), and_(free, sources.c.next_sync_at > soon))


def _unheard(now: datetime) -> Any:
    """Whether a doorbell was not heard of late, since it was opened last, or since it failed to ring."""
    channels = table(Channel)
    last = channels.c.last_message_at
    return or_(last.is_(None), last < now - FRESH, last < channels.c.opened_at, last <= channels.c.missed_at)


def _write(db: Database, asleep: set[Any], unheard: set[Any], now: datetime, soon: datetime) -> int:
    """What was found is looked at again, under the lock."""
    if not asleep and not unheard:
        return 0
    sources, channels = table(Source), table(Channel)
    held = sources.c.lease_until > now
    at = case((held, bindparam("at_once", now, UtcDateTime)), else_=bindparam("soon", soon, UtcDateTime))
    wake = update(sources).where(sources.c.id.in_(asleep), _asleep(now, soon)).values(next_sync_at=at)
    mark = update(channels).where(channels.c.id.in_(unheard), _unheard(now)).values(last_message_at=now)
    with db.write() as session:
        connection = session.connection()
        return (connection.execute(wake).rowcount if asleep else 0) + (
            connection.execute(mark).rowcount if unheard else 0
        )
