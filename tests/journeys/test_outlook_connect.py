"""Connecting Microsoft: through the page, by a token, and a whole tenant by application permissions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from sqlmodel import select

import house as building
import sandbox
from connectors.microsoft.config import LOGIN_ROOT
from models.account import Account, Source
from models.interaction import Interaction
from models.service_key import ServiceKey
from sandbox.microsoft.entra import READING
from sandbox.microsoft.forms import tenant_of
from tests import support
from tests.journeys.door import Door, door
from tests.support import BUYER, COLLEAGUE, REP, mail
from tests.web import member, serving, signed_in
from tests.worker import scene

__all__ = ["door"]
GONE, SHARED, BARE = "gus@acme.example", "sales@acme.example", "nina@acme.example"


@pytest.fixture
def environment(environment: dict[str, str], server: sandbox.Server) -> dict[str, str]:
    """With Microsoft's settings."""
    given = support.outlook_settings(server)
    return environment | {f"DEALTRAIL_{name.upper()}": str(value) for name, value in given.items()}


@pytest.fixture
def outlook_house(make_house: Callable[..., building.House], server: sandbox.Server) -> Iterator[building.House]:
    yield make_house(**support.outlook_settings(server))
    while scene.AT_WORK:
        scene.AT_WORK.pop().close_all()


def worker(house: building.House) -> Any:
    scene.AT_WORK.append(house.work())
    return scene.AT_WORK[-1]


def accounts(house: building.House) -> list[Account]:
    with house.db.read() as session:
        return list(session.exec(select(Account).order_by(Account.email)).all())


# ---- one person


def at_microsoft(server: sandbox.Server, address: str, choice: str) -> str:
    """Say yes on Microsoft's page; where the browser is sent back to."""
    assert address.startswith(f"{LOGIN_ROOT}/organizations/oauth2/v2.0/authorize?")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    place = server.microsoft_login_root + address.partition("?")[0].removeprefix(LOGIN_ROOT)
    return httpx.post(place, data=asked | {"choice": choice}, timeout=10).headers["location"]


def test_a_rep_connects_outlook_through_the_page(
    outlook_house: building.House, world: sandbox.World, server: sandbox.Server
) -> None:
    world.outlook(REP).deliver(mail(BUYER, REP, "Windmill", "How much is it?"), "inbox")
    scene.people(outlook_house)
    member(outlook_house, REP)
    with serving(outlook_house) as base, closing(signed_in(base, REP)) as client:
        page = client.get("/accounts").text
        assert "Connect Microsoft" in page
        asked = client.post("/connect/microsoft", follow_redirects=False)
        back = urlsplit(at_microsoft(server, asked.headers["location"], REP))
        done = client.get(f"{back.path}?{back.query}")
        assert f"{REP} is connected" in done.text
        again = client.get(f"{back.path}?{back.query}")
        assert again.status_code == 403
        support.settle(worker(outlook_house))
        (account,) = accounts(outlook_house)
        left = client.post(f"/accounts/{account.id}/disconnection", data={"withdraw": "yes"})
        assert "myapplications.microsoft.com" in left.text
    with outlook_house.db.read() as session:
        assert [row.subject for row in session.exec(select(Interaction)).all()] == ["Windmill"]


def test_a_second_factor_is_asked_for_in_the_next_sign_in(
    outlook_house: building.House, world: sandbox.World, server: sandbox.Server
) -> None:
    world.outlook(REP)
    member(outlook_house, REP)
    support.connect_outlook(outlook_house, world, REP)
    work = worker(outlook_house)
    support.settle(work)
    world.faults.add("F44", variant="mfa")
    world.microsoft.entra.forget_access()
    support.poll(work)
    (account,) = accounts(outlook_house)
    assert (account.refused, account.refused_code) == ("reconnect", "second_factor")
    world.faults.clear()
    with serving(outlook_house) as base, closing(signed_in(base, REP)) as client:
        asked = client.post("/connect/microsoft", data={"account_id": account.id}, follow_redirects=False)
        address = asked.headers["location"]
        assert "capolids" in parse_qs(urlsplit(address).query)["claims"][0]
        back = urlsplit(at_microsoft(server, address, REP))
        assert "is connected" in client.get(f"{back.path}?{back.query}").text
    support.settle(work)
    (account,) = accounts(outlook_house)
    assert account.refused == ""
    assert "claims" not in outlook_house.keyring.open_json(account.sealed_grant)["extra"]


