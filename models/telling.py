"""What an event tells one person now: what was private to somebody stays so, and what has become private since is taken
out again when it is read or sent."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from models.account import Account
from models.db import chunks
from models.event import Event
from models.interaction import Interaction
from models.privacy import Sight, sights

OF_INTERACTIONS = ("interaction.", "meeting.")
OF_ACCOUNTS = "account."


def told(session: Session, rows: Sequence[Event], viewer_id: int, *, is_admin: bool) -> dict[int, dict[str, Any]]:
    """The payloads of events as a person may read them, by event id. Left out: what is private to another, mail that the
    viewer may not see at all, and accounts that are another's."""
    mails = _by_id(session, Interaction, [_interaction_of(row) for row in rows])
    seen = sights(session, mails.values(), viewer_id)
    accounts = _by_id(session, Account, [_account_of(row) for row in rows])
    shown: dict[int, dict[str, Any]] = {}
    for row in rows:
        if row.user_id not in (None, viewer_id):
            continue
        account = accounts.get(_account_of(row) or 0)
        if row.kind.startswith(OF_INTERACTIONS):
            sight = seen.get(_interaction_of(row) or 0, Sight("none"))
            if sight.any:
                shown[row.id or 0] = _narrowed(row.payload, sight)
        elif not row.kind.startswith(OF_ACCOUNTS) or is_admin or (account and account.user_id == viewer_id):
            shown[row.id or 0] = row.payload
    return shown


def _narrowed(payload: dict[str, Any], sight: Sight) -> dict[str, Any]:
    hidden = {} if sight.subject else {"subject": None}
    return payload | hidden | ({} if sight.text else {"snippet": None})


def _by_id(session: Session, kind: Any, ids: list[int | None]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for part in chunks({key for key in ids if key is not None}):
        found.update((row.id, row) for row in session.exec(select(kind).where(col(kind.id).in_(part))))
    return found


def _interaction_of(row: Event) -> int | None:
    return _number(row.payload.get("id")) if row.kind.startswith(OF_INTERACTIONS) else None


def _account_of(row: Event) -> int | None:
    return _number(row.payload.get("account_id")) if row.kind.startswith(OF_ACCOUNTS) else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None
