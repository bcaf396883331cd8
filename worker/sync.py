"""One run over one source, under its lease: what is new first, then the next steps of what is still to be walked.

The run is cut into short pieces, each accounted for in its own transaction; a kill at any point costs at most the piece
that was under way, and the lease brings another worker.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from connectors.base import Calendar, Connection, Mailbox
from connectors.errors import ConnectorError, CursorExpired
from connectors.items import Page
from models.account import Account, Source, release_source
from worker import directory, faults, pacing, reconcile, walks
from worker.context import Work
from worker.intake import Holding, LeaseLost, take

log = structlog.get_logger()


def sync_source(work: Work, source_id: int, owner: str) -> None:
    """Run one source until it is up to date or its slice of time is over. Never raises: what went wrong is on the row."""
    loaded = _load(work, source_id, owner)
    if loaded is None:
        return
    source, account = loaded
    started = work.now()
    holding = Holding(source_id, owner, work.pace.lease)
    try:
        connection = work.connection(account.id or 0, account.provider, account.email)
        more = RUNS[source.kind](work, connection, source, account, holding)
    except LeaseLost:
        log.info("lease.lost", source=source_id)
    except ConnectorError as error:
        faults.record(work, source, account, owner, error)
    except Exception as error:  # noqa: BLE001  (our own fault: shown on the account, tried again, never a silent stop)
        work.forget(account.id or 0)
        faults.record_bug(work, source, owner, error)
    else:
        _release(work, source, holding, more=more, started=started)


def _load(work: Work, source_id: int, owner: str) -> tuple[Source, Account] | None:
    with work.db.read() as session:
        source = session.get(Source, source_id)
        if source is None or source.lease_owner != owner:
            return None
        account = session.get(Account, source.account_id)
        if account is None or account.disconnected_at is not None:
            return None
        return source, account


def _release(work: Work, source: Source, holding: Holding, *, more: bool, started: datetime) -> None:
    wait = pacing.wait(work, source, started) * work.rng.uniform(0.75, 1.25)
    with work.db.write() as session:
        faults.clear(session, source.account_id, since=started, mended=source.error)
        now = work.now()
        release_source(
            session,
            source.id or 0,
            holding.owner,
            now=now,
            next_sync_at=now if more else now + timedelta(seconds=wait),
            synced_at=now,
            failures=0,
            error="",
            error_sentence="",
            error_at=None,
        )


def _mail(work: Work, connection: Connection, source: Source, account: Account, holding: Holding) -> bool:
    """New mail, then walks, then owed items, until the slice is over. True: there is more to do now."""
    box = connection.mailbox(source.external_id)
    ends = work.monotonic() + work.pace.slice
    if not source.cursor and box.searchable:
        walks.begin(work, box, holding)
    cursor = walks.cursor_of(work, source.id or 0)
    try:
        while (page := _live(work, box, cursor, holding)).more and work.monotonic() < ends:
            if page.backlog:
                walks.people_first(work, box, holding, ends)
            cursor = walks.cursor_of(work, source.id or 0)
    except CursorExpired as error:
        walks.recover(work, box, holding, error)
        if error.restart:
            return True
    while work.monotonic() < ends:
        if not walks.step(work, box, holding):
            return False
    return True


def _live(work: Work, box: Mailbox, cursor: str, holding: Holding) -> Page:
    """One page of what is new, accounted for."""
    page = box.pull(cursor)
    if page.items or page.cursor != cursor:
        now = work.now()
        items = walks.open_wanted(work, box, holding.source_id, page.items)
        changes: dict[str, object] = {"cursor": page.cursor, "cursor_at": now}
        if page.estimate is not None:
            changes["estimate"] = page.estimate
        take(work.db, work.keyring, holding, items, now=now, changes=changes)
    if page.suspect:
        with work.db.write() as session:
            walks.ask_for_audit(session, holding.source_id, work.now(), afresh=True)
    return page


def _calendar(work: Work, connection: Connection, source: Source, account: Account, holding: Holding) -> bool:
    """A calendar's changes; for an audit then all of it from the start, so that what a fresh list cannot tell (a meeting that
    left its window) was told before."""
    calendar, now = connection.calendar(source.external_id), work.now()
    with work.db.read() as session:
        audit = reconcile.open_audit(session, holding.source_id)
    found, afresh = _pages(work, calendar, holding, source.cursor, now)
    if audit is not None and not afresh:
        found, afresh = _pages(work, calendar, holding, "", now)
    if afresh and (audit is not None or source.synced_at is not None):
        reconcile.settle_calendar(work, holding, now, found, until=calendar.listed_until(now=now))
    return False


def _pages(work: Work, calendar: Calendar, holding: Holding, cursor: str, now: datetime) -> tuple[int, bool]:
    """All pages from a cursor on, or from the start when it has expired: (meetings that a fresh list has and the ledger lacks,
    whether it was one). A cursor that expires again at once is a fault; the next run looks on."""
    found, afresh, restarted = 0, not cursor, False
    while True:
        try:
            page = calendar.pull(cursor, now=now)
        except CursorExpired:
            if restarted:
                raise
            walks.restart_calendar(work, holding)
            cursor, found, afresh, restarted = "", 0, True, True
            continue
        if page.items or page.cursor != cursor:
            found += _take_calendar(work, holding, page, afresh=afresh)
        cursor = page.cursor
        if not page.more:
            return found, afresh


def _take_calendar(work: Work, holding: Holding, page: Page, *, afresh: bool) -> int:
    """Store one page; of a fresh list, how many meetings the ledger lacked."""
    changes = {"cursor": page.cursor, "cursor_at": work.now()}
    with work.db.read() as session:
        found = reconcile.count_page(session, holding.source_id, page.items) if afresh else 0
    take(work.db, work.keyring, holding, page.items, now=work.now(), changes=changes)
    if afresh:
        with work.db.write() as session:
            reconcile.stamp(session, holding.source_id, [item.item_id for item in page.items], work.now())
    return found


def _directory(work: Work, connection: Connection, source: Source, account: Account, holding: Holding) -> bool:
    directory.refresh(work, connection, account, holding)
    return False


RUNS = {"mail": _mail, "calendar": _calendar, "directory": _directory}
