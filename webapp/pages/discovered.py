"""People to take into the address book: found in the viewer's own mailboxes, shown to nobody else."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from models.discovery import offers
from models.errors import Invalid
from models.offering import Decided, decide, undo
from webapp import timeline
from webapp.deps import Deps, Given, Me, Viewer
from webapp.offers import reading, shapes
from webapp.pages.forms import Fields, Sent
from webapp.pages.show import done, live, page
from webapp.pages.words import plural
from webapp.security import policy

router = APIRouter()
MOST = 200
"""People on the page; the rest moves up when these are decided."""


@router.get("/discovered")
@policy("rep")
def discovered(request: Request, given: Given, me: Me) -> Response:
    """Who was found, those who answered first."""
    found = _read(given, me)
    return page(request, "discovered.html", **found, active="contacts")


@router.get("/discovered/news")
@policy("rep")
def news(request: Request, given: Given, me: Me) -> Response:
    """Who is found by now; 204 when nothing changed."""
    found = _read(given, me)
    return live(request, "_discovered_news.html", found.pop("version"), **found)


@router.post("/discovered/decisions")
@policy("rep")
def decision(request: Request, given: Given, me: Me, form: Sent) -> Response:
    """Decide about those who are ticked, or about the one whose button it was (``contact:12``)."""
    wanted, ids = _wanted(form)
    with given.db.write() as session:
        made = decide(session, given.keyring, ids, wanted, user_id=me.id, now=given.clock())
        name = shapes(session, made.rows)[0]["name"]
    return done(request, _told(made, name), to="/discovered", undo=("DELETE", f"/discovered/decisions/{made.batch}"))


@router.delete("/discovered/decisions/{batch}")
@policy("rep")
def decision_undone(request: Request, given: Given, me: Me, batch: str) -> Response:
    """They are offered again, and what was made of them goes."""
    with given.db.write() as session:
        rows = undo(session, given.keyring, batch, user_id=me.id, now=given.clock())
        name = shapes(session, rows)[0]["name"]
    return done(request, f"Taken back: {_who(len(rows), name)} offered again.", to="/discovered")


def _read(given: Deps, me: Viewer) -> dict[str, Any]:
    with given.db.read() as session:
        rows = offers(session, me.id, now=given.clock())
        shown = shapes(session, rows[:MOST])
        still = reading(session, me)
        accounts = len([row for row in timeline.visible_accounts(session, me) if row.user_id == me.id])
    told = repr([(one["id"], one["name"], one["inbound"], one["outbound"], one["company"]) for one in shown])
    version = sha256(f"{told}{len(rows)}{still}{accounts}".encode()).hexdigest()[:16]
    return {"people": shown, "total": len(rows), "still": still, "accounts": accounts, "version": version}


def _wanted(form: Fields) -> tuple[str, list[int]]:
    wanted, _, one = form.text("decision", 40).partition(":")
    ids = [one] if one else form.texts("ids")
    if not all(key.isascii() and key.isdigit() and len(key) < 10 for key in ids):
        raise Invalid("Choose people from the list.", "ids")
    return wanted, [int(key) for key in ids]


def _told(made: Decided, name: str) -> str:
    count = len(made.rows)
    if made.decision == "ignore":
        return f"{_who(count, name)} not offered for now."
    if made.decision == "never":
        return f"{_who(count, name)} never offered again; within the hour nothing but a keyed hash is left."
    what = f" with {plural(len(made.deals), 'deal')}" if made.deals else ""
    return f"{_who(count, name, 'is', 'are')} in the address book{what}. Their earlier mail is being fetched."


def _who(count: int, name: str, one: str = "is", many: str = "are") -> str:
    return f"{name} {one}" if count == 1 else f"{count} people {many}"
