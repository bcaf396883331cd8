"""The audit: whether it finds and repairs what the ledger lacks, and what it costs where nothing is amiss. Units are the
sandbox's own count."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import delete
from sqlmodel import Session, col, select

import sandbox
from bench.figures import figure, say
from bench.ground import PEOPLE, REP, Place, place, settle
from models.account import Source, request_audit
from models.db import chunks, table
from models.ledger import LedgerEntry
from sandbox.bulk import fill

HOLED, SHARE = 5_000, 0.05
CLEAN = 50_000
SETTLED = ("logged", "held", "ignored", "internal")


def run() -> None:
    """Print audit.holes_made, .holes_found, .repaired, .missing_after, and audit.units of a clean mailbox."""
    say(
        f"audit: {SHARE:.0%} of the entries of {HOLED} mails taken out at random; target: all found and repaired, 0 missing;"
    )
    say(f"  an audit of a clean mailbox of {CLEAN}; target: <= 600 units")
    made, found, repaired, missing = holes(HOLED, SHARE)
    figure("audit.holes_made", made)
    figure("audit.holes_found", found)
    figure("audit.repaired", repaired)
    figure("audit.missing_after", missing)
    figure("audit.units", clean(CLEAN))


def holes(messages: int, share: float) -> tuple[int, int, int, int]:
    """(made, found, repaired, missing after): random entries are deleted from the ledger of a synced mailbox, and an audit
    follows. Repaired: read again, with the outcome that it had before."""
    with _synced(messages, relevant=0.1, months=12) as (world, here):
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
        return len(gone), int(facts.get("found", -1)), repaired, len(world.mailbox(REP).messages.keys() - after.keys())


def clean(messages: int) -> int:
    """Units that the audit of a mailbox costs in which nothing is amiss (its mail is listed, none of it is opened)."""
    with _synced(messages, relevant=0.0, months=0) as (world, here):
        world.stats.clear()
        _audit(here)
        with here.house.db.read() as session:
            if _mail(session).facts.get("found") != 0 or len(_outcomes(session)) != messages:
                raise AssertionError("the mailbox was not clean")
        return sum(world.stats.units.values())


@contextmanager
def _synced(messages: int, *, relevant: float, months: int) -> Iterator[tuple[sandbox.World, Place]]:
    world = sandbox.World()
    fill(world.mailbox(REP), messages, relevant_share=relevant, people=PEOPLE)
    with (
        sandbox.serve(world) as server,
        place(
            server.google_api_root, server.google_oauth_root, world.refresh_token(REP), backfill_months=months
        ) as here,
    ):
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
