"""Bad input at the door: one sentence that says what to do, an exit status other than 0, no traceback, nothing half-written.

What behaves the same in this process runs in this process (a process costs a second); the rest is started for real.
"""

from __future__ import annotations

import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlmodel import select

import house as building
import sandbox
from models.account import Account
from models.db import Database
from models.user import User
from tests import support
from tests.journeys import steps
from tests.journeys.door import Door, Process, count, door, process
from tests.support import REP

__all__ = ["door", "process"]
KEY = "a-key-for-tests-long-enough"


# ---- the command line itself


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], ["No such command 'frobnicate'", "dealtrail --help"]),
        (["sync", "--frob"], ["No such option", "--frob", "dealtrail sync --help"]),
        (["user", "add"], ["Missing argument", "dealtrail user add --help"]),
        (["user", "delete", REP], ["No such command 'delete'", "dealtrail user --help"]),
        (["demo", "--live-seconds", "soon"], ["--live-seconds", "number", "dealtrail demo --help"]),
        (["demo", "--live-seconds", "-1"], ["--live-seconds", "greater", "dealtrail demo --help"]),
    ],
)
def test_a_slip_of_the_pen_is_answered_with_where_to_look(door: Door, arguments: list[str], words: list[str]) -> None:
    door(*arguments).refuses(*words, status=2)


# ---- settings


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("POLL_SECONDS", "abc", ["DEALTRAIL_POLL_SECONDS", "number"]),
        ("POLL_SECONDS", "-1", ["DEALTRAIL_POLL_SECONDS", "greater than 0"]),
        ("PORT", "70000", ["DEALTRAIL_PORT", "65535"]),
        ("LOG_LEVEL", "loud", ["DEALTRAIL_LOG_LEVEL", "'debug'"]),
        ("BASE_URL", "dealtrail.acme.example", ["DEALTRAIL_BASE_URL", "https://"]),
        ("BROKER_URL", "kafka://here", ["DEALTRAIL_BROKER_URL", "redis://"]),
        ("BROKER_URL", "redis://127.0.0.1/0", ["BROKER_URL", "DATABASE_URL to Postgres"]),
        ("DATABASE_URL", "mysql://root@here/x", ["DEALTRAIL_DATABASE_URL", "postgresql://"]),
        ("GOOGLE_API_ROOT", "https://gmail.evil.example", ["DEALTRAIL_GOOGLE_API_ROOT", "127.0.0.1"]),
        ("POLL_SECOND", "5", ["DEALTRAIL_POLL_SECOND is no setting", "DEALTRAIL_POLL_SECONDS?"]),
        ("GOOGLE_CLIENT_SECRETS_FILE", "x", ["did you mean DEALTRAIL_GOOGLE_CLIENT_SECRET_FILE?"]),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_must_be(door: Door, name: str, value: str, words: list[str]) -> None:
    door("sync", **{name: value}).refuses(*words, status=2)


def test_several_wrong_settings_are_told_at_once(door: Door) -> None:
    said = door("sync", POLL_SECONDS="abc", PORT="70000", WORKER="3")
    said.refuses("DEALTRAIL_POLL_SECONDS", "DEALTRAIL_PORT", "did you mean DEALTRAIL_WORKERS?", status=2)
    assert len(said.err.strip().splitlines()) == 3


