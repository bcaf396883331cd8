"""Sign-in with real msal: the page, PKCE and nonce, signed identity, rotation, app permissions, every error of Entra's."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from msal.exceptions import MsalServiceError

from sandbox import Server, World
from sandbox.microsoft.entra import ROLES
from sandbox.microsoft.forms import tenant_of
from sandbox.microsoft.outlook import OutlookBox
from sandbox.microsoft.refusals import AADSTS
from sandbox.oauth import key_of
from tests.sandbox.conftest import INA, NOW, OTTO
from tests.sandbox.ms_client import GraphClient
from tests.sandbox.ms_login import BACK, HOST, Login

DEFAULT = ["https://graph.microsoft.com/.default"]


@pytest.fixture
def login_for(server: Server, outlook: OutlookBox) -> Iterator[Callable[..., Login]]:
    made: list[Login] = []

    def make(**more: Any) -> Login:
        made.append(Login(server, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def login(login_for: Callable[..., Login]) -> Login:
    return login_for()


def unpadded(piece: str) -> bytes:
    return base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))


def verified(token: str, server: Server) -> dict[str, Any]:
    """The claims of an id token whose signature fits the published key."""
    head, body, signature = token.split(".")
    keys = httpx.get(f"{server.microsoft_login_root}/organizations/discovery/v2.0/keys").json()["keys"]
    key = next(one for one in keys if one["kid"] == json.loads(unpadded(head))["kid"])
    numbers = rsa.RSAPublicNumbers(int.from_bytes(unpadded(key["e"])), int.from_bytes(unpadded(key["n"])))
    numbers.public_key().verify(unpadded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    return json.loads(unpadded(body))


def refresh(server: Server, token: str, **more: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "client", "client_secret": "s", **more}
    return httpx.post(f"{server.microsoft_login_root}/organizations/oauth2/v2.0/token", data=form)


def test_a_user_signs_in_through_the_page(server: Server, outlook: OutlookBox, login: Login, graph_for: Any) -> None:
    flow = login.begin(login_hint=INA)
    page = login.http.http.get(login.http.mapped(flow["auth_uri"]))
    assert INA in page.text
    assert "Mail.Read" in page.text
    found = login.app().acquire_token_by_auth_code_flow(flow, login.answered(flow["auth_uri"], choice=INA))
    assert set(found["scope"].split()) >= {"Mail.Read", "Calendars.Read", "User.Read"}
    claims = verified(found["id_token"], server)
    assert (claims["aud"], claims["tid"], claims["oid"]) == ("client", outlook.tenant, outlook.oid)
    assert claims["iss"] == f"{HOST}/{outlook.tenant}/v2.0"
    assert claims["exp"] > claims["iat"]
    assert claims["preferred_username"] == INA
    (account,) = login.app().get_accounts()
    assert account["home_account_id"] == f"{outlook.oid}.{outlook.tenant}"
    assert graph_for(token=found["access_token"]).get("/me")["id"] == outlook.oid


def test_consent_by_itself_takes_the_hinted_account(world: World, outlook: OutlookBox, login: Login) -> None:
    world.knobs.auto_consent = True
    world.outlook(OTTO)
    flow = login.begin(login_hint=OTTO)
    found = login.app().acquire_token_by_auth_code_flow(flow, login.answered(flow["auth_uri"]))
    assert found["id_token_claims"]["preferred_username"] == OTTO


@pytest.mark.filterwarnings("ignore:response_mode='form_post' is recommended")
def test_the_answer_comes_in_the_address_or_as_a_form(login: Login) -> None:
    flow = login.begin(response_mode="query")
    back = login.answered(flow["auth_uri"], choice=INA)
    assert set(back) == {"code", "session_state", "state", "client_info"}
    assert set(login.answered(login.begin()["auth_uri"], choice=INA)) == set(back)


def test_less_can_be_granted_than_was_asked_for(login: Login) -> None:
    flow = login.begin()
    back = login.answered(flow["auth_uri"], choice=INA, granted=["Mail.Read", "User.Read"])
    found = login.app().acquire_token_by_auth_code_flow(flow, back)
    assert "Calendars.Read" not in found["scope"].split()


def test_a_refusal_at_the_page_comes_back_as_an_error(login: Login) -> None:
    flow = login.begin()
    found = login.app().acquire_token_by_auth_code_flow(flow, login.answered(flow["auth_uri"], choice="deny"))
    assert found["error"] == "access_denied"


def test_a_code_is_good_once_with_its_verifier_and_its_address(world: World, server: Server, login: Login) -> None:
    def exchanged(**more: str) -> int:
        flow = login.begin()
        back = login.answered(flow["auth_uri"], choice=INA)
        form = {"grant_type": "authorization_code", "client_id": "client", "code": back["code"]}
        form |= {"redirect_uri": BACK, "code_verifier": flow["code_verifier"], **more}
        answers = [
            httpx.post(f"{server.microsoft_login_root}/organizations/oauth2/v2.0/token", data=form).json() for _ in "ab"
        ]
        return answers[1]["error_codes"][0]

    assert exchanged() == 54005
    assert exchanged(code_verifier="x" * 43) == 501481
    assert exchanged(redirect_uri="https://elsewhere.example") == 50011
    assert exchanged(code="nonsense") == 70000


def test_refresh_tokens_rotate_and_the_old_one_goes_on(world: World, server: Server, login: Login) -> None:
    first = login.signed_in(INA)
    world.clock.advance(3_600)
    again = login.silent(force_refresh=True)
    assert again["access_token"] != first["access_token"]
    (newest,) = login.cache.search("RefreshToken")
    assert newest["secret"] != first["refresh_token"]
    assert refresh(server, first["refresh_token"]).status_code == 200
    assert refresh(server, newest["secret"]).status_code == 200


def test_the_headless_way_in_is_one_living_refresh_token(world: World, server: Server, login: Login) -> None:
    token = world.microsoft_refresh_token(INA)
    assert token == world.microsoft_refresh_token(INA)
    found = login.app().acquire_token_by_refresh_token(token, ["Mail.Read", "Calendars.Read"])
    assert {"Mail.Read", "Calendars.Read"} <= set(found["scope"].split())
    assert "User.Read" not in found["scope"].split()
    world.microsoft.entra.kill(INA)
    assert token != world.microsoft_refresh_token(INA)


@pytest.mark.parametrize(
    ("how", "number"),
    [("killed", 50173), ("unused", 700082), ("disabled", 50057), ("scope", 65001), ("unknown", 70000)],
)
def test_a_grant_that_ended_says_why(world: World, server: Server, outlook: OutlookBox, how: str, number: int) -> None:
    token, more = world.microsoft_refresh_token(INA), {}
    if how == "killed":
        world.microsoft.entra.kill(INA)
    elif how == "unused":
        world.clock.advance(91 * 86_400)
    elif how == "disabled":
        world.microsoft.entra.disabled.add(INA)
    elif how == "scope":
        more = {"scope": "https://graph.microsoft.com/Files.Read"}
    else:
        token = "nonsense"
    answer = refresh(server, token, **more)
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [number])


@pytest.mark.parametrize("number", sorted(AADSTS))
def test_every_error_of_entra_can_be_had(world: World, server: Server, outlook: OutlookBox, number: int) -> None:
    world.microsoft.entra.refuse[INA] = number
    answer = refresh(server, world.microsoft_refresh_token(INA))
    given = answer.json()
    error, _, suberror = AADSTS[number]
    assert (given["error"], given.get("suberror", ""), given["error_codes"]) == (error, suberror, [number])
    assert given["error_description"].startswith(f"AADSTS{number}: ")
    assert {"timestamp", "trace_id", "correlation_id", "error_uri"} <= set(given)
    assert ("claims" in given) == (error == "interaction_required" and number not in (530035, 53004, 53011))
    world.microsoft.entra.refuse.clear()
    assert refresh(server, world.microsoft_refresh_token(INA)).status_code == 200


def test_msal_tells_a_revoked_grant_from_a_second_factor(world: World, login: Login) -> None:
    login.signed_in(INA)
    for fault, variant, error, suberror in (
        ("F43", "", "invalid_grant", "bad_token"),
        ("F44", "", "invalid_grant", ""),
        ("F44", "mfa", "interaction_required", "basic_action"),
        ("F45", "", "invalid_grant", "consent_required"),
        ("F46", "", "invalid_client", ""),
        ("STS", "50105", "invalid_grant", ""),
    ):
        world.faults.clear()
        world.faults.add(fault, variant=variant)
        found = login.silent(force_refresh=True)
        assert (found["error"], found.get("suberror") or "") == (error, suberror)
        assert ("claims" in found) == (variant == "mfa")


def test_a_second_factor_is_met_by_passing_its_claims_on(world: World, login: Login) -> None:
    login.signed_in(INA)
    world.microsoft.entra.refuse[INA] = 50076
    refused = login.silent(force_refresh=True)
    assert login.signed_in(INA)["error_codes"] == [50076]
    assert "access_token" in login.signed_in(INA, claims_challenge=refused["claims"])
    world.microsoft.entra.refuse[INA] = 700082
    assert "access_token" in login.signed_in(INA)
    world.microsoft.entra.refuse[INA] = 53004
    assert login.signed_in(INA)["error_codes"] == [53004]


def test_a_service_in_trouble_is_no_refusal(world: World, login: Login) -> None:
    world.faults.add("F47", variant="html")
    flow = login.begin()
    back = login.answered(flow["auth_uri"], choice=INA)
    with pytest.raises(MsalServiceError):
        login.app().acquire_token_by_auth_code_flow(flow, back)
    assert "access_token" in login.app().acquire_token_by_auth_code_flow(flow, back)


def test_too_many_token_requests_are_told_to_wait(world: World, server: Server, outlook: OutlookBox) -> None:
    world.faults.add("F47", account=INA)
    answer = refresh(server, world.microsoft_refresh_token(INA))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    world.faults.add("F47", variant="loop")
    assert refresh(server, world.microsoft_refresh_token(INA)).json()["error_codes"] == [50196]
    world.faults.add("F45", variant="admin")
    back = Login(server)
    assert "AADSTS90094" in back.answered(back.begin()["auth_uri"])["error_description"]
    back.close()


def certificate() -> tuple[str, str]:
    """PEM of a private key and of its certificate."""
    key, name = key_of("app"), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dealtrail")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    signed = built.not_valid_before(begin).not_valid_after(begin + timedelta(days=700)).sign(key, hashes.SHA256())
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain).decode()
    return private, signed.public_bytes(encoding).decode()


def test_an_app_gets_a_token_for_a_tenant_with_its_secret(world: World, login_for: Any, graph_for: Any) -> None:
    tenant = login_for(tenant=tenant_of("acme.example"))
    assert tenant.app().acquire_token_for_client(DEFAULT)["error_codes"] == [700016]
    world.microsoft.entra.allow("acme.example")
    found = tenant.app().acquire_token_for_client(DEFAULT)
    assert set(found) >= {"access_token", "expires_in", "ext_expires_in", "token_type"}
    assert not {"refresh_token", "id_token"} & set(found)
    app: GraphClient = graph_for(token=found["access_token"])
    assert [one["mail"] for one in app.items("/users")] == [INA]
    world.microsoft.entra.register("client", "other secret")
    assert login_for(tenant="acme.example").app().acquire_token_for_client(DEFAULT)["error_codes"] == [7000215]


def test_an_app_gets_a_token_with_its_certificate(world: World, login_for: Any) -> None:
    private, public = certificate()
    world.microsoft.entra.register("client", certificate=public)
    world.microsoft.entra.allow("acme.example")
    clock = NOW.timestamp() - datetime.now(UTC).timestamp()
    world.clock.advance(-clock)
    credential = {"private_key": private, "public_certificate": public}
    found = login_for(tenant=tenant_of("acme.example"), credential=credential).app().acquire_token_for_client(DEFAULT)
    assert "access_token" in found
    thumbprint = x509.load_pem_x509_certificate(public.encode()).fingerprint(hashes.SHA1()).hex()
    older = {"private_key": private, "thumbprint": thumbprint}
    assert "access_token" in login_for(
        tenant=tenant_of("acme.example"), credential=older
    ).app().acquire_token_for_client(DEFAULT)
    world.microsoft.entra.apps["client"].certificates.clear()
    refused = login_for(tenant=tenant_of("acme.example"), credential=credential).app().acquire_token_for_client(DEFAULT)
    assert refused["error_codes"] == [700027]


def test_an_administrator_consents_for_a_tenant(world: World, server: Server, login: Login) -> None:
    query = f"client_id=client&redirect_uri={BACK}&state=s&scope={DEFAULT[0]}"
    page = login.http.http.get(f"{server.microsoft_login_root}/organizations/v2.0/adminconsent?{query}")
    assert "acme.example" in page.text
    back = login.answered(f"{HOST}/organizations/v2.0/adminconsent?{query}", choice="acme.example")
    assert (back["admin_consent"], back["tenant"], back["state"]) == ("True", tenant_of("acme.example"), "s")
    assert world.microsoft.entra.roles(tenant_of("acme.example"), "client") == ROLES
    refused = login.answered(f"{HOST}/organizations/v2.0/adminconsent?{query}", choice="deny")
    assert refused["error"] == "permission_denied"


def test_discovery_names_microsofts_own_hosts(world: World, server: Server, outlook: OutlookBox) -> None:
    def shown(tenant: str) -> httpx.Response:
        return httpx.get(f"{server.microsoft_login_root}/{tenant}/v2.0/.well-known/openid-configuration")

    shared, own = shown("organizations").json(), shown(outlook.tenant).json()
    assert shared["issuer"] == f"{HOST}/{{tenantid}}/v2.0"
    assert own["issuer"] == f"{HOST}/{outlook.tenant}/v2.0"
    assert shared["token_endpoint"] == f"{HOST}/organizations/oauth2/v2.0/token"
    assert shown("acme.example").json() == own
    assert shown("nowhere.example").json()["error_codes"] == [90002]
    world.microsoft.knobs.single_tenant = True
    assert refresh(server, world.microsoft_refresh_token(INA)).json()["error_codes"] == [50194]


def test_access_ends_after_an_hour(world: World, graph: GraphClient, outlook: OutlookBox) -> None:
    graph.get("/me")
    world.clock.advance(3_601)
    assert graph.error("/me") == (401, "InvalidAuthenticationToken")
    assert "Bearer" in graph.ask("/me").headers["www-authenticate"]
