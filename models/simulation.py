"""What would move if the settings of matching were different: the request, its progress and its answer, row by row.

Rows are the requests: a page writes the proposed ``changes`` and sets ``next_run_at``; the worker claims the row with a lease,
computes page by page and stores the moves; a person looks, and applies exactly what was shown, or cancels.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, update
from sqlmodel import Field, Session, SQLModel, UniqueConstraint, col, func, select

from models.account import is_dead, lease_owner
from models.db import table
from models.errors import Conflict
from models.existing import existing
from models.fields import instant, json_dict

SPAN = timedelta(days=90)
"""How far back is looked."""
KEPT = timedelta(days=30)
"""So long a finished simulation is kept."""
KINDS = ("moved", "placed", "taken_off", "asked")
"""Of a move: from deal to deal; from none to one; to none (or no longer logged); to a question."""
UNDER_WAY = ("computing", "applying")


class Simulation(SQLModel, table=True):
    """A proposed change of settings. ``changes``: {settings: {name: value}, block: [{kind, value}], unblock: [id]}.
    ``basis`` names the settings that it was computed on; ``place``: {at, id} of the last mail looked at; ``counts`` by kind
    of move and, for what cannot be shown, ``kept_by_hand``, ``maybe_logged`` (ignored items that may match now) and
    ``left`` (changed by somebody between the look and the application). ``state``: computing | ready | applying | applied |
    cancelled | failed."""

    id: int | None = Field(default=None, primary_key=True)
    user_id: int | None = Field(default=None, foreign_key="user.id", index=True)
    changes: dict[str, Any] = json_dict()
    basis: str = ""
    since: datetime = instant()
    state: str = "computing"
    total: int = 0
    position: int = 0
    place: dict[str, Any] = json_dict()
    counts: dict[str, int] = json_dict()
    failures: int = 0
    error: str = ""
    made_at: datetime = instant()
    finished_at: datetime | None = instant(None)
    applied_at: datetime | None = instant(None)
    next_run_at: datetime | None = instant(None, index=True)
    lease_owner: str = ""
    lease_until: datetime | None = instant(None)


class SimulatedMove(SQLModel, table=True):
    """One mail or meeting that would stand elsewhere. ``before``: {outcome, deals}; ``after``: {outcome, reason, links, candidates}.
    ``state``: proposed | done | left."""

    __tablename__ = "simulated_move"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("simulation_id", "interaction_id"),)
    id: int | None = Field(default=None, primary_key=True)
    simulation_id: int = Field(foreign_key="simulation.id", ondelete="CASCADE")
    interaction_id: int = Field(foreign_key="interaction.id", index=True, ondelete="CASCADE")
    kind: str
    before: dict[str, Any] = json_dict()
    after: dict[str, Any] = json_dict()
    state: str = "proposed"


class LeaseLost(Exception):
    """Somebody else has the simulation now, or it was cancelled; write nothing."""


def due_simulations(now: datetime) -> Any:
    """The ids of the simulations that may be claimed now."""
    return select(Simulation.id).where(
        col(Simulation.next_run_at) <= now,
        or_(col(Simulation.lease_until).is_(None), col(Simulation.lease_until) <= now),
    )


def claim_due_simulations(session: Session, *, now: datetime, seconds: float, limit: int) -> list[tuple[int, str]]:
    """Lease the simulations that are due: (id, owner) of each one won."""
    rows, won = table(Simulation), []
    for key in session.exec(due_simulations(now).order_by(col(Simulation.next_run_at)).limit(limit)).all():
        owner = lease_owner()
        free = or_(rows.c.lease_until.is_(None), rows.c.lease_until <= now)
        claimed = session.connection().execute(
            update(rows)
            .where(rows.c.id == key, rows.c.next_run_at <= now, free)
            .values(lease_owner=owner, lease_until=now + timedelta(seconds=seconds))
        )
        if claimed.rowcount == 1:
            won.append((key or 0, owner))
    return won


def hold_simulation(session: Session, key: int, owner: str, *, now: datetime, seconds: float) -> Simulation:
    """Prolong the lease inside the transaction that depends on it, and read the row. Raises LeaseLost."""
    rows = table(Simulation)
    kept = session.connection().execute(
        update(rows)
        .where(rows.c.id == key, rows.c.lease_owner == owner, rows.c.state.in_(UNDER_WAY))
        .values(lease_until=now + timedelta(seconds=seconds))
    )
    row = session.get(Simulation, key) if kept.rowcount == 1 else None
    if row is None:
        raise LeaseLost
    session.refresh(row)
    return row


def release_dead_simulations(session: Session, *, now: datetime) -> int:
    """Free the leases whose holder was a process of this machine that no longer runs; how many."""
    freed = 0
    for row in session.exec(select(Simulation).where(Simulation.lease_owner != "")):
        if is_dead(row.lease_owner):
            row.lease_owner, row.lease_until = "", None
            row.next_run_at = now if row.state in UNDER_WAY else None
            session.add(row)
            freed += 1
    return freed


def simulation_for(session: Session, key: int) -> Simulation:
    """Raises NotFound."""
    return existing(session, Simulation, key, "simulation")


def cancel(session: Session, row: Simulation, *, now: datetime) -> None:
    """Leave everything as it is. One that is being applied stops where it is. Raises Conflict."""
    if row.state in ("applied", "cancelled"):
        raise Conflict(f"This simulation is {row.state} already.")
    row.state, row.finished_at, row.next_run_at = "cancelled", now, None
    row.lease_owner, row.lease_until = "", None
    session.add(row)
    session.flush()


def count_kinds(session: Session, key: int) -> dict[str, int]:
    """The moves by their kind."""
    rows = session.exec(
        select(SimulatedMove.kind, func.count())
        .where(SimulatedMove.simulation_id == key)
        .group_by(col(SimulatedMove.kind))
    ).all()
    return dict(rows)
