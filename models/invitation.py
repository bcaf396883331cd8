"""A second link in: for somebody who lost their invitation, or their password."""

import secrets

from sqlmodel import Session

from models.errors import Conflict
from models.user import User, hash_token


def invite_again(session: Session, user: User) -> str:
    """A new invitation token (shown once); an earlier one no longer works, a password goes on working until it is used.
    Raises Conflict for somebody who was shut out."""
    if user.disabled_at is not None:
        raise Conflict(f"{user.name} is shut out. Let them in again first.")
    token = secrets.token_urlsafe(32)
    user.invite_hash = hash_token(token)
    session.add(user)
    return token
