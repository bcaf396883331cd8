"""The audit: whether it finds and repairs what the ledger lacks, and what it costs where nothing is amiss. Units, and requests
to Microsoft, are the sandbox's own count."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import delete
from sqlmodel import Session, col, select

import sandbox
from bench.figures import figure, say
from bench.ground import Place, settle
from bench.sides import MICROSOFT, Side, beside
from models.account import Source, request_audit
from models.db import chunks, table
from models.ledger import LedgerEntry

HOLED, SHARE = 5_000, 0.05
CLEAN = 50_000
MOST = {"units": 600, "requests": 150}
"""For a clean mailbox of that size: the list of its ids, by 500, and a little."""
SETTLED = ("logged", "held", "ignored", "internal")


def run(side: Side) -> None:
    """Print audit.holes_made, .holes_found, .repaired, .missing_after, and what the audit of a clean mailbox costs: audit.units,
    or .requests where requests are what is limited."""
    name, cost = f"audit{side.suffix}", "requests" if side is MICROSOFT else "units"
    say(
        f"{name}: {SHARE:.0%} of the entries of {HOLED} mails taken out at random; target: all found and repaired, 0 missing;"
    )
    say(f"  an audit of a clean mailbox of {CLEAN}; target: <= {MOST[cost]} {cost}")
    made, found, repaired, missing = holes(side, HOLED, SHARE)
    figure(f"{name}.holes_made", made)
    figure(f"{name}.holes_found", found)
    figure(f"{name}.repaired", repaired)
    figure(f"{name}.missing_after", missing)
    figure(f"{name}.{cost}", clean(side, CLEAN)[cost])


def holes(side: Side, messages: int, share: float) -> tuple[int, int, int, int]:
    """(made, found, repaired, missing after): random entries are deleted from the ledger of a synced mailbox, and an audit
    follows. Repaired: read again, with the outcome that it had before."""
    with _synced(side, messages, relevant=0.1, months=12) as (world, here):
        with here.house.db.write() as session:
            before = _outcomes(session)
            gone = random.Random(11).sample(sorted(before), int(len(before) * share))
            ledger = table(LedgerEntry)
            for part in chunks(gone):
                session.connection().execute(delete(ledger).where(ledger.c.item_id.in_(part)))
        _audit(here)
        with here.house.db.read() as session:
            after = _outcomes(session)
            facts = _mail(session).facts
        repaired = sum(after.get(key) in SETTLED and after[key] == before[key] for key in gone)
        return len(gone), int(facts.get("found", -1)), repaired, len(side.message_ids(world) - after.keys())


def clean(side: Side, messages: int) -> dict[str, int]:
    """Units and requests that the audit of a mailbox costs in which nothing is amiss (its mail is listed, none of it is
    opened)."""
    with _synced(side, messages, relevant=0.0, months=0) as (world, here):
        world.stats.clear()
        _audit(here)
        with here.house.db.read() as session:
            if _mail(session).facts.get("found") != 0 or len(_outcomes(session)) != messages:
                raise AssertionError("the mailbox was not clean")
        return {"units": sum(world.stats.units.values()), "requests": len(world.stats.record)}


@contextmanager
def _synced(side: Side, messages: int, *, relevant: float, months: int) -> Iterator[tuple[sandbox.World, Place]]:
    world = sandbox.World()
    side.fill(world, messages, relevant)
    with beside(side, world, backfill_months=months) as here:
        settle(here.work)
        yield world, here


def _audit(here: Place) -> None:
    asked = datetime.now(UTC)
    with here.house.db.write() as session:
        request_audit(session, here.account.id or 0, now=here.work.now())
    settle(here.work)
    with here.house.db.read() as session:
        if str(_mail(session).facts.get("audited_at", "")) < asked.isoformat():
            raise AssertionError("the audit did not come to its end")


def _mail(session: Session) -> Source:
    return session.exec(select(Source).where(Source.kind == "mail")).one()


def _outcomes(session: Session) -> dict[str, str]:
    """What became of each mail, by its id."""
    mail = _mail(session).id
    rows = session.exec(
        select(LedgerEntry.item_id, LedgerEntry.outcome)
        .where(LedgerEntry.source_id == mail)
        .order_by(col(LedgerEntry.id))
    )
    return dict(rows.all())
