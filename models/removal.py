"""What may be deleted. What others rest on is refused, with the way out: nothing disappears from under anybody."""

from sqlmodel import Session, col, func, select

from models.contact import Company, CompanyDomain, Contact
from models.deal import Deal, DealContact
from models.errors import Conflict
from models.interaction import InteractionContact, Link


def remove_company(session: Session, company: Company) -> None:
    """Delete a company that nobody belongs to. Raises Conflict."""
    deals = _count(session, Deal, Deal.company_id == company.id)
    people = _count(session, Contact, Contact.company_id == company.id)
    if deals or people:
        raise Conflict(
            f"{deals} deals and {people} contacts belong to {company.name}. Give them another company first."
        )
    for row in session.exec(select(CompanyDomain).where(CompanyDomain.company_id == company.id)):
        session.delete(row)
    session.flush()
    session.delete(company)
    session.flush()


def remove_contact(session: Session, contact: Contact) -> None:
    """Delete a contact without deals and history. Raises Conflict."""
    deals = _count(session, DealContact, DealContact.contact_id == contact.id)
    if deals:
        raise Conflict(f"{contact.name} takes part in {deals} deals. Take them off these deals first.")
    logged = _count(session, InteractionContact, InteractionContact.contact_id == contact.id)
    if logged:
        raise Conflict(
            f"{logged} e-mails and meetings stand on {contact.name}'s timeline. Set never_log to stop logging instead."
        )
    session.delete(contact)
    session.flush()


def remove_deal(session: Session, deal: Deal) -> None:
    """Delete a deal on which nothing was logged (made by mistake). Raises Conflict."""
    logged = _count(session, Link, Link.deal_id == deal.id, col(Link.removed_at).is_(None))
    if logged:
        raise Conflict(
            f"{logged} e-mails and meetings are logged on this deal. Move it to a lost stage, or put them on another deal "
            "first."
        )
    session.delete(deal)
    session.flush()


def _count(session: Session, model: type, *conditions: object) -> int:
    return session.exec(select(func.count()).select_from(model).where(*conditions)).one()  # pyright: ignore
