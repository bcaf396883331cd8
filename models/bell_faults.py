"""Doorbells that do not ring, for people: why, and when they are tried again. Polling finds everything meanwhile."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from models.account import Account, Source
from models.channel import Channel
from models.db import table

SEVERAL = 3
"""So many failures in a row are told, however soon the next try is."""
LONG = timedelta(minutes=5)
"""A fault whose next try is further off than this is told at once."""
FRESH = timedelta(minutes=30)
"""The fault of a queue that nobody has looked into for so long is no news: it is not read any more."""


@dataclass(frozen=True)
class BellFault:
    """Why mail (or the calendar) of an account is not announced. ``kind``: mail | calendar; ``sentence`` says who must do what."""

    kind: str
    code: str
    sentence: str
    failures: int
    since: datetime | None
    next_at: datetime | None


def bell_faults(session: Session, account: Account) -> list[BellFault]:
    """What keeps an account's doorbells from ringing, each sentence once. None of an account that is not read at all."""
    if account.disconnected_at is not None or account.refused:
        return []
    rows = session.exec(select(Channel).where(_failing(account.id or 0)).order_by(col(Channel.kind).desc())).all()
    found: dict[tuple[str, str], BellFault] = {}
    for row in rows:
        if _worth_telling(row):
            fault = BellFault(row.kind, row.error, row.error_sentence, row.failures, row.error_at, row.renew_at)
            found.setdefault((row.kind, row.error_sentence), fault)
    return list(found.values())


def queue_faults(session: Session, *, now: datetime) -> list[str]:
    """What keeps a queue in which many mailboxes ring from being emptied; for whoever runs the server."""
    rows = session.exec(
        select(Channel.error_sentence)
        .where(Channel.kind == "reader", Channel.error != "", col(Channel.error_at) > now - FRESH)
        .order_by(col(Channel.id))
    ).all()
    return list(dict.fromkeys(rows))


def retry_bells(session: Session, account_id: int, *, now: datetime) -> None:
    """Try the doorbells of an account that failed again now."""
    session.connection().execute(update(table(Channel)).where(_failing(account_id)).values(renew_at=now))


def _failing(account_id: int) -> Any:
    mine = select(Source.id).where(Source.account_id == account_id)
    return (col(Channel.source_id).in_(mine)) & (col(Channel.error) != "") & col(Channel.stop_at).is_(None)


def _worth_telling(row: Channel) -> bool:
    soon = row.renew_at is not None and row.error_at is not None and row.renew_at - row.error_at <= LONG
    return row.failures >= SEVERAL or not soon
