"""``dealtrail sync``: ask for a look at the mailboxes, and with ``--wait`` work here until it is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from connecting import named_accounts
from house import House, now, open_house
from models.account import Account, Source, request_sync
from models.health import account_health
from models.ledger import LedgerEntry
from serving import working

PAUSE = 0.2


def sync(email: str, *, wait: bool, progress: Any = None, house: House | None = None) -> dict[str, Any]:
    """Make accounts due; with ``wait`` work in this process until nothing is left to do. ``ok`` is False when an account
    could not be brought up to date. Raises NotFound."""
    house = house or open_house()
    asked = now()
    ids = ask(house, email, request_sync, asked)
    if wait:
        with working(house):
            until_done(house, lambda session: unfinished(session, ids, asked), progress)
    with house.db.read() as session:
        lines = [_line(session, account) for account in named_accounts(session, email)]
    waiting = {"ok"} if wait else {"ok", "syncing", "owed", "throttled"}
    return {"ok": all(line["state"] in waiting for line in lines), "waited": wait, "accounts": lines}


def ask(house: House, email: str, request: Callable[..., int], asked: datetime) -> list[int]:
    """Make a request of each account (of one, by its address); their ids. Raises NotFound."""
    with house.db.write() as session:
        ids = [account.id or 0 for account in named_accounts(session, email)]
        for account_id in ids:
            request(session, account_id, now=asked)
    return ids


def until_done(house: House, look: Callable[[Session], tuple[int, str]], progress: Any) -> None:
    """Look again and again until nothing is left; ``look`` says how much is, and how far it is in words, which ``progress``
    prints whenever they change."""
    last = ""
    while True:
        with house.db.read() as session:
            left, shown = look(session)
        if progress is not None and shown != last:
            progress.print(shown, markup=False)
            last = shown
        if not left:
            return
        time.sleep(PAUSE)


def unfinished(session: Session, ids: list[int], asked: datetime) -> tuple[int, str]:
    """Sources that still have something to do now, and how far they are in words. A refused account is done: it waits
    for a person, not for us."""
    refused = set(session.exec(select(Account.id).where(col(Account.id).in_(ids), Account.refused != "")).all())
    sources = session.exec(
        select(Source).where(col(Source.account_id).in_(ids), col(Source.selected), col(Source.gone_at).is_(None))
    ).all()
    live = [source for source in sources if source.account_id not in refused]
    waiting = [s for s in live if s.lease_owner or s.synced_at is None or s.synced_at < asked or _due(s)]
    failing = [s for s in waiting if s.error and s.failures >= 3 and not s.lease_owner]
    counts = dict(
        session.exec(
            select(LedgerEntry.outcome, func.count())
            .where(col(LedgerEntry.source_id).in_([s.id for s in sources]))
            .group_by(LedgerEntry.outcome)
        ).all()
    )
    shown = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "starting"
    return len(waiting) - len(failing), shown


def _due(source: Source) -> bool:
    return source.next_sync_at is not None and source.next_sync_at <= now()


def _line(session: Session, account: Account) -> dict[str, Any]:
    health = account_health(session, account, now=now())
    return {
        "id": account.id,
        "email": account.email,
        "state": health.state,
        "sentence": health.sentence,
        "owed": health.owed,
        "unreadable": health.unreadable,
        "notices": [*account.missing, *health.notices],
    }
