"""Keeping what a consent gave: sealed, in its account. Used by the callback page and by the command line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

from models.account import Account, connect_account
from models.keyring import Keyring
from models.setting import team_settings


def keep_grant(
    session: Session,
    keyring: Keyring,
    granted: Any,
    *,
    user_id: int,
    now: datetime,
    expected_account_id: int | None = None,
    key_id: int | None = None,
) -> Account:
    """Store a ``connectors.providers.Granted`` as the user's account. ``key_id``: a service account gave it. Raises Conflict
    for another mailbox than the one that is being reconnected."""
    return connect_account(
        session,
        user_id=user_id,
        provider=granted.provider,
        subject=granted.subject,
        email=granted.email,
        addresses=granted.addresses,
        capabilities=granted.capabilities,
        missing=granted.missing,
        sealed_grant=keyring.seal_json(granted.grant),
        visibility=team_settings(session)["default_visibility"],
        now=now,
        expected_account_id=expected_account_id,
        key_id=key_id,
    )
