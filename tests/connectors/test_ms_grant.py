"""Entra's answers and what follows from them (provider-contract 3): sign-in, ID token, renewal, refusals."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

import sandbox
from connectors.base import GrantState
from connectors.errors import ConnectorError, OperatorFault, Reconnect, Refused, TryLater
from connectors.microsoft import grant
from connectors.microsoft.config import LOGIN_ROOT, MicrosoftConfig
from connectors.microsoft.entra import EntraLine
from connectors.microsoft.grant import begin_consent, checked_claims, finish_consent
from connectors.microsoft.token_faults import token_fault
from connectors.microsoft.tokens import StoredTokens
from sandbox.microsoft.refusals import AADSTS
from tests.connectors.ms_link import OutlookLink, microsoft_config
from tests.support import COLLEAGUE, REP

BACK = "https://dealtrail.acme.example/connect/microsoft/callback"


@pytest.fixture
def config(server: sandbox.Server) -> MicrosoftConfig:
    return microsoft_config(server)


def way_back(config: MicrosoftConfig, url: str, **form: Any) -> dict[str, str]:
    """What the browser brings back from Microsoft's page."""
    assert url.startswith(f"{LOGIN_ROOT}/organizations/oauth2/v2.0/authorize?")
    bare, _, query = url.partition("?")
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    answer = httpx.post(config.login + bare.removeprefix(LOGIN_ROOT), data=asked | form)
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def test_a_person_signs_in(world: sandbox.World, config: MicrosoftConfig) -> None:
    world.outlook(REP).add_alias("sales@acme.example")
    consent = begin_consent(config, BACK, login_hint=REP)
    query = {name: values[0] for name, values in parse_qs(urlsplit(consent.url).query).items()}
    assert (query["code_challenge_method"], query["login_hint"], query["redirect_uri"]) == ("S256", REP, BACK)
    assert {"Mail.Read", "Calendars.Read", "User.Read", "offline_access"} <= set(query["scope"].split())
    kept = grant.Consent.from_json(consent.to_json())
    state, identity = finish_consent(config, kept, way_back(config, consent.url, choice=REP), BACK)
    box = world.outlook(REP)
    assert identity.subject == f"{box.oid}.{box.tenant}"
    assert identity.addresses == (REP, "sales@acme.example")
    assert identity.capabilities == {"mail", "calendar"} and identity.missing == ()
    assert state.access_token and "RefreshToken" in state.extra["cache"]
    assert GrantState.from_plain(json.loads(json.dumps(state.to_plain()))) == state


def test_less_may_be_granted(world: sandbox.World, config: MicrosoftConfig) -> None:
    world.outlook(REP)
    consent = begin_consent(config, BACK)
    back = way_back(config, consent.url, choice=REP, granted=["Mail.Read", "User.Read"])
    _, identity = finish_consent(config, consent, back, BACK)
    assert identity.capabilities == {"mail"}
    assert "calendar was not allowed" in identity.missing[0]


def test_neither_mail_nor_calendar_is_of_no_use(world: sandbox.World, config: MicrosoftConfig) -> None:
    world.outlook(REP)
    consent = begin_consent(config, BACK)
    with pytest.raises(Reconnect) as caught:
        finish_consent(config, consent, way_back(config, consent.url, choice=REP, granted=["User.Read"]), BACK)
    assert caught.value.code == "nothing_granted"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"state": "another"}, "wrong_state"),
        ({}, "wrong_state"),
        ({"error": "access_denied", "error_description": "AADSTS65004: declined"}, "declined"),
        ({"error": "access_denied", "error_description": "AADSTS90094: admin consent"}, "admin_consent"),
        ({"error": "access_denied", "error_description": "no number here"}, "declined"),
        ({"code": ""}, "stale_code"),
        ({"code": "invented"}, "stale_code"),
    ],
)
def test_a_way_back_that_leads_nowhere_is_told(
    world: sandbox.World, config: MicrosoftConfig, params: dict[str, str], code: str
) -> None:
    world.outlook(REP)
    consent = begin_consent(config, BACK)
    given = params if code == "wrong_state" else {"state": consent.state} | params
    with pytest.raises(Reconnect) as caught:
        finish_consent(config, consent, given, BACK)
    assert caught.value.code == code
    if code == "admin_consent":
        assert "adminconsent?client_id=test-client" in caught.value.sentence


