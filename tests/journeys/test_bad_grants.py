"""Bad grants and bad answers: each has a sentence of its own that says who must do what, the same one on the account page and
in the command's output, and nothing is called synced that is not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest
from sqlmodel import col, select

import house as building
import sandbox
from enrol import enrol
from models.account import Account, Source, request_sync
from models.event import Event
from tests import support
from tests.journeys.door import Door, door
from tests.support import COLLEAGUE, REP
from tests.web import api, key_of, member, serving, signed_in
from tests.worker import scene

__all__ = ["door"]
PROJECT = "Google Cloud project"


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while scene.AT_WORK:
        scene.AT_WORK.pop().close()


@dataclass
class Stage:
    """Rae's account on the sandbox, by her own consent or by the team's service account."""

    house: building.House
    world: sandbox.World
    server: sandbox.Server
    folder: Path

    def consented(self) -> None:
        support.connect(self.house, self.world, REP)

    def team(self, *emails: str) -> None:
        for email in emails or (REP,):
            self.world.mailbox(email)
        robot = self.world.service_account("acme.example", "other.example")
        key = self.folder / "key.json"
        key.write_text(json.dumps(robot.info(f"{self.server.google_oauth_root}/token")))
        assert enrol("google", key, addresses=emails or (REP,), house=self.house)["ok"]

    def stale(self) -> None:
        """An hour later: the next look needs a new access token."""
        self.world.grants.forget_access()
        with self.house.db.write() as session:
            for account in session.exec(select(Account)):
                plain = self.house.keyring.open_json(account.sealed_grant)
                plain["expires_at"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
                account.sealed_grant = self.house.keyring.seal_json(plain)
                session.add(account)

    def work(self) -> None:
        work = self.house.work()
        scene.AT_WORK.append(work)
        support.settle(work)

    def accounts(self) -> dict[str, Account]:
        with self.house.db.read() as session:
            return {row.email: row for row in session.exec(select(Account))}


@pytest.fixture
def stage(house: building.House, world: sandbox.World, server: sandbox.Server, tmp_path: Path) -> Stage:
    return Stage(house, world, server, tmp_path)


def revoked(stage: Stage) -> None:
    stage.consented()
    stage.stale()
    stage.world.grants.kill(REP)


def expired(stage: Stage) -> None:
    stage.consented()
    stage.stale()
    stage.world.grants.refresh_seconds = 0.000001


def deleted(stage: Stage) -> None:
    stage.consented()
    stage.stale()
    stage.world.grants.kill(REP, "The account has been deleted")


def foreign(stage: Stage) -> None:
    stage.consented()
    stage.stale()
    stage.world.grants.by_refresh.clear()


def other_client(stage: Stage) -> None:
    stage.consented()
    stage.stale()
    stage.world.faults.add("F04", times=None)


def session_policy(stage: Stage) -> None:
    stage.consented()
    stage.stale()
    stage.world.faults.add("F03", times=None)


def unknown_client(stage: Stage) -> None:
    stage.consented()
    stage.stale()
    stage.world.faults.add("F05", times=None)


def deleted_client(stage: Stage) -> None:
    stage.consented()
    stage.stale()
    stage.world.faults.add("F05", variant="deleted_client", times=None)


def no_delegation(stage: Stage) -> None:
    stage.team()
    stage.stale()
    stage.world.delegation.account().allow("acme.example")


def wrong_clock(stage: Stage) -> None:
    stage.team()
    stage.stale()
    stage.world.clock.advance(7_200)


def suspended(stage: Stage) -> None:
    stage.team()
    stage.stale()
    stage.world.suspended.add(REP)


def unknown_user(stage: Stage) -> None:
    stage.team()
    stage.stale()
    del stage.world.mailboxes[REP]


def not_enabled(stage: Stage) -> None:
    stage.consented()
    stage.world.faults.add("F15", times=None)


def sick_sign_in(stage: Stage) -> None:
    stage.consented()
    stage.stale()
    stage.world.faults.add("F02", times=None)


def no_json(stage: Stage) -> None:
    stage.consented()
    stage.world.faults.add("F28", operation="gmail.*", times=None)


def cut_off(stage: Stage) -> None:
    stage.consented()
    stage.world.faults.add("F29", operation="gmail.getProfile", times=None)


CASES: dict[str, tuple[Callable[[Stage], None], str, tuple[str, ...]]] = {
    "a withdrawn consent": (revoked, "reconnect", ("withdrawn", "Please reconnect")),
    "a consent that ran out": (expired, "reconnect", ("run out", "Please reconnect")),
    "a deleted account": (deleted, "reconnect", ("account was deleted", "reconnect it")),
    "a foreign token": (foreign, "reconnect", ("given to another app", "Please reconnect from here")),
    "a session policy": (session_policy, "reconnect", ("session policy", "an administrator can exempt")),
    "another client's tokens": (other_client, "operator", ("another OAuth client", "GOOGLE_CLIENT_ID")),
    "an unknown client": (unknown_client, "operator", ("does not know the OAuth client", "GOOGLE_CLIENT_SECRET")),
    "a deleted client": (deleted_client, "operator", ("client was deleted", "Restore it")),
    "no delegation": (
        no_delegation,
        "operator",
        ("Workspace administrator", "24 hours", "gmail.readonly", "client id 1"),
    ),
    "a wrong clock": (wrong_clock, "operator", ("clock is wrong", "NTP")),
    "a suspended user": (suspended, "blocked", ("suspended in Google Workspace", "administrator can reactivate")),
    "an unknown user": (unknown_user, "blocked", ("no such user", "administrator can check")),
    "an API that is off": (not_enabled, "operator", ("Gmail API is not enabled", PROJECT, "must enable it")),
    "a sick sign-in": (sick_sign_in, "", ("sign-in is not answering", "we try again")),
    "no JSON": (no_json, "", ("was not what it should be", "we try again")),
    "an answer cut off": (cut_off, "", ("broke off in the middle", "asked for again")),
}


@pytest.mark.parametrize(("begin", "refused", "words"), CASES.values(), ids=CASES)
def test_each_says_who_must_do_what_on_the_page_and_in_the_command(
    stage: Stage, door: Door, begin: Callable[[Stage], None], refused: str, words: tuple[str, ...]
) -> None:
    begin(stage)
    stage.work()
    member(stage.house, REP)
    account = stage.accounts()[REP]
    assert account.refused == refused
    said = door("sync", "--account", REP)
    with serving(stage.house) as base, closing(signed_in(base, REP)) as client:
        page = unescape(client.get("/accounts").text)
    for word in words:
        assert word in said.out and word in page, (word, said.out)
    assert ("up to date" in page, "Up to date" in said.out) == (False, False)
    assert ("Reconnect</button>" in page) == (refused == "reconnect")
    with stage.house.db.read() as session:
        assert not any(source.synced_at or source.cursor for source in session.exec(select(Source)))
        told = session.exec(select(Event.kind).where(Event.kind == "account.needs_reconnect")).all()
    assert len(told) == (refused == "reconnect")


def test_no_two_cases_share_a_sentence() -> None:
    """But for a consent that was withdrawn or ran out: Google says the same of both."""
    sentences = [words for name, (_, _, words) in CASES.items() if name != "a consent that ran out"]
    assert len(set(sentences)) == len(sentences)


def test_a_calendar_that_is_no_longer_shared_is_told_beside_the_rest(stage: Stage, door: Door) -> None:
    stage.consented()
    stage.work()
    with stage.house.db.write() as session:
        source = session.exec(select(Source).where(Source.kind == "calendar")).one()
        source.next_sync_at = building.now()
        session.add(source)
    stage.world.faults.add("F38", times=None)
    stage.work()
    member(stage.house, REP)
    with serving(stage.house) as base, closing(signed_in(base, REP)) as client:
        page = unescape(client.get("/accounts").text)
    said = door("sync", "--account", REP)
    for text in (page, said.out):
        assert "no longer shared with you" in text and "its owner can share it again" in text
    assert stage.accounts()[REP].refused == ""


def test_the_connecting_command_says_the_same(stage: Stage, door: Door, tmp_path: Path) -> None:
    token, key = tmp_path / "token", tmp_path / "key.json"
    token.write_text("1//made-up")
    said = door("connect", "google", REP, "--refresh-token-file", token)
    assert said.status == 1 and "given to another app" in said.err
    token.write_text(stage.world.refresh_token(COLLEAGUE))
    said = door("connect", "google", REP, "--refresh-token-file", token)
    assert said.status == 1 and f"belongs to {COLLEAGUE}, not to {REP}" in said.err
    stage.world.grants.kill(COLLEAGUE)
    said = door("connect", "google", COLLEAGUE, "--refresh-token-file", token)
    assert said.status == 1 and "withdrawn or has run out" in said.err
    stage.world.mailbox(REP)
    robot = stage.world.service_account("acme.example")
    key.write_text(json.dumps(robot.info(f"{stage.server.google_oauth_root}/token")))
    stage.world.clock.advance(7_200)
    said = door("connect", "google", "--service-account", key, REP)
    assert said.status == 1 and "clock is wrong" in said.err
    stage.world.clock.advance(-7_200)
    robot.allow("acme.example")
    said = door("connect", "google", "--service-account", key, REP)
    assert said.status == 1 and robot.client_id in said.err and "24 hours" in said.err
    stage.world.faults.add("F02", times=None)
    said = door("connect", "google", "--service-account", key, REP)
    assert said.status == 1 and "sign-in is not answering" in said.out
    assert stage.accounts() == {}


def test_an_operators_fault_pauses_the_key_and_tells_nobody_to_reconnect(stage: Stage) -> None:
    """Rae and Col hang on the key, Zoe consented herself."""
    stage.team(REP, COLLEAGUE)
    support.connect(stage.house, stage.world, "zoe@acme.example")
    stage.stale()
    stage.world.clock.advance(7_200)
    stage.work()
    found = stage.accounts()
    assert {email: row.refused_code for email, row in found.items()} == {
        REP: "clock_skew",
        COLLEAGUE: "clock_skew",
        "zoe@acme.example": "",
    }
    assert {row.refused for row in found.values()} == {"operator", ""}
    before = len(stage.world.stats.record)
    stage.work()
    assert len(stage.world.stats.record) == before
    stage.world.clock.advance(-7_200)
    with stage.house.db.write() as session:
        request_sync(session, found[REP].id or 0, now=building.now())
    stage.work()
    assert {row.refused for row in stage.accounts().values()} == {""}, "one that works again wakes the others"


def test_a_domain_that_withdraws_its_delegation_pauses_that_domain(stage: Stage) -> None:
    stage.team(REP, COLLEAGUE, "ona@other.example")
    stage.work()
    stage.stale()
    stage.world.delegation.account().allow("acme.example")
    with stage.house.db.write() as session:
        for account in session.exec(select(Account)).all():
            request_sync(session, account.id or 0, now=building.now())
    stage.work()
    refused = {email: row.refused_code for email, row in stage.accounts().items()}
    assert refused == {REP: "delegation_missing", COLLEAGUE: "delegation_missing", "ona@other.example": ""}


def test_a_client_that_is_unknown_leaves_those_who_must_reconnect_where_they_are(stage: Stage) -> None:
    for email in (REP, COLLEAGUE):
        support.connect(stage.house, stage.world, email)
    with stage.house.db.write() as session:
        row = session.exec(select(Account).where(col(Account.email) == COLLEAGUE)).one()
        row.refused, row.refused_sentence, row.refused_code = "reconnect", "Please reconnect.", "invalid_grant"
        session.add(row)
    stage.stale()
    stage.world.faults.add("F05", times=None)
    stage.work()
    assert {email: row.refused for email, row in stage.accounts().items()} == {REP: "operator", COLLEAGUE: "reconnect"}


def test_what_the_service_account_may_not_read_is_the_administrators_to_mend(stage: Stage) -> None:
    stage.team(REP, COLLEAGUE)
    stage.world.faults.add("F14", account=REP, times=None)
    stage.work()
    found = stage.accounts()
    assert (found[REP].refused, found[COLLEAGUE].refused) == ("blocked", "")
    assert "administrator must allow" in found[REP].refused_sentence and "reconnect" not in found[REP].refused_sentence


def test_the_api_tells_the_same(stage: Stage) -> None:
    revoked(stage)
    stage.work()
    with serving(stage.house) as base, closing(api(base, key_of(stage.house, REP))) as client:
        answer: httpx.Response = client.get("/accounts")
    one = answer.json()["items"][0]
    assert one["state"] == "reconnect" and "Please reconnect" in one["sentence"]
