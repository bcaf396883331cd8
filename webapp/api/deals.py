"""Deals: chances of a sale, with the people in them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from annotated_types import MaxLen
from fastapi import Query
from pydantic import StringConstraints
from sqlmodel import Session, col, func, or_, select

from models.addresses import canonical
from models.contact import Company, Contact
from models.deal import Actor, Deal, DealContact, add_deal, move_deal, set_deal_contacts
from models.errors import Invalid, NotFound
from models.existing import existing
from models.pipeline import Pipeline, Stage, default_pipeline, stage_by_name, stages_of
from models.reach import deal_changed
from models.removal import remove_deal
from models.setting import team_settings
from models.user import User, find_user
from webapp import present
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Address, Amount, Asked, Body, Id, Line, Text, given, left, minor, named
from webapp.deps import Given, Me, Viewer
from webapp.security import policy

router = api_router("deals")
Currency = Annotated[str, StringConstraints(pattern="^[A-Za-z]{3}$", to_upper=True)]
StageRef = Id | Line
"""A stage by its id, its name or its meaning."""


class Part(Body):
    """Who takes part, and as what."""

    contact_id: Id
    role: Line = ""


Parts = Annotated[list[Part], MaxLen(200)]


class NewDeal(Body):
    """A deal to add: in the default pipeline's first stage and owned by whoever asks, unless told otherwise."""

    name: Line
    company_id: Id | None = None
    pipeline_id: Id | None = None
    stage: StageRef | None = None
    owner_id: Id | None = None
    owner_email: Address | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    expected_close: date | None = None
    next_step: Text = ""
    contacts: Parts = []


class ChangedDeal(Body):
    """What is to change. A new ``stage`` moves the deal, as ``/stage`` does."""

    name: Line = left()
    company_id: Id | None = left()
    stage: StageRef = left()
    owner_id: Id | None = left()
    owner_email: Address | None = left()
    amount: Amount | None = left()
    currency: Currency = left()
    expected_close: date | None = left()
    next_step: Text = left()
    contacts: Parts = left()


class DealFilter(Asked):
    """``stage``: id, name or meaning; ``owner``: id, address or ``me``; ``company``: id; ``q``: part of the deal's or the
    company's name."""

    stage: Line | None = None
    owner: Address | None = None
    company: Id | None = None
    pipeline: Id | None = None
    contact: Id | None = None
    q: Line | None = None


@router.get("")
@policy("rep")
def list_deals(deps: Given, me: Me, asked: Annotated[DealFilter, Query()]) -> dict[str, Any]:
    """Deals, oldest first."""
    with deps.db.read() as session:
        rows, after = page(session, _filtered(session, asked, me), asked, col(Deal.id))
        return {"items": present.deals(session, rows), "next": after}


@router.post("", status_code=201)
@policy("rep")
def create_deal(deps: Given, me: Me, body: NewDeal) -> dict[str, Any]:
    """Add a deal; what is logged of its people already is decided again."""
    now = deps.clock()
    with deps.db.write() as session:
        named(session, Company, body.company_id, "company", "company_id")
        deal = add_deal(
            session,
            name=body.name,
            now=now,
            stage=_first_stage(session, body),
            company_id=body.company_id,
            owner_id=_owner(session, body, me.id),
            amount_minor=minor(body.amount),
            currency=body.currency or team_settings(session)["default_currency"],
            expected_close=body.expected_close,
            contacts=_parts(session, body.contacts),
            actor=Actor(me.id, "api"),
        )
        deal.next_step = body.next_step
        session.add(deal)
        session.flush()
        deal_changed(session, deal.id or 0, now)
        return present.deals(session, [deal])[0]


@router.get("/{deal_id}")
@policy("rep")
def read_deal(deps: Given, deal_id: Id) -> dict[str, Any]:
    """One deal."""
    with deps.db.read() as session:
        return present.deals(session, [existing(session, Deal, deal_id, "deal")])[0]


@router.patch("/{deal_id}")
@policy("rep")
def change_deal(deps: Given, me: Me, deal_id: Id, body: ChangedDeal) -> dict[str, Any]:
    """Change a deal; its people's and company's mail is decided again when these change."""
    changes = given(body)
    now = deps.clock()
    with deps.db.write() as session:
        deal = existing(session, Deal, deal_id, "deal")
        _change(session, deal, body, changes)
        if "contacts" in changes:
            set_deal_contacts(session, deal, _parts(session, body.contacts))
        if "stage" in changes:
            stage = stage_in(session, deal.pipeline_id, body.stage)
            move_deal(session, deal, stage, actor=Actor(me.id, "api"), now=now)
        if {"contacts", "company_id"} & changes.keys():
            deal_changed(session, deal_id, now)
        session.flush()
        return present.deals(session, [deal])[0]


