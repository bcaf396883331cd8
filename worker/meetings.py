"""Meetings that are on the timeline already and have changed: moved, cancelled, answered; and those whose end has passed.

One row a meeting however many calendars hold it: the copy with the highest sequence tells the time, answers are merged,
and an absent field of a sparse cancellation never wipes what is stored (provider-contract 2.2, 2.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from connectors.items import Meeting
from models.db import Database, chunks, table
from models.deal import Deal
from models.event import announce, event_row
from models.interaction import Copy, Held, Interaction, Link
from models.ledger import LedgerEntry
from models.linking import interaction_payload
from worker import rows, view
from worker.accounting import write_entries
from worker.case import Case, Logging

PAGE = 200


def update_known(work: Logging, cases: Sequence[Case]) -> None:
    """Another calendar's copy of a stored meeting: merge it."""
    stored = _by_id(work.session, [case.interaction_id for case in cases if case.interaction_id])
    for case in cases:
        row = stored.get(case.interaction_id)
        if row is not None and isinstance(case.item, Meeting):
            _merge(work, row, case.item)


def update_stored(work: Logging, changed: Sequence[tuple[Meeting, LedgerEntry | None]]) -> None:
    """The same calendar's copy has changed, or was cancelled without saying more than its id."""
    ids = [entry.interaction_id for _, entry in changed if entry and entry.interaction_id]
    stored = _by_id(work.session, ids)
    unknown = []
    for meeting, entry in changed:
        row = stored.get(entry.interaction_id) if entry and entry.interaction_id else None
        if row is not None:
            _merge(work, row, meeting)
        elif entry is None or entry.outcome == "unopened":
            unknown.append(_cancelled_entry(work, meeting))
    write_entries(work.session, unknown)


def ended_meetings(now: datetime) -> Any:
    """The ids of meetings whose end has passed and that are not yet marked as held."""
    return select(Interaction.id).where(
        Interaction.kind == "meeting",
        col(Interaction.held_at).is_(None),
        col(Interaction.ends_at) <= now,
        Interaction.status != "cancelled",
    )


def hold_meetings(db: Database, now: datetime) -> int:
    """Mark the meetings whose end has passed as held and announce them; how many (at most a page)."""
    if not db.finds(ended_meetings(now)):
        return 0
    with db.write() as session:
        due = session.exec(
            select(Interaction)
            .where(col(Interaction.id).in_(ended_meetings(now)))
            .limit(PAGE)
            .with_for_update(skip_locked=True)
        ).all()
        for row in due:
            row.held_at = row.ends_at
            session.add(row)
        links = _links(session, [row.id or 0 for row in due])
        recent = [row for row in due if row.ends_at is not None and row.logged_at <= row.ends_at]
        announce(session, *(_event(session, "meeting.held", row, links.get(row.id or 0, []), now) for row in recent))
        _think_again(session, [link.deal_id for some in links.values() for link in some], now)
        return len(due)


def _merge(work: Logging, row: Interaction, meeting: Meeting) -> None:
    before = (row.occurred_at, row.ends_at, row.status)
    _mark_copy(work, meeting)
    if meeting.status == "cancelled":
        if _called_off(work, row, meeting):
            row.status = "cancelled"
    elif meeting.sequence >= row.sequence:
        row.occurred_at, row.ends_at, row.all_day = meeting.start, meeting.end, meeting.all_day
        row.sequence, row.status = meeting.sequence, meeting.status
        row.subject = rows.clean(meeting.subject)[:1000] or row.subject
        if meeting.description:
            row.text = row.new_text = rows.clean(meeting.description)[: rows.MOST_TEXT]
    if not meeting.sparse:
        row.parties = merge_parties(row.parties, rows.parties(view.of_meeting(meeting).people, work.book), meeting)
    if before[:2] != (row.occurred_at, row.ends_at):
        row.held_at = None
    work.session.add(row)
    if row.status != before[2] or before[:2] != (row.occurred_at, row.ends_at):
        links = _links(work.session, [row.id or 0]).get(row.id or 0, [])
        _think_again(work.session, [link.deal_id for link in links], work.now)
        if row.status == "cancelled" and before[2] != "cancelled":
            announce(work.session, _event(work.session, "meeting.cancelled", row, links, work.now))


