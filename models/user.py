"""Who signs in: people, their sessions and their API keys."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlmodel import Field, Session, SQLModel, col, select

from models.addresses import canonical
from models.errors import Conflict, Invalid
from models.fields import instant

ROLES = ("admin", "manager", "rep")
_passwords = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # OWASP's argon2id minimum


class User(SQLModel, table=True):
    """A member of the team. Without a password they come in through an invitation link. ``several_deals``: what becomes of
    mail in their mailboxes that fits several deals (empty: as the team decided)."""

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True)
    name: str = ""
    role: str = "rep"
    password_hash: str = ""
    invite_hash: str = Field(default="", index=True)
    created_at: datetime = instant()
    disabled_at: datetime | None = instant(None)
    several_deals: str = ""


class WebSession(SQLModel, table=True):
    """One signed-in browser. Only the hash of its cookie is kept. ``data`` carries a consent flow between two requests."""

    __tablename__ = "web_session"  # pyright: ignore[reportAssignmentType]
    token_hash: str = Field(primary_key=True)
    user_id: int = Field(foreign_key="user.id", index=True, ondelete="CASCADE")
    csrf: str
    created_at: datetime = instant()
    expires_at: datetime = instant()
    consent: str = ""


class ApiKey(SQLModel, table=True):
    """A bearer key of a person's. Only its hash is kept; ``hint`` shows which one it is."""

    __tablename__ = "api_key"  # pyright: ignore[reportAssignmentType]
    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", index=True, ondelete="CASCADE")
    name: str = ""
    hint: str = ""
    key_hash: str = Field(unique=True)
    created_at: datetime = instant()
    last_used_at: datetime | None = instant(None)
    revoked_at: datetime | None = instant(None)


def hash_token(token: str) -> str:
    """How a random token is stored (SHA-256; the token has 256 bits of its own, so no slow hash is needed)."""
    return hashlib.sha256(token.encode()).hexdigest()


def add_user(session: Session, email: str, *, role: str, now: datetime, name: str = "") -> tuple[User, str]:
    """Invite somebody; the user and the invitation token (shown once). Raises Invalid, Conflict."""
    address = canonical(email)
    if not address:
        raise Invalid(f"{email!r} is not an e-mail address.", "email")
    if role not in ROLES:
        raise Invalid(f"A role is one of {', '.join(ROLES)}.", "role")
    if session.exec(select(User).where(User.email == address)).first():
        raise Conflict(f"{address} is a user already.")
    token = secrets.token_urlsafe(32)
    shown = name or address.partition("@")[0].replace(".", " ").title()
    user = User(email=address, name=shown, role=role, created_at=now, invite_hash=hash_token(token))
    session.add(user)
    session.flush()
    return user, token


def set_password(session: Session, user: User, password: str) -> None:
    """Set a password of at least ten characters and use up the invitation. Raises Invalid."""
    if len(password) < 10:
        raise Invalid("A password needs at least 10 characters.", "password")
    if len(password) > 1000:
        raise Invalid("A password may have at most 1,000 characters.", "password")
    user.password_hash = _passwords.hash(password)
    user.invite_hash = ""
    session.add(user)


def invited_user(session: Session, token: str) -> User | None:
    """Whose invitation this is."""
    return session.exec(
        select(User).where(User.invite_hash == hash_token(token), col(User.disabled_at).is_(None))
    ).first()


def check_password(session: Session, email: str, password: str) -> User | None:
    """The user, when the password is theirs. Takes equally long for an address that is none."""
    user = session.exec(select(User).where(User.email == canonical(email))).first()
    usable = user is not None and bool(user.password_hash) and user.disabled_at is None
    stored = user.password_hash if user is not None and usable else _nobody()
    try:
        _passwords.verify(stored, password)
    except (VerifyMismatchError, InvalidHashError):
        return None
    return user if usable else None


def sign_in(session: Session, user: User, *, now: datetime, days: int) -> tuple[str, WebSession]:
    """Open a session; the cookie's value and its row."""
    token = secrets.token_urlsafe(32)
    row = WebSession(
        token_hash=hash_token(token),
        user_id=user.id or 0,
        csrf=secrets.token_urlsafe(24),
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    session.add(row)
    return token, row


def signed_in(session: Session, token: str, *, now: datetime) -> tuple[User, WebSession] | None:
    """Whose cookie this is, while it lasts."""
    row = session.get(WebSession, hash_token(token)) if token else None
    if row is None or row.expires_at <= now:
        return None
    user = session.get(User, row.user_id)
    return (user, row) if user is not None and user.disabled_at is None else None


def create_key(session: Session, user: User, *, now: datetime, name: str = "") -> str:
    """A new API key; returned once, stored as a hash."""
    token = f"dt_{secrets.token_urlsafe(32)}"
    session.add(ApiKey(user_id=user.id or 0, name=name, hint=token[-4:], key_hash=hash_token(token), created_at=now))
    return token


def key_owner(session: Session, token: str) -> tuple[User, ApiKey] | None:
    """Whose API key this is."""
    row = session.exec(select(ApiKey).where(ApiKey.key_hash == hash_token(token))).first()
    if row is None or row.revoked_at is not None or not hmac.compare_digest(row.key_hash, hash_token(token)):
        return None
    user = session.get(User, row.user_id)
    return (user, row) if user is not None and user.disabled_at is None else None


def find_user(session: Session, email: str) -> User | None:
    """The user with this address."""
    return session.exec(select(User).where(User.email == canonical(email))).first()


_nobody_hash = ""


def _nobody() -> str:
    global _nobody_hash
    _nobody_hash = _nobody_hash or _passwords.hash(secrets.token_urlsafe(16))
    return _nobody_hash


def change_role(session: Session, user: User, role: str) -> None:
    """Give somebody another role. Raises Invalid, Conflict (the last administrator)."""
    if role not in ROLES:
        raise Invalid(f"A role is one of {', '.join(ROLES)}.", "role")
    if user.role == "admin" and role != "admin":
        _require_other_admin(session, user)
    user.role = role
    session.add(user)


def disable_user(session: Session, user: User, *, now: datetime) -> None:
    """Nobody comes in as this person any more, by session or key; what they did stays. Raises Conflict (the last
    administrator)."""
    if user.role == "admin":
        _require_other_admin(session, user)
    user.disabled_at = user.disabled_at or now
    session.add(user)
    for row in session.exec(select(WebSession).where(WebSession.user_id == user.id)):
        session.delete(row)


def enable_user(session: Session, user: User) -> None:
    """Let a disabled person in again."""
    user.disabled_at = None
    session.add(user)


def revoke_key(session: Session, key: ApiKey, *, now: datetime) -> None:
    """A key opens nothing any more."""
    key.revoked_at = key.revoked_at or now
    session.add(key)


def _require_other_admin(session: Session, user: User) -> None:
    others = select(User.id).where(User.role == "admin", col(User.disabled_at).is_(None), User.id != user.id)
    if session.exec(others).first() is None:
        raise Conflict("This is the last administrator. Make somebody else one first.")
