"""What the random Outlook mailbox brought to light (test_outlook_machine.py), each mended where it began."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlmodel import Session, select

from bench import outlook_plot
from bench.outlook_stage import OutlookStage
from bench.plot import letter
from bench.stage import Theatre
from bench.truth import differences
from models.account import Source
from tests.journeys.brittle import Brittle, Crash
from tests.journeys.test_rehearsed import until_quiet


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    made = Theatre(OutlookStage)
    yield made
    made.close()


@pytest.fixture
def stage(theatre: Theatre) -> Iterator[OutlookStage]:
    """Twelve mails and four events, all read."""
    with theatre.stage(begin=outlook_plot.before) as made:
        assert isinstance(made, OutlookStage)
        made.connect()
        until_quiet(made)
        made.time.advance(60)
        yield made


def looked_at(stage: OutlookStage) -> None:
    stage.poll()
    until_quiet(stage)


def die(stage: OutlookStage, left: int) -> None:
    """A worker looks, and dies after so many transactions."""
    brittle = Brittle(stage.house.db)
    stage.work.db, brittle.left, brittle.after = brittle, left, True  # type: ignore[assignment]
    stage.poll()
    with suppress(Crash):
        stage.run_due()
    stage.work.close()
    stage.work = stage.new_work()


def mail_source(session: Session) -> Source:
    return session.exec(select(Source).where(Source.kind == "mail")).one()


def test_a_round_that_a_dead_worker_began_is_not_gone_through_again_and_again(stage: OutlookStage) -> None:
    """The rest of its folders brought nothing, so that the position was left as it was: every look after that began in the
    middle of the same round, and never asked for new folders."""
    stage.outlook.deliver(letter(stage), "inbox")
    stage.poll()
    with stage.house.db.read() as session:
        source = mail_source(session)
    for left in range(12):
        die(stage, left)
        with stage.house.db.read() as session:
            if json.loads(mail_source(session).cursor)["d"]:
                break
        stage.outlook.deliver(letter(stage), "inbox")
        stage.advance_to(stage.now + timedelta(minutes=10))
    else:
        raise AssertionError("no death left a round unfinished")
    stage.advance_to(stage.now + timedelta(minutes=10))
    looked_at(stage)
    with stage.house.db.read() as session:
        assert json.loads(session.get_one(Source, source.id).cursor)["d"] == []
    stage.outlook.deliver(letter(stage), "Customers/Brand new")
    stage.time.advance(60)
    looked_at(stage)
    assert differences(stage) == []
