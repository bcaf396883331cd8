"""Doorbells at the providers: a watch, a channel, a subscription of a source, and whoever empties a queue they ring in.

A doorbell is never more than that: it may be lost, doubled, early, forged or silent (provider-contract 0.10). What it says
is never believed; it makes a source due (``models.doorbell``), and the cursor stays the only truth.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import or_, update
from sqlmodel import Field, Session, SQLModel, col, select

from models.db import table
from models.fields import instant, sealed

NO_LEASE = {"lease_owner": "", "lease_until": None}


class Channel(SQLModel, table=True):
    """One doorbell. ``kind``: ``mail`` or ``calendar``, that of its source (``address`` is where it rings: a topic, or a URL of
    ours); ``reader``: whoever empties the queue ``address``; it belongs to no source.

    Due for renewal at ``renew_at``, to be stopped at ``stop_at``, under a lease. Where a doorbell cannot be renewed, the next one
    is opened before this one is stopped, so a source may have two. ``token_hash``: SHA-256 of the secret that its messages carry.
    ``sealed_grant``: the account's last grant, kept for the one call that stops the channel after a disconnection."""

    id: int | None = Field(default=None, primary_key=True)
    source_id: int | None = Field(default=None, foreign_key="source.id", index=True, ondelete="CASCADE")
    kind: str
    channel_id: str | None = Field(default=None, unique=True)
    resource_id: str = ""
    token_hash: bytes = sealed()
    address: str = ""
    created_at: datetime = instant()
    opened_at: datetime | None = instant(None)
    expires_at: datetime | None = instant(None)
    renew_at: datetime | None = instant(None, index=True)
    stop_at: datetime | None = instant(None, index=True)
    last_message_at: datetime | None = instant(None)
    missed_at: datetime | None = instant(None)
    lease_owner: str = ""
    lease_until: datetime | None = instant(None)
    failures: int = 0
    error: str = ""
    error_sentence: str = ""
    error_at: datetime | None = instant(None)
    sealed_grant: bytes = sealed()


def add_channel(session: Session, source_id: int, kind: str, *, now: datetime) -> Channel:
    """A doorbell that is wanted: due to be opened at once."""
    channel = Channel(source_id=source_id, kind=kind, created_at=now, renew_at=now)
    session.add(channel)
    return channel


def end_channels(
    session: Session,
    source_ids: Iterable[int | None] = (),
    *,
    now: datetime,
    ids: Iterable[int] = (),
    sealed_grant: bytes = b"",
) -> None:
    """Have the doorbells of these sources (or those of these ``ids``) stopped. ``sealed_grant``: what to stop them with,
    when the account forgets its own. One that was never opened is simply forgotten."""
    wanted = or_(col(Channel.source_id).in_(list(source_ids)), col(Channel.id).in_(list(ids)))
    for channel in session.exec(select(Channel).where(wanted)).all():
        if channel.opened_at is None:
            session.delete(channel)
            continue
        channel.stop_at, channel.renew_at, channel.failures = channel.stop_at or now, None, 0
        channel.sealed_grant = sealed_grant or channel.sealed_grant
        session.add(channel)


def prepare_channel(
    session: Session, channel: Channel, owner: str, *, channel_id: str, token_hash: bytes, address: str, now: datetime
) -> int:
    """The row of a source's next doorbell, written before the provider is asked: its first message may come before the
    answer. Earlier ones that were never opened go. The new row's id."""
    for other in session.exec(_never_opened(channel)).all():
        session.delete(other)
    row = Channel(
        source_id=channel.source_id,
        kind=channel.kind,
        channel_id=channel_id,
        token_hash=token_hash,
        address=address,
        created_at=now,
        lease_owner=owner,
        lease_until=channel.lease_until,
    )
    session.add(row)
    session.flush()
    return row.id or 0


def channel_opened(
    session: Session,
    channel_id: int,
    *,
    opened_at: datetime,
    expires_at: datetime,
    renew_at: datetime,
    address: str,
    resource_id: str = "",
    named: tuple[str, bytes] | None = None,
    heard_at: datetime | None = None,
) -> None:
    """The provider rings from now on. ``opened_at``: just before it was asked to; ``named``: the name that the provider chose and
    the hash of the secret, of a new one; ``heard_at``: when it proved that it reaches us, if it did not ring for that."""
    more: dict[str, Any] = {} if named is None else {"channel_id": named[0], "token_hash": named[1]}
    if heard_at is not None:
        more["last_message_at"] = heard_at
    session.connection().execute(
        update(table(Channel))
        .where(table(Channel).c.id == channel_id)
        .values(
            opened_at=opened_at,
            expires_at=expires_at,
            renew_at=renew_at,
            address=address,
            resource_id=resource_id,
            failures=0,
            error="",
            error_sentence="",
            error_at=None,
            **more,
            **NO_LEASE,
        )
    )


def replace_channel(session: Session, channel: Channel, *, stop_at: datetime) -> None:
    """Another one rings now: stop this one a little later, so that nothing falls between the two."""
    row = session.get(Channel, channel.id)
    if row is None:
        return
    if row.opened_at is None:
        session.delete(row)
        return
    row.stop_at, row.renew_at, row.lease_owner, row.lease_until = stop_at, None, "", None
    session.add(row)


def channel_failed(
    session: Session, channel_id: int, owner: str, *, code: str, sentence: str, again_at: datetime, now: datetime
) -> None:
    """A call went wrong: shown on the row, tried again at ``again_at``."""
    row = session.get(Channel, channel_id)
    if row is None or row.lease_owner != owner:
        return
    row.failures += 1
    row.error, row.error_sentence, row.error_at = code, sentence, now
    row.lease_owner, row.lease_until = "", None
    if row.stop_at is not None:
        row.stop_at = again_at
    else:
        row.renew_at = again_at
    session.add(row)


def give_up_channel(session: Session, channel_id: int, *, code: str, sentence: str, now: datetime) -> None:
    """It could not be stopped: the grant that was kept for it goes, the row stays to tell of it until the doorbell has run
    out by itself."""
    row = session.get(Channel, channel_id)
    if row is None:
        return
    row.sealed_grant, row.renew_at, row.stop_at = b"", None, row.expires_at or now
    row.error, row.error_sentence, row.error_at = code, sentence, now
    row.lease_owner, row.lease_until = "", None
    session.add(row)


def forget_channel(session: Session, channel_id: int) -> None:
    """It rings no more, and neither does its row."""
    row = session.get(Channel, channel_id)
    if row is not None:
        session.delete(row)


def _never_opened(channel: Channel) -> Any:
    return select(Channel).where(
        Channel.source_id == channel.source_id,
        Channel.kind == channel.kind,
        col(Channel.opened_at).is_(None),
        Channel.id != channel.id,
    )
