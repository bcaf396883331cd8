"""Accounts: doorbells that do not ring are told with what to do; and each provider's own words for its client and its consents."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode
from sqlmodel import Session, select

import house as building
from models.account import Account, Source
from models.bell_faults import bell_faults, queue_faults
from models.channel import Channel
from models.db import Database
from tests.models import cast
from tests.support import COLLEAGUE, NOW, REP
from tests.web import member, serving, signed_in

TOPIC = "The topic does not exist. Create it."


def part(page: str, query: str) -> LexborNode:
    """The part of a page that a query finds."""
    found = LexborHTMLParser(page).css_first(query)
    assert found is not None, query
    return found


def bell(session: Session, source: Source, *, again: timedelta, at: datetime = NOW, **columns: Any) -> Channel:
    """A doorbell of a source that failed at ``at`` and is tried again after a while."""
    given = {"kind": "mail", "error": "topic_missing", "error_sentence": TOPIC, "failures": 1} | columns
    row = Channel(source_id=source.id, created_at=at, renew_at=at + again, error_at=at, **given)
    session.add(row)
    session.flush()
    return row


@pytest.mark.parametrize(
    ("again", "columns", "told"),
    [
        (timedelta(hours=6), {}, [TOPIC]),
        (timedelta(seconds=30), {"failures": 2}, []),
        (timedelta(seconds=30), {"failures": 3}, [TOPIC]),
        (timedelta(hours=6), {"error": ""}, []),
        (timedelta(hours=6), {"stop_at": NOW}, []),
    ],
)
def test_a_lasting_fault_is_told_and_a_passing_one_is_not(
    any_db: Database, again: timedelta, columns: dict[str, Any], told: list[str]
) -> None:
    with any_db.write() as session:
        cast.member(session)
        account, source = cast.mailbox(session)
        bell(session, source, again=again, **columns)
        assert [fault.sentence for fault in bell_faults(session, account)] == told
        account.refused = "reconnect"
        assert bell_faults(session, account) == []


def test_calendars_with_the_same_fault_share_a_line(any_db: Database) -> None:
    with any_db.write() as session:
        cast.member(session)
        account, source = cast.mailbox(session)
        for _ in range(2):
            bell(session, source, again=timedelta(hours=6), kind="calendar")
        bell(session, source, again=timedelta(hours=6))
        assert [(fault.kind, fault.sentence) for fault in bell_faults(session, account)] == [
            ("mail", TOPIC),
            ("calendar", TOPIC),
        ]


def test_a_queue_is_told_of_while_somebody_looks_into_it(any_db: Database) -> None:
    with any_db.write() as session:
        session.add(
            Channel(
                kind="reader", channel_id="reader:x", created_at=NOW, error="no", error_sentence=TOPIC, error_at=NOW
            )
        )
        session.flush()
        assert queue_faults(session, now=NOW + timedelta(minutes=5)) == [TOPIC]
        assert queue_faults(session, now=NOW + timedelta(hours=1)) == []


def test_the_page_says_what_to_do_and_sync_now_tries_at_once(house: building.House) -> None:
    with house.db.write() as session:
        cast.member(session)
        account, source = cast.mailbox(session)
        bell(session, source, again=timedelta(hours=6), at=building.now())
        key = account.id
    member(house, REP)
    with serving(house) as base, closing(signed_in(base, REP)) as client:
        shown = " ".join(part(client.get("/accounts").text, f"#account-{key}").text().split())
        assert (
            f"New mail is not announced to us. {TOPIC} Nothing is lost meanwhile: what is new is still found" in shown
        )
        client.post(f"/accounts/{key}/sync")
    with house.db.read() as session:
        renew_at = session.exec(select(Channel)).one().renew_at
        assert renew_at is not None and renew_at <= building.now()


def test_a_consent_that_no_program_can_end_has_no_button_for_it(house: building.House) -> None:
    with house.db.write() as session:
        cast.member(session)
        for email, provider in ((REP, "google"), ("second@acme.example", "microsoft")):
            account, _ = cast.mailbox(session, email, user=REP)
            account.provider = provider
            session.add(account)
    member(house, REP)
    with serving(house) as base, closing(signed_in(base, REP)) as client:
        page = client.get("/accounts").text
    with house.db.read() as session:
        ids = {row.provider: row.id for row in session.exec(select(Account)).all()}
    ours, theirs = (part(page, f"#account-{ids[name]}") for name in ("google", "microsoft"))
    assert ours.css_first("[name=withdraw]") is not None and "Disconnect and withdraw" in ours.text()
    assert theirs.css_first("[name=withdraw]") is None and "Disconnect and withdraw" not in theirs.text()
    assert "myapplications.microsoft.com" in theirs.text() and "administrator" in theirs.text()


def test_a_provider_that_is_not_set_up_is_told_in_its_own_words(house: building.House) -> None:
    member(house, REP, "admin")
    member(house, COLLEAGUE)
    with serving(house) as base:
        with closing(signed_in(base, REP)) as client:
            note = part(client.get("/accounts").text, ".note").text()
        with closing(signed_in(base, COLLEAGUE)) as client:
            plain = part(client.get("/accounts").text, "main").text()
    assert "register an app" in note and "/connect/microsoft/callback" in note
    assert "OAuth client" not in note and "console" not in note
    assert "DEALTRAIL_" not in plain and "an administrator can do it" in plain