def test_a_code_is_used_once(world: sandbox.World, config: MicrosoftConfig) -> None:
    world.outlook(REP)
    consent = begin_consent(config, BACK)
    back = way_back(config, consent.url, choice=REP)
    finish_consent(config, consent, back, BACK)
    with pytest.raises(Reconnect) as caught:
        finish_consent(config, consent, back, BACK)
    assert caught.value.code == "stale_code"


CLAIMS = {
    "aud": "test-client",
    "iss": f"{LOGIN_ROOT}/6f1a3f3e-7c7f-4a39-9d0e-5b1f8f3c0a11/v2.0",
    "tid": "6f1a3f3e-7c7f-4a39-9d0e-5b1f8f3c0a11",
    "oid": "1",
    "exp": 4_000_000_000,
}


@pytest.mark.parametrize(
    ("change", "tenant", "error"),
    [
        ({}, "organizations", None),
        ({"aud": "another-app"}, "organizations", "id_token"),
        ({"aud": ["test-client", "x"]}, "organizations", None),
        (
            {"iss": "https://login.elsewhere.example/6f1a3f3e-7c7f-4a39-9d0e-5b1f8f3c0a11/v2.0"},
            "organizations",
            "id_token",
        ),
        ({"iss": f"{LOGIN_ROOT}/00000000-7c7f-4a39-9d0e-5b1f8f3c0a11/v2.0"}, "organizations", "id_token"),
        ({"tid": ""}, "organizations", "id_token"),
        ({"oid": None}, "organizations", "id_token"),
        ({"exp": 1}, "organizations", "clock_skew"),
        ({"exp": "soon"}, "organizations", "clock_skew"),
        ({}, "6f1a3f3e-7c7f-4a39-9d0e-5b1f8f3c0a11", None),
        ({}, "11111111-7c7f-4a39-9d0e-5b1f8f3c0a11", "other_tenant"),
        ({}, "consumers", "other_tenant"),
        ({"tid": grant.PERSONAL, "iss": f"{LOGIN_ROOT}/{grant.PERSONAL}/v2.0"}, "organizations", "other_tenant"),
        ({"tid": grant.PERSONAL, "iss": f"{LOGIN_ROOT}/{grant.PERSONAL}/v2.0"}, "common", None),
    ],
)
def test_the_id_token_is_looked_at(change: dict[str, Any], tenant: str, error: str | None) -> None:
    config = MicrosoftConfig("test-client", "s", tenant=tenant)
    if error is None:
        assert checked_claims({"id_token_claims": CLAIMS | change}, config)["oid"] == "1"
        return
    with pytest.raises(ConnectorError) as caught:
        checked_claims({"id_token_claims": CLAIMS | change}, config)
    assert caught.value.code == error


def test_an_answer_without_id_token_names_nobody() -> None:
    with pytest.raises(Reconnect):
        checked_claims({"access_token": "x"}, MicrosoftConfig("test-client", "s"))


RECONNECT, REFUSED, OPERATOR, LATER = Reconnect, Refused, OperatorFault, TryLater
TABLE: dict[int, tuple[type[ConnectorError], str]] = {
    **dict.fromkeys((700082, 70008, 700084), (RECONNECT, "grant_expired")),
    50173: (RECONNECT, "grant_revoked"),
    70043: (RECONNECT, "sign_in_frequency"),
    **dict.fromkeys((50076, 50079, 50074, 50072, 50078, 50158), (RECONNECT, "second_factor")),
    **dict.fromkeys((53000, 53001, 53003, 530035, 53004, 53011), (REFUSED, "conditional_access")),
    **dict.fromkeys((65001, 90008), (RECONNECT, "consent_missing")),
    65004: (RECONNECT, "declined"),
    **dict.fromkeys((90094, 90095), (RECONNECT, "admin_consent")),
    50105: (REFUSED, "not_assigned"),
    **dict.fromkeys((50057, 50034, 51004), (REFUSED, "user_disabled")),
    50020: (REFUSED, "other_tenant"),
    **dict.fromkeys((70000, 54005, 501481, 50089), (RECONNECT, "stale_code")),
    50011: (OPERATOR, "redirect_address"),
    **dict.fromkeys((7000215, 7000222, 70002), (OPERATOR, "invalid_client")),
    700027: (OPERATOR, "certificate_refused"),
    **dict.fromkeys((700016, 700011), (OPERATOR, "unknown_app")),
    90002: (OPERATOR, "unknown_tenant"),
    50194: (OPERATOR, "single_tenant"),
    50196: (LATER, "request_loop"),
    **dict.fromkeys((90033, 90024, 90055, 50033, 50000), (LATER, "token_endpoint")),
}


