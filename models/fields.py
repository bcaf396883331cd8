"""Column types that behave the same on SQLite and Postgres."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, LargeBinary
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field


class UtcDateTime(TypeDecorator[datetime]):
    """An instant. Takes aware datetimes only (raises ValueError otherwise) and gives aware UTC ones back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime was about to be stored: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value if value is None else value.astimezone(UTC)
        return value.replace(tzinfo=UTC)


def instant(default: Any = ..., **options: Any) -> Any:
    """A column that holds an instant."""
    return Field(default, sa_type=UtcDateTime, **options)  # pyright: ignore[reportArgumentType, reportCallIssue]


def json_list() -> Any:
    """A column that holds a JSON array; empty by default."""
    return Field(default_factory=list, sa_type=JSON)


def json_dict() -> Any:
    """A column that holds a JSON object; empty by default."""
    return Field(default_factory=dict, sa_type=JSON)


def sealed(default: Any = b"") -> Any:
    """A column that holds what the keyring sealed."""
    return Field(default, sa_type=LargeBinary)


def digest(**options: Any) -> Any:
    """A column that holds a keyed hash (16 bytes)."""
    return Field(sa_type=LargeBinary(16), **options)  # pyright: ignore[reportArgumentType, reportCallIssue]


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
