"""Connected accounts: how each stands in words, what to do next, and the sum that shows nothing was lost."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session, col, func, select

from models.account import (
    VISIBILITIES,
    Account,
    Source,
    disconnect_account,
    open_audits,
    request_audit,
    request_sync,
)
from models.audit import receipt
from models.bell_faults import bell_faults, queue_faults, retry_bells
from models.errors import Forbidden
from models.ledger import LedgerEntry
from models.levels import look_at_account, set_account_level
from webapp import present, timeline
from webapp.deps import Deps, Given, Me, Viewer
from webapp.grants import consent_of, withdraw
from webapp.pages import words
from webapp.pages.forms import Sent
from webapp.pages.show import done, live, page
from webapp.security import policy

router = APIRouter()
NEXT_STEP = {"reconnect": "reconnect", "blocked": "sync", "operator": "sync", "gone": "disconnect"}


@router.get("/accounts")
@policy("rep")
def accounts(request: Request, given: Given, me: Me) -> Response:
    """The viewer's accounts; an administrator sees how everybody's fare."""
    with given.db.read() as session:
        found = read_accounts(session, me, given)
        version = _version(found)
        unheard = queue_faults(session, now=given.clock()) if me.is_admin else []
    return page(
        request,
        "accounts.html",
        accounts=found,
        version=version,
        providers=list(given.consents.values()),
        levels=VISIBILITIES,
        unheard=unheard,
        active="accounts",
    )


@router.get("/accounts/news")
@policy("rep")
def news(request: Request, given: Given, me: Me) -> Response:
    """States, sums and progress as they are now; 204 when nothing moved."""
    with given.db.read() as session:
        found = read_accounts(session, me, given)
    return live(request, "_accounts_news.html", _version(found), accounts=found, levels=VISIBILITIES)


@router.post("/accounts/{account_id}/sync")
@policy("rep")
def sync(request: Request, given: Given, me: Me, account_id: int) -> Response:
    """Look at every source of it now, and try again what keeps it from being announced."""
    with given.db.write() as session:
        row = timeline.account_for(session, account_id, me)
        request_sync(session, account_id, now=given.clock())
        retry_bells(session, account_id, now=given.clock())
    return done(request, f"{row.email} is being looked at now.", to="/accounts")


@router.post("/accounts/{account_id}/audit")
@policy("rep")
def audit(request: Request, given: Given, me: Me, account_id: int) -> Response:
    """Compare what the provider holds with the ledger."""
    with given.db.write() as session:
        row = timeline.account_for(session, account_id, me)
        request_audit(session, account_id, now=given.clock())
    return done(request, f"{row.email} is being compared with the provider.", to="/accounts")


@router.get("/accounts/{account_id}/receipt")
@policy("rep")
def audit_receipt(given: Given, me: Me, account_id: int) -> Response:
    """The last audit as a file to keep."""
    now = given.clock()
    with given.db.read() as session:
        row = timeline.account_for(session, account_id, me)
        paper = receipt(session, row, now=now)
    name = f"dealtrail-audit-{row.id}-{now:%Y-%m-%d}.json"
    return JSONResponse(paper, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.post("/accounts/{account_id}/visibility")
@policy("rep")
def visibility(request: Request, given: Given, me: Me, account_id: int, form: Sent) -> Response:
    """How much colleagues see of it. Its owner alone decides."""
    level, forget = form.text("visibility"), form.ticked("remove_texts")
    with given.db.write() as session:
        row = _own(session, account_id, me)
        change = set_account_level(session, row, level, now=given.clock(), remove_texts=forget)
    gone = f" {words.plural(change.removed, 'text')} removed." if change.removed else ""
    return done(request, f"Saved. It holds from now on, also for what is logged already.{gone}", to="/accounts")


@router.get("/accounts/{account_id}/visibility")
@policy("rep")
def look_at_visibility(
    request: Request, given: Given, me: Me, account_id: int, visibility: str = "metadata"
) -> Response:
    """What a level would change, before it is changed."""
    with given.db.write() as session:
        row = _own(session, account_id, me)
        shown: dict[str, Any] = {"id": account_id, "email": row.email, "before": row.visibility, "level": visibility}
        shown["would"] = look_at_account(session, row, visibility).shown()
        session.rollback()
    return page(request, "level.html", active="accounts", look=shown, levels=VISIBILITIES)


def _own(session: Session, account_id: int, me: Viewer) -> Account:
    row = timeline.account_for(session, account_id, me)
    if row.user_id != me.id:
        raise Forbidden("Only the owner of a mailbox decides what others see of it.")
    return row


@router.post("/accounts/{account_id}/disconnection")
@policy("rep")
def disconnection(request: Request, given: Given, me: Me, account_id: int, form: Sent) -> Response:
    """Forget the grant here; with ``withdraw`` the consent ends at the provider too. What was logged stays."""
    with given.db.write() as session:
        row = timeline.account_for(session, account_id, me)
        consent = consent_of(given.keyring, row, asked_by=me.id) if form.ticked("withdraw") else None
        disconnect_account(session, row, now=given.clock())
    text = f"{row.email} is disconnected. What was logged stays on the deals."
    if consent is not None:
        text = f"{text} {withdraw(given.consents[row.provider], consent)}"
    return done(request, text, to="/accounts")


def read_accounts(session: Session, me: Viewer, given: Deps) -> list[dict[str, Any]]:
    """Accounts as people see them: health, sum, sources, and the one step that helps."""
    rows = timeline.visible_accounts(session, me)
    return [_account(session, row, me, given) for row in sorted(rows, key=lambda row: row.user_id != me.id)]


def _account(session: Session, row: Account, me: Viewer, given: Deps) -> dict[str, Any]:
    shown = present.account(session, row, now=given.clock())
    delegated = row.key_id is not None
    step = NEXT_STEP.get(shown["state"], "reconnect" if row.missing and not delegated else "sync")
    provider = given.consents.get(row.provider)
    return shown | {
        "mine": row.user_id == me.id,
        "delegated": delegated,
        "ledger": present.ledger(session, row),
        "step": step,
        "provider_label": provider.label if provider else row.provider,
        "own_hands": provider.own_hands if provider else "",
        "can_connect": bool(provider and provider.ready),
        "bells": [asdict(fault) for fault in bell_faults(session, row)],
        "progress": _progress(session, row) if shown["walks"] else None,
        "audit": _audit(session, row),
    }


def _audit(session: Session, row: Account) -> dict[str, Any]:
    """What the last audit found, over all sources, and whether one is under way."""
    sources = session.exec(select(Source).where(Source.account_id == row.id, Source.kind != "directory")).all()
    return {
        "found": sum(int(source.facts.get("found", 0)) for source in sources),
        "vanished": sum(int(source.facts.get("vanished", 0)) for source in sources),
        "under_way": session.exec(open_audits(source.id for source in sources)).first() is not None,
    }


def _progress(session: Session, row: Account) -> dict[str, int] | None:
    """How many mails of how many are settled; None while nobody knows how many there are."""
    sources = session.exec(select(Source).where(Source.account_id == row.id, Source.kind == "mail")).all()
    estimate = sum(source.estimate or 0 for source in sources)
    settled = session.exec(
        select(func.count())
        .select_from(LedgerEntry)
        .where(
            col(LedgerEntry.source_id).in_([source.id for source in sources]),
            col(LedgerEntry.outcome).not_in(("unopened", "owed")),
        )
    ).one()
    return {"seen": min(settled, estimate), "estimate": estimate} if estimate else None


def _version(found: list[dict[str, Any]]) -> str:
    """Changes with all that is shown; of the lag only with its minute. The same in every process."""
    restless = ("lag_seconds", "synced_at", "seen", "ledger", "mine")
    parts = [
        {
            **{name: value for name, value in one.items() if name not in restless},
            "sum": {name: value for name, value in one["ledger"].items() if name not in ("sources", "by_kind")},
            "minutes": int((one["lag_seconds"] or 0) // 60),
        }
        for one in found
    ]
    return sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:16]
