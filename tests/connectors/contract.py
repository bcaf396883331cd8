"""What every provider's connector must pass: the invariants of ``connectors.base``, in no provider's words.

A provider inherits both classes and says how its sandbox is reached (the fixtures marked below); everything else is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from connectors.base import Calendar, Mailbox
from connectors.errors import ConnectorError, CursorExpired, TryLater
from connectors.items import Item, Listed, Meeting, Message, Page, Removed, Unreadable
from tests.support import BUYER, OUTSIDER, REP, mail

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
PAST = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class MailHost(Protocol):
    """A pretend mailbox that tests change behind the connector's back. ``small_pages`` makes every answer a short one;
    ``break_line`` spoils the next answers; ``forget`` makes cursors so far unknown."""

    def deliver(self, raw: bytes) -> str: ...
    def send(self, raw: bytes) -> str: ...
    def save_draft(self, raw: bytes, draft: str) -> str: ...
    def send_draft(self, draft: str) -> str: ...
    def delete(self, item_id: str) -> None: ...
    def trash(self, item_id: str) -> None: ...
    def rescue(self, item_id: str) -> None: ...
    def small_pages(self, size: int) -> None: ...
    def break_line(self, times: int) -> None: ...
    def forget(self) -> None: ...


class CalendarHost(Protocol):
    """A pretend calendar, likewise. ``meet`` gives back the item's id; ``series`` repeats it weekly."""

    def meet(self, subject: str, start: datetime, *, private: bool = False) -> str: ...
    def series(self, subject: str, start: datetime) -> str: ...
    def move(self, item_id: str, start: datetime) -> None: ...
    def cancel(self, item_id: str) -> None: ...
    def small_pages(self, size: int) -> None: ...
    def break_line(self, times: int) -> None: ...
    def forget(self) -> None: ...


def letter(number: int = 1, sender: str = BUYER, to: str = REP, **more: Any) -> bytes:
    """A letter that no other has."""
    return mail(sender, to, f"Letter {number}", f"Text {number}.", message_id=f"letter-{number}@test.example", **more)


def pages(pull: Callable[[str], Page], cursor: str) -> Iterator[Page]:
    """Every page from a cursor on."""
    for _ in range(200):
        page = pull(cursor)
        yield page
        cursor = page.cursor
        if not page.more:
            return
    raise AssertionError("there is always another page")


def messages(items: Any) -> list[Message]:
    return [item for item in items if isinstance(item, Message) and item.place == "mail"]


def pinned(mailbox: Mailbox) -> str:
    """A cursor that stands at now. Where a pull from a fresh pin goes through what is there first, it has done so."""
    cursor = mailbox.pin()
    if mailbox.pull_lists:
        *_, last = pages(mailbox.pull, cursor)
        cursor = last.cursor
    return cursor


