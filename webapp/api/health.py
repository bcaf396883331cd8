"""How the house stands, computed from what is owed: for everybody in numbers, for those who are signed in by account."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from sqlmodel import Session, col, func, select

from models.account import Account
from models.health import account_health
from models.webhook import Delivery, Webhook
from webapp import present, timeline
from webapp.api.idempotency import api_router
from webapp.deps import Deps, Given, Viewer
from webapp.security import policy

router = api_router("health")
WELL = ("ok", "syncing", "throttled")


@router.get("")
@policy("public")
def read_health(request: Request, deps: Given) -> dict[str, Any]:
    """``status``: ok, or degraded when something is owed or waits for a person."""
    viewer: Viewer | None = request.state.viewer
    with deps.db.read() as session:
        answer = _numbers(deps, session)
        if viewer is not None:
            mine = timeline.visible_accounts(session, viewer)
            answer["accounts"] = [present.account(session, row, now=deps.clock()) for row in mine]
        return answer


def _numbers(deps: Deps, session: Session) -> dict[str, Any]:
    rows = session.exec(select(Account).where(col(Account.disconnected_at).is_(None))).all()
    healths = [account_health(session, row, now=deps.clock()) for row in rows]
    needing = sum(health.state not in WELL for health in healths)
    paused = select(func.count()).where(col(Webhook.paused_at).is_not(None), col(Webhook.deleted_at).is_(None))
    stopped = session.exec(paused).one()
    lags = [health.lag_seconds for health in healths if health.lag_seconds is not None]
    return {
        "status": "degraded" if needing or stopped else "ok",
        "version": deps.version,
        "counts": {
            "accounts": len(rows),
            "accounts_in_need": needing,
            "owed": sum(health.owed for health in healths),
            "unreadable": sum(health.unreadable for health in healths),
            "deliveries_pending": session.exec(select(func.count()).where(Delivery.state == "pending")).one(),
            "hooks_paused": stopped,
        },
        "lag_seconds": max(lags, default=None),
    }
