"""One item on its way into the timeline, and what the transaction of its page works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session

from connectors.items import Meeting, Message
from models.account import Account, Source
from models.keyring import Hasher
from worker.book import Book
from worker.match import Decision
from worker.view import View


@dataclass(slots=True)
class Case:
    """One item on its way into the timeline. ``row`` is its interaction (stored or about to be); ``known_thread`` the
    conversation of one that is stored (0: none); ``released``: it was held and this copy settles where it belongs."""

    item: Message | Meeting
    view: View
    decision: Decision
    identity: str = ""
    fingerprint: str = ""
    interaction_id: int = 0
    known_thread: int = 0
    fresh: bool = False
    released: bool = False
    row: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Logging:
    """What one page's transaction works with."""

    session: Session
    source: Source
    account: Account
    book: Book
    hasher: Hasher
    now: datetime
    announce_all: bool = False
