"""The team's own settings: the ones people change on a page, not the operator's environment."""

from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, Session, SQLModel, select

DEFAULTS: dict[str, Any] = {
    "team_name": "Our team",
    "internal_domains": [],
    "internal_addresses": [],
    "several_deals": "ask",  # ask | newest | all
    "grace_days": 14,
    "reach_back_days": 90,
    "default_visibility": "full",  # full | subject | metadata
    "announce_backfill": False,
    "default_currency": "EUR",
}


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
