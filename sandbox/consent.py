"""The pages and endpoints of Google's sign-in, over the grants of sandbox/oauth.py."""

from __future__ import annotations

import html
from typing import Any
from urllib.parse import urlencode

from sandbox.delegation import JWT_BEARER
from sandbox.oauth import READING
from sandbox.quota import Seen
from sandbox.wire import Answer, Refusal, Request, oauth_error
from sandbox.world import World

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in - pretend Google</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<body style="font:15px/1.5 system-ui;max-width:30rem;margin:3rem auto;padding:0 1rem">
<h1 style="font-size:1.3rem">Choose an account</h1><p>{client} wants access to:</p>
<form method="post">{hidden}{scopes}{accounts}
<button name="choice" value="deny">Cancel</button></form></body></html>"""
_PASSED = (
    "client_id",
    "redirect_uri",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "access_type",
    "prompt",
)


def authorise(world: World, request: Request) -> Answer:
    """GET: the consent page (or, with the knob auto_consent, straight back); POST: the choice that was made there."""
    values = {name: pieces[-1] for name, pieces in {**request.query, **request.form()}.items()}
    if not values.get("redirect_uri") or not values.get("client_id"):
        return oauth_error(400, "invalid_request", "Missing client_id or redirect_uri.")
    if values.get("response_type", "code") != "code":
        return oauth_error(400, "unsupported_response_type", "Only code is supported.")
    wanted = tuple(values.get("scope", "").split())
    if request.method == "POST":
        if values.get("choice") == "deny":
            return _back(values, {"error": "access_denied"})
        return _granted(world, values, values["choice"], tuple(request.form().get("granted", wanted)))
    if world.knobs.auto_consent:
        email = values.get("login_hint") or next(iter(world.mailboxes), "")
        return _granted(world, values, email, wanted)
    return Answer(200, _page(world, values, wanted).encode(), {"Content-Type": "text/html; charset=utf-8"})


def token(world: World, request: Request) -> Answer:
    """The token endpoint, with planned faults. The form's token is never kept in the record."""
    request.operation = "oauth.token"
    given = {name: values[-1] for name, values in request.form().items()}
    request.account = _account(world, given)
    rule = world.faults.pick(request)
    replaced = world.faults.before(rule, request) if rule else None
    try:
        answer = replaced or Answer.of(_exchanged(world, request, given))
    except Refusal as refusal:
        answer = refusal.answer
    if world.knobs.log_requests:
        fault = rule.fault if rule else ""
        world.stats.write(
            Seen(world.clock.now(), "POST", request.operation, request.account, answer.status, fault=fault)
        )
    return answer if rule is None or replaced else world.faults.after(rule, request, answer)


def _account(world: World, given: dict[str, str]) -> str:
    """Whose token it would become, as far as the form tells."""
    if given.get("grant_type") == JWT_BEARER:
        return world.delegation.wanted(given.get("assertion", ""))
    grant = world.grants.by_refresh.get(given.get("refresh_token", ""))
    code = world.grants.codes.get(given.get("code", ""))
    return grant.email if grant else (code.grant.email if code else "")


def _exchanged(world: World, request: Request, given: dict[str, str]) -> dict[str, Any]:
    if given.get("grant_type") == JWT_BEARER:
        return world.delegation.exchange(given.get("assertion", ""))
    return world.grants.exchange(request.form())


def revoke(world: World, request: Request) -> Answer:
    given = {**request.query, **request.form()}.get("token", [""])[-1]
    if not world.grants.revoke(given):
        return oauth_error(400, "invalid_token", "Token expired or revoked")
    return Answer.of({})


def certificates(world: World, *, pem: bool) -> Answer:
    signer = world.grants.signer
    return Answer.of({signer.kid: signer.certificate} if pem else {"keys": [signer.jwk()]})


def _granted(world: World, values: dict[str, str], email: str, scopes: tuple[str, ...]) -> Answer:
    if email.lower() not in world.mailboxes:
        return _back(values, {"error": "access_denied"})
    client = values["client_id"]
    offline = values.get("access_type") == "offline"
    first = not world.grants.has_granted(email.lower(), client) or "consent" in values.get("prompt", "")
    grant = world.grants.grant(email, scopes or READING, client)
    code = world.grants.authorise(
        grant,
        redirect_uri=values["redirect_uri"],
        challenge=values.get("code_challenge", ""),
        method=values.get("code_challenge_method", "plain"),
        nonce=values.get("nonce", ""),
        offline=offline and first,
    )
    return _back(values, {"code": code, "scope": " ".join(scopes)})


def _back(values: dict[str, str], given: dict[str, str]) -> Answer:
    if values.get("state"):
        given = {"state": values["state"], **given}
    mark = "&" if "?" in values["redirect_uri"] else "?"
    return Answer(302, b"", {"Location": f"{values['redirect_uri']}{mark}{urlencode(given)}"})


def _page(world: World, values: dict[str, Any], wanted: tuple[str, ...]) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(values[name], quote=True)}">'
        for name in (*_PASSED, "scope")
        if values.get(name)
    )
    scopes = "".join(
        f'<label><input type="checkbox" name="granted" value="{html.escape(one, quote=True)}" checked> '
        f"{html.escape(one.rpartition('/')[2])}</label><br>"
        for one in wanted
    )
    accounts = "".join(
        f'<p><button name="choice" value="{html.escape(email, quote=True)}">{html.escape(email)}</button></p>'
        for email in world.mailboxes
    )
    return _PAGE.format(client=html.escape(values["client_id"]), hidden=hidden, scopes=scopes, accounts=accounts)
