"""An address book of any size, written by a few statements, and pages of mail that its people take part in.

Five contacts at each company, one domain each; one company in three has an open deal, in which its first contact takes part.
Rows are numbered, so that a page knows whom it may name without asking.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, bindparam, cast, insert, literal, select, text
from sqlmodel import Session

from connectors.items import Message, Party
from models.account import Source, connect_account
from models.contact import Company, CompanyDomain, Contact, ContactAddress
from models.db import Database, table
from models.deal import Deal, DealContact, StageChange
from models.fields import UtcDateTime
from models.pipeline import default_pipeline, stages_of
from models.seed import seed
from models.user import add_user

REP = "rae@acme.example"
AT_A_FIRM, A_DEAL_EVERY = 5, 3
GROUP = AT_A_FIRM * A_DEAL_EVERY
AGE = timedelta(days=30)


def write_book(db: Database, contacts: int, *, now: datetime) -> int:
    """Fill an empty, migrated database; the id of its one source of mail. ``contacts``: a multiple of fifteen."""
    with db.write() as session:
        seed(session, db.keyring)
        source = _mailbox(session, now)
    enlarge(db, 0, contacts, now=now)
    return source


def enlarge(db: Database, have: int, wanted: int, *, now: datetime) -> None:
    """Let a book of ``have`` contacts grow to ``wanted``; both multiples of fifteen."""
    with db.write() as session:
        stage = stages_of(session, default_pipeline(session).id or 0)[0]
        for statement in _statements(have, wanted, stage.pipeline_id, stage.id or 0):
            session.connection().execute(statement, {"now": now, "then": now - AGE})
    if not db.is_sqlite:  # what its autovacuum does by itself, a minute later
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _mailbox(session: Session, now: datetime) -> int:
    user = add_user(session, REP, role="admin", now=now)[0]
    account = connect_account(
        session,
        user_id=user.id or 0,
        provider="google",
        subject=REP,
        email=REP,
        addresses=[REP],
        capabilities=["mail"],
        missing=[],
        sealed_grant=b"sealed",
        visibility="full",
        now=now,
    )
    source = Source(account_id=account.id or 0, kind="mail", external_id="matching", lease_owner="bench")
    session.add(source)
    session.flush()
    return source.id or 0


def _statements(have: int, wanted: int, pipeline_id: int, stage_id: int) -> Iterator[Any]:
    """INSERT ... SELECT over numbers; the same on SQLite and Postgres."""
    now, then = bindparam("now", type_=UtcDateTime), bindparam("then", type_=UtcDateTime)
    n = _numbers(have // AT_A_FIRM, wanted // AT_A_FIRM)
    yield _insert(Company, n, id=n.c.n + 1, name="Firm " + _text(n.c.n), created_at=now)
    yield _insert(CompanyDomain, n, domain="firm" + _text(n.c.n) + ".example", company_id=n.c.n + 1)
    n = _numbers(have, wanted)
    firm, address = n.c.n // AT_A_FIRM, "p" + _text(n.c.n) + "@firm" + _text(n.c.n // AT_A_FIRM) + ".example"
    person = {"name": "Person " + _text(n.c.n), "title": "", "phone": "", "never_log": False}
    yield _insert(Contact, n, id=n.c.n + 1, company_id=firm + 1, created_at=now, **person)
    yield _insert(ContactAddress, n, address=address, contact_id=n.c.n + 1, weak_form=address, position=0)
    n = _numbers(have // GROUP, wanted // GROUP)
    deal = {"name": "Deal " + _text(n.c.n), "currency": "EUR", "close_reason": "", "next_step": "", "external_id": ""}
    where = {"pipeline_id": pipeline_id, "stage_id": stage_id, "version": 1, "created_at": then, "stage_since": then}
    yield _insert(Deal, n, id=n.c.n + 1, company_id=n.c.n * A_DEAL_EVERY + 1, **deal, **where)
    yield _insert(DealContact, n, deal_id=n.c.n + 1, contact_id=n.c.n * GROUP + 1, role="")
    yield _insert(StageChange, n, deal_id=n.c.n + 1, to_stage_id=stage_id, at=then, source="import", before={})


def _numbers(start: int, end: int) -> Any:
    """start, start + 1, ... end - 1 as rows of a column ``n``."""
    first = select(literal(start).label("n")).cte("numbers", recursive=True)
    return first.union_all(select(first.c.n + 1).where(first.c.n < end - 1))


def _text(number: Any) -> Any:
    return cast(number, String)


def _insert(model: Any, numbers: Any, **columns: Any) -> Any:
    target = table(model)
    shown = [
        value if hasattr(value, "type") else literal(value, target.c[name].type) for name, value in columns.items()
    ]
    return insert(target).from_select(list(columns), select(*shown).select_from(numbers), include_defaults=False)


@dataclass(frozen=True)
class Mix:
    """Who writes the mails of a page: contacts, contacts under a +tag, unknown people at known domains, strangers. Half of
    the contacts' mails answer one of the page before."""

    contacts: int
    tagged: int
    colleagues: int
    strangers: int


PAGE = Mix(contacts=100, tagged=20, colleagues=30, strangers=350)


def page(number: int, mix: Mix, contacts: int, *, now: datetime) -> list[Message]:
    """A page of mail of which only headers were opened. The ``number`` chooses whom it names, evenly over the whole book,
    with the same share of companies that have a deal whatever the size."""
    chance = random.Random(number)
    groups = contacts // GROUP
    senders: list[str] = []
    for place in range(mix.contacts + mix.tagged + mix.colleagues):
        firm = chance.randrange(groups) * A_DEAL_EVERY + place % A_DEAL_EVERY
        name = f"p{firm * AT_A_FIRM + place % AT_A_FIRM}"
        if place >= mix.contacts + mix.tagged:
            name = f"new{number}x{place}"
        elif place >= mix.contacts:
            name += f"+{number}x{place}"
        senders.append(f"{name}@firm{firm}.example")
    senders += [f"s{place}@stranger{number}x{place}.example" for place in range(mix.strangers)]
    return [_mail(number, place, sender, mix, now) for place, sender in enumerate(senders)]


def _mail(number: int, place: int, sender: str, mix: Mix, now: datetime) -> Message:
    answers = place < mix.contacts and place % 2 and number
    at = now + timedelta(hours=number, seconds=place)
    return Message(
        item_id=f"item{number}x{place}",
        thread="",
        at=at,
        sent_at=at,
        parties=(Party("from", sender, f"Person {place}"), Party("to", REP)),
        subject=f"Question {place}",
        message_id=f"{number}x{place}@bench.example",
        references=(f"{number - 1}x{place}@bench.example",) if answers else (),
    )
