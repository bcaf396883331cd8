"""One fault in one leg, and what came of it: the invariants of the provider contract, section 8.1, each broken one in words.

1. Every item is accounted for once at the end. 2. No cursor is ahead of the ledger after any run. 3. A dead grant is left alone
until a person consents again. 4. Never more at once, or more units a minute, than was set; never sooner than was asked for.
5. No token, secret or word of a mail in the log; no connection to any host but the provider's. 6. At most three times the
requests of a run without the fault. (7, how fast pushes are answered, belongs to the doorbells.)
"""

from __future__ import annotations

import io
import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import structlog

from bench import plot
from bench.fault_cases import HOW, Case, Expectation
from bench.stage import CLIENT_SECRET, Stage, Theatre
from bench.truth import ahead_of_ledger, differences
from models.health import account_health
from sandbox.faults import KNOWN, Rule
from sandbox.quota import Seen

HOLD = timedelta(minutes=10)
"""How long a fault that would never end is left in place."""
PEACE = timedelta(hours=2)
"""How long we watch that a dead grant is left alone."""
PATIENCE = timedelta(days=3)
POLL, CALENDAR_POLL = 60.0, 300.0
"""Seconds between two looks, as the settings have it."""
STEPS = 400
MOST = 3.0
"""Times the requests of a clean run. A fault that sends us mail of its own is not compared."""
TOLD_AGAIN = {"F40", "F57"}
"""Faults that change what meetings are; mended, the meetings are told again."""
SILENT = ("stall", "timeout")
"""Variants that are waited for in real time."""


@dataclass(frozen=True)
class Script:
    """What is played with a provider: on which stage, what was there ``before``, what happens in the ``legs``, ``how`` a fault
    is told whom it hits, and how every meeting is told ``again``. ``sign_in``: the operation at which access is renewed; only
    for faults there it ends before the leg ("": for all), lest the fault of another request is spent on a 401."""

    stage: type[Stage]
    before: Callable[[Any], None]
    legs: Mapping[str, Callable[[Any], None]]
    how: Mapping[str, Callable[[Any], dict[str, Any]]]
    again: Callable[[Any], None]
    sign_in: str = ""


GOOGLE = Script(Stage, plot.before, plot.LEGS, HOW, plot.touch_all_meetings, "oauth.token")


@dataclass
class Outcome:
    """What came of a case. ``waited`` in seconds of the stage's clock, ``states`` of the account's health on the way.
    ``requests`` of a grant that died: until that was known, since what its owner's new consent sets off is no storm."""

    case: Case
    fired: int = 0
    requests: int = 0
    clean: int = 0
    waited: float = 0.0
    states: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def peaceful(self) -> float:
        """Requests of a clean run that lasts as long, or ten minutes: after its work it looks at the idle mailbox and calendar
        now and then, as a house with a fault does once that is over."""
        idle = min(self.waited, HOLD.total_seconds())
        return self.clean + idle / POLL + idle / CALENDAR_POLL

    @property
    def brings_its_own(self) -> bool:
        """The fault sends us mail of its own, or has meetings told again; its requests are not compared."""
        return self.case.fault in TOLD_AGAIN or self.case.fault in KNOWN and KNOWN[self.case.fault].act is not None

    @property
    def ratio(self) -> float:
        return self.requests / self.peaceful if self.clean else 0.0


