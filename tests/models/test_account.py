"""Connected accounts, and the leases that keep two workers off one source."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from models.account import (
    Account,
    AccountAddress,
    Source,
    claim_due_sources,
    claim_source,
    connect_account,
    disconnect_account,
    find_source,
    keep_lease,
    lease_owner,
    own_addresses,
    release_dead_leases,
    release_source,
    request_sync,
    set_own_addresses,
)
from models.db import Database
from models.errors import Conflict, NotFound
from tests.models.cast import mailbox, member
from tests.support import COLLEAGUE, NOW, REP

SOON = NOW + timedelta(seconds=30)
LATER = NOW + timedelta(hours=1)


def _connect(session: Session, user: str = REP, **more: Any) -> Account:
    given: dict[str, Any] = {
        "provider": "google",
        "subject": "g-1",
        "email": REP,
        "addresses": [REP, "Rae+Alias@acme.example"],
        "capabilities": ["mail", "calendar"],
        "missing": [],
        "sealed_grant": b"one",
        "visibility": "subject",
        "now": NOW,
    }
    return connect_account(session, user_id=member(session, user).id or 0, **(given | more))


def test_a_consent_makes_an_account_that_is_looked_at_at_once(any_db: Database) -> None:
    with any_db.write() as session:
        account = _connect(session)
        directory = find_source(session, account.id or 0, "directory", "")
        assert directory is not None and directory.next_sync_at == NOW
        assert own_addresses(session) == {REP, "rae+alias@acme.example"}
        assert (account.visibility, account.capabilities) == ("subject", ["calendar", "mail"])


def test_a_second_consent_renews_the_same_account(any_db: Database) -> None:
    """Field note 25: a renamed mailbox is known by its subject; its level and its first day stay."""
    with any_db.write() as session:
        account = _connect(session)
        account.refused, account.refused_code = "reconnect", "invalid_grant"
        again = _connect(session, email="rae.new@acme.example", sealed_grant=b"two", visibility="full", now=LATER)
        assert again.id == account.id
        assert (again.email, again.sealed_grant, again.visibility) == ("rae.new@acme.example", b"two", "subject")
        assert (again.refused, again.refused_code, again.connected_at) == ("", "", NOW)


def test_the_wrong_mailbox_or_another_users_account_is_refused(any_db: Database) -> None:
    """Field note 25: reconnecting the wrong mailbox by mistake changes nothing."""
    with any_db.write() as session:
        account = _connect(session)
        with pytest.raises(Conflict, match="You signed in as other@acme.example"):
            _connect(session, subject="g-2", email="other@acme.example", expected_account_id=account.id)
        with pytest.raises(Conflict, match="another user"):
            _connect(session, COLLEAGUE)
        assert session.exec(select(Account.sealed_grant)).all() == [b"one"]


def test_own_addresses_follow_the_provider_and_keep_what_was_added_by_hand(any_db: Database) -> None:
    with any_db.write() as session:
        account = _connect(session)
        session.add(AccountAddress(account_id=account.id or 0, address="sales@acme.example", manual=True))
        session.flush()
        set_own_addresses(session, account.id or 0, ["RAE@acme.example", "", "nobody"])
        assert own_addresses(session) == {REP, "sales@acme.example"}


def test_disconnecting_forgets_the_grant_and_stops_all_work(any_db: Database) -> None:
    with any_db.write() as session:
        account, source = mailbox(session)
        claim_source(session, source.id or 0, owner="x", now=NOW, seconds=60)
        session.refresh(source)
        disconnect_account(session, account, now=NOW)
        session.flush()
        assert account.sealed_grant == b"" and source.next_sync_at is None and source.lease_owner == ""
        assert claim_due_sources(session, now=LATER, seconds=60, limit=9) == []
        assert not keep_lease(session, source.id or 0, "x", now=NOW, seconds=60)
        with pytest.raises(NotFound):
            request_sync(session, account.id or 0, now=NOW)


def test_reconnecting_after_a_disconnection_starts_a_new_connection(any_db: Database) -> None:
    """Field note 25: what came while nobody was connected is history, not news."""
    with any_db.write() as session:
        account = _connect(session)
        disconnect_account(session, account, now=NOW)
        again = _connect(session, now=LATER)
        assert (again.id, again.connected_at, again.disconnected_at) == (account.id, LATER, None)
        assert all(source.next_sync_at == LATER for source in session.exec(select(Source)))


def test_of_two_claimants_one_wins(any_db: Database) -> None:
    with any_db.write() as session:
        source = mailbox(session)[1].id or 0
    start = threading.Barrier(4)

    def claim(name: str) -> bool:
        start.wait()
        with any_db.write() as session:
            return claim_source(session, source, owner=name, now=NOW, seconds=60)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(claim, "abcd")) == [False, False, False, True]


def test_a_claim_is_found_by_time_and_held_until_its_lease_ends(any_db: Database) -> None:
    with any_db.write() as session:
        source = mailbox(session)[1]
        won = claim_due_sources(session, now=NOW, seconds=60, limit=9)
        assert source.id in [key for key, _ in won]
        assert claim_due_sources(session, now=SOON, seconds=60, limit=9) == []
        late = claim_due_sources(session, now=NOW + timedelta(seconds=60), seconds=60, limit=9)
        assert source.id in [key for key, _ in late]
        owners = dict(won) | {f"late-{key}": owner for key, owner in late}
        assert len(set(owners.values())) == len(owners)


@pytest.mark.parametrize(
    "column",
    [
        {"selected": False},
        {"gone_at": NOW},
        {"next_sync_at": LATER},
        {"next_sync_at": None},
        {"account.disconnected_at": NOW},
        {"account.refused": "reconnect"},
        {"account.refused": "blocked", "account.look_again_at": LATER},
        {"account.throttled_until": LATER},
    ],
)
def test_what_may_not_or_need_not_run_is_not_claimed(db: Database, column: dict[str, Any]) -> None:
    with db.write() as session:
        account, source = mailbox(session)
        for row in session.exec(select(Source).where(Source.kind == "directory")):
            session.delete(row)
        for name, value in column.items():
            setattr(account if name.startswith("account.") else source, name.removeprefix("account."), value)
        session.flush()
        assert claim_due_sources(session, now=NOW, seconds=60, limit=9) == []
        if "account.look_again_at" in column or "account.throttled_until" in column:
            assert claim_due_sources(session, now=LATER, seconds=60, limit=9) != []


def test_a_lease_is_prolonged_by_its_holder_only(any_db: Database) -> None:
    with any_db.write() as session:
        source = mailbox(session)[1]
        claim_source(session, source.id or 0, owner="mine", now=NOW, seconds=60)
        assert keep_lease(session, source.id or 0, "mine", now=SOON, seconds=60)
        assert not keep_lease(session, source.id or 0, "theirs", now=SOON, seconds=60)
        session.refresh(source)
        assert source.lease_until == SOON + timedelta(seconds=60)


def test_a_release_is_the_holders_and_outlived_by_a_request(any_db: Database) -> None:
    with any_db.write() as session:
        account, source = mailbox(session)
        key = source.id or 0
        claim_source(session, key, owner="mine", now=NOW, seconds=60)
        release_source(session, key, "theirs", now=SOON, next_sync_at=LATER)
        session.refresh(source)
        assert source.lease_owner == "mine"
        release_source(session, key, "mine", now=SOON, next_sync_at=LATER, failures=3)
        session.refresh(source)
        assert (source.lease_owner, source.next_sync_at, source.failures) == ("", LATER, 3)
        claim_source(session, key, owner="mine", now=NOW, seconds=60)
        session.refresh(source)
        request_sync(session, account.id or 0, now=SOON)
        session.flush()
        release_source(session, key, "mine", now=SOON, next_sync_at=LATER)
        session.refresh(source)
        assert source.next_sync_at == SOON


def test_a_dead_process_of_this_machine_loses_its_leases_at_once(any_db: Database) -> None:
    """Field note 12: the owner of the lease was killed."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    child = process.pid
    with any_db.write() as session:
        dead, alive, elsewhere, odd = (mailbox(session)[1] for _ in range(4))
        dead.lease_owner = f"{socket.gethostname()}:{child}:aa"
        alive.lease_owner = lease_owner()
        elsewhere.lease_owner = f"another-host:{child}:aa"
        odd.lease_owner = "odd"
        for source in (dead, alive, elsewhere, odd):
            source.lease_until = source.next_sync_at = LATER
        session.flush()
        assert release_dead_leases(session, now=NOW) == 1
        assert (dead.lease_owner, dead.lease_until, dead.next_sync_at) == ("", None, NOW)
        assert all(source.lease_until == LATER for source in (alive, elsewhere, odd))


def test_asking_for_a_sync_also_looks_at_a_refusal_again(any_db: Database) -> None:
    with any_db.write() as session:
        account, source = mailbox(session)
        account.refused, account.look_again_at = "reconnect", None
        source.next_sync_at = LATER
        session.flush()
        assert request_sync(session, account.id or 0, now=SOON) == 2
        assert (source.next_sync_at, account.look_again_at) == (SOON, SOON)
        assert source.id in [key for key, _ in claim_due_sources(session, now=SOON, seconds=60, limit=9)]
        with pytest.raises(NotFound):
            request_sync(session, 999, now=NOW)
