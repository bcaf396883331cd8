"""What would move if the settings were different, page by page under a lease.

Each stored mail or meeting of the span is decided twice, in the order in which it happened: with the settings as they are, and
as they are proposed. Where the two answers differ, and nobody decided by hand, it would move. A conversation is followed as it
would have grown: a later mail looks at where the earlier ones of it would stand, not at where they (and it) stand now. The
moves so far are all the memory there is, so that any page may be computed by any process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlmodel import Session, col, func, or_, select

from models.account import Account
from models.db import chunks
from models.interaction import Copy, Interaction, Link
from models.keyring import Keyring
from models.ledger import LedgerEntry, LedgerHash
from models.simulating import apply_page, freed_hashes, standing_of
from models.simulation import LeaseLost, SimulatedMove, Simulation, count_kinds, hold_simulation
from models.user import User
from worker import book as books
from worker import match, view
from worker.book import Book, Proposed
from worker.context import Work
from worker.standing import candidate_rows
from worker.turns import put_down, stumbled

PAGE = 200
log = structlog.get_logger()


def run_simulation(work: Work, key: int, owner: str) -> None:
    """Run one leased simulation until it is done or its slice of time is over. Never raises: what went wrong is on the row."""
    ends = work.monotonic() + work.pace.slice
    try:
        while not _page(work, key, owner):
            if work.monotonic() > ends:
                put_down(work, Simulation, key, owner)
                return
    except LeaseLost:
        log.info("simulation.lease_lost", id=key)
    except Exception as error:  # noqa: BLE001  (our own fault: shown on the simulation, tried again, then given up aloud)
        log.error("simulation.bug", id=key, error=type(error).__name__)
        stumbled(work, Simulation, key, owner, error)


def _page(work: Work, key: int, owner: str) -> bool:
    with work.db.write() as session:
        now = work.now()
        row = hold_simulation(session, key, owner, now=now, seconds=work.pace.lease)
        if row.state == "applying":
            return apply_page(session, row, now)
        return compute_page(session, work.keyring, row, now)


def compute_page(session: Session, keyring: Keyring, row: Simulation, now: datetime) -> bool:
    """Look at the next items and store what would move; whether that was the last page."""
    if not row.place:
        row.total = session.exec(select(func.count()).where(col(Interaction.occurred_at) >= row.since)).one()
    items = _next(session, row)
    if items:
        moves, by_hand = _compare(session, row, items)
        session.add_all(moves)
        kept = row.counts.get("kept_by_hand", 0) + by_hand
        row.counts = row.counts | {"kept_by_hand": kept}
        row.position += len(items)
        row.place = {"at": items[-1].occurred_at.isoformat(), "id": items[-1].id}
    done = len(items) < PAGE
    if done:
        session.flush()
        row.counts = row.counts | count_kinds(session, row.id or 0)
        row.counts = row.counts | {"maybe_logged": _maybe_logged(session, freed_hashes(session, keyring, row))}
        row.state, row.finished_at, row.next_run_at = "ready", now, None
        row.lease_owner, row.lease_until = "", None
    session.add(row)
    return done


def _next(session: Session, row: Simulation) -> list[Interaction]:
    statement = select(Interaction).where(col(Interaction.occurred_at) >= row.since)
    if row.place:
        at, last = datetime.fromisoformat(row.place["at"]), row.place["id"]
        later = (col(Interaction.occurred_at) == at) & (col(Interaction.id) > last)
        statement = statement.where(or_(col(Interaction.occurred_at) > at, later))
    statement = statement.order_by(col(Interaction.occurred_at), col(Interaction.id)).limit(PAGE)
    return list(session.exec(statement).all())


# ---- one page


@dataclass
class Earlier:
    """The conversations of a page: (when, id, deals now, deals then, logged then) of each mail in them."""

    rows: dict[int, list[tuple[datetime, int]]] = field(default_factory=dict)
    now: dict[int, list[int]] = field(default_factory=dict)
    then: dict[int, list[int]] = field(default_factory=dict)
    out: set[int] = field(default_factory=set)

    def before(self, item: Interaction) -> list[int]:
        """What came before an item in its conversation, the latest first."""
        here = self.rows.get(item.thread_id or 0, [])
        return [key for at, key in reversed(here) if (at, key) < (item.occurred_at, item.id or 0)]

    def tie(self, book: Book, item: Interaction, *, proposed: bool) -> None:
        """Let a book know of the item's conversation as it was when the item came."""
        if not item.thread_id:
            return
        deals, earlier = (self.then if proposed else self.now), self.before(item)
        book.thread_deals[item.thread_id] = list(dict.fromkeys(one for key in earlier for one in deals.get(key, [])))
        alive = [key for key in earlier if not (proposed and key in self.out)]
        (book.known_threads.add if alive else book.known_threads.discard)(item.thread_id)


