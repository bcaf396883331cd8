"""Answers kept for a day, so that a write that is sent twice with one Idempotency-Key is done once."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.fields import instant


class IdempotentAnswer(SQLModel, table=True):
    """The answer to one write. ``fingerprint`` is a hash of the request: the same key on another request is refused."""

    __tablename__ = "idempotent_answer"  # pyright: ignore[reportAssignmentType]
    user_id: int = Field(foreign_key="user.id", primary_key=True, ondelete="CASCADE")
    key: str = Field(primary_key=True)
    fingerprint: str
    status: int = 0
    body: str = ""
    created_at: datetime = instant(index=True)
