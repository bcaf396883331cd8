"""How soon everything that matters is there after an Outlook mailbox is connected, and for how many requests, on a virtual
clock that both the meter and the sandbox run on: every round trip takes a fifth of a second.

*Ideal* is one who asks for every page of every folder once (the first round of a delta goes through all that lies in a
folder) and opens the relevant messages by twenty. A batch counts as the one round trip that it is; its parts are told beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sandbox
from bench.figures import figure, say
from bench.ground import PEOPLE, REP, Place, place, settle
from bench.virtual import virtual, watched
from connectors.microsoft.config import MicrosoftConfig
from connectors.microsoft.provider import Microsoft
from sandbox.bulk import fill
from sandbox.microsoft.filling import labelled
from sandbox.microsoft.outlook import OutlookBox
from sandbox.quota import Seen

MESSAGES, SHARE = 20_000, 0.03
ROUND_TRIP = 0.2
BATCH = 20
MOST_SECONDS, MOST_RATIO = 10.0, 1.3


def run(messages: int = MESSAGES) -> None:
    """Print first_sync_outlook.relevant, .ideal_requests, .requests, .batch_parts, .requests_ratio, .refused_requests,
    .whole_requests_ratio (until nothing is left to read at all), .first_interaction_virtual_s, .complete_virtual_s; a line
    for each target that is missed."""
    say(f"first_sync_outlook: {messages} messages, {SHARE:.0%} relevant, on a virtual clock; targets: requests <=")
    say(f"  {MOST_RATIO} x (pages of the folders + relevant / {BATCH}), first interaction <= {MOST_SECONDS:.0f} s")
    world = sandbox.World(sandbox.Clock(virtual=True))
    box = world.outlook(REP)
    relevant = fill(labelled(box), messages, relevant_share=SHARE, people=PEOPLE).relevant
    world.knobs.latency = ROUND_TRIP
    with sandbox.serve(world) as server, _place(world, server) as here:
        world.clock.advance(60)  # the virtual clock stood still while the house was built
        began = world.clock.now()
        first, last = _ours(world, here, len(relevant))
        asked = [seen for seen in world.stats.record if began <= seen.at <= last]
        settle(here.work)  # what does not concern us is gone through as well
        whole = [seen for seen in world.stats.record if seen.at >= began and not seen.part_of_batch]
    ideal = _pages(box) + -(-len(relevant) // BATCH)
    ratio = _tell(asked, ideal, len(relevant))
    figure("first_sync_outlook.whole_requests_ratio", len(whole) / ideal)
    figure("first_sync_outlook.first_interaction_virtual_s", first - began)
    figure("first_sync_outlook.complete_virtual_s", last - began)
    if ratio > MOST_RATIO:
        say(f"  MISSED: {ratio:.2f} x the ideal requests")
    if first - began > MOST_SECONDS:
        say(f"  MISSED: the first interaction after {first - began:.1f} s")


def _place(world: sandbox.World, server: sandbox.Server) -> Any:
    """A house with the settings a new one has."""
    token = world.microsoft_refresh_token(REP)
    roots = server.microsoft_graph_root, server.microsoft_login_root
    return place(*roots, token, provider="microsoft", budget_share=0.75)


def _ours(world: sandbox.World, here: Place, wanted: int) -> tuple[float, float]:
    microsoft = here.house.providers["microsoft"]
    assert isinstance(microsoft, Microsoft)
    microsoft.clock = virtual(world)
    return watched(world, here, wanted)


def _pages(box: OutlookBox) -> int:
    """Pages of all folders, one at least for each, by the page that a new house asks for."""
    size = MicrosoftConfig().page_size
    counts = [sum(item.folder == folder for item in box.items.values()) for folder in box.folders]
    return sum(max(1, -(-count // size)) for count in counts if count)


def _tell(asked: Sequence[Seen], ideal: int, relevant: int) -> float:
    """Print what was asked for; how many times the ideal that is."""
    trips = [seen for seen in asked if not seen.part_of_batch]
    figure("first_sync_outlook.relevant", relevant)
    figure("first_sync_outlook.ideal_requests", ideal)
    figure("first_sync_outlook.requests", len(trips))
    figure("first_sync_outlook.batch_parts", len(asked) - len(trips))
    figure("first_sync_outlook.requests_ratio", len(trips) / ideal)
    figure("first_sync_outlook.refused_requests", sum(seen.status == 429 for seen in asked))
    return len(trips) / ideal
