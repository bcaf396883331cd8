"""The ways through a mailbox besides what is new, each resumable from its row.

Order of steps, each a page: items owed and due; ``people`` (search for known people and companies, open what is found);
``sent`` (with an empty address book: the headers of the newest sent mail name the people who matter);
``gap`` (re-list what an expired cursor may have hidden); ``sweep`` (enter every id in the ledger); then the headers of
what is listed and inside the window, newest first. The ledger itself is the queue of unopened items. Where pulling from a
fresh pin goes through everything anyway (``Mailbox.pull_lists``), nothing is swept or re-listed beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from connectors.base import Hits, Mailbox
from connectors.errors import CursorExpired, TryLater
from connectors.items import Item, Listed, Message, Unreadable
from models.account import Account, Source, Walk, keep_lease, source_and_account
from models.addresses import domain_of, registrable
from models.contact import Contact, known_people
from models.event import announce, event_row
from models.ledger import TO_OPEN, LedgerEntry, due_owed, entries_for, list_items, next_unopened
from worker import reconcile
from worker.context import Work
from worker.intake import Holding, LeaseLost, take, to_open

OPEN_AT_ONCE = 100
"""Messages opened between two transactions: about the work of half a minute at a provider's rate, well inside a lease. Each
transaction reads the address book anew, which fewer and larger ones make cheap."""
HEADERS_AT_ONCE = 100
SENT_AT_ONCE, MOST_SENT = 50, 300
"""Sent mail whose headers name people to offer: so many between two transactions, so that the first are there within
seconds, and so many in all."""
OVERLAP = timedelta(days=3)
MONTH = timedelta(days=30.44)
LOOP_GUARD = timedelta(minutes=10)
"""Two gaps within this time are no gaps: the provider refuses whatever cursor it gives."""
REFUSED_AGAIN = "The provider refuses the position in this mailbox that it gave itself; we try again in ten minutes."
SETTLED = ("logged", "held", "ignored", "internal", "gone")
URGENT, WINDOW, BEYOND = 2, 1, 0


def begin(work: Work, box: Mailbox, holding: Holding) -> None:
    """Pin the cursor at now, before anything is listed, and open the walks of a first sync."""
    cursor, estimate, now = box.pin(), box.count(), work.now()
    with work.db.write() as session:
        row = _held_source(session, holding, now)
        row.cursor, row.cursor_at, row.estimate = cursor, now, estimate
        session.add(row)
        session.add(Walk(source_id=row.id or 0, kind="people", state={"terms": search_terms(session)}, created_at=now))
        if session.exec(select(Contact.id).limit(1)).first() is None:
            session.add(Walk(source_id=row.id or 0, kind="sent", created_at=now))
        since = now - work.pace.backfill_months * MONTH
        if not box.pull_lists:
            session.add(Walk(source_id=row.id or 0, kind="sweep", state={"since": since.isoformat()}, created_at=now))


def recover(work: Work, box: Mailbox, holding: Holding, error: CursorExpired) -> None:
    """After an expired cursor, or a part of one: a fresh one first, then a re-list of the days that it may have hidden, then
    an audit, which finds what came with an older date and what left. Visible as an event (one for parts that expire
    together), and idempotent, so that nothing is announced twice. Raises TryLater when even the fresh cursor is refused
    (provider-contract 8, F18)."""
    cursor, now = error.restart or (box.pin() if box.searchable else ""), work.now()
    with work.db.write() as session:
        row = _held_source(session, holding, now)
        lately = _recovered_lately(row, now)
        if error.part in lately:
            raise TryLater("cursor_refused", REFUSED_AGAIN, after=LOOP_GUARD.total_seconds())
        good = row.cursor_at or row.synced_at or now
        row.cursor, row.cursor_at = cursor, now
        parts = {"gap_parts": lately | {error.part: now.isoformat()}, "gap_recovered_at": now.isoformat()}
        row.facts = row.facts | parts | {"gap_since": (good - OVERLAP).isoformat()}
        session.add(row)
        if box.searchable and not box.pull_lists:
            state = {"since": (good - OVERLAP).isoformat()}
            session.add(Walk(source_id=row.id or 0, kind="gap", state=state, created_at=now))
        if box.searchable and not lately:
            ask_for_audit(session, row.id or 0, now)
        if not lately:
            _announce_gap(session, row, good, now)


def ask_for_audit(session: Session, source_id: int, now: datetime, *, afresh: bool = False) -> None:
    """Have the source compared with the provider, once. ``afresh``: one that is under way begins anew, since it would not look
    at what was stored after its beginning."""
    walk = reconcile.open_audit(session, source_id)
    if walk is None:
        session.add(Walk(source_id=source_id, kind="audit", created_at=now))
    elif afresh:
        walk.created_at, walk.state = now, {}
        session.add(walk)


def _recovered_lately(row: Source, now: datetime) -> dict[str, str]:
    """The parts of the cursor (all of it: the empty one) that were recovered within the time of the loop guard."""
    parts = row.facts.get("gap_parts") or {}
    return {part: at for part, at in parts.items() if now - datetime.fromisoformat(at) < LOOP_GUARD}


def restart_calendar(work: Work, holding: Holding) -> None:
    """After a calendar's 410: list its window again; what was logged stays. The audit that it opens is what still has to
    be done, should this run not live to compare the list with the ledger."""
    now = work.now()
    with work.db.write() as session:
        row = _held_source(session, holding, now)
        good = row.cursor_at or now
        row.cursor, row.cursor_at = "", now
        row.facts = row.facts | {"gap_recovered_at": now.isoformat()}
        session.add(row)
        ask_for_audit(session, row.id or 0, now)
        _announce_gap(session, row, good, now)


def step(work: Work, box: Mailbox, holding: Holding) -> bool:
    """The next piece of work of a mailbox. False: there is none."""
    source_id, now = holding.source_id, work.now()
    with work.db.read() as session:
        owed = due_owed(session, source_id, now=now, limit=OPEN_AT_ONCE)
        known = entries_for(session, source_id, owed)
        walk = _next_walk(session, source_id)
        unopened = [] if owed or walk else next_unopened(session, source_id, HEADERS_AT_ONCE)
    if owed:
        _pay(work, box, holding, owed, known)
    elif walk is not None:
        WALKS[walk.kind](work, box, walk, holding)
    elif unopened:
        _read(work, box, holding, unopened)
    return bool(owed or walk or unopened)


def people_first(work: Work, box: Mailbox, holding: Holding, ends: float) -> None:
    """While pages of what was there before come in: what concerns known people goes first, until ``ends``."""
    while work.monotonic() < ends:
        with work.db.read() as session:
            walk = _next_walk(session, holding.source_id)
        if walk is None or walk.kind != "people":
            return
        _people(work, box, walk, holding)


def cursor_of(work: Work, source_id: int) -> str:
    """The cursor as stored."""
    with work.db.read() as session:
        source = session.get(Source, source_id)
        return source.cursor if source else ""


def search_terms(session: Session) -> list[str]:
    """Whom to look for: company domains, and the contacts' addresses outside of them."""
    addresses, domains = known_people(session)
    covered = set(domains)
    alone = [a for a in addresses if domain_of(a) not in covered and registrable(domain_of(a)) not in covered]
    return [f"@{domain}" for domain in domains] + alone


