"""Mailboxes and people at the command line: who is refused, and when a command succeeds."""

from __future__ import annotations

from pathlib import Path

import house as building
import sandbox
from models.account import Account
from models.user import ApiKey, User
from tests import support
from tests.journeys.door import Door, Process, count, door, process
from tests.support import COLLEAGUE, REP

__all__ = ["door", "process"]


def test_a_token_s_file_must_hold_a_token(door: Door, house: building.House, tmp_path: Path) -> None:
    connect = ["connect", "google", REP, "--refresh-token-file"]
    door(*connect, "absent.txt").refuses("absent.txt", "No such file")
    door(*connect, str(tmp_path)).refuses(str(tmp_path), "Is a directory")
    for content, words in ((b" \n", "is empty"), (b"\xff\xfe\x00", "holds no text")):
        (tmp_path / "token").write_bytes(content)
        door(*connect, "token").refuses("token", words, "refresh token")
    assert (count(house, Account), count(house, User)) == (0, 0)


def test_a_token_that_google_does_not_know_is_refused(door: Door, house: building.House, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("1//invented")
    door("connect", "google", REP, "--refresh-token-file", "token").refuses("Google does not know", "reconnect")
    assert (count(house, Account), count(house, User)) == (0, 0)


def test_somebody_else_s_token_is_refused(
    door: Door, house: building.House, world: sandbox.World, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(world.refresh_token(COLLEAGUE))
    said = door("connect", "google", REP, "--refresh-token-file", "token")
    said.refuses(COLLEAGUE, f"not to {REP}", "Nothing was connected")
    assert (count(house, Account), count(house, User)) == (0, 0)


def test_a_mailbox_needs_a_client_of_the_team_s_own(door: Door, house: building.House, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("1//whatever")
    said = door("connect", "google", REP, "--refresh-token-file", "token", GOOGLE_CLIENT_ID="")
    said.refuses("DEALTRAIL_GOOGLE_CLIENT_ID", status=2)
    said = door(
        "connect", "google", REP, "--refresh-token-file", "token", GOOGLE_CLIENT_ID="x", GOOGLE_CLIENT_SECRET=""
    )
    said.refuses("DEALTRAIL_GOOGLE_CLIENT_SECRET", status=2)
    assert count(house, Account) == 0


def test_a_provider_that_is_none_is_refused_with_those_that_are(door: Door, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("1//whatever")
    door("connect", "yahoo", REP, "--refresh-token-file", "token").refuses("'yahoo'", "google")


def test_people_need_an_address_and_come_once(door: Door, house: building.House) -> None:
    door("user", "add", "rae at acme").refuses("'rae at acme' is not an e-mail address")
    door("key", "create", REP).refuses(f"no user {REP}", f"dealtrail user add {REP}")
    assert (count(house, User), count(house, ApiKey)) == (0, 0)
    assert door("user", "add", REP).status == 0
    door("user", "add", REP.upper()).refuses("is a user already")
    assert count(house, User) == 1


def test_there_is_nothing_to_sync_without_a_mailbox(door: Door) -> None:
    door("sync").refuses("no connected account", "dealtrail connect google EMAIL")
    door("sync", "--wait", "--account", REP).refuses(REP, "dealtrail connect google EMAIL")


def test_a_sync_succeeds_only_when_the_mailbox_was_read(
    process: Process, house: building.House, world: sandbox.World
) -> None:
    support.connect(house, world, REP)
    said = process("sync", "--wait")
    assert said.status == 0, said.err
    world.grants.kill(REP)
    world.grants.forget_access()
    said = process("sync", "--wait")
    assert said.status == 1
    assert "Traceback" not in said.err
    assert REP in said.err.splitlines()[-1] and "econnect" in said.err.splitlines()[-1]


def test_the_doctor_is_only_content_when_all_is_well(door: Door, house: building.House) -> None:
    said = door("doctor")
    assert said.status == 1 and "NO  users: none yet" in said.out
    support.person(house, REP)
    assert door("doctor").status == 0
    assert door("doctor", POLL_SECONDS="abc").status == 1
