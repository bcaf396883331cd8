"""What every input has in common: bounds, no unknown fields, no character that a database cannot hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, TypeVar

from annotated_types import Ge, Le, MaxLen
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from sqlmodel import Session, SQLModel

from models.errors import Invalid

Row = TypeVar("Row", bound=SQLModel)


def _printable(value: str) -> str:
    if any(ord(letter) < 32 and letter not in "\n\r\t" for letter in value):
        raise ValueError("must not hold control characters")
    return value


Id = Annotated[int, Ge(1), Le(2_147_483_647)]
Line = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True), AfterValidator(_printable)]
Text = Annotated[str, StringConstraints(max_length=2_000, strip_whitespace=True), AfterValidator(_printable)]
Address = Annotated[str, StringConstraints(max_length=320, strip_whitespace=True), AfterValidator(_printable)]
Addresses = Annotated[list[Address], MaxLen(100)]
Amount = Annotated[Decimal, Field(ge=0, lt=10_000_000_000_000, decimal_places=2, allow_inf_nan=False)]


class Body(BaseModel):
    """An input. Unknown fields are refused, so that a misspelt one is not lost in silence."""

    model_config = ConfigDict(extra="forbid")


class Asked(Body):
    """Which page of a list. ``cursor`` is the ``next`` of the page before."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=500)] | None = None


def left() -> Any:
    """A field of a PATCH that may stay away (but is not null)."""
    return Field(default_factory=lambda: None)


def given(body: BaseModel) -> dict[str, Any]:
    """What a PATCH really says."""
    return {name: getattr(body, name) for name in body.model_fields_set}


def minor(amount: Decimal | None) -> int | None:
    """Units of currency as hundredths."""
    return None if amount is None else int(amount * 100)


def named(session: Session, model: type[Row], key: int | None, what: str, field: str) -> Row | None:
    """The row that an input names, if it names one. Raises Invalid."""
    row = None if key is None else session.get(model, key)
    if key is not None and row is None:
        raise Invalid(f"There is no {what} {key}.", field)
    return row
