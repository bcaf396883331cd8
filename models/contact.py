"""The address book: people with many addresses, companies with many domains."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from sqlmodel import Field, Session, SQLModel, col, select

from models.addresses import canonical, canonical_domain, domain_of, lineage, registrable, weak
from models.db import chunks, insert_ids, insert_new
from models.erasure import Erased, refuse_erased
from models.errors import Conflict, Invalid, NotFound
from models.existing import existing
from models.fields import instant
from models.setting import team_settings


class Company(SQLModel, table=True):
    """A customer's firm."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True)
    created_at: datetime = instant()


class CompanyDomain(SQLModel, table=True):
    """A registrable domain that is a company's alone; never a free-mail provider's."""

    __tablename__ = "company_domain"  # pyright: ignore[reportAssignmentType]
    domain: str = Field(primary_key=True)
    company_id: int = Field(foreign_key="company.id", index=True, ondelete="CASCADE")


class Contact(SQLModel, table=True):
    """A person at a customer. Ids are never used twice, because events and erasures name them."""

    __table_args__ = {"sqlite_autoincrement": True}
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(default="", index=True)
    title: str = ""
    phone: str = ""
    company_id: int | None = Field(default=None, foreign_key="company.id", index=True)
    created_at: datetime = instant()
    never_log: bool = False


class ContactAddress(SQLModel, table=True):
    """An address of a contact. ``weak_form`` finds near matches (plus tags, dots that do not count) without merging them."""

    __tablename__ = "contact_address"  # pyright: ignore[reportAssignmentType]
    address: str = Field(primary_key=True)
    contact_id: int = Field(foreign_key="contact.id", index=True, ondelete="CASCADE")
    weak_form: str = Field(index=True)
    position: int = 0


