"""Connecting an account: off to the provider's consent page and back, bound to this browser's session."""

from __future__ import annotations

import hmac
import json
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from connectors.errors import ConnectorError
from models.errors import Forbidden, Invalid, NotFound
from models.user import WebSession, hash_token
from webapp import timeline
from webapp.deps import Deps, Given, Me, Provider
from webapp.grants import keep_grant
from webapp.pages.forms import Sent
from webapp.pages.show import go
from webapp.security import COOKIE, policy

router = APIRouter()
CONSENT_LASTS = timedelta(minutes=30)
LATE = (
    "This sign-in was left open for more than half an hour. Nothing was connected; please start it again from Accounts."
)
STALE = "This sign-in does not belong to this browser, or it was used before. Please start it again from Accounts."


@router.post("/connect/{provider}")
@policy("rep")
def connect(request: Request, given: Given, me: Me, provider: str, form: Sent) -> Response:
    """To the consent page; ``account_id`` reconnects that account and refuses another mailbox."""
    chosen = _provider(given, provider)
    account_id, hint, before = form.number("account_id"), me.email, dict[str, Any]()
    if account_id is not None:
        with given.db.read() as session:
            account = timeline.account_for(session, account_id, me)
        if account.user_id != me.id:
            raise Forbidden("Only the owner of a mailbox can reconnect it.")
        hint = account.email
        before = given.keyring.open_json(account.sealed_grant) if account.sealed_grant else {}
    address, state, blob = chosen.begin(_callback(given, provider), hint, before)
    with given.db.write() as session:
        row = session.get(WebSession, hash_token(request.cookies.get(COOKIE, "")))
        if row is None:
            raise Forbidden(STALE)
        kept = {"provider": provider, "state": state, "blob": blob, "account_id": account_id}
        row.consent = json.dumps(kept | {"at": given.clock().isoformat()})
        session.add(row)
    return RedirectResponse(address, 303)


@router.get("/connect/{provider}/callback")
@policy("rep")
def callback(request: Request, given: Given, me: Me, provider: str) -> Response:
    """Back from the consent page. What was kept is used once, whatever comes of it."""
    chosen, kept = _provider(given, provider), _kept(request, given)
    params = dict(request.query_params)
    same = hmac.compare_digest(params.get("state", "").encode(), str(kept.get("state", "")).encode())
    if kept.get("provider") != provider or not kept.get("state") or not same:
        raise Forbidden(STALE)
    if datetime.fromisoformat(kept["at"]) < given.clock() - CONSENT_LASTS:
        raise Forbidden(LATE)
    try:
        granted = chosen.finish(str(kept["blob"]), params, _callback(given, provider))
    except ConnectorError as error:
        return go("/accounts", {"text": error.sentence, "undo": None, "bad": True})
    with given.db.write() as session:
        account = keep_grant(
            session,
            given.keyring,
            granted,
            user_id=me.id,
            now=given.clock(),
            expected_account_id=kept.get("account_id"),
        )
    text = f"{account.email} is connected; the first sync has begun."
    return go("/accounts", " ".join([text, *account.missing]))


def _provider(given: Deps, name: str) -> Provider:
    chosen = given.consents.get(name)
    if chosen is None:
        raise NotFound(f"Accounts of {name!r} cannot be connected.")
    if not chosen.ready:
        raise Invalid(f"{chosen.label} is not set up on this server. {chosen.why_not}")
    return chosen


def _callback(given: Deps, provider: str) -> str:
    return f"{given.base_url}/connect/{provider}/callback"


def _kept(request: Request, given: Deps) -> dict[str, Any]:
    with given.db.write() as session:
        row = session.get(WebSession, hash_token(request.cookies.get(COOKIE, "")))
        if row is None or not row.consent:
            return {}
        kept, row.consent = json.loads(row.consent), ""
        session.add(row)
    return kept