@router.delete("/{deal_id}", status_code=204)
@policy("rep")
def delete_deal(deps: Given, deal_id: Id) -> None:
    """Delete a deal on which nothing was logged."""
    with deps.db.write() as session:
        remove_deal(session, existing(session, Deal, deal_id, "deal"))


def stage_in(session: Session, pipeline_id: int, wanted: int | str) -> Stage:
    """A pipeline's stage by id, name or meaning. Raises Invalid."""
    if isinstance(wanted, int) or wanted.isdigit():
        stage = session.get(Stage, min(int(wanted), 2**31 - 1))
        if stage is not None and stage.pipeline_id == pipeline_id:
            return stage
    try:
        return stage_by_name(session, pipeline_id, str(wanted))
    except NotFound as error:
        raise Invalid(str(error), "stage") from error


def _first_stage(session: Session, body: NewDeal) -> Stage:
    if isinstance(body.stage, int) and body.pipeline_id is None:
        stage = named(session, Stage, body.stage, "stage", "stage")
        assert stage is not None
        return stage
    pipeline = named(session, Pipeline, body.pipeline_id, "pipeline", "pipeline_id") or default_pipeline(session)
    if body.stage is None:
        return stages_of(session, pipeline.id or 0)[0]
    return stage_in(session, pipeline.id or 0, body.stage)


def _owner(session: Session, body: NewDeal | ChangedDeal, default: int | None) -> int | None:
    """Whose deal it is to be. Raises Invalid."""
    if body.owner_email is not None:
        user = find_user(session, body.owner_email)
        if user is None or body.owner_id not in (None, user.id):
            raise Invalid(f"There is no such user {body.owner_email}.", "owner_email")
        return user.id
    if "owner_id" in body.model_fields_set or "owner_email" in body.model_fields_set:
        named(session, User, body.owner_id, "user", "owner_id")
        return body.owner_id
    return default


def _parts(session: Session, parts: list[Part]) -> list[tuple[int, str]]:
    for part in parts:
        named(session, Contact, part.contact_id, "contact", "contacts")
    return [(part.contact_id, part.role) for part in parts]


def _change(session: Session, deal: Deal, body: ChangedDeal, changes: dict[str, Any]) -> None:
    if changes.get("name") == "":
        raise Invalid("A deal needs a name.", "name")
    named(session, Company, changes.get("company_id"), "company", "company_id")
    for name in ("name", "company_id", "currency", "expected_close", "next_step"):
        if name in changes:
            setattr(deal, name, changes[name])
    if "amount" in changes:
        deal.amount_minor = minor(body.amount)
    deal.owner_id = _owner(session, body, deal.owner_id)
    session.add(deal)
    session.flush()


def _filtered(session: Session, asked: DealFilter, me: Viewer) -> Any:
    statement = select(Deal)
    if asked.pipeline is not None:
        statement = statement.where(Deal.pipeline_id == asked.pipeline)
    if asked.company is not None:
        statement = statement.where(Deal.company_id == asked.company)
    if asked.contact is not None:
        from_contact = select(DealContact.deal_id).where(DealContact.contact_id == asked.contact)
        statement = statement.where(col(Deal.id).in_(from_contact))
    if asked.stage is not None:
        statement = statement.where(col(Deal.stage_id).in_(_stages_like(asked.stage)))
    if asked.owner is not None:
        statement = statement.where(Deal.owner_id == _owner_like(session, asked.owner, me))
    if asked.q:
        firms = select(Company.id).where(col(Company.name).icontains(asked.q, autoescape=True))
        statement = statement.where(
            or_(col(Deal.name).icontains(asked.q, autoescape=True), col(Deal.company_id).in_(firms))
        )
    return statement


def _stages_like(wanted: str) -> Any:
    alike = or_(func.lower(Stage.name) == wanted.lower(), Stage.meaning == wanted.lower())
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 10:
        alike = or_(alike, Stage.id == int(wanted))
    return select(Stage.id).where(alike)


def _owner_like(session: Session, wanted: str, me: Viewer) -> int:
    """An owner's id; 0, which nobody has, for one that is unknown."""
    if wanted == "me":
        return me.id
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 10:
        return int(wanted)
    user = find_user(session, wanted) if canonical(wanted) else None
    return (user.id if user else None) or 0
