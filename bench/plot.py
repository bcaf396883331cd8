"""What happens in the mailbox and the calendar of a stage: before the house comes, and in each leg after it has read everything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from bench.stage import BUYER, COLLEAGUE, REP, STRANGER, Stage
from sandbox.series import moment

WORDS = ["marzipan", "Umbrella", "Teapot"]
"""Words of every mail's text, of every subject, and of every meeting: none may stand in a log."""


def letter(stage: Stage, sender: str = BUYER, to: str = REP, *, days: float = 0.0, number: int | None = None) -> bytes:
    """A mail that no other equals. ``days``: how long ago its sender says it was written."""
    number = next(stage.numbers) if number is None else number
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = sender, to
    message["Subject"] = f"Umbrella {number}"
    message["Date"] = format_datetime(stage.now - timedelta(days=days))
    message["Message-ID"] = f"<letter-{number}@rehearsal.example>"
    message.set_content(f"All the marzipan of order {number}.\n")
    return message.as_bytes()


def before(stage: Stage) -> None:
    """Twelve mails and four events that were there before."""
    box = stage.box
    kinds = [(BUYER, REP), (BUYER, REP), (STRANGER, REP), (COLLEAGUE, REP), (REP, BUYER), (BUYER, REP)]
    ids = []
    for place, (sender, to) in enumerate(kinds * 2):
        days = 1.0 + 2 * place
        raw = letter(stage, sender, to, days=days)
        ids.append(box.deliver(raw, at=(stage.now - timedelta(days=days)).timestamp(), history=False))
    stage.poisoned, stage.letters = ids[1], ids
    day = stage.now.replace(hour=10, minute=0, second=0) + timedelta(days=2)
    meet(stage, "Demo", day)
    meet(stage, "Weekly", day + timedelta(days=1), recurrence=["RRULE:FREQ=WEEKLY;COUNT=12"])
    meet(stage, "Private", day + timedelta(days=2), visibility="private")
    meet(stage, "Fair", day + timedelta(days=3))


def meet(stage: Stage, subject: str, start: datetime, *, hours: float = 1, **more: Any) -> str:
    """A meeting of the rep with the buyer; its id. ``more``: fields of the event resource."""
    almanac = stage.world.almanac
    return almanac.meet(REP, [BUYER], start, start + timedelta(hours=hours), f"Teapot: {subject}", **more)


def named(stage: Stage, subject: str) -> str:
    """The id of the event of that name."""
    events = stage.world.almanac.calendar(REP).events.values()
    return next(one["id"] for one in events if one.get("summary") == f"Teapot: {subject}")


def mail_happens(stage: Stage) -> None:
    """The incremental leg."""
    box, ids = stage.box, stage.letters
    stage.poisoned = box.deliver(letter(stage))
    for sender, to in ((BUYER, REP), (STRANGER, REP), (COLLEAGUE, REP), (REP, BUYER), (BUYER, REP)):
        box.deliver(letter(stage, sender, to))
    box.deliver(letter(stage, days=200), at=(stage.now - timedelta(days=200)).timestamp())
    box.trash(ids[0])
    box.delete(ids[4])
    box.spam(ids[5])
    box.label(ids[6], ["Customers"], ["INBOX"])
    box.draft_save(letter(stage, REP, BUYER))
    draft = box.draft_save(letter(stage, REP, BUYER))
    box.draft_send(box_draft(stage, draft))


def box_draft(stage: Stage, draft: str) -> str:
    """The draft after one more save."""
    return stage.box.draft_save(letter(stage, REP, BUYER), draft)


def meetings_happen(stage: Stage) -> None:
    """The calendar leg."""
    almanac = stage.world.almanac
    calendar = almanac.calendar(REP)
    soon = stage.now.replace(hour=15, minute=0, second=0) + timedelta(days=4)
    meet(stage, "New", soon)
    almanac.change(calendar, named(stage, "Fair"), start=moment(soon), end=moment(soon + timedelta(hours=2)))
    almanac.cancel(calendar, named(stage, "Demo"))
    weekly = named(stage, "Weekly")
    low = stage.now + timedelta(days=1)
    third, fourth, *_ = [
        one["id"] for one in almanac.occurrences(calendar, calendar.events[weekly], low, low + timedelta(days=50))
    ][2:]
    almanac.change(calendar, third, start=moment(soon), end=moment(soon + timedelta(hours=1)))
    almanac.cancel(calendar, fourth)


def touch_all_meetings(stage: Stage) -> None:
    """Every event is told again."""
    almanac = stage.world.almanac
    calendar = almanac.calendar(REP)
    for event_id, event in list(calendar.events.items()):
        if event["status"] != "cancelled":
            almanac.change(calendar, event_id)
    stage.time.advance(1)
    stage.poll()


def nothing_happens(stage: Stage) -> None:
    """The first leg: everything is there already."""


LEGS: dict[str, Callable[[Stage], None]] = {
    "first": nothing_happens,
    "incremental": mail_happens,
    "calendar": meetings_happen,
}
