"""E-mails and meetings, each as far as the caller may see it, and on which deals they stand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import AwareDatetime
from sqlmodel import Session, col, select

from models.deal import Deal
from models.errors import Conflict, Forbidden, NotFound
from models.existing import existing
from models.interaction import Interaction, InteractionContact, Link
from models.levels import set_row_level
from models.linking import owner_of_copy, relink, unlink
from webapp import present
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Asked, Body, Id
from webapp.deps import Given, Me, Viewer
from webapp.security import policy

router = api_router("interactions")


class InteractionFilter(Asked):
    """``since``: happened then or later."""

    contact_id: Id | None = None
    deal_id: Id | None = None
    kind: Literal["email", "meeting"] | None = None
    since: AwareDatetime | None = None


class Visibility(Body):
    """How much others see: no more than this, whatever the account allows; null: as the account says."""

    visibility: Literal["full", "subject", "metadata"] | None


@router.get("")
@policy("rep")
def list_interactions(deps: Given, me: Me, asked: Annotated[InteractionFilter, Query()]) -> dict[str, Any]:
    """E-mails and meetings, newest first. A page may hold fewer than ``limit``: what is not for the caller is left out."""
    with deps.db.read() as session:
        rows, after = page(
            session, _filtered(asked), asked, col(Interaction.id), by=col(Interaction.occurred_at), newest_first=True
        )
        return {"items": present.interactions(session, rows, me), "next": after}


@router.get("/{interaction_id}")
@policy("rep")
def read_interaction(deps: Given, me: Me, interaction_id: Id) -> dict[str, Any]:
    """One e-mail or meeting, with its text for those who may read it."""
    with deps.db.read() as session:
        return _whole(session, seen(session, interaction_id, me), me)


@router.put("/{interaction_id}/links/{deal_id}")
@policy("rep")
def put_link(deps: Given, me: Me, interaction_id: Id, deal_id: Id) -> dict[str, Any]:
    """Put it on this deal, and off any other; the conversation remembers it."""
    with deps.db.write() as session:
        row = seen(session, interaction_id, me)
        if row.held:
            raise Conflict("It waits for a choice; make it at /api/v1/held/{id}/choice.")
        existing(session, Deal, deal_id, "deal")
        relink(session, row, deal_id, user_id=me.id, now=deps.clock())
        session.flush()
        return _whole(session, row, me)


@router.delete("/{interaction_id}/links/{deal_id}", status_code=204)
@policy("rep")
def delete_link(deps: Given, me: Me, interaction_id: Id, deal_id: Id) -> None:
    """Take it off this deal; it does not come back by itself."""
    with deps.db.write() as session:
        unlink(session, seen(session, interaction_id, me), deal_id, now=deps.clock())


@router.put("/{interaction_id}/visibility")
@policy("rep")
def put_visibility(deps: Given, me: Me, interaction_id: Id, body: Visibility) -> dict[str, Any]:
    """Narrow what others see of it. Only whose mailbox holds it may."""
    with deps.db.write() as session:
        row = seen(session, interaction_id, me)
        if me.id not in owner_of_copy(session, interaction_id):
            raise Forbidden("Only those in whose mailbox it lies decide what others see of it.")
        set_row_level(session, row, body.visibility or "")
        return _whole(session, row, me)


def seen(session: Session, interaction_id: int, me: Viewer) -> Interaction:
    """An interaction of which the caller may see anything at all. Raises NotFound."""
    row = existing(session, Interaction, interaction_id, "interaction")
    if not present.interactions(session, [row], me):
        raise NotFound("There is no such interaction.")
    return row


def _whole(session: Session, row: Interaction, me: Viewer) -> dict[str, Any]:
    return present.interactions(session, [row], me, whole=True)[0]


def _filtered(asked: InteractionFilter) -> Any:
    statement = select(Interaction)
    if asked.kind is not None:
        statement = statement.where(Interaction.kind == asked.kind)
    if asked.since is not None:
        since: datetime = asked.since
        statement = statement.where(Interaction.occurred_at >= since)
    if asked.contact_id is not None:
        with_them = select(InteractionContact.interaction_id).where(InteractionContact.contact_id == asked.contact_id)
        statement = statement.where(col(Interaction.id).in_(with_them))
    if asked.deal_id is not None:
        on_deal = select(Link.interaction_id).where(Link.deal_id == asked.deal_id, col(Link.removed_at).is_(None))
        statement = statement.where(col(Interaction.id).in_(on_deal))
    return statement