@pytest.mark.parametrize("number", sorted(TABLE))
def test_each_error_of_the_table_is_met_when_a_token_is_renewed(
    world: sandbox.World, outlook_link: OutlookLink, number: int
) -> None:
    world.microsoft.entra.refuse[REP] = number
    world.microsoft.entra.forget_access()
    kind, code = TABLE[number]
    with pytest.raises(ConnectorError) as caught:
        outlook_link.mailbox.count()
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert "AADSTS" not in caught.value.sentence and REP not in str(caught.value)
    if isinstance(caught.value, TryLater):
        assert caught.value.after >= (300 if number == 50196 else 1)
    if isinstance(caught.value, OperatorFault):
        assert caught.value.scope == "provider"


def test_the_table_covers_what_the_sandbox_can_say() -> None:
    assert set(AADSTS) - set(TABLE) <= {9001023, 70003, 1002012, 900144}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"error": "invalid_grant", "error_codes": [99999]}, Reconnect),
        ({"error": "invalid_grant", "error_codes": [99999], "suberror": "message_only"}, Refused),
        ({"error": "invalid_grant", "suberror": "consent_required"}, Reconnect),
        ({"error": "interaction_required"}, Reconnect),
        ({"error": "invalid_client"}, OperatorFault),
        ({"error": "never_heard_of", "error_codes": [1]}, TryLater),
        ({}, TryLater),
    ],
)
def test_an_unknown_number_is_read_by_its_error(answer: dict[str, Any], kind: type[ConnectorError]) -> None:
    assert type(token_fault(answer)) is kind


def test_a_second_factor_hands_on_what_it_demands(world: sandbox.World, outlook_link: OutlookLink) -> None:
    world.faults.add("F44", variant="mfa")
    world.microsoft.entra.forget_access()
    with pytest.raises(Reconnect) as caught:
        outlook_link.mailbox.count()
    assert "capolids" in json.loads(caught.value.claims)["access_token"]
    assert outlook_link.store.state().extra["claims"] == caught.value.claims
    consent = begin_consent(outlook_link.config, BACK, claims=caught.value.claims)
    claims = json.loads(parse_qs(urlsplit(consent.url).query)["claims"][0])
    assert "capolids" in claims["access_token"] and "xms_cc" in claims["access_token"]


@pytest.mark.parametrize(("variant", "after"), [("", 7), ("html", 5)])
def test_trouble_at_the_sign_in_is_no_refusal(
    world: sandbox.World, outlook_link: OutlookLink, variant: str, after: int
) -> None:
    world.microsoft.entra.forget_access()
    world.faults.add("F47", variant=variant, times=1)
    with pytest.raises(TryLater) as caught:
        outlook_link.mailbox.count()
    assert caught.value.after == after
    assert outlook_link.mailbox.count() == 0


def test_a_rotated_token_is_kept_and_the_old_one_goes_on(world: sandbox.World, outlook_link: OutlookLink) -> None:
    before = outlook_link.store.state()
    world.microsoft.entra.forget_access()
    world.faults.add("F48", times=1)
    with pytest.raises(TryLater):
        outlook_link.mailbox.count()
    assert outlook_link.mailbox.count() == 0
    after = outlook_link.store.state()
    assert after.access_token != before.access_token
    assert refresh_tokens(after) != refresh_tokens(before)


def refresh_tokens(state: GrantState) -> list[str]:
    cache = json.loads(state.extra["cache"])
    return [one["secret"] for one in cache["RefreshToken"].values()]


