"""The address book: companies."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, col, func, select

from models.contact import Company, CompanyDomain, Contact, add_company, set_domains
from models.deal import Deal
from models.errors import Conflict, Invalid
from models.existing import existing
from models.merging import merged_into
from models.reach import domain_added
from webapp import present
from webapp.deps import Given, Me
from webapp.pages import stream
from webapp.pages.forms import Sent
from webapp.pages.merging import companies_alike
from webapp.pages.show import go, page
from webapp.security import policy

router = APIRouter()


@router.get("/companies")
@policy("rep")
def companies(request: Request, given: Given, q: str = "") -> Response:
    """Companies by name."""
    with given.db.read() as session:
        statement = select(Company).order_by(func.lower(Company.name)).limit(300)
        if q.strip():
            statement = statement.where(func.lower(Company.name).contains(q.strip().lower(), autoescape=True))
        shown = present.companies(session, list(session.exec(statement).all()))
    return page(request, "companies.html", companies=shown, q=q, active="contacts")


@router.get("/new/company")
@policy("rep")
def new_company(request: Request) -> Response:
    """An empty form."""
    return page(request, "company_new.html", typed={}, fault="", field="", active="contacts")


@router.post("/companies")
@policy("rep")
def create_company(request: Request, given: Given, form: Sent) -> Response:
    """A new company; earlier mail from its domains is fetched."""
    now = given.clock()
    try:
        with given.db.write() as session:
            row = add_company(session, form.text("name", 200), form.lines("domains"), now=now)
            for domain in _domains(session, row.id or 0):
                domain_added(session, given.keyring, domain, now)
    except (Invalid, Conflict) as error:
        return page(
            request,
            "company_new.html",
            status=422,
            typed=form.as_typed(),
            fault=str(error),
            field=getattr(error, "field", "") or "domains",
            active="contacts",
        )
    return go(f"/companies/{row.id}", f"{row.name} is added.")


@router.get("/companies/{company_id}")
@policy("rep")
def company(request: Request, given: Given, me: Me, company_id: int) -> Response:
    """One company: people, deals and everything that happened. Of one that was merged, the card it is on."""
    with given.db.read() as session:
        moved = None if session.get(Company, company_id) else merged_into(session, "company", company_id)
    if moved is not None:
        return go(f"/companies/{moved}")
    return _company_page(request, given, me, company_id)


@router.get("/companies/{company_id}/earlier")
@policy("rep")
def earlier(request: Request, given: Given, me: Me, company_id: int, before: str) -> Response:
    """The next page of its timeline."""
    with given.db.read() as session:
        _row(session, company_id)
        found = stream.of_company(session, company_id, me, before=stream.read_cursor(before))
    return page(
        request, "_earlier.html", stream=found, deal=None, elsewhere=[], more=f"/companies/{company_id}/earlier"
    )


@router.post("/companies/{company_id}")
@policy("rep")
def change_company(request: Request, given: Given, me: Me, company_id: int, form: Sent) -> Response:
    """Name and domains; mail of a new domain is fetched."""
    now = given.clock()
    try:
        with given.db.write() as session:
            row = _row(session, company_id)
            row.name = form.text("name", 200) or row.name
            session.add(row)
            before = _domains(session, company_id)
            set_domains(session, row, form.lines("domains"))
            for domain in _domains(session, company_id) - before:
                domain_added(session, given.keyring, domain, now)
    except (Invalid, Conflict) as error:
        return _company_page(request, given, me, company_id, typed=form.as_typed(), fault=str(error))
    return go(f"/companies/{company_id}", "Saved.")


def _company_page(
    request: Request,
    given: Any,
    me: Any,
    company_id: int,
    *,
    typed: dict[str, str] | None = None,
    fault: str = "",
) -> Response:
    with given.db.read() as session:
        row = _row(session, company_id)
        shown = present.companies(session, [row])[0]
        people = session.exec(
            select(Contact).where(Contact.company_id == company_id).order_by(func.lower(Contact.name)).limit(200)
        ).all()
        deals = session.exec(
            select(Deal).where(Deal.company_id == company_id).order_by(col(Deal.created_at).desc()).limit(100)
        ).all()
        context = {
            "company": shown,
            "people": present.contacts(session, list(people)),
            "deals": present.deals(session, list(deals)),
            "stream": stream.of_company(session, company_id, me),
            "alike": companies_alike(session, row),
        }
    fields = typed or {"name": shown["name"], "domains": "\n".join(shown["domains"])}
    return page(
        request,
        "company.html",
        status=422 if fault else 200,
        typed=fields,
        fault=fault,
        field="domains" if fault else "",
        active="contacts",
        **context,
    )


def _row(session: Session, company_id: int) -> Company:
    return existing(session, Company, company_id, "company")


def _domains(session: Session, company_id: int) -> set[str]:
    return set(session.exec(select(CompanyDomain.domain).where(CompanyDomain.company_id == company_id)).all())
