"""What the world is told of a page: once, and no more than a stranger to the mailbox may see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from models.event import announce, event_row
from models.interaction import Interaction
from models.linking import logged_payload
from models.privacy import CopyLevel, decide_sight
from worker.case import Case, Logging
from worker.match import Decision
from worker.standing import held_row

HISTORY_GRACE = timedelta(minutes=10)


def announce_cases(work: Logging, cases: Sequence[Case]) -> None:
    """``interaction.logged`` for each link of what is new, ``interaction.held`` for its owner alone. Nothing from before
    the account was connected, unless the team asked for that."""
    since = work.account.connected_at - HISTORY_GRACE
    events = []
    for case in cases:
        if not (case.fresh or case.released) or not (work.announce_all or case.view.at >= since):
            continue
        if case.released:
            case.row = work.session.get_one(Interaction, case.interaction_id).model_dump()
        if case.decision.outcome == "held":
            payload = _payload(work, case, owner=True) | {"candidates": held_row(work, case)["candidates"]}
            events.append(
                event_row(
                    "interaction.held",
                    str(case.interaction_id),
                    payload,
                    now=work.now,
                    user_id=work.account.user_id,
                )
            )
            continue
        payload = _payload(work, case, owner=False)
        targets = [link.deal_id for link in case.decision.links] or [None]
        for deal_id in targets:
            once = f"{case.interaction_id}:{deal_id or ''}"
            events.append(event_row("interaction.logged", once, payload, now=work.now, deal_id=deal_id))
        events += meeting_events(case.row, payload, case.decision, work.now)
    announce(work.session, *events)


def meeting_events(
    row: dict[str, Any], payload: dict[str, Any], decision: Decision, now: datetime
) -> list[dict[str, Any]]:
    """``meeting.scheduled`` for one that lies ahead."""
    if row.get("kind") != "meeting" or row["status"] == "cancelled" or row["occurred_at"] <= now:
        return []
    deal_id = decision.links[0].deal_id if decision.links else None
    return [event_row("meeting.scheduled", str(row["id"]), payload, now=now, deal_id=deal_id)]


def _payload(work: Logging, case: Case, *, owner: bool) -> dict[str, Any]:
    level = CopyLevel(work.account.user_id, work.account.visibility)
    viewer, override = work.account.user_id if owner else None, case.row.get("visibility", "")
    sight = decide_sight(viewer_id=viewer, held=False, override=override, copies=[level])
    links = [
        {"deal_id": link.deal_id, "rule": link.rule, "score": link.score, "reasons": list(link.reasons)}
        for link in case.decision.links
    ]
    return logged_payload(case.row, links, subject=sight.subject, text=sight.text)
