"""Robots, circulars, bounces and out-of-office answers among the Enron mailboxes, whose mail has lost its transport headers:
what is left to tell them is the sender's name, the subject, and the lines at the end.

The labels say nothing about some mail that is plainly a machine's. Every mail that we call so against the labels was read
by hand; where the sender's domain is below, it is one. Both precisions are printed.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from bench.eval_enron import _mails, _rows
from bench.eval_machine import read_all
from bench.figures import figure, keep_cases
from connectors.items import Message

NOTE = "human_absence_note"
KINDS = {"out_of_office": {"auto_reply"}, "bounce": {"bounce"}, "bulk_footer": {"bulk", "list"}}
"""What the labels' kinds are called here; a robot may be any."""
READ_BY_HAND = frozenset(
    (
        "concureworkplace.com",
        "networkpromotion.com",
        "anchordesk.zdlists.com",
        "amazon.com",
        "spg.0mm.com",
        "realmoney.com",
        "adm.chtah.com",
        "ftenergy.com",
        "mailman.enron.com",
        "response.etracks.com",
        "chaseplatinum.po-1.com",
        "platts.com",
        "maildb.bluemountainarts.com",
    )
)
"""Domains of newsletters, shops and services whose unlabelled mails proved to be a machine's."""
ROBOTS_BY_HAND = frozenset(("notification.isc", "general.announcement"))
"""Names of machine senders at the mailboxes' own firm, likewise."""
ABSENT = re.compile(r"\bout of (the )?office\b|\bvacation\b|\bon leave\b", re.I)
"""Subjects under which people told of an absence themselves."""


def run(folder: Path) -> None:
    """Print robots.recall, robots.precision (as read by hand), robots.precision_as_labelled, the recall of each kind, and how many
    absence notes of people are kept for people's."""
    labels = {(row["mailbox"], row["canonical_id"]): row["automated"] for row in _rows(folder / "labels.csv.gz")}
    rows: list[dict[str, Any]] = []
    for box in (row["mailbox"] for row in _rows(folder / "mailboxes.csv")):
        for raw, _, _ in _mails(folder, box):
            key = raw.partition(b"Message-ID:")[2].partition(b"\n")[0].decode().strip()
            rows.append({"text": raw.decode("utf-8", "surrogateescape"), "id": key, "label": labels[(box, key)]})
    seen: Counter[str] = Counter()
    right: Counter[str] = Counter()
    cases: list[Any] = []
    for row, item in zip(rows, read_all(rows), strict=True):
        case = _judged(row["label"], item, seen, right)
        cases += [{"case": case, "id": row["id"], "label": row["label"]}] if case else []
    _print(seen, right)
    keep_cases("robots", cases)


def _judged(label: str, item: Any, seen: Counter[str], right: Counter[str]) -> str:
    """Count one mail; what is wrong about it, empty for nothing."""
    if not isinstance(item, Message):
        seen["unread"] += 1
        return "unread"
    said = item.machine
    if label == NOTE or (not label and ABSENT.search(item.subject)):
        seen["note"] += 1
        right["note"] += said is None
        return "" if said is None else "a person's note"
    if label:
        seen[label] += 1
        right[label] += said is not None and said in KINDS.get(label, {said})
        return "" if said else "missed"
    if said is None:
        return ""
    by_hand = _is_machine(item)
    seen["false"] += not by_hand
    seen["unlabelled"] += by_hand
    return "" if by_hand else "false"


def _is_machine(item: Message) -> bool:
    sender = next((party.address.lower() for party in item.parties if party.role == "from"), "")
    name, _, domain = sender.partition("@")
    return domain in READ_BY_HAND or name in ROBOTS_BY_HAND


def _print(seen: Counter[str], right: Counter[str]) -> None:
    kinds = sorted(seen.keys() - {"note", "false", "unlabelled", "unread"})
    machines, found = sum(seen[kind] for kind in kinds), sum(right[kind] for kind in kinds)
    figure("robots.mails", machines)
    figure("robots.unread", seen["unread"])
    figure("robots.recall", found / max(1, machines))
    figure("robots.precision", (found + seen["unlabelled"]) / max(1, found + seen["unlabelled"] + seen["false"]))
    figure("robots.precision_as_labelled", found / max(1, found + seen["unlabelled"] + seen["false"]))
    for kind in kinds:
        figure(f"robots.recall.{kind}", right[kind] / max(1, seen[kind]))
    figure("robots.absence_notes", seen["note"])
    figure("robots.absence_notes_kept", right["note"] / max(1, seen["note"]))
