"""history.list: typed records, paging, expiry."""

from __future__ import annotations

import pytest
from googleapiclient.errors import HttpError

from sandbox import World
from sandbox.mailbox import Mailbox
from tests.sandbox.client import Google, reason_of
from tests.sandbox.letters import mail

KINDS = {"messagesAdded", "messagesDeleted", "labelsAdded", "labelsRemoved"}


def walk(google: Google, start: int, **given) -> list[tuple[str, str]]:
    """(kind, message id) of all records since."""
    records = google.pages(google.users.history().list, "history", userId="me", startHistoryId=str(start), **given)
    return [(kind, entry["message"]["id"]) for one in records for kind in KINDS & set(one) for entry in one[kind]]


def test_every_change_is_one_typed_record_in_order(google: Google, box: Mailbox) -> None:
    start = box.history
    one = box.deliver(mail())
    box.label(one, ["STARRED"], ["UNREAD"])
    box.trash(one)
    box.untrash(one)
    box.delete(one)
    kinds = [kind for kind, _ in walk(google, start)]
    assert kinds == [
        *("messagesAdded", "labelsAdded", "labelsRemoved", "labelsAdded", "labelsRemoved", "labelsRemoved"),
        "messagesDeleted",
    ]
    assert {message for _, message in walk(google, start)} == {one}
    assert walk(google, start, historyTypes=["messageDeleted"]) == [("messagesDeleted", one)]


def test_ids_rise_with_gaps_and_the_last_page_names_the_newest(google: Google, box: Mailbox) -> None:
    start = box.history
    for _ in range(10):
        box.deliver(mail())
    answer = google.call(google.users.history().list(userId="me", startHistoryId=str(start)))
    ids = [int(one["id"]) for one in answer["history"]]
    assert ids == sorted(ids)
    assert ids[-1] - ids[0] > 9
    assert answer["historyId"] == str(box.history)
    assert google.call(google.users.history().list(userId="me", startHistoryId=answer["historyId"])).keys() == {
        "historyId"
    }


def test_paging_gives_each_record_once(world: World, google: Google, box: Mailbox) -> None:
    start = box.history
    made = [box.deliver(mail()) for _ in range(9)]
    world.knobs.page_size = 2
    assert [message for _, message in walk(google, start)] == made


def test_a_cursor_expires_after_a_week_and_at_once_when_told(world: World, google: Google, box: Mailbox) -> None:
    start = box.history
    box.deliver(mail())
    world.clock.advance(7 * 86_400 + 1)
    for cursor in (start, box.history + 10_000_000):
        with pytest.raises(HttpError) as caught:
            walk(google, cursor)
        assert reason_of(caught.value) == (404, "notFound")
    fresh = box.history
    assert walk(google, fresh) == []
    box.expire_history()
    with pytest.raises(HttpError):
        walk(google, fresh)
    assert walk(google, box.history) == []


def test_the_newest_records_can_be_held_back(world: World, google: Google, box: Mailbox) -> None:
    start = box.history
    world.knobs.history_delay = 10
    message = box.deliver(mail())
    assert walk(google, start) == []
    assert google.call(google.users.getProfile(userId="me"))["historyId"] < str(box.history)
    world.clock.advance(10)
    assert walk(google, start) == [("messagesAdded", message)]


def test_one_label_hides_the_other_records_and_an_unknown_one_is_not_found(google: Google, box: Mailbox) -> None:
    start = box.history
    starred, _ = box.deliver(mail(), ["STARRED"]), box.deliver(mail(), ["INBOX"])
    assert walk(google, start, labelId="STARRED") == [("messagesAdded", starred)]
    with pytest.raises(HttpError) as caught:
        walk(google, start, labelId="Label_9")
    assert reason_of(caught.value) == (404, "notFound")


def test_a_deleted_message_can_be_restored_by_an_administrator(google: Google, box: Mailbox) -> None:
    message = box.deliver(mail())
    box.delete(message)
    start = box.history
    box.undelete(message)
    assert walk(google, start) == [("messagesAdded", message)]
    assert google.search("from:bea@northwind.example") == [message]
