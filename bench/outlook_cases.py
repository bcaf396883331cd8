"""Which of Microsoft's faults is rehearsed where (as bench/fault_cases.py for Google): every preset of
`sandbox.microsoft.presets.MICROSOFT`, and the faults of the wire, with each of their variants, in every leg, unless a reason says
why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench import outlook_plot
from bench.fault_cases import LEGS, SENT_TO_US, Case, Expectation, cases_of
from bench.outlook_stage import OutlookStage
from bench.rehearsal import Script
from bench.stage import IMPATIENCE, REP
from sandbox.microsoft.presets import MICROSOFT
from sandbox.presets import PRESETS

GRAPH, TOKEN, EVENTS = "graph.*", "entra.token", "graph.calendarView.*"
WIRE = {"F28": GRAPH, "F29": GRAPH, "F30": f"{GRAPH}|{TOKEN}"}
"""Google's faults of the wire, and which of Microsoft's requests they hit."""
FAULTS = MICROSOFT | {name: PRESETS[name] for name in WIRE}
NO_ROUND = "no folder was read to its end before, so that no delta token is sent"
NO_STUB = "no event is asked for by its id: a series comes with its occurrences when it is first listed"
NO_PAGES = "nothing that comes fills more than a page of a folder, so that no walk has a middle"
AT_SIGN_IN = "it is answered at the authorize page, where a person signs in; tests of connecting hold it"
NOTHING_WATCHED = "nothing is subscribed to without a public address; tests of the push doorbells hold it"
ONCE = "sign-in knows nothing of what is read; each number is met once, in the calendar leg"
HOUR, DAY = 3_600.0, 86_400.0
RECONNECT = (700082, 70008, 700084, 50173, 70043, 50076, 50079, 50074, 50072, 50078, 50158, 65001, 90008)
RECONNECT += (65004, 90094, 90095, 70000, 54005, 501481, 50089)
BLOCKED = (53000, 53001, 53003, 530035, 53004, 53011, 50105, 50057, 50034, 51004, 50020)
OPERATOR = (7000215, 7000222, 70002, 700027, 700016, 700011, 90002, 50194, 9001023, 50011)
PASSING = (90033, 90024, 90055, 50033, 50000, 70003, 1002012, 900144)
"""AADSTS numbers for which the contract (3.5) asks for a new sign-in, for an administrator, for the operator, or for another try in
a while, as those do that it does not name."""
CANNOT: dict[str, dict[str, str]] = {
    "F45-admin": dict.fromkeys(LEGS, AT_SIGN_IN),
    "F53": {"first": NO_ROUND},
    "F53M": {"calendar": NO_PAGES},
    "F57M": dict.fromkeys(("first", "incremental"), NO_STUB),
    "F58": dict.fromkeys(LEGS, NOTHING_WATCHED),
    "F58R": dict.fromkeys(LEGS, NOTHING_WATCHED),
    "F58X": dict.fromkeys(LEGS, NOTHING_WATCHED),
    "F59": dict.fromkeys(LEGS, SENT_TO_US),
    "STS": dict.fromkeys(("first", "incremental"), ONCE),
}
"""Preset, or preset and variant -> leg -> why it cannot be met there."""
HOW: dict[str, Callable[[OutlookStage], dict[str, Any]]] = {
    "F30": lambda stage: {"seconds": IMPATIENCE * 2},
    "F47": lambda stage: {"seconds": IMPATIENCE * 2},
    "F60M": lambda stage: {"account": REP},
}
SIGN_IN = Expectation("reconnect")
OURS = Expectation("operator", HOUR * 0.99, "*")
EXPECT: dict[str, Expectation] = {
    "F43": SIGN_IN,
    "F44": SIGN_IN,
    "F45": SIGN_IN,
    "F46": OURS,
    "F47": Expectation("", 7, TOKEN),
    "F47-loop": Expectation("", 300, TOKEN),
    "F47-html": Expectation(),
    "F47-timeout": Expectation(),
    "F49": Expectation("", 12, "graph.[!u]*"),
    "F49-none": Expectation("", 5, "graph.[!u]*"),
    "F49-date": Expectation("", 11, "graph.[!u]*"),
    "F49-long": Expectation("throttled", 600, "graph.[!u]*"),
    "F51": Expectation("owed", 4 * HOUR * 0.99, EVENTS, EVENTS),
    "F52": Expectation("owed", DAY * 0.99, EVENTS, EVENTS),
    "STS": SIGN_IN,
    **dict.fromkeys((f"STS-{number}" for number in RECONNECT), SIGN_IN),
    **dict.fromkeys((f"STS-{number}" for number in BLOCKED), Expectation("blocked")),
    **dict.fromkeys((f"STS-{number}" for number in OPERATOR), OURS),
    **dict.fromkeys((f"STS-{number}" for number in PASSING), Expectation("throttled")),
    "STS-50196": Expectation("", 300, TOKEN),
}
"""By preset, or preset and variant."""
SCRIPT = Script(OutlookStage, outlook_plot.before, outlook_plot.LEGS, HOW, outlook_plot.touch_all_meetings, TOKEN)


def every_case() -> Iterator[Case]:
    """All of Microsoft's faults, their variants, in all legs; also those that cannot be met."""
    yield from cases_of(FAULTS, CANNOT, EXPECT, {name: {"operation": globs} for name, globs in WIRE.items()})
