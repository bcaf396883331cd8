"""The clock: once a tick it claims what is due and hands the ids to the queue. The rows are the requests; losing the queue
costs one lease, never an item."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlmodel import Session, col, select

from models.account import Source, claim_due_sources, due_sources, release_dead_leases
from models.audit import due_audits
from models.deal import Deal
from models.discovery import untidy
from models.doorbell import claim_due_channels, due_channels
from models.event import Event
from models.imports.store import Import, claim_due_imports, due_imports, release_dead_imports
from models.interaction import Interaction
from models.simulation import Simulation, claim_due_simulations, due_simulations, release_dead_simulations
from models.webhook import Delivery, claim_due_deliveries, due_deliveries, release_dead_deliveries
from worker.context import Work
from worker.meetings import ended_meetings

log = structlog.get_logger()
AT_ONCE = 50
CHANNEL_LEASE = 300.0
SWEEP_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class Due:
    """What waits to be claimed."""

    sources: bool
    deliveries: bool
    channels: bool
    imports: bool
    simulations: bool
    chores: bool


def what_is_due(session: Session, now: datetime) -> Due:
    """A look without a lock, so that an idle second writes nothing."""

    def exists(statement: Any) -> bool:
        return session.exec(statement.limit(1)).first() is not None

    return Due(
        sources=exists(due_sources(now)),
        deliveries=exists(due_deliveries(now)),
        channels=exists(due_channels(now)),
        imports=exists(due_imports(now)),
        simulations=exists(due_simulations(now)),
        chores=exists(select(Event.id).where(col(Event.position).is_(None)))
        or exists(select(Deal.id).where(col(Deal.suggest_at) <= now))
        or exists(select(Interaction.id).where(col(Interaction.rematch_at) <= now))
        or exists(ended_meetings(now))
        or exists(due_audits(now))
        or exists(untidy(now)),
    )


class Scheduler:
    """Runs ``tick`` every ``pace.tick`` seconds in a thread of its own until ``stop``."""

    def __init__(self, work: Work, enqueue: Callable[..., None]) -> None:
        self._work, self._enqueue = work, enqueue
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._swept = 0.0

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop claiming; what is claimed already goes on."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def tick(self) -> int:
        """Claim what is due now; how many jobs were handed out."""
        now, db = self._work.now(), self._work.db
        if time.monotonic() - self._swept > SWEEP_EVERY:
            self._swept = time.monotonic()
            self._free_the_dead(now)
        with db.read() as session:
            due = what_is_due(session, now)
        sources = deliveries = channels = imports = simulations = []
        if due.sources or due.deliveries or due.channels or due.imports or due.simulations:
            with db.write() as session:
                sources = claim_due_sources(session, now=now, seconds=self._work.pace.lease, limit=AT_ONCE)
                deliveries = claim_due_deliveries(
                    session, now=now, seconds=self._work.pace.delivery_lease, limit=AT_ONCE
                )
                channels = claim_due_channels(session, now=now, seconds=CHANNEL_LEASE, limit=AT_ONCE)
                imports = claim_due_imports(session, now=now, seconds=self._work.pace.lease, limit=1)
                simulations = claim_due_simulations(session, now=now, seconds=self._work.pace.lease, limit=1)
        for source_id, owner in sources:
            self._enqueue("sync_source", source_id, owner)
        for delivery_id, owner in deliveries:
            self._enqueue("deliver", delivery_id, owner)
        for channel_id, owner in channels:
            self._enqueue("tend_channel", channel_id, owner)
        for import_id, owner in imports:
            self._enqueue("run_import", import_id, owner)
        for simulation_id, owner in simulations:
            self._enqueue("run_simulation", simulation_id, owner)
        if due.chores:
            self._enqueue("upkeep")
        return len(sources) + len(deliveries) + len(channels) + len(imports) + len(simulations)

    def _free_the_dead(self, now: datetime) -> None:
        """What a killed process of this machine held; looked for without a lock first."""
        with self._work.db.read() as session:
            held = session.exec(select(Source.id).where(Source.lease_owner != "").limit(1)).first()
            sent = session.exec(select(Delivery.id).where(Delivery.lease_owner != "").limit(1)).first()
            taking = session.exec(select(Import.id).where(Import.lease_owner != "").limit(1)).first()
            looking = session.exec(select(Simulation.id).where(Simulation.lease_owner != "").limit(1)).first()
        if held is None and sent is None and taking is None and looking is None:
            return
        with self._work.db.write() as session:
            freed = release_dead_leases(session, now=now) + release_dead_deliveries(session)
            freed += release_dead_imports(session, now=now) + release_dead_simulations(session, now=now)
        if freed:
            log.info("lease.freed", count=freed)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.tick()
            except Exception as error:  # noqa: BLE001  (the clock must go on; said aloud, tried again at the next tick)
                log.error("scheduler.fault", error=type(error).__name__, text=str(error)[:200])
            self._stop.wait(self._work.pace.tick)
