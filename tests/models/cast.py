"""The cast of these tests, put on stage in one call each: a rep and a colleague at Acme, a buyer at Northwind, her deal."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from models.account import Account, Source, connect_account
from models.contact import Company, Contact, add_company, add_contact
from models.deal import Deal, add_deal
from models.event import Event
from models.interaction import Copy, Held, Interaction, InteractionContact, Link, Thread
from models.ledger import LedgerEntry
from models.pipeline import Stage, default_pipeline, stage_by_name
from models.user import User, add_user, find_user
from tests.support import BUYER, NOW, REP

_numbers = itertools.count(1)


def member(session: Session, email: str = REP, role: str = "rep") -> User:
    """A user, made when there is none."""
    return find_user(session, email) or add_user(session, email, role=role, now=NOW)[0]


def firm(session: Session, name: str = "Northwind", *domains: str) -> Company:
    """A company; ``northwind.example`` is its domain unless told otherwise."""
    return add_company(session, name, domains or ("northwind.example",), now=NOW)


def buyer(session: Session, email: str = BUYER, **more: Any) -> Contact:
    """A contact."""
    return add_contact(session, name=more.pop("name", "Bea Buyer"), emails=[email], now=NOW, **more)


def stage(session: Session, name: str) -> Stage:
    """A stage of the default pipeline."""
    return stage_by_name(session, default_pipeline(session).id or 0, name)


def sale(session: Session, name: str = "Windmill", *, at: datetime = NOW - timedelta(days=30), **more: Any) -> Deal:
    """A deal, a month old."""
    people = [(person.id or 0, role) for person, role in more.pop("people", [])]
    if isinstance(more.get("stage"), str):
        more["stage"] = stage(session, more["stage"])
    return add_deal(session, name=name, now=NOW, created_at=at, contacts=people, **more)


def mailbox(session: Session, email: str = REP, *, kind: str = "mail", **more: Any) -> tuple[Account, Source]:
    """A connected account with one source that is due."""
    account = session.exec(select(Account).where(Account.email == email)).first()
    if account is None:
        account = connect_account(
            session,
            user_id=member(session, more.pop("user", email)).id or 0,
            provider="google",
            subject=email,
            email=email,
            addresses=[email],
            capabilities=["mail"],
            missing=[],
            sealed_grant=b"sealed",
            visibility=more.pop("visibility", "full"),
            now=NOW,
        )
    source = Source(account_id=account.id or 0, kind=kind, external_id=f"{kind}-{next(_numbers)}", next_sync_at=NOW)
    session.add(source)
    session.flush()
    return account, source


def letter(
    session: Session,
    *,
    account: Account | None = None,
    source: Source | None = None,
    people: Iterable[Contact] = (),
    on: Deal | None = None,
    held: bool = False,
    thread: int | None = None,
    **columns: Any,
) -> Interaction:
    """An e-mail on the timeline, with a copy, a ledger entry and what else is asked for."""
    number = next(_numbers)
    row = Interaction(
        **{
            "kind": "email",
            "direction": "inbound",
            "occurred_at": NOW,
            "subject": "Hello",
            "identity": f"m:{number}@test",
            "logged_at": NOW,
            "thread_id": thread,
            "held": held,
        }
        | columns
    )
    session.add(row)
    session.flush()
    for person in people:
        session.add(InteractionContact(interaction_id=row.id or 0, contact_id=person.id or 0))
    if account is not None and source is not None:
        copied(session, row, account, source, held=held)
    if on is not None:
        session.add(
            Link(interaction_id=row.id or 0, deal_id=on.id or 0, rule="address", stage_id=on.stage_id, made_at=NOW)
        )
    session.flush()
    return row


def copied(session: Session, row: Interaction, account: Account, source: Source, *, held: bool = False) -> None:
    """A copy of an interaction in a mailbox, and what the ledger says of it."""
    item = f"item-{row.id}-{account.id}"
    session.add(
        Copy(
            interaction_id=row.id or 0, source_id=source.id or 0, account_id=account.id or 0, item_id=item, seen_at=NOW
        )
    )
    session.add(
        LedgerEntry(
            source_id=source.id or 0,
            item_id=item,
            outcome="held" if held else "logged",
            interaction_id=row.id,
            updated_at=NOW,
        )
    )
    session.flush()


def waiting(session: Session, account: Account, source: Source, people: Iterable[Contact], **more: Any) -> Held:
    """A held e-mail that waits for the mailbox's owner."""
    row = letter(session, account=account, source=source, people=people, held=True, **more)
    held = Held(
        interaction_id=row.id or 0,
        account_id=account.id or 0,
        user_id=account.user_id,
        reason="2 open deals fit",
        created_at=NOW,
    )
    session.add(held)
    session.flush()
    return held


def conversation(session: Session) -> int:
    """A new thread's id."""
    row = Thread(created_at=NOW)
    session.add(row)
    session.flush()
    return row.id or 0


def told(session: Session, kind: str = "") -> list[Event]:
    """The events so far, of one kind if asked."""
    statement = select(Event).order_by(col(Event.id))
    return list(session.exec(statement.where(Event.kind == kind) if kind else statement).all())


def count(session: Session, model: Any) -> int:
    """Rows of a table."""
    return session.exec(select(func.count()).select_from(model)).one()
