"""The rep's calendar at the pretend Microsoft, and how a test reads it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from connectors.items import Item, Meeting
from connectors.microsoft.calendar import OutlookCalendar
from tests.connectors.contract import NOW, pages
from tests.connectors.ms_link import OutlookLink

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TOMORROW = NOW + DAY
WEEKLY = "FREQ=WEEKLY;COUNT=6"


class OutlookAgenda:
    """``CalendarHost`` on the sandbox."""

    def __init__(self, link: OutlookLink) -> None:
        self._world, self._diary = link.world, link.box.calendar

    def meet(self, subject: str, start: datetime, *, private: bool = False) -> str:
        more: dict[str, Any] = {"sensitivity": "private", "location": "Ward 3", "body": "x"} if private else {}
        return self._diary.put(subject, start, start + HOUR, attendees=["bea@northwind.example"], **more)

    def series(self, subject: str, start: datetime) -> str:
        return self._diary.put(subject, start, start + HOUR, rule="FREQ=WEEKLY", zone="UTC")

    def move(self, item_id: str, start: datetime) -> None:
        self._diary.change(item_id, start=start)

    def cancel(self, item_id: str) -> None:
        self._diary.cancel(item_id)

    def small_pages(self, size: int) -> None:
        self._world.microsoft.knobs.page_size = size

    def break_line(self, times: int) -> None:
        self._world.faults.add("F30", operation="graph.*", times=times)

    def forget(self) -> None:
        self._diary.expire_delta()


def pull(calendar: OutlookCalendar, cursor: str = "", now: datetime = NOW) -> tuple[dict[str, Item], str]:
    """Everything on the way, the last word of each id, and the cursor after it."""
    found: dict[str, Item] = {}
    last = cursor
    for page in pages(lambda at: calendar.pull(at, now=now), cursor):
        found |= {item.item_id: item for item in page.items}
        last = page.cursor
    return found, last


def meetings(found: dict[str, Item]) -> list[Meeting]:
    """The meetings among them, earliest first."""
    return sorted((one for one in found.values() if isinstance(one, Meeting)), key=lambda one: one.start)