def merge_parties(old: list[dict[str, Any]], new: list[dict[str, Any]], meeting: Meeting) -> list[dict[str, Any]]:
    """Who is invited, after another copy told its part. A copy that knows an answer beats one that does not; nobody is
    taken off by a partial list."""
    merged: dict[str, dict[str, Any]] = {}
    answers = {party["address"]: party["response"] for party in old}
    for party in [*(old if not meeting.parties_complete else []), *new]:
        known = merged.get(party["address"])
        if known is None or party["role"] == "organizer" or known["response"] == "none":
            merged[party["address"]] = _one(known, party)
    for address, party in merged.items():
        if party["response"] == "none" and answers.get(address, "none") != "none":
            party["response"] = answers[address]
    return list(merged.values()) or old


def _one(known: dict[str, Any] | None, party: dict[str, Any]) -> dict[str, Any]:
    """Two rows of the same address as one: calendars list the organizer among the guests too, who stays the organizer."""
    if known is None or "organizer" not in (known["role"], party["role"]):
        return dict(party)
    response = party["response"] if party["response"] != "none" else known["response"]
    return known | party | {"role": "organizer", "name": party["name"] or known["name"], "response": response}


def _mark_copy(work: Logging, meeting: Meeting) -> None:
    copies = table(Copy)
    state = "deleted" if meeting.status == "cancelled" else "present"
    work.session.connection().execute(
        update(copies)
        .where(copies.c.source_id == work.source.id, copies.c.item_id == meeting.item_id)
        .values(state=state, seen_at=work.now)
    )


def _called_off(work: Logging, row: Interaction, meeting: Meeting) -> bool:
    """Whether a cancellation counts for everybody. One that says no more than its id may only be that somebody took the
    meeting off the own calendar: as long as a colleague's calendar has it, it takes place."""
    if not meeting.sparse:
        return meeting.sequence >= row.sequence
    here = (Copy.interaction_id == row.id, Copy.state == "present", Copy.source_id != work.source.id)
    return work.session.exec(select(Copy.id).where(*here)).first() is None


def _cancelled_entry(work: Logging, meeting: Meeting) -> dict[str, Any]:
    return {
        "source_id": work.source.id,
        "item_id": meeting.item_id,
        "outcome": "ignored",
        "reason": "cancelled before it was seen",
        "state": "deleted",
        "priority": 0,
        "attempts": 0,
        "next_try_at": None,
        "error": "",
        "interaction_id": None,
        "month": "" if meeting.start.year < 1971 else rows.month(meeting.start),
        "updated_at": work.now,
    }


def _by_id(session: Session, ids: Sequence[int]) -> dict[int, Interaction]:
    found: dict[int, Interaction] = {}
    for part in chunks(ids):
        found.update(
            (row.id or 0, row) for row in session.exec(select(Interaction).where(col(Interaction.id).in_(part)))
        )
    return found


def _links(session: Session, interaction_ids: Sequence[int]) -> dict[int, list[Link]]:
    found: dict[int, list[Link]] = {}
    for part in chunks(interaction_ids):
        for link in session.exec(
            select(Link).where(col(Link.interaction_id).in_(part), col(Link.removed_at).is_(None))
        ):
            found.setdefault(link.interaction_id, []).append(link)
    return found


def _event(session: Session, kind: str, row: Interaction, links: list[Link], now: datetime) -> dict[str, Any]:
    """An event about a meeting; of one that is held, to the person alone whom we ask where it belongs."""
    owner = session.exec(select(Held.user_id).where(Held.interaction_id == row.id)).first() if row.held else None
    payload = interaction_payload(session, row, links, viewer_id=owner)
    once = f"{row.id}" if kind != "meeting.cancelled" else f"{row.id}:{row.sequence}"
    return event_row(kind, once, payload, now=now, deal_id=links[0].deal_id if links else None, user_id=owner)


def _think_again(session: Session, deal_ids: Sequence[int], now: datetime) -> None:
    deals = table(Deal)
    for part in chunks(set(deal_ids)):
        session.connection().execute(update(deals).where(deals.c.id.in_(part)).values(suggest_at=now))
