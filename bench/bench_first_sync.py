"""How soon everything that matters is there after connecting, on a virtual clock that both the meter and the sandbox's quota
run on: nothing waits, every round trip takes a fifth of a second, and the units are the sandbox's own count.

*Everything* is a reader of the same mailbox who has the whole quota for himself, opens every message, newest first, and is
done with the last relevant one; we keep to the default share of the quota and its reserve.
"""

from __future__ import annotations

from typing import Any

import sandbox
from bench.figures import figure, say
from bench.ground import PEOPLE, REP, Place, place
from bench.virtual import virtual, watched
from connectors.base import Mailbox
from connectors.google.connection import connect
from connectors.google.provider import Google
from connectors.items import Listed
from connectors.throttle import Throttle
from sandbox.bulk import fill
from worker.grants import SealedGrant

MESSAGES, SHARE = 20_000, 0.03
QUOTA = 6_000
"""Units a minute (provider-contract 1.6)."""
ROUND_TRIP = 0.2
READ, LIST, PAGE = 20, 5, 500


def run() -> None:
    """Print first_sync.units_ratio, .first_interaction_virtual_s, .complete_virtual_s, .everything_virtual_s, .times_sooner."""
    say(
        f"first_sync: {MESSAGES} messages, {SHARE:.0%} relevant, {QUOTA} units a minute on a virtual clock; targets: units"
    )
    say(
        "  <= 2.0 x (relevant x 20 + the list of ids), first interaction <= 10 s, complete >= 10 times sooner than by reading all"
    )
    world = sandbox.World(sandbox.Clock(virtual=True))
    relevant = fill(world.mailbox(REP), MESSAGES, relevant_share=SHARE, people=PEOPLE).relevant
    world.knobs.enforce_quota, world.knobs.units_per_minute, world.knobs.latency = True, QUOTA, ROUND_TRIP
    with sandbox.serve(world) as server, _place(world, server) as here:
        world.clock.advance(60)  # the virtual clock stood still while the house was built
        began = world.clock.now()
        first, last = _ours(world, here, len(relevant))
        spent = sum(seen.units for seen in world.stats.record if began <= seen.at <= last)
        refused = sum(seen.status in (403, 429) for seen in world.stats.record)
        everything = _everything(world, here, set(relevant))
    ideal = len(relevant) * READ + -(-MESSAGES // PAGE) * LIST
    figure("first_sync.relevant", len(relevant))
    figure("first_sync.units", spent)
    figure("first_sync.units_ratio", spent / ideal)
    figure("first_sync.refused_requests", refused)
    figure("first_sync.first_interaction_virtual_s", first - began)
    figure("first_sync.complete_virtual_s", last - began)
    figure("first_sync.everything_virtual_s", everything)
    figure("first_sync.times_sooner", everything / (last - began))


def _place(world: sandbox.World, server: sandbox.Server) -> Any:
    """A house with the settings a new one has."""
    return place(
        server.google_api_root,
        server.google_oauth_root,
        world.refresh_token(REP),
        gmail_units_per_minute=QUOTA,
        gmail_project_units_per_minute=1_200_000,
        budget_share=0.75,
    )


def _ours(world: sandbox.World, here: Place, wanted: int) -> tuple[float, float]:
    """When the first and the last relevant mail stood on its deal, in seconds of the virtual clock."""
    google = here.house.providers["google"]
    assert isinstance(google, Google)
    google.clock = virtual(world)
    return watched(world, here, wanted)


def _everything(world: sandbox.World, here: Place, wanted: set[str]) -> float:
    """Seconds until the last wanted message is read by one who reads them all."""
    google = here.house.providers["google"]
    assert isinstance(google, Google)
    clock = virtual(world)
    world.clock.advance(120)
    began = last = world.clock.now()
    store = SealedGrant(here.house.db, here.house.keyring, here.account.id or 0, now=clock.now)
    meter = Throttle(QUOTA, patience=90, clock=clock.monotonic, sleep=clock.sleep)
    connection = connect(google.config, store, meter, email=REP, clock=clock)
    box: Mailbox = connection.mailbox("me")
    page, more = "", True
    while more:
        hits = box.listing(after=None, before=None, page=page)
        for start in range(0, len(hits.items), 20):
            ids = [hit.item_id for hit in hits.items[start : start + 20]]
            box.open([Listed(item_id) for item_id in ids])
            if wanted.intersection(ids):
                last = world.clock.now()
        page, more = hits.next, bool(hits.next)
    connection.close()
    return last - began
