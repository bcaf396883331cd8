"""How much the working set grows with the mailbox. Each size is synced to the end (every header of the year read, a tenth
opened and logged) by a process of its own, and audited; its peak is what the kernel says (``ru_maxrss``)."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

from sqlmodel import func, select

from bench.figures import figure, say
from bench.ground import Pretend, place, pretend, settle
from bench.sides import GOOGLE, MICROSOFT, Side
from models.account import request_audit
from models.ledger import LedgerEntry
from serving import calm_collector

SMALL, LARGE, FULL = 10_000, 30_000, 200_000
RELEVANT = 0.1
TARGET = 50


def run(side: Side, large: int = LARGE) -> None:
    """Print memory.messages, .peak_mb.small, .peak_mb.large and .growth_mb."""
    name = f"memory{side.suffix}"
    say(
        f"{name}: peak of the product's process, {SMALL} against {large} messages ({name}={FULL} for all); target: growth"
    )
    say(f"  < {TARGET} MB from {SMALL} to {FULL}")
    with pretend() as far:
        far.tell("knobs", log_requests=False)
        small, big = (_peak(side, far, size) for size in (SMALL, large))
    figure(f"{name}.messages", large)
    figure(f"{name}.peak_mb.small", small)
    figure(f"{name}.peak_mb.large", big)
    figure(f"{name}.growth_mb", big - small)


def _peak(side: Side, far: Pretend, messages: int) -> float:
    """Megabytes at the highest, in a process that syncs and audits a mailbox of so many messages."""
    email = f"size{messages}@acme.example"
    side.far_fill(far, email, messages, RELEVANT, months=11)
    given = [side.provider, str(messages), *side.far_reach(far, email)]
    done = subprocess.run([sys.executable, "-m", "bench.bench_memory", *given], stdout=subprocess.PIPE, check=True)
    return float(json.loads(done.stdout)["peak_mb"])


def _child(provider: str, messages: int, *reach: str) -> None:
    calm_collector()  # as ``serve`` does
    side = next(one for one in (GOOGLE, MICROSOFT) if one.provider == provider)
    with place(*reach, provider=provider, **side.settings) as here:
        settle(here.work)
        with here.house.db.write() as session:
            request_audit(session, here.account.id or 0, now=here.work.now())
        settle(here.work)
        with here.house.db.read() as session:
            count = select(func.count()).where(LedgerEntry.outcome != "unopened", LedgerEntry.outcome != "owed")
            read = session.exec(count).one()
    if read < messages:
        raise AssertionError(f"{read} of {messages} messages were read")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"peak_mb": round(peak, 1)}) + "\n")


if __name__ == "__main__":
    _child(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