def _compare(session: Session, row: Simulation, items: Sequence[Interaction]) -> tuple[list[SimulatedMove], int]:
    views = [view.of_stored(item) for item in items]
    earlier = _earlier(session, row, items)
    standing, decided = standing_of(session, [item.id or 0 for item in items])
    more = {deal for deals in earlier.then.values() for deal in deals}
    present = books.load(session, views)
    change = Proposed(row.changes["settings"], row.changes["block"], row.changes["unblock"])
    proposed = books.load(session, views, proposed=change, more_deals=more)
    own = _own_ways(session, [item.id or 0 for item in items])
    default, wanted = present.settings["several_deals"], proposed.settings["several_deals"]
    moves, by_hand = [], 0
    for item, seen in zip(items, views, strict=True):
        key = item.id or 0
        present.settings["several_deals"] = own.get(key, default)
        proposed.settings["several_deals"] = own.get(key, wanted)
        earlier.tie(present, item, proposed=False)
        earlier.tie(proposed, item, proposed=True)
        before, after = match.decide(seen, present), match.decide(seen, proposed)
        if _says(before) == _says(after):
            continue
        if key in decided:
            by_hand += 1
            continue
        move = _move_of(row, item, [link.deal_id for link in standing.get(key, [])], after)
        if move is not None:
            moves.append(move)
            earlier.then[key] = [link["deal_id"] for link in move.after["links"]]
            if after.outcome not in ("logged", "held"):
                earlier.out.add(key)
    return moves, by_hand


def _says(decision: match.Decision) -> tuple[str, frozenset[int], frozenset[int]]:
    kept = decision.outcome if decision.concerns_us else "out"
    return kept, frozenset(one.deal_id for one in decision.links), frozenset(one.deal_id for one in decision.candidates)


def _move_of(row: Simulation, item: Interaction, here: list[int], after: match.Decision) -> SimulatedMove | None:
    """None where it stands already as it would."""
    there = sorted(link.deal_id for link in after.links)
    before = {"deals": sorted(here), "held": item.held, "outcome": "held" if item.held else "logged"}
    if (there, after.outcome == "held") == (before["deals"], item.held) and after.concerns_us:
        return None
    kind = "asked" if after.outcome == "held" else "placed" if there and not here else "moved" if there else "taken_off"
    if kind == "taken_off" and not here and not item.held:
        return None
    told = {
        "outcome": after.outcome,
        "reason": after.reason,
        "links": [_link(link) for link in after.links],
        "candidates": candidate_rows(after),
    }
    return SimulatedMove(simulation_id=row.id or 0, interaction_id=item.id or 0, kind=kind, before=before, after=told)


def _link(link: Any) -> dict[str, Any]:
    return {
        "deal_id": link.deal_id,
        "rule": link.rule,
        "score": link.score,
        "reasons": list(link.reasons),
        "stage_id": link.stage_id,
    }


def _earlier(session: Session, row: Simulation, items: Sequence[Interaction]) -> Earlier:
    found = Earlier()
    for part in chunks({item.thread_id for item in items if item.thread_id}):
        rows = session.exec(
            select(Interaction.thread_id, Interaction.occurred_at, Interaction.id).where(
                col(Interaction.thread_id).in_(part)
            )
        )
        for thread_id, at, key in rows:
            found.rows.setdefault(thread_id or 0, []).append((at, key or 0))
        on = (
            select(Link.interaction_id, Link.deal_id)
            .join(Interaction, col(Interaction.id) == Link.interaction_id)
            .where(col(Interaction.thread_id).in_(part), col(Link.removed_at).is_(None))
            .order_by(col(Link.id))
        )
        for key, deal_id in session.exec(on):
            found.now.setdefault(key, []).append(deal_id)
    for some in found.rows.values():
        some.sort()
    found.then = {key: list(deals) for key, deals in found.now.items()}
    for part in chunks(key for some in found.rows.values() for _, key in some):
        moved = select(SimulatedMove).where(
            SimulatedMove.simulation_id == row.id, col(SimulatedMove.interaction_id).in_(part)
        )
        for move in session.exec(moved):
            found.then[move.interaction_id] = [link["deal_id"] for link in move.after["links"]]
            if move.after["outcome"] not in ("logged", "held"):
                found.out.add(move.interaction_id)
    return found


def _own_ways(session: Session, ids: Iterable[int]) -> dict[int, str]:
    """Where the owner of the oldest copy wants something of their own done with mail that fits several deals."""
    found: dict[int, str] = {}
    for part in chunks(ids):
        rows = session.exec(
            select(Copy.interaction_id, User.several_deals)
            .join(Account, col(Account.id) == Copy.account_id)
            .join(User, col(User.id) == Account.user_id)
            .where(col(Copy.interaction_id).in_(part))
            .order_by(col(Copy.id))
        )
        for key, way in rows:
            found.setdefault(key, way)
    return {key: way for key, way in found.items() if way}


def _maybe_logged(session: Session, hashes: Sequence[bytes]) -> int:
    """Ignored items that would be looked at again: all that is known of them is that the hash is the same."""
    entries: set[int] = set()
    for part in chunks(hashes):
        rows = (
            select(LedgerEntry.id)
            .join(LedgerHash, col(LedgerHash.entry_id) == LedgerEntry.id)
            .where(col(LedgerHash.hash).in_(part), LedgerEntry.outcome == "ignored")
        )
        entries |= {key for key in session.exec(rows) if key is not None}
    return len(entries)
