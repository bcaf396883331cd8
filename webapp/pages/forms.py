"""What people type, read kindly and refused in a sentence that names the field."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import FormData

from models.errors import Invalid
from models.money import read_money


class Fields:
    """A form's fields."""

    def __init__(self, form: FormData) -> None:
        self._form = form

    def __contains__(self, name: str) -> bool:
        return name in self._form

    def text(self, name: str, most: int = 500) -> str:
        """Trimmed text; empty when it is not there. Raises Invalid when it is too long."""
        value = self._form.get(name, "")
        clean = value.replace("\0", "").strip() if isinstance(value, str) else ""
        if len(clean) > most:
            raise Invalid(f"At most {most:,} characters, please.", name)
        return clean

    def raw(self, name: str) -> str:
        """Exactly as typed."""
        value = self._form.get(name, "")
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """Every value under a name."""
        return [value.strip() for value in self._form.getlist(name) if isinstance(value, str) and value.strip()]

    def lines(self, name: str) -> list[str]:
        """Parts set apart by commas, semicolons, spaces or new lines."""
        raw = self.text(name, 5_000)
        for mark in ",;\n\r\t":
            raw = raw.replace(mark, " ")
        return raw.split()

    def number(self, name: str) -> int | None:
        """A whole number, or None when empty. Raises Invalid."""
        raw = self.text(name, 20)
        if not raw:
            return None
        try:
            return int(raw)
        except ValueError:
            raise Invalid(f"{raw!r} is not a whole number.", name) from None

    def hundredths(self, name: str) -> int | None:
        """An amount of money in hundredths: 48000, 48,000.50, 48.000,50 or 48 000. Raises Invalid."""
        raw = self.text(name, 40)
        return read_amount(raw, name) if raw else None

    def day(self, name: str) -> date | None:
        """A date, or None when empty. Raises Invalid."""
        raw = self.text(name, 40)
        if not raw:
            return None
        try:
            return date.fromisoformat(raw)
        except ValueError:
            raise Invalid(f"{raw!r} is not a date; write it as 2026-12-31.", name) from None

    def ticked(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.text(name))

    def as_typed(self) -> dict[str, str]:
        """Everything as it was typed, to show it again. Secrets are left out."""
        return {
            name: value
            for name, value in self._form.items()
            if isinstance(value, str) and name not in ("password", "csrf")
        }


def read_amount(raw: str, name: str = "amount") -> int:
    """Hundredths. A sign of a currency is overlooked, since its field stands beside it; its letters are not. Raises Invalid."""
    try:
        minor, currency = read_money(raw)
    except ValueError as error:
        raise Invalid(f"{error} Write it as 48000 or 48,000.50.", name) from None
    if currency and currency in raw.upper():
        raise Invalid(f"{raw!r} names a currency; it goes into its own field.", name)
    return minor


async def fields_of(request: Request) -> Fields:
    """The form that was sent."""
    return Fields(await request.form())


Sent = Annotated[Fields, Depends(fields_of)]
