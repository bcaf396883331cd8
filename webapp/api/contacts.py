"""Contacts: people at customers, each with all of their addresses."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlmodel import Session, col, or_, select

from models.addresses import canonical
from models.contact import Company, Contact, ContactAddress, add_contact, set_addresses
from models.errors import Invalid
from models.existing import existing
from models.reach import contact_changed
from models.removal import remove_contact
from webapp import present
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Address, Addresses, Asked, Body, Id, Line, given, left, named
from webapp.deps import Given
from webapp.security import policy

router = api_router("contacts")


class NewContact(Body):
    """A contact to add. Without ``company_id`` the company that owns the first address's domain is taken."""

    name: Line = ""
    emails: Addresses
    company_id: Id | None = None
    title: Line = ""
    phone: Line = ""


class ChangedContact(Body):
    """What is to change. ``emails`` are all of the person's addresses, the primary one first."""

    name: Line = left()
    emails: Addresses = left()
    company_id: Id | None = left()
    title: Line = left()
    phone: Line = left()
    never_log: bool = left()


class ContactFilter(Asked):
    """``q``: part of a name, an address or a company's name; ``email``: exactly this address."""

    q: Line | None = None
    email: Address | None = None
    company_id: Id | None = None


@router.get("")
@policy("rep")
def list_contacts(deps: Given, asked: Annotated[ContactFilter, Query()]) -> dict[str, Any]:
    """Contacts, oldest first."""
    with deps.db.read() as session:
        rows, after = page(session, _filtered(asked), asked, col(Contact.id))
        return {"items": present.contacts(session, rows), "next": after}


@router.post("", status_code=201)
@policy("rep")
def create_contact(deps: Given, body: NewContact) -> dict[str, Any]:
    """Add a contact; their earlier mail is looked for."""
    now = deps.clock()
    with deps.db.write() as session:
        named(session, Company, body.company_id, "company", "company_id")
        contact = add_contact(
            session,
            name=body.name,
            emails=body.emails,
            company_id=body.company_id,
            title=body.title,
            phone=body.phone,
            now=now,
        )
        contact_changed(session, deps.keyring, contact.id or 0, now)
        return present.contacts(session, [contact])[0]


@router.get("/{contact_id}")
@policy("rep")
def read_contact(deps: Given, contact_id: Id) -> dict[str, Any]:
    """One contact."""
    with deps.db.read() as session:
        return present.contacts(session, [existing(session, Contact, contact_id, "contact")])[0]


@router.patch("/{contact_id}")
@policy("rep")
def change_contact(deps: Given, contact_id: Id, body: ChangedContact) -> dict[str, Any]:
    """Change a contact; mail of new addresses is looked for."""
    changes = given(body)
    with deps.db.write() as session:
        contact = existing(session, Contact, contact_id, "contact")
        reach = _change(session, contact, changes)
        if reach:
            contact_changed(session, deps.keyring, contact_id, deps.clock())
        return present.contacts(session, [contact])[0]


@router.delete("/{contact_id}", status_code=204)
@policy("rep")
def delete_contact(deps: Given, contact_id: Id) -> None:
    """Delete a contact without deals and history."""
    with deps.db.write() as session:
        remove_contact(session, existing(session, Contact, contact_id, "contact"))


def _filtered(asked: ContactFilter) -> Any:
    statement = select(Contact)
    if asked.company_id is not None:
        statement = statement.where(Contact.company_id == asked.company_id)
    if asked.email is not None:
        exact = select(ContactAddress.contact_id).where(ContactAddress.address == canonical(asked.email))
        statement = statement.where(col(Contact.id).in_(exact))
    if asked.q:
        like = {"autoescape": True}
        addresses = select(ContactAddress.contact_id).where(col(ContactAddress.address).icontains(asked.q, **like))
        firms = select(Company.id).where(col(Company.name).icontains(asked.q, **like))
        statement = statement.where(
            or_(
                col(Contact.name).icontains(asked.q, **like),
                col(Contact.id).in_(addresses),
                col(Contact.company_id).in_(firms),
            )
        )
    return statement


def _change(session: Session, contact: Contact, changes: dict[str, Any]) -> bool:
    """Write what a PATCH says; whether earlier mail may have to be decided again."""
    if changes.get("name") == "":
        raise Invalid("A contact needs a name.", "name")
    named(session, Company, changes.get("company_id"), "company", "company_id")
    moved = "company_id" in changes and changes["company_id"] != contact.company_id
    emails = changes.pop("emails", None)
    for name, value in changes.items():
        setattr(contact, name, value)
    session.add(contact)
    session.flush()
    fresh = set_addresses(session, contact, emails) if emails is not None else []
    return bool(fresh) or moved