def _people(work: Work, box: Mailbox, walk: Walk, holding: Holding) -> None:
    """One page of one query; the ids not yet settled are opened, newest first."""
    terms: list[str] = walk.state.get("terms", [])
    start, page = int(walk.state.get("at", 0)), str(walk.state.get("page", ""))
    part = terms[start : start + box.search_width]
    if not part:
        _finish(work, walk, holding)
        return
    hits = box.search(part, after=None, page=page)
    fresh = _unsettled(work, holding.source_id, hits.items)
    for group in _groups(fresh, OPEN_AT_ONCE):
        _open(work, box, holding, group)
    state = walk.state | ({"page": hits.next} if hits.next else {"page": "", "at": start + len(part)})
    _advance(work, walk, holding, state, seen=len(hits.items))


def _sent(work: Work, box: Mailbox, walk: Walk, holding: Holding) -> None:
    """Some headers of one page of what the owner sent, newest first."""
    start, page = int(walk.state.get("at", 0)), str(walk.state.get("page", ""))
    hits = box.sent(page=page)
    part = hits.items[start : start + min(SENT_AT_ONCE, MOST_SENT - walk.seen)]
    fresh = _unsettled(work, holding.source_id, part)
    if fresh:
        _read(work, box, holding, [hit.item_id for hit in fresh])
    rest = len(hits.items) > start + len(part)
    if walk.seen + len(part) >= MOST_SENT or not (rest or hits.next):
        _finish(work, walk, holding)
    else:
        place = {"at": start + len(part)} if rest else {"at": 0, "page": hits.next}
        _advance(work, walk, holding, walk.state | place, seen=len(part))


