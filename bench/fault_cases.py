"""Which fault is rehearsed where: every preset of the sandbox, with each of its variants, in every leg, unless a reason says why not.

The list is made from `sandbox.presets.PRESETS`: a new preset is rehearsed in all legs from the day it is written, and a fault that
never fires in a leg fails there until `CANNOT` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.stage import IMPATIENCE, REP, Stage
from sandbox.presets import PRESETS, Preset

LEGS = {
    "first": "a mailbox of twelve mails and four events is connected and read for the first time",
    "incremental": "after that, mail arrives, moves, is trashed, deleted, called spam, drafted and sent",
    "calendar": "after that, meetings are made, moved, called off, and occurrences of a series changed",
}
NO_BATCH = "one new message at the most is read at once, or none, so that nothing is batched"
NO_MAIL = "no message is listed or read in this leg"
NO_TOKEN = "no calendar was read before, so that no sync token is sent"
ONE_PAGE = "the history of a mailbox that was just pinned is empty: one page"
NOTHING_WATCHED = "nothing is watched without a topic or a public address; tests of the push doorbells hold it"
SENT_TO_US = "it is a message sent to us, not an answer to us; tests of the push doorbells hold it"
AS_BEFORE = "it sends mail, which is read as in the incremental leg"
CANNOT: dict[str, dict[str, str]] = {
    "F17": {"calendar": NO_MAIL},
    "F22": {"calendar": NO_MAIL},
    "F23": {"calendar": NO_MAIL},
    "F24": {"calendar": AS_BEFORE},
    "F25": {"calendar": NO_BATCH},
    "F26": {"calendar": NO_BATCH},
    "F27": {"calendar": NO_BATCH},
    "F31": dict.fromkeys(LEGS, NOTHING_WATCHED),
    "F32": dict.fromkeys(LEGS, NOTHING_WATCHED),
    "F33": {"first": NO_TOKEN},
    "F34": {"first": NO_TOKEN},
    "F35": {"first": NO_TOKEN},
    "F41": dict.fromkeys(LEGS, SENT_TO_US),
    "F42": dict.fromkeys(LEGS, SENT_TO_US),
    "F60": {"calendar": AS_BEFORE},
    "LF": {"calendar": NO_BATCH},
}
"""Preset -> leg -> why it cannot be met there."""


def _one_letter(stage: Stage) -> dict[str, Any]:
    return {"item": stage.poisoned}


HOW: dict[str, Callable[[Stage], dict[str, Any]]] = {
    "F23": _one_letter,
    "F24": lambda stage: {"account": REP},
    "F30": lambda stage: {"seconds": IMPATIENCE * 2},
    "F60": lambda stage: {"account": REP},
}
"""What a preset needs to be told: whom it hits, or how long a silence that is waited for in real time lasts."""


@dataclass(frozen=True)
class Expectation:
    """What the contract asks for. ``state``: the account's while the fault lasts. ``least``: seconds in which ``of`` (globs
    of operations) is left alone after the fault was met at an operation ``at`` (a glob)."""

    state: str = ""
    least: float = 0.0
    of: str = "gmail.*"
    at: str = "*"


HOUR, DAY = 3_600.0, 86_400.0
EXPECT: dict[str, Expectation] = {
    "F01": Expectation("reconnect"),
    "F02": Expectation(),
    "F03": Expectation("reconnect"),
    "F04": Expectation("operator", HOUR * 0.99, "*"),
    "F05": Expectation("operator", HOUR * 0.99, "*"),
    "F08": Expectation("reconnect"),
    "F09": Expectation("throttled", 60),
    "F10": Expectation("", 1),
    "F11": Expectation("throttled", HOUR),
    "F12": Expectation("throttled", HOUR),
    "F13": Expectation("blocked", DAY * 0.99),
    "F14": Expectation("reconnect"),
    "F15": Expectation("operator", HOUR * 0.99, "*"),
    "F16": Expectation("owed", DAY * 0.99, "gmail.history.*"),
    "F17": Expectation("reconnect"),
    "F39": Expectation("throttled", 60, "calendar.*"),
    "F39-quota": Expectation("throttled", 600, "calendar.*"),
    "RA": Expectation("", 90, "calendar.*"),
    "RA-date": Expectation("", 89, "calendar.*"),
    "RA-429": Expectation("throttled", 90, "*"),
}
"""By preset, or preset and variant."""


@dataclass(frozen=True)
class Case:
    """One fault in one leg. ``cannot``: why it cannot be met there, empty when it can. ``given``: what the fault is told."""

    fault: str
    variant: str
    leg: str
    cannot: str = field(default="", compare=False)
    expected: Expectation = field(default=Expectation(), compare=False)
    given: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        return named(self.fault, self.variant)


def named(fault: str, variant: str) -> str:
    return f"{fault}-{variant}" if variant else fault


def every_case() -> Iterator[Case]:
    """All of Google's faults, their variants, in all legs; also those that cannot be met."""
    yield from cases_of(PRESETS, CANNOT, EXPECT)


def cases_of(
    presets: Mapping[str, Preset],
    cannot: Mapping[str, Mapping[str, str]],
    expect: Mapping[str, Expectation],
    given: Mapping[str, dict[str, Any]] | None = None,
) -> Iterator[Case]:
    """The cases of a table of presets. ``cannot`` and ``expect`` by preset, or preset and variant; ``given`` by preset."""
    for fault, preset in sorted(presets.items()):
        for variant in ("", *preset.variants):
            name = named(fault, variant)
            why = cannot.get(name) or cannot.get(fault) or {}
            expected = expect.get(name) or expect.get(fault) or Expectation()
            told = (given or {}).get(fault, {})
            yield from (Case(fault, variant, leg, why.get(leg, ""), expected, told) for leg in LEGS)
