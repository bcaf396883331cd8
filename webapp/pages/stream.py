"""One stream of what happened, newest first: mail, meetings and stage moves, each with why it is here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, or_, select

from models.contact import Contact
from models.deal import Deal, StageChange
from models.interaction import Interaction, InteractionCompany, InteractionContact, Link
from models.pipeline import Stage
from models.suggestion import open_suggestion
from models.user import User
from webapp import present, timeline
from webapp.deps import Viewer

PAGE = 30
Cursor = tuple[datetime, int]


def read_cursor(text: str) -> Cursor | None:
    """``2026-11-02T09:00:00+00:00~17``: where the page before ended; None for anything else."""
    moment, _, number = text.partition("~")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (at, int(number)) if number.isdigit() and at.tzinfo is not None else None


def cursor_of(row: Interaction) -> str:
    """Where a page that ends with this row goes on."""
    return f"{row.occurred_at.isoformat()}~{row.id}"


def of_deal(
    session: Session, deal_id: int, viewer: Viewer, *, before: Cursor | None = None, limit: int = PAGE
) -> dict[str, Any]:
    """A page of a deal's stream, stage moves in their places."""
    rows = timeline.of_deal(session, deal_id, limit=limit + 1, before=before)
    more, rows = len(rows) > limit, rows[:limit]
    oldest = rows[-1].occurred_at if rows and more else None
    moves = _moves(session, deal_id, after=oldest, before=before[0] if before else None)
    shown = [{"type": "row", "at": item["occurred_at"], **item} for item in _shown(session, rows, viewer)]
    stream = sorted([*shown, *moves], key=lambda item: (item["at"], item["id"]), reverse=True)
    return {"items": stream, "earlier": cursor_of(rows[-1]) if more else ""}


def of_contact(
    session: Session, contact_id: int, viewer: Viewer, *, before: Cursor | None = None, limit: int = PAGE
) -> dict[str, Any]:
    """A page of what happened with one person."""
    theirs = select(InteractionContact.interaction_id).where(InteractionContact.contact_id == contact_id)
    return _of(session, col(Interaction.id).in_(theirs), viewer, before, limit)


def of_company(
    session: Session, company_id: int, viewer: Viewer, *, before: Cursor | None = None, limit: int = PAGE
) -> dict[str, Any]:
    """A page of what happened with one company, through its domains or its people."""
    by_domain = select(InteractionCompany.interaction_id).where(InteractionCompany.company_id == company_id)
    by_people = (
        select(InteractionContact.interaction_id)
        .join(Contact, col(Contact.id) == InteractionContact.contact_id)
        .where(Contact.company_id == company_id)
    )
    where = or_(col(Interaction.id).in_(by_domain), col(Interaction.id).in_(by_people))
    return _of(session, where, viewer, before, limit)


def version_of_deal(session: Session, deal: Deal) -> str:
    """Changes whenever the deal's page would: rows, links, moves, facts."""
    links = session.exec(
        select(func.count(), func.max(Link.made_at), func.max(Link.interaction_id)).where(
            Link.deal_id == deal.id, col(Link.removed_at).is_(None)
        )
    ).one()
    moves = session.exec(
        select(func.count(), func.count(col(StageChange.undone_at))).where(StageChange.deal_id == deal.id)
    ).one()
    waits = _open_suggestion(session, deal.id or 0)
    return _token(*links, *moves, deal.version, deal.last_touch_at, waits)


def _open_suggestion(session: Session, deal_id: int) -> int:
    """The id of the deal's open suggestion, 0 for none."""
    found = open_suggestion(session, deal_id)
    return (found.id or 0) if found else 0


def _token(*parts: Any) -> str:
    return ".".join("" if part is None else str(part).replace(" ", "T") for part in parts)


def _of(session: Session, where: Any, viewer: Viewer, before: Cursor | None, limit: int) -> dict[str, Any]:
    statement = (
        select(Interaction)
        .where(where)
        .order_by(col(Interaction.occurred_at).desc(), col(Interaction.id).desc())
        .limit(limit + 1)
    )
    if before is not None:
        at, last = before
        same = (col(Interaction.occurred_at) == at) & (col(Interaction.id) < last)
        statement = statement.where(or_(col(Interaction.occurred_at) < at, same))
    rows = list(session.exec(statement).all())
    more, rows = len(rows) > limit, rows[:limit]
    items = [{"type": "row", "at": item["occurred_at"], **item} for item in _shown(session, rows, viewer)]
    return {"items": items, "earlier": cursor_of(rows[-1]) if more else ""}


def _shown(session: Session, rows: Sequence[Interaction], viewer: Viewer) -> list[dict[str, Any]]:
    items = present.interactions(session, rows, viewer)
    deals = present.by_id(session, Deal, [link["deal_id"] for item in items for link in item["links"]])
    stages = present.by_id(session, Stage, [link["stage_id"] for item in items for link in item["links"]])
    names = _own_names(session)
    for item in items:
        for link in item["links"]:
            link["deal"] = deals[link["deal_id"]].name if link["deal_id"] in deals else ""
            link["stage"] = stages[link["stage_id"]].name if link["stage_id"] in stages else ""
        item |= _parties(item["parties"], names)
    return items


def _own_names(session: Session) -> dict[str, str]:
    """The team's names by address: calendars leave out the organizer's."""
    return {email: name for email, name in session.exec(select(User.email, User.name)).all() if name}


def _parties(parties: Sequence[dict[str, Any]], names: dict[str, str]) -> dict[str, Any]:
    """Who sent it, and to whom, in names."""
    first = next((p for p in parties if p["role"] in ("from", "organizer")), None)
    rest = [p for p in parties if p is not first and p["role"] != "reply_to" and _address(p) != _address(first)]
    named = next((p for p in parties if _address(p) == _address(first) and p.get("name")), first)
    return {
        "sender": _name(named, names),
        "sender_ours": bool(first and first.get("ours")),
        "rest": [_name(p, names) for p in rest],
    }


def _address(party: dict[str, Any] | None) -> str:
    return party["address"] if party else ""


def _name(party: dict[str, Any] | None, names: dict[str, str]) -> str:
    if party is None:
        return "somebody"
    return party.get("name") or names.get(party["address"]) or party["address"]


def _moves(session: Session, deal_id: int, *, after: datetime | None, before: datetime | None) -> list[dict[str, Any]]:
    statement = select(StageChange).where(StageChange.deal_id == deal_id)
    if after is not None:
        statement = statement.where(StageChange.at >= after)
    if before is not None:
        statement = statement.where(StageChange.at < before)
    rows = session.exec(statement).all()
    stages = present.by_id(session, Stage, [key for row in rows for key in (row.from_stage_id, row.to_stage_id)])
    people = present.by_id(session, User, [row.user_id for row in rows])
    return [
        {
            "type": "move",
            "id": row.id or 0,
            "at": present.iso(row.at),
            "from": stages[row.from_stage_id].name if row.from_stage_id in stages else "",
            "to": stages[row.to_stage_id].name if row.to_stage_id in stages else "",
            "source": row.source,
            "who": people[row.user_id].name if row.user_id in people else "",
            "undone": row.undone_at is not None,
        }
        for row in rows
    ]
