"""Eight workers that need a new access token at the same moment: how many ask the provider for one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import sandbox
from bench.figures import figure, say
from bench.ground import REP, Place, place

WORKERS = 8


def run() -> None:
    """Print refresh.token_calls and refresh.workers_served."""
    say(f"refresh: {WORKERS} workers at once, the access token run out; target: 1 token call")
    world = sandbox.World()
    world.mailbox(REP)
    with (
        sandbox.serve(world) as server,
        place(server.google_api_root, server.google_oauth_root, world.refresh_token(REP)) as here,
    ):
        world.grants.forget_access()  # at the provider; here the token still looks good
        world.knobs.latency = 0.02
        before = world.stats.requests["oauth.token"]
        served = _together(here)
        figure("refresh.token_calls", world.stats.requests["oauth.token"] - before)
        figure("refresh.workers_served", served)


def _together(here: Place) -> int:
    gate = threading.Barrier(WORKERS)

    def one(_: int) -> bool:
        connection = here.work.connection(here.account.id or 0, here.account.provider, here.account.email)
        gate.wait(10)
        try:
            return connection.identity().email == REP
        finally:
            here.work.forget(here.account.id or 0)

    with ThreadPoolExecutor(WORKERS) as pool:
        return sum(pool.map(one, range(WORKERS), timeout=timedelta(minutes=1).total_seconds()))
