"""How the commands speak: what is asked for on standard output, all else on standard error."""

from __future__ import annotations

import json
from typing import Annotated, Any, NoReturn

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON, for scripts.")]


def print_json(value: Any) -> None:
    """One JSON value, nothing else, on standard output."""
    print(json.dumps(value, indent=2, default=str))  # noqa: T201


def fail(sentence: str) -> NoReturn:
    """Say what is wrong and what to do, and end with status 1."""
    err.print(sentence, markup=False)
    raise typer.Exit(1)


def team_table(report: dict[str, Any]) -> Table:
    """What became of each mailbox of a team."""
    table = Table("Mailbox", "Result", "Why", box=SIMPLE)
    for one in report["connected"]:
        table.add_row(one["email"], "connected" if one["new"] else "connected before", Text(" ".join(one["missing"])))
    for result in ("skipped", "refused"):
        for one in report[result]:
            table.add_row(Text(one["email"]), result, Text(one["reason"]))
    table.caption = ", ".join(f"{len(report[result])} {result}" for result in ("connected", "skipped", "refused"))
    return table


def audit_table(one: dict[str, Any]) -> Table:
    """What an account holds against what the ledger says, month by month."""
    outcomes = ("logged", "held", "ignored", "internal", "unopened", "owed", "unreadable")
    table = Table("", "all", *outcomes, "missing", box=SIMPLE, title=Text(one["account"]), padding=(0, 1, 0, 0))
    for source in one["sources"]:
        for month, counts in source["months"].items():
            cells = [str(counts.get(name, 0)) for name in outcomes]
            table.add_row(Text(month), str(sum(counts.values())), *cells, "")
        figures = [str(source["sum"][name]) for name in ("in_mailbox", *outcomes)]
        missing = "-" if source["missing"] is None else str(source["missing"])
        table.add_row(Text(source["kind"], style="bold"), *figures, missing, end_section=True)
    found = sum(source["holes_found"] or 0 for source in one["sources"])
    notes = [source["not_believed"] for source in one["sources"] if source["not_believed"]]
    told = [f"{found} that had slipped through were found and settled."] if found else []
    table.caption = Text(" ".join([*told, *notes, one["sentence"]]))
    return table


def tell_import(report: dict[str, Any]) -> None:
    """How many rows were taken, and where those are that were not."""
    counts = ", ".join(f"{report[name]:,} {name}" for name in ("created", "updated", "unchanged", "refused"))
    out.print(f"{'Tried, nothing kept' if report['dry_run'] else 'Done'}: {counts}.", markup=False)
    if report["error"]:
        err.print(report["error"], markup=False)
    if report["faults_file"]:
        out.print(f"Rows to look at, each with the reason: {report['faults_file']}", markup=False)
