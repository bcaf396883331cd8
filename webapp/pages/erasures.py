"""Erasing a person: look, do, and the receipts. For administrators."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session, col, select

from models.contact import Contact
from models.erasing import erase, preview
from models.erasure import Erasure, lift, receipt
from models.errors import Invalid
from models.existing import existing
from webapp import present
from webapp.deps import Deps, Given, Me
from webapp.pages.forms import Sent
from webapp.pages.show import done, go, page
from webapp.security import policy

router = APIRouter()
COUNTED = {
    "contacts": ("the contact", "contacts"),
    "addresses": ("address of theirs", "addresses of theirs"),
    "interactions_deleted": ("mail or meeting with them alone, deleted", "mails and meetings with them alone, deleted"),
    "interactions_redacted": (
        "mail or meeting with others on it: their place is taken by nobody, their words go",
        "mails and meetings with others on them: their place is taken by nobody, their words go",
    ),
    "mentions": (
        "mail of others in which they are named: the name is covered",
        "mails of others in which they are named: the name is covered",
    ),
    "copies": ("copy in a mailbox, as we know it", "copies in mailboxes, as we know them"),
    "links": ("link to a deal", "links to deals"),
    "held": ("question", "questions"),
    "signals": ("signal", "signals"),
    "suggestions": ("suggestion that quoted them", "suggestions that quoted them"),
    "reasons": ("reason or quote that named them", "reasons and quotes that named them"),
    "events": ("event", "events"),
    "attempts": ("answer of a receiver", "answers of receivers"),
    "ledger_entries": ("ledger entry, now ignored", "ledger entries, now ignored"),
    "ledger_hashes": ("hash in the ledger", "hashes in the ledger"),
    "threads": ("conversation of which nothing is left", "conversations of which nothing is left"),
    "thread_keys": ("name of a conversation", "names of conversations"),
    "choices": ("choice that taught something about them", "choices that taught something about them"),
    "offers": ("offer as a new contact", "offers as a new contact"),
    "merges": ("merge that remembered them", "merges that remembered them"),
    "blocks": ("block of their address", "blocks of their address"),
    "searches": ("search for them", "searches for them"),
    "import_parts": ("part of a spreadsheet", "parts of spreadsheets"),
    "kept_answers": ("kept answer of the API", "kept answers of the API"),
    "other_rows": ("other row that named them", "other rows that named them"),
    "tombstones": ("keyed hash that keeps them from coming back", "keyed hashes that keep them from coming back"),
}
"""What each figure of a receipt means, for one and for several, in the order in which they are shown."""


@router.get("/contacts/{contact_id}/erasure")
@policy("admin")
def look(request: Request, given: Given, contact_id: int) -> Response:
    """What an erasure would do."""
    return _look(request, given, contact_id)


@router.post("/contacts/{contact_id}/erasure")
@policy("admin")
def do(request: Request, given: Given, me: Me, contact_id: int, form: Sent) -> Response:
    """Erase; the name is typed once more, because it cannot be undone."""
    try:
        with given.db.write() as session:
            contact = _contact(session, contact_id)
            if form.text("confirm", 200).casefold() != contact.name.casefold():
                raise Invalid(f"Type {contact.name} to confirm.", "confirm")
            made = erase(session, given.keyring, contact_id, user_id=me.id, by=me.email, now=given.clock())
            key = made.id
    except Invalid as error:
        return _look(request, given, contact_id, fault=str(error))
    return go(f"/erasures?new={key}", "The person is erased. Keep the receipt.")


@router.get("/erasures")
@policy("admin")
def erasures(request: Request, given: Given, new: int = 0) -> Response:
    """All receipts, newest first."""
    with given.db.read() as session:
        rows = session.exec(select(Erasure).order_by(col(Erasure.id).desc()).limit(200)).all()
    return page(request, "erasures.html", active="settings", rows=[_shown(row) for row in rows], new=new)


@router.get("/erasures/{erasure_id}/receipt")
@policy("admin")
def paper(given: Given, erasure_id: int) -> Response:
    """A receipt as a file to keep."""
    with given.db.read() as session:
        row = _row(session, erasure_id)
    name = f"dealtrail-erasure-{row.id}-{row.made_at:%Y-%m-%d}.json"
    return JSONResponse(receipt(row), headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.post("/erasures/{erasure_id}/lifting")
@policy("admin")
def lifting(request: Request, given: Given, erasure_id: int) -> Response:
    """The person may be taken in again."""
    with given.db.write() as session:
        lift(session, _row(session, erasure_id), now=given.clock())
    return done(request, "They may be taken in again; what was erased stays erased.", to="/erasures")


def _look(request: Request, given: Deps, contact_id: int, *, fault: str = "") -> Response:
    with given.db.read() as session:
        shown = present.contacts(session, [_contact(session, contact_id)])[0]
    counts = preview(given.db, given.keyring, contact_id, now=given.clock())
    return page(
        request,
        "erasure.html",
        status=422 if fault else 200,
        contact=shown,
        counts=_told(counts),
        typed={},
        fault=fault,
        field="confirm" if fault else "",
        active="contacts",
    )


def _shown(row: Erasure) -> dict[str, Any]:
    return receipt(row) | {"told": _told(row.counts)}


def _told(counts: dict[str, int]) -> list[tuple[str, int]]:
    order = [*COUNTED, *(name for name in counts if name not in COUNTED)]
    return [(COUNTED.get(name, (name, name))[counts[name] != 1], counts[name]) for name in order if counts.get(name)]


def _contact(session: Session, contact_id: int) -> Contact:
    return existing(session, Contact, contact_id, "contact")


def _row(session: Session, erasure_id: int) -> Erasure:
    return existing(session, Erasure, erasure_id, "erasure")