def _sweep(work: Work, box: Mailbox, walk: Walk, holding: Holding) -> None:
    """One page of ids, those inside the window first."""
    since, page = datetime.fromisoformat(walk.state["since"]), str(walk.state.get("page", ""))
    beyond = bool(walk.state.get("beyond"))
    hits = box.listing(after=None if beyond else since, before=since if beyond else None, page=page)
    _enter(work, holding, hits, priority=BEYOND if beyond else WINDOW, reason="older" if beyond else "")
    if hits.next:
        _advance(work, walk, holding, walk.state | {"page": hits.next}, seen=len(hits.items))
    elif not beyond:
        _advance(work, walk, holding, walk.state | {"page": "", "beyond": True}, seen=len(hits.items))
    else:
        _finish(work, walk, holding)


def _gap(work: Work, box: Mailbox, walk: Walk, holding: Holding) -> None:
    """One page of the ids since the last good moment; unknown ones are read at once."""
    since = datetime.fromisoformat(walk.state["since"])
    hits = box.listing(after=since, before=None, page=str(walk.state.get("page", "")))
    _enter(work, holding, hits, priority=URGENT, reason="")
    if hits.next:
        _advance(work, walk, holding, walk.state | {"page": hits.next}, seen=len(hits.items))
    else:
        _finish(work, walk, holding)


def _audit(work: Work, box: Mailbox, walk: Walk, holding: Holding) -> None:
    """One page of every id there is, compared with the ledger; then one page of what has vanished from it."""
    if walk.state.get("listed"):
        if reconcile.look_after(work, box, walk, holding):
            _advance(work, walk, holding, walk.state, seen=0)
        else:
            _finish(work, walk, holding)
        return
    hits, now = box.listing(after=None, before=None, page=str(walk.state.get("page", ""))), work.now()
    ids = [hit.item_id for hit in hits.items]
    with work.db.write() as session:
        reconcile.welcome_back(session, _held_source(session, holding, now), ids, now)
        lost = reconcile.holes(session, holding.source_id, ids)
        list_items(session, holding.source_id, lost, priority=URGENT, reason="found by the audit", now=now)
        reconcile.stamp(session, holding.source_id, ids, now)
        missing = len(reconcile.holes(session, holding.source_id, ids))
    place = {"page": hits.next} if hits.next else {"page": "", "listed": True}
    counts = {"holes": len(lost), "missing": missing}
    state = walk.state | place | {name: int(walk.state.get(name, 0)) + count for name, count in counts.items()}
    _advance(work, walk, holding, state, seen=len(ids))


WALKS = {"people": _people, "sent": _sent, "sweep": _sweep, "gap": _gap, "audit": _audit}


def _read(work: Work, box: Mailbox, holding: Holding, ids: Sequence[str]) -> None:
    """Headers of some items; what concerns a contact is opened in the same breath."""
    headers = box.headers(ids)
    for group in _groups(headers, OPEN_AT_ONCE):
        items = open_wanted(work, box, holding.source_id, group)
        take(work.db, work.keyring, holding, items, now=work.now())


def open_wanted(work: Work, box: Mailbox, source_id: int, items: Sequence[Item]) -> list[Item]:
    """The items, those that concern a contact replaced by what opening them gave. What cannot be opened just now is owed,
    so that what its headers told is never asked for again: headers and texts of one piece may cost more than a minute."""
    wanted = to_open(work.db, source_id, items)
    if not wanted:
        return list(items)
    try:
        opened = {item.item_id: item for item in box.open(wanted)}
    except TryLater:
        return list(items)
    return [opened.get(item.item_id, item) for item in items]


