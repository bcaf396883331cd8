"""What people change about a deal: its facts, its stage and its people."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, func, select

from models.contact import Company, Contact
from models.deal import ROLES, Actor, Deal, DealContact, StageChange, add_deal, move_deal, set_deal_contacts, undo_move
from models.errors import Conflict, Invalid, NotFound
from models.pipeline import FINAL, Stage, default_pipeline, stages_of
from models.reach import deal_changed
from models.setting import team_settings
from models.user import User
from webapp import present
from webapp.deps import Given, Me
from webapp.pages.deals import deal_row, users
from webapp.pages.forms import Fields, Sent
from webapp.pages.show import done, go, page
from webapp.security import policy

router = APIRouter()


@router.get("/new/deal")
@policy("rep")
def new_deal(
    request: Request, given: Given, me: Me, company: int | None = None, contact: int | None = None
) -> Response:
    """An empty form."""
    with given.db.read() as session:
        typed = {
            "currency": team_settings(session)["default_currency"],
            "owner_id": str(me.id),
            "company_id": str(company or ""),
            "contact_id": str(contact or ""),
        }
        lists = _lists(session)
    return page(request, "deal_new.html", typed=typed, fault="", field="", active="board", **lists)


@router.post("/deals")
@policy("rep")
def create_deal(request: Request, given: Given, me: Me, form: Sent) -> Response:
    """A new deal; earlier mail of its people is looked at again."""
    now = given.clock()
    try:
        with given.db.write() as session:
            stage = session.get(Stage, form.number("stage_id") or 0)
            contact = form.number("contact_id")
            deal = add_deal(
                session,
                name=form.text("name", 200),
                now=now,
                stage=stage,
                company_id=form.number("company_id"),
                owner_id=form.number("owner_id"),
                amount_minor=form.hundredths("amount"),
                currency=form.text("currency") or "EUR",
                expected_close=form.day("expected_close"),
                contacts=[(contact, "")] if contact else [],
                actor=Actor(me.id),
            )
            deal_changed(session, deal.id or 0, now)
            where = f"/deals/{deal.id}"
    except (Invalid, NotFound) as error:
        with given.db.read() as session:
            lists = _lists(session)
        return page(
            request,
            "deal_new.html",
            status=422,
            typed=form.as_typed(),
            fault=str(error),
            field=getattr(error, "field", ""),
            active="board",
            **lists,
        )
    return go(where, "The deal is made. Mail with its people is being put on it.")


@router.post("/deals/{deal_id}/facts")
@policy("rep")
def change_facts(request: Request, given: Given, deal_id: int, form: Sent) -> Response:
    """Name, amount, close date, owner, company and next step; only the fields that were sent change."""
    now = given.clock()
    with given.db.write() as session:
        deal = deal_row(session, deal_id)
        company = deal.company_id
        _apply(session, deal, form)
        session.add(deal)
        session.flush()
        if deal.company_id != company:
            deal_changed(session, deal_id, now)
    return done(request, "Saved.", to=f"/deals/{deal_id}")


@router.get("/deals/{deal_id}/move")
@policy("rep")
def move_form(request: Request, given: Given, deal_id: int, stage: int | None = None) -> Response:
    """Where to, and for Won, Lost and Fridge what else is to be known."""
    with given.db.read() as session:
        row = deal_row(session, deal_id)
        deal = present.deals(session, [row])[0]
        stages = [present.stage_of(one) for one in stages_of(session, row.pipeline_id) if one.id != row.stage_id]
    chosen = next((one for one in stages if one and one["id"] == stage), None)
    return page(request, "deal_move.html", deal=deal, stages=stages, chosen=chosen, typed={}, fault="", active="board")


@router.post("/deals/{deal_id}/stage")
@policy("rep")
def move(request: Request, given: Given, me: Me, deal_id: int, form: Sent) -> Response:
    """Move a deal to ``stage_id``. Lost wants a ``reason``."""
    with given.db.write() as session:
        deal = deal_row(session, deal_id)
        stage = session.get(Stage, form.number("stage_id") or 0)
        if stage is None:
            raise Invalid("Choose a stage.", "stage_id")
        reason = form.text("reason")
        if stage.meaning == "lost" and not reason:
            raise Invalid("Say in a few words why it was lost.", "reason")
        change = move_deal(
            session,
            deal,
            stage,
            actor=Actor(me.id),
            now=given.clock(),
            reason=reason,
            amount_minor=form.hundredths("amount"),
            wake_on=form.day("wake_on"),
        )
        text = f"{deal.name} is now in {stage.name}."
    if change is None:
        return done(request, f"{text} It was there already.", to=f"/deals/{deal_id}")
    return done(request, text, to=f"/deals/{deal_id}", undo=("DELETE", f"/deals/{deal_id}/stage/{change.id}"))


@router.delete("/deals/{deal_id}/stage/{change_id}")
@policy("rep")
def move_undone(request: Request, given: Given, me: Me, deal_id: int, change_id: int) -> Response:
    """Take a move back."""
    with given.db.write() as session:
        change = session.get(StageChange, change_id)
        if change is None or change.deal_id != deal_id:
            raise NotFound("There is no such move.")
        if change.suggestion_id is not None:
            raise Conflict("This move came from a suggestion; take the acceptance back instead.")
        deal = undo_move(session, change, actor=Actor(me.id), now=given.clock())
    return done(request, f"Taken back: {deal.name} is where it was.", to=f"/deals/{deal_id}")


@router.post("/deals/{deal_id}/people")
@policy("rep")
def set_person(request: Request, given: Given, deal_id: int, form: Sent) -> Response:
    """Somebody takes part, as what."""
    now = given.clock()
    contact_id, role = form.number("contact_id"), form.text("role", 60)
    if contact_id is None:
        raise Invalid("Choose a contact.", "contact_id")
    if role and role not in ROLES:
        raise Invalid(f"A role is one of {', '.join(ROLES)}.", "role")
    with given.db.write() as session:
        people = _people(session, deal_id)
        fresh = contact_id not in people
        set_deal_contacts(session, deal_row(session, deal_id), list((people | {contact_id: role}).items()))
        if fresh:
            deal_changed(session, deal_id, now)
        contact = session.get(Contact, contact_id)
    undo = ("DELETE", f"/deals/{deal_id}/people/{contact_id}") if fresh else None
    text = f"{contact.name if contact else 'They'} {'takes part now' if fresh else 'is saved'}."
    return done(request, text, to=f"/deals/{deal_id}", undo=undo)


@router.delete("/deals/{deal_id}/people/{contact_id}")
@policy("rep")
def remove_person(request: Request, given: Given, deal_id: int, contact_id: int) -> Response:
    """They take no part; what was logged stays."""
    with given.db.write() as session:
        people = _people(session, deal_id)
        if contact_id not in people:
            raise NotFound("They do not take part in this deal.")
        del people[contact_id]
        set_deal_contacts(session, deal_row(session, deal_id), list(people.items()))
    return done(request, "Taken off this deal; what was logged stays.", to=f"/deals/{deal_id}")


def _people(session: Session, deal_id: int) -> dict[int, str]:
    rows = session.exec(select(DealContact).where(DealContact.deal_id == deal_id)).all()
    return {row.contact_id: row.role for row in rows}


def _apply(session: Session, deal: Deal, form: Fields) -> None:
    if "name" in form:
        deal.name = form.text("name", 200)
        if not deal.name:
            raise Invalid("A deal needs a name.", "name")
    if "amount" in form:
        deal.amount_minor = form.hundredths("amount")
    if "currency" in form:
        deal.currency = form.text("currency").upper()
        if len(deal.currency) != 3 or not deal.currency.isalpha():
            raise Invalid("A currency is three letters, such as EUR.", "currency")
    if "expected_close" in form:
        deal.expected_close = form.day("expected_close")
    if "next_step" in form:
        deal.next_step = form.text("next_step", 500)
    for name, model, what in (("owner_id", User, "user"), ("company_id", Company, "company")):
        if name in form:
            key = form.number(name)
            if key is not None and session.get(model, key) is None:
                raise NotFound(f"There is no such {what}.")
            setattr(deal, name, key)


def _lists(session: Session) -> dict[str, Any]:
    firms = session.exec(select(Company.id, Company.name).order_by(func.lower(Company.name)).limit(2_000)).all()
    people = session.exec(select(Contact.id, Contact.name).order_by(func.lower(Contact.name)).limit(2_000)).all()
    stages = stages_of(session, default_pipeline(session).id or 0)
    return {
        "firms": list(firms),
        "contacts": list(people),
        "users": [(user.id, user.name) for user in users(session)],
        "stages": [(stage.id, stage.name) for stage in stages if stage.meaning not in FINAL],
    }
