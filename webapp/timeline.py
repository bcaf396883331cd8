"""What is read for a page or an answer: timelines, what waits for a decision, who may see which account, held item and webhook."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, or_, select

from models.account import Account
from models.errors import NotFound
from models.interaction import Held, Interaction, Link
from models.suggestion import Suggestion
from models.webhook import Webhook
from webapp.deps import Viewer


def of_deal(
    session: Session, deal_id: int, *, limit: int, before: tuple[datetime, int] | None = None
) -> list[Interaction]:
    """The newest interactions of a deal, newest first; ``before``: (occurred_at, id) of the last one shown."""
    statement = (
        select(Interaction)
        .join(Link, col(Link.interaction_id) == Interaction.id)
        .where(Link.deal_id == deal_id, col(Link.removed_at).is_(None))
        .order_by(col(Interaction.occurred_at).desc(), col(Interaction.id).desc())
        .limit(limit)
    )
    if before is not None:
        at, last = before
        older = (col(Interaction.occurred_at) == at) & (col(Interaction.id) < last)
        statement = statement.where(or_(col(Interaction.occurred_at) < at, older))
    return list(session.exec(statement).all())


def open_suggestions(session: Session, *, limit: int = 200) -> list[Suggestion]:
    """What waits to be accepted or dismissed, newest first."""
    return list(
        session.exec(
            select(Suggestion)
            .where(Suggestion.state == "open")
            .order_by(col(Suggestion.created_at).desc(), col(Suggestion.id).desc())
            .limit(limit)
        ).all()
    )


def open_held(session: Session, viewer: Viewer, *, limit: int = 200) -> list[Held]:
    """The viewer's own items that wait for a deal, newest first."""
    return list(
        session.exec(
            select(Held)
            .where(Held.user_id == viewer.id, Held.state == "open")
            .order_by(col(Held.created_at).desc(), col(Held.id).desc())
            .limit(limit)
        ).all()
    )


def visible_accounts(session: Session, viewer: Viewer) -> list[Account]:
    """The viewer's own accounts; an administrator sees that the others' exist and how they fare."""
    statement = select(Account).where(col(Account.disconnected_at).is_(None)).order_by(col(Account.id))
    if not viewer.is_admin:
        statement = statement.where(Account.user_id == viewer.id)
    return list(session.exec(statement).all())


def account_for(session: Session, account_id: int, viewer: Viewer) -> Account:
    """Raises NotFound for one that is none of the viewer's business."""
    row = session.get(Account, account_id)
    if row is None or not (viewer.is_admin or row.user_id == viewer.id):
        raise NotFound("There is no such account.")
    return row


def held_for(session: Session, held_id: int, viewer: Viewer) -> Held:
    """A held item is its owner's alone. Raises NotFound."""
    row = session.get(Held, held_id)
    if row is None or row.user_id != viewer.id:
        raise NotFound("There is no such item.")
    return row


def hook_for(session: Session, hook_id: int, me: Viewer) -> Webhook:
    """A webhook of the viewer's, or anybody's for an administrator. Raises NotFound."""
    row = session.get(Webhook, hook_id)
    if row is None or row.deleted_at is not None or not (me.is_admin or row.user_id == me.id):
        raise NotFound("There is no such webhook.")
    return row
