"""Keeping what a consent gave: sealed, in its account. Used by the callback page and by the command line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

from connectors.errors import ConnectorError, Refused
from models.account import Account, connect_account
from models.errors import Forbidden, Invalid
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
    """Store a ``connectors.provider.Granted`` as the user's account. ``key_id``: a service account gave it. Raises Conflict
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


def consent_of(keyring: Keyring, account: Account, *, asked_by: int) -> dict[str, Any]:
    """The consent that its owner wants to withdraw at the provider as well. Raises Forbidden, Invalid."""
    if account.user_id != asked_by:
        raise Forbidden("Only the owner of a mailbox withdraws their consent; you can disconnect it here.")
    if account.key_id is not None:
        raise Invalid(
            "Nobody's own consent stands behind this account: the team's service account reads it. Disconnect it here, or "
            "have the organisation's administrator end the delegation."
        )
    if not account.sealed_grant:
        raise Invalid("This account is disconnected already; there is no consent left here to withdraw.")
    return keyring.open_json(account.sealed_grant)


def withdraw(provider: Any, grant: dict[str, Any]) -> str:
    """Ask the provider to end a consent, after it was forgotten here; what came of it, in a sentence."""
    try:
        provider.revoke(grant)
    except Refused as error:
        return error.sentence
    except ConnectorError:
        return (
            f"{provider.label} could not be asked to withdraw the consent just now; you can do it yourself in the security "
            f"settings of your {provider.label} account."
        )
    return f"The consent is withdrawn at {provider.label}, also for other programs of the same project."
