"""The folders of an Outlook mailbox, each with a delta of its own: what is told of, left alone, lost and looked at again."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.errors import CursorExpired, TryLater
from connectors.items import Listed, Message, Removed
from connectors.microsoft.position import Position
from tests.connectors.contract import NOW, letter, messages, pages, pinned
from tests.connectors.ms_link import OutlookLink
from tests.support import BUYER


@pytest.mark.parametrize("fault", ["F53", "F53M"])
@pytest.mark.parametrize("variant", ["", "location", "elsewhere", "lower", "missing", "resync"])
def test_one_folders_link_expires_alone(outlook_link: OutlookLink, fault: str, variant: str) -> None:
    """At the end of a walk and in its middle; where its answer leads is never followed."""
    box = outlook_link.box
    ids = [box.deliver(letter(n), "inbox") for n in range(5)]
    old = box.deliver(letter(9), "archive")
    outlook_link.world.microsoft.knobs.page_size = 2
    mailbox = outlook_link.mailbox
    cursor = pinned(mailbox) if fault == "F53" else mailbox.pull(mailbox.pin()).cursor
    outlook_link.world.faults.add(fault, variant=variant, times=1)
    with pytest.raises(CursorExpired) as caught:
        list(pages(mailbox.pull, cursor))
    assert caught.value.part == box.known["inbox"].id
    places = Position.load(caught.value.restart).places
    assert places[box.known["inbox"].id].walking
    assert fault == "F53M" or not places[box.known["archive"].id].walking
    items = [item for page in pages(mailbox.pull, caught.value.restart) for item in page.items]
    named = {item.item_id for item in items}
    assert set(ids) <= named
    assert fault == "F53" or {item.item_id for item in messages(items)} >= set(ids)
    assert fault == "F53M" or old not in named


def test_an_expired_folder_is_only_named_as_far_as_it_did_not_change(outlook_link: OutlookLink) -> None:
    box = outlook_link.box
    old = [box.deliver(letter(n), "inbox", at=NOW.timestamp() - 9e6 + n, history=False) for n in range(3)]
    cursor = pinned(outlook_link.mailbox)
    fresh = box.deliver(letter(7), "inbox")
    box.expire_delta("inbox")
    with pytest.raises(CursorExpired) as caught:
        outlook_link.mailbox.pull(cursor)
    items = [item for page in pages(outlook_link.mailbox.pull, caught.value.restart) for item in page.items]
    assert [item.item_id for item in items if isinstance(item, Message)] == [fresh]
    assert {item.item_id for item in items if isinstance(item, Listed)} == set(old)


def test_empty_pages_lead_on(outlook_link: OutlookLink) -> None:
    outlook_link.box.deliver(letter(1), "inbox")
    outlook_link.world.faults.add("F54", times=3)
    found = [item for page in pages(outlook_link.mailbox.pull, outlook_link.mailbox.pin()) for item in page.items]
    assert len(messages(found)) == 1


def test_a_repeated_item_comes_once_a_page(outlook_link: OutlookLink) -> None:
    outlook_link.box.deliver(letter(1), "inbox")
    outlook_link.world.faults.add("F54", variant="duplicate", times=None)
    for page in pages(outlook_link.mailbox.pull, outlook_link.mailbox.pin()):
        assert len({item.item_id for item in page.items}) == len(page.items)


def test_a_sparse_row_is_named_never_read(outlook_link: OutlookLink) -> None:
    key = outlook_link.box.deliver(letter(1), "inbox")
    outlook_link.world.faults.add("F54", variant="sparse", times=None)
    items = [item for page in pages(outlook_link.mailbox.pull, outlook_link.mailbox.pin()) for item in page.items]
    assert items == [Listed(key)]


def test_a_change_of_what_we_do_not_keep_is_named(outlook_link: OutlookLink) -> None:
    key = outlook_link.box.deliver(letter(1), "inbox")
    cursor = pinned(outlook_link.mailbox)
    outlook_link.box.mark(key)
    outlook_link.world.stats.record.clear()
    assert outlook_link.mailbox.pull(cursor).items == (Listed(key),)
    assert outlook_link.asked("graph.batch") == []


def test_a_loss_is_believed_only_after_a_look(outlook_link: OutlookLink) -> None:
    box = outlook_link.box
    there, moved, back, thrown, gone = (box.deliver(letter(n), "inbox") for n in range(5))
    cursor = pinned(outlook_link.mailbox)
    outlook_link.world.microsoft.knobs.lose_returned = True
    box.move(moved, "Customers/North")
    box.move(back, "archive")
    box.move(back, "inbox")
    box.move(thrown, "junkemail")
    box.purge(gone)
    items = {item.item_id: item for page in pages(outlook_link.mailbox.pull, cursor) for item in page.items}
    assert there not in items
    assert all(isinstance(items[key], Message) and items[key].place == "mail" for key in (moved, back))
    assert (items[thrown], items[gone]) == (Removed(thrown, "spam"), Removed(gone, "deleted"))


def test_a_removal_that_graph_made_up_changes_nothing(outlook_link: OutlookLink) -> None:
    key = outlook_link.box.deliver(letter(1), "inbox")
    outlook_link.world.faults.add("F54", variant="removed", times=None)
    items = [item for page in pages(outlook_link.mailbox.pull, outlook_link.mailbox.pin()) for item in page.items]
    assert [item.item_id for item in messages(items)] == [key]


def test_no_token_is_shown_to_a_host_that_a_link_names(outlook_link: OutlookLink) -> None:
    cursor = Position.load(pinned(outlook_link.mailbox))
    root = outlook_link.config.graph
    for link in (
        "https://graph.elsewhere.example/v1.0/me/messages",
        root.replace("http://", "https://") + "/me/messages",
        root.replace("/graph/v1.0", "/entra/me"),
        f"{root}/../../entra/x",
        "//graph.elsewhere.example/v1.0/x",
    ):
        cursor.tree = link
        with pytest.raises(TryLater) as caught:
            outlook_link.mailbox.pull(cursor.dump())
        assert caught.value.code == "foreign_link"


def test_a_new_folder_is_read_within_the_cycle(outlook_link: OutlookLink) -> None:
    cursor = pinned(outlook_link.mailbox)
    key = outlook_link.box.deliver(letter(1), "Customers/East/Far")
    assert [item.item_id for item in messages(outlook_link.mailbox.pull(cursor).items)] == [key]


def test_system_folders_are_left_alone(outlook_link: OutlookLink) -> None:
    box = outlook_link.box
    kept = box.deliver(letter(1), "inbox")
    rss = next(one.id for one in box.folders.values() if one.name.startswith("RSS"))
    for number, folder in enumerate(
        ("junkemail", "deleteditems", "conversationhistory", "syncissues", "conflicts", "outbox", rss), 2
    ):
        box.deliver(letter(number), folder)
    found = [item for page in pages(outlook_link.mailbox.pull, outlook_link.mailbox.pin()) for item in page.items]
    assert [item.item_id for item in found] == [kept]
    assert [hit.item_id for hit in outlook_link.mailbox.search([BUYER], after=None).items] == [kept]
    assert outlook_link.mailbox.count() == 1


def test_a_folder_that_goes_makes_the_page_suspect(outlook_link: OutlookLink) -> None:
    outlook_link.box.deliver(letter(1), "Drawer")
    cursor = pinned(outlook_link.mailbox)
    outlook_link.box.drop_folder("Drawer")
    assert any(page.suspect for page in pages(outlook_link.mailbox.pull, cursor))


def test_an_idle_look_leaves_the_position_as_it_is(outlook_link: OutlookLink) -> None:
    outlook_link.box.deliver(letter(1), "inbox")
    cursor = pinned(outlook_link.mailbox)
    page = outlook_link.mailbox.pull(cursor)
    assert (page.items, page.cursor, page.more) == ((), cursor, False)


def test_a_large_tree_takes_turns(outlook_link: OutlookLink) -> None:
    box = outlook_link.box
    for number in range(120):
        box.folder(f"Customers/C{number}")
    cursor = pinned(outlook_link.mailbox)
    key = box.deliver(letter(1), "Customers/C119")
    for _ in range(4):
        outlook_link.world.stats.record.clear()
        found = list(pages(outlook_link.mailbox.pull, cursor))
        cursor = found[-1].cursor
        assert len(outlook_link.asked("graph.messages.delta")) <= 53
        if any(item.item_id == key for page in found for item in page.items):
            return
    raise AssertionError("its turn never came")


def test_long_links_are_kept_whole(outlook_link: OutlookLink) -> None:
    outlook_link.world.microsoft.knobs.token_padding = 4_000
    cursor = pinned(outlook_link.mailbox)
    key = outlook_link.box.deliver(letter(1), "inbox")
    assert [item.item_id for item in messages(outlook_link.mailbox.pull(cursor).items)] == [key]


def test_every_request_carries_an_id_and_wants_immutable_ids(
    outlook_link: OutlookLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox.microsoft.graph import Graph

    seen: list[dict[str, str]] = []
    gated = Graph._gated

    def look(self: Any, request: Any, one: Any) -> Any:
        seen.append(dict(request.headers) | {"part": str(request.part_of_batch)})
        return gated(self, request, one)

    monkeypatch.setattr(Graph, "_gated", look)
    key = outlook_link.box.deliver(letter(1), "inbox")
    list(pages(outlook_link.mailbox.pull, outlook_link.mailbox.pin()))
    outlook_link.mailbox.open([Listed(key)])
    assert len(seen) > 20
    assert all("IdType" in one["prefer"] for one in seen)
    assert all("client-request-id" in one for one in seen if one["part"] == "False")