def test_a_misspelt_setting_in_the_env_file_is_found_too(door: Door, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DEALTRAIL_WORKERZ=3\nPATHS=of/others\n")
    door("sync").refuses("DEALTRAIL_WORKERZ", "did you mean DEALTRAIL_WORKERS?", status=2)


def test_a_name_like_no_setting_is_told_in_the_log_and_nothing_stops(door: Door) -> None:
    said = door("user", "add", REP, SERVICE_HOST="10.0.0.1", LOG_LEVEL="warning")
    assert said.status == 0
    assert "DEALTRAIL_SERVICE_HOST" in said.err and "10.0.0.1" not in said.err


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_secret_s_file_that_cannot_be_read_is_named(door: Door, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret"
    if content:
        path.write_bytes(content)
    said = door("sync", GOOGLE_CLIENT_SECRET="", GOOGLE_CLIENT_SECRET_FILE=str(path))
    said.refuses("DEALTRAIL_GOOGLE_CLIENT_SECRET_FILE", str(path), status=2)


def test_a_key_is_asked_for_in_words(door: Door, tmp_path: Path) -> None:
    door("sync", SECRET_KEY="short").refuses("DEALTRAIL_SECRET_KEY is too short", "openssl rand")
    door("sync", SECRET_KEY="", SECRET_KEY_FILE=str(tmp_path / "none")).refuses("No such file", status=2)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    door("sync", SECRET_KEY_FILE=str(tmp_path / "binary")).refuses("holds no text", status=2)


def test_another_key_than_the_stored_secrets_were_sealed_with_is_refused(door: Door, house: building.House) -> None:
    door("key", "reseal", SECRET_KEY="another-key-altogether").refuses("Put the earlier key back")
    assert count(house, User) == 0


def test_a_data_folder_that_cannot_be_is_named(door: Door, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("a file")
    below = str(tmp_path / "plain" / "below")
    door("sync", DATA_DIR=below, SECRET_KEY="", DATABASE_URL="").refuses(below, "Not a directory")
    door("sync", SECRET_KEY=KEY).refuses(below, "Not a directory")


# ---- the database


def test_a_file_that_is_no_database_is_left_as_it_is(door: Door, tmp_path: Path) -> None:
    path = tmp_path / "plain.txt"
    path.write_text("Nothing but words. " * 100)
    door("sync", DATABASE_URL=f"sqlite:///{path}").refuses(str(path), "not a database")
    assert path.read_text() == "Nothing but words. " * 100


@pytest.mark.parametrize("verb", ["web", "work", "serve", "migrate"])
def test_a_database_of_a_newer_version_is_refused_untouched(door: Door, tmp_path: Path, verb: str) -> None:
    path = tmp_path / "data" / "dealtrail.db"
    _pretend_version(path, "from_the_future")
    door(verb).refuses("from_the_future", "newer")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("from_the_future",)]


def _pretend_version(path: Path, version: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
        connection.commit()


@pytest.mark.postgres
@pytest.mark.parametrize("verb", ["web", "work"])
def test_a_stale_postgres_is_refused_with_the_command_that_mends_it(door: Door, postgres_url: str, verb: str) -> None:
    db = Database(postgres_url)
    with db.write() as session:
        session.connection().exec_driver_sql("DELETE FROM alembic_version")
    db.close()
    door(verb, DATABASE_URL=postgres_url).refuses("version none", "Run: dealtrail migrate")


def test_a_database_that_does_not_answer_is_named_without_its_password(door: Door) -> None:
    url = "postgresql://dealtrail:geheim@127.0.0.1:1/dealtrail"
    said = door("web", DATABASE_URL=url)
    said.refuses("Cannot open the database", "127.0.0.1:1", "refused")
    assert "geheim" not in said.err


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["redis://:geheim@127.0.0.1:1/0", "unix:///tmp/no-such-redis.sock"])
def test_a_redis_that_does_not_answer_is_told_at_the_start(door: Door, postgres_url: str, url: str) -> None:
    said = door("work", DATABASE_URL=postgres_url, BROKER_URL=url)
    said.refuses("Redis does not answer", "DEALTRAIL_BROKER_URL")
    assert "geheim" not in said.err


# ---- a port that is taken


@pytest.fixture
def taken() -> Iterator[str]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield str(other.getsockname()[1])


@pytest.mark.parametrize("verb", ["web", "serve"])
def test_a_taken_port_is_refused_before_anything_starts(door: Door, taken: str, verb: str) -> None:
    door(verb, PORT=taken).refuses(f"Port {taken}", "DEALTRAIL_PORT", status=2)


def test_a_demonstration_with_a_taken_port_leaves_an_earlier_one_alone(door: Door, taken: str, tmp_path: Path) -> None:
    earlier = tmp_path / "data" / "demo" / "dealtrail.db"
    earlier.parent.mkdir()
    earlier.write_bytes(b"of an earlier demonstration")
    door("demo", PORT=taken).refuses(f"Port {taken}", "DEALTRAIL_PORT", status=2)
    assert earlier.read_bytes() == b"of an earlier demonstration"


# ---- own mail for the demonstration


def test_own_mail_needs_its_owner(door: Door, tmp_path: Path) -> None:
    door("demo", "--mail", "some.mbox").refuses("--mail PATH and --me ADDRESS go together")
    door("demo", "--me", REP).refuses("--mail PATH and --me ADDRESS go together")
    door("demo", "--mail", "some.mbox", "--me", "rae").refuses("--me 'rae' is not an e-mail address")
    assert not (tmp_path / "data" / "demo").exists()


def test_mail_that_is_not_there_is_named(process: Process, tmp_path: Path) -> None:
    process("demo", "--mail", "absent.mbox", "--me", REP, "--once").refuses("absent.mbox cannot be read")
    assert not (tmp_path / "data" / "demo").exists()


def test_a_file_that_is_no_mbox_is_refused(process: Process, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("Dear diary,\n\nno mail today.\n")
    process("demo", "--mail", "words.txt", "--me", REP, "--once").refuses("words.txt is no mbox file")
    assert not (tmp_path / "data" / "demo").exists()


def test_malformed_mail_is_counted_and_stops_nothing(process: Process, tmp_path: Path) -> None:
    malformed = [
        b"\x00\xff\xfe\x80 no header at all\nmore\n",
        b"Content-Type: multipart/mixed; boundary=\n\n--\nbroken\n",
        b"From: =?utf-99?q?=FF?= <>\nDate: never\nContent-Type: text/plain; charset=nonsense\n\n!!!!\n",
        b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n%%%\n",
    ]
    sound = [support.mail(REP, f"bea{n}@northwind.example", f"Offer {n}", message_id=f"m{n}@x.example") for n in "123"]
    path = tmp_path / "mixed.mbox"
    path.write_bytes(b"".join(b"From someone\n" + raw.replace(b"\r\n", b"\n") + b"\n" for raw in malformed + sound))
    said = process("demo", "--mail", str(path), "--me", REP, "--once")
    assert said.status == 0, said.err
    assert "Traceback" not in said.err
    assert "Of 7 mails 4 are malformed" in said.err
    assert "7 items = 4 ignored + 3 logged." in said.err or "7 items = 3 logged + 4 ignored." in said.err
    assert "3 interactions are on the timelines" in said.err


# ---- the end


@pytest.mark.parametrize("verb", ["web", "work"])
def test_a_stop_that_was_asked_for_is_a_success(
    dealtrail: Callable[..., subprocess.Popen[str]], house: building.House, world: sandbox.World, verb: str
) -> None:
    port = steps.free_port()
    running = dealtrail(verb, DEALTRAIL_PORT=str(port))
    if verb == "web":
        steps.answering(running, f"http://127.0.0.1:{port}")
    else:
        support.connect(house, world, REP)
        steps.until(lambda: _looked_at(house), seconds=20, why="the worker to work")
    running.terminate()
    assert running.wait(20) == 0
    assert "Traceback" not in running.communicate()[0]


def _looked_at(house: building.House) -> bool:
    with house.db.read() as session:
        return session.exec(select(Account.identity_at)).one() is not None
