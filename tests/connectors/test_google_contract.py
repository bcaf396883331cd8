"""Google keeps the contract."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from connectors.base import Calendar, Mailbox
from tests.connectors.conftest import Link
from tests.connectors.contract import CalendarContract, CalendarHost, MailboxContract, MailHost


class GoogleMail:
    """``MailHost`` on the sandbox."""

    def __init__(self, link: Link) -> None:
        self._world, self._box = link.world, link.box

    def deliver(self, raw: bytes) -> str:
        return self._box.deliver(raw, labels=["INBOX"])

    def send(self, raw: bytes) -> str:
        return self._box.deliver(raw, labels=["SENT"])

    def save_draft(self, raw: bytes, draft: str) -> str:
        return self._box.draft_save(raw, draft or None)

    def send_draft(self, draft: str) -> str:
        return self._box.draft_send(draft)

    def delete(self, item_id: str) -> None:
        self._box.delete(item_id)

    def trash(self, item_id: str) -> None:
        self._box.trash(item_id)

    def rescue(self, item_id: str) -> None:
        self._box.untrash(item_id)

    def small_pages(self, size: int) -> None:
        self._world.knobs.page_size = size

    def break_line(self, times: int) -> None:
        self._world.faults.add("F30", operation="gmail.*", times=times * 2)

    def forget(self) -> None:
        self._box.expire_history()


class GoogleAgenda:
    """``CalendarHost`` on the sandbox."""

    def __init__(self, link: Link) -> None:
        self._world = link.world
        self._calendar = link.world.almanac.calendar(link.email)

    def meet(self, subject: str, start: datetime, *, private: bool = False) -> str:
        more: dict[str, Any] = {"visibility": "private", "location": "Ward 3", "description": "x"} if private else {}
        people = {"attendees": [{"email": "bea@northwind.example"}], "organizer": {"email": "rae@acme.example"}}
        return self._put({"summary": subject} | people | more, start)

    def series(self, subject: str, start: datetime) -> str:
        return self._put({"summary": subject, "recurrence": ["RRULE:FREQ=WEEKLY"]}, start)

    def move(self, item_id: str, start: datetime) -> None:
        self._world.almanac.change(self._calendar, item_id, **times(start))

    def cancel(self, item_id: str) -> None:
        self._world.almanac.cancel(self._calendar, item_id)

    def small_pages(self, size: int) -> None:
        self._world.knobs.page_size = size

    def break_line(self, times: int) -> None:
        self._world.faults.add("F30", operation="calendar.*", times=times * 2)

    def forget(self) -> None:
        self._world.almanac.expire_tokens()

    def _put(self, event: dict[str, Any], start: datetime) -> str:
        return self._world.almanac.put(self._calendar, event | times(start))


def times(start: datetime, hours: float = 1) -> dict[str, Any]:
    """Beginning and end as Google writes them."""
    end = start + timedelta(hours=hours)
    return {"start": {"dateTime": start.isoformat()}, "end": {"dateTime": end.isoformat()}}


class TestGmail(MailboxContract):
    @pytest.fixture
    def mailbox(self, link: Link) -> Mailbox:
        return link.mailbox

    @pytest.fixture
    def host(self, link: Link) -> MailHost:
        return GoogleMail(link)


class TestGoogleCalendar(CalendarContract):
    @pytest.fixture
    def calendar(self, link: Link) -> Calendar:
        return link.calendar

    @pytest.fixture
    def agenda(self, link: Link) -> CalendarHost:
        return GoogleAgenda(link)
