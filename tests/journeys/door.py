"""The command line in this process: a process of its own costs a second."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlmodel import func, select

import house as building
import main
from models.account import Account
from models.db import Database
from models.user import ApiKey, User


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def refuses(self, *words: str, status: int = 1) -> None:
        """It said why on standard error alone, in a sentence or two that hold these words."""
        assert self.status == status, self
        assert "Traceback" not in self.out + self.err
        assert self.out == ""
        assert 0 < len(self.err.split()) < 70, self.err
        for word in words:
            assert word in self.err, self.err


Process = Callable[..., Said]


class Door:
    """Types commands as the script ``dealtrail`` would take them; settings by keyword, from then on (None: not set)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str | Path, **settings: str | None) -> Said:
        for name, value in settings.items():
            if value is None:
                self._monkeypatch.delenv(f"DEALTRAIL_{name}", raising=False)
            else:
                self._monkeypatch.setenv(f"DEALTRAIL_{name}", value)
        self._monkeypatch.setattr("sys.argv", ["dealtrail", *map(str, arguments)])
        self._capsys.readouterr()
        status: object = 0
        try:
            main.run()
        except SystemExit as end:
            status = end.code or 0
        assert isinstance(status, int)
        seen = self._capsys.readouterr()
        return Said(status, seen.out, seen.err)


@pytest.fixture
def door(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Door]:
    """The door to this test's house."""
    for name, value in environment.items():
        if name.startswith("DEALTRAIL_"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    opened: list[Database] = []
    monkeypatch.setattr(building, "Database", lambda url: opened.append(Database(url)) or opened[-1])
    yield Door(monkeypatch, capsys)
    for db in opened:
        db.close()
    structlog.reset_defaults()
    for talkative in ("uvicorn", "dramatiq"):
        logging.getLogger(talkative).setLevel(logging.NOTSET)


@pytest.fixture
def process(dealtrail: Callable[..., subprocess.Popen[str]]) -> Process:
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
