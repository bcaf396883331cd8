"""A rotation of keys leaves nothing under the old one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlmodel import Session, SQLModel, select

from models.account import connect_account
from models.db import Database
from models.idempotency import IdempotentAnswer
from models.keyring import Keyring, KeyringError, hasher
from models.resealing import SEALED, reseal_all
from models.user import add_user
from models.webhook import Webhook

OLD, NEW = "a-key-for-tests-long-enough", "a new key, long enough"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def secrets_under(session: Session, keyring: Keyring) -> bytes:
    """One of each kind of secret; the digest of a word under the hash key."""
    user, _ = add_user(session, "rae@acme.example", role="rep", now=NOW)
    connect_account(
        session,
        user_id=user.id or 0,
        provider="google",
        subject="1",
        email="rae@acme.example",
        addresses=["rae@acme.example"],
        capabilities=["mail"],
        missing=[],
        visibility="team",
        sealed_grant=keyring.seal(b"grant"),
        now=NOW,
    )
    row = {"user_id": user.id or 0, "created_at": NOW}
    session.add(Webhook(**row, target_url="https://h.example", event="deal.created", sealed_secret=keyring.seal(b"s")))
    session.add(IdempotentAnswer(**row, key="k", fingerprint="f", status=201, body=keyring.seal(b"answer").decode()))
    session.add(IdempotentAnswer(**row, key="under way", fingerprint="f"))
    return hasher(session, keyring).digest("word")


def test_everything_opens_with_the_new_key_alone(any_db: Database) -> None:
    new = Keyring([NEW])
    with any_db.write() as session:
        word = secrets_under(session, Keyring([OLD]))
    with any_db.write() as session:
        assert reseal_all(session, Keyring([NEW, OLD])) == 4
    with any_db.read() as session:
        held = [getattr(row, name) for model, name in SEALED for row in session.exec(select(model))]
        assert sorted(new.open(s if isinstance(s, bytes) else s.encode()) for s in held if s) == [
            b"answer",
            b"grant",
            b"s",
        ]
        assert hasher(session, new).digest("word") == word


def test_with_a_key_missing_nothing_is_changed(any_db: Database) -> None:
    with any_db.write() as session:
        secrets_under(session, Keyring([OLD]))
    with pytest.raises(KeyringError, match="Put the earlier key back"), any_db.write() as session:
        reseal_all(session, Keyring([NEW]))
    with any_db.write() as session:
        assert reseal_all(session, Keyring([OLD])) == 4


def test_no_sealed_column_is_forgotten() -> None:
    import models.tables  # noqa: F401

    columns = {(t.name, c.name) for t in SQLModel.metadata.tables.values() for c in t.columns if c.name[:6] == "sealed"}
    assert columns <= {(str(model.__tablename__), name) for model, name in SEALED}
    assert len(columns) == 4
