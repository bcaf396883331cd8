"""Who rings, and what that does: a source becomes due a moment later, whatever else the message said."""

import hashlib
import hmac
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, case, or_, true, update
from sqlmodel import Session, col, func, select

from models.account import Account, Source, lease_owner
from models.channel import Channel
from models.db import Database, chunks, table
from models.fields import UtcDateTime

REST = {"mail": timedelta(seconds=2), "calendar": timedelta(seconds=3)}
"""How long further rings are gathered before a source is looked at (provider-contract 2.4: 2 to 5 s for a calendar)."""
FRESH = timedelta(seconds=20)
"""How exactly ``Channel.last_message_at`` is kept: a ring so soon after another writes nothing."""
TENDED = timedelta(minutes=1)
"""A doorbell that was opened or renewed so lately is not looked after again because it asks for it."""
Wanted = Collection[tuple[str, str]]
"""Provider and kind of source of the doorbells that are wanted."""


@dataclass(frozen=True)
class Ring:
    """A message of a doorbell, which is to prove by its secret that it is one of ours. ``wake`` False: it only says that it is
    there; ``tend``: the doorbell itself is to be looked after."""

    channel_id: str
    token: str
    resource_id: str = ""
    wake: bool = True
    tend: bool = False


def hear_mailboxes(db: Database, provider: str, emails: Collection[str], *, now: datetime) -> int:
    """A doorbell rang for the mailboxes with these addresses (case does not matter, unknown ones are passed over); how
    many rows were written. One look without a lock, so that a hundred rings in a second write once."""
    sources, channels, accounts = table(Source), table(Channel), table(Account)
    soon = now + REST["mail"]
    belled = and_(channels.c.source_id == sources.c.id, channels.c.kind == "mail")
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


def hear_channels(db: Database, rings: Collection[Ring], *, now: datetime) -> int:
    """Named doorbells rang; how many of the rings are of one that is ours. The others change nothing."""
    with db.read() as session:
        known = [(row, ring) for row, ring in _rung(session, rings) if row is not None]
    for kind, rest in REST.items():
        some = [(row, ring) for row, ring in known if row.kind == kind]
        if some:
            _hear(db, some, now, now + rest)
    return len(known)


def hear_channel(db: Database, channel: Channel, *, now: datetime, wake: bool = True) -> int:
    """A doorbell of ours rang; how many rows were written. ``wake`` False: it only said that it is there."""
    return _hear(db, [(channel, Ring("", "", wake=wake))], now, now + REST[channel.kind])


def channel_for(session: Session, channel_id: str, token: str, resource_id: str = "") -> Channel | None:
    """The doorbell that a message belongs to; None when name, secret or resource is not the one we know."""
    ((row, _),) = _rung(session, [Ring(channel_id, token, resource_id)])
    return row


def _rung(session: Session, rings: Collection[Ring]) -> Iterable[tuple[Channel | None, Ring]]:
    """Each ring with its doorbell. Secrets are compared in constant time, also where there is no such doorbell."""
    rows: dict[str | None, Channel] = {}
    for part in chunks({ring.channel_id for ring in rings}):
        named = select(Channel).where(col(Channel.channel_id).in_(part), col(Channel.source_id).is_not(None))
        rows |= {row.channel_id: row for row in session.exec(named)}
    found: list[tuple[Channel | None, Ring]] = []
    for ring in rings:
        row = rows.get(ring.channel_id)
        kept = row.token_hash if row is not None else b"\x00" * 32
        same = hmac.compare_digest(hash_of(ring.token), kept)
        mine = row is not None and same and row.resource_id in ("", ring.resource_id)
        found.append((row if mine else None, ring))
    return found


