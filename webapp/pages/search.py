"""Search: deals, people, companies, and the subjects that the viewer may see."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, col, func, or_, select

from models.contact import Company, CompanyDomain, Contact, ContactAddress
from models.deal import Deal
from models.interaction import Interaction
from models.privacy import sights
from webapp import present
from webapp.deps import Given, Me, Viewer
from webapp.pages.show import page
from webapp.security import policy

router = APIRouter()
MOST = 20
LOOKED_AT = 200
"""Subjects looked at before what the viewer may not see is left out."""


@router.get("/search")
@policy("rep")
def search(request: Request, given: Given, me: Me, q: str = "") -> Response:
    """What holds these words."""
    words = q.strip().lower()[:200]
    found: dict[str, list[Any]] = {"deals": [], "contacts": [], "companies": [], "mails": []}
    if words:
        with given.db.read() as session:
            found = {
                "deals": _deals(session, words),
                "contacts": _contacts(session, words),
                "companies": _companies(session, words),
                "mails": _mails(session, words, me),
            }
    return page(request, "search.html", q=q, found=found, total=sum(map(len, found.values())), active="")


def _holds(column: Any, words: str) -> Any:
    return func.lower(column).contains(words, autoescape=True)


def _deals(session: Session, words: str) -> list[dict[str, Any]]:
    rows = session.exec(
        select(Deal)
        .outerjoin(Company, col(Company.id) == Deal.company_id)
        .where(or_(_holds(Deal.name, words), _holds(Company.name, words)))
        .order_by(col(Deal.closed_at).is_not(None), func.lower(Deal.name))
        .limit(MOST)
    ).all()
    return present.deals(session, list(rows))


def _contacts(session: Session, words: str) -> list[dict[str, Any]]:
    by_address = select(ContactAddress.contact_id).where(_holds(ContactAddress.address, words))
    rows = session.exec(
        select(Contact)
        .where(or_(_holds(Contact.name, words), col(Contact.id).in_(by_address)))
        .order_by(func.lower(Contact.name))
        .limit(MOST)
    ).all()
    return present.contacts(session, list(rows))


def _companies(session: Session, words: str) -> list[dict[str, Any]]:
    by_domain = select(CompanyDomain.company_id).where(_holds(CompanyDomain.domain, words))
    rows = session.exec(
        select(Company)
        .where(or_(_holds(Company.name, words), col(Company.id).in_(by_domain)))
        .order_by(func.lower(Company.name))
        .limit(MOST)
    ).all()
    return present.companies(session, list(rows))


def _mails(session: Session, words: str, me: Viewer) -> list[dict[str, Any]]:
    rows = session.exec(
        select(Interaction)
        .where(_holds(Interaction.subject, words))
        .order_by(col(Interaction.occurred_at).desc())
        .limit(LOOKED_AT)
    ).all()
    seen = sights(session, rows, me.id)
    return present.interactions(session, [row for row in rows if seen[row.id or 0].subject][:MOST], me)
