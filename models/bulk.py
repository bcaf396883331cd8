"""Many rows in one statement, and many keys in one parameter.

SQLAlchemy writes each statement once; afterwards the driver is handed rows that were bound here. (Left to itself it makes
a dictionary of parameters for every row and writes a list of keys out one by one, which was a third of what storing a page
of mail cost.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, BigInteger, Connection, Dialect, Integer, Text, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

Row = Mapping[str, Any]


# ---- rows


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement for rows of one shape: per parameter its name, how to bind it, and what it is where a row says nothing."""

    sql: str
    by_place: bool
    binds: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    defaults: tuple[tuple[str, Callable[[Any], Any]], ...]

    def bound(self, rows: Sequence[Row]) -> list[Any]:
        if self.defaults:
            rows = [{**{name: make(None) for name, make in self.defaults}, **row} for row in rows]
        if self.by_place:
            return [tuple([bind(row[name]) if bind else row[name] for name, bind in self.binds]) for row in rows]
        return [{name: bind(row[name]) if bind else row[name] for name, bind in self.binds} for row in rows]


def store(
    connection: Connection, table: Any, rows: Sequence[Row], *, clash: str = "", keys: Sequence[str] = ()
) -> None:
    """Insert rows that all have the same columns. ``clash``: what becomes of one whose ``keys`` (any unique key) are there:
    an error ("") | "skip" | "overwrite"."""
    prepared = _prepared(connection.dialect, table, tuple(rows[0]), clash, tuple(keys))
    connection.exec_driver_sql(prepared.sql, prepared.bound(rows))


def next_number(connection: Connection, table: Any) -> int:
    """The id that SQLite would give the next row of a table; one that never gives an id twice keeps the last in a table of
    its own."""
    greatest = f'SELECT max(id) FROM "{table.name}"'
    if table.dialect_options["sqlite"]["autoincrement"]:
        last = "SELECT seq FROM sqlite_sequence WHERE name = ?"
        found = connection.exec_driver_sql(
            f"SELECT max(coalesce(({last}), 0), coalesce(({greatest}), 0))", (table.name,)
        )
    else:
        found = connection.exec_driver_sql(f"SELECT coalesce(({greatest}), 0)")
    return int(found.scalar_one()) + 1


@lru_cache(maxsize=256)
def _prepared(dialect: Dialect, table: Any, names: tuple[str, ...], clash: str, keys: tuple[str, ...]) -> _Prepared:
    kind = sqlite if dialect.name == "sqlite" else postgresql
    statement = kind.insert(table)
    if clash == "skip":
        statement = statement.on_conflict_do_nothing()
    if clash == "overwrite":
        fresh = {name: statement.excluded[name] for name in names if name not in keys}
        statement = statement.on_conflict_do_update(index_elements=list(keys), set_=fresh)
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(names))
    order = compiled.positiontup or list(compiled.binds)
    return _Prepared(
        sql=str(compiled),
        by_place=bool(compiled.positiontup),
        binds=tuple((name, _binder(compiled.binds[name].type, dialect)) for name in order),
        defaults=tuple((column.key, _default(column)) for column in compiled.insert_prefetch),
    )


def _binder(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _default(column: Any) -> Callable[[Any], Any]:
    value = column.default.arg
    return value if column.default.is_callable else lambda _context: value


# ---- keys


class _Keys(TypeDecorator[Sequence[Any]]):
    """A list of keys as one parameter: a JSON text for SQLite, an array for Postgres."""

    impl = JSON
    cache_ok = True

    def __init__(self, item: str) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(JSON())
        return dialect.type_descriptor(postgresql.ARRAY(BigInteger() if self.item == "number" else Text()))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else list(value)


class _Among(FunctionElement[Any]):
    """Of no type: SQLite has no truth values, so that of a boolean " = 1" would be written, and no index be used."""

    type = NullType()
    inherit_cache = True
    name = "among"


@compiles(_Among, "sqlite")
def _on_sqlite(element: Any, compiler: Any, **how: Any) -> str:
    column, keys = element.clauses
    return f"{compiler.process(column, **how)} IN (SELECT value FROM json_each({compiler.process(keys, **how)}))"


@compiles(_Among, "postgresql")
def _on_postgres(element: Any, compiler: Any, **how: Any) -> str:
    column, keys = element.clauses
    return f"{compiler.process(column, **how)} = ANY({compiler.process(keys, **how)})"


def among(column: Any, keys: str = "keys") -> Any:
    """The condition that a column of numbers or texts is one of the values given, however many, as the parameter ``keys``
    when the statement runs. A statement with it can be made once and kept."""
    item = "number" if isinstance(column.type, Integer) else "text"
    return _Among(column, bindparam(keys, type_=_Keys(item)))