def _pay(work: Work, box: Mailbox, holding: Holding, owed: Sequence[str], known: dict[str, LedgerEntry]) -> None:
    """Another try at items that are owed: the texts of those whose headers we know, else the headers of the others."""
    closed = [item_id for item_id in owed if known[item_id].reason == TO_OPEN]
    if closed:
        _open(work, box, holding, [Listed(item_id) for item_id in closed])
    else:
        _read(work, box, holding, owed)


def _open(work: Work, box: Mailbox, holding: Holding, hits: Sequence[Listed]) -> None:
    """Open items that a search says concern a known person. Where the account keeps no text, headers suffice."""
    with work.db.read() as session:
        found = source_and_account(session, holding.source_id)
        full = found is not None and found[1].visibility == "full"
    items = box.open(hits) if full else box.headers([hit.item_id for hit in hits])
    take(work.db, work.keyring, holding, items, now=work.now())


def _unsettled(work: Work, source_id: int, hits: Sequence[Listed]) -> list[Listed]:
    with work.db.read() as session:
        known = entries_for(session, source_id, [hit.item_id for hit in hits])
    return [hit for hit in hits if hit.item_id not in known or _worth_a_look(known[hit.item_id].outcome)]


def _worth_a_look(outcome: str) -> bool:
    """Ignored items are looked at again: a search only finds what concerns somebody who is known *now*."""
    return outcome in ("unopened", "owed", "ignored")


def _enter(work: Work, holding: Holding, hits: Hits, *, priority: int, reason: str) -> None:
    now = work.now()
    with work.db.write() as session:
        source = _held_source(session, holding, now)
        ids = [hit.item_id for hit in hits.items]
        reconcile.welcome_back(session, source, ids, now)
        list_items(session, holding.source_id, ids, priority=priority, reason=reason, now=now)


def _advance(work: Work, walk: Walk, holding: Holding, state: dict[str, Any], *, seen: int) -> None:
    now = work.now()
    with work.db.write() as session:
        _held_source(session, holding, now)
        row = session.get(Walk, walk.id)
        if row is not None:
            row.state, row.seen = _merged(state, row.state), row.seen + seen
            session.add(row)


def _merged(state: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """A new state, with whom to search for as the row has it now: somebody may have been erased meanwhile."""
    if "terms" not in stored:
        return state
    gone = max(0, len(state.get("terms", [])) - len(stored["terms"]))
    return state | {"terms": stored["terms"], "at": max(0, int(state.get("at", 0)) - gone)}


def _finish(work: Work, walk: Walk, holding: Holding) -> None:
    now = work.now()
    with work.db.write() as session:
        _held_source(session, holding, now)
        row = session.get(Walk, walk.id)
        if row is not None:
            row.done_at = now
            session.add(row)


def _next_walk(session: Session, source_id: int) -> Walk | None:
    order = {"people": 0, "sent": 1, "gap": 2, "sweep": 3, "audit": 4}
    found = session.exec(
        select(Walk)
        .where(Walk.source_id == source_id, col(Walk.done_at).is_(None), col(Walk.kind).in_(WALKS))
        .order_by(col(Walk.id))
    ).all()
    return min(found, key=lambda walk: (order.get(walk.kind, 9), walk.id or 0), default=None)


def _held_source(session: Session, holding: Holding, now: datetime) -> Source:
    if not keep_lease(session, holding.source_id, holding.owner, now=now, seconds=holding.seconds):
        raise LeaseLost(f"source {holding.source_id}")
    row = session.get(Source, holding.source_id)
    if row is None:
        raise LeaseLost(f"source {holding.source_id}")
    return row


def _announce_gap(session: Session, row: Source, good: datetime, now: datetime) -> None:
    account = session.get(Account, row.account_id)
    payload = {
        "account_id": row.account_id,
        "email": account.email if account else "",
        "source": row.name,
        "since": good.isoformat(),
    }
    announce(session, event_row("account.gap_recovered", f"{row.id}:{now.isoformat()}", payload, now=now))


def _groups(values: Sequence[Any], size: int) -> list[list[Any]]:
    return [list(values[start : start + size]) for start in range(0, len(values), size)]


def unread(items: Sequence[Message | Unreadable]) -> int:
    """How many could not be read."""
    return sum(isinstance(item, Unreadable) for item in items)
