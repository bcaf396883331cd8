"""Merging: the other card of the same person or company becomes a part of this one, with undo."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, col, func, or_, select

from models.addresses import canonical, canonical_domain
from models.contact import Company, CompanyDomain, Contact, ContactAddress
from models.errors import Invalid, NotFound
from models.merging import get_merge, merge_companies, merge_contacts
from models.parting import undo_merge
from webapp.deps import Given, Me
from webapp.offers import kept_name
from webapp.pages.forms import Sent
from webapp.pages.show import done
from webapp.security import policy

router = APIRouter()
MOST_ALIKE = 5


@router.post("/contacts/{contact_id}/merges")
@policy("rep")
def merge_contact(request: Request, given: Given, me: Me, contact_id: int, form: Sent) -> Response:
    """Take in another contact, named by ``other``: their id or one of their addresses."""
    with given.db.write() as session:
        other = _contact(session, form.text("other", 320))
        row = merge_contacts(session, contact_id, other, user_id=me.id, now=given.clock())
        text = f"{row.gone_name} and {kept_name(session, row)} are one now."
    return done(request, text, to=f"/contacts/{contact_id}", undo=("DELETE", f"/merges/{row.id}"))


@router.post("/companies/{company_id}/merges")
@policy("rep")
def merge_company(request: Request, given: Given, me: Me, company_id: int, form: Sent) -> Response:
    """Take in another company, named by ``other``: its id, its name or one of its domains."""
    with given.db.write() as session:
        other = _company(session, form.text("other", 320))
        row = merge_companies(session, company_id, other, user_id=me.id, now=given.clock())
        text = f"{row.gone_name} and {kept_name(session, row)} are one now."
    return done(request, text, to=f"/companies/{company_id}", undo=("DELETE", f"/merges/{row.id}"))


@router.delete("/merges/{merge_id}")
@policy("rep")
def merge_undone(request: Request, given: Given, merge_id: int) -> Response:
    """Two again."""
    with given.db.write() as session:
        row = get_merge(session, merge_id)
        back = undo_merge(session, row, now=given.clock())
        text = f"Taken back: {row.gone_name} is on their own again."
    place = "contacts" if row.kind == "contact" else "companies"
    return done(request, text, to=f"/{place}/{back}")


def contacts_alike(session: Session, row: Contact, emails: list[str]) -> list[dict[str, Any]]:
    """Contacts who may be the same person: the same name, or an address that differs by a plus tag or dots that do not
    count."""
    forms = select(ContactAddress.weak_form).where(ContactAddress.contact_id == row.id)
    near = select(ContactAddress.contact_id).where(col(ContactAddress.weak_form).in_(forms))
    same_name = (func.lower(Contact.name) == row.name.lower()) & (Contact.name != (emails[0] if emails else ""))
    found = session.exec(
        select(Contact)
        .where(Contact.id != row.id, or_(same_name, col(Contact.id).in_(near)))
        .order_by(col(Contact.id))
        .limit(MOST_ALIKE)
    ).all()
    return [{"id": one.id, "name": one.name} for one in found]


def companies_alike(session: Session, row: Company) -> list[dict[str, Any]]:
    """Companies that may be the same: of the same name, whatever its legal form."""
    first = row.name.lower().split()[0] if row.name.split() else row.name.lower()
    found = session.exec(
        select(Company)
        .where(
            Company.id != row.id,
            or_(func.lower(Company.name) == first, func.lower(Company.name).startswith(first + " ")),
        )
        .order_by(col(Company.id))
        .limit(MOST_ALIKE)
    ).all()
    return [{"id": one.id, "name": one.name} for one in found]


def _contact(session: Session, told: str) -> int:
    if told.isascii() and told.isdigit() and len(told) < 10:
        return int(told)
    holder = session.get(ContactAddress, canonical(told)) if canonical(told) else None
    if holder is None:
        raise NotFound("No contact has this address." if told else "Name the other contact by one of their addresses.")
    return holder.contact_id


def _company(session: Session, told: str) -> int:
    if told.isascii() and told.isdigit() and len(told) < 10:
        return int(told)
    domain = session.get(CompanyDomain, canonical_domain(told)) if canonical_domain(told) else None
    named = session.exec(select(Company.id).where(func.lower(Company.name) == told.lower()).limit(2)).all()
    if domain is None and len(named) > 1:
        raise Invalid("Several companies have this name. Name it by one of its domains.", "other")
    if domain is None and not named:
        raise NotFound("No company has this name or domain." if told else "Name the other company.")
    return domain.company_id if domain else named[0] or 0
