"""A run on a virtual clock that both the product and the sandbox keep: nothing waits, and each moment is theirs."""

from __future__ import annotations

from sqlmodel import col, select

import sandbox
from bench.ground import Place, linked, settle
from connectors.clock import Clock
from models.account import Source
from models.interaction import Interaction, Link


def virtual(world: sandbox.World) -> Clock:
    """The sandbox's clock as the connectors take it."""
    return Clock(world.clock.moment, world.clock.now, world.clock.sleep)


def watched(world: sandbox.World, here: Place, wanted: int) -> tuple[float, float]:
    """When the first and the last of ``wanted`` relevant mails stood on its deal, in seconds of the virtual clock; the worker
    runs whatever is due until then."""
    here.work.now, here.work.monotonic = world.clock.moment, world.clock.now

    def complete() -> bool:
        with here.house.db.read() as session:
            return linked(session) >= wanted

    def wait() -> bool:
        """To the moment at which something is due."""
        with here.house.db.read() as session:
            due = session.exec(select(Source.next_sync_at).order_by(col(Source.next_sync_at)).limit(1)).one()
        world.clock.advance(max(0.1, (due - world.clock.moment()).total_seconds()) if due else 1.0)
        return True

    settle(here.work, wait=wait, until=complete)
    with here.house.db.read() as session:
        at = session.exec(select(Interaction.logged_at).join(Link)).all()
    return min(at).timestamp(), max(at).timestamp()
