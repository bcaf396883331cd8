"""How much others see, changed for what is logged already too: a look first, then the change."""

from __future__ import annotations

from typing import Any, Literal

from sqlmodel import Session, select

from models.errors import Forbidden, NotFound
from models.interaction import Interaction
from models.levels import look_at_account, look_at_thread, set_account_level, set_thread_level
from models.privacy import sights
from webapp import timeline
from webapp.api.idempotency import api_router
from webapp.api.inputs import Body, Id
from webapp.deps import Given, Me, Viewer
from webapp.security import policy

of_account = api_router("accounts")
router = api_router("threads")
Level = Literal["full", "subject", "metadata"]


class AccountLevel(Body):
    """``remove_texts``: also take the texts stored so far out of the rows, for good (below ``full`` only)."""

    visibility: Level
    remove_texts: bool = False


class ThreadLevel(Body):
    """``visibility``: no more than this, whatever the accounts allow; null: as they say. ``earlier``: also of what lies in
    the caller's own mailboxes already."""

    visibility: Level | None
    earlier: bool = True


@of_account.get("/{account_id}/visibility")
@policy("rep")
def look_at_level(deps: Given, me: Me, account_id: Id, level: Level) -> dict[str, Any]:
    """How many mails and meetings a level would concern, of how many colleagues would see less or more, how many stored texts
    it would no longer allow. Nothing is changed."""
    with deps.db.write() as session:
        row = _own(session, account_id, me)
        told: dict[str, Any] = {"account_id": account_id, "visibility": row.visibility, "level": level}
        told["would"] = look_at_account(session, row, level).shown()
        session.rollback()
    return told


@of_account.put("/{account_id}/visibility")
@policy("rep")
def put_level(deps: Given, me: Me, account_id: Id, body: AccountLevel) -> dict[str, Any]:
    """Change it, with the figures of what was changed; its owner alone may."""
    with deps.db.write() as session:
        row = _own(session, account_id, me)
        change = set_account_level(session, row, body.visibility, now=deps.clock(), remove_texts=body.remove_texts)
        return {"account_id": account_id, "visibility": body.visibility, "changed": change.shown()}


@router.get("/{thread_id}/visibility")
@policy("rep")
def look_at_thread_level(deps: Given, me: Me, thread_id: Id, level: Level | None = None) -> dict[str, Any]:
    """What a level would change of a conversation. Nothing is changed."""
    with deps.db.write() as session:
        _seen(session, thread_id, me)
        shown = look_at_thread(session, thread_id, level or "", user_id=me.id).shown()
        session.rollback()
    return {"thread_id": thread_id, "level": level, "would": shown}


@router.put("/{thread_id}/visibility")
@policy("rep")
def put_thread_level(deps: Given, me: Me, thread_id: Id, body: ThreadLevel) -> dict[str, Any]:
    """Narrow what others see of a conversation, also of what is yet to come in it. Only those in whose mailbox it lies may."""
    with deps.db.write() as session:
        _seen(session, thread_id, me)
        level = body.visibility or ""
        change = set_thread_level(session, thread_id, level, user_id=me.id, earlier=body.earlier)
        return {"thread_id": thread_id, "visibility": body.visibility, "changed": change.shown()}


def _own(session: Session, account_id: int, me: Viewer) -> Any:
    row = timeline.account_for(session, account_id, me)
    if row.user_id != me.id:
        raise Forbidden("Only the owner of a mailbox decides what others see of it.")
    return row


def _seen(session: Session, thread_id: int, me: Viewer) -> None:
    """A conversation of which the caller sees nothing is none of theirs to know of."""
    rows = session.exec(select(Interaction).where(Interaction.thread_id == thread_id)).all()
    if not any(sight.any for sight in sights(session, rows, me.id).values()):
        raise NotFound("There is no such conversation.")