class MailboxContract:
    """Inherit, and give the fixtures ``mailbox`` and ``host``."""

    @pytest.fixture
    def mailbox(self) -> Mailbox:
        """Of the provider."""
        raise NotImplementedError

    @pytest.fixture
    def host(self) -> MailHost:
        """Of the provider."""
        raise NotImplementedError

    def test_what_comes_after_the_pin_is_pulled_once(self, mailbox: Mailbox, host: MailHost) -> None:
        host.deliver(letter(1))
        cursor = pinned(mailbox)
        fresh = host.deliver(letter(2))
        found = list(pages(mailbox.pull, cursor))
        assert [item.item_id for page in found for item in messages(page.items)] == [fresh]
        assert list(pages(mailbox.pull, found[-1].cursor))[0].items == ()

    def test_a_round_through_what_is_there_brings_all_of_it_once(self, mailbox: Mailbox, host: MailHost) -> None:
        if not mailbox.pull_lists:
            pytest.skip("this provider's pull tells only of what is new")
        ids = [host.deliver(letter(n)) for n in range(5)] + [host.send(letter(9, REP, BUYER))]
        host.small_pages(2)
        found = list(pages(mailbox.pull, mailbox.pin()))
        assert sorted(item.item_id for page in found for item in messages(page.items)) == sorted(ids)
        assert all(page.backlog for page in found if page.items)

    def test_pulled_messages_carry_headers_only(self, mailbox: Mailbox, host: MailHost) -> None:
        cursor = pinned(mailbox)
        host.deliver(letter(1, cc=[OUTSIDER]))
        (message,) = messages(mailbox.pull(cursor).items)
        assert message.body is None
        assert (message.subject, message.message_id) == ("Letter 1", "letter-1@test.example")
        assert {(party.role, party.address) for party in message.parties} == {
            ("from", BUYER),
            ("to", REP),
            ("cc", OUTSIDER),
        }

    def test_short_pages_lose_nothing_and_repeat_nothing(self, mailbox: Mailbox, host: MailHost) -> None:
        cursor = pinned(mailbox)
        host.small_pages(2)
        ids = [host.deliver(letter(n)) for n in range(7)]
        found = [item.item_id for page in pages(mailbox.pull, cursor) for item in messages(page.items)]
        assert sorted(found) == sorted(ids)

    def test_a_pull_that_failed_is_the_same_when_it_is_repeated(self, mailbox: Mailbox, host: MailHost) -> None:
        cursor = pinned(mailbox)
        ids = [host.deliver(letter(n)) for n in range(3)]
        host.break_line(1)
        with pytest.raises(TryLater):
            mailbox.pull(cursor)
        found = [item.item_id for page in pages(mailbox.pull, cursor) for item in messages(page.items)]
        assert sorted(found) == sorted(ids)

    def test_an_old_cursor_gives_the_same_again(self, mailbox: Mailbox, host: MailHost) -> None:
        cursor = pinned(mailbox)
        host.deliver(letter(1))
        first = [item.item_id for page in pages(mailbox.pull, cursor) for item in page.items]
        again = [item.item_id for page in pages(mailbox.pull, cursor) for item in page.items]
        assert first == again != []

    @pytest.mark.parametrize("cursor", ["", "nonsense", "[]", "{}", '{"h": "x"}'])
    def test_a_cursor_that_makes_no_sense_has_expired(self, mailbox: Mailbox, cursor: str) -> None:
        with pytest.raises(CursorExpired):
            mailbox.pull(cursor)

    def test_a_forgotten_cursor_has_expired_and_a_new_pin_goes_on(self, mailbox: Mailbox, host: MailHost) -> None:
        cursor = pinned(mailbox)
        host.forget()
        with pytest.raises(CursorExpired):
            mailbox.pull(cursor)
        cursor = pinned(mailbox)
        fresh = host.deliver(letter(1))
        assert [item.item_id for item in messages(mailbox.pull(cursor).items)] == [fresh]

    def test_every_id_that_is_asked_for_comes_back_exactly_once(self, mailbox: Mailbox, host: MailHost) -> None:
        ids = [host.deliver(letter(n)) for n in range(5)]
        host.delete(ids[2])
        asked = [*ids, *ids]
        for found in (mailbox.headers(asked), mailbox.open([Listed(one) for one in ids])):
            assert [item.item_id for item in found] == ids
            assert [item.item_id for item in found if not isinstance(item, Message)] == [ids[2]]

    def test_a_missing_item_is_gone(self, mailbox: Mailbox, host: MailHost) -> None:
        item_id = host.deliver(letter(1))
        host.delete(item_id)
        (item,) = mailbox.headers([item_id])
        assert isinstance(item, Removed) or (isinstance(item, Unreadable) and item.gone)

    def test_asking_for_nothing_gives_nothing(self, mailbox: Mailbox) -> None:
        assert (mailbox.headers([]), mailbox.open([])) == ([], [])

    def test_an_opened_message_has_its_text(self, mailbox: Mailbox, host: MailHost) -> None:
        item_id = host.deliver(letter(1))
        (item,) = mailbox.open([Listed(item_id)])
        assert isinstance(item, Message) and item.body is not None
        assert item.body.new == "Text 1."

    def test_a_broken_line_is_an_error_that_says_what_to_do(self, mailbox: Mailbox, host: MailHost) -> None:
        host.break_line(50)
        for call in (mailbox.pin, mailbox.count, lambda: mailbox.listing(after=None, before=None)):
            with pytest.raises(ConnectorError):
                call()

    def test_a_listing_names_everything_newest_first(self, mailbox: Mailbox, host: MailHost) -> None:
        ids = [host.deliver(letter(n)) for n in range(5)]
        host.small_pages(2)
        found: list[str] = []
        page = ""
        while True:
            hits = mailbox.listing(after=None, before=None, page=page)
            found += [hit.item_id for hit in hits.items]
            page = hits.next
            if not page:
                break
        assert sorted(found) == sorted(ids)
        assert len(found) == len(set(found))

    def test_a_search_finds_whom_a_letter_is_from_or_to(self, mailbox: Mailbox, host: MailHost) -> None:
        if not mailbox.searchable:
            pytest.skip("this provider cannot search")
        wanted = [
            host.deliver(letter(1)),
            host.send(letter(2, REP, BUYER)),
            host.deliver(letter(3, OUTSIDER, REP, cc=[BUYER])),
        ]
        host.deliver(letter(4, OUTSIDER, REP))
        found = [hit.item_id for hit in mailbox.search([BUYER], after=None).items]
        assert sorted(found) == sorted(wanted)
        company = [hit.item_id for hit in mailbox.search(["@" + BUYER.partition("@")[2]], after=None).items]
        assert sorted(company) == sorted(wanted)

    def test_what_the_owner_sent_is_outbound(self, mailbox: Mailbox, host: MailHost) -> None:
        out, into = host.send(letter(1, REP, BUYER)), host.deliver(letter(2))
        found = {item.item_id: item for item in messages(mailbox.headers([out, into]))}
        assert (found[out].outbound, found[into].outbound) == (True, False)
        assert [hit.item_id for hit in mailbox.sent().items] == [out]

    def test_a_draft_saved_ten_times_then_sent_is_one_message(self, mailbox: Mailbox, host: MailHost) -> None:
        cursor, draft = pinned(mailbox), ""
        for version in range(10):
            draft = host.save_draft(letter(version, REP, BUYER), draft)
        sent = host.send_draft(draft)
        items: list[Item] = [item for page in pages(mailbox.pull, cursor) for item in page.items]
        assert [item.item_id for item in messages(items)] == [sent]

    def test_a_draft_alone_is_no_message(self, mailbox: Mailbox, host: MailHost) -> None:
        cursor = pinned(mailbox)
        host.save_draft(letter(1, REP, BUYER), "")
        assert messages(item for page in pages(mailbox.pull, cursor) for item in page.items) == []
        assert mailbox.listing(after=None, before=None).items == ()

    def test_deletion_and_trash_are_told_apart(self, mailbox: Mailbox, host: MailHost) -> None:
        deleted, trashed = host.deliver(letter(1)), host.deliver(letter(2))
        cursor = pinned(mailbox)
        host.delete(deleted)
        host.trash(trashed)
        found = {
            i.item_id: i.reason for page in pages(mailbox.pull, cursor) for i in page.items if isinstance(i, Removed)
        }
        assert found == {deleted: "deleted", trashed: "trash"}

    def test_what_is_rescued_from_the_trash_is_read_again(self, mailbox: Mailbox, host: MailHost) -> None:
        item_id = host.deliver(letter(1))
        host.trash(item_id)
        cursor = pinned(mailbox)
        host.rescue(item_id)
        assert [item.item_id for item in messages(mailbox.pull(cursor).items)] == [item_id]

    def test_a_message_is_found_by_its_message_id(self, mailbox: Mailbox, host: MailHost) -> None:
        item_id = host.deliver(letter(1))
        host.deliver(letter(2))
        assert mailbox.find_message_id("letter-1@test.example") == [item_id]
        assert mailbox.find_message_id("no-such-id@test.example") == []

    def test_the_count_is_what_there_is(self, mailbox: Mailbox, host: MailHost) -> None:
        for number in range(3):
            host.deliver(letter(number))
        assert mailbox.count() in (3, None)

    def test_times_are_aware(self, mailbox: Mailbox, host: MailHost) -> None:
        (message,) = messages(mailbox.headers([host.deliver(letter(1))]))
        assert message.at.tzinfo is not None
        assert message.sent_at is not None and message.sent_at.tzinfo is not None


