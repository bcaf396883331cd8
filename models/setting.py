"""The team's own settings: the ones people change on a page, not the operator's environment."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, Session, SQLModel, select

from models.addresses import canonical, canonical_domain
from models.errors import Invalid

DEFAULTS: dict[str, Any] = {
    "team_name": "Our team",
    "internal_domains": [],
    "internal_addresses": [],
    "no_log_addresses": [],
    "no_log_labels": ["no-log"],
    "free_mail_too": [],
    "free_mail_exceptions": [],
    "several_deals": "ask",  # ask | newest | all
    "grace_days": 14,
    "reach_back_days": 90,
    "default_visibility": "full",  # full | subject | metadata
    "announce_backfill": False,
    "default_currency": "EUR",
}
MATCHING = (
    "several_deals",
    "grace_days",
    "reach_back_days",
    "internal_domains",
    "internal_addresses",
    "no_log_addresses",
    "no_log_labels",
    "free_mail_too",
    "free_mail_exceptions",
)
"""Those that decide what is logged and where."""


class TeamSetting(SQLModel, table=True):
    """One setting of the team. ``value`` is JSON."""

    __tablename__ = "team_setting"  # pyright: ignore[reportAssignmentType]
    name: str = Field(primary_key=True)
    value: Any = Field(sa_type=JSON)


def team_settings(session: Session) -> dict[str, Any]:
    """All of the team's settings, defaults filled in."""
    stored = {row.name: row.value for row in session.exec(select(TeamSetting))}
    return {name: stored.get(name, default) for name, default in DEFAULTS.items()}


def set_team_setting(session: Session, name: str, value: Any) -> None:
    """Store one setting. Raises KeyError for a name that is none."""
    if name not in DEFAULTS:
        raise KeyError(name)
    row = session.get(TeamSetting, name) or TeamSetting(name=name, value=value)
    row.value = value
    session.add(row)


def checked_setting(name: str, value: Any) -> Any:
    """A value in the form in which it is stored. Raises Invalid for a name or a value that cannot be."""
    if name not in DEFAULTS:
        raise Invalid(f"There is no setting {name!r}. Known: {', '.join(DEFAULTS)}.", name)
    return _CHECKS[name](name, value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= 200:
        raise Invalid("This must be a text of 1 to 200 characters.", name)
    return value.strip()


def _yes_or_no(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Invalid("This must be true or false.", name)
    return value


def _days(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 3_650:
        raise Invalid("This must be a number of days from 0 to 3650.", name)
    return value


def _one_of(*known: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in known:
            raise Invalid(f"This must be one of {', '.join(known)}.", name)
        return value

    return check


def _each(clean: Callable[[str], str], what: str) -> Callable[[str, Any], list[str]]:
    def check(name: str, value: Any) -> list[str]:
        if not isinstance(value, list) or len(value) > 1_000 or not all(isinstance(one, str) for one in value):
            raise Invalid(f"This must be a list of at most 1,000 {what}.", name)
        wrong = [one for one in value if not clean(one)]
        if wrong:
            raise Invalid(f"{wrong[0]!r} is none of the {what} that can be.", name)
        return list(dict.fromkeys(clean(one) for one in value))

    return check


def _label(value: str) -> str:
    return value.strip().lower()[:200]


def _currency(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) != 3 or not (value.isascii() and value.isalpha()):
        raise Invalid("A currency is three letters, such as EUR.", name)
    return value.upper()


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "team_name": _text,
    "internal_domains": _each(canonical_domain, "domains"),
    "internal_addresses": _each(canonical, "e-mail addresses"),
    "no_log_addresses": _each(canonical, "e-mail addresses"),
    "no_log_labels": _each(_label, "labels"),
    "free_mail_too": _each(canonical_domain, "domains"),
    "free_mail_exceptions": _each(canonical_domain, "domains"),
    "several_deals": _one_of("ask", "newest", "all"),
    "grace_days": _days,
    "reach_back_days": _days,
    "default_visibility": _one_of("full", "subject", "metadata"),
    "announce_backfill": _yes_or_no,
    "default_currency": _currency,
}
