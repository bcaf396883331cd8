"""``python -m bench.faults``: plays every fault in every leg and writes what came of it to ``docs/faults.md``, a part for each
provider; with a provider's name, that part alone. Exit status 0 when no invariant was broken. Tests play the same cases
(tests/journeys/test_fault_matrix.py, test_fault_matrix_microsoft.py)."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import fault_cases, outlook_cases
from bench.fault_cases import LEGS, Case
from bench.figures import figure, say
from bench.rehearsal import GOOGLE, MOST, Company, Outcome, Script

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
MICROSOFT_HEAD = """
# What goes wrong at Microsoft, and what Dealtrail does

The same for every fault of the pretend Microsoft (`sandbox/microsoft/presets.py`; F28 to F30, the faults of the wire, are Google's):
the legs are the same, with folders where Gmail has labels, and so are the invariants, where *units* are requests to one mailbox, of
which four may be under way at once and none may come before the time that a Retry-After named.

| fault | leg | requests | waited | states |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Part:
    """A provider's part of the page, and what is played for it."""

    head: str
    script: Script
    cases: Callable[[], Iterator[Case]]


PARTS = {
    "google": Part(HEAD, GOOGLE, fault_cases.every_case),
    "microsoft": Part(MICROSOFT_HEAD, outlook_cases.SCRIPT, outlook_cases.every_case),
}


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


def written(name: str) -> str:
    """The rows of a provider's part as the page has them; empty when its part is not there or begins otherwise."""
    google, found, microsoft = PAGE.read_text(encoding="utf-8").partition(MICROSOFT_HEAD)
    if name == "microsoft":
        return microsoft if found else ""
    return google.removeprefix(HEAD) if google.startswith(HEAD) else ""


def told_of(rows: str) -> list[tuple[str, str]]:
    """(fault, leg) of each row."""
    return re.findall(r"^\| (\S+) \| (\S+) \| ", rows, re.M)


def main() -> int:
    """Play everything, or what the arguments name; print a line each, write the page."""
    rows = {name: written(name) for name in PARTS}
    broken = [_played(name, rows) for name in sys.argv[1:] or PARTS]
    PAGE.write_text("".join(PARTS[name].head + rows[name] for name in PARTS), encoding="utf-8")
    say(f"written to {PAGE}")
    return 1 if sum(broken) else 0


def _played(name: str, rows: dict[str, str]) -> int:
    """Plays a provider's cases and writes their rows; how many were broken."""
    part, played = PARTS[name], list[Outcome | Case]()
    company = Company(part.script)
    try:
        for case in part.cases():
            played.append(case if case.cannot else company.play(case))
            say(next(lines(played[-1:])))
    finally:
        company.close()
    rows[name] = "".join(f"{line}\n" for line in lines(played))
    outcomes = [one for one in played if isinstance(one, Outcome)]
    broken = sum(bool(one.broken) for one in outcomes)
    prefix = "faults" if name == "google" else f"faults_{name}"
    figure(f"{prefix}.cases", len(outcomes))
    figure(f"{prefix}.broken", broken)
    figure(f"{prefix}.most_requests_to_clean", max(one.ratio for one in outcomes if not one.brings_its_own))
    return broken


if __name__ == "__main__":
    sys.exit(main())
