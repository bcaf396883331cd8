"""The ledger entries of a page, and the hashes that find an ignored item again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col, select

from models.db import chunks, table, upsert
from models.ledger import LedgerEntry, LedgerHash
from worker import discovery, rows
from worker.case import Case, Logging


def store_ledger(work: Logging, cases: Sequence[Case]) -> None:
    """One entry an item: inserted, or brought up to date when it was known as unopened, owed or ignored."""
    entries = []
    for case in cases:
        entries.append(
            {
                "source_id": work.source.id,
                "item_id": case.item.item_id,
                "outcome": case.decision.outcome,
                "reason": case.decision.reason[:200],
                "month": rows.month(case.view.at),
                "state": case.view.place if case.view.place in ("spam", "trash") else "present",
                "priority": 0,
                "attempts": 0,
                "next_try_at": None,
                "error": "",
                "interaction_id": case.interaction_id or None,
                "updated_at": work.now,
            }
        )
    write_entries(work.session, entries)
    _store_hashes(work, cases)


def write_entries(session: Session, entries: Sequence[dict[str, Any]]) -> None:
    """Insert ledger entries or overwrite the ones there are."""
    upsert(session, LedgerEntry, entries, ("source_id", "item_id"))


def _store_hashes(work: Logging, cases: Sequence[Case]) -> None:
    """Ignored items leave hashes of their outsiders; logged ones of those who are no contacts yet. Internal, private and
    draft items leave none, also when they had left some before anybody knew."""
    _forget_hashes(work, [case.item.item_id for case in cases if case.decision.outcome == "internal"])
    forms: dict[str, set[str]] = {}
    for case in cases:
        outcome = case.decision.outcome
        if outcome == "internal" or (outcome == "ignored" and case.decision.reason in ("draft", "private event")):
            continue
        found = rows.outside_forms(case.view, work.book, unknown_only=outcome != "ignored")
        if found:
            forms[case.item.item_id] = found
    ids: dict[str, int] = {}
    for part in chunks(forms):
        ids.update(
            work.session.exec(
                select(LedgerEntry.item_id, LedgerEntry.id).where(
                    LedgerEntry.source_id == work.source.id, col(LedgerEntry.item_id).in_(part)
                )
            ).all()  # pyright: ignore[reportArgumentType]
        )
    digests = {form: work.hasher.digest(form) for found in forms.values() for form in found}
    way = {case.item.item_id: discovery.ways(work, case) for case in cases if case.item.item_id in forms}
    hashes = [
        {"entry_id": ids[item_id], "hash": digests[form], "way": way[item_id].get(form, (0, ""))[0]}
        for item_id, found in forms.items()
        for form in found
    ]
    upsert(work.session, LedgerHash, hashes, ("entry_id", "hash"))


def _forget_hashes(work: Logging, item_ids: Sequence[str]) -> None:
    ledger, hashes = table(LedgerEntry), table(LedgerHash)
    for part in chunks(item_ids):
        entries = select(ledger.c.id).where(ledger.c.source_id == work.source.id, ledger.c.item_id.in_(part))
        work.session.connection().execute(delete(hashes).where(hashes.c.entry_id.in_(entries)))
