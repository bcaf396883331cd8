"""Entra's pages and endpoints: discovery with Microsoft's own host names, authorize, token, keys, admin consent.

Clients know these addresses as https://login.microsoftonline.com/...; what they send is mapped to the sandbox's socket by the
client (msal's injected http_client) or, for the browser, by whoever redirects it.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sandbox.microsoft.entra import OPENID, READING, ROLES, SHARED_TENANTS, client_info
from sandbox.microsoft.forms import JSON, LOGIN, LOGIN_HOST, dumped, guid, tenant_of
from sandbox.microsoft.refusals import AADSTS
from sandbox.quota import Seen
from sandbox.wire import Answer, Refusal, Request

if TYPE_CHECKING:
    from sandbox.world import World

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in - pretend Microsoft</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<body style="font:15px/1.5 system-ui;max-width:30rem;margin:3rem auto;padding:0 1rem">
<h1 style="font-size:1.3rem">{title}</h1><p>{client} wants permission to:</p>
<form method="post">{hidden}{scopes}{choices}
<button name="choice" value="deny">Cancel</button></form></body></html>"""
_PASSED = (
    "client_id",
    "redirect_uri",
    "state",
    "nonce",
    "code_challenge",
    "client_info",
    "response_mode",
    "scope",
    "claims",
)


def signin(world: World, request: Request) -> Answer:
    """Any request below /entra. Raises Refusal."""
    tenant, _, rest = request.path.removeprefix(LOGIN).strip("/").partition("/")
    tenant = tenant.lower() if tenant.lower() in SHARED_TENANTS or _is_guid(tenant) else tenant_of(tenant)
    verb = _VERBS.get((request.method, rest))
    if verb is None:
        return Answer(404, b"", {"Content-Type": "text/html; charset=utf-8"})
    request.operation, run = verb
    form = {name: values[-1] for name, values in request.form().items()} if request.method == "POST" else {}
    given = {name: values[-1] for name, values in request.query.items()} | form
    request.account = _account(world, given)
    rule = world.faults.pick(request)
    replaced = world.faults.before(rule, request) if rule else None
    try:
        answer = replaced or run(world, tenant, request, given)
    except Refusal as refusal:
        answer = refusal.answer
    if rule and not replaced:
        answer = world.faults.after(rule, request, answer)
    if world.knobs.log_requests:
        seen = Seen(world.clock.now(), request.method, request.operation, request.account, answer.status)
        seen.fault = rule.fault if rule else ""
        world.stats.write(seen)
    return answer


def _account(world: World, given: dict[str, str]) -> str:
    return world.microsoft.entra.account_of(given) or given.get("login_hint", "").lower()


