"""One mail or meeting: its text as far as the viewer may read it, and which deal it stands on."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session

from models.deal import Deal
from models.errors import Forbidden, Invalid, NotFound
from models.existing import existing
from models.interaction import Interaction, Thread
from models.levels import own_in_thread, set_row_level, set_thread_level
from models.linking import owner_of_copy, put_on_deal, relink, unlink
from models.privacy import sights
from webapp import present
from webapp.deps import Given, Me, Viewer
from webapp.pages.case import open_deals
from webapp.pages.forms import Sent
from webapp.pages.show import done, page
from webapp.pages.words import plural
from webapp.security import policy

router = APIRouter()


@router.get("/interactions/{interaction_id}")
@policy("rep")
def whole(
    request: Request, given: Given, me: Me, interaction_id: int, start: int = -1, end: int = -1, part: str = ""
) -> Response:
    """The text, with ``start`` to ``end`` of the new part marked; ``part``: for showing it inside another page."""
    with given.db.read() as session:
        row = _visible(session, interaction_id, me)
        item = present.interactions(session, [row], me, whole=True)[0]
        deals = present.by_id(session, Deal, [link["deal_id"] for link in item["links"]])
        elsewhere = open_deals(session)
        own = me.id in owner_of_copy(session, interaction_id)
        thread = session.get(Thread, row.thread_id) if own and row.thread_id else None
        related = len(own_in_thread(session, thread.id or 0, me.id)) if thread else 0
    context = {"item": item, "pieces": _pieces(item, start, end), "deals": deals, "elsewhere": elsewhere}
    context |= {"own": own, "level": row.visibility, "thread": thread, "related": related}
    return page(request, "_text.html" if part else "interaction.html", active="", **context)


@router.post("/deals/{deal_id}/interactions/{interaction_id}")
@policy("rep")
def put_back(request: Request, given: Given, me: Me, deal_id: int, interaction_id: int) -> Response:
    """It belongs to this deal (too)."""
    with given.db.write() as session:
        row = _visible(session, interaction_id, me)
        deal = _deal(session, deal_id)
        put_on_deal(session, row, deal, rule="person", user_id=me.id, now=given.clock())
    return done(request, f"It is on {deal.name}.", to=f"/deals/{deal_id}")


@router.delete("/deals/{deal_id}/interactions/{interaction_id}")
@policy("rep")
def take_off(request: Request, given: Given, me: Me, deal_id: int, interaction_id: int) -> Response:
    """It does not belong to this deal, and does not come back by itself."""
    with given.db.write() as session:
        unlink(session, _visible(session, interaction_id, me), deal_id, now=given.clock())
    path = f"/deals/{deal_id}/interactions/{interaction_id}"
    return done(
        request, "Taken off this deal; it will not come back by itself.", to=f"/deals/{deal_id}", undo=("POST", path)
    )


@router.post("/interactions/{interaction_id}/deal")
@policy("rep")
def move_over(
    request: Request, given: Given, me: Me, interaction_id: int, form: Sent, deal: int | None = None, back: int = 0
) -> Response:
    """It belongs to another deal (``deal_id``); its conversation is remembered there. ``back``: where it stood."""
    wanted = deal or form.number("deal_id")
    if wanted is None:
        raise Invalid("Choose a deal.", "deal_id")
    with given.db.write() as session:
        relink(session, _visible(session, interaction_id, me), wanted, user_id=me.id, now=given.clock())
        target = _deal(session, wanted)
    undo = ("POST", f"/interactions/{interaction_id}/deal?deal={back}") if back else None
    text = f"Moved to {target.name}; its conversation follows."
    return done(request, text, to=f"/deals/{back or wanted}", undo=undo)


@router.post("/interactions/{interaction_id}/visibility")
@policy("rep")
def narrow(request: Request, given: Given, me: Me, interaction_id: int, form: Sent) -> Response:
    """What others see of it, or (``whole``) of its conversation with what is yet to come. Only whose mailbox holds it may."""
    level = form.text("visibility")
    with given.db.write() as session:
        row = _visible(session, interaction_id, me)
        if me.id not in owner_of_copy(session, interaction_id):
            raise Forbidden("Only those in whose mailbox it lies decide what others see of it.")
        whole = form.ticked("whole") and row.thread_id is not None
        change = (
            set_thread_level(session, row.thread_id or 0, level, user_id=me.id)
            if whole
            else set_row_level(session, row, level)
        )
    text = f"Saved for {plural(change.concerned, 'mail')}" + (", and for what is yet to come." if whole else ".")
    return done(request, text, to=f"/interactions/{interaction_id}")


def _visible(session: Session, interaction_id: int, me: Viewer) -> Interaction:
    row = session.get(Interaction, interaction_id)
    if row is None or not sights(session, [row], me.id)[interaction_id].any:
        raise NotFound("There is no such mail or meeting.")
    return row


def _deal(session: Session, deal_id: int) -> Deal:
    return existing(session, Deal, deal_id, "deal")


def _pieces(item: dict[str, Any], start: int, end: int) -> dict[str, str] | None:
    """What the sender wrote, cut at a quote; ``rest`` is what stands below it."""
    new, text = item.get("new_text"), item.get("text") or ""
    if new is None:
        return None
    if not 0 <= start < end <= len(new):
        start = end = len(new)
    place = text.find(new[:200]) if new else -1
    rest = text[place + len(new) :].strip() if place >= 0 and text[place : place + len(new)] == new else ""
    return {"before": new[:start], "mark": new[start:end], "after": new[end:], "rest": rest}
