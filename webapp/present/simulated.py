"""Simulations of other rules, and what would move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from models.deal import Deal
from models.interaction import Interaction
from models.simulation import SimulatedMove, Simulation
from webapp.deps import Viewer
from webapp.present.mail import interactions
from webapp.present.rows import by_id, iso


def simulation(row: Simulation) -> dict[str, Any]:
    """A simulation with its progress and figures."""
    names = ("moved", "placed", "taken_off", "asked", "kept_by_hand", "maybe_logged", "left")
    return {
        "id": row.id,
        "state": row.state,
        "changes": row.changes,
        "since": iso(row.since),
        "seen": row.position,
        "total": row.total,
        "counts": {name: row.counts.get(name, 0) for name in names},
        "error": row.error or None,
        "made_at": iso(row.made_at),
        "finished_at": iso(row.finished_at),
        "applied_at": iso(row.applied_at),
    }


def moves(session: Session, rows: Sequence[SimulatedMove], viewer: Viewer) -> list[dict[str, Any]]:
    """What would move; ``interaction`` is null where it is not for the viewer to see."""
    mails = by_id(session, Interaction, [row.interaction_id for row in rows])
    shown = {item["id"]: item for item in interactions(session, list(mails.values()), viewer)}
    ids = {key for row in rows for key in (*row.before["deals"], *(link["deal_id"] for link in row.after["links"]))}
    chances = by_id(session, Deal, ids)
    named = {key: {"id": key, "name": deal.name} for key, deal in chances.items()}
    return [
        {
            "id": row.id,
            "kind": row.kind,
            "state": row.state,
            "interaction": shown.get(row.interaction_id),
            "from": [named[key] for key in row.before["deals"] if key in named and row.interaction_id in shown],
            "to": [
                named[link["deal_id"]] | {"rule": link["rule"], "reasons": link["reasons"]}
                for link in row.after["links"]
                if link["deal_id"] in named and row.interaction_id in shown
            ],
            "outcome": row.after["outcome"],
            "reason": row.after["reason"] if row.interaction_id in shown else None,
        }
        for row in rows
    ]
