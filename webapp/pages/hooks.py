"""Webhooks: where events go, and every attempt readable."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import col, func, select

from models.errors import Invalid
from models.event import KINDS, Event
from models.existing import existing
from models.user import User
from models.webhook import Delivery, Webhook, add_webhook, pause_webhook, redeliver, remove_webhook, resume_webhook
from webapp import present
from webapp.deps import Given, Me, Viewer
from webapp.feed import readable
from webapp.pages.forms import Sent
from webapp.pages.show import done, page
from webapp.security import policy
from webapp.timeline import hook_for

router = APIRouter()
PAGE = 50


@router.get("/webhooks")
@policy("rep")
def webhooks(request: Request, given: Given, me: Me) -> Response:
    """The viewer's own; an administrator sees all."""
    return _list(request, given, me)


@router.post("/webhooks")
@policy("rep")
def subscribe(request: Request, given: Given, me: Me, form: Sent) -> Response:
    """A new one; its signing secret is shown on the answer, once."""
    target, event = form.text("target_url", 2_000), form.text("event") or "*"
    try:
        given.check_url(target)
        with given.db.write() as session:
            hook, secret = add_webhook(
                session, given.keyring, user_id=me.id, target_url=target, event=event, now=given.clock()
            )
    except (Invalid, ValueError) as error:
        return _list(
            request, given, me, typed=form.as_typed(), fault=str(error), field=getattr(error, "field", "target_url")
        )
    return _list(request, given, me, secret=secret, fresh=hook.id or 0)


@router.get("/webhooks/{hook_id}")
@policy("rep")
def webhook(request: Request, given: Given, me: Me, hook_id: int, state: str = "", after: int = 0) -> Response:
    """One webhook with its deliveries, newest first, and every attempt."""
    with given.db.read() as session:
        row = hook_for(session, hook_id, me)
        statement = select(Delivery).where(Delivery.webhook_id == hook_id).order_by(col(Delivery.id).desc())
        if state:
            statement = statement.where(Delivery.state == state)
        if after:
            statement = statement.where(col(Delivery.id) < after)
        rows = list(session.exec(statement.limit(PAGE + 1)).all())
        shown = present.deliveries(session, rows[:PAGE], attempts=True)
        mine = row.user_id == me.id
        events = present.by_id(session, Event, [delivery.event_id for delivery in rows] if mine else [])
        visible = [event for event in events.values() if event.user_id in (None, me.id)]
        told = {event["id"]: event for event in readable(session, visible, me)}
        for item in shown:
            found = told.get(str(item["event_id"]))
            item["body"] = json.dumps(found, indent=2, ensure_ascii=False) if found else ""
        counts = dict(
            session.exec(
                select(Delivery.state, func.count()).where(Delivery.webhook_id == hook_id).group_by(Delivery.state)
            ).all()
        )
    return page(
        request,
        "webhook.html",
        hook=present.hook(row),
        mine=mine,
        deliveries=shown,
        counts=counts,
        state=state,
        after=rows[PAGE - 1].id if len(rows) > PAGE else 0,
        active="webhooks",
    )


@router.post("/webhooks/{hook_id}/pause")
@policy("rep")
def pause(request: Request, given: Given, me: Me, hook_id: int) -> Response:
    """Send nothing for now; what happens meanwhile waits."""
    with given.db.write() as session:
        pause_webhook(session, hook_for(session, hook_id, me), now=given.clock(), reason="Paused by hand.")
    undo = ("DELETE", f"/webhooks/{hook_id}/pause")
    return done(request, "Paused. What happens meanwhile waits.", to=f"/webhooks/{hook_id}", undo=undo)


@router.delete("/webhooks/{hook_id}/pause")
@policy("rep")
def resume(request: Request, given: Given, me: Me, hook_id: int) -> Response:
    """Send again, beginning with what waited."""
    with given.db.write() as session:
        resume_webhook(session, hook_for(session, hook_id, me))
    return done(request, "Resumed; what waited is sent now.", to=f"/webhooks/{hook_id}")


@router.post("/deliveries/{delivery_id}/redelivery")
@policy("rep")
def redelivery(request: Request, given: Given, me: Me, delivery_id: int) -> Response:
    """The same event once more, under the same id."""
    with given.db.write() as session:
        row = existing(session, Delivery, delivery_id, "delivery")
        hook_for(session, row.webhook_id, me)
        redeliver(session, delivery_id, now=given.clock())
    return done(request, "It is sent again now.", to=f"/webhooks/{row.webhook_id}")


@router.post("/webhooks/{hook_id}/removal")
@policy("rep")
def removal(request: Request, given: Given, me: Me, hook_id: int) -> Response:
    """End the subscription."""
    with given.db.write() as session:
        remove_webhook(session, hook_for(session, hook_id, me), now=given.clock())
    return done(request, "Removed; nothing is sent to it any more.", to="/webhooks")


def _list(
    request: Request,
    given: Any,
    me: Viewer,
    *,
    typed: dict[str, str] | None = None,
    fault: str = "",
    field: str = "",
    secret: str = "",
    fresh: int = 0,
) -> Response:
    with given.db.read() as session:
        statement = select(Webhook).where(col(Webhook.deleted_at).is_(None)).order_by(col(Webhook.id).desc())
        if not me.is_admin:
            statement = statement.where(Webhook.user_id == me.id)
        rows = list(session.exec(statement).all())
        owners = present.by_id(session, User, [row.user_id for row in rows])
        counts: dict[int, dict[str, int]] = {}
        for hook_id, state, number in session.exec(
            select(Delivery.webhook_id, Delivery.state, func.count())
            .where(col(Delivery.webhook_id).in_([row.id for row in rows]))
            .group_by(col(Delivery.webhook_id), col(Delivery.state))
        ).all():
            counts.setdefault(hook_id, {})[state] = number
        hooks = [
            present.hook(row) | {"owner": owners[row.user_id].name, "counts": counts.get(row.id or 0, {})}
            for row in rows
        ]
    return page(
        request,
        "webhooks.html",
        status=422 if fault else 200,
        hooks=hooks,
        kinds=KINDS,
        typed=typed or {},
        fault=fault,
        field=field,
        secret=secret,
        fresh=fresh,
        active="webhooks",
    )
