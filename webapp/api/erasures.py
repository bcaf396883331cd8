"""Erasing a person: what it would do, doing it, and the receipts. For administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlmodel import col, select

from models.contact import Contact
from models.erasing import erase, preview
from models.erasure import Erasure, lift, receipt
from models.errors import NotFound
from models.existing import existing
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Asked, Id
from webapp.deps import Given, Me
from webapp.security import policy

of_contact = api_router("contacts")
router = api_router("erasures")


@of_contact.get("/{contact_id}/erasure")
@policy("admin")
def read_erasure(deps: Given, contact_id: Id) -> dict[str, Any]:
    """Of a contact that is there: how many rows of each kind an erasure would delete or change (``would``). Of one that was
    erased: the receipt."""
    with deps.db.read() as session:
        there = session.get(Contact, contact_id) is not None
        done = session.exec(
            select(Erasure).where(Erasure.contact_id == contact_id).order_by(col(Erasure.id).desc())
        ).first()
    if there:
        return {"contact_id": contact_id, "would": preview(deps.db, deps.keyring, contact_id, now=deps.clock())}
    if done is None:
        raise NotFound("There is no such contact.")
    return receipt(done)


@of_contact.post("/{contact_id}/erasure", status_code=201)
@policy("admin")
def make_erasure(deps: Given, me: Me, contact_id: Id) -> dict[str, Any]:
    """Erase the contact: their addresses, their mails and meetings with us, their words on those with others, and whatever
    names them. It cannot be undone. The answer is the receipt."""
    with deps.db.write() as session:
        made = erase(session, deps.keyring, contact_id, user_id=me.id, by=me.email, now=deps.clock())
        return receipt(made)


@router.get("")
@policy("admin")
def list_erasures(deps: Given, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """The receipts, newest first."""
    with deps.db.read() as session:
        rows, after = page(session, select(Erasure), asked, col(Erasure.id), newest_first=True)
        return {"items": [receipt(row) for row in rows], "next": after}


@router.get("/{erasure_id}")
@policy("admin")
def read_receipt(deps: Given, erasure_id: Id) -> dict[str, Any]:
    """One receipt."""
    with deps.db.read() as session:
        return receipt(existing(session, Erasure, erasure_id, "erasure"))


@router.post("/{erasure_id}/lifting")
@policy("admin")
def lift_erasure(deps: Given, erasure_id: Id) -> dict[str, Any]:
    """Let the person be taken in again (they became a customer, say). What was erased stays erased."""
    with deps.db.write() as session:
        row = existing(session, Erasure, erasure_id, "erasure")
        lift(session, row, now=deps.clock())
        return receipt(row)
