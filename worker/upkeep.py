"""Small steps that keep up with time: meetings that ended, deals to think about, what is to be decided again, events to
be handed out. Each is one page; whoever finds more to do asks for another turn."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from models.audit import due_audits, plan_audits
from models.discovery import tidy, untidy
from models.imports.store import drop_stale_imports, stale_imports
from worker import push, think
from worker.context import Work
from worker.meetings import hold_meetings
from worker.outbox import drain
from worker.rematch import rematch

log = structlog.get_logger()
TURNS = 20


def keep_up(work: Work) -> int:
    """Do all that is due, up to a bound; how much was done. A deal whose thought fails is put off, and said aloud."""
    done = 0
    for _ in range(TURNS):
        now = work.now()
        some = rematch(work.db, now) + hold_meetings(work.db, now)
        for deal_id in think.due_deals(work.db, now):
            some += _think(work, deal_id)
        some += drain(work.db, now) + push.plan(work) + _audits(work, now) + _old_imports(work, now)
        some += _forget_strangers(work, now)
        done += some
        if not some:
            break
    return done


def _audits(work: Work, now: datetime) -> int:
    """Ask for the audits whose time has come; how many sources. Looks without a lock first."""
    with work.db.read() as session:
        if session.exec(due_audits(now).limit(1)).first() is None:
            return 0
    with work.db.write() as session:
        return plan_audits(session, every=timedelta(seconds=work.pace.audit_every), now=now, jitter=work.rng.random)


def _old_imports(work: Work, now: datetime) -> int:
    """Forget spreadsheets that nobody started, and what was said of others long ago; how many."""
    if not work.db.finds(stale_imports(now)):
        return 0
    with work.db.write() as session:
        return drop_stale_imports(session, now=now)


def _forget_strangers(work: Work, now: datetime) -> int:
    """Let go of discovered people whom nobody took; how many. Looks without a lock first."""
    if not work.db.finds(untidy(now)):
        return 0
    with work.db.write() as session:
        return tidy(session, now=now)


def _think(work: Work, deal_id: int) -> int:
    now = work.now()
    try:
        think.think(work.db, deal_id, now)
    except Exception as error:  # noqa: BLE001  (one deal must not stop the others)
        log.error("think.bug", deal=deal_id, error=type(error).__name__)
        think.put_off(work.db, deal_id, now)
        return 0
    return 1
