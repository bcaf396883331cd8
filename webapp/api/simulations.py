"""What would move if the settings of matching were different: ask, look, apply or leave it. For administrators."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import MaxLen
from fastapi import Query
from sqlmodel import col, select

from models.simulating import propose, start_applying
from models.simulation import SimulatedMove, cancel, simulation_for
from webapp import present
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Address, Asked, Body, Id
from webapp.deps import Given, Me
from webapp.security import policy

router = api_router("simulations")


class NewBlock(Body):
    """What would never be logged, for the whole team."""

    kind: Literal["address", "domain", "label"]
    value: Address


class NewSimulation(Body):
    """``settings``: those of matching that would change; ``block`` and ``unblock`` (ids): what would be put on and taken off
    the team's block list."""

    settings: dict[str, Any] = {}
    block: Annotated[list[NewBlock], MaxLen(100)] = []
    unblock: Annotated[list[Id], MaxLen(100)] = []


@router.post("", status_code=201)
@policy("admin")
def create_simulation(deps: Given, me: Me, body: NewSimulation) -> dict[str, Any]:
    """Ask what would move of the last 90 days. It is computed in the background; nothing is changed."""
    with deps.db.write() as session:
        row = propose(
            session,
            settings=body.settings,
            block=[one.model_dump() for one in body.block],
            unblock=body.unblock,
            user_id=me.id,
            now=deps.clock(),
        )
        return present.simulation(row)


@router.get("/{simulation_id}")
@policy("admin")
def read_simulation(deps: Given, simulation_id: Id) -> dict[str, Any]:
    """How far it is, and how many would move."""
    with deps.db.read() as session:
        return present.simulation(simulation_for(session, simulation_id))


@router.get("/{simulation_id}/moves")
@policy("admin")
def list_moves(deps: Given, me: Me, simulation_id: Id, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """What would move, from where to where and why. Of what is not for the caller to see, only that there is something."""
    with deps.db.read() as session:
        simulation_for(session, simulation_id)
        statement = select(SimulatedMove).where(SimulatedMove.simulation_id == simulation_id)
        rows, after = page(session, statement, asked, col(SimulatedMove.id))
        return {"items": present.moves(session, rows, me), "next": after}


@router.post("/{simulation_id}/application", status_code=202)
@policy("admin")
def apply_simulation(deps: Given, me: Me, simulation_id: Id) -> dict[str, Any]:
    """Change the settings, and have exactly these moved; what somebody has touched meanwhile stays where it is."""
    with deps.db.write() as session:
        row = simulation_for(session, simulation_id)
        start_applying(session, deps.keyring, row, user_id=me.id, now=deps.clock())
        return present.simulation(row)


@router.delete("/{simulation_id}", status_code=204)
@policy("admin")
def cancel_simulation(deps: Given, simulation_id: Id) -> None:
    """Leave everything as it is."""
    with deps.db.write() as session:
        cancel(session, simulation_for(session, simulation_id), now=deps.clock())
