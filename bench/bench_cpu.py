"""What a logged message costs us in processor time, against a bare client reading the same messages (bench/bare.py).

Both are measured in this process, in turns, in one run, after a warm-up; *ours* is the whole way from the search to links,
signals, suggestions and events on SQLite. The sandbox burns its own time in its own process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from bench import bare
from bench.figures import figure, say
from bench.ground import REP, Pretend, linked, pretend, settle
from bench.sides import Side, far_from
from serving import calm_collector

MESSAGES = 2_000
ROUNDS = 3
WARM = "warm@acme.example"
TARGET = 2.0


def run(side: Side, messages: int = MESSAGES) -> None:
    """Print cpu.ratio (to the best of the bare clients) and cpu.ours_ms, and of each bare client cpu.NAME_ms and, where there are
    several, cpu.ratio_to_NAME."""
    name, clients = f"cpu{side.suffix}", bare.CLIENTS[side.provider]
    say(
        f"{name}: processor time per logged message, {messages} of them, against a bare batch fetch; target <= {TARGET}"
    )
    with pretend() as far:
        side.far_fill(far, WARM, 200, 1.0)
        _bare(side, far, WARM, "bare")
        _ours(side, far, WARM, 200)
        calm_collector()  # as ``serve`` does
        side.far_fill(far, REP, messages, 1.0)
        rounds = [
            {one: _bare(side, far, REP, one) for one in clients} | {"ours": _ours(side, far, REP, messages)}
            for _ in range(ROUNDS)
        ]
    for one in (*clients, "ours"):
        figure(f"{name}.{one}_ms", median(spent[one] for spent in rounds) * 1000 / messages)
    for one in clients[:-1]:
        figure(f"{name}.ratio_to_{one}", median(spent["ours"] / spent[one] for spent in rounds))
    figure(f"{name}.ratio", median(spent["ours"] / spent[clients[-1]] for spent in rounds))


def _ours(side: Side, far: Pretend, email: str, messages: int) -> float:
    """Seconds of processor time from the connected account to everything logged."""
    with far_from(side, far, email) as here:
        spent = _spent(lambda: settle(here.work))
        with here.house.db.read() as session:
            found = linked(session)
        if found != messages:
            raise AssertionError(f"{found} of {messages} messages are on their deals")
    return spent


def _bare(side: Side, far: Pretend, email: str, client: str) -> float:
    """The same for reading every message of a mailbox with a client and nothing else."""
    with bare.reader(client, side.provider, *side.far_reach(far, email)) as read_all:
        return _spent(read_all)


def _spent(do: Callable[[], object]) -> float:
    start = time.process_time()
    do()
    return time.process_time() - start