class Company:
    """Plays case after case in one theatre. Close it."""

    def __init__(self, script: Script = GOOGLE) -> None:
        self.script = script
        self.theatre = Theatre(script.stage)
        self._clean: dict[str, int] = {}
        self._rehearse_the_beginning()

    def _rehearse_the_beginning(self) -> None:
        """The moments that the legs begin from: connected and not yet read, and everything read."""
        with self.theatre.stage(begin=self.script.before) as made:
            made.connect()
            self.theatre.keep("connected", made)
            play = _Play(made, Case("", "", "first"), Outcome(Case("", "", "first")), self.script)
            play.until_quiet()
            wrong = play.outcome.broken + differences(made)
            assert not wrong, wrong
            self.theatre.keep("read", made)

    def clean(self, leg: str) -> int:
        """How many requests the leg takes when nothing goes wrong."""
        if leg not in self._clean:
            outcome = self._play(Case("", "", leg), 0)
            assert not outcome.broken, outcome.broken
            self._clean[leg] = outcome.requests
        return self._clean[leg]

    def play(self, case: Case) -> Outcome:
        """One case, compared with the same leg without its fault."""
        return self._play(case, self.clean(case.leg))

    def _play(self, case: Case, clean: int) -> Outcome:
        outcome, log = Outcome(case, clean=clean), io.StringIO()
        begin_at = "connected" if case.leg == "first" else "read"
        with (
            heard(log),
            self.theatre.stage(begin=self.script.before, at=begin_at) as made,
            _only_to(made) as strangers,
        ):
            _Play(made, case, outcome, self.script).run()
            outcome.broken += strangers
            outcome.broken += _said(log.getvalue(), made)
        return outcome

    def close(self) -> None:
        self.theatre.close()


class _Play:
    def __init__(self, made: Stage, case: Case, outcome: Outcome, script: Script) -> None:
        self.stage, self.case, self.outcome, self.script = made, case, outcome, script
        self.rule: Rule | None = None

    def run(self) -> None:
        made = self.stage
        made.time.advance(60)
        self.script.legs[self.case.leg](made)
        self._arm()
        made.poll()
        self.until_quiet()
        self._judge()

    # -- the fault comes and goes

    def _arm(self) -> None:
        if not self.case.fault:
            self.stage.forget_access()
            return
        given = self.case.given | self.script.how.get(self.case.fault, lambda made: {})(self.stage)
        self.rule = self.stage.world.faults.add(self.case.fault, variant=self.case.variant, **given)
        if self.script.sign_in in self.rule.operation:
            self.stage.forget_access()
        if self.case.variant in SILENT:
            self.stage.be_impatient()

    def _fault_is_over(self, began: Any) -> bool:
        """A fault of a kind that never ends is mended once it has been seen and said, or after a while."""
        rule = self.rule
        if rule is None or rule.preset.act or (rule.times is not None and rule.fired >= rule.times):
            return True
        return bool(self.stage.account().refused) or self._gone() or self.stage.now - began > HOLD

    def _gone(self) -> bool:
        return any(source.gone_at for source in self.stage.unfinished(self.stage.now))

    def until_quiet(self) -> None:
        """Run what is due, move the clock to what is due next, until all is up to date."""
        made, began, mended = self.stage, self.stage.now, False
        for _ in range(STEPS):
            made.run_due(self._look)
            if not mended and self._fault_is_over(began):
                made.world.faults.clear()
                mended = True
                if self.case.fault in TOLD_AGAIN:
                    self.script.again(made)
                    began = made.now
                    continue
            if made.account().refused == "reconnect":
                self.outcome.requests = _count(made.world.stats.record)
                self._watch_the_peace()
                made.world.faults.clear()
                made.connect()
                continue
            waiting = made.unfinished(began)
            if not waiting and mended:
                self._ask_for_the_unreadable()
                self.outcome.waited = (made.now - began).total_seconds()
                return
            moment = made.next_moment(waiting) or made.now + timedelta(seconds=60)
            if moment - began > PATIENCE:
                break
            made.advance_to(moment)
        kinds = [(source.kind, source.error) for source in made.unfinished(began)]
        self.outcome.broken.append(f"never up to date again: {kinds}")

    def _look(self) -> None:
        """After each run: the health that people see, and whether a cursor ran ahead."""
        made = self.stage
        with made.house.db.read() as session:
            health = account_health(session, made.account(), now=made.now)
        if health.state not in self.outcome.states:
            self.outcome.states.append(health.state)
        self.outcome.broken += [wrong for wrong in ahead_of_ledger(made) if wrong not in self.outcome.broken]

    def _watch_the_peace(self) -> None:
        """A dead grant is left alone, however long, until its owner consents again."""
        made, before = self.stage, len(self.stage.world.stats.record)
        for _ in range(8):
            made.time.advance(PEACE.total_seconds() / 8)
            made.run_due(self._look)
        more = len(made.world.stats.record) - before
        if more:
            self.outcome.broken.append(f"{more} requests after the grant was known to be dead")

    def _ask_for_the_unreadable(self) -> None:
        """What was given up is visible, with its id; and a person's retry brings it."""
        made = self.stage
        self.outcome.broken += differences(made, read=False)
        if asked := made.ask_for_the_unreadable():
            self.outcome.states.append(f"{asked} given up, read again when asked")
            made.run_due(self._look)

    # -- the verdict

    def _judge(self) -> None:
        made, outcome = self.stage, self.outcome
        record = list(made.world.stats.record)
        outcome.fired = self.rule.fired if self.rule else 0
        outcome.requests = outcome.requests or _count(record)
        outcome.broken += differences(made)
        outcome.broken += made.too_much()
        outcome.broken += list(_too_soon(record, self.case))
        if self.rule is not None and not self.rule.preset.act and not outcome.fired:
            outcome.broken.append("the fault was never met: say why in CANNOT")
        expected = self.case.expected.state
        if expected and expected not in outcome.states:
            outcome.broken.append(f"the account was {outcome.states}, not {expected}")
        if outcome.clean and outcome.ratio > MOST and not outcome.brings_its_own:
            outcome.broken.append(f"{outcome.requests} requests where a clean run takes {outcome.peaceful:.0f}")


