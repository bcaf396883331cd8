"""Consents, refreshes and assertions over real HTTP: what each refusal of the token endpoint means, and to whom.

F06 and F07 of the provider contract are here, and every error of its sections 1.2 and 1.10.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import google_auth_httplib2
import httplib2
import httpx
import pytest

import sandbox
from connectors.base import GrantState, Person
from connectors.errors import ConnectorError, OperatorFault, Reconnect, Refused, TryLater
from connectors.google.config import GoogleConfig
from connectors.google.credentials import renewed
from connectors.google.grant import adopt_refresh_token, begin_consent, capabilities, finish_consent, revoke
from connectors.google.team import GoogleTeam
from tests.connectors.conftest import google_config
from tests.support import REP

BACK = "http://127.0.0.1:8321/connect/google/callback"
GMAIL = "https://www.googleapis.com/auth/gmail.readonly"
METADATA = "https://www.googleapis.com/auth/gmail.metadata"
CALENDAR = "https://www.googleapis.com/auth/calendar"


class Endpoint:
    """A token endpoint that gives one answer, and keeps what it was sent."""

    def __init__(self) -> None:
        self.status, self.body, self.kind = 200, b"{}", "application/json"
        self.got: list[dict[str, str]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["content-length"])).decode()
                endpoint.got.append({name: values[0] for name, values in parse_qs(form).items()})
                self.send_response(endpoint.status)
                self.send_header("content-type", endpoint.kind)
                self.send_header("content-length", str(len(endpoint.body)))
                self.end_headers()
                self.wfile.write(endpoint.body)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.root = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def answers(self, status: int, body: Any) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.kind = "text/html" if isinstance(body, bytes) else "application/json"

    @property
    def config(self) -> GoogleConfig:
        return GoogleConfig("test-client", "test-secret", api_root=self.root, oauth_root=self.root, timeout=5.0)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    running = Endpoint()
    yield running
    running.close()


@pytest.fixture(scope="module")
def key() -> dict[str, Any]:
    return dict(sandbox.World().service_account("acme.example").info())


def renew(config: GoogleConfig, state: GrantState) -> GrantState:
    line = httplib2.Http(timeout=5)
    try:
        return renewed(config, state, google_auth_httplib2.Request(line))
    finally:
        line.close()


def by_person(endpoint: Endpoint, key: dict[str, Any]) -> GrantState:
    return GrantState(refresh_token="1//stored")


def by_robot(endpoint: Endpoint, key: dict[str, Any]) -> GrantState:
    return GrantState(delegated_to=REP, scopes=(GMAIL,), key=key | {"token_uri": f"{endpoint.root}/token"})


def oauth(error: str, text: str = "", **more: str) -> dict[str, str]:
    return {"error": error, "error_description": text} | more


UNAUTHORIZED = (
    "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes "
    "requested."
)
SKEW = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
PAGE = b"<html>503 Service Unavailable. Reauthentication? invalid_rapt, invalid_grant</html>"
Row = tuple[int, Any, type[ConnectorError], str]
PERSON: dict[str, Row] = {
    "revoked or run out": (
        400,
        oauth("invalid_grant", "Token has been expired or revoked."),
        Reconnect,
        "invalid_grant",
    ),
    "deleted account": (400, oauth("invalid_grant", "Account has been deleted"), Reconnect, "account_deleted"),
    "deleted, other words": (400, oauth("invalid_grant", "The account has been deleted"), Reconnect, "account_deleted"),
    "foreign token": (400, oauth("invalid_grant", "Bad Request"), Reconnect, "foreign_token"),
    "no description": (400, oauth("invalid_grant"), Reconnect, "invalid_grant"),
    "session policy": (400, oauth("invalid_grant", "x", error_subtype="invalid_rapt"), Reconnect, "invalid_rapt"),
    "session policy, asked": (
        400,
        oauth("invalid_grant", "x", error_subtype="rapt_required"),
        Reconnect,
        "invalid_rapt",
    ),
    "unknown client": (
        401,
        oauth("invalid_client", "The OAuth client was not found."),
        OperatorFault,
        "invalid_client",
    ),
    "wrong secret": (401, oauth("invalid_client", "Unauthorized"), OperatorFault, "invalid_client"),
    "deleted client": (401, oauth("deleted_client", "The OAuth client was deleted."), OperatorFault, "deleted_client"),
    "disabled client": (401, oauth("disabled_client", ""), OperatorFault, "disabled_client"),
    "another client's token": (401, oauth("unauthorized_client", "Unauthorized"), OperatorFault, "unauthorized_client"),
    "policy": (400, oauth("admin_policy_enforced", ""), OperatorFault, "admin_policy_enforced"),
    "internal client": (403, oauth("org_internal", ""), OperatorFault, "org_internal"),
    "unknown scope": (400, oauth("invalid_scope", ""), OperatorFault, "invalid_scope"),
    "access denied": (403, oauth("access_denied", ""), Refused, "access_denied"),
}
ROBOT: dict[str, Row] = {
    "no delegation": (401, oauth("unauthorized_client", UNAUTHORIZED), OperatorFault, "delegation_missing"),
    "access denied": (
        403,
        oauth("access_denied", "Requested client not authorized."),
        OperatorFault,
        "delegation_missing",
    ),
    "wrong clock": (400, oauth("invalid_grant", SKEW), OperatorFault, "clock_skew"),
    "dead key": (400, oauth("invalid_grant", "Invalid JWT Signature."), OperatorFault, "key_refused"),
    "no such robot": (400, oauth("invalid_grant", "Invalid grant: account not found"), OperatorFault, "key_refused"),
    "unknown key": (401, oauth("invalid_client", ""), OperatorFault, "key_refused"),
    "deleted robot": (401, oauth("deleted_client", ""), OperatorFault, "deleted_client"),
    "disabled robot": (401, oauth("disabled_client", ""), OperatorFault, "disabled_client"),
    "policy": (400, oauth("admin_policy_enforced", ""), OperatorFault, "admin_policy_enforced"),
    "internal": (400, oauth("org_internal", ""), OperatorFault, "org_internal"),
    "unknown scope": (400, oauth("invalid_scope", "x is not a valid audience string."), OperatorFault, "invalid_scope"),
    "unknown user": (400, oauth("invalid_grant", "Invalid email or User ID"), Refused, "user_unknown"),
    "deleted user": (400, oauth("invalid_grant", "Account deleted"), Refused, "user_suspended"),
    "disabled user": (400, oauth("invalid_grant", "Account disabled"), Refused, "user_suspended"),
    "suspended user": (400, oauth("invalid_grant", "Account suspended"), Refused, "user_suspended"),
    "another refusal": (400, oauth("invalid_grant", "Something new"), Refused, "user_refused"),
    "session policy": (400, oauth("invalid_grant", "", error_subtype="invalid_rapt"), Refused, "user_refused"),
}
LINE: dict[str, tuple[int, Any]] = {
    "HTML 503": (503, PAGE),
    "HTML 502": (502, PAGE),
    "HTML 500": (500, b"Reauthentication may be needed"),
    "HTML 400": (400, PAGE),
    "HTML 200": (200, PAGE),
    "empty 500": (500, b""),
    "JSON 503": (503, oauth("temporarily_unavailable", "x")),
    "JSON 500": (500, oauth("internal_failure", "x")),
    "server error": (400, oauth("server_error", "x")),
    "slow down": (429, oauth("rate_limit_exceeded", "x")),
    "something new": (400, oauth("something_new", "x")),
    "an object for an error": (400, {"error": {"code": 400, "message": "invalid_grant"}}),
    "a list": (400, ["invalid_grant"]),
    "a text": (400, "invalid_grant"),
    "no token in it": (200, {"expires_in": 3599}),
    "nothing for a token": (200, {"access_token": None, "expires_in": 3599}),
    "a number for a token": (200, {"access_token": 7, "expires_in": 3599}),
}
CASES = [(by_person, name, *row) for name, row in PERSON.items()] + [
    (by_robot, name, *row) for name, row in ROBOT.items()
]
LINES = [(who, name, *row, TryLater, "") for name, row in LINE.items() for who in (by_person, by_robot)]


@pytest.mark.parametrize(
    ("who", "name", "status", "body", "kind", "code"),
    CASES + LINES,
    ids=[f"{c[0].__name__}-{c[1]}" for c in CASES + LINES],
)
def test_only_these_words_ask_a_person_to_reconnect(
    endpoint: Endpoint,
    key: dict[str, Any],
    who: Callable[..., GrantState],
    name: str,
    status: int,
    body: Any,
    kind: type,
    code: str,
) -> None:
    endpoint.answers(status, body)
    with pytest.raises(ConnectorError) as caught:
        renew(endpoint.config, who(endpoint, key))
    assert type(caught.value) is kind, caught.value
    assert caught.value.code == code or not code
    assert caught.value.sentence.endswith(".") and "1//stored" not in str(caught.value)


def test_nobody_whom_an_administrator_connected_is_told_to_reconnect() -> None:
    assert all(row[2] is not Reconnect for row in ROBOT.values())


def test_who_must_act_decides_how_far_a_fault_reaches(endpoint: Endpoint, key: dict[str, Any]) -> None:
    reach = {}
    for status, body, _, code in ROBOT.values():
        endpoint.answers(status, body)
        with pytest.raises(ConnectorError) as caught:
            renew(endpoint.config, by_robot(endpoint, key))
        reach[code] = caught.value.scope
    assert reach["delegation_missing"] == reach["admin_policy_enforced"] == reach["org_internal"] == "domain"
    assert reach["clock_skew"] == reach["key_refused"] == reach["deleted_client"] == "provider"
    assert reach["user_unknown"] == reach["user_suspended"] == "account"


def test_a_refresh_without_a_new_refresh_token_keeps_the_old_one(endpoint: Endpoint, key: dict[str, Any]) -> None:
    for given in ({}, {"refresh_token": None}, {"refresh_token": ""}):
        endpoint.answers(200, {"access_token": "a", "expires_in": 3599, "scope": GMAIL} | given)
        assert renew(endpoint.config, GrantState(refresh_token="1//stored")).refresh_token == "1//stored"
    endpoint.answers(200, {"access_token": "a", "refresh_token": "1//new"})
    rotated = renew(endpoint.config, GrantState(refresh_token="1//stored", scopes=(GMAIL,), extra={"kept": 1}))
    assert (rotated.refresh_token, rotated.scopes, rotated.extra) == ("1//new", (GMAIL,), {"kept": 1})
    assert rotated.expires_at is not None and rotated.expires_at > datetime.now(UTC)


def test_an_assertion_names_the_person_and_goes_nowhere_else(endpoint: Endpoint, key: dict[str, Any]) -> None:
    endpoint.answers(200, {"access_token": "a", "expires_in": 3599})
    renew(endpoint.config, by_robot(endpoint, key))
    claims = read(endpoint.got[0]["assertion"])
    assert claims["sub"] == REP and claims["scope"] == GMAIL and claims["iss"] == key["client_email"]
    assert claims["aud"] == "https://oauth2.googleapis.com/token" and claims["exp"] - claims["iat"] == 3600
    foreign = replace(by_robot(endpoint, key), key=key | {"token_uri": "https://evil.example/token"})
    with pytest.raises(OperatorFault) as caught:
        renew(endpoint.config, foreign)
    assert caught.value.code == "foreign_key" and len(endpoint.got) == 1


def read(token: str) -> dict[str, Any]:
    """The claims of a JWT, unverified."""
    middle = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


def test_a_wrong_clock_of_ours_is_seen_by_the_sandbox_too(
    world: sandbox.World, server: sandbox.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.mailbox(REP)
    robot = world.service_account("acme.example")
    team = GoogleTeam(google_config(server), json.dumps(robot.info(f"{server.google_oauth_root}/token")))
    assert team.open(Person(REP), team.allowed(REP))[1].email == REP
    wrong = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=2)
    monkeypatch.setattr("google.auth._helpers.utcnow", lambda: wrong)
    with pytest.raises(OperatorFault) as caught:
        team.allowed(REP)
    assert caught.value.code == "clock_skew" and "NTP" in caught.value.sentence


# ---- consents


def consented(
    world: sandbox.World, server: sandbox.Server, *, email: str = REP, without: str = "", first: bool = True
) -> tuple[GrantState, Any]:
    """Go through the consent page of the sandbox as a browser would, with some boxes unticked."""
    world.mailbox(email)
    config = google_config(server)
    consent = begin_consent(config, BACK, login_hint=email)
    query = {name: values[0] for name, values in parse_qs(urlsplit(consent.url).query).items()}
    ticked = [scope for scope in query["scope"].split() if not without or without not in scope]
    given = httpx.post(consent.url, data={"choice": email, "granted": ticked}, timeout=10)
    back = {name: values[0] for name, values in parse_qs(urlsplit(given.headers["location"]).query).items()}
    return finish_consent(config, consent, back, BACK)


def test_a_consent_says_who_it_is_and_what_it_allows(world: sandbox.World, server: sandbox.Server) -> None:
    state, identity = consented(world, server)
    assert identity.email == REP and identity.subject.isdigit()
    assert identity.capabilities == {"mail", "calendar"} and identity.missing == ()
    assert state.refresh_token and state.access_token and GMAIL in state.scopes


@pytest.mark.parametrize(
    ("without", "able", "words"), [("calendar", {"mail"}, "meetings"), ("gmail", {"calendar"}, "e-mails")]
)
def test_f06_what_was_not_ticked_is_left_out_and_told(
    world: sandbox.World, server: sandbox.Server, without: str, able: set[str], words: str
) -> None:
    _, identity = consented(world, server, without=without)
    assert identity.capabilities == able
    assert words in identity.missing[0] and "Reconnect and tick it" in identity.missing[0]


def test_f06_on_the_wire(world: sandbox.World, server: sandbox.Server) -> None:
    world.faults.add("F06")
    _, identity = consented(world, server)
    assert identity.capabilities == {"mail"}


def test_f07_a_consent_without_lasting_access_is_no_consent(world: sandbox.World, server: sandbox.Server) -> None:
    world.faults.add("F07")
    with pytest.raises(Reconnect) as caught:
        consented(world, server)
    assert caught.value.code == "no_refresh_token"


def test_nothing_ticked_and_headers_only_are_refused() -> None:
    for scopes, code in ((("openid", "email"), "nothing_granted"), ((GMAIL, METADATA), "metadata_scope")):
        with pytest.raises(Reconnect) as caught:
            capabilities(scopes)
        assert caught.value.code == code


def test_a_code_is_good_once_and_only_with_its_verifier(world: sandbox.World, server: sandbox.Server) -> None:
    world.mailbox(REP)
    world.knobs.auto_consent = True
    config = google_config(server)
    consent = begin_consent(config, BACK, login_hint=REP)
    location = httpx.get(consent.url, timeout=10).headers["location"]
    back = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    for changed, params, code in (
        (consent, back | {"state": "x"}, "wrong_state"),
        (consent, {"state": consent.state, "error": "access_denied"}, "declined"),
        (replace(consent, code_verifier="y" * 64), back, "stale_code"),
        (consent, back, "stale_code"),
    ):
        with pytest.raises(Reconnect) as caught:
            finish_consent(config, changed, params, BACK)
        assert caught.value.code == code and "withdrawn" not in caught.value.sentence


def test_an_identity_for_another_app_or_browser_is_refused(world: sandbox.World, server: sandbox.Server) -> None:
    world.mailbox(REP)
    world.knobs.auto_consent = True
    config = google_config(server)
    for change in ({"nonce": "another"}, {}):
        consent = begin_consent(config, BACK, login_hint=REP)
        location = httpx.get(consent.url, timeout=10).headers["location"]
        back = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        other = config if change else replace(config, client_id="another-app")
        with pytest.raises(Reconnect) as caught:
            finish_consent(other, replace(consent, **change), back, BACK)
        assert caught.value.code == "id_token"


def test_our_clock_an_hour_ahead_is_found_out_at_the_sign_in(world: sandbox.World, server: sandbox.Server) -> None:
    world.clock.advance(-7_200)
    with pytest.raises(OperatorFault) as caught:
        consented(world, server)
    assert caught.value.code == "clock_skew"


def test_a_token_from_elsewhere_tells_whose_it_is(world: sandbox.World, server: sandbox.Server) -> None:
    state, identity = adopt_refresh_token(google_config(server), world.refresh_token(REP))
    assert identity.email == REP and state.refresh_token == world.refresh_token(REP)
    bare = world.refresh_token(REP, (GMAIL,))
    assert adopt_refresh_token(google_config(server), bare)[1].subject == f"mailbox:{REP}"
    for token, code in (("1//made-up", "foreign_token"), (world.refresh_token(REP, (METADATA,)), "metadata_scope")):
        with pytest.raises(Reconnect) as caught:
            adopt_refresh_token(google_config(server), token)
        assert caught.value.code == code


def test_withdrawing_twice_is_no_error_and_a_sick_server_is(
    endpoint: Endpoint, world: sandbox.World, server: sandbox.Server
) -> None:
    token = world.refresh_token(REP)
    for _ in range(2):
        revoke(google_config(server), token)
    assert world.grants.by_refresh[token].died
    revoke(google_config(server), "1//unknown")
    endpoint.answers(503, PAGE)
    with pytest.raises(TryLater):
        revoke(endpoint.config, token)
