"""An office with a deal, a suggested move and a question, for the tests of the pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from sqlmodel import Session, select

import house as building
from models.account import Account, Source
from models.contact import Company, Contact
from models.deal import Deal
from models.interaction import Held, Interaction
from models.suggestion import Suggestion, propose
from tests.models import cast
from tests.support import COLLEAGUE, NOW, REP
from tests.web import member, serving, signed_in

WORDS = "Dear Rae, we had a look.\n\nWe are good to go, please send the contract to Ines.\n\nRegards, Bea"
QUOTE = "We are good to go, please send the contract to Ines."


@dataclass
class Office:
    """What stands in it, by id, and where it answers."""

    house: building.House
    base: str
    deal: int
    other: int
    suggestion: int
    held: int
    mail: int
    contact: int
    company: int
    account: int

    def rep(self) -> AbstractContextManager[httpx.Client]:
        """Rae's browser."""
        return closing(signed_in(self.base, REP))

    def colleague(self) -> AbstractContextManager[httpx.Client]:
        """Her colleague's browser."""
        return closing(signed_in(self.base, COLLEAGUE))

    def row(self, model: Any, key: int) -> Any:
        """A row as it is now."""
        with self.house.db.read() as session:
            return session.get(model, key)

    def all(self, model: Any, *where: Any) -> list[Any]:
        """Rows as they are now."""
        with self.house.db.read() as session:
            return list(session.exec(select(model).where(*where)).all())

    def stage(self, name: str) -> int:
        """A stage's id."""
        with self.house.db.read() as session:
            return cast.stage(session, name).id or 0


@contextmanager
def office(house: building.House, *, visibility: str = "full", to: str = "Contacted") -> Iterator[Office]:
    """Rae's office: her deal with Bea in Lead, a move ``to`` another stage suggested, one mail that fits two deals."""
    member(house, REP)
    member(house, COLLEAGUE)
    with house.db.write() as session:
        ids = _furnish(session, visibility, to)
    with serving(house) as base:
        yield Office(house, base, **ids)


def parties() -> list[dict[str, Any]]:
    """From Bea to Rae."""
    plain = {"response": "none", "contact_id": None}
    return [
        plain | {"role": "from", "address": "bea@northwind.example", "name": "Bea Buyer", "ours": False},
        plain | {"role": "to", "address": REP, "name": "Rae", "ours": True},
    ]


def arrive(session: Session, deal_id: int, **columns: Any) -> Interaction:
    """One more mail from Bea on a deal."""
    account = session.exec(select(Account)).first()
    source = session.exec(select(Source)).first()
    deal = session.get(Deal, deal_id)
    return cast.letter(
        session,
        account=account,
        source=source,
        people=session.exec(select(Contact)).all(),
        on=deal,
        parties=parties(),
        **columns,
    )


def _furnish(session: Session, visibility: str, to: str) -> dict[str, int]:
    owner = cast.member(session)
    account, source = cast.mailbox(session, visibility=visibility)
    firm: Company = cast.firm(session)
    bea = cast.buyer(session, company_id=firm.id)
    more: dict[str, Any] = {"owner_id": owner.id, "company_id": firm.id, "people": [(bea, "buyer")]}
    deal = cast.sale(session, amount_minor=4_800_000, **more)
    other = cast.sale(session, name="Second mill", **more)
    mail = cast.letter(
        session,
        account=account,
        source=source,
        people=[bea],
        on=deal,
        subject="Re: Our quote",
        text=WORDS,
        new_text=WORDS,
        snippet=WORDS[:60],
        parties=parties(),
    )
    start = WORDS.index(QUOTE)
    evidence = {"interaction_id": mail.id, "rule": "accept.order", "quote": QUOTE}
    suggestion: Suggestion | None = propose(
        session,
        deal,
        cast.stage(session, to),
        rule="accept.order",
        reason="Bea Buyer wrote on 2 Nov 2026.",
        confidence=0.85,
        evidence=[evidence | {"start": start, "end": start + len(QUOTE)}],
        now=NOW,
    )
    assert suggestion is not None
    held: Held = cast.waiting(
        session,
        account,
        source,
        [bea],
        thread=cast.conversation(session),
        subject="Which of the mills?",
        new_text="About the mill.",
        parties=parties(),
    )
    held.candidates = [
        {"deal_id": deal.id, "score": 0.6, "rule": "role", "reasons": ["Bea Buyer takes part in this deal"]},
        {"deal_id": other.id, "score": 0.5, "rule": "role", "reasons": ["Bea Buyer is a contact"]},
    ]
    session.add(held)
    session.flush()
    named = {"deal": deal, "other": other, "suggestion": suggestion, "held": held, "mail": mail}
    named |= {"contact": bea, "company": firm, "account": account}
    return {name: row.id or 0 for name, row in named.items()}