def _discovery(world: World, tenant: str, request: Request, given: dict[str, str]) -> Answer:
    microsoft = world.microsoft
    if tenant not in SHARED_TENANTS and tenant not in microsoft.entra.tenants:
        raise microsoft.entra.refusal(90002)
    base = f"{LOGIN_HOST}/{tenant}"
    shown: dict[str, Any] = {"issuer": f"{LOGIN_HOST}/{'{tenantid}' if tenant in SHARED_TENANTS else tenant}/v2.0"}
    shown |= {"authorization_endpoint": f"{base}/oauth2/v2.0/authorize", "token_endpoint": f"{base}/oauth2/v2.0/token"}
    shown |= {"jwks_uri": f"{base}/discovery/v2.0/keys", "end_session_endpoint": f"{base}/oauth2/v2.0/logout"}
    shown |= {"token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"]}
    shown |= {"response_modes_supported": ["query", "fragment", "form_post"], "subject_types_supported": ["pairwise"]}
    shown |= {"id_token_signing_alg_values_supported": ["RS256"], "response_types_supported": ["code", "id_token"]}
    shown |= {"scopes_supported": ["openid", "profile", "email", "offline_access"], "tenant_region_scope": None}
    shown |= {"claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "tid"]}
    shown |= {"cloud_instance_name": "microsoftonline.com", "msgraph_host": "graph.microsoft.com"}
    return _json(shown)


def _keys(world: World, tenant: str, request: Request, given: dict[str, str]) -> Answer:
    key = world.microsoft.entra.signer.jwk() | {"issuer": f"{LOGIN_HOST}/{{tenantid}}/v2.0"}
    return _json({"keys": [key]})


def _instances(world: World, tenant: str, request: Request, given: dict[str, str]) -> Answer:
    names = ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"]
    metadata = {"preferred_network": names[0], "preferred_cache": names[1], "aliases": names}
    where = f"{LOGIN_HOST}/organizations/v2.0/.well-known/openid-configuration"
    return _json({"tenant_discovery_endpoint": where, "api-version": "1.1", "metadata": [metadata]})


def _token(world: World, tenant: str, request: Request, given: dict[str, str]) -> Answer:
    if world.microsoft.knobs.single_tenant and tenant in SHARED_TENANTS:
        raise world.microsoft.entra.refusal(50194)
    return _json(world.microsoft.entra.exchange(tenant, given))


def _authorise(world: World, tenant: str, request: Request, given: dict[str, str]) -> Answer:
    """GET: the page (or with the knob auto_consent straight back); POST: the choice that was made there."""
    entra = world.microsoft.entra
    if not given.get("redirect_uri") or not given.get("client_id"):
        raise entra.refusal(
            900144, "The request body must contain the following parameter: 'redirect_uri', 'client_id'."
        )
    app = entra.apps.get(given["client_id"])
    if entra.apps and app is None:
        raise entra.refusal(700016)
    if app and app.redirect_uris and given["redirect_uri"] not in app.redirect_uris:
        raise entra.refusal(50011)
    wanted = tuple(given.get("scope", "").split())
    if request.method == "POST":
        if given.get("choice") == "deny":
            return _refused_back(given, 65004, world)
        kept = {*request.form().get("granted", wanted), *OPENID}
        return _granted(world, tenant, given, given.get("choice", ""), tuple(one for one in wanted if one in kept))
    if world.knobs.auto_consent:
        hint = given.get("login_hint") or next(iter(world.microsoft.users), "")
        return _granted(world, tenant, given, hint, wanted)
    accounts = [email for email in world.microsoft.users if tenant in (*SHARED_TENANTS, tenant_of(email))]
    return _page("Pick an account", given, wanted, [(email, email) for email in accounts])


def _granted(world: World, tenant: str, given: dict[str, str], email: str, scopes: tuple[str, ...]) -> Answer:
    microsoft, email = world.microsoft, email.lower()
    if email not in microsoft.users:
        return _refused_back(given, 50034, world)
    if email in microsoft.entra.disabled:
        return _refused_back(given, 50057, world)
    if tenant not in (*SHARED_TENANTS, tenant_of(email)):
        return _refused_back(given, 50020, world)
    microsoft.entra.signed_in(email, given.get("claims", ""))
    grant = microsoft.entra.grant(email, scopes or (*READING, *OPENID), given["client_id"])
    code = microsoft.entra.authorise(
        grant,
        redirect_uri=given["redirect_uri"],
        challenge=given.get("code_challenge", ""),
        nonce=given.get("nonce", ""),
    )
    found = {"code": code, "session_state": guid("session", email)}
    return _back(given, found | ({"client_info": client_info(grant)} if given.get("client_info") else {}))


def _admin(world: World, tenant: str, request: Request, given: dict[str, str]) -> Answer:
    """Admin consent for a tenant: the roles of the app, or the scopes that are named."""
    if not given.get("redirect_uri") or not given.get("client_id"):
        raise world.microsoft.entra.refusal(900144, "The request body must contain 'client_id' and 'redirect_uri'.")
    domains = sorted({email.rpartition("@")[2] for email in world.microsoft.users})
    fitting = [one for one in domains if tenant in (*SHARED_TENANTS, tenant_of(one))]
    if request.method == "GET" and not world.knobs.auto_consent:
        return _page("Permissions requested for your organization", given, ROLES, [(one, one) for one in fitting])
    choice = given.get("choice") or next(iter(fitting), "deny")
    if choice == "deny" or choice not in fitting:
        return _back(given, {"error": "permission_denied", "error_description": "The admin canceled the request"})
    world.microsoft.entra.allow(choice, ROLES, given["client_id"])
    scope = given.get("scope", "https://graph.microsoft.com/.default")
    return _back(given, {"admin_consent": "True", "tenant": tenant_of(choice), "scope": scope})


def refused_back(world: World, request: Request, number: int) -> Answer:
    """A refusal that the authorize endpoint sends to the redirect address."""
    return _refused_back(
        {name: values[-1] for name, values in {**request.query, **request.form()}.items()}, number, world
    )


def _refused_back(given: dict[str, str], number: int, world: World) -> Answer:
    error, text, suberror = AADSTS[number]
    found = {"error": error, "error_description": f"AADSTS{number}: {text}"}
    return _back(given, found | ({"error_subcode": suberror} if suberror else {}))


def _back(given: dict[str, str], found: dict[str, str]) -> Answer:
    if given.get("state"):
        found = {**found, "state": given["state"]}
    if given.get("response_mode") == "form_post":
        return _posted_back(given["redirect_uri"], found)
    mark = "&" if "?" in given["redirect_uri"] else "?"
    return Answer(302, b"", {"Location": f"{given['redirect_uri']}{mark}{urlencode(found)}"})


def _posted_back(address: str, found: dict[str, str]) -> Answer:
    fields = "".join(_hidden(name, value) for name, value in found.items())
    page = (
        f'<!doctype html><body onload="document.forms[0].submit()"><form method="post" action="{html.escape(address)}">'
    )
    return _html(f"{page}{fields}<noscript><button>Continue</button></noscript></form></body>")


def _page(title: str, given: dict[str, str], scopes: tuple[str, ...], choices: list[tuple[str, str]]) -> Answer:
    hidden = "".join(_hidden(name, given[name]) for name in _PASSED if given.get(name))
    boxes = "".join(
        f'<label><input type="checkbox" name="granted" value="{html.escape(one, quote=True)}" checked> '
        f"{html.escape(one.rpartition('/')[2])}</label><br>"
        for one in scopes
        if one not in OPENID
    )
    buttons = "".join(
        f'<p><button name="choice" value="{html.escape(value, quote=True)}">{html.escape(shown)}</button></p>'
        for value, shown in choices
    )
    client = html.escape(given["client_id"])
    return _html(_PAGE.format(title=title, client=client, hidden=hidden, scopes=boxes, choices=buttons))


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{html.escape(value, quote=True)}">'


def _html(text: str) -> Answer:
    return Answer(200, text.encode(), {"Content-Type": "text/html; charset=utf-8"})


def _json(value: Any) -> Answer:
    return Answer(200, dumped(value), {"Content-Type": f"{JSON}; charset=utf-8", "Cache-Control": "no-store, no-cache"})


def _is_guid(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4


_VERBS = {
    ("GET", "v2.0/.well-known/openid-configuration"): ("entra.discovery", _discovery),
    ("GET", "discovery/v2.0/keys"): ("entra.keys", _keys),
    ("GET", "discovery/instance"): ("entra.instance", _instances),
    ("POST", "oauth2/v2.0/token"): ("entra.token", _token),
    ("GET", "oauth2/v2.0/authorize"): ("entra.authorize", _authorise),
    ("POST", "oauth2/v2.0/authorize"): ("entra.authorize", _authorise),
    ("GET", "v2.0/adminconsent"): ("entra.adminconsent", _admin),
    ("POST", "v2.0/adminconsent"): ("entra.adminconsent", _admin),
}