def test_where_an_administrator_has_to_consent_nothing_is_connected_and_the_page_says_where(
    outlook_house: building.House,
    world: sandbox.World,
    server: sandbox.Server,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """F45 at the authorize page: AADSTS90094 comes back in place of a code."""
    world.outlook(REP)
    member(outlook_house, REP)
    world.faults.add("F45", variant="admin")
    with serving(outlook_house) as base, closing(signed_in(base, REP)) as client:
        asked = client.post("/connect/microsoft", follow_redirects=False)
        back = urlsplit(at_microsoft(server, asked.headers["location"], REP))
        assert parse_qs(back.query)["error"] == ["access_denied"]
        said = client.get(f"{back.path}?{back.query}").text
        assert "adminconsent?client_id=test-client" in said and "administrator" in said
        assert client.get(f"{back.path}?{back.query}").status_code == 403, "an answer counts once"
    assert accounts(outlook_house) == []
    asked_for = {seen.operation for seen in world.stats.record}
    assert "entra.token" not in asked_for and not any(one.startswith("graph.") for one in asked_for)
    assert parse_qs(back.query)["state"][0] not in "".join(capfd.readouterr())
    world.faults.clear()
    with serving(outlook_house) as base, closing(signed_in(base, REP)) as client:
        asked = client.post("/connect/microsoft", follow_redirects=False)
        back = urlsplit(at_microsoft(server, asked.headers["location"], REP))
        assert f"{REP} is connected" in client.get(f"{back.path}?{back.query}").text


def test_a_wrong_secret_pauses_all_and_tells_nobody_to_reconnect(
    outlook_house: building.House, world: sandbox.World
) -> None:
    for email in (REP, COLLEAGUE):
        world.outlook(email)
        support.connect_outlook(outlook_house, world, email)
    work = worker(outlook_house)
    support.settle(work)
    world.faults.add("F46")
    world.microsoft.entra.forget_access()
    support.poll(work)
    assert {(one.refused, one.refused_code) for one in accounts(outlook_house)} == {("operator", "invalid_client")}
    world.faults.clear()
    support.settle(work, ahead=timedelta(hours=2))
    assert {one.refused for one in accounts(outlook_house)} == {""}


def test_one_mailbox_is_connected_by_a_token(
    door: Door, outlook_house: building.House, world: sandbox.World, tmp_path: Path
) -> None:
    world.outlook(REP)
    file = tmp_path / "token"
    file.write_text(world.microsoft_refresh_token(REP))
    said = door("connect", "microsoft", REP, "--refresh-token-file", file, "--json")
    assert said.status == 0, said.err
    assert (said.json["email"], said.json["capabilities"]) == (REP, ["calendar", "mail"])
    assert file.read_text() not in said.out + said.err
    other = door("connect", "microsoft", COLLEAGUE, "--refresh-token-file", file)
    assert other.status == 1 and "belongs to" in other.err


def test_a_shared_mailbox_is_read_beside_ones_own(
    door: Door, outlook_house: building.House, world: sandbox.World, server: sandbox.Server, tmp_path: Path
) -> None:
    for number, email in enumerate((REP, SHARED)):
        world.outlook(email).deliver(
            mail(BUYER, email, f"Windmill {number}", "How much?", message_id=f"w{number}@x.example"), "inbox"
        )
    file = tmp_path / "token"
    file.write_text(world.microsoft_refresh_token(REP, (*READING, "Mail.Read.Shared")))
    run = ("connect", "microsoft", REP, "--refresh-token-file", file, "--shared", SHARED)
    refused = door(*run)
    assert refused.status == 1 and f"does not let this account read {SHARED}" in refused.err
    world.outlook(SHARED).share_with(REP)
    assert door(*run).status == 0
    scene.people(outlook_house)
    work = worker(outlook_house)
    support.settle(work)
    with outlook_house.db.read() as session:
        found = session.exec(select(Interaction.subject).where(Interaction.kind == "email")).all()
        assert sorted(found) == ["Windmill 0", "Windmill 1"]
        sources = session.exec(select(Source.external_id).where(Source.kind == "mail")).all()
        assert sorted(sources) == ["me", SHARED]
    (account,) = accounts(outlook_house)
    member(outlook_house, REP)
    with serving(outlook_house) as base, closing(signed_in(base, REP)) as client:
        asked = client.post("/connect/microsoft", data={"account_id": account.id}, follow_redirects=False)
        address = asked.headers["location"]
        assert "Mail.Read.Shared" in parse_qs(urlsplit(address).query)["scope"][0]
        back = urlsplit(at_microsoft(server, address, REP))
        assert "is connected" in client.get(f"{back.path}?{back.query}").text
    (account,) = accounts(outlook_house)
    assert outlook_house.keyring.open_json(account.sealed_grant)["extra"]["shared"] == [SHARED]


def test_gmail_shares_no_mailbox(door: Door, world: sandbox.World, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(world.refresh_token(REP))
    said = door("connect", "google", REP, "--refresh-token-file", file, "--shared", SHARED)
    assert said.status == 1 and "shares no mailboxes" in said.err


# ---- a whole tenant


@pytest.fixture
def acme(world: sandbox.World) -> sandbox.World:
    """Two reps, one who left, one without a licence; their administrator allowed the app."""
    for email in (REP, COLLEAGUE, GONE):
        world.outlook(email, email.partition("@")[0].title() + " Acme")
    world.outlook(BARE, "Nina Newcomer", licensed=False)
    world.outlook("zoe@elsewhere.example")
    world.microsoft.entra.disabled.add(GONE)
    world.microsoft.entra.allow("acme.example")
    return world


def certificate(days: int = 700) -> tuple[str, str]:
    """PEM of a private key and of its certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dealtrail")])
    begin = datetime.now(UTC) - timedelta(days=800)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(7).not_valid_before(begin).not_valid_after(begin + timedelta(days=days + 700))
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
    return private, built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_tenant_is_connected_by_a_certificate(
    door: Door, outlook_house: building.House, acme: sandbox.World, tmp_path: Path
) -> None:
    private, public = certificate()
    acme.microsoft.entra.register("test-client", certificate=public)
    acme.outlook(COLLEAGUE).deliver(mail(BUYER, COLLEAGUE, "Windmill", "How much is it?"), "inbox")
    file = tmp_path / "app.pem"
    file.write_text(f"{private}\n{public}")
    run = ("connect", "microsoft", "--tenant", tenant_of("acme.example"), "--certificate-file", file)
    said = door(*run, "--domain", "acme.example", "--json")
    assert said.status == 0, said.err
    assert [one["email"] for one in said.json["connected"]] == [COLLEAGUE, REP]
    reasons = {one["email"]: one["reason"] for one in said.json["skipped"]}
    assert "disabled" in reasons[GONE] and "licence" in reasons[BARE]
    assert private not in said.out + said.err
    scene.people(outlook_house)
    support.settle(worker(outlook_house))
    with outlook_house.db.read() as session:
        assert [row.subject for row in session.exec(select(Interaction)).all()] == ["Windmill"]
        (key,) = session.exec(select(ServiceKey)).all()
        assert private.encode() not in key.sealed_key
        assert {account.key_id for account in session.exec(select(Account)).all()} == {key.id}
        errors = session.exec(select(Source.error).where(Source.kind == "mail")).all()
        assert set(errors) == {""}
    assert door(*run, "--domain", "acme.example", "--json").json["connected"][0]["new"] is False


def test_a_tenant_is_connected_by_a_secret_and_its_domains_name(
    door: Door, outlook_house: building.House, acme: sandbox.World
) -> None:
    said = door("connect", "microsoft", REP, BARE, "who@acme.example", "--tenant", "acme.example", "--json")
    assert said.status == 1
    assert [one["email"] for one in said.json["connected"]] == [REP]
    codes = {one["email"]: one["code"] for one in said.json["refused"]}
    assert codes == {BARE: "mailbox_unavailable", "who@acme.example": "user_unknown"}
    (account,) = accounts(outlook_house)
    box = acme.outlook(REP)
    assert account.subject == f"{box.oid}.{box.tenant}"


def test_a_shared_mailbox_is_connected_by_its_address(
    door: Door, outlook_house: building.House, acme: sandbox.World
) -> None:
    acme.outlook(SHARED, "Sales").purpose = "shared"
    acme.outlook(SHARED).deliver(mail(BUYER, SHARED, "Windmill", "How much is it?"), "inbox")
    said = door("connect", "microsoft", SHARED, "--tenant", "acme.example", "--json")
    assert said.status == 0, said.err
    scene.people(outlook_house)
    support.settle(worker(outlook_house))
    with outlook_house.db.read() as session:
        assert [row.subject for row in session.exec(select(Interaction)).all()] == ["Windmill"]


def test_a_policy_that_keeps_apps_out_is_that_mailboxs_matter(
    door: Door, outlook_house: building.House, acme: sandbox.World
) -> None:
    acme.outlook(REP).blocked = True
    said = door("connect", "microsoft", REP, COLLEAGUE, "--tenant", "acme.example", "--json")
    assert [one["email"] for one in said.json["connected"]] == [COLLEAGUE]
    assert [one["code"] for one in said.json["refused"]] == ["blocked_by_admin"]


@pytest.mark.parametrize(
    ("tenant", "word"),
    [("stranger.example", "admin consent"), ("organizations", "Which organisation"), ("no such", "Which organisation")],
)
def test_a_tenant_that_does_not_let_us_in_connects_nobody(
    door: Door, outlook_house: building.House, acme: sandbox.World, tenant: str, word: str
) -> None:
    acme.outlook("zoe@stranger.example")
    said = door("connect", "microsoft", "zoe@stranger.example", "--tenant", tenant)
    assert said.status == 1 and word in said.err
    assert accounts(outlook_house) == []


def test_a_certificate_file_that_is_none_is_told(door: Door, acme: sandbox.World, tmp_path: Path) -> None:
    private, public = certificate()
    other, _ = certificate()
    expired = certificate(days=90)
    bad = {
        "empty": "",
        "half": public,
        "foreign": f"{other}{public}",
        "old": "".join(expired),
        "torn": f"{private[:200]}\n-----END PRIVATE KEY-----\n{public}",
    }
    for name, text in bad.items():
        file = tmp_path / name
        file.write_text(text or " ")
        said = door("connect", "microsoft", REP, "--tenant", "acme.example", "--certificate-file", file)
        assert said.status == 1, name
        assert "certificate" in said.err.lower(), (name, said.err)
        assert private[100:160] not in said.err


def test_the_key_that_was_taken_back_pauses_the_team(
    door: Door, outlook_house: building.House, acme: sandbox.World
) -> None:
    assert door("connect", "microsoft", REP, COLLEAGUE, "--tenant", "acme.example").status == 0
    work = worker(outlook_house)
    support.settle(work)
    acme.microsoft.entra.register("test-client", "another secret")
    acme.microsoft.entra.forget_access()
    support.poll(work)
    found = {(one.refused, one.refused_code) for one in accounts(outlook_house)}
    assert found == {("operator", "key_refused")}


def test_options_that_do_not_fit_together_are_told(door: Door, tmp_path: Path) -> None:
    for line in (
        ("connect", "google", REP, "--tenant", "acme.example"),
        ("connect", "microsoft", REP, "--certificate-file", tmp_path / "x"),
        ("connect", "microsoft", "--tenant", "acme.example"),
    ):
        assert door(*line).status == 1
