"""Machine mail: mailing lists, bulk mail, bounces and automatic answers told apart from what people write.

The truth of a mail is the signs that its headers carry; spam without any sign counts as neither, since no header says
what it is, and so does a circular that offers a way out of its list in its last lines alone (``precision_as_labelled`` counts
it for a person's). Bounces are taken from the folder beside, when it is there.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from bench.eval_parsing import mailbox_of, raw_of, rows
from bench.figures import figure, keep_cases, say
from connectors.items import Item, Listed, Message
from connectors.machine import WORDS_ALONE

Case = dict[str, Any]
KINDS = {"bounce": "bounce", "auto_reply": "auto_reply", "feedback_report": "notification"}


def run(folder: Path) -> None:
    """Print machine.precision, machine.recall, machine.bounce_recall, bounce_addresses and the counts behind them."""
    mails = rows(folder / "notmuch.jsonl.gz") + rows(folder / "spamassassin.jsonl.gz")
    cases = _people_or_machines(mails)
    cases += _bounces(rows(folder.parent / "parsing" / "bounces.jsonl.gz"))
    keep_cases("machine", cases)


def _people_or_machines(mails: list[Case]) -> list[Case]:
    cases: list[Case] = []
    counts: Counter[str] = Counter()
    for row, item in zip(mails, read_all(mails), strict=True):
        if not isinstance(item, Message):
            counts["unread"] += 1
            cases.append({"case": "unread", "id": _name(row)})
            continue
        signs, said = bool(row["automated_signs"]), item.machine is not None
        if not signs and str(row.get("group", "")).startswith("spam"):
            counts["spam_called_machine"] += said
            counts["spam"] += 1
            continue
        if not signs and item.machine_reason == WORDS_ALONE:
            counts["circular"] += 1
            continue
        counts[f"{'machine' if signs else 'person'}_{'yes' if said else 'no'}"] += 1
        if signs != said:
            cases.append({"case": "missed" if signs else "false", "id": _name(row), "reason": item.machine_reason})
    yes, missed, false = counts["machine_yes"], counts["machine_no"], counts["person_yes"]
    figure("machine.mails", len(mails))
    figure("machine.exceptions", counts["unread"])
    figure("machine.precision", yes / max(1, yes + false))
    figure("machine.precision_as_labelled", yes / max(1, yes + false + counts["circular"]))
    figure("machine.recall", yes / max(1, yes + missed))
    say(f"  {counts['circular']} circulars whose headers say nothing")
    say(
        f"  {counts['person_no']} of people, {counts['spam_called_machine']} of {counts['spam']} unsigned spam called machine"
    )
    return cases


def _bounces(mails: list[Case]) -> list[Case]:
    cases: list[Case] = []
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    machine = named = failed = 0
    for row, item in zip(mails, read_all(mails), strict=True):
        kind = item.machine if isinstance(item, Message) else None
        wanted = KINDS.get(row["kind"])
        seen[row["kind"]] += 1
        same = kind == wanted if wanted else kind != "bounce"
        right[row["kind"]] += same
        machine += row["kind"] == "bounce" and kind is not None
        if row["kind"] == "bounce" and _given_up(row):
            failed += 1
            named += isinstance(item, Message) and bool(item.bounced)
        if not same:
            cases.append({"case": f"bounce_{row['kind']}", "id": row["path"], "got": kind})
    if mails:
        false = sum(seen[kind] - right[kind] for kind in seen if kind != "bounce")
        figure("machine.bounces", seen["bounce"])
        figure("machine.bounce_recall", right["bounce"] / max(1, seen["bounce"]))
        figure("machine.bounce_precision", right["bounce"] / max(1, right["bounce"] + false))
        figure("machine.bounce_is_machine", machine / max(1, seen["bounce"]))
        figure("machine.bounce_addressed", named / max(1, failed))
    return cases


def _given_up(row: Case) -> bool:
    """Whether a bounce says of somebody that they were not reached; one of delayed or delivered mail blames nobody (RFC 3463 2)."""
    return not row["expected"] or any(str(one.get("dsn") or "5").startswith("5") for one in row["expected"])


def read_all(mails: list[Case]) -> list[Item | None]:
    """Each mail as the connector hands it on, in the same order; None for one that did not come back."""
    if not mails:
        return []
    with mailbox_of([raw_of(row) for row in mails]) as (mailbox, ids):
        found = {item.item_id: item for item in mailbox.open([Listed(one) for one in ids])}
    return [found.get(one) for one in ids]


def _name(row: Case) -> str:
    return f"{row.get('group', '')}/{row.get('id') or row.get('path', '')}"
