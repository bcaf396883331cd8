"""Events as one person may read them: what was private to somebody stays so, and what has become private since is taken
out again when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, or_

from models.account import Account
from models.event import Event
from models.interaction import Interaction
from models.privacy import Sight, sights
from webapp import present
from webapp.deps import Viewer

OF_INTERACTIONS = ("interaction.", "meeting.")
OF_ACCOUNTS = "account."


def for_viewer(me: Viewer) -> Any:
    """The condition under which an event is any of the viewer's business: told to all, or to them."""
    return or_(col(Event.user_id).is_(None), Event.user_id == me.id)


def readable(session: Session, rows: Sequence[Event], me: Viewer) -> list[dict[str, Any]]:
    """Events as the feed and the hooks tell them. Left out: of mail that the viewer may not see at all, and of accounts
    that are another's."""
    about = present.by_id(session, Interaction, [_interaction_of(row) for row in rows])
    seen = sights(session, about.values(), me.id)
    accounts = present.by_id(session, Account, [_account_of(row) for row in rows])
    shown = []
    for row in rows:
        account = accounts.get(_account_of(row) or 0)
        if row.kind.startswith(OF_INTERACTIONS):
            sight = seen.get(_interaction_of(row) or 0, Sight("none"))
            if sight.any:
                shown.append(_narrowed(row, sight))
        elif not row.kind.startswith(OF_ACCOUNTS) or me.is_admin or (account and account.user_id == me.id):
            shown.append(present.event(row))
    return shown


def _narrowed(row: Event, sight: Sight) -> dict[str, Any]:
    told = present.event(row)
    data = dict(told["data"])
    if not sight.subject:
        data["subject"] = None
    if not sight.text:
        data["snippet"] = None
    return told | {"data": data}


def _interaction_of(row: Event) -> int | None:
    return _number(row.payload.get("id")) if row.kind.startswith(OF_INTERACTIONS) else None


def _account_of(row: Event) -> int | None:
    return _number(row.payload.get("account_id")) if row.kind.startswith(OF_ACCOUNTS) else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None
