"""Changing who sees how much, also of what is logged already: look first (how many rows), then change.

Three places narrow: an account's level, a conversation's, a single mail's or meeting's. Narrowing takes the words out of the
events that were told, because they are read again (the feed, samples, redelivery); widening tells nothing anew. A level below
``full`` keeps no text of what comes from then on (``worker.intake``); the texts stored so far are removed when asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import Session, col, func, select

from models.account import VISIBILITIES, Account
from models.db import chunks, table
from models.deal import Deal
from models.errors import Forbidden, Invalid, NotFound
from models.event import Event
from models.interaction import Copy, Interaction, Link, Thread
from models.privacy import RANK, Sight, sights
from models.suggestion import Signal, Suggestion


@dataclass
class Change:
    """How many mails and meetings it concerns; of how many the team sees less, or more; how many texts are stored that the
    account no longer keeps, with the quotes that rest on them; how many events lose words; how many texts were removed."""

    concerned: int = 0
    narrower: int = 0
    wider: int = 0
    texts: int = 0
    quotes: int = 0
    events: int = 0
    removed: int = 0
    lowered: set[int] = field(default_factory=set, repr=False)

    def shown(self) -> dict[str, int]:
        """The figures."""
        names = ("concerned", "narrower", "wider", "texts", "quotes", "events", "removed")
        return {name: getattr(self, name) for name in names}


# ---- an account


def look_at_account(session: Session, account: Account, level: str) -> Change:
    """What a level would change. Nothing is written. Raises Invalid."""
    before = account.visibility
    try:
        return _account(session, account, level)
    finally:
        account.visibility = before
        session.flush()


def set_account_level(
    session: Session, account: Account, level: str, *, now: datetime, remove_texts: bool = False
) -> Change:
    """Give an account a level, for what is logged already as well. ``remove_texts``: also from the rows, for good; where a
    colleague's mailbox keeps the same mail in full, that copy's text stays. Raises Invalid."""
    change = _account(session, account, level)
    _retell(session, change.lowered)
    if remove_texts and level != "full":
        change.removed = _remove_texts(session, _texts_of(session, account), now)
    return change


def _account(session: Session, account: Account, level: str) -> Change:
    _known(level)
    ids = session.exec(select(Copy.interaction_id).where(Copy.account_id == account.id).distinct()).all()
    change = Change(concerned=len(ids))
    before = account.visibility
    for part in chunks(ids):
        rows = session.exec(select(Interaction).where(col(Interaction.id).in_(part))).all()
        seen = sights(session, rows, None)
        account.visibility = level
        session.add(account)
        session.flush()
        _compare(change, seen, sights(session, rows, None))
        account.visibility = before
        session.flush()
    account.visibility = level
    session.add(account)
    session.flush()
    if level != "full":
        stored = _texts_of(session, account)
        change.texts, change.quotes = len(stored), _count_quotes(session, stored)
    change.events = _count_events(session, change.lowered)
    return change


def _texts_of(session: Session, account: Account) -> set[int]:
    """Stored texts that no other mailbox keeps in full."""
    full = (
        select(Copy.interaction_id)
        .join(Account, col(Account.id) == Copy.account_id)
        .where(Account.visibility == "full", Account.id != account.id)
    )
    here = select(Copy.interaction_id).where(Copy.account_id == account.id)
    return {
        key
        for key in session.exec(
            select(Interaction.id).where(
                col(Interaction.id).in_(here),
                col(Interaction.id).not_in(full),
                (Interaction.text != "") | (Interaction.new_text != "") | (Interaction.snippet != ""),
            )
        )
        if key is not None
    }


# ---- a conversation, and one mail or meeting


def look_at_thread(session: Session, thread_id: int, level: str, *, user_id: int) -> Change:
    """What a conversation's level would change. Nothing is written. Raises NotFound, Forbidden, Invalid."""
    rows = own_in_thread(session, thread_id, user_id)
    kept = [(row, row.visibility) for row in rows]
    change = _rows(session, rows, level)
    for row, before in kept:
        row.visibility = before
    session.flush()
    return change


def set_thread_level(session: Session, thread_id: int, level: str, *, user_id: int, earlier: bool = True) -> Change:
    """Narrow what others see of all that is yet to come in a conversation, and (``earlier``) of what the user's own mailboxes
    hold of it; empty: as the accounts say. Raises NotFound, Forbidden, Invalid."""
    rows = own_in_thread(session, thread_id, user_id)
    thread = session.get_one(Thread, thread_id)
    _known(level, empty=True)
    thread.visibility = level
    session.add(thread)
    change = _rows(session, rows if earlier else [], level)
    _retell(session, change.lowered)
    return change


def set_row_level(session: Session, row: Interaction, level: str) -> Change:
    """Narrow what others see of one mail or meeting; empty: as the accounts say. Raises Invalid."""
    change = _rows(session, [row], level)
    _retell(session, change.lowered)
    return change


