"""The command line in this process: a process of its own costs a second."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

import house as building
import main
from models.db import Database


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Door:
    """Types commands as the script ``dealtrail`` would take them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str | Path) -> Said:
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
