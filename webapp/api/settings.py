"""The team's own settings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body

from models.errors import Invalid
from models.setting import checked_setting, set_team_setting, team_settings
from webapp.api.idempotency import api_router
from webapp.deps import Given
from webapp.security import policy

router = api_router("settings")


@router.get("")
@policy("admin")
def read_settings(deps: Given) -> dict[str, Any]:
    """All settings with their values."""
    with deps.db.read() as session:
        return team_settings(session)


@router.patch("")
@policy("admin")
def change_settings(deps: Given, changes: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    """Change some settings; all of them, or none when one is wrong."""
    if not changes:
        raise Invalid("Send the settings that are to change.")
    checked = {name: checked_setting(name, value) for name, value in changes.items()}
    with deps.db.write() as session:
        for name, value in checked.items():
            set_team_setting(session, name, value)
        session.flush()
        return team_settings(session)