def narrowed_threads(session: Session, thread_ids: Iterable[int]) -> dict[int, str]:
    """The level of each of these conversations that has one."""
    found: dict[int, str] = {}
    for part in chunks(set(thread_ids)):
        rows = select(Thread.id, Thread.visibility).where(col(Thread.id).in_(part), Thread.visibility != "")
        found.update((key or 0, level) for key, level in session.exec(rows))
    return found


def own_in_thread(session: Session, thread_id: int, user_id: int) -> list[Interaction]:
    """What of a conversation lies in a user's own mailboxes. Raises NotFound, Forbidden (nothing does)."""
    if session.get(Thread, thread_id) is None:
        raise NotFound("There is no such conversation.")
    mine = (
        select(Copy.interaction_id).join(Account, col(Account.id) == Copy.account_id).where(Account.user_id == user_id)
    )
    rows = session.exec(
        select(Interaction).where(Interaction.thread_id == thread_id, col(Interaction.id).in_(mine))
    ).all()
    if not rows:
        raise Forbidden("Only those in whose mailbox it lies decide what others see of it.")
    return list(rows)


def _rows(session: Session, rows: list[Interaction], level: str) -> Change:
    _known(level, empty=True)
    before = sights(session, rows, None)
    for row in rows:
        row.visibility = level
        session.add(row)
    session.flush()
    change = Change(concerned=len(rows))
    _compare(change, before, sights(session, rows, None))
    change.events = _count_events(session, change.lowered)
    return change


# ---- what all of them share


def _known(level: str, *, empty: bool = False) -> None:
    if level not in VISIBILITIES and not (empty and level == ""):
        raise Invalid(f"Choose one of {', '.join(VISIBILITIES)}.", "visibility")


def _compare(change: Change, before: dict[int, Sight], after: dict[int, Sight]) -> None:
    for key, seen in before.items():
        step = RANK[after[key].level] - RANK[seen.level]
        change.narrower += step < 0
        change.wider += step > 0
        if step < 0:
            change.lowered.add(key)


def _telling(ids: Iterable[int]) -> Any:
    """Events that told the whole team about these; what is for one person alone stays theirs."""
    return select(Event).where(col(Event.interaction_id).in_(list(ids)), col(Event.user_id).is_(None))


def _count_events(session: Session, ids: set[int]) -> int:
    return sum(
        1
        for part in chunks(sorted(ids))
        for event in session.exec(_telling(part))
        if event.payload.get("subject") is not None or event.payload.get("snippet") is not None
    )


def _retell(session: Session, ids: set[int]) -> None:
    """Take out of the events what a stranger to the mailbox may no longer see."""
    for part in chunks(sorted(ids)):
        rows = session.exec(select(Interaction).where(col(Interaction.id).in_(part))).all()
        seen = sights(session, rows, None)
        for event in session.exec(_telling(part)).all():
            sight = seen.get(event.interaction_id or 0, Sight("none"))
            less = {"subject": None} if not sight.subject else {}
            event.payload = event.payload | less | ({"snippet": None} if not sight.text else {})
            session.add(event)
    session.flush()


def _remove_texts(session: Session, ids: set[int], now: datetime) -> int:
    """Texts, file names, signals and quotes go; who, when and the subject stay."""
    rows, signals, deals = table(Interaction), table(Signal), table(Deal)
    empty = {"text": "", "new_text": "", "snippet": "", "attachments": [], "links": []}
    for part in chunks(sorted(ids)):
        session.connection().execute(update(rows).where(rows.c.id.in_(part)).values(**empty))
        session.connection().execute(delete(signals).where(signals.c.interaction_id.in_(part)))
        for event in session.exec(select(Event).where(col(Event.interaction_id).in_(part))).all():
            event.payload = event.payload | {"snippet": None}
            session.add(event)
        on = select(Link.deal_id).where(col(Link.interaction_id).in_(part))
        session.connection().execute(update(deals).where(deals.c.id.in_(on)).values(suggest_at=now))
    for hint in _quoting(session, ids):
        hint.evidence = [
            item | {"quote": "", "start": -1, "end": -1} if item.get("interaction_id") in ids else item
            for item in hint.evidence
        ]
        session.add(hint)
    session.flush()
    session.expire_all()
    return len(ids)


def _quoting(session: Session, ids: set[int]) -> list[Suggestion]:
    if not ids:
        return []
    rows = session.exec(select(Suggestion)).all()
    return [row for row in rows if any(e.get("interaction_id") in ids and e.get("quote") for e in row.evidence)]


def _count_quotes(session: Session, ids: set[int]) -> int:
    signals = 0
    for part in chunks(sorted(ids)):
        told = select(func.count()).where(col(Signal.interaction_id).in_(part), Signal.quote != "")
        signals += session.exec(told).one()
    return signals + len(_quoting(session, ids))
