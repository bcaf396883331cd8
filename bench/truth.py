"""What the pretend provider holds (bench/sight.py), held against what the house says of it: every difference in words, none when all is well.

Mail: every message that is no draft stands in the ledger exactly once and with the place where it lies; every mail with the
customer that lies among the mail is one interaction with one copy. Meetings: what lies ahead on the timeline is what lies
ahead in the calendar, with the same times and words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlmodel import Session, col, select

from bench.sight import Letter
from bench.stage import BUYER, Stage
from models.account import Source
from models.interaction import Copy, Interaction
from models.ledger import LedgerEntry

OURS = "@acme.example"
AWAY = {"spam", "trash"}
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
                    for item_id in stage.sight.behind(source.kind, source.cursor, stage.now)
                    if item_id not in known
                ]
    return found


def _mail(session: Session, stage: Stage, source: Source, read: bool) -> Iterator[str]:
    entries = {e.item_id: e for e in session.exec(select(LedgerEntry).where(LedgerEntry.source_id == source.id))}
    copies = {c.item_id: c for c in session.exec(select(Copy).where(Copy.source_id == source.id))}
    there = stage.sight.letters()
    for key, stored in there.items():
        entry = entries.get(key)
        if entry is None:
            if stored.counts and stored.place == "present":
                yield f"mail {key} is missing from the ledger"
            continue
        if not stored.counts:
            if entry.outcome not in ("ignored", "gone"):
                yield f"draft {key} is {entry.outcome}"
            continue
        if stage.sight.muddled() and {entry.state, stored.place} == AWAY:
            continue
        yield from _entry(key, stored, entry, copies.get(key), read)
    for key, entry in entries.items():
        if key in there or entry.outcome == "gone" or entry.reason == "draft":
            continue
        if entry.state not in stage.sight.ended(key):
            yield f"mail {key} was deleted, and the ledger says {entry.outcome}, {entry.state}"
    yield from _interactions(session, there, copies, read)


def _entry(key: str, stored: Letter, entry: LedgerEntry, copy: Copy | None, read: bool) -> Iterator[str]:
    place = stored.place
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


def _interactions(session: Session, there: dict[str, Letter], copies: dict[str, Copy], read: bool) -> Iterator[str]:
    rows = session.exec(select(Interaction.id, Interaction.identity).where(Interaction.kind == "email")).all()
    for identity, count in Counter(identity for _, identity in rows).items():
        if count > 1:
            yield f"{identity} is there {count} times"
    held = Counter(copy.interaction_id for copy in copies.values())
    for interaction_id, identity in rows:
        if not held[interaction_id or 0]:
            yield f"{identity} has no copy"
    wanted = Counter(
        f"m:{one.envelope.message_id}"
        for one in there.values()
        if _of_stage(one) and _wanted(one) and one.place == "present"
    )
    stored = {identity for _, identity in rows}
    if read:
        yield from (f"{identity} is not on the timeline" for identity in wanted if identity not in stored)


def _of_stage(stored: Letter) -> bool:
    """Mail whose fate is plain; the malformed ones are judged elsewhere."""
    return stored.envelope.message_id.endswith(("@rehearsal.example", "@acme.example"))


def _wanted(stored: Letter) -> bool:
    return stored.counts and BUYER in _people(stored)


def _outcome(stored: Letter) -> str:
    if BUYER in _people(stored):
        return "logged"
    return "internal" if all(person.endswith(OURS) for person in _people(stored)) else "ignored"


def _people(stored: Letter) -> set[str]:
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
    sight = stage.sight
    edge = stage.now + sight.ahead - MARGIN
    theirs = sight.meetings(stage.now, stage.now + sight.ahead)
    for key, shown in theirs.items():
        if shown[0] < edge and ours.get(key) != shown:
            told = "not on the timeline" if key not in ours else f"there as {_words(ours[key])}"
            yield f"meeting {key} at {_words(shown)} is {told}"
    for key in ours.keys() - theirs.keys():
        yield f"meeting {key} at {_words(ours[key])} is on the timeline and not in the calendar"
    for identity, count in Counter(row.identity for _, row in rows).items():
        if count > 1:
            yield f"{identity} has {count} copies in one calendar"


def _words(shown: tuple[datetime, datetime | None, str]) -> str:
    return f"{shown[0].astimezone(UTC):%Y-%m-%d %H:%M} {shown[2]}"
