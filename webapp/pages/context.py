"""What stands around a case of review: how the deal has fared lately, and what tells the deals on offer apart."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from webapp.deps import Viewer
from webapp.pages import stream

LATELY = 4


def with_context(session: Session, case: dict[str, Any] | None, viewer: Viewer) -> dict[str, Any] | None:
    """The case with what a person looks up before deciding. None stays None."""
    if case is None:
        return None
    if case["kind"] == "suggestion":
        shown = {item["interaction_id"] for item in case["evidence"]}
        return case | {"lately": lately(session, case["deal"]["id"], viewer, but=shown)}
    return case | told_apart(case["candidates"])


def lately(session: Session, deal_id: int, viewer: Viewer, *, but: set[int]) -> list[dict[str, Any]]:
    """The newest things that happened on a deal, newest first; ``but`` what is quoted already."""
    found = stream.of_deal(session, deal_id, viewer, limit=LATELY + len(but))["items"]
    return [item for item in found if item["type"] == "move" or item["id"] not in but][:LATELY]


def told_apart(candidates: list[dict[str, Any]]) -> dict[str, Any]:
    """``candidates`` with only the reasons of their own, and the ``shared`` reasons, which decide nothing. A single
    candidate keeps all of its reasons."""
    if len(candidates) < 2:
        return {"candidates": candidates, "shared": []}
    shared = [why for why in candidates[0]["reasons"] if all(why in one["reasons"] for one in candidates)]
    own = [one | {"reasons": [why for why in one["reasons"] if why not in shared]} for one in candidates]
    return {"candidates": own, "shared": shared}
