"""The address book: contacts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, col, func, or_, select

from models.contact import Company, Contact, ContactAddress, add_contact, set_addresses
from models.deal import Deal, DealContact
from models.errors import Conflict, Invalid, NotFound
from models.existing import existing
from models.interaction import Interaction, InteractionContact
from models.merging import merged_into
from models.reach import contact_changed, people_added
from webapp import present
from webapp.deps import Given, Me
from webapp.pages import stream
from webapp.pages.forms import Sent
from webapp.pages.merging import contacts_alike
from webapp.pages.show import go, page
from webapp.security import policy

router = APIRouter()
PAGE = 50


@router.get("/contacts")
@policy("rep")
def contacts(request: Request, given: Given, q: str = "", number: int = 1) -> Response:
    """People by name, or those with some words in name, address or company."""
    with given.db.read() as session:
        where = _matching(q)
        total = session.exec(select(func.count()).select_from(Contact).where(*where)).one()
        rows = session.exec(
            select(Contact)
            .where(*where)
            .order_by(func.lower(Contact.name), col(Contact.id))
            .offset(max(0, number - 1) * PAGE)
            .limit(PAGE)
        ).all()
        shown = _with_standing(session, present.contacts(session, list(rows)), given.clock())
        firms = _firms(session)
    return page(
        request,
        "contacts.html",
        contacts=shown,
        total=total,
        number=max(1, number),
        pages=-(-total // PAGE),
        q=q,
        firms=firms,
        typed={},
        fault="",
        field="",
        active="contacts",
    )


def _with_standing(session: Session, shown: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Each contact with the last time in touch (by a person, up to ``now``) and the number of deals still open."""
    ids = [one["id"] for one in shown]
    touches = dict(
        session.exec(
            select(InteractionContact.contact_id, func.max(Interaction.occurred_at))
            .join(Interaction, col(Interaction.id) == InteractionContact.interaction_id)
            .where(
                col(InteractionContact.contact_id).in_(ids),
                Interaction.machine == "",
                col(Interaction.held).is_(False),
                Interaction.occurred_at <= now,
            )
            .group_by(col(InteractionContact.contact_id))
        ).all()
    )
    open_deals = dict(
        session.exec(
            select(DealContact.contact_id, func.count())
            .join(Deal, col(Deal.id) == DealContact.deal_id)
            .where(col(DealContact.contact_id).in_(ids), col(Deal.closed_at).is_(None))
            .group_by(col(DealContact.contact_id))
        ).all()
    )
    return [
        one | {"touch": present.iso(touches.get(one["id"])), "open_deals": open_deals.get(one["id"], 0)}
        for one in shown
    ]


@router.get("/new/contact")
@policy("rep")
def new_contact(request: Request, given: Given, company: int | None = None) -> Response:
    """An empty form."""
    with given.db.read() as session:
        firms = _firms(session)
    typed = {"company_id": str(company or "")}
    return page(request, "contact_new.html", firms=firms, typed=typed, fault="", field="", active="contacts")


@router.post("/contacts")
@policy("rep")
def create_contact(request: Request, given: Given, form: Sent) -> Response:
    """A new contact; earlier mail with them is fetched."""
    now = given.clock()
    try:
        with given.db.write() as session:
            row = add_contact(
                session,
                name=form.text("name", 200),
                emails=form.lines("emails"),
                now=now,
                company_id=form.number("company_id"),
                title=form.text("title", 200),
                phone=form.text("phone", 60),
            )
            contact_changed(session, given.keyring, row.id or 0, now)
    except (Invalid, Conflict, NotFound) as error:
        with given.db.read() as session:
            firms = _firms(session)
        field = getattr(error, "field", "") or "emails"
        return page(
            request,
            "contact_new.html",
            status=422,
            firms=firms,
            typed=form.as_typed(),
            fault=str(error),
            field=field,
            active="contacts",
        )
    return go(f"/contacts/{row.id}", f"{row.name} is added. Earlier mail with them is being fetched.")


