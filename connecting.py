"""``dealtrail connect`` for one mailbox, and what every command that connects or names one needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlmodel import Session

from connectors.provider import Granted
from house import House, now, open_house
from models.account import Account, connected_accounts
from models.errors import Invalid, NotFound
from models.keyring import Keyring
from models.user import User, add_user, find_user
from settings import SettingsError
from webapp.grants import keep_grant

MOST_BYTES = 4 * 1024 * 1024


def connect(
    provider: str,
    email: str,
    token_file: Path,
    user_email: str,
    *,
    shared: Sequence[str] = (),
    house: House | None = None,
) -> dict[str, Any]:
    """Connect a mailbox with a refresh token from a file; ``shared``: others' mailboxes which its person may read. Raises
    Invalid, NotFound, SettingsError, ConnectorError."""
    house = house or open_house()
    chosen = house.provider(provider)
    if not chosen.ready:
        raise SettingsError(chosen.why_not)
    token = read_text(token_file, "a refresh token").strip()
    if not token:
        raise Invalid(f"{token_file} is empty; it should hold a refresh token.")
    granted = chosen.adopt(token)
    if granted.email.lower() != email.strip().lower() and email.strip().lower() not in granted.addresses:
        raise Invalid(f"That token belongs to {granted.email}, not to {email}. Nothing was connected.")
    if shared:
        granted = chosen.share(granted, shared)
    with house.db.write() as session:
        account = store_grant(session, house.keyring, granted, user_email or email)
        owner = session.get(User, account.user_id)
        return {
            "id": account.id,
            "email": account.email,
            "user": owner.email if owner else "",
            "capabilities": account.capabilities,
            "missing": account.missing,
        }


def store_grant(
    session: Session, keyring: Keyring, granted: Granted, user_email: str, *, name: str = "", key_id: int | None = None
) -> Account:
    """Seal a grant into its account; a mailbox whose person is no user yet gets one without a password. ``key_id``: of the
    service account that gave it."""
    user = find_user(session, user_email)
    if user is None:
        user, _ = add_user(session, user_email, role="rep", now=now(), name=name)
    return keep_grant(session, keyring, granted, user_id=user.id or 0, now=now(), key_id=key_id)


def named_accounts(session: Session, email: str) -> list[Account]:
    """The connected accounts, or the one of an address. Raises NotFound when there is none."""
    found = connected_accounts(session, email)
    if not found:
        what = f"no connected account {email}" if email else "no connected account"
        raise NotFound(f"There is {what}. Connect one: dealtrail connect google EMAIL --refresh-token-file F")
    return found


def read_text(path: Path, what: str) -> str:
    """A small text file, ``what`` it should hold in words. Raises Invalid."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise Invalid(f"{path} is far too large; it should hold {what}.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Invalid(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise Invalid(f"{path} holds no text; it should hold {what}.") from None
