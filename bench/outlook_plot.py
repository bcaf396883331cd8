"""What happens in an Outlook mailbox and calendar of a stage: before the house comes, and in each leg (as bench/plot.py)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from bench.outlook_stage import OutlookStage
from bench.plot import letter, nothing_happens
from bench.stage import BUYER, COLLEAGUE, REP, STRANGER


def before(stage: OutlookStage) -> None:
    """Twelve mails in four folders and four events that were there before."""
    box = stage.outlook
    kinds = [
        (BUYER, REP, "inbox"),
        (BUYER, REP, "Customers/North"),
        (STRANGER, REP, "inbox"),
        (COLLEAGUE, REP, "archive"),
        (REP, BUYER, "sentitems"),
        (BUYER, REP, "inbox"),
    ]
    ids = []
    for place, (sender, to, folder) in enumerate(kinds * 2):
        days = 1.0 + 2 * place
        at = (stage.now - timedelta(days=days)).timestamp()
        ids.append(box.deliver(letter(stage, sender, to, days=days), folder, at=at, history=False))
    stage.poisoned, stage.letters = ids[1], ids
    day = stage.now.replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=2)
    meet(stage, "Demo", day)
    meet(stage, "Weekly", day + timedelta(days=1), rule="FREQ=WEEKLY;COUNT=12")
    meet(stage, "Private", day + timedelta(days=2), sensitivity="private")
    meet(stage, "Fair", day + timedelta(days=3), organizer=BUYER)


def meet(stage: OutlookStage, subject: str, start: datetime, *, organizer: str = REP, **more: Any) -> str:
    """A meeting of the rep and the buyer, an hour long; its id. ``more``: fields of the sandbox's event."""
    end, guests = start + timedelta(hours=1), (BUYER,) if organizer == REP else (REP,)
    return stage.outlook.calendar.put(f"Teapot: {subject}", start, end, organizer=organizer, attendees=guests, **more)


def named(stage: OutlookStage, subject: str) -> str:
    """The id of the event of that name."""
    events = stage.outlook.calendar.events.values()
    return next(one.key for one in events if one.subject == f"Teapot: {subject}")


def mail_happens(stage: OutlookStage) -> None:
    """The incremental leg: seven that came, one of them by a rule into a new folder, and what people do with the others."""
    box, ids = stage.outlook, stage.letters
    stage.poisoned = box.deliver(letter(stage), "inbox")
    for sender, to in ((BUYER, REP), (STRANGER, REP), (COLLEAGUE, REP), (REP, BUYER), (BUYER, REP)):
        box.deliver(letter(stage, sender, to))
    box.deliver(letter(stage), "Customers/South")
    box.deliver(letter(stage, days=200), "inbox", at=(stage.now - timedelta(days=200)).timestamp())
    box.delete(ids[0])
    box.purge(ids[4])
    box.move(ids[5], "junkemail")
    box.move(ids[6], "Customers/North")
    box.move(ids[11], "archive")
    box.move(ids[11], "inbox")
    box.mark(ids[2])
    box.draft_save(letter(stage, REP, BUYER))
    draft = box.draft_save(letter(stage, REP, BUYER))
    box.draft_send(box.draft_save(letter(stage, REP, BUYER), draft))


def meetings_happen(stage: OutlookStage) -> None:
    """The calendar leg."""
    diary = stage.outlook.calendar
    soon = stage.now.replace(hour=15, minute=0, second=0, microsecond=0) + timedelta(days=4)
    meet(stage, "New", soon)
    diary.change(named(stage, "Demo"), start=soon, end=soon + timedelta(hours=2))
    diary.cancel(named(stage, "Fair"))
    weekly = diary.events[named(stage, "Weekly")]
    low = stage.now + timedelta(days=1)
    _, _, third, fourth, *_ = [one.key for one in diary.within(weekly, low, low + timedelta(days=50))]
    diary.change(third, start=soon + timedelta(hours=3))
    diary.remove(fourth)
    meet(stage, "Undone", soon + timedelta(days=1))
    diary.remove(named(stage, "Undone"))


def touch_all_meetings(stage: OutlookStage) -> None:
    """Every event is told again."""
    diary = stage.outlook.calendar
    for key in list(diary.events):
        diary.change(key)
    stage.time.advance(1)
    stage.poll()


LEGS: dict[str, Callable[[OutlookStage], None]] = {
    "first": nothing_happens,
    "incremental": mail_happens,
    "calendar": meetings_happen,
}
