"""What was sent to webhooks, every try, and sending it once more."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from sqlmodel import Session, col, select

from models.errors import NotFound
from models.event import Event
from models.webhook import Delivery, Webhook, redeliver
from webapp import present
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Asked, Id
from webapp.deps import Given, Me, Viewer
from webapp.feed import for_viewer
from webapp.security import policy

router = api_router("deliveries")


class DeliveryFilter(Asked):
    """``hook``: of one webhook; ``state``: only these."""

    hook: Id | None = None
    state: Literal["pending", "delivered", "failed", "dropped"] | None = None


@router.get("")
@policy("rep")
def list_deliveries(deps: Given, me: Me, asked: Annotated[DeliveryFilter, Query()]) -> dict[str, Any]:
    """Deliveries to the caller's webhooks (to all, for an administrator), newest first."""
    statement = _visible(me)
    if asked.hook is not None:
        statement = statement.where(Delivery.webhook_id == asked.hook)
    if asked.state is not None:
        statement = statement.where(Delivery.state == asked.state)
    with deps.db.read() as session:
        rows, after = page(session, statement, asked, col(Delivery.id), newest_first=True)
        return {"items": present.deliveries(session, rows), "next": after}


@router.get("/{delivery_id}")
@policy("rep")
def read_delivery(deps: Given, me: Me, delivery_id: Id) -> dict[str, Any]:
    """One delivery with every try: when, the answer, how long it took."""
    with deps.db.read() as session:
        return _shape(session, _delivery(session, delivery_id, me))


@router.post("/{delivery_id}/redelivery", status_code=202)
@policy("rep")
def send_again(deps: Given, me: Me, delivery_id: Id) -> dict[str, Any]:
    """Send the same event once more, under the same id."""
    with deps.db.write() as session:
        row = _delivery(session, delivery_id, me)
        redeliver(session, delivery_id, now=deps.clock())
        session.flush()
        return _shape(session, row)


def _visible(me: Viewer) -> Any:
    statement = (
        select(Delivery)
        .join(Webhook, col(Webhook.id) == Delivery.webhook_id)
        .join(Event, col(Event.id) == Delivery.event_id)
        .where(for_viewer(me))
    )
    return statement if me.is_admin else statement.where(Webhook.user_id == me.id)


def _delivery(session: Session, delivery_id: int, me: Viewer) -> Delivery:
    row = session.exec(_visible(me).where(Delivery.id == delivery_id)).first()
    if row is None:
        raise NotFound("There is no such delivery.")
    return row


def _shape(session: Session, row: Delivery) -> dict[str, Any]:
    return present.deliveries(session, [row], attempts=True)[0]