def _count(record: Iterable[Seen]) -> int:
    """Requests, each part of a batch for itself."""
    return sum(not seen.operation.endswith(".batch") for seen in record)


def _too_soon(record: list[Seen], case: Case) -> Iterator[str]:
    """Requests within the time in which the provider asked to be left alone."""
    expected: Expectation = case.expected
    if not expected.least:
        return
    for at, seen in enumerate(record):
        if seen.fault != case.fault or not fnmatchcase(seen.operation, expected.at):
            continue
        soon = [
            one
            for one in record[at + 1 :]
            if fnmatchcase(one.operation, expected.of) and seen.at < one.at < seen.at + expected.least
        ]
        if soon:
            waited = soon[0].at - seen.at
            yield f"{soon[0].operation} after {waited:.0f} s, where {expected.least:.0f} were asked for"
            return


# ---- what is said, and to whom


@contextmanager
def heard(into: io.StringIO) -> Iterator[None]:
    """Everything that the product and its libraries log goes into a buffer."""
    before, handler = structlog.get_config(), logging.StreamHandler(into)
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(into))  # pyright: ignore[reportArgumentType]
    try:
        with redirect_stderr(into):
            yield
    finally:
        logging.getLogger().removeHandler(handler)
        structlog.configure(**before)


def _said(log: str, made: Stage) -> list[str]:
    """Secrets and words of mail that stand in the log."""
    secrets = made.secrets() | {"the client's secret": [CLIENT_SECRET], "words of a mail": plot.WORDS}
    return [f"{name} stands in the log" for name, values in secrets.items() if any(one in log for one in values)]


@contextmanager
def _only_to(made: Stage) -> Iterator[list[str]]:
    """Every connection that this process opens meanwhile to anything but the sandbox, in words."""
    strangers: list[str] = []
    port = made.server.port
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[:2] != ("127.0.0.1", port):
            strangers.append(f"a connection to {address[0]}:{address[1]}")
        return real(self, address)

    patched: Callable[..., Any] = connect
    socket.socket.connect = patched  # type: ignore[method-assign]
    try:
        yield strangers
    finally:
        del socket.socket.connect