def _hear(db: Database, rung: list[tuple[Channel, Ring]], now: datetime, soon: datetime) -> int:
    """What was looked at without a lock is written under one: sources that are asleep, doorbells that were not heard of late or
    that ask to be looked after."""
    channels = table(Channel)
    wake = {row.source_id for row, ring in rung if ring.wake}
    tend = [row.id for row, ring in rung if ring.tend]
    theirs = and_(
        col(Channel.stop_at).is_(None), or_(channels.c.opened_at.is_(None), channels.c.opened_at <= now - TENDED)
    )
    with db.read() as session:
        asleep = session.exec(select(Source.id).where(col(Source.id).in_(wake), _asleep(now, soon))).all()
        ids = {row.id for row, _ in rung}
        unheard = session.exec(select(Channel.id).where(col(Channel.id).in_(ids), _unheard(now))).all()
        ailing = session.exec(
            select(Channel.id).where(col(Channel.id).in_(tend), theirs, col(Channel.renew_at) > now)
        ).all()
    if ailing:
        with db.write() as session:
            session.connection().execute(update(channels).where(channels.c.id.in_(list(ailing))).values(renew_at=now))
    return _write(db, set(asleep), set(unheard), now, soon) + len(ailing)


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
            Source.kind == kind,
            col(Source.selected),
            col(Source.gone_at).is_(None),
            col(Source.synced_at).is_not(None),
            col(Source.id).not_in(belled),
        )
        .order_by(col(Source.id))
        .limit(limit)
    )
    return [source_id for source_id in found.all() if source_id is not None]


def unwanted(session: Session, wanted: Wanted) -> list[int]:
    """Doorbells to be stopped: of kinds that are not wanted (any more), of sources that nobody reads, and second ones."""
    kept = [and_(col(Account.provider) == provider, col(Channel.kind) == kind) for provider, kind in wanted]
    other = ~or_(*kept) if kept else true()
    newest = select(func.max(Channel.id)).where(col(Channel.stop_at).is_(None), col(Channel.opened_at).is_not(None))
    newest = newest.group_by(col(Channel.source_id), col(Channel.kind))
    found = session.exec(
        select(Channel.id)
        .join(Source, col(Source.id) == Channel.source_id)
        .join(Account, col(Account.id) == Source.account_id)
        .where(
            col(Channel.stop_at).is_(None),
            or_(
                other,
                col(Source.selected).is_(False),
                col(Source.gone_at).is_not(None),
                and_(col(Channel.opened_at).is_not(None), col(Channel.id).not_in(newest)),
            ),
        )
        .order_by(col(Channel.id))
    )
    return [channel_id for channel_id in found.all() if channel_id is not None]


def moved(session: Session, provider: str, kind: str, address: str, now: datetime) -> list[int]:
    """Doorbells that ring elsewhere than they should by now, and are not being renewed already."""
    found = session.exec(
        select(Channel.id)
        .join(Source, col(Source.id) == Channel.source_id)
        .join(Account, col(Account.id) == Source.account_id)
        .where(
            Account.provider == provider,
            Channel.kind == kind,
            col(Channel.address).not_in(("", address)),
            col(Channel.stop_at).is_(None),
            col(Channel.renew_at) > now,
            Channel.failures == 0,
        )
        .order_by(col(Channel.id))
    )
    return [channel_id for channel_id in found.all() if channel_id is not None]


def hasten(session: Session, source_id: int, *, at: datetime) -> int:
    """A source's doorbell cannot be relied on: look by ``at``, if it would be looked at later; how many rows changed."""
    return _hasten(session, table(Source).c.id == source_id, at)


def hasten_all(session: Session, provider: str, kind: str, *, at: datetime) -> int:
    """The same for every source of a provider's that has a doorbell of this kind."""
    sources, channels, accounts = table(Source), table(Channel), table(Account)
    belled = select(channels.c.source_id).where(channels.c.kind == kind, channels.c.source_id.is_not(None))
    theirs = select(accounts.c.id).where(accounts.c.provider == provider)
    return _hasten(session, and_(sources.c.id.in_(belled), sources.c.account_id.in_(theirs)), at)


def _hasten(session: Session, which: Any, at: datetime) -> int:
    sources = table(Source)
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
