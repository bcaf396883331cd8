"""Sign-in: the token endpoint's moods, the consent page, service accounts with delegation, the directory."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from googleapiclient.errors import HttpError

from sandbox import Clock, Server, World, serve
from sandbox.delegation import JWT_BEARER, ServiceAccount
from tests.sandbox.client import Google, reason_of
from tests.sandbox.conftest import ME

READONLY = "https://www.googleapis.com/auth/gmail.readonly"
DIRECTORY = "https://www.googleapis.com/auth/admin.directory.user.readonly"


def token(server: Server, **form: str) -> httpx.Response:
    return httpx.post(f"{server.url}/token", data=form)


def refreshed(server: Server, refresh_token: str) -> httpx.Response:
    given = {"client_id": "client", "client_secret": "secret", "refresh_token": refresh_token}
    return token(server, grant_type="refresh_token", **given)


def consent(server: Server, **given: str) -> dict[str, str]:
    """What comes back to the redirect address."""
    asked = {"client_id": "client", "redirect_uri": "http://app.example/back", "response_type": "code", "state": "s"}
    asked |= {"scope": f"openid email {READONLY}", "access_type": "offline", "prompt": "consent", **given}
    answer = httpx.get(f"{server.url}/o/oauth2/v2/auth", params=asked)
    assert answer.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def exchanged(server: Server, code: str, **more: str) -> httpx.Response:
    given = {"client_id": "client", "code": code, "redirect_uri": "http://app.example/back", **more}
    return token(server, grant_type="authorization_code", **given)


def test_a_refresh_gives_an_access_token_and_no_new_refresh_token(world: World, server: Server) -> None:
    given = refreshed(server, world.refresh_token(ME)).json()
    assert (given["token_type"], given["expires_in"]) == ("Bearer", 3599)
    assert "refresh_token" not in given
    assert READONLY in given["scope"]


def test_access_ends_after_an_hour_and_the_client_renews_it(world: World, google: Google) -> None:
    google.call(google.users.getProfile(userId="me"))
    world.clock.advance(3_601)
    assert google.get("/gmail/v1/users/me/profile").status_code == 401
    google.call(google.users.getProfile(userId="me"))
    assert google.get("/gmail/v1/users/me/profile").status_code == 401
    assert world.grants.read(google.credentials.token) is not None


def test_a_rotated_refresh_token_replaces_the_one_before(world: World, server: Server) -> None:
    world.grants.rotate = True
    old = world.refresh_token(ME)
    new = refreshed(server, old).json()["refresh_token"]
    assert refreshed(server, old).json()["error"] == "invalid_grant"
    assert refreshed(server, new).status_code == 200


@pytest.mark.parametrize("how", ["revoked", "killed", "time limit", "unused", "suspended", "unknown"])
def test_a_grant_that_ended_says_invalid_grant(how: str, world: World, server: Server) -> None:
    given = world.refresh_token(ME)
    access = refreshed(server, given).json()["access_token"]
    if how == "revoked":
        assert httpx.post(f"{server.url}/revoke", data={"token": access}).status_code == 200
        assert httpx.post(f"{server.url}/revoke", data={"token": "nonsense"}).status_code == 400
    elif how == "killed":
        world.grants.kill(ME, "Account has been deleted")
    elif how == "time limit":
        world.grants.refresh_seconds = 7 * 86_400
        world.clock.advance(7 * 86_400)
    elif how == "unused":
        world.clock.advance(190 * 86_400)
    elif how == "suspended":
        world.suspended.add(ME)
    else:
        given = "1//0unknown"
    answer = refreshed(server, given)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    if how == "killed":
        assert answer.json()["error_description"] == "Account has been deleted"
    if how != "unknown":
        assert world.grants.read(access) is None


def test_the_hundred_and_first_refresh_token_silences_the_oldest(world: World, server: Server) -> None:
    world.grants.most = 3
    made = [world.grants.grant(ME, client_id="client").refresh_token for _ in range(4)]
    assert [refreshed(server, one).status_code for one in made] == [400, 200, 200, 200]


def test_consent_with_pkce_leads_to_tokens_once(world: World, server: Server) -> None:
    world.knobs.auto_consent = True
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"verifier").digest()).rstrip(b"=").decode()
    back = consent(server, login_hint=ME, code_challenge=challenge, code_challenge_method="S256", nonce="n")
    assert back["state"] == "s"
    assert exchanged(server, back["code"], code_verifier="wrong").json()["error"] == "invalid_grant"
    back = consent(server, login_hint=ME, code_challenge=challenge, code_challenge_method="S256", nonce="n")
    given = exchanged(server, back["code"], code_verifier="verifier").json()
    assert given["refresh_token"].startswith("1//0")
    middle = given["id_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    assert (claims["email"], claims["nonce"], claims["aud"]) == (ME, "n", "client")
    assert exchanged(server, back["code"], code_verifier="verifier").json()["error"] == "invalid_grant"


def test_a_second_consent_without_asking_brings_no_refresh_token(world: World, server: Server) -> None:
    world.knobs.auto_consent = True
    exchanged(server, consent(server, login_hint=ME)["code"])
    again = exchanged(server, consent(server, login_hint=ME, prompt="")["code"]).json()
    assert "access_token" in again
    assert "refresh_token" not in again


def test_the_consent_page_lets_people_untick_and_refuse(world: World, server: Server) -> None:
    asked = {"client_id": "client", "redirect_uri": "http://app.example/back", "scope": f"openid {READONLY}"}
    page = httpx.get(f"{server.url}/o/oauth2/v2/auth", params=asked)
    assert ME in page.text
    denied = httpx.post(f"{server.url}/o/oauth2/v2/auth", data={**asked, "choice": "deny"})
    assert "error=access_denied" in denied.headers["location"]
    some = httpx.post(f"{server.url}/o/oauth2/v2/auth", data={**asked, "choice": ME, "granted": "openid"})
    code = parse_qs(urlsplit(some.headers["location"]).query)["code"][0]
    assert exchanged(server, code).json()["scope"] == "openid"


# ---- service accounts


def robots(server: Server, robot: ServiceAccount, subject: str | None, *scopes: str) -> service_account.Credentials:
    info = robot.info(f"{server.url}/token")
    return service_account.Credentials.from_service_account_info(info, scopes=scopes or [READONLY], subject=subject)


@pytest.fixture
def today() -> Any:
    """A world on the real clock: google-auth signs with it."""
    made = World(Clock())
    made.mailbox(ME)
    with serve(made) as running:
        yield made, running


def refusal(caught: pytest.ExceptionInfo[RefreshError]) -> tuple[str, str]:
    given = caught.value.args[1]
    return given["error"], given["error_description"]


def test_a_robot_acts_for_a_user_whose_domain_allows_it(today: tuple[World, Server]) -> None:
    world, server = today
    robot = world.service_account("acme.example", scopes=(READONLY,))
    credentials = robots(server, robot, ME)
    credentials.refresh(Request())
    headers = {"Authorization": f"Bearer {credentials.token}"}
    profile = httpx.get(f"{server.url}/gmail/v1/users/me/profile", headers=headers)
    assert profile.json()["emailAddress"] == ME
    assert world.stats.units[robot.email] == 1
    httpx.get(f"{server.url}/gmail/v1/users/me/profile", headers=headers, params={"quotaUser": "box-1"})
    assert world.stats.units["box-1"] == 1
    world.suspended.add(ME)
    assert httpx.get(f"{server.url}/gmail/v1/users/me/profile", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("subject", "scope", "error", "text"),
    [
        ("who@other.example", READONLY, "unauthorized_client", "Client is unauthorized"),
        (ME, DIRECTORY, "unauthorized_client", "not authorized for any of the scopes"),
        ("nobody@acme.example", READONLY, "invalid_grant", "Invalid email or User ID"),
        ("gone@acme.example", READONLY, "invalid_grant", "Account disabled"),
    ],
)
def test_a_robot_is_refused(today: tuple[World, Server], subject: str, scope: str, error: str, text: str) -> None:
    world, server = today
    robot = world.service_account("acme.example", scopes=(READONLY,))
    world.mailbox("gone@acme.example")
    world.suspended.add("gone@acme.example")
    with pytest.raises(RefreshError) as caught:
        robots(server, robot, subject, scope).refresh(Request())
    found = refusal(caught)
    assert found[0] == error
    assert text in found[1]


def test_a_wrong_clock_is_told_as_such(today: tuple[World, Server]) -> None:
    world, server = today
    robot = world.service_account("acme.example", scopes=(READONLY,))
    world.clock.advance(2 * 3600)
    with pytest.raises(RefreshError) as caught:
        robots(server, robot, ME).refresh(Request())
    assert "short-lived token (60 minutes) and in a reasonable timeframe" in refusal(caught)[1]
    world.knobs.jwt_leeway = None
    robots(server, robot, ME).refresh(Request())


def test_a_forged_assertion_is_refused(today: tuple[World, Server]) -> None:
    world, server = today
    robot = world.service_account("acme.example", scopes=(READONLY,))
    stranger = ServiceAccount("stranger@p.iam.gserviceaccount.com")
    forged = stranger.info(f"{server.url}/token") | {"client_email": robot.email}
    credentials = service_account.Credentials.from_service_account_info(forged, scopes=[READONLY], subject=ME)
    with pytest.raises(RefreshError) as caught:
        credentials.refresh(Request())
    assert refusal(caught) == ("invalid_grant", "Invalid JWT Signature.")
    assert token(server, grant_type=JWT_BEARER, assertion="junk").json()["error"] == "invalid_grant"


def test_a_robot_without_a_user_has_no_mailbox(today: tuple[World, Server]) -> None:
    world, server = today
    credentials = robots(server, world.service_account(), None)
    credentials.refresh(Request())
    answer = httpx.get(
        f"{server.url}/gmail/v1/users/me/profile", headers={"Authorization": f"Bearer {credentials.token}"}
    ).json()["error"]
    assert (answer["status"], answer["message"]) == ("FAILED_PRECONDITION", "Precondition check failed.")


def test_the_directory_lists_a_domains_users_to_its_administrator(world: World, google: Google) -> None:
    world.mailbox("col@acme.example", "Col Porter").aliases[0].name = "Col"
    world.mailbox("other@elsewhere.example")
    world.suspended.add("col@acme.example")
    users = google.directory.users()
    with pytest.raises(HttpError) as caught:
        users.list(domain="acme.example").execute()
    assert reason_of(caught.value) == (403, "forbidden")
    world.admins.add(ME)
    world.knobs.page_size = 1
    found = google.pages(users.list, "users", domain="acme.example")
    assert [(one["primaryEmail"], one["suspended"], one["isAdmin"]) for one in found] == [
        *(("col@acme.example", True, False), (ME, False, True)),
    ]
    assert len(google.pages(users.list, "users", customer="my_customer")) == 3
    for given, status in (({"domain": "nowhere.example"}, 404), ({}, 400)):
        with pytest.raises(HttpError) as caught:
            users.list(**given).execute()
        assert caught.value.resp.status == status
