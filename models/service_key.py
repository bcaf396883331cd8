"""Keys of service accounts, with which an operator connects a whole team (domain-wide delegation). Sealed, never shown."""

from datetime import datetime

from sqlmodel import Field, Session, SQLModel, UniqueConstraint, select

from models.fields import instant, sealed


class ServiceKey(SQLModel, table=True):
    """One service account of the operator's. ``email`` and ``client_id`` (the number that a Workspace administrator
    enters) are no secrets; ``sealed_key`` is its whole key file."""

    __tablename__ = "service_key"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("provider", "email"),)
    id: int | None = Field(default=None, primary_key=True)
    provider: str
    email: str
    client_id: str
    sealed_key: bytes = sealed()
    added_at: datetime = instant()


def keep_key(
    session: Session, *, provider: str, email: str, client_id: str, sealed_key: bytes, now: datetime
) -> ServiceKey:
    """Store a key; a newer one of the same service account takes the place of the older, for all its accounts."""
    row = session.exec(select(ServiceKey).where(ServiceKey.provider == provider, ServiceKey.email == email)).first()
    row = row or ServiceKey(provider=provider, email=email, client_id=client_id, added_at=now)
    row.client_id, row.sealed_key = client_id, sealed_key
    session.add(row)
    session.flush()
    return row
