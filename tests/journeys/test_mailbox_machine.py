"""A mailbox and a calendar that change at random while the provider fails and the worker dies; in the end the house tells what
is there (provider-contract 8.1, field notes 1 to 7 and 17 to 19).

`HYPOTHESIS_PROFILE=nightly` takes more than ten thousand steps, each run other ones; without it the same six hundred each time.
`HYPOTHESIS_SHRINK=1` makes what fails small, which takes minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlmodel import select

from bench.plot import letter, meet
from bench.stage import BUYER, COLLEAGUE, REP, STRANGER, Stage, Theatre
from bench.truth import ahead_of_ledger, differences
from models.account import Source
from sandbox.almanac import Calendar
from sandbox.series import Event, moment, read_moment
from tests.journeys.brittle import Brittle, Crash

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
SHRINK = bool(os.environ.get("HYPOTHESIS_SHRINK"))
EXAMPLES, STEPS = (260, 50) if NIGHTLY else (12, 50)
LEAST = 10_000 if NIGHTLY else 500
UNITS = 2_000
HORIZON = timedelta(days=4)
PEOPLE = [(BUYER, REP), (REP, BUYER), (STRANGER, REP), (COLLEAGUE, REP)]
FAULTS = [
    *(("F02", ""), ("F09", ""), ("F10", ""), ("F11", ""), ("F12", ""), ("F18", ""), ("F19", ""), ("F20", "")),
    *(("F21", ""), ("F22", ""), ("F25", ""), ("F26", ""), ("F27", ""), ("F27", "401"), ("F27", "503"), ("F28", "")),
    *(("F29", ""), ("F29", "gzip"), ("F30", ""), ("F30", "close"), ("F33", ""), ("F34", ""), ("F35", "")),
    *(("F36", ""), ("F36", "empty"), ("F37", ""), ("F38", ""), ("F39", ""), ("F39", "429"), ("RA", ""), ("RA", "429")),
    *(("F01", ""), ("F08", ""), ("F13", ""), ("F15", ""), ("F16", "")),
]
MAIL_VERBS = [
    *("deliver", "deliver", "deliver_with_an_old_date", "label", "throw", "throw", "rescue", "rescue", "delete"),
    *("undelete", "write_a_draft", "write_a_draft", "send_a_draft", "throw_a_draft_away", "let_history_expire"),
]
MEETING_VERBS = [
    *("make_a_meeting", "make_a_meeting", "make_a_series", "make_a_series", "move_a_meeting", "move_a_series"),
    *("call_off", "move_an_occurrence", "move_an_occurrence", "call_an_occurrence_off", "change_this_and_following"),
    *("drop_without_a_trace", "let_tokens_expire", "unshare_or_share"),
]
pick = st.integers(0, 999)
"""Which of the things that there are: counted round."""


class Counted:
    """Steps taken, over all examples of a run."""

    steps = 0
    syncs = 0
    crashes = 0
    faults = 0


class Machine(RuleBasedStateMachine):
    """Rules change the world or let the house work; ``teardown`` lets everything settle and compares."""

    theatre: Theatre

    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        self.stage: Stage = self.open.enter_context(self.theatre.stage(begin=_rich))
        self.trashed: list[str] = []
        self.restart()

    @initialize(old=st.integers(0, 8), size=st.sampled_from([2, 3, 5, 50]))
    def connect(self, old: int, size: int) -> None:
        self.stage.world.knobs.page_size = size
        for number in range(old):
            sender, to = PEOPLE[number % 4]
            days = 1.0 + number
            at = (self.stage.now - timedelta(days=days)).timestamp()
            self.stage.box.deliver(letter(self.stage, sender, to, days=days), at=at, history=False)
        self.stage.connect()

    # -- the mailbox and the calendar

    @rule(verb=st.sampled_from(MAIL_VERBS), which=pick, how=pick)
    def mail(self, verb: str, which: int, how: int) -> None:
        getattr(self, verb)(which, how)
        Counted.steps += 1

    @rule(verb=st.sampled_from(MEETING_VERBS), which=pick, how=pick)
    def meeting(self, verb: str, which: int, how: int) -> None:
        getattr(self, verb)(which, how)
        Counted.steps += 1

    def deliver(self, which: int, how: int) -> None:
        self.stage.box.deliver(letter(self.stage, *PEOPLE[how % 4]))

    def deliver_with_an_old_date(self, which: int, how: int) -> None:
        at = (self.stage.now - timedelta(days=1 + which % 300)).timestamp()
        self.stage.box.deliver(letter(self.stage, *PEOPLE[how % 4], days=1 + which % 300), at=at)

    def label(self, which: int, how: int) -> None:
        name = ("INBOX", "STARRED", "Customers", "UNREAD")[how % 4]
        if key := self._mail(which):
            self.stage.box.label(key, [name] if how % 8 < 4 else [], [] if how % 8 < 4 else [name])

    def throw(self, which: int, how: int) -> None:
        if key := self._mail(which):
            self.stage.box.label(key, [("TRASH", "SPAM")[how % 2]], ["INBOX"])

    def rescue(self, which: int, how: int) -> None:
        if key := self._mail(which, thrown=True):
            self.stage.box.label(key, ["INBOX"] if how % 2 else [], ["TRASH", "SPAM"])

    def delete(self, which: int, how: int) -> None:
        if key := self._mail(which, thrown=bool(how % 2)):
            self.stage.box.delete(key)

    def undelete(self, which: int, how: int) -> None:
        gone = sorted(key for key, one in self.stage.box.gone.items() if "DRAFT" not in one.labels)
        if gone:
            self.stage.box.undelete(gone[which % len(gone)])

    def write_a_draft(self, which: int, how: int) -> None:
        drafts = sorted(self.stage.box.drafts)
        draft = drafts[which % len(drafts)] if drafts and how % 3 else None
        self.stage.box.draft_save(letter(self.stage, REP, BUYER), draft)

    def send_a_draft(self, which: int, how: int) -> None:
        drafts = sorted(self.stage.box.drafts)
        if drafts:
            self.stage.box.draft_send(drafts[which % len(drafts)])

    def throw_a_draft_away(self, which: int, how: int) -> None:
        drafts = sorted(self.stage.box.drafts.values())
        if drafts:
            self.stage.box.delete(drafts[which % len(drafts)])

    def let_history_expire(self, which: int, how: int) -> None:
        self.stage.box.expire_history()

    def make_a_meeting(self, which: int, how: int) -> None:
        more: dict[str, Any] = {"visibility": "private"} if how % 5 == 0 else {}
        meet(self.stage, f"Talk {which}", self._soon(which), **more)

    def make_a_series(self, which: int, how: int) -> None:
        text = f"RRULE:FREQ={('DAILY', 'WEEKLY')[how % 2]};COUNT={2 + how % 11}"
        meet(self.stage, f"Series {which}", self._soon(which % 200), recurrence=[text])

    def move_a_meeting(self, which: int, how: int) -> None:
        if event := self._event(which, series=False):
            self._move(event["id"], how)

    def move_a_series(self, which: int, how: int) -> None:
        if event := self._event(which, series=True):
            self._move(event["id"], how % 200)

    def call_off(self, which: int, how: int) -> None:
        if event := self._event(which, series=bool(how % 2)):
            self.stage.world.almanac.cancel(self.calendar, event["id"])

    def move_an_occurrence(self, which: int, how: int) -> None:
        if one := self._occurrence(which, how):
            self._move(one["id"], which)

    def call_an_occurrence_off(self, which: int, how: int) -> None:
        if one := self._occurrence(which, how):
            self.stage.world.almanac.cancel(self.calendar, one["id"])

    def change_this_and_following(self, which: int, how: int) -> None:
        one = self._occurrence(which, how)
        master = self.calendar.events.get(str(one.get("recurringEventId"))) if one else None
        if one and master and read_moment(one["originalStartTime"])[0] > read_moment(master["start"])[0]:
            at = read_moment(one["originalStartTime"])[0]
            self.stage.world.almanac.split(self.calendar, master["id"], at, summary=f"{master['summary']} anew")

    def drop_without_a_trace(self, which: int, how: int) -> None:
        """As after a calendar was cleared: the tokens are worth nothing, and the list has no tombstone."""
        if event := self._event(which, series=False):
            self.stage.world.almanac.drop(self.calendar, event["id"])
            self.stage.world.almanac.expire_tokens()

    def let_tokens_expire(self, which: int, how: int) -> None:
        self.stage.world.almanac.expire_tokens()

    def unshare_or_share(self, which: int, how: int) -> None:
        self.calendar.shared = not self.calendar.shared

    # -- what goes wrong, and the house at work

    @rule(fault=st.sampled_from(FAULTS), nth=st.integers(1, 3), times=st.integers(1, 4))
    def the_provider_fails(self, fault: tuple[str, str], nth: int, times: int) -> None:
        name, variant = fault
        self.stage.world.faults.add(name, variant=variant, nth=nth, times=times)
        if name in ("F01", "F02"):
            self.stage.world.grants.forget_access()
        Counted.faults += 1
        Counted.steps += 1

    @rule()
    def sync(self) -> None:
        self.stage.poll()
        self._work()

    @rule(left=st.integers(0, 5), after=st.booleans())
    def sync_and_die(self, left: int, after: bool) -> None:
        self.brittle.left, self.brittle.after = left, after
        self.stage.poll()
        self._work()
        self.brittle.left = None

    @rule(minutes=st.integers(1, 90))
    def time_passes(self, minutes: int) -> None:
        self.stage.time.advance(60 * minutes)
        self._work()

    @precondition(lambda self: self.stage.account().refused == "reconnect")
    @rule()
    def reconnect(self) -> None:
        self.stage.world.faults.clear()
        self.stage.connect()
        Counted.steps += 1

    # -- the end

    def teardown(self) -> None:
        try:
            if self.stage.account_id:
                self._settle()
                assert differences(self.stage) == []
        finally:
            self.open.close()

    def _settle(self) -> None:
        """Nothing fails any more; what was given up is asked for; time passes until all is up to date."""
        stage = self.stage
        stage.world.faults.clear()
        self.calendar.shared = True
        self.restart()
        if stage.account().refused == "reconnect":
            stage.connect()
        stage.time.advance(1)
        began = stage.now
        stage.poll(directory=not self._knows_the_calendar())
        self._until_quiet(began)
        if stage.ask_for_the_unreadable():
            self._until_quiet(began)

    def _knows_the_calendar(self) -> bool:
        """Whether it was shared when the account's directory was last looked at, once a day."""
        with self.stage.house.db.read() as session:
            return session.exec(select(Source.id).where(Source.kind == "calendar")).first() is not None

    def _until_quiet(self, began: datetime) -> None:
        stage = self.stage
        for _ in range(100):
            self._work()
            waiting = stage.unfinished(began)
            if not waiting:
                return
            stage.advance_to(stage.next_moment(waiting) or stage.now + timedelta(minutes=1))
            assert stage.now - began < HORIZON, "never up to date again"
        raise AssertionError([(source.kind, source.error) for source in stage.unfinished(began)])

    def restart(self) -> None:
        """Another process takes over; what the dead one held is still held."""
        self.stage.work.close()
        self.stage.work = self.stage.new_work()
        self.brittle = Brittle(self.stage.house.db)
        self.stage.work.db = self.brittle  # type: ignore[assignment]

    def _work(self) -> None:
        self.stage.time.advance(1)
        try:
            self.stage.run_due(self._look)
        except Crash:
            Counted.crashes += 1
            self.restart()
            self._look()
        Counted.syncs += 1
        Counted.steps += 1

    def _look(self) -> None:
        assert ahead_of_ledger(self.stage) == []

    # -- choosing

    @property
    def calendar(self) -> Calendar:
        return self.stage.world.almanac.calendar(REP)

    def _soon(self, hours: int) -> datetime:
        return self.stage.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours)

    def _mail(self, which: int, *, thrown: bool = False) -> str:
        keys = sorted(
            key
            for key, one in self.stage.box.messages.items()
            if "DRAFT" not in one.labels and bool({"TRASH", "SPAM"} & one.labels) == thrown
        )
        return keys[which % len(keys)] if keys else ""

    def _event(self, which: int, *, series: bool) -> Event | None:
        """A meeting that is on: a series, or one that stands alone and lies ahead."""
        found = [
            one
            for _, one in sorted(self.calendar.events.items())
            if one["status"] == "confirmed"
            and not one.get("recurringEventId")
            and bool(one.get("recurrence")) == series
            and (series or read_moment(one["start"])[0] > self.stage.now)
        ]
        return found[which % len(found)] if found else None

    def _occurrence(self, which: int, nth: int) -> Event | None:
        """One to come of a series that is on."""
        master = self._event(which, series=True)
        if master is None:
            return None
        low, high = self.stage.now, self.stage.now + timedelta(days=55)
        ahead = [
            one
            for one in self.stage.world.almanac.occurrences(self.calendar, master, low, high)
            if one["status"] == "confirmed" and read_moment(one["start"])[0] > low
        ]
        return ahead[nth % len(ahead)] if ahead else None

    def _move(self, event_id: str, hours: int) -> None:
        at = self._soon(hours)
        changes = {"start": moment(at), "end": moment(at + timedelta(hours=1))}
        self.stage.world.almanac.change(self.calendar, event_id, **changes)


def _rich(stage: Stage) -> None:
    """More units a minute than in the rehearsals, so that most of the time is not spent waiting."""
    stage.be_poor(UNITS)


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    made = Theatre()
    yield made
    made.close()


def test_in_the_end_the_house_tells_what_is_there(theatre: Theatre, capsys: pytest.CaptureFixture[str]) -> None:
    class OnStage(Machine):
        pass

    OnStage.theatre = theatre
    for name in ("steps", "syncs", "crashes", "faults"):
        setattr(Counted, name, 0)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        OnStage,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not NIGHTLY,
            database=None,
            phases=(Phase.generate, Phase.shrink) if SHRINK else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
            print_blob=NIGHTLY,
        ),
    )
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{Counted.steps} steps, {Counted.syncs} of them runs, {Counted.crashes} deaths, {Counted.faults} faults"
        )
    assert Counted.steps >= LEAST
    assert Counted.crashes > 0
