"""What the bar at the top tells on every page: how much waits, and which accounts need a hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from models.account import Account
from models.db import Database
from models.discovery import count_offers
from models.interaction import Held, Interaction
from models.suggestion import Suggestion
from webapp.deps import Viewer


@dataclass(frozen=True)
class Standing:
    """Numbers for the bar."""

    review: int
    troubled: int
    discovered: int = 0


def standing_of(db: Database, viewer: Viewer, now: datetime) -> Standing:
    """How it stands for a viewer now."""
    with db.read() as session:
        return Standing(waiting(session, viewer), _troubled(session, viewer), count_offers(session, viewer.id, now=now))


def waiting(session: Session, viewer: Viewer) -> int:
    """Suggestions and held conversations that the viewer may decide."""
    suggested = session.exec(select(func.count()).select_from(Suggestion).where(Suggestion.state == "open")).one()
    conversation = func.coalesce(Interaction.thread_id, -col(Interaction.id))
    held = session.exec(
        select(func.count(func.distinct(conversation)))
        .join(Held, col(Held.interaction_id) == Interaction.id)
        .where(Held.user_id == viewer.id, Held.state == "open")
    ).one()
    return suggested + held


def _troubled(session: Session, viewer: Viewer) -> int:
    statement = select(func.count()).select_from(Account)
    statement = statement.where(Account.refused != "", col(Account.disconnected_at).is_(None))
    if not viewer.is_admin:
        statement = statement.where(Account.user_id == viewer.id)
    return session.exec(statement).one()
