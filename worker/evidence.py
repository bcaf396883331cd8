"""What an interaction looks like to the rules of suggestion, and the signals that they find in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from models.db import insert_many
from models.suggestion import Signal
from worker.case import Case, Logging
from worker.signals import read
from worker.timeline_view import Line

LINE_FIELDS = (
    "id",
    "kind",
    "direction",
    "occurred_at",
    "ends_at",
    "parties",
    "subject",
    "new_text",
    "machine",
    "machine_reason",
    "attachments",
    "links",
    "forwarded",
    "status",
)
"""The columns of an interaction that ``line_of`` looks at."""


def store_signals(work: Logging, cases: Sequence[Case]) -> None:

    found = []
    for case in cases:
        if not case.row.get("new_text") and case.view.kind == "email" and not case.row.get("attachments"):
            continue
        for signal in read(line_of(case.row, lambda domain: work.book.company_at(domain) is not None)):
            found.append(
                {
                    "interaction_id": case.interaction_id,
                    "kind": signal.kind,
                    "rule": signal.rule,
                    "quote": signal.quote,
                    "start": signal.start,
                    "end": signal.end,
                    "weight": signal.weight,
                    "lang": signal.lang,
                    "value": signal.value,
                }
            )
    insert_many(work.session, Signal, found)


def line_of(row: dict[str, Any], knows: Callable[[str], bool] = lambda domain: False) -> Line:
    """An interaction's row as the rules of suggestion see it. ``knows`` says whether a domain is a customer's."""
    sender = next((p for p in row["parties"] if p["role"] in ("from", "sender", "organizer")), None)
    known = sender is not None and (
        sender["ours"] or sender["contact_id"] is not None or knows(sender["address"].rpartition("@")[2])
    )
    return Line(
        id=row["id"],
        kind=row["kind"],
        direction=row["direction"],
        at=row["occurred_at"],
        end=row["ends_at"],
        sender=sender["address"] if sender else "",
        sender_name=sender["name"] if sender else "",
        sender_ours=bool(sender and sender["ours"]),
        sender_known=known,
        recipients=tuple(p["address"] for p in row["parties"] if p["role"] in ("to", "cc")),
        subject=row["subject"],
        new=row["new_text"],
        machine=row["machine"] or None,
        machine_reason=row["machine_reason"],
        attachments=tuple((a["name"], a["mime"], a["size"]) for a in row["attachments"]),
        links=tuple(row["links"]),
        forwarded=row["forwarded"],
        status=row["status"],
        attendees=tuple((p["address"], p["response"], p["ours"]) for p in row["parties"]),
    )
