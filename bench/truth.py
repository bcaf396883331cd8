"""What the pretend Google holds, held against what the house says of it: every difference in words, none when all is well.

Mail: every message that is no draft stands in the ledger exactly once and with the place where it lies; every mail with the
customer that lies among the mail is one interaction with one copy. Meetings: what lies ahead on the timeline is what lies
ahead in the calendar, with the same times and words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from bench.stage import BUYER, REP, Stage
from connectors.google.calendar import AHEAD
from models.account import Source
from models.interaction import Copy, Interaction
from models.ledger import LedgerEntry
from sandbox.almanac import Calendar
from sandbox.mailbox import Stored
from sandbox.series import Event, read_moment

OURS = "@acme.example"
READ = ("logged", "held", "ignored", "internal")
MARGIN = timedelta(days=1)
"""The edge of the calendar's window, which slides once a day."""


def differences(stage: Stage, *, read: bool = True) -> list[str]:
    """Every difference between the mailbox and calendar and the house. ``read``: an item that is owed or unreadable, with
    its id, is one too."""
    with stage.house.db.read() as session:
        mail = session.exec(select(Source).where(Source.kind == "mail")).one_or_none()
        found = list(_mail(session, stage, mail, read)) if mail else ["there is no mailbox"]
        agenda = session.exec(select(Source).where(Source.kind == "calendar")).first()
        found += list(_meetings(session, stage, agenda)) if agenda else ["there is no calendar"]
        return found


def ahead_of_ledger(stage: Stage) -> list[str]:
    """Items that a stored cursor has passed and that nothing accounts for (an open walk accounts for what it will list)."""
    from models.account import Walk

    found = []
    with stage.house.db.read() as session:
        walking = set(session.exec(select(Walk.source_id).where(col(Walk.done_at).is_(None))).all())
        for source in session.exec(select(Source).where(Source.kind != "directory", Source.cursor != "")):
            if source.id not in walking:
                known = set(session.exec(select(LedgerEntry.item_id).where(LedgerEntry.source_id == source.id)).all())
                found += [
                    f"the cursor passed {item_id} of {source.kind}"
                    for item_id in _behind(stage, source)
                    if item_id not in known
                ]
    return found


def _behind(stage: Stage, source: Source) -> list[str]:
    """The ids that a cursor says are behind it; one that has expired says nothing."""
    import json

    state = json.loads(source.cursor)
    if source.kind == "mail":
        at = int(state["h"])
        if at < stage.box.forgotten:
            return []
        there = [one for one in list(stage.box.messages.values()) if _counts(one) and not _hidden(one)]
        return [one.id for one in there if _first_seen(stage, one) <= at]
    digits = str(state.get("sync", "")).removeprefix("CP").removesuffix("==")
    if state.get("page") or not digits.isdigit():
        return []
    calendar = stage.world.almanac.calendar(REP)
    return [
        key
        for key, serial in list(calendar.changes.items())
        if serial <= int(digits) and _listed(calendar.events[key], stage)
    ]


def _first_seen(stage: Stage, stored: Stored) -> int:
    """The history id with which a message came into sight, rescued from trash or spam maybe (0: it was there before any)."""
    told = [one for one in stage.box.changes if one.message == stored.id]
    seen = [one.id for one in told if one.kind == "messageAdded" or {"TRASH", "SPAM"} & set(one.labels)]
    return seen[-1] if seen else 0


def _listed(event: Event, stage: Stage) -> bool:
    """A plain event that a listing gives under its own id, and that was not over for a year when it was first listed."""
    if event.get("recurrence") or event["status"] == "cancelled" or event.get("eventType", "default") != "default":
        return False
    return read_moment(event["end"])[0] > stage.now - timedelta(days=300)


def _counts(stored: Stored) -> bool:
    return "DRAFT" not in stored.labels and "CHAT" not in stored.labels


def _hidden(stored: Stored) -> bool:
    return bool({"SPAM", "TRASH"} & stored.labels)


def _mail(session: Session, stage: Stage, source: Source, read: bool) -> Iterator[str]:
    entries = {e.item_id: e for e in session.exec(select(LedgerEntry).where(LedgerEntry.source_id == source.id))}
    copies = {c.item_id: c for c in session.exec(select(Copy).where(Copy.source_id == source.id))}
    there = {one.id: one for one in stage.box.messages.values()}
    for key, stored in there.items():
        entry = entries.get(key)
        if entry is None:
            if _counts(stored) and not _hidden(stored):
                yield f"mail {key} is missing from the ledger"
            continue
        if not _counts(stored):
            if entry.outcome not in ("ignored", "gone"):
                yield f"draft {key} is {entry.outcome}"
            continue
        yield from _entry(key, stored, entry, copies.get(key), read)
    for key, entry in entries.items():
        if key not in there and entry.state != "deleted" and entry.outcome != "gone" and entry.reason != "draft":
            yield f"mail {key} was deleted, and the ledger says {entry.outcome}, {entry.state}"
    yield from _interactions(session, there, copies, read)


