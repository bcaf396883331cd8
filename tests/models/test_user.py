"""Who signs in: invitations, passwords, browser sessions and API keys."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.db import Database
from models.errors import Conflict, Invalid
from models.user import (
    WebSession,
    add_user,
    check_password,
    create_key,
    find_user,
    hash_token,
    invited_user,
    key_owner,
    set_password,
    sign_in,
    signed_in,
)
from tests.models.cast import member
from tests.support import COLLEAGUE, NOW, REP

PASSWORD = "correct horse battery"


def test_an_invitation_is_used_up_by_the_password(any_db: Database) -> None:
    with any_db.write() as session:
        user, token = add_user(session, "Rae@ACME.example", role="rep", now=NOW)
        assert (user.email, user.name, user.password_hash) == (REP, "Rae", "")
        assert token not in user.invite_hash
        assert invited_user(session, token) is not None
        set_password(session, user, PASSWORD)
        assert invited_user(session, token) is None
        assert invited_user(session, "") is None


@pytest.mark.parametrize(
    ("email", "role", "error"),
    [("no address", "rep", Invalid), (COLLEAGUE, "boss", Invalid), (REP, "rep", Conflict)],
)
def test_a_wrong_invitation_is_refused(db: Database, email: str, role: str, error: type[Exception]) -> None:
    with db.write() as session:
        member(session)
        with pytest.raises(error):
            add_user(session, email, role=role, now=NOW)


@pytest.mark.parametrize("password", ["short", "x" * 1001])
def test_a_password_that_is_too_short_or_too_long_is_refused(db: Database, password: str) -> None:
    with db.write() as session, pytest.raises(Invalid):
        set_password(session, member(session), password)


def test_only_the_right_password_of_somebody_who_may_come_in_opens(any_db: Database) -> None:
    with any_db.write() as session:
        user = member(session)
        assert check_password(session, REP, "") is None
        set_password(session, user, PASSWORD)
        assert check_password(session, " RAE@acme.example ", PASSWORD) is user
        assert check_password(session, REP, PASSWORD + "!") is None
        assert check_password(session, COLLEAGUE, PASSWORD) is None
        user.disabled_at = NOW
        session.add(user)
        session.flush()
        assert check_password(session, REP, PASSWORD) is None


def test_a_browser_session_ends_when_its_time_is_over_or_its_person_is_disabled(any_db: Database) -> None:
    with any_db.write() as session:
        user = member(session)
        token, row = sign_in(session, user, now=NOW, days=14)
        session.flush()
        assert row.token_hash == hash_token(token) != token
        found = signed_in(session, token, now=NOW)
        assert found is not None and found[0] is user and found[1].csrf
        assert signed_in(session, token, now=NOW + timedelta(days=14)) is None
        assert signed_in(session, "", now=NOW) is None
        assert signed_in(session, "stranger", now=NOW) is None
        user.disabled_at = NOW
        session.flush()
        assert signed_in(session, token, now=NOW) is None
        assert session.get(WebSession, hash_token(token)) is not None


def test_a_key_is_shown_once_and_stops_when_revoked_or_its_owner_is_disabled(any_db: Database) -> None:
    with any_db.write() as session:
        user = member(session)
        token = create_key(session, user, now=NOW, name="zapier")
        session.flush()
        found = key_owner(session, token)
        assert found is not None and found[0] is user
        key = found[1]
        assert token not in (key.key_hash, key.hint) and token.endswith(key.hint)
        assert key_owner(session, token + "x") is None
        user.disabled_at = NOW
        session.flush()
        assert key_owner(session, token) is None
        user.disabled_at, key.revoked_at = None, NOW
        session.flush()
        assert key_owner(session, token) is None


def test_a_user_is_found_by_any_spelling_of_the_address(any_db: Database) -> None:
    with any_db.write() as session:
        user = member(session)
        assert find_user(session, "RAE@Acme.Example") is user
        assert find_user(session, "not an address") is None
