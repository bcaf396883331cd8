"""The jobs, shallow: an id in, one call. The rows are the truth and the retries, so no actor retries by itself.

Importing this module declares the actors on the broker that is set at that moment (``worker.broker``).
"""

from __future__ import annotations

import threading

import dramatiq

from worker import deliver as delivering
from worker import importing, push, simulate, sync
from worker import upkeep as keeping
from worker.context import Work

_work: Work | None = None
_upkeep = threading.Lock()


def bind(work: Work) -> None:
    """Give the actors of this process their surroundings."""
    global _work
    _work = work


def bound() -> Work:
    """Raises RuntimeError when a worker process was started without ``bind``."""
    if _work is None:
        raise RuntimeError("the actors are not bound; start them with: dealtrail work")
    return _work


@dramatiq.actor(max_retries=0, time_limit=600_000)
def sync_source(source_id: int, owner: str) -> None:
    """Run one leased source, then keep up with what it brought."""
    sync.sync_source(bound(), source_id, owner)
    _keep_up()


@dramatiq.actor(max_retries=0, time_limit=120_000)
def deliver(delivery_id: int, owner: str) -> None:
    """Send one leased delivery."""
    delivering.run(bound(), delivery_id, owner)


@dramatiq.actor(max_retries=0, time_limit=300_000)
def tend_channel(channel_id: int, owner: str) -> None:
    """Open, renew or stop one leased doorbell."""
    push.tend(bound(), channel_id, owner)


@dramatiq.actor(max_retries=0, time_limit=3_600_000)
def run_import(import_id: int, owner: str) -> None:
    """Take one leased spreadsheet, then keep up with what it brought."""
    importing.run_import(bound(), import_id, owner)
    _keep_up()


@dramatiq.actor(max_retries=0, time_limit=600_000)
def run_simulation(simulation_id: int, owner: str) -> None:
    """Compute or apply one leased simulation."""
    simulate.run_simulation(bound(), simulation_id, owner)
    _keep_up()


@dramatiq.actor(max_retries=0, time_limit=300_000)
def upkeep() -> None:
    """Keep up with time."""
    _keep_up()


def _keep_up() -> None:
    """One at a time in this process; whoever comes second finds the work being done."""
    if _upkeep.acquire(blocking=False):
        try:
            keeping.keep_up(bound())
        finally:
            _upkeep.release()


def declare(broker: dramatiq.Broker) -> None:
    """Move the actors to a broker: the module is imported once, but a process may open more than one house."""
    for actor in ACTORS.values():
        actor.broker = broker
        broker.declare_actor(actor)


ACTORS = {
    "sync_source": sync_source,
    "deliver": deliver,
    "tend_channel": tend_channel,
    "run_import": run_import,
    "run_simulation": run_simulation,
    "upkeep": upkeep,
}


def enqueue(name: str, *args: int | str) -> None:
    """Hand a job to the queue by its name."""
    ACTORS[name].send(*args)
