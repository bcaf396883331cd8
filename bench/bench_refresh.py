"""Eight workers that need a new access token at the same moment: how many ask the provider for one, and whether the refresh token
that comes with it is the one that is kept."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import sandbox
from bench.figures import figure, say
from bench.ground import REP, Place
from bench.sides import Side, beside
from models.account import Account

WORKERS = 8


def run(side: Side) -> None:
    """Print refresh.token_calls, .workers_served and .newest_token_kept (1 or 0)."""
    name = f"refresh{side.suffix}"
    say(
        f"{name}: {WORKERS} workers at once, the access token run out; target: 1 token call, and the newest refresh token kept"
    )
    world = sandbox.World()
    with beside(side, world) as here:
        side.forget_access(world)  # at the provider; here the token still looks good
        world.knobs.latency = 0.02
        before = world.stats.requests[side.token_call]
        served = _together(here)
        figure(f"{name}.token_calls", world.stats.requests[side.token_call] - before)
        figure(f"{name}.workers_served", served)
        figure(f"{name}.newest_token_kept", int(side.newest_refresh_token(world) in _kept(here)))


def _kept(here: Place) -> str:
    """The account's grant, opened."""
    with here.house.db.read() as session:
        sealed = session.get_one(Account, here.account.id).sealed_grant
    return json.dumps(here.house.keyring.open_json(sealed))


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
