"""Webhooks as REST hooks: subscribe, look at samples, mend, replay, unsubscribe."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import MaxLen
from fastapi import Query
from pydantic import StrictBool, StrictFloat, StrictInt, StrictStr
from sqlmodel import col, select

from models.errors import Invalid, NotFound
from models.event import KINDS, Event
from models.replay import position_of, replay
from models.webhook import Webhook, add_webhook, remove_webhook, resume_webhook
from webapp import present
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Asked, Body, Id, Line
from webapp.api.samples import sample
from webapp.deps import Deps, Given, Me
from webapp.feed import for_viewer, readable
from webapp.security import policy
from webapp.timeline import hook_for

router = api_router("hooks")
Value = StrictStr | StrictBool | StrictInt | StrictFloat | None
Target = Annotated[str, MaxLen(2_000)]
Name = Annotated[str, MaxLen(100)]
SAMPLES = 3


class NewHook(Body):
    """A subscription. ``event``: one kind, or ``*``; ``filter``: fields of the data (dots lead into objects) and the value,
    or one of the values, that each must have."""

    target_url: Target
    event: Line
    filter: Annotated[dict[Name, Value | Annotated[list[Value], MaxLen(50)]], MaxLen(20)] | None = None


class Replay(Body):
    """Which part of the feed: after one event (id or position) up to and with another. ``only_missing``: what never
    arrived."""

    after: Line
    until: Line | None = None
    only_missing: bool = False


@router.post("", status_code=201)
@policy("rep")
def subscribe(deps: Given, me: Me, body: NewHook) -> dict[str, Any]:
    """Subscribe a URL; ``secret`` signs what arrives there and is shown this once."""
    _check(deps, body.target_url)
    with deps.db.write() as session:
        row, secret = add_webhook(
            session,
            deps.keyring,
            user_id=me.id,
            target_url=body.target_url,
            event=body.event,
            filter=body.filter,
            now=deps.clock(),
        )
        return present.hook(row) | {"secret": secret}


@router.get("")
@policy("rep")
def list_hooks(deps: Given, me: Me, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """The caller's webhooks; an administrator sees everybody's."""
    statement = select(Webhook).where(col(Webhook.deleted_at).is_(None))
    if not me.is_admin:
        statement = statement.where(Webhook.user_id == me.id)
    with deps.db.read() as session:
        rows, after = page(session, statement, asked, col(Webhook.id))
        return {"items": [present.hook(row) for row in rows], "next": after}


@router.get("/samples/{event}")
@policy("rep")
def samples(deps: Given, me: Me, event: str) -> dict[str, Any]:
    """The newest events of a kind, newest first, in the shape in which a webhook gets them; an invented one when there is
    none that the caller may see."""
    if event not in KINDS:
        raise NotFound(f"There is no event {event!r}. Known: {', '.join(KINDS)}.")
    statement = select(Event).where(Event.kind == event, for_viewer(me)).order_by(col(Event.id).desc()).limit(50)
    with deps.db.read() as session:
        shown = readable(session, session.exec(statement).all(), me)[:SAMPLES]
        return {"items": shown or [sample(event, deps.clock())], "next": None}


@router.get("/{hook_id}")
@policy("rep")
def read_hook(deps: Given, me: Me, hook_id: Id) -> dict[str, Any]:
    """One webhook, without its secret."""
    with deps.db.read() as session:
        return present.hook(hook_for(session, hook_id, me))


@router.delete("/{hook_id}", status_code=204)
@policy("rep")
def unsubscribe(deps: Given, me: Me, hook_id: Id) -> None:
    """End a subscription; what was on its way is dropped."""
    with deps.db.write() as session:
        remove_webhook(session, hook_for(session, hook_id, me), now=deps.clock())


@router.post("/{hook_id}/resume")
@policy("rep")
def resume(deps: Given, me: Me, hook_id: Id) -> dict[str, Any]:
    """Take a pause off; what was kept meanwhile goes out."""
    with deps.db.write() as session:
        row = hook_for(session, hook_id, me)
        resume_webhook(session, row)
        return present.hook(row)


@router.post("/{hook_id}/replay", status_code=202)
@policy("rep")
def send_again(deps: Given, me: Me, hook_id: Id, body: Replay) -> dict[str, Any]:
    """Send a part of the feed again, under the same event ids. ``next`` is where to go on when there is more."""
    with deps.db.write() as session:
        row = hook_for(session, hook_id, me)
        planned, more = replay(
            session,
            row,
            after=position_of(session, body.after),
            until=position_of(session, body.until) if body.until is not None else None,
            only_missing=body.only_missing,
            now=deps.clock(),
        )
        return {"planned": planned, "next": str(more) if more is not None else None}


def _check(deps: Deps, url: str) -> None:
    try:
        deps.check_url(url)
    except ValueError as error:
        raise Invalid(str(error), "target_url") from error
