"""A row that is named by its id."""

from typing import TypeVar

from sqlmodel import Session, SQLModel

from models.errors import NotFound

Row = TypeVar("Row", bound=SQLModel)


def existing(session: Session, model: type[Row], key: int | None, what: str) -> Row:
    """The row, ``what`` it is in words. Raises NotFound."""
    row = session.get(model, key) if key is not None else None
    if row is None:
        raise NotFound(f"There is no such {what}.")
    return row
