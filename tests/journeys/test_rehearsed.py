"""What rehearsing the provider's faults brought to light, each mended where it began."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlmodel import col, func, select

from bench import plot
from bench.stage import REP, Stage, Theatre
from bench.truth import differences
from models.account import Source, Walk
from models.event import Event
from models.health import account_health
from models.ledger import LedgerEntry
from sandbox.series import moment
from tests.journeys.brittle import die


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    made = Theatre()
    yield made
    made.close()


@pytest.fixture
def stage(theatre: Theatre) -> Iterator[Stage]:
    """Twelve mails and four events, connected and not yet read."""
    with theatre.stage(begin=plot.before) as made:
        made.connect()
        yield made


def until_quiet(stage: Stage, steps: int = 40) -> int:
    """Run what is due and let time pass until all is up to date; how many steps it took."""
    began = stage.now
    for step in range(steps):
        stage.run_due()
        waiting = stage.unfinished(began)
        if not waiting:
            return step
        stage.advance_to(stage.next_moment(waiting) or stage.now + timedelta(minutes=1))
    raise AssertionError([(source.kind, source.error) for source in stage.unfinished(began)])


def test_headers_and_texts_may_cost_more_than_a_minute_and_are_paid_for_once(stage: Stage) -> None:
    """With few units a minute the headers of a page left nothing for its texts; both were dropped, and asked for again,
    for ever."""
    until_quiet(stage)
    for _ in range(20):
        stage.box.deliver(plot.letter(stage))
    stage.time.advance(60)
    stage.world.stats.clear()
    stage.poll()
    until_quiet(stage)
    assert differences(stage) == []
    reads = [one.item for one in stage.world.stats.record if one.operation == "gmail.messages.get"]
    assert len(reads) == 2 * len(set(reads)), "headers once, text once"


def test_a_batch_finds_its_place_in_a_minute_however_small_that_is(stage: Stage) -> None:
    """A batch of ten cost more than a poor project's minute, and waited for a window that each look spent from."""
    stage.be_poor(60)
    until_quiet(stage, steps=200)
    assert differences(stage) == []
    assert stage.world.stats.peak_units(REP) <= 60


def test_what_came_with_an_old_date_while_the_cursor_expired_is_found_at_once(stage: Stage) -> None:
    """The gap was re-listed by date alone; a late mail waited for the next day's audit."""
    until_quiet(stage)
    stage.box.deliver(plot.letter(stage, days=200), at=(stage.now - timedelta(days=200)).timestamp())
    stage.box.trash(stage.letters[0])
    stage.box.delete(stage.letters[1])
    stage.box.expire_history()
    stage.time.advance(60)
    stage.poll()
    until_quiet(stage)
    assert differences(stage) == []
    with stage.house.db.read() as session:
        assert session.exec(select(Walk.kind).where(col(Walk.done_at).is_(None))).all() == []


def test_what_was_rescued_while_the_cursor_expired_is_among_the_mail_again(stage: Stage) -> None:
    """A list names what is there; what the ledger called trashed or deleted stayed so although it was listed."""
    until_quiet(stage)
    trashed, spammed, deleted, unread = *stage.letters[:3], stage.box.deliver(plot.letter(stage))
    stage.box.trash(trashed)
    stage.box.spam(spammed)
    stage.box.delete(deleted)
    stage.box.trash(unread)
    stage.poll()
    until_quiet(stage)
    assert differences(stage) == []
    stage.box.untrash(trashed)
    stage.box.label(spammed, ["INBOX"], ["SPAM"])
    stage.box.undelete(deleted)
    stage.box.untrash(unread)
    stage.box.expire_history()
    stage.time.advance(60)
    stage.poll()
    until_quiet(stage)
    assert differences(stage) == []


def test_a_mail_that_is_out_of_sight_for_a_moment_is_not_called_deleted(stage: Stage) -> None:
    """F22 for a mail that is on the timeline: one 404 took it for deleted, and nobody ever told otherwise."""
    until_quiet(stage)
    stage.box.trash(stage.letters[0])
    stage.poll()
    until_quiet(stage)
    stage.box.untrash(stage.letters[0])
    stage.world.faults.add("F22")
    stage.poll()
    until_quiet(stage)
    assert differences(stage) == []


def test_a_cursor_that_is_refused_again_and_again_is_no_gap_after_gap(stage: Stage) -> None:
    """F18, the loop guard: one gap is recovered and told; then the refusal itself is told, and looked at every ten minutes."""
    until_quiet(stage)
    stage.world.faults.add("F18", times=None)
    stage.world.stats.clear()
    stage.poll()
    for _ in range(60):
        stage.run_due()
        stage.time.advance(60)
    with stage.house.db.read() as session:
        told = session.exec(select(func.count()).where(Event.kind == "account.gap_recovered")).one()
        assert 1 <= told <= 6
        health = account_health(session, stage.account(), now=stage.now)
        assert health.state == "owed" and "refuses the position" in health.sentence
    assert stage.world.stats.requests["gmail.history.list"] <= 14
    stage.world.faults.clear()
    stage.box.deliver(plot.letter(stage))
    stage.poll()
    until_quiet(stage)
    assert differences(stage) == []


def test_a_long_series_that_moved_while_the_token_expired_is_not_there_twice(stage: Stage) -> None:
    """Thirty occurrences that were not listed any more looked like a list that had shrunk, although as many had come."""
    almanac, day = stage.world.almanac, stage.now.replace(hour=9, minute=0, second=0) + timedelta(days=1)
    series = plot.meet(stage, "Standup", day, recurrence=["RRULE:FREQ=DAILY;COUNT=30"])
    until_quiet(stage)
    later = day + timedelta(hours=2)
    times = {"start": moment(later), "end": moment(later + timedelta(hours=1))}
    almanac.change(almanac.calendar(REP), series, **times)
    almanac.expire_tokens()
    stage.time.advance(60)
    stage.poll()
    until_quiet(stage)
    assert differences(stage) == []
    with stage.house.db.read() as session:
        facts = session.exec(select(Source.facts).where(Source.kind == "calendar")).one()
        assert (facts["found"], facts["vanished"], facts["shrunken"]) == (30, 30, "")


@pytest.mark.parametrize("left", range(7))
def test_a_worker_that_dies_after_a_fresh_list_leaves_its_comparison_to_the_next(stage: Stage, left: int) -> None:
    """The list was stored with its cursor, and what it no longer held stayed on the timeline."""
    until_quiet(stage)
    stage.world.almanac.drop(stage.world.almanac.calendar(REP), plot.named(stage, "Demo"))
    stage.world.almanac.expire_tokens()
    stage.time.advance(60)
    die(stage, left)
    until_quiet(stage)
    assert differences(stage) == []


def test_an_account_without_a_mailbox_has_its_calendar_read(stage: Stage) -> None:
    """F16: a Google account without a Gmail licence still has meetings."""
    stage.world.faults.add("F16")
    stage.run_due()
    with stage.house.db.read() as session:
        account = stage.account()
        assert account.refused == "" and any("no usable Gmail mailbox" in sentence for sentence in account.missing)
        sources = {one.kind: one for one in session.exec(select(Source).where(Source.kind != "directory"))}
        assert (sources["mail"].error, sources["calendar"].error) == ("mailbox_unavailable", "")
        meetings = session.exec(
            select(LedgerEntry.outcome).where(LedgerEntry.source_id == sources["calendar"].id)
        ).all()
        assert "logged" in meetings
    stage.world.faults.clear()
    stage.advance_to(stage.now + timedelta(days=2))
    until_quiet(stage)
    assert differences(stage) == []