def _entry(key: str, stored: Stored, entry: LedgerEntry, copy: Copy | None, read: bool) -> Iterator[str]:
    place = "trash" if "TRASH" in stored.labels else "spam" if "SPAM" in stored.labels else "present"
    if entry.outcome in ("owed", "unreadable"):
        if read:
            yield f"mail {key} is {entry.outcome}: {entry.error}"
        return
    if entry.outcome not in READ:
        yield f"mail {key} is {entry.outcome}"
    elif entry.state != place:
        yield f"mail {key} lies in {place}, and the ledger says {entry.state}"
    elif place == "present" and _of_stage(stored):
        wanted = _outcome(stored)
        if entry.outcome != wanted and not (wanted == "logged" and entry.outcome == "held"):
            yield f"mail {key} should be {wanted}, and is {entry.outcome} ({entry.reason})"
        elif wanted == "logged" and (copy is None or copy.state != "present"):
            yield f"mail {key} has {'no copy' if copy is None else f'a copy that is {copy.state}'}"


def _interactions(session: Session, there: dict[str, Stored], copies: dict[str, Copy], read: bool) -> Iterator[str]:
    rows = session.exec(select(Interaction.id, Interaction.identity).where(Interaction.kind == "email")).all()
    for identity, count in Counter(identity for _, identity in rows).items():
        if count > 1:
            yield f"{identity} is there {count} times"
    held = Counter(copy.interaction_id for copy in copies.values())
    for interaction_id, identity in rows:
        if not held[interaction_id or 0]:
            yield f"{identity} has no copy"
    wanted = Counter(
        f"m:{one.envelope.message_id}" for one in there.values() if _of_stage(one) and _wanted(one) and not _hidden(one)
    )
    stored = {identity for _, identity in rows}
    if read:
        yield from (f"{identity} is not on the timeline" for identity in wanted if identity not in stored)


def _of_stage(stored: Stored) -> bool:
    """Mail whose fate is plain; the malformed ones are judged elsewhere."""
    return stored.envelope.message_id.endswith(("@rehearsal.example", "@acme.example"))


def _wanted(stored: Stored) -> bool:
    return _counts(stored) and BUYER in _people(stored)


def _outcome(stored: Stored) -> str:
    if BUYER in _people(stored):
        return "logged"
    return "internal" if all(person.endswith(OURS) for person in _people(stored)) else "ignored"


def _people(stored: Stored) -> set[str]:
    envelope = stored.envelope
    return {one.address for one in (*envelope.senders, *envelope.to, *envelope.cc)}


# ---- meetings


def _meetings(session: Session, stage: Stage, source: Source) -> Iterator[str]:
    rows = session.exec(
        select(Copy, Interaction)
        .join(Interaction, col(Interaction.id) == Copy.interaction_id)
        .where(Copy.source_id == source.id)
    ).all()
    ours = {
        copy.item_id: (row.occurred_at, row.ends_at, row.subject)
        for copy, row in rows
        if row.status != "cancelled" and copy.state == "present" and row.occurred_at > stage.now
    }
    edge = stage.now + AHEAD - MARGIN
    theirs = dict(_ahead(stage.world.almanac.calendar(REP), stage))
    for key, shown in theirs.items():
        if shown[0] < edge and ours.get(key) != shown:
            told = "not on the timeline" if key not in ours else f"there as {_words(ours[key])}"
            yield f"meeting {key} at {_words(shown)} is {told}"
    for key in ours.keys() - theirs.keys():
        yield f"meeting {key} at {_words(ours[key])} is on the timeline and not in the calendar"
    for identity, count in Counter(row.identity for _, row in rows).items():
        if count > 1:
            yield f"{identity} has {count} copies in one calendar"


def _ahead(calendar: Calendar, stage: Stage) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The meetings with the customer that are still to come: (id, (start, end, summary))."""
    almanac, low, high = stage.world.almanac, stage.now, stage.now + AHEAD + timedelta(days=400)
    for event in list(calendar.events.values()):
        if event.get("recurrence"):
            if event["status"] == "confirmed":
                shown = almanac.occurrences(calendar, event, low, stage.now + AHEAD)
                yield from ((one["id"], _shown(one)) for one in shown if _ours(one, low))
        elif _ours(event, low) and read_moment(event["start"])[0] < high and not _orphan(event, calendar):
            yield event["id"], _shown(event)


def _orphan(event: Event, calendar: Calendar) -> bool:
    """An exception of a series: told with the series, and gone with it."""
    return bool(event.get("recurringEventId"))


def _ours(event: Event, low: datetime) -> bool:
    if event["status"] == "cancelled" or event.get("visibility") == "private":
        return False
    if event.get("eventType", "default") != "default" or read_moment(event["start"])[0] <= low:
        return False
    return any(one["email"] == BUYER for one in event.get("attendees", ()))


def _shown(event: Event) -> tuple[datetime, datetime, str]:
    return read_moment(event["start"])[0], read_moment(event["end"])[0], str(event.get("summary", ""))


def _words(shown: tuple[Any, ...]) -> str:
    return f"{shown[0].astimezone(UTC):%Y-%m-%d %H:%M} {shown[2]}"
