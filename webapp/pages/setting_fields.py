"""A team setting as a form sends it and as a form shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlmodel import Session

from models.setting import DEFAULTS, checked_setting, set_team_setting
from webapp.pages.forms import Fields

DAYS = ("grace_days", "reach_back_days")


def sent_setting(form: Fields, name: str) -> Any:
    """What a form says of a setting, in the kind of value that it has. Raises Invalid."""
    if isinstance(DEFAULTS[name], list):
        return form.lines(name)
    if name in DAYS:
        number = form.number(name)
        return 0 if number is None else number
    if isinstance(DEFAULTS[name], bool):
        return form.ticked(name)
    return form.text(name)


def keep_sent(session: Session, form: Fields, names: Iterable[str]) -> None:
    """Store what a form says of these team settings. Raises Invalid with the field."""
    for name in names:
        set_team_setting(session, name, checked_setting(name, sent_setting(form, name)))


def typed_setting(value: Any) -> str:
    """A setting as it stands in its field; a list with a line for each."""
    if isinstance(value, list):
        return "\n".join(value)
    if isinstance(value, bool):
        return "on" if value else ""
    return str(value)
