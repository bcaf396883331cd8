"""A whole team connected with one service account, from the key file to the first logged mail."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

import house as building
import sandbox
from models.account import Account, Source, disconnect_account
from models.interaction import Interaction
from models.keyring import Keyring
from models.service_key import ServiceKey
from models.user import User
from sandbox.delegation import ServiceAccount
from tests import support
from tests.journeys.door import Door, Said, door
from tests.support import BUYER, COLLEAGUE, REP
from tests.worker import scene

__all__ = ["door"]
DOMAIN, ADMIN, GONE = "acme.example", "ada@acme.example", "gus@acme.example"
GMAIL = "https://www.googleapis.com/auth/gmail.readonly"
NARROW = (
    GMAIL,
    "https://www.googleapis.com/auth/calendar.events.readonly",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
)
DIRECTORY = "https://www.googleapis.com/auth/admin.directory.user.readonly"


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    while scene.AT_WORK:
        scene.AT_WORK.pop().close()


@pytest.fixture
def robot(world: sandbox.World) -> ServiceAccount:
    """Acme has three people, one of them suspended, and lets the robot in."""
    for email in (REP, COLLEAGUE, GONE):
        world.mailbox(email, email.partition("@")[0].title() + " Acme")
    world.mailbox("zoe@elsewhere.example")
    world.mailbox(ADMIN, "Ada Admin")
    world.admins.add(ADMIN)
    world.suspended.add(GONE)
    return world.service_account(DOMAIN, scopes=(*NARROW, DIRECTORY))


@pytest.fixture
def key(robot: ServiceAccount, server: sandbox.Server, tmp_path: Path) -> Path:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(robot.info(f"{server.google_oauth_root}/token")))
    return path


def team(door: Door, key: Path, *more: str | Path) -> Said:
    return door("connect", "google", "--service-account", key, *more, "--json")


def rows(house: building.House, model: Any) -> list[Any]:
    with house.db.read() as session:
        return list(session.exec(select(model).order_by(model.id)).all())


def emails(report: Said, result: str) -> list[str]:
    return [one["email"] for one in report.json[result]]


def tokens(world: sandbox.World) -> list[Any]:
    return [seen for seen in world.stats.record if seen.operation == "oauth.token"]


def test_a_domain_is_connected_and_its_mail_is_logged(
    house: building.House, world: sandbox.World, door: Door, key: Path
) -> None:
    said = door("connect", "google", "--service-account", key, "--domain", DOMAIN, "--admin", ADMIN)
    assert said.status == 0, said
    assert "3 connected, 1 skipped, 0 refused" in said.out
    assert "suspended in Google Workspace" in said.out and "4 of 4" in said.err
    assert {row.email for row in rows(house, Account)} == {ADMIN, REP, COLLEAGUE}
    assert {row.name for row in rows(house, User)} == {"Ada Admin", "Rae Acme", "Col Acme"}
    scene.people(house)
    at = datetime.now(UTC) - timedelta(days=1)
    world.mailbox(REP).deliver(support.mail(BUYER, REP, "An offer", at=at), labels=["INBOX"])
    work = house.work()
    scene.AT_WORK.append(work)
    support.settle(work)
    assert [row.subject for row in rows(house, Interaction)] == ["An offer"]
    assert {row.refused for row in rows(house, Account)} == {""}
    asked = [seen for seen in world.stats.record if seen.operation.startswith(("gmail.", "calendar."))]
    assert asked and all(seen.quota_user for seen in asked if seen.operation != "batch")
    assert len({seen.quota_user for seen in asked if seen.quota_user}) == 3


def test_running_it_again_changes_nothing(house: building.House, door: Door, key: Path) -> None:
    first = team(door, key, REP, COLLEAGUE)
    again = team(door, key, REP, COLLEAGUE)
    assert first.status == again.status == 0
    assert [one["new"] for one in first.json["connected"]] == [True, True]
    assert [one["new"] for one in again.json["connected"]] == [False, False]
    assert [one["id"] for one in first.json["connected"]] == [one["id"] for one in again.json["connected"]]
    assert len(rows(house, Account)) == 2 and len(rows(house, ServiceKey)) == 1
    assert len([one for one in rows(house, Source) if one.kind == "directory"]) == 2


def test_the_key_lies_in_the_database_sealed_and_once(house: building.House, door: Door, key: Path) -> None:
    team(door, key, REP, COLLEAGUE)
    secret = json.loads(key.read_text())["private_key"].splitlines()[2]
    assert scene.places_of(house.db, secret) == []
    stored = rows(house, ServiceKey)[0]
    assert house.keyring.open_json(stored.sealed_key)["private_key"].splitlines()[2] == secret
    for account in rows(house, Account):
        opened = house.keyring.open_json(account.sealed_grant)
        assert opened["delegated_to"] == account.email and "key" not in opened and secret not in str(opened)


def test_addresses_come_from_a_file_each_with_its_reason(door: Door, key: Path, tmp_path: Path) -> None:
    listed = tmp_path / "team.txt"
    listed.write_text(f"# the sales team\n{REP}\n\n{REP.upper()}  # twice\nnobody\nghost@{DOMAIN}\n{GONE}\n")
    said = team(door, key, "--addresses", listed)
    assert said.status == 1 and emails(said, "connected") == [REP]
    reasons = {one["email"]: (one["code"], one["reason"]) for one in said.json["refused"]}
    assert reasons["nobody"] == ("invalid", "this is no e-mail address")
    assert reasons[f"ghost@{DOMAIN}"][0] == "user_unknown" and "no such user" in reasons[f"ghost@{DOMAIN}"][1]
    assert reasons[GONE][0] == "user_suspended" and "reactivate" in reasons[GONE][1]


def test_one_domain_without_delegation_leaves_the_other_connected(
    world: sandbox.World, door: Door, key: Path, robot: ServiceAccount
) -> None:
    said = team(door, key, REP, "zoe@elsewhere.example")
    assert said.status == 1 and emails(said, "connected") == [REP]
    refused = said.json["refused"][0]
    assert refused["code"] == "delegation_missing" and robot.client_id in refused["reason"]


def test_without_delegation_it_says_who_must_do_what(
    house: building.House, door: Door, key: Path, robot: ServiceAccount
) -> None:
    robot.allow(DOMAIN)
    said = team(door, key, REP, COLLEAGUE)
    assert said.status == 1 and said.out == ""
    for words in (robot.client_id, "Workspace administrator", "24 hours", ",".join(NARROW)):
        assert words in said.err
    assert rows(house, Account) == [] and rows(house, ServiceKey) == [] and rows(house, User) == []


@pytest.mark.parametrize(
    ("scopes", "able", "words"),
    [
        ((GMAIL, "https://www.googleapis.com/auth/calendar.readonly"), ["calendar", "mail"], ""),
        ((GMAIL,), ["mail"], "meetings will not be logged. The Workspace administrator can allow it."),
        (("https://www.googleapis.com/auth/calendar.readonly",), ["calendar"], "e-mails will not be logged"),
    ],
)
def test_less_than_asked_for_is_taken_and_told(
    door: Door, key: Path, robot: ServiceAccount, scopes: tuple[str, ...], able: list[str], words: str
) -> None:
    robot.allow(DOMAIN, *scopes)
    one = team(door, key, REP).json["connected"][0]
    assert one["capabilities"] == able
    assert words in " ".join(one["missing"]) and (bool(words) or not one["missing"])


def test_the_list_of_users_needs_an_administrator(
    world: sandbox.World, door: Door, key: Path, robot: ServiceAccount
) -> None:
    for more in ((), ("--admin", REP), ("--admin", f"ghost@{DOMAIN}")):
        said = team(door, key, "--domain", DOMAIN, *more)
        assert said.status == 1 and "Name an administrator" in said.err and DOMAIN in said.err
    world.admins.add(robot.email)
    assert team(door, key, "--domain", DOMAIN).status == 0
    said = team(door, key, "--domain", "nowhere.example", "--admin", ADMIN)
    assert said.status == 1 and "Google knows no domain nowhere.example" in said.err


def test_users_come_in_pages(world: sandbox.World, door: Door, key: Path) -> None:
    world.knobs.page_size = 1
    said = team(door, key, "--domain", DOMAIN, "--admin", ADMIN)
    assert len(said.json["connected"]) == 3 and emails(said, "skipped") == [GONE]


def test_whom_it_leaves_alone(house: building.House, world: sandbox.World, door: Door, key: Path) -> None:
    """Rae consented herself, Col has left: a domain touches neither, an address brings him back."""
    support.connect(house, world, REP)
    left = support.connect(house, world, COLLEAGUE)
    with house.db.write() as session:
        disconnect_account(session, session.get_one(Account, left.id), now=building.now())
    said = team(door, key, "--domain", DOMAIN, "--admin", ADMIN)
    reasons = {one["email"]: one["reason"] for one in said.json["skipped"]}
    assert said.status == 0 and emails(said, "connected") == [ADMIN]
    assert "own consent" in reasons[REP] and "disconnected it themselves" in reasons[COLLEAGUE]
    again = team(door, key, COLLEAGUE)
    assert [one["id"] for one in again.json["connected"]] == [left.id]


def test_who_waits_to_reconnect_is_taken_over(
    house: building.House, world: sandbox.World, door: Door, key: Path
) -> None:
    account = support.connect(house, world, REP)
    with house.db.write() as session:
        row = session.get_one(Account, account.id)
        row.refused, row.refused_sentence = "reconnect", "Please reconnect."
        session.add(row)
    assert [one["id"] for one in team(door, key, "--domain", DOMAIN, "--admin", ADMIN).json["connected"]][
        -1
    ] == account.id
    row = [one for one in rows(house, Account) if one.id == account.id][0]
    assert row.refused == "" and row.key_id is not None


def test_a_mailbox_stays_with_the_user_it_was_given_to(house: building.House, door: Door, key: Path) -> None:
    team(door, key, REP)
    other = support.person(house, COLLEAGUE)
    with house.db.write() as session:
        row = session.exec(select(Account)).one()
        row.user_id = other.id or 0
        session.add(row)
    assert team(door, key, REP).json["connected"][0]["user"] == COLLEAGUE
    assert [row.user_id for row in rows(house, Account)] == [other.id]


def test_an_api_that_is_off_is_said_once_and_connects_nobody(
    house: building.House, world: sandbox.World, door: Door, key: Path
) -> None:
    world.faults.add("F15")
    said = team(door, key, REP, COLLEAGUE)
    assert said.status == 1 and "Gmail API is not enabled" in said.err and said.err.count("not enabled") == 1
    assert rows(house, Account) == []


def test_rotating_the_sealing_key_takes_the_service_key_along(
    house: building.House, door: Door, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team(door, key, REP)
    monkeypatch.setenv("DEALTRAIL_SECRET_KEY", "a-newer-key-for-tests,a-key-for-tests-long-enough")
    assert door("key", "reseal").status == 0
    assert (
        Keyring(["a-newer-key-for-tests"]).open_json(rows(house, ServiceKey)[0].sealed_key)["type"] == "service_account"
    )


KEYS: dict[str, tuple[Any, str]] = {
    "no JSON": ("-----BEGIN", "not the key file of a service account"),
    "another kind": ({"type": "authorized_user"}, "not the key file of a service account"),
    "no client id": ({"client_id": ""}, "lacks client_id"),
    "a name for a number": ({"client_id": "robot"}, "no numeric client id"),
    "a foreign host": ({"token_uri": "https://evil.example/token"}, "another host"),
    "Google's host beside a sandbox": ({"token_uri": "https://oauth2.googleapis.com/token"}, "another host"),
    "a look-alike host": ({"token_uri": "http://127.0.0.1@evil.example/token"}, "another host"),
    "another cloud": ({"universe_domain": "evil.example"}, "another cloud"),
    "a damaged key": ({"private_key": "-----BEGIN PRIVATE KEY-----\nabc\n"}, "cannot be read"),
}


@pytest.mark.parametrize(("change", "words"), KEYS.values(), ids=KEYS)
def test_a_key_that_is_not_right_sends_nothing(
    house: building.House, world: sandbox.World, door: Door, key: Path, change: Any, words: str
) -> None:
    whole = json.loads(key.read_text())
    key.write_text(change if isinstance(change, str) else json.dumps(whole | change))
    said = team(door, key, REP)
    assert said.status == 1 and words in said.err and whole["private_key"][40:80] not in said.err
    assert tokens(world) == [] and rows(house, Account) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--domain", DOMAIN, REP], "Say whom to connect"),
        ([], "Say whom to connect"),
        (["--domain", "acme"], "is not a domain"),
        (["--addresses", "missing.txt"], "Cannot read missing.txt"),
        ([REP, "--user", COLLEAGUE], "leave --refresh-token-file and --user out"),
    ],
)
def test_what_does_not_go_together_is_said(door: Door, key: Path, arguments: list[str], words: str) -> None:
    said = team(door, key, *arguments)
    assert said.status == 1 and words in said.err and said.out == ""


def test_nobody_and_two_at_once_are_no_single_mailbox(door: Door, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    for arguments in ([], [REP, COLLEAGUE, "--refresh-token-file", str(token)], [REP], ["--domain", DOMAIN]):
        said = door("connect", "google", *arguments)
        assert said.status == 1 and "Name one mailbox" in said.err
