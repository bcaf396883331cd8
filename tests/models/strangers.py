"""People of whom only mail tells: exchanges noted as the worker notes them, ledger and all."""

from __future__ import annotations

import itertools
from datetime import datetime

from sqlmodel import Session, col, select

from models.account import Account, Source
from models.addresses import domain_of
from models.discovery import Discovery, Exchange, note_exchanges
from models.keyring import Keyring, hasher
from models.ledger import WRITTEN, WROTE, LedgerEntry, LedgerHash
from tests.models.cast import mailbox
from tests.support import NOW, REP

STRANGER = "sam.stone@stoneworks.example"
_numbers = itertools.count(1)


def exchanged(
    session: Session,
    keyring: Keyring,
    address: str = STRANGER,
    *,
    wrote: int = 1,
    written: int = 1,
    name: str = "",
    own: str = REP,
    early: bool = False,
    at: datetime = NOW,
    now: datetime = NOW,
) -> Discovery | None:
    """So many mails each way between a rep and somebody; the row that is kept of it, if one is."""
    account = session.exec(select(Account).where(Account.email == own)).first() or mailbox(session, own)[0]
    source = session.exec(select(Source).where(Source.account_id == account.id).order_by(col(Source.id))).first()
    assert source is not None
    digest = hasher(session, keyring).digest(address)
    domain = hasher(session, keyring).digest("@" + domain_of(address))
    ways = [WROTE] * wrote + [WRITTEN] * written
    for way in ways:
        entry = LedgerEntry(
            source_id=source.id or 0,
            item_id=f"stranger{next(_numbers)}",
            outcome="ignored",
            reason="no contact",
            updated_at=now,
        )
        session.add(entry)
        session.flush()
        session.add(LedgerHash(entry_id=entry.id or 0, hash=digest, way=way))
        session.add(LedgerHash(entry_id=entry.id or 0, hash=domain))
    session.flush()
    found = [Exchange(address, digest, name, way, at) for way in ways]
    note_exchanges(session, account.user_id, found, early=early, since=NOW, now=now)
    return session.exec(select(Discovery).where(Discovery.user_id == account.user_id, Discovery.hash == digest)).first()
