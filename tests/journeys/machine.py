"""A state machine of hypothesis that plays a house and its provider: the mailbox and the calendar change at random while the
provider fails and the worker dies; in the end the house tells what is there (provider-contract 8.1, field notes 1 to 7 and 17 to 19).

Each provider's machine says what people do there (test_mailbox_machine.py, test_outlook_machine.py).
`HYPOTHESIS_PROFILE=nightly` takes more than ten thousand steps, each run other ones; without it the same six hundred each time.
`HYPOTHESIS_SHRINK=1` makes what fails small, which takes minutes.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlmodel import select

from bench.stage import BUYER, COLLEAGUE, REP, STRANGER, Stage, Theatre
from bench.truth import ahead_of_ledger, differences
from models.account import Source
from tests.journeys.brittle import Brittle, Crash

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
SHRINK = bool(os.environ.get("HYPOTHESIS_SHRINK"))
EXAMPLES, STEPS = (215, 50) if NIGHTLY else (12, 50)
LEAST = 10_000 if NIGHTLY else 500
HORIZON = timedelta(days=4)
PEOPLE = [(BUYER, REP), (REP, BUYER), (STRANGER, REP), (COLLEAGUE, REP)]
Fault = tuple[str, str]
"""A preset and its variant."""
pick = st.integers(0, 999)
"""Which of the things that there are: counted round."""


class Counted:
    """Steps taken, over all examples of a run."""

    steps = 0
    syncs = 0
    crashes = 0
    faults = 0

    @classmethod
    def forget(cls) -> None:
        cls.steps = cls.syncs = cls.crashes = cls.faults = 0


def _one_of(name: str) -> Any:
    """One of the things in a list of the machine's."""
    return st.runner().flatmap(lambda machine: st.sampled_from(getattr(machine, name)))


class Machine(RuleBasedStateMachine):
    """Rules change the world or let the house work; ``teardown`` lets everything settle and compares. A provider's machine
    names its ``mail_verbs`` and ``meeting_verbs``, methods that take two numbers to choose by, and what may go wrong
    (``faults``); ``sign_in`` is the operation at which access is renewed."""

    theatre: ClassVar[Theatre]
    mail_verbs: ClassVar[list[str]]
    meeting_verbs: ClassVar[list[str]]
    faults: ClassVar[list[Fault]]
    sign_in: ClassVar[str]
    looks: ClassVar[int] = 1
    """How many looks it takes at the most until all is seen, as long as nothing changes any more."""

    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        self.stage: Any = self.open.enter_context(self.theatre.stage(begin=self.begin))
        self.restart()

    # -- what a provider's machine says

    def begin(self, stage: Any) -> None:
        """Before the house comes."""

    def receive(self, sender: str, to: str, days: float) -> None:
        """A mail that was always there, so many days old."""
        raise NotImplementedError

    def tune(self, size: int, how: int) -> None:
        """Pages of this ``size``; ``how``: more to choose by."""
        raise NotImplementedError

    def plan(self, name: str, variant: str, nth: int, times: int) -> None:
        """The ``nth`` request from now that a fault concerns, and the next few, go wrong."""
        planned = self.stage.world.faults.add(name, variant=variant, nth=nth, times=times)
        if self.sign_in in planned.operation.split("|"):
            self.stage.forget_access()

    def mend(self) -> None:
        """Nothing is shut any more. What a provider keeps silent about is asked for, as it is every night."""

    # -- the mailbox and the calendar

    @initialize(old=st.integers(0, 8), size=st.sampled_from([2, 3, 5, 50]), how=pick)
    def connect(self, old: int, size: int, how: int) -> None:
        self.tune(size, how)
        for number in range(old):
            self.receive(*PEOPLE[number % 4], days=1.0 + number)
        self.stage.connect()

    @rule(verb=_one_of("mail_verbs"), which=pick, how=pick)
    def mail(self, verb: str, which: int, how: int) -> None:
        getattr(self, verb)(which, how)
        Counted.steps += 1

    @rule(verb=_one_of("meeting_verbs"), which=pick, how=pick)
    def meeting(self, verb: str, which: int, how: int) -> None:
        getattr(self, verb)(which, how)
        Counted.steps += 1

    # -- what goes wrong, and the house at work

    @rule(fault=_one_of("faults"), nth=st.integers(1, 3), times=st.integers(1, 4))
    def the_provider_fails(self, fault: Fault, nth: int, times: int) -> None:
        self.plan(*fault, nth, times)
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
                found = differences(self.stage)
                assert not found, found
        finally:
            self.open.close()

    def _settle(self) -> None:
        """Nothing fails any more; what was given up is asked for; time passes until all is up to date."""
        stage = self.stage
        stage.world.faults.clear()
        self.restart()
        self.mend()
        if stage.account().refused == "reconnect":
            stage.connect()
        stage.time.advance(1)
        began = stage.now
        stage.poll(directory=not self._knows_the_calendar())
        self._until_quiet(began)
        for _ in range(self.looks - 1):
            stage.poll()
            self._until_quiet(stage.now)
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
        self.stage.work.db = self.brittle

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
        found = ahead_of_ledger(self.stage)
        assert not found, found

    # -- choosing

    def soon(self, hours: int) -> datetime:
        """A full hour, so many from now."""
        now: datetime = self.stage.now
        return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours)


def play(machine: type[Machine], stage: type[Stage]) -> str:
    """Runs a provider's machine in a theatre of its own; what was played, in words. Raises AssertionError."""
    theatre = Theatre(stage)
    Counted.forget()
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            type("OnStage", (machine,), {"theatre": theatre}),
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
    finally:
        theatre.close()
    assert Counted.steps >= LEAST
    assert Counted.crashes > 0
    return f"{Counted.steps} steps, {Counted.syncs} of them runs, {Counted.crashes} deaths, {Counted.faults} faults"
