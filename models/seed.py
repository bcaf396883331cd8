"""What a fresh database needs before its first use."""

from sqlmodel import Session

from models.keyring import Keyring, hasher
from models.pipeline import default_pipeline


def seed(session: Session, keyring: Keyring) -> None:
    """The default pipeline and the hash key, once."""
    default_pipeline(session)
    hasher(session, keyring)
