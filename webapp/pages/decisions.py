"""What people decide in review, each with its undo on the same address."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session

from models.deal import Deal
from models.errors import Invalid
from models.existing import existing
from models.linking import choose_deal, choose_none, undo_choice
from models.pipeline import Stage
from models.suggestion import Suggestion, accept, dismiss, get_suggestion, undo_acceptance, undo_dismissal
from webapp import timeline
from webapp.deps import Deps, Given, Me, Viewer
from webapp.pages.forms import Fields, Sent
from webapp.pages.queue import Queue, conversation_of, put_off, read_queue
from webapp.pages.show import done
from webapp.security import policy

router = APIRouter()


@router.post("/suggestions/{suggestion_id}/acceptance")
@policy("rep")
def acceptance(request: Request, given: Given, me: Me, suggestion_id: int, form: Sent) -> Response:
    """Move the deal as suggested, or to another ``stage_id``; Lost wants a ``reason``."""
    following = _queue(request, given, me).after(f"s{suggestion_id}")
    with given.db.write() as session:
        row = get_suggestion(session, suggestion_id)
        other = _stage(session, form)
        target = other or session.get(Stage, row.to_stage_id)
        reason = form.text("reason")
        if target is not None and target.meaning == "lost" and not reason:
            raise Invalid("Say in a few words why it was lost.", "reason")
        deal = accept(
            session,
            row,
            actor_id=me.id,
            now=given.clock(),
            stage=other,
            reason=reason,
            amount_minor=form.hundredths("amount"),
            wake_on=form.day("wake_on"),
        )
        text = f"{deal.name} is now in {target.name if target else ''}."
    return _decided(request, text, f"/suggestions/{suggestion_id}/acceptance", following)


@router.delete("/suggestions/{suggestion_id}/acceptance")
@policy("rep")
def acceptance_undone(request: Request, given: Given, me: Me, suggestion_id: int) -> Response:
    """The deal goes back and the suggestion is open again."""
    with given.db.write() as session:
        deal = undo_acceptance(session, get_suggestion(session, suggestion_id), actor_id=me.id, now=given.clock())
    return _undone(request, f"Taken back: {deal.name} is where it was.", f"s{suggestion_id}")


@router.post("/suggestions/{suggestion_id}/dismissal")
@policy("rep")
def dismissal(request: Request, given: Given, me: Me, suggestion_id: int, form: Sent) -> Response:
    """No; the same evidence is not brought up again."""
    following = _queue(request, given, me).after(f"s{suggestion_id}")
    with given.db.write() as session:
        row = get_suggestion(session, suggestion_id)
        dismiss(session, row, actor_id=me.id, now=given.clock(), why=form.text("why", 200))
        name = _name(session, row)
    return _decided(request, f"Dismissed for {name}.", f"/suggestions/{suggestion_id}/dismissal", following)


@router.delete("/suggestions/{suggestion_id}/dismissal")
@policy("rep")
def dismissal_undone(request: Request, given: Given, suggestion_id: int) -> Response:
    """The suggestion is open again."""
    with given.db.write() as session:
        undo_dismissal(session, get_suggestion(session, suggestion_id))
    return _undone(request, "Taken back: it waits for a decision again.", f"s{suggestion_id}")


@router.post("/held/{held_id}/choice")
@policy("rep")
def choice(request: Request, given: Given, me: Me, held_id: int, form: Sent) -> Response:
    """The deal that a conversation belongs to: its ``deal_id``, or ``none``."""
    following = _queue(request, given, me).after(f"h{held_id}")
    wanted, now = form.text("deal_id", 20), given.clock()
    with given.db.write() as session:
        row = timeline.held_for(session, held_id, me)
        if wanted == "none":
            for one in conversation_of(session, row):
                choose_none(session, one, user_id=me.id, now=now)
            text = "On no deal; it stays with the contact."
        else:
            if not wanted.isdigit():
                raise Invalid("Choose one of the deals.", "deal_id")
            choose_deal(session, row, int(wanted), user_id=me.id, now=now)
            deal = session.get(Deal, int(wanted))
            text = f"Logged on {deal.name if deal else 'the deal'}; this conversation is remembered."
    return _decided(request, text, f"/held/{held_id}/choice", following)


@router.delete("/held/{held_id}/choice")
@policy("rep")
def choice_undone(request: Request, given: Given, me: Me, held_id: int) -> Response:
    """Held again, with what was decided together with it."""
    with given.db.write() as session:
        row = timeline.held_for(session, held_id, me)
        together = conversation_of(session, row)
        undo_choice(session, row, now=given.clock())
        for one in together:
            if one.state != "open":
                undo_choice(session, one, now=given.clock())
    return _undone(request, "Taken back: it is held again.", f"h{held_id}")


def _queue(request: Request, given: Deps, me: Viewer) -> Queue:
    with given.db.read() as session:
        return read_queue(session, me, put_off(request))


def _stage(session: Session, form: Fields) -> Stage | None:
    key = form.number("stage_id")
    return None if key is None else existing(session, Stage, key, "stage")


def _name(session: Session, row: Suggestion) -> str:
    deal = session.get(Deal, row.deal_id)
    return deal.name if deal else "the deal"


def _decided(request: Request, text: str, path: str, following: str) -> Response:
    to = f"/?item={following}" if following else "/"
    return done(request, text, to=to, undo=("DELETE", path), item=following)


def _undone(request: Request, text: str, key: str) -> Response:
    return done(request, text, to=f"/?item={key}", item=key)
