"""Decisions become rows: one page, one transaction, a bounded number of statements.

Invariants: an item is accounted for exactly once in the ledger; an interaction exists once however many copies there are;
a link that a person removed stays removed; an event is announced once.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import update

from connectors.items import Meeting
from models.db import chunks, insert_ids, insert_new, table
from models.deal import Deal
from models.interaction import Copy, Interaction, InteractionCompany, InteractionContact, ThreadKey
from models.levels import narrowed_threads
from worker import rows, threads
from worker.accounting import store_ledger
from worker.acquaint import acquaint
from worker.announce import announce_cases
from worker.case import Case, Logging
from worker.copies import find_same
from worker.discovery import discover
from worker.standing import store_links


def settle(work: Logging, cases: Sequence[Case]) -> list[Case]:
    """Store what became of each item; the cases whose interaction is new."""
    kept = [case for case in cases if case.decision.concerns_us]
    find_same(work, kept)
    _lead_to_threads(work, kept)
    _store_new(work, kept)
    _store_copies(work, kept)
    store_links(work, kept)
    store_ledger(work, cases)
    discover(work, cases)
    acquaint(work, kept)
    _touch_deals(work, kept)
    announce_cases(work, kept)
    return [case for case in kept if case.fresh]


def _lead_to_threads(work: Logging, cases: Sequence[Case]) -> None:
    """Another mailbox's copy leads to its conversation as well: by the Message-ID that a relay gave it, by the grouping of
    that mailbox."""
    found = {
        key: case.known_thread
        for case in cases
        if case.known_thread
        for key in (case.view.own_key, *case.view.thread_keys)
        if key and key not in work.book.threads
    }
    insert_new(work.session, ThreadKey, [{"key": key, "thread_id": thread} for key, thread in found.items()])
    work.book.threads |= found


def _store_new(work: Logging, cases: Sequence[Case]) -> None:
    fresh = [case for case in cases if case.fresh]
    thread_of = threads.assign(work.session, [case.view for case in fresh], work.book.threads, now=work.now)
    for case in fresh:
        if isinstance(case.item, Meeting):
            case.row = rows.meeting_row(
                case.item, case.view, case.decision, work.book, identity=case.identity, now=work.now
            )
        else:
            case.row = rows.mail_row(
                case.item,
                case.view,
                case.decision,
                work.book,
                identity=case.identity,
                fingerprint=case.fingerprint,
                now=work.now,
            )
        case.row["thread_id"] = thread_of[case.view.item_id]
    narrowed = narrowed_threads(work.session, thread_of.values())
    for case in fresh:
        case.row["visibility"] = narrowed.get(case.row["thread_id"], "")
    ids = insert_ids(work.session, Interaction, [case.row for case in fresh])
    by_identity: dict[str, int] = {}
    for case, interaction_id in zip(fresh, ids, strict=True):
        case.interaction_id = case.row["id"] = interaction_id
        by_identity[case.identity] = interaction_id
    for case in cases:
        if not case.interaction_id:
            case.interaction_id = by_identity[case.identity]
    insert_new(
        work.session,
        InteractionContact,
        [
            {"interaction_id": case.interaction_id, "contact_id": contact_id}
            for case in cases
            for contact_id in case.decision.contacts
        ],
    )
    insert_new(
        work.session,
        InteractionCompany,
        [
            {"interaction_id": case.interaction_id, "company_id": company_id}
            for case in cases
            for company_id in case.decision.companies
        ],
    )


def _store_copies(work: Logging, cases: Sequence[Case]) -> None:
    insert_new(
        work.session,
        Copy,
        [
            {
                "interaction_id": case.interaction_id,
                "source_id": work.source.id,
                "account_id": work.account.id,
                "item_id": case.item.item_id,
                "state": "present",
                "seen_at": work.now,
            }
            for case in cases
        ],
    )


def _touch_deals(work: Logging, cases: Sequence[Case]) -> None:
    """Ask for a thought about each deal that something was logged on."""
    touched = {link.deal_id for case in cases for link in case.decision.links}
    deals = table(Deal)
    for part in chunks(touched):
        work.session.connection().execute(update(deals).where(deals.c.id.in_(part)).values(suggest_at=work.now))
