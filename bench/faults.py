"""``python -m bench.faults``: plays every fault in every leg and writes what came of it to ``docs/faults.md``. Exit status 0 when
no invariant was broken. Tests play the same cases (tests/journeys/test_fault_matrix.py)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.fault_cases import LEGS, Case, every_case
from bench.figures import figure, say
from bench.rehearsal import MOST, Company, Outcome

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
HEAD = f"""# What goes wrong at Google, and what Dealtrail does

Written by `python -m bench.faults`; the same cases are tests. Every fault of the pretend Google (`sandbox/presets.py`), with each of
its variants, is met in every leg, over real HTTP, on a clock that only moves when it is told to:

{chr(10).join(f"- **{leg}**: {what}" for leg, what in LEGS.items())}

After each the invariants hold: every item is accounted for once; no cursor was ahead of the ledger after any run; a dead grant was
left alone; never more at once, more units a minute or sooner than was asked for; no token, secret or word of a mail in the log, no
connection to any other host; at most {MOST:.0f} times the requests of a clean run that lasts as long.

*requests* of all calls, parts of a batch one by one, and in brackets how many times those of the clean run; *waited* on the clock
until everything was up to date again, a person's new consent two hours after a grant died included; *states* that people saw.

| fault | leg | requests | waited | states |
|---|---|---|---|---|
"""


def lines(outcomes: Iterable[Outcome | Case]) -> Iterator[str]:
    """One line of the table for each case: what came of it, or why it cannot be met."""
    for one in outcomes:
        case = one if isinstance(one, Case) else one.case
        if isinstance(one, Case):
            yield f"| {case.name} | {case.leg} | - | - | not met: {case.cannot} |"
            continue
        told = ", ".join(one.states) + ("" if not one.broken else f" **broken: {'; '.join(one.broken)}**")
        yield f"| {case.name} | {case.leg} | {one.requests} ({one.ratio:.1f}) | {_span(one.waited)} | {told} |"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.0f} h"


def main() -> int:
    """Play everything, print a line each, write the page."""
    company, played = Company(), list[Outcome | Case]()
    try:
        for case in every_case():
            played.append(case if case.cannot else company.play(case))
            say(next(lines(played[-1:])))
    finally:
        company.close()
    PAGE.write_text(HEAD + "".join(f"{line}\n" for line in lines(played)), encoding="utf-8")
    outcomes = [one for one in played if isinstance(one, Outcome)]
    broken = [one for one in outcomes if one.broken]
    figure("faults.cases", len(outcomes))
    figure("faults.broken", len(broken))
    figure("faults.most_requests_to_clean", max(one.ratio for one in outcomes if not one.brings_its_own))
    say(f"written to {PAGE}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
