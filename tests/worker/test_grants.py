"""One token call however many workers want one, in one process and in several; what is newer is never overwritten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

import house as building
import sandbox
from connectors.base import GrantState
from connectors.errors import Reconnect, TryLater
from enrol import enrol
from models.account import Account, connect_account, disconnect_account, lease_owner
from models.db import Database
from models.keyring import Keyring
from models.user import find_user
from tests import support
from tests.models.cast import member
from tests.support import REP
from worker import grants
from worker.grants import SealedGrant

ROOT = Path(__file__).parents[2]
WORKERS = 8
PROCESS = """
import sys, threading, time
import house
from sqlmodel import select
from models.account import Account
opened = house.open_house()
work = opened.work()
with opened.db.read() as session:
    account = session.exec(select(Account)).one()
def ask():
    connection = work.connection(account.id, account.provider, account.email)
    sys.stdin.readline() if threading.current_thread().name == "0" else go.wait()
    go.set()
    connection.identity()
    connection.close()
go = threading.Event()
threads = [threading.Thread(target=ask, name=str(n)) for n in range(4)]
[t.start() for t in threads]
print("ready", flush=True)
[t.join() for t in threads]
print("done", flush=True)
"""


@pytest.fixture
def any_house(any_url: str, make_house: Callable[..., building.House]) -> building.House:
    """A house on SQLite and on Postgres."""
    return make_house(database_url=any_url)


def expire(house: building.House) -> None:
    """Every access token is over, as after an hour."""
    with house.db.write() as session:
        for account in session.exec(select(Account)):
            plain = house.keyring.open_json(account.sealed_grant)
            plain |= {"expires_at": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
            account.sealed_grant = house.keyring.seal_json(plain)
            session.add(account)


def stored(house: building.House) -> dict[str, Any]:
    with house.db.read() as session:
        return house.keyring.open_json(session.exec(select(Account)).one().sealed_grant)


def token_calls(world: sandbox.World) -> int:
    return sum(seen.operation == "oauth.token" for seen in world.stats.record)


def together(count: int, act: Callable[[], Any]) -> list[Any]:
    """The same by many threads at the same moment."""
    gate = threading.Barrier(count)

    def one() -> Any:
        gate.wait(10)
        return act()

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(one) for _ in range(count)]]


def ask(work: Any, account: Account) -> str:
    connection = work.connection(account.id or 0, account.provider, account.email)
    try:
        return connection.identity().email
    finally:
        work.forget(account.id or 0)


def test_eight_workers_at_once_make_one_token_call(any_house: building.House, world: sandbox.World) -> None:
    account = support.connect(any_house, world, REP)
    expire(any_house)
    world.knobs.latency = 0.02
    before, work = token_calls(world), any_house.work()
    assert together(WORKERS, lambda: ask(work, account)) == [REP] * WORKERS
    assert token_calls(world) - before == 1
    assert stored(any_house)["expires_at"] > datetime.now(UTC).isoformat()


def test_eight_whose_token_is_refused_make_one_token_call(house: building.House, world: sandbox.World) -> None:
    """The token looks good here and is dead there: all of them get 401 at once."""
    account = support.connect(house, world, REP)
    before, work = token_calls(world), house.work()
    world.grants.forget_access()
    assert together(WORKERS, lambda: ask(work, account)) == [REP] * WORKERS
    assert token_calls(world) - before == 1


def test_processes_on_one_database_make_one_token_call(
    any_house: building.House, any_url: str, world: sandbox.World, server: sandbox.Server, tmp_path: Path
) -> None:
    support.connect(any_house, world, REP)
    expire(any_house)
    world.knobs.latency = 0.02
    before = token_calls(world)
    chosen = support.settings(tmp_path / "data", server, database_url=any_url, secret_key="a-key-for-tests-long-enough")
    settings = {f"DEALTRAIL_{name.upper()}": str(value) for name, value in chosen.items() if name != "_env_file"}
    settings |= {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS], env=settings, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in running:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=30)[0] for process in running] == ["done\n"] * 2
    assert token_calls(world) - before == 1


def test_eight_by_a_service_account_make_one_assertion(
    house: building.House, world: sandbox.World, server: sandbox.Server, tmp_path: Path
) -> None:
    world.mailbox(REP)
    robot = world.service_account("acme.example")
    (tmp_path / "key.json").write_text(json.dumps(robot.info(f"{server.google_oauth_root}/token")))
    enrol("google", tmp_path / "key.json", addresses=[REP], house=house)
    with house.db.read() as session:
        account = session.exec(select(Account)).one()
    expire(house)
    before, work = token_calls(world), house.work()
    assert together(WORKERS, lambda: ask(work, account)) == [REP] * WORKERS
    assert token_calls(world) - before == 1


def test_a_rotated_refresh_token_is_kept_each_time(any_house: building.House, world: sandbox.World) -> None:
    account = support.connect(any_house, world, REP)
    world.grants.rotate = True
    work, seen = any_house.work(), [stored(any_house)["refresh_token"]]
    for _ in range(3):
        expire(any_house)
        assert ask(work, account) == REP
        seen.append(stored(any_house)["refresh_token"])
    assert len(set(seen)) == 4


def test_rotated_under_eight_at_once_the_newest_is_kept(house: building.House, world: sandbox.World) -> None:
    """F48: had two of them refreshed, one would now hold a dead token."""
    account = support.connect(house, world, REP)
    world.grants.rotate = True
    work = house.work()
    for _ in range(3):
        expire(house)
        assert together(WORKERS, lambda: ask(work, account)) == [REP] * WORKERS
    assert not world.grants.by_refresh[stored(house)["refresh_token"]].died


@pytest.fixture
def sealed(any_db: Database, keyring: Keyring) -> Iterator[tuple[SealedGrant, int]]:
    with any_db.write() as session:
        account_id = _consented(session, keyring, "first").id or 0
    yield SealedGrant(any_db, keyring, account_id, now=building.now), account_id


def _consented(session: Any, keyring: Keyring, refresh_token: str) -> Account:
    member(session, REP)
    user = find_user(session, REP)
    assert user is not None
    return connect_account(
        session,
        user_id=user.id or 0,
        provider="google",
        subject="1",
        email=REP,
        addresses=[REP],
        capabilities=["mail"],
        missing=[],
        sealed_grant=keyring.seal_json(GrantState(refresh_token=refresh_token).to_plain()),
        visibility="full",
        now=building.now(),
    )


def test_a_consent_given_meanwhile_outlives_the_refresh_of_the_old_one(
    any_db: Database, keyring: Keyring, sealed: tuple[SealedGrant, int]
) -> None:
    store, _ = sealed
    with store.exclusive() as state:
        with any_db.write() as session:
            _consented(session, keyring, "second")
        state.access_token = "late"
        store.save(state)
    assert store.state() == GrantState(refresh_token="second")


def test_what_was_disconnected_meanwhile_stays_so(any_db: Database, sealed: tuple[SealedGrant, int]) -> None:
    store, account_id = sealed
    with store.exclusive() as state:
        with any_db.write() as session:
            disconnect_account(session, session.get_one(Account, account_id), now=building.now())
        store.save(state)
    assert store.state() == GrantState()


def test_a_grant_that_was_only_sealed_anew_is_still_the_same(
    any_db: Database, keyring: Keyring, sealed: tuple[SealedGrant, int]
) -> None:
    """A key rotation between the reading and the saving must not cost a rotated token."""
    store, account_id = sealed
    with store.exclusive() as state:
        with any_db.write() as session:
            row = session.get_one(Account, account_id)
            row.sealed_grant = keyring.reseal(row.sealed_grant)
            session.add(row)
        state.refresh_token = "rotated"
        store.save(state)
        state.access_token = "and again"
        store.save(state)
    assert store.state() == GrantState(refresh_token="rotated", access_token="and again")


def test_a_killed_holder_of_this_machine_blocks_nobody(any_db: Database, sealed: tuple[SealedGrant, int]) -> None:
    store, account_id = sealed
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host, _, rest = lease_owner().split(":")
    _hold(any_db, account_id, f"{host}:{ended.pid}:{rest}")
    with store.exclusive() as state:
        assert state.refresh_token == "first"


def test_who_waits_too_long_tries_later_and_takes_nothing(
    any_db: Database, sealed: tuple[SealedGrant, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, account_id = sealed
    monkeypatch.setattr(grants, "PATIENCE", 0.2)
    _hold(any_db, account_id, "elsewhere:1:abc")
    with pytest.raises(TryLater) as caught, store.exclusive():
        pass
    assert caught.value.code == "grant_locked"
    with any_db.read() as session:
        assert session.get_one(Account, account_id).grant_owner == "elsewhere:1:abc"


def test_a_holder_elsewhere_blocks_only_until_its_lease_ends(
    any_db: Database, keyring: Keyring, sealed: tuple[SealedGrant, int]
) -> None:
    _, account_id = sealed
    _hold(any_db, account_id, "elsewhere:1:abc")
    later = building.now() + timedelta(seconds=grants.LOCK_SECONDS + 1)
    with SealedGrant(any_db, keyring, account_id, now=lambda: later).exclusive() as state:
        assert state.refresh_token == "first"


def _hold(db: Database, account_id: int, owner: str) -> None:
    with db.write() as session:
        row = session.get_one(Account, account_id)
        row.grant_owner, row.grant_until = owner, building.now() + timedelta(seconds=grants.LOCK_SECONDS)
        session.add(row)


def test_a_lock_is_let_go_when_the_refresh_fails(house: building.House, world: sandbox.World) -> None:
    account = support.connect(house, world, REP)
    expire(house)
    world.grants.kill(REP)
    with pytest.raises(Reconnect):
        ask(house.work(), account)
    with house.db.read() as session:
        assert session.get_one(Account, account.id).grant_owner == ""


def test_after_a_disconnection_no_token_is_asked_for(house: building.House, world: sandbox.World) -> None:
    account = support.connect(house, world, REP)
    work = house.work()
    with house.db.write() as session:
        disconnect_account(session, session.get_one(Account, account.id), now=building.now())
    before = token_calls(world)
    with pytest.raises(Reconnect) as caught:
        ask(work, account)
    assert caught.value.code == "no_grant" and token_calls(world) == before
