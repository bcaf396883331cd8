"""Doorbells in rows: what a ring writes, what is due, who may tend it, and what becomes of it in the end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from models.account import Account, Source, claim_due_sources, disconnect_account, lease_owner
from models.channel import (
    Channel,
    add_channel,
    channel_failed,
    channel_opened,
    end_channels,
    forget_channel,
    give_up_channel,
    prepare_channel,
    replace_channel,
)
from models.db import Database
from models.doorbell import (
    FRESH,
    channel_for,
    claim_due_channels,
    due_channels,
    hash_of,
    hasten,
    hasten_all,
    hear_channel,
    hear_mailboxes,
    moved,
    unwanted,
    unwatched,
)
from models.reader import free_reader, hold_reader, reader_of, reader_went
from tests.models.cast import mailbox
from tests.support import COLLEAGUE, NOW, REP

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
SUB = "projects/p/subscriptions/s"


def read(session: Session, email: str = REP, *, kind: str = "mail", **columns: Any) -> Source:
    """A source that was read and is due in an hour."""
    _, source = mailbox(session, email, kind=kind)
    for name, value in ({"synced_at": NOW, "next_sync_at": NOW + HOUR} | columns).items():
        setattr(source, name, value)
    session.add(source)
    session.flush()
    return source


def bell(session: Session, source: Source, kind: str = "mail", *, at: datetime = NOW, **columns: Any) -> Channel:
    """An open doorbell of it."""
    channel = add_channel(session, source.id or 0, kind, now=at)
    session.flush()
    channel_opened(
        session,
        channel.id or 0,
        opened_at=at,
        expires_at=at + WEEK,
        renew_at=at + HOUR,
        address="here",
        resource_id="r",
    )
    session.refresh(channel)
    for name, value in columns.items():
        setattr(channel, name, value)
    session.add(channel)
    session.flush()
    return channel


def due_at(db: Database, source: Source) -> datetime | None:
    with db.read() as session:
        return session.get_one(Source, source.id).next_sync_at


def heard_at(db: Database, channel: Channel) -> datetime | None:
    with db.read() as session:
        return session.get_one(Channel, channel.id).last_message_at


# ---- ringing


def test_a_ring_makes_its_mailbox_due_in_a_moment_and_no_other(any_db: Database) -> None:
    with any_db.write() as session:
        mine, theirs = read(session), read(session, COLLEAGUE)
        channel, other = bell(session, mine), bell(session, theirs)
    assert hear_mailboxes(any_db, "google", [" RAE@acme.example "], now=NOW) == 2
    assert due_at(any_db, mine) == NOW + timedelta(seconds=2)
    assert due_at(any_db, theirs) == NOW + HOUR
    assert (heard_at(any_db, channel), heard_at(any_db, other)) == (NOW, None)
    assert hear_mailboxes(any_db, "google", [REP], now=NOW + timedelta(seconds=1)) == 0
    assert hear_mailboxes(any_db, "google", ["nobody@nowhere.example"], now=NOW) == 0
    assert hear_mailboxes(any_db, "microsoft", [REP], now=NOW + HOUR) == 0


def test_a_mailbox_without_a_doorbell_is_woken_all_the_same(any_db: Database) -> None:
    with any_db.write() as session:
        source = read(session)
    assert hear_mailboxes(any_db, "google", [REP], now=NOW) == 1
    assert due_at(any_db, source) == NOW + timedelta(seconds=2)


def test_a_disconnected_mailbox_is_not_woken(any_db: Database) -> None:
    with any_db.write() as session:
        source = read(session)
        disconnect_account(session, session.get_one(Account, source.account_id), now=NOW)
    assert hear_mailboxes(any_db, "google", [REP], now=NOW) == 0
    assert due_at(any_db, source) is None


def test_a_ring_while_the_source_is_held_is_due_at_its_release(any_db: Database) -> None:
    with any_db.write() as session:
        source = read(session, next_sync_at=NOW)
        ((held, _),) = [one for one in claim_due_sources(session, now=NOW, seconds=120, limit=9) if one[0] == source.id]
    later = NOW + timedelta(seconds=30)
    assert held == source.id
    assert hear_mailboxes(any_db, "google", [REP], now=later) == 1
    assert due_at(any_db, source) == later
    assert hear_mailboxes(any_db, "google", [REP], now=later + timedelta(seconds=9)) == 0


def test_how_a_doorbell_was_heard_is_kept_but_not_to_the_second(any_db: Database) -> None:
    with any_db.write() as session:
        channel = bell(session, read(session, kind="calendar"), "calendar")
    assert hear_channel(any_db, channel, now=NOW, wake=False) == 1
    assert hear_channel(any_db, channel, now=NOW + FRESH, wake=False) == 0
    assert hear_channel(any_db, channel, now=NOW + FRESH * 2, wake=False) == 1
    assert heard_at(any_db, channel) == NOW + FRESH * 2
    with any_db.write() as session:
        row = session.get_one(Channel, channel.id)
        row.missed_at = NOW + FRESH * 2
        session.add(row)
    assert hear_channel(any_db, channel, now=NOW + FRESH * 2 + timedelta(seconds=1), wake=False) == 1, "it rings again"


def test_a_calendars_message_needs_its_id_its_secret_and_its_resource(any_db: Database) -> None:
    with any_db.write() as session:
        source = read(session, kind="calendar")
        bell(session, source, "calendar", channel_id="c1", token_hash=hash_of("hush"))
        add_channel(session, source.id or 0, "mail", now=NOW).channel_id = "g1"
    with any_db.read() as session:
        assert channel_for(session, "c1", "hush", "r") is not None
        for wrong in (
            ("c1", "hush", "x"),
            ("c1", "", "r"),
            ("c1", "hush2", "r"),
            ("c2", "hush", "r"),
            ("g1", "", "r"),
        ):
            assert channel_for(session, *wrong) is None


# ---- what is due


def test_a_doorbell_is_tended_by_one_and_again_when_its_lease_ends(any_db: Database) -> None:
    with any_db.write() as session:
        channel = bell(session, read(session))
        assert session.exec(due_channels(NOW)).all() == []
    now = NOW + HOUR
    with any_db.write() as session:
        ((won, owner),) = claim_due_channels(session, now=now, seconds=300, limit=9)
    with any_db.write() as session:
        assert claim_due_channels(session, now=now, seconds=300, limit=9) == []
        channel_failed(session, won, "another", code="x", sentence="X.", again_at=now, now=now)
        assert session.get_one(Channel, won).failures == 0, "the lease is not theirs"
        channel_failed(session, won, owner, code="x", sentence="X.", again_at=now + HOUR, now=now)
    with any_db.read() as session:
        row = session.get_one(Channel, channel.id)
        assert (row.failures, row.error, row.lease_owner, row.renew_at) == (1, "x", "", now + HOUR)
        assert session.exec(due_channels(now + HOUR)).all() == [won]


def test_a_refused_throttled_or_disconnected_account_is_left_in_peace(any_db: Database) -> None:
    with any_db.write() as session:
        source = read(session)
        bell(session, source)
    for columns, due in (
        ({"refused": "reconnect"}, 0),
        ({"refused": "", "throttled_until": NOW + HOUR * 3}, 0),
        ({"throttled_until": NOW + HOUR}, 1),
        ({"disconnected_at": NOW}, 0),
    ):
        with any_db.write() as session:
            account = session.get_one(Account, source.account_id)
            for name, value in columns.items():
                setattr(account, name, value)
            session.add(account)
        with any_db.read() as session:
            assert len(session.exec(due_channels(NOW + HOUR * 2)).all()) == due, columns


def test_what_is_missing_and_what_is_too_much(any_db: Database) -> None:
    with any_db.write() as session:
        plain, fresh, off = read(session), read(session, synced_at=None), read(session, selected=False)
        gone, doubled = read(session, gone_at=NOW), read(session)
        calendar = read(session, kind="calendar")
        assert unwatched(session, "google", "mail") == [plain.id, doubled.id]
        assert unwatched(session, "google", "mail", limit=1) == [plain.id]
        assert unwatched(session, "google", "calendar") == [calendar.id]
        assert unwatched(session, "microsoft", "mail") == []
        assert fresh.id not in unwatched(session, "google", "mail")
        bells = {name: bell(session, one) for name, one in {"plain": plain, "off": off, "gone": gone}.items()}
        first, second = bell(session, doubled), bell(session, doubled)
        ringing = bell(session, calendar, "calendar")
        hold_reader(session, SUB, "me", now=NOW, seconds=60)
        assert unwatched(session, "google", "mail") == []
        assert sorted(unwanted(session, [("google", "mail"), ("google", "calendar")])) == [
            bells["off"].id,
            bells["gone"].id,
            first.id,
        ]
        assert ringing.id in unwanted(session, [("google", "mail")])
        assert second.id in unwanted(session, [])
        assert moved(session, "google", "mail", "here", NOW) == []
        assert bells["plain"].id in moved(session, "google", "mail", "there", NOW)
        assert moved(session, "google", "mail", "there", NOW + HOUR) == [], "these are being renewed already"


def test_a_faulty_doorbell_brings_its_sources_forward_and_nothing_back(any_db: Database) -> None:
    with any_db.write() as session:
        late, soon, free = read(session), read(session, next_sync_at=NOW), read(session)
        held = read(session, lease_owner="x", lease_until=NOW + HOUR)
        for source in (late, soon, held):
            bell(session, source)
        at = NOW + timedelta(minutes=1)
        assert hasten_all(session, "microsoft", "mail", at=at) == 0
        assert hasten_all(session, "google", "mail", at=at) == 1
        assert hasten(session, free.id or 0, at=at) == 1
    dues = [due_at(any_db, source) for source in (late, soon, free, held)]
    assert dues == [at, NOW, at, NOW + HOUR]


# ---- one after another, and the end


def test_the_next_channel_takes_over_and_the_last_one_is_stopped_a_little_later(any_db: Database) -> None:
    with any_db.write() as session:
        source = read(session, kind="calendar")
        last = bell(session, source, "calendar", channel_id="c1")
        given = {"token_hash": hash_of("t"), "address": "here", "now": NOW}
        orphan = prepare_channel(session, last, "me", channel_id="c2", **given)
        fresh = prepare_channel(session, last, "me", channel_id="c3", **given)
        session.flush()
        assert session.get(Channel, orphan) is None, "of an attempt that was cut off"
        assert unwanted(session, [("google", "calendar")]) == []
        channel_opened(
            session, fresh, opened_at=NOW, expires_at=NOW + WEEK, renew_at=NOW + HOUR, address="here", resource_id="r2"
        )
        replace_channel(session, last, stop_at=NOW + timedelta(seconds=60))
        assert unwanted(session, [("google", "calendar")]) == []
        assert session.exec(due_channels(NOW + timedelta(seconds=59))).all() == []
        assert session.exec(due_channels(NOW + timedelta(seconds=60))).all() == [last.id]
        forget_channel(session, last.id or 0)
        forget_channel(session, last.id or 0)
        assert session.exec(select(Channel.channel_id)).all() == ["c3"]


def test_a_first_channel_has_nothing_to_replace(any_db: Database) -> None:
    with any_db.write() as session:
        wanted = add_channel(session, read(session, kind="calendar").id or 0, "calendar", now=NOW)
        session.flush()
        fresh = prepare_channel(session, wanted, "me", channel_id="c1", token_hash=b"x", address="here", now=NOW)
        replace_channel(session, wanted, stop_at=NOW)
        session.flush()
        assert session.exec(select(Channel.id)).all() == [fresh]


def test_a_disconnection_keeps_the_grant_only_for_stopping(any_db: Database) -> None:
    with any_db.write() as session:
        source = read(session)
        open_one = bell(session, source)
        add_channel(session, source.id or 0, "calendar", now=NOW)
        account = session.get_one(Account, source.account_id)
        disconnect_account(session, account, now=NOW)
        assert account.sealed_grant == b""
        (row,) = session.exec(select(Channel)).all()
        assert (row.id, row.sealed_grant, row.stop_at, row.renew_at) == (open_one.id, b"sealed", NOW, None)
        assert session.exec(due_channels(NOW)).all() == [row.id], "although the account is disconnected"
        give_up_channel(session, row.id or 0, code="gone", sentence="Gone.", now=NOW)
        session.flush()
        assert (row.sealed_grant, row.stop_at, row.error) == (b"", row.expires_at, "gone")
        end_channels(session, ids=[row.id or 0], now=NOW + HOUR)
        assert row.stop_at == NOW + WEEK, "it is not asked for twice"


def test_doorbells_go_with_their_source(any_db: Database) -> None:
    with any_db.write() as session:
        source = read(session)
        bell(session, source)
        session.delete(source)
        session.flush()
        assert session.exec(select(Channel)).all() == []


# ---- the reader


def test_a_subscription_has_one_reader(any_db: Database) -> None:
    with any_db.write() as session:
        assert hold_reader(session, SUB, "far:1:a", now=NOW, seconds=60)
        assert not hold_reader(session, SUB, "far:2:b", now=NOW, seconds=60)
        assert hold_reader(session, SUB, "far:1:a", now=NOW, seconds=60)
        assert hold_reader(session, "projects/p/subscriptions/other", "far:2:b", now=NOW, seconds=60)
        assert hold_reader(session, SUB, "far:2:b", now=NOW + timedelta(seconds=60), seconds=60)
        free_reader(session, SUB, "far:1:a")
        assert not hold_reader(session, SUB, "far:3:c", now=NOW + timedelta(seconds=61), seconds=60)
        free_reader(session, SUB, "far:2:b")
        assert hold_reader(session, SUB, "far:3:c", now=NOW + timedelta(seconds=61), seconds=60)
        assert len(session.exec(select(Channel).where(col(Channel.kind) == "reader")).all()) == 2


def test_a_reader_that_was_killed_is_replaced_at_once(any_db: Database) -> None:
    host = lease_owner().split(":")[0]
    with any_db.write() as session:
        assert hold_reader(session, SUB, f"{host}:999999999:x", now=NOW, seconds=600)
        assert hold_reader(session, SUB, lease_owner(), now=NOW, seconds=600)
        assert not hold_reader(session, SUB, "far:1:a", now=NOW, seconds=600)


def test_how_reading_went_is_kept(any_db: Database) -> None:
    with any_db.write() as session:
        reader_went(session, SUB, now=NOW)
        assert reader_of(session, SUB) is None
        hold_reader(session, SUB, "me", now=NOW, seconds=60)
        for _ in range(2):
            reader_went(session, SUB, now=NOW, code="subscription_missing", sentence="Missing.")
        row = reader_of(session, SUB)
        assert row is not None
        assert (row.failures, row.error, row.opened_at) == (2, "subscription_missing", None)
        reader_went(session, SUB, now=NOW + HOUR)
        assert (row.failures, row.error, row.error_at, row.opened_at) == (0, "", None, NOW + HOUR)
