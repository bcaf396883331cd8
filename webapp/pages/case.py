"""One case of review: everything that a decision needs, as far as the viewer may see it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from models.deal import Deal
from models.errors import NotFound
from models.interaction import Held, Interaction
from models.pipeline import FINAL, Stage, stages_of
from models.suggestion import Suggestion
from webapp import present
from webapp.deps import Viewer
from webapp.pages.queue import conversation_of

AROUND = 170
"""Characters shown on either side of a quote."""


def read_case(session: Session, key: str, viewer: Viewer) -> dict[str, Any] | None:
    """The case of a key, while it is open."""
    kind, number = key[:1], int(key[1:]) if key[1:].isdigit() else 0
    if kind == "s":
        row = session.get(Suggestion, number)
        return suggestion_case(session, row, viewer) if row is not None and row.state == "open" else None
    row = session.get(Held, number)
    open_and_mine = row is not None and row.state == "open" and row.user_id == viewer.id
    return _held_case(session, row, viewer) if row is not None and open_and_mine else None


def suggestion_case(session: Session, row: Suggestion, viewer: Viewer) -> dict[str, Any]:
    """A suggestion with its deal, its evidence in context and how often its rule was right here."""
    shown = present.suggestions(session, [row], viewer)[0]
    deal = session.get(Deal, row.deal_id)
    if deal is None:
        raise NotFound("The deal no longer exists.")
    sources = present.by_id(session, Interaction, [item["interaction_id"] for item in row.evidence])
    right, asked = record_of(session, row.rule)
    stages = [present.stage_of(stage) for stage in stages_of(session, deal.pipeline_id)]
    return {
        "key": f"s{row.id}",
        "kind": "suggestion",
        "suggestion": shown,
        "deal": present.deals(session, [deal])[0],
        "evidence": [_in_context(item, sources.get(item["interaction_id"])) for item in _once(shown["evidence"])],
        "right": right,
        "asked": asked,
        "final": (shown["to_stage"] or {}).get("meaning") in FINAL,
        "others": [s for s in stages if s and s["id"] not in (row.from_stage_id, row.to_stage_id)],
    }


def _once(evidence: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Several facts may rest on one sentence; it is quoted once."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for item in evidence:
        found.setdefault((item["interaction_id"], item["quote"]), item)
    return list(found.values())


def _in_context(item: dict[str, Any], source: Interaction | None) -> dict[str, Any]:
    around = ("", item["quote"] or "", "")
    if item["quote"] and source is not None:
        around = quoted(source.new_text, item["start"], item["end"], item["quote"])
    return item | {"before": around[0], "mark": around[1], "after": around[2]}


def quoted(text: str, start: int | None, end: int | None, quote: str) -> tuple[str, str, str]:
    """What stands before a quote, the quote, and what stands after it; the quote alone when the text has changed."""
    if start is None or end is None or start < 0 or text[start:end] != quote:
        return "", quote, ""
    before, after = text[:start], text[end:]
    if len(before) > AROUND:
        before = "… " + before[-AROUND:].partition(" ")[2]
    if len(after) > AROUND:
        after = after[:AROUND].rpartition(" ")[0] + " …"
    return _close(before.lstrip()), quote, _close(after.rstrip())


def _close(text: str) -> str:
    """Without empty lines."""
    return re.sub(r"\s*\n\s*", "\n", text)


def record_of(session: Session, rule: str) -> tuple[int, int]:
    """How often people here said yes to a rule, of how many answers."""
    rows = session.exec(
        select(Suggestion.state, func.count())
        .where(Suggestion.rule == rule, col(Suggestion.state).in_(("accepted", "dismissed")))
        .group_by(Suggestion.state)
    ).all()
    counts = dict(rows)
    return counts.get("accepted", 0), sum(counts.values())


def logged_since(session: Session, moment: Any, hours: int = 24) -> int:
    """How many interactions were put on timelines lately."""
    since = moment - timedelta(hours=hours)
    return session.exec(
        select(func.count())
        .select_from(Interaction)
        .where(Interaction.logged_at >= since, col(Interaction.held).is_(False))
    ).one()


def _held_case(session: Session, row: Held, viewer: Viewer) -> dict[str, Any]:
    group = conversation_of(session, row)
    shown = present.held(session, group, viewer)
    mails = present.by_id(session, Interaction, [item.interaction_id for item in group])
    ordered = sorted((mails[item.interaction_id] for item in group), key=lambda mail: mail.occurred_at, reverse=True)
    candidates = shown[0]["candidates"] if shown else []
    deals = present.by_id(session, Deal, [one["deal_id"] for one in candidates])
    facts = {deal["id"]: deal for deal in present.deals(session, list(deals.values()))}
    told = [one | {"facts": facts[one["deal_id"]]} for one in candidates if one["deal_id"] in facts]
    return {
        "key": f"h{row.id}",
        "kind": "held",
        "held": shown[0],
        "mails": present.interactions(session, ordered, viewer, whole=True),
        "candidates": [one for one in told if not one.get("sure")][:5],
        "also_on": [one["deal"] for one in told if one.get("sure")],
        "elsewhere": open_deals(session, but=set(facts)),
    }


def open_deals(session: Session, *, but: set[int] | None = None, limit: int = 500) -> list[tuple[int, str]]:
    """(id, name) of the deals that are not decided, by name, for a list to choose from."""
    rows = session.exec(
        select(Deal.id, Deal.name)
        .join(Stage, col(Stage.id) == Deal.stage_id)
        .where(col(Stage.meaning).not_in(FINAL))
        .order_by(func.lower(Deal.name))
        .limit(limit)
    ).all()
    return [(key or 0, name) for key, name in rows if key not in (but or set())]
