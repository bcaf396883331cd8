"""The database: one handle, short transactions, and a schema that is either current or refused.

Writes on SQLite begin IMMEDIATE, so that two writers queue instead of failing halfway; WAL lets readers go on meanwhile.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event, insert
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlmodel import Session, SQLModel

from models import bulk

MIGRATIONS = Path(__file__).parent / "migrations"
CHUNK = 500
"""Rows or parameters in one statement at the most (SQLite's own limit is 32,766 parameters)."""


class StaleSchema(Exception):
    """The database is not at the version that this code needs; the text says which command to run."""


class Unreachable(Exception):
    """The database cannot be opened; the text says which and why, without its password."""


class Database:
    """A handle on one database. ``url`` is an SQLAlchemy URL of SQLite or Postgres (psycopg 3). ``keyring``: given to every
    session (``session.info``), for the verbs that must recognise a keyed hash."""

    def __init__(self, url: str, keyring: Any = None) -> None:
        self.url = url
        self.keyring = keyring
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            _make_folder(url)
        try:
            self.engine = _engine(url)
        except ArgumentError as error:
            raise Unreachable(
                "DEALTRAIL_DATABASE_URL cannot be read; it is postgresql://user:password@host/name."
            ) from error

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for looking. Nothing is committed."""
        with Session(self.engine, expire_on_commit=False, info=self._info) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back when the block raises."""
        engine = self.engine.execution_options(writing=True)
        with Session(engine, expire_on_commit=False, info=self._info) as session:
            yield session
            session.commit()

    @property
    def _info(self) -> dict[Any, Any]:
        return {"keyring": self.keyring}

    def finds(self, statement: Any) -> bool:
        """Whether a query finds anything at all; a look without the lock that ``write`` takes."""
        with self.read() as session:
            return session.exec(statement.limit(1)).first() is not None

    def close(self) -> None:
        self.engine.dispose()

    def migrate(self) -> None:
        """Bring the schema up to date. Raises StaleSchema for one that this code does not know, Unreachable."""
        self._known_version()
        with self._reaching():
            command.upgrade(_alembic(self.url), "head")

    def require_current(self) -> None:
        """Raise StaleSchema unless the schema is exactly the one this code was written for. Raises Unreachable."""
        current, head = self._known_version(), ScriptDirectory.from_config(_alembic(self.url)).get_current_head()
        if current != head:
            raise StaleSchema(
                f"The database is at version {current or 'none'}, {head} is needed. Run: dealtrail migrate"
            )

    def _known_version(self) -> str | None:
        """The schema's version, None before the first. Raises StaleSchema for one that this code does not know."""
        with self._reaching(), self.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        known = {r.revision for r in ScriptDirectory.from_config(_alembic(self.url)).walk_revisions()}
        if current is not None and current not in known:
            raise StaleSchema(
                f"The database is at version {current}, which this Dealtrail does not know: it was written by a newer "
                "one. Install that version, or restore a backup."
            )
        return current

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            if type(error) not in (DatabaseError, OperationalError):  # else a fault of ours, not of the way there
                raise
            shown = self.engine.url.render_as_string(hide_password=True)
            raise Unreachable(f"Cannot open the database {shown}: {' '.join(str(error.orig).split())}") from error


def _make_folder(url: str) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unreachable(f"Cannot make the folder {path.parent} for the database: {error.strerror}.") from error


def _engine(url: str) -> Engine:
    """Parameters are hidden: an error's text must not quote mail."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20, hide_parameters=True)
    engine = create_engine(url, pool_size=10, max_overflow=20, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "busy_timeout=30000",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-32000",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writing = connection.get_execution_options().get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _alembic(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def table(model: type[SQLModel]) -> Any:
    """The Core table behind a model."""
    return model.__table__  # pyright: ignore[reportAttributeAccessIssue]


def insert_ids(session: Session, model: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert many rows of the same columns in few statements; their ids in the same order. On SQLite the rows are numbered
    here, as SQLite would (sqlite.org/autoinc.html): who writes holds the lock; asked for the ids of many rows in their order,
    SQLAlchemy would send it row by row."""
    if not rows:
        return []
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        first = bulk.next_number(connection, table(model))
        ids = list(range(first, first + len(rows)))
        bulk.store(connection, table(model), [{**row, "id": key} for key, row in zip(ids, rows, strict=True)])
        return ids
    statement = insert(table(model)).returning(table(model).c.id, sort_by_parameter_order=True)
    return list(connection.execute(statement, list(rows)).scalars())


def insert_many(session: Session, model: type[SQLModel], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert many rows of the same columns in one statement."""
    rows = list(rows)
    if rows:
        bulk.store(session.connection(), table(model), rows)


def insert_new(session: Session, model: type[SQLModel], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert the rows that do not yet exist (by any unique key)."""
    rows = list(rows)
    if rows:
        bulk.store(session.connection(), table(model), rows, clash="skip")


def upsert(session: Session, model: type[SQLModel], rows: Iterable[Mapping[str, Any]], keys: Sequence[str]) -> None:
    """Insert rows, or overwrite the ones with the same ``keys`` (which must be unique together)."""
    rows = list(rows)
    if rows:
        bulk.store(session.connection(), table(model), rows, clash="overwrite", keys=keys)


def chunks(values: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """The values in lists of at most ``size``."""
    values = list(values)
    for start in range(0, len(values), size):
        yield values[start : start + size]
