"""Bad input at the door: one sentence that says what to do, an exit status other than 0, no traceback, nothing half-written.

What behaves the same in this process runs in this process (a process costs a second); the rest is started for real.
"""

from __future__ import annotations

import logging
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from sqlmodel import func, select

import house as building
import main
import sandbox
from models.account import Account
from models.db import Database
from models.user import ApiKey, User
from tests import support
from tests.journeys import steps
from tests.support import COLLEAGUE, REP

KEY = "a-key-for-tests-long-enough"


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    status: int
    out: str
    err: str

    def refuses(self, *words: str, status: int = 1) -> None:
        """It said why on standard error alone, in a sentence or two that hold these words."""
        assert self.status == status, self
        assert "Traceback" not in self.out + self.err
        assert self.out == ""
        assert 0 < len(self.err.strip()) < 500, self.err
        for word in words:
            assert word in self.err, self.err


Type = Callable[..., Said]


@pytest.fixture
def command(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Type]:
    """Runs the door in this process, as the script ``dealtrail`` would; settings by keyword."""
    for name, value in environment.items():
        if name.startswith("DEALTRAIL_"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    opened: list[Database] = []
    monkeypatch.setattr(building, "Database", lambda url: opened.append(Database(url)) or opened[-1])

    def run(*arguments: str, **settings: str | None) -> Said:
        for name, value in settings.items():
            if value is None:
                monkeypatch.delenv(f"DEALTRAIL_{name}", raising=False)
            else:
                monkeypatch.setenv(f"DEALTRAIL_{name}", value)
        monkeypatch.setattr("sys.argv", ["dealtrail", *arguments])
        status: object = 0
        try:
            main.run()
        except SystemExit as end:
            status = 0 if end.code is None else end.code
        assert isinstance(status, int)
        seen = capsys.readouterr()
        return Said(status, seen.out, seen.err)

    yield run
    for db in opened:
        db.close()
    structlog.reset_defaults()
    for talkative in ("uvicorn", "dramatiq"):
        logging.getLogger(talkative).setLevel(logging.NOTSET)


@pytest.fixture
def process(dealtrail: Callable[..., subprocess.Popen[str]]) -> Type:
    """Runs the door in a process of its own. What it says comes on one line after another, whichever stream it took."""

    def run(*arguments: str, **settings: str) -> Said:
        started = dealtrail(*arguments, **{f"DEALTRAIL_{name}": value for name, value in settings.items()})
        text, _ = started.communicate(timeout=60)
        return Said(started.returncode, "", text)

    return run


def count(house: building.House, model: type[User] | type[Account] | type[ApiKey]) -> int:
    """How many rows a table has."""
    with house.db.read() as session:
        return session.exec(select(func.count()).select_from(model)).one()


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
def test_a_slip_of_the_pen_is_answered_with_where_to_look(
    command: Type, arguments: list[str], words: list[str]
) -> None:
    command(*arguments).refuses(*words, status=2)


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
def test_a_wrong_setting_is_named_with_what_it_must_be(command: Type, name: str, value: str, words: list[str]) -> None:
    command("sync", **{name: value}).refuses(*words, status=2)


def test_several_wrong_settings_are_told_at_once(command: Type) -> None:
    said = command("sync", POLL_SECONDS="abc", PORT="70000", WORKER="3")
    said.refuses("DEALTRAIL_POLL_SECONDS", "DEALTRAIL_PORT", "did you mean DEALTRAIL_WORKERS?", status=2)
    assert len(said.err.strip().splitlines()) == 3


def test_a_misspelt_setting_in_the_env_file_is_found_too(command: Type, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DEALTRAIL_WORKERZ=3\nPATHS=of/others\n")
    command("sync").refuses("DEALTRAIL_WORKERZ", "did you mean DEALTRAIL_WORKERS?", status=2)


def test_a_name_like_no_setting_is_told_in_the_log_and_nothing_stops(command: Type) -> None:
    said = command("user", "add", REP, SERVICE_HOST="10.0.0.1", LOG_LEVEL="warning")
    assert said.status == 0
    assert "DEALTRAIL_SERVICE_HOST" in said.err and "10.0.0.1" not in said.err


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_secret_s_file_that_cannot_be_read_is_named(command: Type, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret"
    if content:
        path.write_bytes(content)
    said = command("sync", GOOGLE_CLIENT_SECRET="", GOOGLE_CLIENT_SECRET_FILE=str(path))
    said.refuses("DEALTRAIL_GOOGLE_CLIENT_SECRET_FILE", str(path), status=2)


def test_a_key_is_asked_for_in_words(command: Type, tmp_path: Path) -> None:
    command("sync", SECRET_KEY="short").refuses("DEALTRAIL_SECRET_KEY is too short", "openssl rand")
    command("sync", SECRET_KEY="", SECRET_KEY_FILE=str(tmp_path / "none")).refuses("No such file", status=2)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    command("sync", SECRET_KEY_FILE=str(tmp_path / "binary")).refuses("holds no text", status=2)


def test_another_key_than_the_stored_secrets_were_sealed_with_is_refused(command: Type, house: building.House) -> None:
    command("key", "reseal", SECRET_KEY="another-key-altogether").refuses("Put the earlier key back")
    assert count(house, User) == 0


def test_a_data_folder_that_cannot_be_is_named(command: Type, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("a file")
    below = str(tmp_path / "plain" / "below")
    command("sync", DATA_DIR=below, SECRET_KEY="", DATABASE_URL="").refuses(below, "Not a directory")
    command("sync", SECRET_KEY=KEY).refuses(below, "Not a directory")


# ---- the database


def test_a_file_that_is_no_database_is_left_as_it_is(command: Type, tmp_path: Path) -> None:
    path = tmp_path / "plain.txt"
    path.write_text("Nothing but words. " * 100)
    command("sync", DATABASE_URL=f"sqlite:///{path}").refuses(str(path), "not a database")
    assert path.read_text() == "Nothing but words. " * 100


@pytest.mark.parametrize("verb", ["web", "work", "serve", "migrate"])
def test_a_database_of_a_newer_version_is_refused_untouched(command: Type, tmp_path: Path, verb: str) -> None:
    path = tmp_path / "data" / "dealtrail.db"
    _pretend_version(path, "from_the_future")
    command(verb).refuses("from_the_future", "newer")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("from_the_future",)]


def _pretend_version(path: Path, version: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
        connection.commit()


@pytest.mark.postgres
@pytest.mark.parametrize("verb", ["web", "work"])
def test_a_stale_postgres_is_refused_with_the_command_that_mends_it(
    command: Type, postgres_url: str, verb: str
) -> None:
    db = Database(postgres_url)
    with db.write() as session:
        session.connection().exec_driver_sql("DELETE FROM alembic_version")
    db.close()
    command(verb, DATABASE_URL=postgres_url).refuses("version none", "Run: dealtrail migrate")


def test_a_database_that_does_not_answer_is_named_without_its_password(command: Type) -> None:
    url = "postgresql://dealtrail:geheim@127.0.0.1:1/dealtrail"
    said = command("web", DATABASE_URL=url)
    said.refuses("Cannot open the database", "127.0.0.1:1", "refused")
    assert "geheim" not in said.err


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["redis://:geheim@127.0.0.1:1/0", "unix:///tmp/no-such-redis.sock"])
def test_a_redis_that_does_not_answer_is_told_at_the_start(command: Type, postgres_url: str, url: str) -> None:
    said = command("work", DATABASE_URL=postgres_url, BROKER_URL=url)
    said.refuses("Redis does not answer", "DEALTRAIL_BROKER_URL")
    assert "geheim" not in said.err


# ---- a port that is taken


@pytest.fixture
def taken() -> Iterator[str]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield str(other.getsockname()[1])


@pytest.mark.parametrize("verb", ["web", "serve"])
def test_a_taken_port_is_refused_before_anything_starts(command: Type, taken: str, verb: str) -> None:
    command(verb, PORT=taken).refuses(f"Port {taken}", "DEALTRAIL_PORT", status=2)


def test_a_demonstration_with_a_taken_port_leaves_an_earlier_one_alone(
    command: Type, taken: str, tmp_path: Path
) -> None:
    earlier = tmp_path / "data" / "demo" / "dealtrail.db"
    earlier.parent.mkdir()
    earlier.write_bytes(b"of an earlier demonstration")
    command("demo", PORT=taken).refuses(f"Port {taken}", "DEALTRAIL_PORT", status=2)
    assert earlier.read_bytes() == b"of an earlier demonstration"


# ---- own mail for the demonstration


def test_own_mail_needs_its_owner(command: Type, tmp_path: Path) -> None:
    command("demo", "--mail", "some.mbox").refuses("--mail PATH and --me ADDRESS go together")
    command("demo", "--me", REP).refuses("--mail PATH and --me ADDRESS go together")
    command("demo", "--mail", "some.mbox", "--me", "rae").refuses("--me 'rae' is not an e-mail address")
    assert not (tmp_path / "data" / "demo").exists()


def test_mail_that_is_not_there_is_named(process: Type, tmp_path: Path) -> None:
    process("demo", "--mail", "absent.mbox", "--me", REP, "--once").refuses("absent.mbox cannot be read")
    assert not (tmp_path / "data" / "demo").exists()


def test_a_file_that_is_no_mbox_is_refused(process: Type, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("Dear diary,\n\nno mail today.\n")
    process("demo", "--mail", "words.txt", "--me", REP, "--once").refuses("words.txt is no mbox file")
    assert not (tmp_path / "data" / "demo").exists()


def test_malformed_mail_is_counted_and_stops_nothing(process: Type, tmp_path: Path) -> None:
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


# ---- mailboxes and people


def test_a_token_s_file_must_hold_a_token(command: Type, house: building.House, tmp_path: Path) -> None:
    connect = ["connect", "google", REP, "--refresh-token-file"]
    command(*connect, "absent.txt").refuses("absent.txt", "No such file")
    command(*connect, str(tmp_path)).refuses(str(tmp_path), "Is a directory")
    for content, words in ((b" \n", "is empty"), (b"\xff\xfe\x00", "holds no text")):
        (tmp_path / "token").write_bytes(content)
        command(*connect, "token").refuses("token", words, "refresh token")
    assert (count(house, Account), count(house, User)) == (0, 0)


def test_a_token_that_google_does_not_know_is_refused(command: Type, house: building.House, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("1//invented")
    command("connect", "google", REP, "--refresh-token-file", "token").refuses("Google does not know", "reconnect")
    assert (count(house, Account), count(house, User)) == (0, 0)


def test_somebody_else_s_token_is_refused(
    command: Type, house: building.House, world: sandbox.World, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(world.refresh_token(COLLEAGUE))
    said = command("connect", "google", REP, "--refresh-token-file", "token")
    said.refuses(COLLEAGUE, f"not to {REP}", "Nothing was connected")
    assert (count(house, Account), count(house, User)) == (0, 0)


def test_a_mailbox_needs_a_client_of_the_team_s_own(command: Type, house: building.House, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("1//whatever")
    said = command("connect", "google", REP, "--refresh-token-file", "token", GOOGLE_CLIENT_ID="")
    said.refuses("DEALTRAIL_GOOGLE_CLIENT_ID", status=2)
    said = command(
        "connect", "google", REP, "--refresh-token-file", "token", GOOGLE_CLIENT_ID="x", GOOGLE_CLIENT_SECRET=""
    )
    said.refuses("DEALTRAIL_GOOGLE_CLIENT_SECRET", status=2)
    assert count(house, Account) == 0


def test_a_provider_that_is_none_is_refused_with_those_that_are(command: Type, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("1//whatever")
    command("connect", "yahoo", REP, "--refresh-token-file", "token").refuses("'yahoo'", "google")


def test_people_need_an_address_and_come_once(command: Type, house: building.House) -> None:
    command("user", "add", "rae at acme").refuses("'rae at acme' is not an e-mail address")
    command("key", "create", REP).refuses(f"no user {REP}", f"dealtrail user add {REP}")
    assert (count(house, User), count(house, ApiKey)) == (0, 0)
    assert command("user", "add", REP).status == 0
    command("user", "add", REP.upper()).refuses("is a user already")
    assert count(house, User) == 1


def test_there_is_nothing_to_sync_without_a_mailbox(command: Type) -> None:
    command("sync").refuses("no connected account", "dealtrail connect google EMAIL")
    command("sync", "--wait", "--account", REP).refuses(REP, "dealtrail connect google EMAIL")


def test_a_sync_succeeds_only_when_the_mailbox_was_read(
    process: Type, house: building.House, world: sandbox.World
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


def test_the_doctor_is_only_content_when_all_is_well(command: Type, house: building.House) -> None:
    said = command("doctor")
    assert said.status == 1 and "NO  users: none yet" in said.out
    support.person(house, REP)
    assert command("doctor").status == 0
    assert command("doctor", POLL_SECONDS="abc").status == 1


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
