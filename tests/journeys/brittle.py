"""A worker that dies at a chosen moment: nothing it does after that reaches the database, as after a SIGKILL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlmodel import Session

from models.db import Database


class Crash(BaseException):
    """The process is gone. No Exception, so that nothing in the product may catch it."""


class Brittle:
    """A database handle whose ``left``-th transaction from now (0: the next) is the last of its process: rolled back, or with
    ``after`` committed just before the end. None: it lives."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.left: int | None = None
        self.after = False
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    @contextmanager
    def write(self) -> Iterator[Session]:
        if self.dead:
            raise Crash
        last = self.left == 0
        if self.left is not None:
            self.left -= 1
        with self._db.write() as session:
            yield session
            if last and not self.after:
                self.dead = True
                raise Crash
        if last:
            self.dead = True
            raise Crash


def die(stage: Any, left: int) -> None:
    """A worker of a stage looks, and dies after so many transactions; another takes its place."""
    brittle = Brittle(stage.house.db)
    stage.work.db, brittle.left, brittle.after = brittle, left, True
    stage.poll()
    with suppress(Crash):
        stage.run_due()
    stage.work.close()
    stage.work = stage.new_work()
