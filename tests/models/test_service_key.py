"""Service accounts' keys, and whose account a grant is when only the address is known."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, select

from models.account import Account, connect_account, disconnect_account
from models.db import Database
from models.service_key import ServiceKey, keep_key
from tests.models.cast import member
from tests.support import COLLEAGUE, NOW, REP


def _key(session: Session, secret: bytes = b"one") -> ServiceKey:
    given = {"provider": "google", "email": "robot@p.example", "client_id": "117"}
    return keep_key(session, **given, sealed_key=secret, now=NOW)


def _connect(session: Session, subject: str, email: str = REP, **more: Any) -> Account:
    given: dict[str, Any] = {"addresses": [email], "capabilities": ["mail"], "missing": [], "sealed_grant": b"x"}
    given |= {"provider": "google", "visibility": "full", "now": NOW}
    user_id = member(session, email).id or 0
    return connect_account(session, user_id=user_id, subject=subject, email=email, **(given | more))


def test_a_newer_key_takes_the_place_of_the_older(any_db: Database) -> None:
    with any_db.write() as session:
        assert _key(session).id == _key(session, b"two").id
        assert session.exec(select(ServiceKey.sealed_key)).all() == [b"two"]


def test_a_key_goes_with_the_last_of_its_accounts(any_db: Database) -> None:
    with any_db.write() as session:
        key = _key(session)
        rae, col = _connect(session, "1", key_id=key.id), _connect(session, "2", COLLEAGUE, key_id=key.id)
        disconnect_account(session, rae, now=NOW)
        assert session.exec(select(ServiceKey)).all() == [key]
        _connect(session, "2", COLLEAGUE)  # by her own consent now
        assert col.key_id is None and session.exec(select(ServiceKey)).all() == []


def test_an_account_known_by_its_address_learns_who_it_is(any_db: Database) -> None:
    with any_db.write() as session:
        first = _connect(session, f"mailbox:{REP}")
        assert _connect(session, "104", expected_account_id=first.id).id == first.id
        assert first.subject == "104"
        assert _connect(session, f"mailbox:{REP}").id == first.id and first.subject == "104"


def test_an_address_that_passed_to_somebody_else_is_another_account(any_db: Database) -> None:
    with any_db.write() as session:
        assert _connect(session, "104").id != _connect(session, "105").id
