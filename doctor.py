"""``dealtrail doctor``: what a person would check first when something is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlmodel import Session, select

import wiring
from house import KNOWN_FAULTS, House, now, open_house
from models.account import connected_accounts
from models.channel import Channel
from models.health import account_health
from models.user import User
from settings import SettingsError
from worker.pacing import relied_on

Finding = tuple[str, bool, str]
"""(what was looked at, whether it is well, a sentence)."""


def examine() -> dict[str, Any]:
    """Each finding as a line; ``ok`` is False when one of them needs a hand. What keeps a house from opening is a finding."""
    found: list[Finding] = []
    try:
        house = open_house(check=False)
        found.append(("settings", True, "complete"))
        house.db.require_current()
    except (SettingsError, *KNOWN_FAULTS) as error:
        found.append(("start", False, str(error)))
    else:
        found.extend(_opened(house))
    lines = [{"what": what, "ok": ok, "text": text} for what, ok, text in found]
    return {"ok": all(ok for _, ok, _ in found), "lines": lines}


def _opened(house: House) -> Iterator[Finding]:
    yield "database", True, house.db.engine.url.render_as_string(hide_password=True)
    for provider in house.providers.values():
        yield provider.label, True, "configured" if provider.ready else f"not configured. {provider.why_not}"
    with house.db.read() as session:
        users = len(session.exec(select(User.id)).all())
        yield "users", users > 0, f"{users}" if users else "none yet; open the first-start page or: dealtrail user add"
        for account in connected_accounts(session):
            health = account_health(session, account, now=now())
            yield account.email, health.state in ("ok", "syncing"), health.sentence
        if any(wiring.places(house.settings).values()):
            yield from (("push", ok, text) for ok, text in doorbells(session))


def doorbells(session: Session) -> list[tuple[bool, str]]:
    """How many mailboxes and calendars tell of changes themselves, and each thing that is wrong with the others, once."""
    rows = session.exec(select(Channel)).all()
    live = {row.source_id for row in rows if row.source_id and relied_on(row, now())}
    wrong = sorted({row.error_sentence for row in rows if row.error})
    known = {row.source_id for row in rows if row.source_id and row.stop_at is None}
    text = f"{len(live)} of {len(known)} mailboxes and calendars tell of changes themselves"
    return [(True, text), *((False, sentence) for sentence in wrong)]