def test_eight_workers_make_one_token_call(world: sandbox.World, outlook_link: OutlookLink) -> None:
    stale = outlook_link.store.state().access_token
    world.microsoft.entra.forget_access()
    world.stats.record.clear()
    found: list[str] = []

    def renew() -> None:
        found.append(StoredTokens(outlook_link.config, outlook_link.store).renew(stale))

    threads = [threading.Thread(target=renew) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and found[0] != stale
    assert len(outlook_link.asked("entra.token")) == 1


def test_a_cached_refusal_is_asked_again_at_once(world: sandbox.World, outlook_link: OutlookLink) -> None:
    """msal keeps a refusal for a minute; "retry now" has to mean now."""
    world.microsoft.entra.refuse[REP] = 50173
    world.microsoft.entra.forget_access()
    with pytest.raises(Reconnect):
        outlook_link.mailbox.count()
    world.microsoft.entra.refuse.clear()
    assert outlook_link.mailbox.count() == 0


def test_a_token_refused_by_graph_is_renewed_once(world: sandbox.World, outlook_link: OutlookLink) -> None:
    world.faults.add("F50", times=1)
    assert outlook_link.mailbox.count() == 0
    assert len(outlook_link.asked("entra.token")) == 2
    world.faults.add("F50", times=None)
    with pytest.raises(TryLater) as caught:
        outlook_link.mailbox.count()
    assert caught.value.code == "unauthorized"
    assert len(outlook_link.asked("entra.token")) == 3


def test_graph_may_demand_claims(
    world: sandbox.World, outlook_link: OutlookLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    sent = EntraLine.post

    def post(self: EntraLine, url: str, params: Any = None, data: Any = None, headers: Any = None, **more: Any) -> Any:
        asked.append(str((data or {}).get("claims")))
        return sent(self, url, params, data, headers, **more)

    monkeypatch.setattr(EntraLine, "post", post)
    world.faults.add("F50", variant="claims", times=1)
    assert outlook_link.mailbox.count() == 0
    assert "capolids" in asked[0] and "CP1" in asked[0]


def test_an_account_that_was_disconnected_asks_nobody(world: sandbox.World, outlook_link: OutlookLink) -> None:
    outlook_link.store.save(GrantState())
    world.stats.record.clear()
    with pytest.raises(Reconnect) as caught:
        StoredTokens(outlook_link.config, outlook_link.store).access()
    assert caught.value.code == "no_grant"
    assert outlook_link.asked("entra.token") == []


def test_a_tenant_that_does_not_exist_is_the_operators(world: sandbox.World, config: MicrosoftConfig) -> None:
    with pytest.raises(OperatorFault) as caught:
        begin_consent(replace(config, tenant="nowhere.example"), BACK)
    assert caught.value.code == "unknown_tenant"


def test_no_secret_leaves_for_another_host(config: MicrosoftConfig) -> None:
    with pytest.raises(OperatorFault) as caught:
        EntraLine(config).post("https://login.elsewhere.example/token", data={"client_secret": "s"})
    assert caught.value.code == "foreign_host"


def test_roots_lead_to_microsoft_or_to_this_machine() -> None:
    for change in (
        {"graph_root": "https://graph.elsewhere.example/v1.0"},
        {"login_root": "https://login.elsewhere.example"},
    ):
        with pytest.raises(OperatorFault):
            _ = MicrosoftConfig(**change).graph, MicrosoftConfig(**change).login


def test_personal_and_other_accounts_are_told_apart(world: sandbox.World, config: MicrosoftConfig) -> None:
    world.outlook(COLLEAGUE)
    token = world.microsoft_refresh_token(COLLEAGUE)
    other = replace(config, tenant=world.outlook("zoe@stranger.example").tenant)
    with pytest.raises(Refused) as caught:
        grant.adopt_refresh_token(other, token)
    assert caught.value.code == "other_tenant"


def unsigned(claims: dict[str, Any]) -> str:
    """An ID token as a forger would write it."""

    def piece(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{piece({'alg': 'none'})}.{piece(claims)}."


def test_an_id_token_for_another_app_connects_nobody(
    world: sandbox.World, config: MicrosoftConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """msal lets it pass; we do not."""
    world.outlook(REP)
    entra = world.microsoft.entra
    monkeypatch.setattr(
        entra.signer, "sign", lambda claims: unsigned(claims | {"aud": "another-app", "exp": time.time() + 99})
    )
    with pytest.raises(Reconnect) as caught:
        grant.adopt_refresh_token(config, world.microsoft_refresh_token(REP))
    assert caught.value.code == "id_token"
