"""Where each rep's mail and calendar are: Mila works in Outlook, the others at Google. A meeting of several people is in the
calendars of both sides under one UID, as an invitation by mail carries it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sandbox.microsoft.filling import labelled
from sandbox.team.story import REPS
from sandbox.world import World

OUTLOOK = frozenset({"mila@brightpath.example"})
"""The addresses of the reps whose mailbox is at Microsoft."""


def move_in(world: World) -> None:
    """Every rep gets a mailbox and a calendar."""
    for name, email, _ in REPS:
        if email in OUTLOOK:
            world.outlook(email, name)
        else:
            world.mailbox(email, name)


def box_of(world: World, email: str) -> Any:
    """A rep's mailbox, which takes mail by Gmail's labels wherever it is."""
    return labelled(world.outlook(email)) if email in OUTLOOK else world.mailbox(email)


def held(world: World, email: str) -> list[Any]:
    """The messages in a rep's mailbox, each with ``bytes()``, ``envelope`` and ``ms`` (when it came, milliseconds)."""
    box = world.outlook(email).items if email in OUTLOOK else world.mailbox(email).messages
    return list(box.values())


def meet(
    world: World,
    organizer: str,
    guests: Iterable[str],
    start: datetime,
    end: datetime,
    title: str,
    *,
    names: dict[str, str] | None = None,
    rule: str = "",
    private: bool = False,
) -> str:
    """A meeting in the calendar of every rep who takes part; returns its iCalUID. ``rule``: an RRULE without its name."""
    guests, names = list(guests), names or {}
    google: dict[str, Any] = {"recurrence": [f"RRULE:{rule}"]} if rule else {}
    google |= {"visibility": "private"} if private else {}
    outlook: dict[str, Any] = {"rule": rule, "sensitivity": "private" if private else "normal"}
    if organizer in OUTLOOK:
        uid = world.microsoft.meet(organizer, guests, start, end, title, names=names, **outlook)
        world.almanac.meet(organizer, guests, start, end, title, names=names, iCalUID=uid, **google)
        return uid
    event_id = world.almanac.meet(organizer, guests, start, end, title, names=names, **google)
    uid = world.almanac.calendar(organizer).events[event_id]["iCalUID"]
    world.microsoft.meet(organizer, guests, start, end, title, names=names, uid=uid, **outlook)
    return uid
