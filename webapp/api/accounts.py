"""Connected accounts: how they stand, what became of everything in them, and looking again now."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from sqlmodel import Session, col, select

from models.account import Account, Source, disconnect_account, open_audits, request_audit, request_sync
from models.audit import receipt
from models.bell_faults import retry_bells
from models.errors import Forbidden, NotFound
from models.levels import set_account_level
from webapp import present, timeline
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Asked, Body, Id
from webapp.deps import Deps, Given, Me, Viewer
from webapp.security import policy

router = api_router("accounts")


class ChangedAccount(Body):
    """How much of this account's mail others see."""

    visibility: Literal["full", "subject", "metadata"]


@router.get("")
@policy("rep")
def list_accounts(deps: Given, me: Me, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """The caller's own accounts with their health; an administrator sees everybody's."""
    statement = select(Account).where(col(Account.disconnected_at).is_(None))
    if not me.is_admin:
        statement = statement.where(Account.user_id == me.id)
    with deps.db.read() as session:
        rows, after = page(session, statement, asked, col(Account.id))
        return {"items": [present.account(session, row, now=deps.clock()) for row in rows], "next": after}


@router.get("/{account_id}")
@policy("rep")
def read_account(deps: Given, me: Me, account_id: Id) -> dict[str, Any]:
    """One account with its health."""
    with deps.db.read() as session:
        return _shape(deps, session, timeline.account_for(session, account_id, me))


@router.patch("/{account_id}")
@policy("rep")
def change_account(deps: Given, me: Me, account_id: Id, body: ChangedAccount) -> dict[str, Any]:
    """Change what others see of an account's mail; its owner alone may."""
    with deps.db.write() as session:
        row = _connected(session, account_id, me)
        if row.user_id != me.id:
            raise Forbidden("Only the owner of a mailbox decides what others see of it.")
        set_account_level(session, row, body.visibility, now=deps.clock())
        return _shape(deps, session, row)


@router.delete("/{account_id}", status_code=204)
@policy("rep")
def delete_account(deps: Given, me: Me, account_id: Id) -> None:
    """Disconnect: the grant is forgotten and all work stops; what was logged stays on the deals."""
    with deps.db.write() as session:
        disconnect_account(session, _connected(session, account_id, me), now=deps.clock())


@router.post("/{account_id}/sync", status_code=202)
@policy("rep")
def sync(deps: Given, me: Me, account_id: Id) -> dict[str, Any]:
    """Ask for a look at everything in an account now."""
    with deps.db.write() as session:
        row = _connected(session, account_id, me)
        request_sync(session, account_id, now=deps.clock())
        retry_bells(session, account_id, now=deps.clock())
        session.flush()
        return _shape(deps, session, row)


@router.get("/{account_id}/ledger")
@policy("rep")
def read_ledger(deps: Given, me: Me, account_id: Id) -> dict[str, Any]:
    """What became of every item: *in mailbox = logged + held + ignored + internal + owed + unreadable + unopened*."""
    with deps.db.read() as session:
        return present.ledger(session, timeline.account_for(session, account_id, me))


@router.get("/{account_id}/audit")
@policy("rep")
def read_audit(deps: Given, me: Me, account_id: Id) -> dict[str, Any]:
    """The last comparison of the mailbox with the ledger. ``missing`` is null before the first; ``running``: another one
    is under way."""
    with deps.db.read() as session:
        return _audit(session, timeline.account_for(session, account_id, me))


@router.get("/{account_id}/audit/receipt")
@policy("rep")
def read_receipt(deps: Given, me: Me, account_id: Id) -> dict[str, Any]:
    """The last audit in full: by source and month, with a hash over the items' ids."""
    with deps.db.read() as session:
        return receipt(session, timeline.account_for(session, account_id, me), now=deps.clock())


@router.post("/{account_id}/audit", status_code=202)
@policy("rep")
def ask_for_audit(deps: Given, me: Me, account_id: Id) -> dict[str, Any]:
    """Ask for a comparison now; its result is read at the same address."""
    with deps.db.write() as session:
        row = _connected(session, account_id, me)
        request_audit(session, account_id, now=deps.clock())
        session.flush()
        return _audit(session, row)


def _connected(session: Session, account_id: int, me: Viewer) -> Account:
    row = timeline.account_for(session, account_id, me)
    if row.disconnected_at is not None:
        raise NotFound("There is no such account; it was disconnected.")
    return row


def _shape(deps: Deps, session: Session, row: Account) -> dict[str, Any]:
    return present.account(session, row, now=deps.clock())


def _audit(session: Session, row: Account) -> dict[str, Any]:
    source_ids = session.exec(select(Source.id).where(Source.account_id == row.id)).all()
    running = session.exec(open_audits(source_ids)).first() is not None
    return present.ledger(session, row) | {"running": running}
