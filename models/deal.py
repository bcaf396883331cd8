"""Deals and their way through the stages. Every move writes the deal, its history and its events in one transaction."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field, Session, SQLModel, col, select

from models.contact import Company, Contact
from models.errors import Conflict, Invalid, NotFound
from models.event import announce, event_row
from models.fields import instant, json_dict
from models.money import MOST_MINOR
from models.pipeline import FINAL, Stage, default_pipeline, stages_of
from models.user import User

ROLES = ("buyer", "decision maker", "champion", "user", "finance", "legal", "other")


class Deal(SQLModel, table=True):
    """A chance of a sale. ``amount_minor`` is in the currency's hundredths. ``version`` counts stage moves; a suggestion is
    pinned to it. ``suggest_at`` asks the worker to think about the deal (again) then. ``external_id``: what another program
    calls it; an import finds the deal again by it."""

    id: int | None = Field(default=None, primary_key=True)
    name: str
    pipeline_id: int = Field(foreign_key="pipeline.id", index=True)
    stage_id: int = Field(foreign_key="stage.id", index=True)
    company_id: int | None = Field(default=None, foreign_key="company.id", index=True)
    owner_id: int | None = Field(default=None, foreign_key="user.id", index=True)
    amount_minor: int | None = Field(default=None, sa_type=BigInteger)
    currency: str = "EUR"
    expected_close: date | None = None
    next_step: str = ""
    created_at: datetime = instant()
    stage_since: datetime = instant()
    closed_at: datetime | None = instant(None)
    close_reason: str = ""
    wake_on: date | None = None
    shelved_from_id: int | None = None
    version: int = 1
    last_touch_at: datetime | None = instant(None)
    customer_touch_at: datetime | None = instant(None)
    suggest_at: datetime | None = instant(None, index=True)
    external_id: str = Field(default="", index=True)


class DealContact(SQLModel, table=True):
    """Who takes part in a deal, and as what."""

    __tablename__ = "deal_contact"  # pyright: ignore[reportAssignmentType]
    deal_id: int = Field(foreign_key="deal.id", primary_key=True, ondelete="CASCADE")
    contact_id: int = Field(foreign_key="contact.id", primary_key=True, index=True, ondelete="CASCADE")
    role: str = ""


class StageChange(SQLModel, table=True):
    """One move. ``from_stage_id`` is None for a deal's first stage. ``before``: what else the move changed on the deal, as
    it was. ``source``: person | suggestion | rule | api | import. Taken back when ``undone_at`` is set."""

    __tablename__ = "stage_change"  # pyright: ignore[reportAssignmentType]
    id: int | None = Field(default=None, primary_key=True)
    deal_id: int = Field(foreign_key="deal.id", index=True, ondelete="CASCADE")
    from_stage_id: int | None = None
    to_stage_id: int
    at: datetime = instant()
    source: str = "person"
    user_id: int | None = None
    suggestion_id: int | None = None
    since: datetime | None = instant(None)
    before: dict[str, Any] = json_dict()
    undone_at: datetime | None = instant(None)


@dataclass(frozen=True)
class Actor:
    """Who does it: a person through a page or the API, or a rule."""

    user_id: int | None
    source: str = "person"
    suggestion_id: int | None = None


def check_amount(amount_minor: int | None) -> None:
    """Raises Invalid for an amount that no deal has."""
    if amount_minor is not None and amount_minor < 0:
        raise Invalid("A deal's amount is not negative.", "amount")
    if amount_minor is not None and amount_minor > MOST_MINOR:
        raise Invalid("A deal's amount is below ten trillion.", "amount")


def add_deal(
    session: Session,
    *,
    name: str,
    now: datetime,
    stage: Stage | None = None,
    company_id: int | None = None,
    owner_id: int | None = None,
    amount_minor: int | None = None,
    currency: str = "EUR",
    expected_close: date | None = None,
    contacts: list[tuple[int, str]] | None = None,
    created_at: datetime | None = None,
    stage_since: datetime | None = None,
    actor: Actor | None = None,
    external_id: str = "",
    quiet: bool = False,
) -> Deal:
    """A new deal, in the default pipeline's first stage unless told otherwise. ``contacts``: (contact id, role); ``quiet``:
    it is old news and not announced. Raises Invalid, NotFound."""
    _check_new(session, name, amount_minor, currency, company_id, owner_id)
    stage = stage or stages_of(session, default_pipeline(session).id or 0)[0]
    born = created_at or now
    deal = Deal(
        name=name.strip(),
        pipeline_id=stage.pipeline_id,
        stage_id=stage.id or 0,
        company_id=company_id,
        owner_id=owner_id,
        amount_minor=amount_minor,
        currency=currency.upper(),
        expected_close=expected_close,
        created_at=born,
        stage_since=stage_since or born,
        closed_at=(stage_since or born) if stage.meaning in FINAL else None,
        suggest_at=now,
        external_id=external_id,
    )
    session.add(deal)
    session.flush()
    actor = actor or Actor(owner_id)
    session.add(
        StageChange(
            deal_id=deal.id or 0,
            to_stage_id=stage.id or 0,
            at=deal.stage_since,
            source=actor.source,
            user_id=actor.user_id,
        )
    )
    if contacts:
        set_deal_contacts(session, deal, contacts)
    if not quiet:
        announce(
            session,
            event_row("deal.created", str(deal.id), deal_payload(session, deal), now=now, deal_id=deal.id),
        )
    return deal


def _check_new(
    session: Session, name: str, amount_minor: int | None, currency: str, company_id: int | None, owner_id: int | None
) -> None:
    if not name.strip():
        raise Invalid("A deal needs a name.", "name")
    check_amount(amount_minor)
    if len(currency) != 3 or not currency.isalpha():
        raise Invalid("A currency is three letters, such as EUR.", "currency")
    for model, key, what in ((Company, company_id, "company"), (User, owner_id, "owner")):
        if key is not None and session.get(model, key) is None:
            raise NotFound(f"There is no such {what}.")


def set_deal_contacts(session: Session, deal: Deal, contacts: list[tuple[int, str]]) -> list[int]:
    """Make ``contacts`` the people of a deal; the ids that are new to it. Raises NotFound."""
    have = {
        row.contact_id: row for row in session.exec(select(DealContact).where(DealContact.deal_id == deal.id)).all()
    }
    wanted = dict(contacts)
    for contact_id in wanted.keys() - have.keys():
        if session.get(Contact, contact_id) is None:
            raise NotFound(f"There is no contact {contact_id}.")
    for contact_id, row in have.items():
        if contact_id not in wanted:
            session.delete(row)
    for contact_id, role in wanted.items():
        row = have.get(contact_id) or DealContact(deal_id=deal.id or 0, contact_id=contact_id)
        row.role = role
        session.add(row)
    session.flush()
    return sorted(wanted.keys() - have.keys())


def move_deal(
    session: Session,
    deal: Deal,
    stage: Stage,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    amount_minor: int | None = None,
    wake_on: date | None = None,
    quiet: bool = False,
) -> StageChange | None:
    """Move a deal to a stage; None when it is there already. The deal's row is locked, so that two who move it at once move
    it one after the other. ``quiet``: it is old news and not announced. Raises Invalid (another pipeline's stage, a negative
    amount)."""
    lock(session, deal)
    if stage.pipeline_id != deal.pipeline_id:
        raise Invalid(f"{stage.name!r} is a stage of another pipeline.", "stage")
    check_amount(amount_minor)
    if stage.id == deal.stage_id:
        return None
    before = session.get(Stage, deal.stage_id)
    change = StageChange(
        deal_id=deal.id or 0,
        from_stage_id=deal.stage_id,
        to_stage_id=stage.id or 0,
        at=now,
        source=actor.source,
        user_id=actor.user_id,
        suggestion_id=actor.suggestion_id,
        since=deal.stage_since,
        before=_remembered(deal),
    )
    session.add(change)
    _enter(deal, stage, since=now, now=now)
    if stage.meaning in FINAL:
        deal.close_reason = reason
    if stage.meaning == "fridge":
        deal.wake_on, deal.shelved_from_id = wake_on, change.from_stage_id
    if amount_minor is not None:
        deal.amount_minor = amount_minor
    session.add(deal)
    session.flush()
    if not quiet:
        announce(session, *_move_events(session, deal, before, stage, change, actor, now))
    return change


def undo_move(session: Session, change: StageChange, *, actor: Actor, now: datetime) -> Deal:
    """Take a move back: the deal stands where it stood, since when it stood there, with what the move had changed. Raises
    Conflict when it has moved on or the move was taken back before."""
    deal = session.get(Deal, change.deal_id)
    if deal is None or change.from_stage_id is None:
        raise NotFound("There is nothing to take back.")
    lock(session, deal)
    lock(session, change)
    if change.undone_at is not None:
        raise Conflict("This move was taken back before.")
    if deal.stage_id != change.to_stage_id or _latest_change(session, deal) != change.id:
        raise Conflict("The deal has moved on since; move it by hand.")
    back, left = session.get(Stage, change.from_stage_id), session.get(Stage, change.to_stage_id)
    if back is None or left is None:
        raise Conflict("That stage no longer exists; move the deal by hand.")
    change.undone_at = now
    _enter(deal, back, since=change.since or now, now=now)
    _recall(deal, change.before)
    session.add_all([change, deal])
    session.flush()
    payload = move_payload(session, deal, left, back, actor) | {"undo": True}
    announce(
        session,
        event_row("deal.stage_changed", f"{deal.id}:{change.id}:undo", payload, now=now, deal_id=deal.id),
    )
    return deal


def stage_at(session: Session, deal: Deal, moment: datetime) -> int:
    """The stage in which a deal stood at a moment; its first one for earlier moments."""
    moves = session.exec(
        select(StageChange)
        .where(StageChange.deal_id == deal.id, col(StageChange.undone_at).is_(None))
        .order_by(col(StageChange.at), col(StageChange.id))
    ).all()
    passed = [move.to_stage_id for move in moves if move.at <= moment] or [move.to_stage_id for move in moves[:1]]
    return passed[-1] if passed else deal.stage_id


def lock(session: Session, row: SQLModel) -> None:
    """Read a row again and hold it until the transaction ends (SQLite holds the whole database instead)."""
    session.add(row)
    session.flush()
    session.refresh(row, with_for_update=True)


def deal_payload(session: Session, deal: Deal) -> dict[str, Any]:
    """What an event tells about a deal."""
    stage = session.get(Stage, deal.stage_id)
    company = session.get(Company, deal.company_id) if deal.company_id else None
    owner = session.get(User, deal.owner_id) if deal.owner_id else None
    return {
        "id": deal.id,
        "name": deal.name,
        "stage": stage.name if stage else "",
        "stage_meaning": stage.meaning if stage else "",
        "amount": money(deal.amount_minor),
        "currency": deal.currency,
        "expected_close": deal.expected_close.isoformat() if deal.expected_close else None,
        "company": {"id": company.id, "name": company.name} if company else None,
        "owner": {"id": owner.id, "email": owner.email, "name": owner.name} if owner else None,
    }


def move_payload(session: Session, deal: Deal, before: Stage | None, after: Stage, actor: Actor) -> dict[str, Any]:
    """What an event tells about a move."""
    return {
        "deal": deal_payload(session, deal),
        "from": {"id": before.id, "name": before.name, "meaning": before.meaning} if before else None,
        "to": {"id": after.id, "name": after.name, "meaning": after.meaning},
        "source": actor.source,
        "user_id": actor.user_id,
        "suggestion_id": actor.suggestion_id,
    }


def money(minor: int | None) -> float | None:
    """Hundredths as units of currency."""
    return None if minor is None else minor / 100


def _enter(deal: Deal, stage: Stage, *, since: datetime, now: datetime) -> None:
    deal.stage_id, deal.stage_since = stage.id or 0, since
    deal.version += 1
    deal.closed_at = since if stage.meaning in FINAL else None
    deal.suggest_at = now
    if stage.meaning not in FINAL:
        deal.close_reason = ""
    if stage.meaning != "fridge":
        deal.wake_on = deal.shelved_from_id = None


def _remembered(deal: Deal) -> dict[str, Any]:
    return {
        "amount_minor": deal.amount_minor,
        "close_reason": deal.close_reason,
        "wake_on": deal.wake_on.isoformat() if deal.wake_on else None,
        "shelved_from_id": deal.shelved_from_id,
    }


def _recall(deal: Deal, before: dict[str, Any]) -> None:
    if before:
        deal.amount_minor, deal.close_reason = before["amount_minor"], before["close_reason"]
        deal.wake_on = date.fromisoformat(before["wake_on"]) if before["wake_on"] else None
        deal.shelved_from_id = before["shelved_from_id"]


def _latest_change(session: Session, deal: Deal) -> int | None:
    return session.exec(
        select(StageChange.id)
        .where(StageChange.deal_id == deal.id, col(StageChange.undone_at).is_(None))
        .order_by(col(StageChange.id).desc())
    ).first()


def _move_events(
    session: Session,
    deal: Deal,
    before: Stage | None,
    after: Stage,
    change: StageChange,
    actor: Actor,
    now: datetime,
) -> list[dict[str, Any]]:
    payload = move_payload(session, deal, before, after, actor)
    kinds = ["deal.stage_changed"]
    if after.meaning in FINAL:
        kinds.append(f"deal.{after.meaning}")
    elif after.meaning == "fridge":
        kinds.append("deal.shelved")
    elif before is not None and before.meaning == "fridge":
        kinds.append("deal.revived")
    return [event_row(kind, f"{deal.id}:{change.id}", payload, now=now, deal_id=deal.id) for kind in kinds]