class CalendarContract:
    """Inherit, and give the fixtures ``calendar`` and ``agenda``."""

    @pytest.fixture
    def calendar(self) -> Calendar:
        """Of the provider."""
        raise NotImplementedError

    @pytest.fixture
    def agenda(self) -> CalendarHost:
        """Of the provider."""
        raise NotImplementedError

    def pull(self, calendar: Calendar, cursor: str, now: datetime = NOW) -> tuple[dict[str, Meeting], str]:
        """Every meeting on the way (the last word of each), and the cursor after it."""
        found: dict[str, Meeting] = {}
        last = cursor
        for page in pages(lambda at: calendar.pull(at, now=now), cursor):
            found |= {item.item_id: item for item in page.items if isinstance(item, Meeting)}
            last = page.cursor
        return found, last

    def test_a_first_pull_lists_what_there_is(self, calendar: Calendar, agenda: CalendarHost) -> None:
        item_id = agenda.meet("Demo", NOW + timedelta(hours=4))
        found, _ = self.pull(calendar, "")
        assert (found[item_id].subject, found[item_id].start) == ("Demo", NOW + timedelta(hours=4))
        assert found[item_id].status == "confirmed" and found[item_id].uid

    def test_then_only_what_changed(self, calendar: Calendar, agenda: CalendarHost) -> None:
        agenda.meet("Old", NOW)
        _, cursor = self.pull(calendar, "")
        fresh = agenda.meet("New", NOW)
        found, cursor = self.pull(calendar, cursor)
        assert list(found) == [fresh]
        assert self.pull(calendar, cursor)[0] == {}

    def test_short_pages_lose_nothing(self, calendar: Calendar, agenda: CalendarHost) -> None:
        ids = [agenda.meet(f"Meeting {n}", NOW + timedelta(days=n)) for n in range(7)]
        agenda.small_pages(2)
        assert sorted(self.pull(calendar, "")[0]) == sorted(ids)

    def test_a_meeting_that_moved_is_the_same_meeting(self, calendar: Calendar, agenda: CalendarHost) -> None:
        item_id = agenda.meet("Demo", NOW)
        before, cursor = self.pull(calendar, "")
        agenda.move(item_id, NOW + timedelta(days=1))
        after, _ = self.pull(calendar, cursor)
        assert after[item_id].start == NOW + timedelta(days=1)
        assert (after[item_id].uid, after[item_id].original_start) == (
            before[item_id].uid,
            before[item_id].original_start,
        )

    def test_a_cancelled_meeting_is_told(self, calendar: Calendar, agenda: CalendarHost) -> None:
        item_id = agenda.meet("Demo", NOW)
        _, cursor = self.pull(calendar, "")
        agenda.cancel(item_id)
        assert self.pull(calendar, cursor)[0][item_id].status == "cancelled"

    def test_a_series_comes_as_occurrences_inside_the_window(self, calendar: Calendar, agenda: CalendarHost) -> None:
        agenda.series("Weekly", NOW)
        found, _ = self.pull(calendar, "")
        low, high = calendar.window(now=NOW)
        starts = sorted(one.start for one in found.values())
        assert starts[0] == NOW
        assert all(later - sooner == timedelta(days=7) for sooner, later in zip(starts, starts[1:], strict=False))
        assert low <= starts[0] and high - timedelta(days=7) <= starts[-1] < high
        assert len({one.uid for one in found.values()}) == 1
        assert len({one.original_start for one in found.values()}) == len(starts)

    def test_the_window_slides(self, calendar: Calendar, agenda: CalendarHost) -> None:
        agenda.series("Weekly", NOW)
        first, cursor = self.pull(calendar, "")
        later, _ = self.pull(calendar, cursor, NOW + timedelta(days=14))
        assert len({**first, **later}) == len(first) + 2

    def test_a_private_meeting_is_busy_time_only(self, calendar: Calendar, agenda: CalendarHost) -> None:
        item_id = agenda.meet("Doctor", NOW, private=True)
        found = self.pull(calendar, "")[0][item_id]
        assert found.private and found.start == NOW
        assert (found.subject, found.description, found.location, found.join_url, found.parties) == ("", "", "", "", ())

    def test_a_pull_that_failed_is_the_same_when_it_is_repeated(self, calendar: Calendar, agenda: CalendarHost) -> None:
        _, cursor = self.pull(calendar, "")
        item_id = agenda.meet("Demo", NOW)
        agenda.break_line(1)
        with pytest.raises(TryLater):
            calendar.pull(cursor, now=NOW)
        assert list(self.pull(calendar, cursor)[0]) == [item_id]

    def test_a_forgotten_cursor_has_expired_and_a_fresh_start_gives_everything(
        self, calendar: Calendar, agenda: CalendarHost
    ) -> None:
        item_id = agenda.meet("Demo", NOW)
        _, cursor = self.pull(calendar, "")
        agenda.forget()
        with pytest.raises(CursorExpired):
            calendar.pull(cursor, now=NOW)
        assert list(self.pull(calendar, "")[0]) == [item_id]

    @pytest.mark.parametrize("cursor", ["nonsense", "[]", "7"])
    def test_a_cursor_that_makes_no_sense_has_expired(self, calendar: Calendar, cursor: str) -> None:
        with pytest.raises(CursorExpired):
            calendar.pull(cursor, now=NOW)
