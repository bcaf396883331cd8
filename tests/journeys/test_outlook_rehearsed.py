"""What the random Outlook mailbox brought to light (test_outlook_machine.py), each mended where it began."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlmodel import Session, select

from bench import outlook_plot
from bench.outlook_stage import OutlookStage
from bench.plot import letter
from bench.stage import Theatre
from bench.truth import differences
from models.account import Source
from models.interaction import Copy
from tests.journeys.brittle import die
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


def mail_source(session: Session) -> Source:
    return session.exec(select(Source).where(Source.kind == "mail")).one()


def test_what_a_search_found_and_was_thrown_away_before_its_folder_was_listed_is_seen(theatre: Theatre) -> None:
    """No delta tells of it: the folder's first round begins without it. It stayed until the audit of the next night."""
    with theatre.stage(begin=outlook_plot.before) as stage:
        assert isinstance(stage, OutlookStage)
        stage.connect()
        for left in range(20):
            die(stage, left)
            with stage.house.db.read() as session:
                known = stage.outlook.items.keys() & set(session.exec(select(Copy.item_id)).all())
                places = json.loads(mail_source(session).cursor or '{"p": {}}')["p"] if mail_listed(session) else {}
            walking = {folder for folder, (link, walks, _) in places.items() if walks and not link}
            unlisted = [key for key in known if stage.outlook.items[key].folder in walking]
            if unlisted:
                break
            stage.advance_to(stage.now + timedelta(minutes=10))
        else:
            raise AssertionError("no death left a mail that was found and not listed")
        stage.outlook.move(unlisted[0], "junkemail")
        stage.advance_to(stage.now + timedelta(minutes=10))
        looked_at(stage)
        assert differences(stage) == []


def mail_listed(session: Session) -> bool:
    return session.exec(select(Source.id).where(Source.kind == "mail")).first() is not None


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
