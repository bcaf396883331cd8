"""Message and folder deltas: rounds, pages, moves with both kinds of ids, sparse updates, tokens that end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox import World
from sandbox.microsoft.outlook import OutlookBox
from tests.sandbox.conftest import BUYER, INA, NOW
from tests.sandbox.letters import mail
from tests.sandbox.ms_client import GraphClient

INBOX = "/me/mailFolders/inbox/messages/delta"
HEADS = "id,subject,receivedDateTime,isRead,categories"


def letters(box: OutlookBox, count: int, **more: str) -> list[str]:
    return [box.deliver(mail(to=INA), at=NOW.timestamp() + at, **more) for at in range(count)]  # type: ignore[arg-type]


def removed(items: list[dict]) -> list[str]:
    return [one["id"] for one in items if one.get("@removed") == {"reason": "deleted"}]


def ids(items: list[dict]) -> list[str]:
    return [one["id"] for one in items if "@removed" not in one]


def test_a_first_round_gives_the_folder_in_pages_and_ends_in_a_delta_link(
    outlook: OutlookBox, graph: GraphClient
) -> None:
    keys = letters(outlook, 7)
    letters(outlook, 2, folder="archive")
    pages = graph.pages(INBOX, select=HEADS, prefer="odata.maxpagesize=3")
    assert [len(one["value"]) for one in pages] == [3, 3, 1]
    assert ids([one for page in pages for one in page["value"]]) == keys[::-1]
    assert set(pages[0]["value"][0]) == {"@odata.type", "@odata.etag", *HEADS.split(",")}
    items, link = graph.round(pages[-1]["@odata.deltaLink"])
    assert items == []
    assert "$deltatoken=" in link


def test_the_links_remember_what_was_selected_and_the_size_of_pages(outlook: OutlookBox, graph: GraphClient) -> None:
    letters(outlook, 3)
    first = graph.get(INBOX, select="id,subject", prefer="odata.maxpagesize=2")
    second = graph.get(first["@odata.nextLink"])
    assert set(second["value"][0]) == {"@odata.type", "@odata.etag", "id", "subject"}
    letters(outlook, 3)
    assert len(graph.get(second["@odata.deltaLink"])["value"]) == 2


def test_what_comes_changes_and_leaves_is_told_once_each(outlook: OutlookBox, graph: GraphClient) -> None:
    old, gone, moved = letters(outlook, 3)
    _, link = graph.round(INBOX, select=HEADS)
    new = outlook.deliver(mail(to=INA, subject="New"))
    outlook.mark(old)
    outlook.categorise(old, "Blue")
    outlook.purge(gone)
    outlook.move(moved, "Customers/North")
    items, link = graph.round(link)
    assert ids(items) == [new, old]
    assert sorted(removed(items)) == sorted([gone, moved])
    sparse = next(one for one in items if one["id"] == old)
    assert (sparse["isRead"], sparse["categories"]) == (True, ["Blue"])
    assert "subject" not in sparse
    assert graph.round(link)[0] == []
    assert graph.round(f"/me/mailFolders/{outlook.folder('Customers/North')}/messages/delta")[0][0]["id"] == moved


def test_updates_are_whole_when_the_knob_says_so(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    world.microsoft.knobs.sparse_updates = False
    (key,) = letters(outlook, 1)
    _, link = graph.round(INBOX, select=HEADS)
    outlook.mark(key)
    assert set(HEADS.split(",")) <= set(graph.round(link)[0][0])


def test_default_ids_change_with_a_move_and_immutable_ids_do_not(
    outlook: OutlookBox, graph: GraphClient, graph_for: Callable[..., GraphClient]
) -> None:
    plain = graph_for(INA, immutable=False)
    (key,) = letters(outlook, 1)
    before = plain.items("/me/messages", select="id")[0]["id"]
    _, plain_link = plain.round(INBOX)
    _, link = graph.round(INBOX)
    outlook.move(key, "archive")
    after = plain.items("/me/messages", select="id")[0]["id"]
    assert before != after
    assert key not in (before, after)
    assert removed(plain.round(plain_link)[0]) == [before]
    assert removed(graph.round(link)[0]) == [key]
    assert plain.error(f"/me/messages/{before}") == (404, "ErrorItemNotFound")
    assert graph.get(f"/me/messages/{after}")["id"] == graph.get(f"/me/messages/{key}")["id"] == key
    assert graph.error(f"/me/messages/{key.swapcase()}")[0] == 404


def test_a_removed_message_may_still_be_there(outlook: OutlookBox, graph: GraphClient) -> None:
    moved, gone = letters(outlook, 2)
    _, link = graph.round(INBOX)
    outlook.move(moved, "archive")
    outlook.purge(gone)
    assert sorted(removed(graph.round(link)[0])) == sorted([moved, gone])
    assert graph.get(f"/me/messages/{moved}")["parentFolderId"] == outlook.folder("archive")
    assert graph.error(f"/me/messages/{gone}") == (404, "ErrorItemNotFound")
    outlook.restore(gone)
    assert graph.get(f"/me/messages/{gone}")["id"] == gone


@pytest.mark.parametrize("lost", [False, True])
def test_there_and_back_again_may_only_look_like_leaving(
    world: World, outlook: OutlookBox, graph: GraphClient, lost: bool
) -> None:
    world.microsoft.knobs.lose_returned = lost
    (key,) = letters(outlook, 1)
    _, link = graph.round(INBOX)
    outlook.move(key, "archive")
    outlook.move(key, "inbox")
    items, _ = graph.round(link)
    assert (removed(items), ids(items)) == (([key], []) if lost else ([], [key]))


def test_mail_that_comes_during_a_walk_is_in_the_next_round(outlook: OutlookBox, graph: GraphClient) -> None:
    keys = letters(outlook, 4)
    first = graph.get(INBOX, prefer="odata.maxpagesize=2")
    late = outlook.deliver(mail(to=INA), at=NOW.timestamp() + 99)
    outlook.move(keys[0], "archive")
    pages = graph.pages(first["@odata.nextLink"])
    assert ids(pages[-1]["value"]) == [keys[1]]
    items, _ = graph.round(pages[-1]["@odata.deltaLink"])
    assert (ids(items), removed(items)) == ([late], [keys[0]])


def test_a_filter_bounds_the_first_round(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    keys = letters(outlook, 6)
    wanted = {"filter": "receivedDateTime ge 2026-11-02T09:00:02Z", "select": "id"}
    items, link = graph.round(INBOX, **wanted, prefer="odata.maxpagesize=2")
    assert ids(items) == keys[:1:-1]
    world.microsoft.knobs.filtered_most = 3
    assert len(graph.round(INBOX, **wanted, prefer="odata.maxpagesize=2")[0]) == 3
    outlook.mark(keys[0])
    outlook.mark(keys[5])
    assert ids(graph.round(link)[0]) == [keys[5]]
    assert graph.error(INBOX, filter="isRead eq false") == (400, "ErrorInvalidUrlQueryFilter")
    assert graph.error(INBOX, search='"x"')[0] == 400
    assert graph.error(INBOX, orderby="subject")[0] == 400


def test_a_walk_may_ask_for_one_kind_of_change(outlook: OutlookBox, graph: GraphClient) -> None:
    old, gone = letters(outlook, 2)
    _, link = graph.round(f"{INBOX}?changeType=created")
    outlook.mark(old)
    outlook.purge(gone)
    new = outlook.deliver(mail(to=INA))
    assert [one["id"] for one in graph.round(link)[0]] == [new]


def test_change_tracking_is_by_folder_only(graph: GraphClient) -> None:
    assert graph.error("/me/messages/delta") == (400, "BadRequest")


def test_tokens_end_with_their_generation_for_that_folder_alone(outlook: OutlookBox, graph: GraphClient) -> None:
    letters(outlook, 3)
    letters(outlook, 3, folder="archive")
    archive = "/me/mailFolders/archive/messages/delta"
    middle = graph.get(INBOX, prefer="odata.maxpagesize=1")["@odata.nextLink"]
    _, inbox_link = graph.round(INBOX)
    _, archive_link = graph.round(archive)
    outlook.expire_delta("inbox")
    assert graph.error(inbox_link) == (410, "SyncStateNotFound")
    assert graph.error(middle) == (410, "SyncStateNotFound")
    assert graph.round(archive_link)[0] == []
    assert len(graph.round(INBOX)[0]) == 3


def test_tokens_end_with_time_and_may_be_long(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    world.microsoft.knobs.delta_ttl, world.microsoft.knobs.token_padding = 600, 3_000
    _, link = graph.round(INBOX)
    assert len(link) > 3_000
    assert graph.round(link)[0] == []
    world.clock.advance(601)
    assert graph.error(link) == (410, "SyncStateNotFound")


@pytest.mark.parametrize("token", ["latest", "abc", "QUJD" * 20])
def test_a_token_that_was_never_given_is_refused(graph: GraphClient, token: str) -> None:
    assert graph.error(f"{INBOX}?$deltatoken={token}") == (400, "ErrorInvalidParameter")
    assert graph.error(graph.round(INBOX)[1].replace("messages", "childFolders"))[0] == 400


def test_sent_mail_appears_a_while_later(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    world.microsoft.knobs.sent_delay = 30
    sent = "/me/mailFolders/sentitems/messages/delta"
    _, link = graph.round(sent)
    key = outlook.send(mail(INA, BUYER))
    items, link = graph.round(link)
    assert items == []
    assert graph.error(f"/me/messages/{key}")[0] == 404
    world.clock.advance(31)
    assert ids(graph.round(link)[0]) == [key]


def test_a_draft_keeps_its_immutable_id_until_it_is_sent(outlook: OutlookBox, graph: GraphClient) -> None:
    drafts, sent = (f"/me/mailFolders/{name}/messages/delta" for name in ("drafts", "sentitems"))
    _, draft_link = graph.round(drafts)
    _, sent_link = graph.round(sent)
    key = outlook.draft_save(mail(INA, BUYER, "Offer"))
    assert outlook.draft_save(mail(INA, BUYER, "Better offer"), key) == key
    items, draft_link = graph.round(draft_link)
    assert [(one["id"], one["isDraft"], one["subject"]) for one in items] == [(key, True, "Better offer")]
    assert outlook.draft_send(key) == key
    assert removed(graph.round(draft_link)[0]) == [key]
    assert [(one["id"], one["isDraft"]) for one in graph.round(sent_link)[0]] == [(key, False)]


def test_the_folder_tree_has_a_delta_of_its_own(outlook: OutlookBox, graph: GraphClient) -> None:
    outlook.folder("Customers/North")
    items, link = graph.round("/me/mailFolders/delta", prefer="odata.maxpagesize=4")
    assert {"Inbox", "Conflicts", "North"} <= {one["displayName"] for one in items}
    south, north = outlook.folder("Customers/South"), outlook.folder("Customers/North")
    outlook.rename_folder("Archive", "Old")
    outlook.drop_folder(north)
    items, link = graph.round(link)
    assert {one["id"]: one.get("displayName") for one in items} == {
        south: "South",
        outlook.folder("archive"): "Old",
        north: None,
    }
    assert graph.error(f"/me/mailFolders/{north}/messages/delta") == (404, "ErrorItemNotFound")
    outlook.expire_delta()
    assert graph.error(link) == (410, "SyncStateNotFound")
