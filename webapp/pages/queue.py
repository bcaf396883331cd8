"""The queue of review: what waits for a decision, own deals first, each with a key of its own (``s12``, ``h7``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request
from sqlmodel import Session, col, func, select

from models.contact import Company
from models.deal import Deal
from models.interaction import Held, Interaction
from models.pipeline import Stage
from models.suggestion import Suggestion
from webapp import timeline
from webapp.deps import Viewer
from webapp.pages.words import after
from webapp.present import by_id

LATER = "dealtrail_later"
MOST_LATER = 200


@dataclass(frozen=True)
class Waiting:
    """One line of the queue. ``rank`` 0: the viewer's own, 1: a colleague's deal, 2: put off for this session."""

    key: str
    title: str
    ask: str
    note: str
    at: datetime
    rank: int


@dataclass(frozen=True)
class Queue:
    """The lines in order, and a short text that changes whenever they do."""

    lines: list[Waiting]
    version: str

    @property
    def keys(self) -> list[str]:
        return [line.key for line in self.lines]

    def after(self, key: str) -> str:
        """What comes next once ``key`` is decided; the one before it at the end; empty when nothing is left."""
        keys = self.keys
        if key not in keys:
            return keys[0] if keys else ""
        place = keys.index(key)
        rest = keys[place + 1 :] + keys[:place][::-1]
        return rest[0] if rest else ""


def read_queue(session: Session, viewer: Viewer, later: Sequence[str] = ()) -> Queue:
    """All that waits for this viewer."""
    lines = [*_suggested(session, viewer, later), *_held(session, viewer, later)]
    lines.sort(key=lambda line: (line.rank, -line.at.timestamp(), line.key))
    return Queue(lines, version_of(session, viewer, later))


def version_of(session: Session, viewer: Viewer, later: Sequence[str] = ()) -> str:
    """Cheap to ask for: counts and sums of ids, which change with every decision and every arrival."""
    suggested = session.exec(
        select(func.count(), func.sum(Suggestion.id), func.max(Suggestion.id)).where(Suggestion.state == "open")
    ).one()
    held = session.exec(
        select(func.count(), func.sum(Held.id)).where(Held.user_id == viewer.id, Held.state == "open")
    ).one()
    logged = session.exec(select(func.max(Interaction.id))).one()
    return ".".join(str(value or 0) for value in (*suggested, *held, logged, len(later)))


def put_off(request: Request) -> list[str]:
    """What this browser decided to look at later."""
    return [key for key in request.cookies.get(LATER, "").split("-") if key[:1] in ("s", "h") and key[1:].isdigit()]


def _suggested(session: Session, viewer: Viewer, later: Sequence[str]) -> list[Waiting]:
    rows = timeline.open_suggestions(session)
    deals = by_id(session, Deal, [row.deal_id for row in rows])
    stages = by_id(session, Stage, [row.to_stage_id for row in rows])
    firms = by_id(session, Company, [deal.company_id for deal in deals.values()])
    lines = []
    for row in rows:
        deal, stage = deals.get(row.deal_id), stages.get(row.to_stage_id)
        if deal is None or stage is None:
            continue
        firm = firms.get(deal.company_id or 0)
        key, mine = f"s{row.id}", deal.owner_id in (viewer.id, None)
        ask = "gone quiet" if row.rule.startswith("silence") else f"{stage.name}?"
        note = after(deal.name, firm.name) if firm else row.reason
        rank = 2 if key in later else 0 if mine else 1
        lines.append(Waiting(key, firm.name if firm else deal.name, ask, note, row.created_at, rank))
    return lines


def _held(session: Session, viewer: Viewer, later: Sequence[str]) -> list[Waiting]:
    rows = timeline.open_held(session, viewer)
    mails = by_id(session, Interaction, [row.interaction_id for row in rows])
    lines = []
    for group in conversations(rows, mails):
        first = group[0]
        mail = mails[first.interaction_id]
        key = f"h{first.id}"
        note = (mail.subject or "(no subject)") + (f" · {len(group)} mails" if len(group) > 1 else "")
        lines.append(Waiting(key, _outsider(mail), "which deal?", note, first.created_at, 2 if key in later else 0))
    return lines


def conversations(rows: Sequence[Held], mails: dict[int, Interaction]) -> list[list[Held]]:
    """Held items by conversation, the newest mail of each first."""
    groups: dict[str, list[Held]] = {}
    for row in rows:
        mail = mails.get(row.interaction_id)
        if mail is not None:
            groups.setdefault(f"t{mail.thread_id}" if mail.thread_id else f"h{row.id}", []).append(row)
    for group in groups.values():
        group.sort(key=lambda row: mails[row.interaction_id].occurred_at, reverse=True)
    return list(groups.values())


def conversation_of(session: Session, held: Held) -> list[Held]:
    """The open items of the same owner and conversation, this one included."""
    mail = session.get(Interaction, held.interaction_id)
    if mail is None or mail.thread_id is None:
        return [held]
    return list(
        session.exec(
            select(Held)
            .join(Interaction, col(Interaction.id) == Held.interaction_id)
            .where(
                Held.user_id == held.user_id,
                Interaction.thread_id == mail.thread_id,
                Held.state == held.state,
                Held.decided_at == held.decided_at if held.decided_at else col(Held.decided_at).is_(None),
            )
            .order_by(col(Interaction.occurred_at).desc())
        ).all()
    )


def _outsider(mail: Interaction) -> str:
    outside = [party for party in mail.parties if not party.get("ours")]
    return (outside[0].get("name") or outside[0]["address"]) if outside else "Somebody"
