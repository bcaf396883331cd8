"""Answers kept for a day, so that a write that is sent twice with one Idempotency-Key is done once.

A key is claimed before the write and holds its sealed answer afterwards. A claim without an answer is somebody at work;
after ``CLAIM`` its holder is taken for dead, and the key may be claimed again.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, update
from sqlmodel import Field, Session, SQLModel, col, select

from models.db import insert_new, table
from models.errors import Conflict, Invalid
from models.fields import instant

KEEP = timedelta(days=1)
CLAIM = timedelta(minutes=2)


class IdempotentAnswer(SQLModel, table=True):
    """The answer to one write. ``fingerprint`` is a hash of the request: the same key on another request is refused.
    ``status`` 0: not answered yet. ``body`` is sealed, because an answer may hold a secret that is shown once."""

    __tablename__ = "idempotent_answer"  # pyright: ignore[reportAssignmentType]
    user_id: int = Field(foreign_key="user.id", primary_key=True, ondelete="CASCADE")
    key: str = Field(primary_key=True)
    fingerprint: str
    status: int = 0
    body: str = ""
    created_at: datetime = instant(index=True)


def claim_key(
    session: Session, user_id: int, key: str, fingerprint: str, *, now: datetime
) -> IdempotentAnswer | datetime:
    """The answer that was given before; or, when this caller is to do the write, the moment of its claim. Raises Invalid
    (the key stood on another request), Conflict (the same request is being answered)."""
    session.connection().execute(delete(table(IdempotentAnswer)).where(col(IdempotentAnswer.created_at) < now - KEEP))
    row = {"user_id": user_id, "key": key, "fingerprint": fingerprint, "status": 0, "body": "", "created_at": now}
    kept = _answer(session, user_id, key)
    if kept is None:
        insert_new(session, IdempotentAnswer, [row])
        kept = _answer(session, user_id, key)
        if kept is None or (kept.fingerprint == fingerprint and kept.created_at == now and not kept.status):
            return now
    if kept.fingerprint != fingerprint:
        raise Invalid("This Idempotency-Key was used for another request; take a new one for each.", "Idempotency-Key")
    if kept.status:
        return kept
    if _take_over(session, kept, now):
        return now
    raise Conflict("The same request is being answered at this moment; ask again in a few seconds.")


def keep_answer(session: Session, user_id: int, key: str, claimed: datetime, *, status: int, body: str) -> None:
    """Store the answer to a write that was done under a claim."""
    answers = table(IdempotentAnswer)
    session.connection().execute(
        update(answers)
        .where(answers.c.user_id == user_id, answers.c.key == key, answers.c.created_at == claimed)
        .values(status=status, body=body)
    )


def forget_claim(session: Session, user_id: int, key: str, claimed: datetime) -> None:
    """The write was refused, nothing was changed: the key may be used again."""
    answers = table(IdempotentAnswer)
    session.connection().execute(
        delete(answers).where(
            answers.c.user_id == user_id,
            answers.c.key == key,
            answers.c.created_at == claimed,
            answers.c.status == 0,
        )
    )


def _answer(session: Session, user_id: int, key: str) -> IdempotentAnswer | None:
    return session.exec(
        select(IdempotentAnswer).where(IdempotentAnswer.user_id == user_id, IdempotentAnswer.key == key)
    ).first()


def _take_over(session: Session, kept: IdempotentAnswer, now: datetime) -> bool:
    """Claim a key whose holder has died; of two who try, one gets it."""
    answers = table(IdempotentAnswer)
    taken = session.connection().execute(
        update(answers)
        .where(
            answers.c.user_id == kept.user_id,
            answers.c.key == kept.key,
            answers.c.status == 0,
            answers.c.created_at == kept.created_at,
            answers.c.created_at <= now - CLAIM,
        )
        .values(created_at=now)
    )
    return taken.rowcount == 1