@cache
def free_mail_domains() -> frozenset[str]:
    """Domains where anybody can have an address (free mail and internet providers)."""
    text = files("models").joinpath("free_mail_domains.txt").read_text(encoding="utf-8")
    return frozenset(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def is_free_mail(domain: str) -> bool:
    """Whether a domain says nothing about who employs its user."""
    return domain in free_mail_domains() or registrable(domain) in free_mail_domains()


def is_free(domain: str, settings: dict[str, Any]) -> bool:
    """The same with what the team has decided about single domains."""
    names = {domain, registrable(domain)}
    if not names.isdisjoint(settings["free_mail_exceptions"]):
        return False
    return not names.isdisjoint(settings["free_mail_too"]) or is_free_mail(domain)


def add_company(session: Session, name: str, domains: Iterable[str], *, now: datetime) -> Company:
    """A company with its domains. Raises Invalid (no name, no domain, free mail), Conflict (another's domain)."""
    if not name.strip():
        raise Invalid("A company needs a name.", "name")
    company = Company(name=name.strip(), created_at=now)
    session.add(company)
    session.flush()
    set_domains(session, company, domains)
    return company


def set_domains(session: Session, company: Company, domains: Iterable[str]) -> None:
    """Make ``domains`` the company's domains. Raises Invalid, Conflict."""
    wanted = {_own_domain(session, domain) for domain in domains}
    for row in session.exec(select(CompanyDomain).where(CompanyDomain.company_id == company.id)).all():
        if row.domain in wanted:
            wanted.discard(row.domain)
        else:
            session.delete(row)
    session.flush()
    insert_new(session, CompanyDomain, [{"domain": one, "company_id": company.id} for one in sorted(wanted)])
    for domain in sorted(wanted):
        if _owner_of(session, domain) != company.id:
            raise Conflict(f"{domain} belongs to another company already.")


def company_for_domain(session: Session, domain: str, *, now: datetime, name: str = "") -> Company:
    """The company that owns a domain; made when nobody does. Of many who ask for one at the same time one makes it and all
    get it. Raises Invalid (no domain, free mail)."""
    clean = registrable(_own_domain(session, domain))
    owner = company_of_domain(session, clean)
    if owner is None:
        made = Company(name=name.strip() or clean, created_at=now)
        session.add(made)
        session.flush()
        insert_new(session, CompanyDomain, [{"domain": clean, "company_id": made.id}])
        owner = _owner_of(session, clean)
        if owner != made.id:
            session.delete(made)
            session.flush()
    return existing(session, Company, owner, "company")


def contact_for_address(session: Session, email: str, *, now: datetime, name: str = "") -> Contact:
    """The contact with an address; made when nobody has it, with the company of its domain if there is one. Safe under
    races as ``company_for_domain`` is. Raises Invalid."""
    address = _addresses([email])[0]
    owner = _holder_of(session, address)
    if owner is None:
        try:
            with session.begin_nested():
                return add_contact(session, name=name, emails=[address], now=now)
        except Erased:
            raise
        except Conflict:
            owner = _holder_of(session, address)
    return existing(session, Contact, owner, "contact")


def add_contact(
    session: Session,
    *,
    name: str,
    emails: Iterable[str],
    now: datetime,
    company_id: int | None = None,
    title: str = "",
    phone: str = "",
) -> Contact:
    """A contact with at least one address. Without a company, one that owns the address's domain is taken.
    Raises Invalid (no address), Conflict (an address is another contact's), NotFound (company)."""
    addresses = _addresses(emails)
    if not addresses:
        raise Invalid("A contact needs at least one e-mail address.", "emails")
    if company_id is not None and session.get(Company, company_id) is None:
        raise NotFound("There is no such company.")
    company_id = company_id or company_of_domain(session, domain_of(addresses[0]))
    contact = Contact(
        name=name.strip() or addresses[0], title=title, phone=phone, company_id=company_id, created_at=now
    )
    session.add(contact)
    session.flush()
    set_addresses(session, contact, addresses)
    return contact


@dataclass(frozen=True)
class Newcomer:
    """Who is to become a contact; ``company_id`` None: of whichever company owns the first address's domain."""

    name: str
    emails: Sequence[str]
    company_id: int | None = None
    title: str = ""
    phone: str = ""
    never_log: bool = False


def add_contacts(session: Session, people: Sequence[Newcomer], *, now: datetime) -> list[int]:
    """Many contacts in few statements, as ``add_contact`` makes each; their ids in the same order. All or none: raises Invalid,
    Conflict (an address is another contact's, or somebody's who was erased), and then the caller's savepoint is to be taken
    back."""
    addresses = [_addresses(person.emails) for person in people]
    if not all(addresses):
        raise Invalid("A contact needs at least one e-mail address.", "emails")
    refuse_erased(session, [one for some in addresses for one in some])
    firms = _companies_of(session, {domain_of(some[0]) for some in addresses})
    contacts = [
        {
            "name": person.name.strip() or some[0],
            "title": person.title,
            "phone": person.phone,
            "company_id": person.company_id or firms.get(domain_of(some[0])),
            "created_at": now,
            "never_log": person.never_log,
        }
        for person, some in zip(people, addresses, strict=True)
    ]
    ids = insert_ids(session, Contact, contacts)
    wanted = {one: key for key, some in zip(ids, addresses, strict=True) for one in some}
    rows = [
        {"address": one, "contact_id": key, "weak_form": weak(one), "position": place}
        for key, some in zip(ids, addresses, strict=True)
        for place, one in enumerate(some)
    ]
    insert_new(session, ContactAddress, sorted(rows, key=lambda row: str(row["address"])))
    for part in chunks(wanted):
        held = select(ContactAddress.address, ContactAddress.contact_id).where(col(ContactAddress.address).in_(part))
        for address, holder in session.exec(held):
            if holder != wanted[address]:
                raise Conflict(f"{address} belongs to another contact already.")
    return ids


def set_addresses(session: Session, contact: Contact, emails: Iterable[str]) -> list[str]:
    """Make ``emails`` the contact's addresses, the first one the primary; the ones that are new. Raises Invalid, Conflict
    (another contact's, or of somebody who was erased)."""
    wanted = _addresses(emails)
    if not wanted:
        raise Invalid("A contact needs at least one e-mail address.", "emails")
    have = {
        row.address: row
        for row in session.exec(select(ContactAddress).where(ContactAddress.contact_id == contact.id)).all()
    }
    fresh = [address for address in wanted if address not in have]
    refuse_erased(session, fresh)
    insert_new(
        session,
        ContactAddress,
        [
            {
                "address": address,
                "contact_id": contact.id,
                "weak_form": weak(address),
                "position": wanted.index(address),
            }
            for address in sorted(fresh)
        ],
    )
    for address in fresh:
        holder = _holder_of(session, address)
        if holder != contact.id:
            owner = session.get(Contact, holder)
            raise Conflict(f"{address} belongs to {owner.name if owner else 'another contact'} already.")
    for address, row in have.items():
        if address not in wanted:
            session.delete(row)
        else:
            row.position = wanted.index(address)
            session.add(row)
    session.flush()
    return fresh


def company_of_domain(session: Session, domain: str) -> int | None:
    """The company that owns a domain, or else the nearest one above it."""
    rows = (session.get(CompanyDomain, one) for one in lineage(domain))
    return next((row.company_id for row in rows if row is not None), None)


def _companies_of(session: Session, domains: Iterable[str]) -> dict[str, int]:
    """The same for many domains at once; those of nobody are missing."""
    ways = {domain: lineage(domain) for domain in domains}
    owners: dict[str, int] = {}
    for part in chunks({one for way in ways.values() for one in way}):
        rows = select(CompanyDomain.domain, CompanyDomain.company_id).where(col(CompanyDomain.domain).in_(part))
        owners.update(session.exec(rows).all())
    found = {domain: next((owners[one] for one in way if one in owners), None) for domain, way in ways.items()}
    return {domain: key for domain, key in found.items() if key is not None}


def addresses_of(session: Session, contact_ids: Iterable[int]) -> dict[int, list[str]]:
    """The addresses of several contacts, primary first."""
    found: dict[int, list[str]] = {}
    for part in chunks(contact_ids):
        rows = session.exec(
            select(ContactAddress)
            .where(col(ContactAddress.contact_id).in_(part))
            .order_by(col(ContactAddress.position))
        )
        for row in rows:
            found.setdefault(row.contact_id, []).append(row.address)
    return found


def known_people(session: Session) -> tuple[list[str], list[str]]:
    """What a people-first search asks for: the contacts' addresses, and the companies' domains; most recent first."""
    addresses = session.exec(
        select(ContactAddress.address)
        .join(Contact, col(Contact.id) == ContactAddress.contact_id)
        .where(col(Contact.never_log).is_(False))
        .order_by(col(Contact.id).desc())
    ).all()
    domains = session.exec(select(CompanyDomain.domain).order_by(col(CompanyDomain.company_id).desc())).all()
    return list(addresses), list(domains)


def learn_domain(session: Session, company_id: int, domain: str) -> None:
    """Give a company a domain unless somebody has it or it is a free-mail provider's; safe under races."""
    domain = registrable(canonical_domain(domain))
    if domain and not is_free(domain, team_settings(session)):
        insert_new(session, CompanyDomain, [{"domain": domain, "company_id": company_id}])


def _owner_of(session: Session, domain: str) -> int | None:
    """Which company has exactly this domain, as the database says now."""
    return session.exec(select(CompanyDomain.company_id).where(CompanyDomain.domain == domain)).first()


def _holder_of(session: Session, address: str) -> int | None:
    """Which contact has this address, as the database says now."""
    return session.exec(select(ContactAddress.contact_id).where(ContactAddress.address == address)).first()


def _own_domain(session: Session, domain: str) -> str:
    clean = canonical_domain(domain)
    if not clean:
        raise Invalid(f"{domain!r} is not a domain.", "domains")
    if is_free(clean, team_settings(session)):
        raise Invalid(f"{clean} is a free-mail provider: it cannot stand for one company.", "domains")
    return clean


def _addresses(emails: Iterable[str]) -> list[str]:
    found: list[str] = []
    for email in emails:
        address = canonical(email)
        if not address:
            raise Invalid(f"{email!r} is not an e-mail address.", "emails")
        if address not in found:
            found.append(address)
    return found