@router.get("/contacts/{contact_id}")
@policy("rep")
def contact(request: Request, given: Given, me: Me, contact_id: int, before: str = "") -> Response:
    """One person: facts, deals and everything that happened with them. Of somebody who was merged, the card they are on."""
    with given.db.read() as session:
        moved = None if session.get(Contact, contact_id) else merged_into(session, "contact", contact_id)
    if moved is not None:
        return go(f"/contacts/{moved}")
    return _contact_page(request, given, me, contact_id, before=before)


@router.get("/contacts/{contact_id}/earlier")
@policy("rep")
def earlier(request: Request, given: Given, me: Me, contact_id: int, before: str) -> Response:
    """The next page of their timeline."""
    with given.db.read() as session:
        _row(session, contact_id)
        found = stream.of_contact(session, contact_id, me, before=stream.read_cursor(before))
    return page(request, "_earlier.html", stream=found, deal=None, elsewhere=[], more=f"/contacts/{contact_id}/earlier")


@router.post("/contacts/{contact_id}")
@policy("rep")
def change_contact(request: Request, given: Given, me: Me, contact_id: int, form: Sent) -> Response:
    """Facts and addresses; mail with a new address is fetched."""
    now = given.clock()
    try:
        with given.db.write() as session:
            row = _row(session, contact_id)
            company_id = form.number("company_id")
            if company_id is not None and session.get(Company, company_id) is None:
                raise NotFound("There is no such company.")
            row.name = form.text("name", 200) or row.name
            row.title, row.phone = form.text("title", 200), form.text("phone", 60)
            row.company_id, row.never_log = company_id, form.ticked("never_log")
            session.add(row)
            fresh = set_addresses(session, row, form.lines("emails"))
            if fresh:
                people_added(session, given.keyring, fresh, now)
    except (Invalid, Conflict) as error:
        return _contact_page(request, given, me, contact_id, typed=form.as_typed(), fault=str(error))
    return go(f"/contacts/{contact_id}", "Saved.")


def _contact_page(
    request: Request,
    given: Any,
    me: Any,
    contact_id: int,
    *,
    before: str = "",
    typed: dict[str, str] | None = None,
    fault: str = "",
) -> Response:
    with given.db.read() as session:
        row = _row(session, contact_id)
        shown = present.contacts(session, [row])[0]
        deals = session.exec(
            select(Deal)
            .join(DealContact, col(DealContact.deal_id) == Deal.id)
            .where(DealContact.contact_id == contact_id)
            .order_by(col(Deal.created_at).desc())
        ).all()
        context = {
            "contact": shown,
            "deals": present.deals(session, list(deals)),
            "stream": stream.of_contact(session, contact_id, me, before=stream.read_cursor(before)),
            "firms": _firms(session),
            "alike": contacts_alike(session, row, shown["emails"]),
        }
    return page(
        request,
        "contact.html",
        status=422 if fault else 200,
        typed=typed or _as_fields(shown),
        fault=fault,
        field="emails" if fault else "",
        active="contacts",
        **context,
    )


def _as_fields(shown: dict[str, Any]) -> dict[str, str]:
    return {
        "name": shown["name"],
        "title": shown["title"],
        "phone": shown["phone"],
        "emails": "\n".join(shown["emails"]),
        "company_id": str(shown["company_id"] or ""),
        "never_log": "on" if shown["never_log"] else "",
    }


def _row(session: Session, contact_id: int) -> Contact:
    return existing(session, Contact, contact_id, "contact")


def _firms(session: Session) -> list[tuple[int, str]]:
    rows = session.exec(select(Company.id, Company.name).order_by(func.lower(Company.name)).limit(2_000)).all()
    return [(key or 0, name) for key, name in rows]


def _matching(q: str) -> list[Any]:
    words = q.strip().lower()
    if not words:
        return []
    by_address = select(ContactAddress.contact_id).where(col(ContactAddress.address).contains(words, autoescape=True))
    by_firm = select(Company.id).where(func.lower(Company.name).contains(words, autoescape=True))
    return [
        or_(
            func.lower(Contact.name).contains(words, autoescape=True),
            col(Contact.id).in_(by_address),
            col(Contact.company_id).in_(by_firm),
        )
    ]
