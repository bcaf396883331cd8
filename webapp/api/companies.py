"""Companies: a customer's firm and the domains that are its alone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlmodel import Session, col, or_, select

from models.contact import Company, CompanyDomain, add_company, set_domains
from models.errors import Invalid
from models.existing import existing
from models.reach import domain_added
from models.removal import remove_company
from webapp import present
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Addresses, Asked, Body, Id, Line, given, left
from webapp.deps import Deps, Given
from webapp.security import policy

router = api_router("companies")


class NewCompany(Body):
    """A company to add."""

    name: Line
    domains: Addresses = []


class ChangedCompany(Body):
    """What is to change."""

    name: Line = left()
    domains: Addresses = left()


class CompanyFilter(Asked):
    """``q``: part of the name or of a domain."""

    q: Line | None = None


@router.get("")
@policy("rep")
def list_companies(deps: Given, asked: Annotated[CompanyFilter, Query()]) -> dict[str, Any]:
    """Companies, oldest first."""
    statement = select(Company)
    if asked.q:
        domains = select(CompanyDomain.company_id).where(col(CompanyDomain.domain).icontains(asked.q, autoescape=True))
        statement = statement.where(
            or_(col(Company.name).icontains(asked.q, autoescape=True), col(Company.id).in_(domains))
        )
    with deps.db.read() as session:
        rows, after = page(session, statement, asked, col(Company.id))
        return {"items": present.companies(session, rows), "next": after}


@router.post("", status_code=201)
@policy("rep")
def create_company(deps: Given, body: NewCompany) -> dict[str, Any]:
    """Add a company; mail of its domains that arrived earlier is looked for."""
    with deps.db.write() as session:
        company = add_company(session, body.name, body.domains, now=deps.clock())
        _reach(deps, session, company, set())
        return present.companies(session, [company])[0]


@router.get("/{company_id}")
@policy("rep")
def read_company(deps: Given, company_id: Id) -> dict[str, Any]:
    """One company."""
    with deps.db.read() as session:
        return present.companies(session, [existing(session, Company, company_id, "company")])[0]


@router.patch("/{company_id}")
@policy("rep")
def change_company(deps: Given, company_id: Id, body: ChangedCompany) -> dict[str, Any]:
    """Change a company's name or domains."""
    changes = given(body)
    with deps.db.write() as session:
        company = existing(session, Company, company_id, "company")
        if "name" in changes:
            if not body.name:
                raise Invalid("A company needs a name.", "name")
            company.name = body.name
            session.add(company)
        if "domains" in changes:
            before = _domains(session, company)
            set_domains(session, company, body.domains)
            _reach(deps, session, company, before)
        session.flush()
        return present.companies(session, [company])[0]


@router.delete("/{company_id}", status_code=204)
@policy("rep")
def delete_company(deps: Given, company_id: Id) -> None:
    """Delete a company that nobody belongs to."""
    with deps.db.write() as session:
        remove_company(session, existing(session, Company, company_id, "company"))


def _domains(session: Session, company: Company) -> set[str]:
    return set(session.exec(select(CompanyDomain.domain).where(CompanyDomain.company_id == company.id)).all())


def _reach(deps: Deps, session: Session, company: Company, before: set[str]) -> None:
    for domain in sorted(_domains(session, company) - before):
        domain_added(session, deps.keyring, domain, deps.clock())
