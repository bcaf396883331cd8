"""Every fault of Graph's (provider-contract 8, F28 to F30 and F49 to F56) has its own word, its own sentence and a way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from connectors.errors import ConnectorError, CursorExpired, OperatorFault, Refused, TryLater
from connectors.items import Listed, Message, Removed, Unreadable
from connectors.microsoft.faults import NotFound, codes_of, from_answer, retry_after
from connectors.microsoft.graph import demanded_claims
from connectors.microsoft.position import Position
from tests.connectors.contract import letter, messages, pages, pinned
from tests.connectors.ms_link import OutlookLink
from tests.support import BUYER, REP, mail

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
Make = Callable[..., OutlookLink]


def graph_error(code: str, *inner: str) -> bytes:
    """An error as Graph writes it; each inner code one level deeper."""
    body: dict[str, Any] = {"code": code, "message": "Mail of bea@northwind.example"}
    level = body
    for one in inner:
        level["innerError"] = {"code": one}
        level = level["innerError"]
    return json.dumps({"error": body}).encode()


@pytest.mark.parametrize(
    ("status", "content", "headers", "kind", "code", "after"),
    [
        (429, graph_error("ApplicationThrottled"), {"Retry-After": "12"}, TryLater, "throttled", 12),
        (
            429,
            graph_error("TooManyRequests", "activityLimitReached"),
            {"retry-after": "600"},
            TryLater,
            "throttled",
            600,
        ),
        (429, b"", {}, TryLater, "throttled", 10),
        (503, graph_error("ApplicationThrottled"), {}, TryLater, "throttled", 10),
        (509, b"<html>", {}, TryLater, "throttled", 10),
        (503, graph_error("serviceNotAvailable"), {"Retry-After": "20"}, TryLater, "server_error", 20),
        (500, graph_error("ErrorInternalServerError"), {}, TryLater, "server_error", 2),
        (502, b"<html>", {}, TryLater, "server_error", 2),
        (504, b"<html>", {}, TryLater, "gateway_timeout", 0),
        (423, graph_error("Locked"), {}, TryLater, "server_error", 2),
        (401, graph_error("InvalidAuthenticationToken"), {}, TryLater, "unauthorized", 30),
        (410, graph_error("SyncStateNotFound"), {}, CursorExpired, "cursor_expired", None),
        (400, graph_error("syncStateNotFound"), {}, CursorExpired, "cursor_expired", None),
        (404, graph_error("syncStateNotFound"), {}, CursorExpired, "cursor_expired", None),
        (410, graph_error("ErrorInvalidSyncState", "resyncRequired"), {}, CursorExpired, "cursor_expired", None),
        (410, b"", {}, CursorExpired, "cursor_expired", None),
        (404, graph_error("ErrorItemNotFound"), {}, NotFound, "not_found", None),
        (404, graph_error("MailboxNotEnabledForRESTAPI"), {}, Refused, "mailbox_unavailable", 86_400),
        (404, b"<html>login</html>", {}, TryLater, "not_json", 60),
        (403, b"<html>login</html>", {}, TryLater, "not_json", 60),
        (403, graph_error("ErrorAccessDenied"), {}, Refused, "blocked_by_admin", 14_400),
        (403, graph_error("Authorization_RequestDenied"), {}, Refused, "no_privilege", 14_400),
        (403, graph_error("SomethingNew"), {}, Refused, "blocked_by_admin", 14_400),
        (400, graph_error("BadRequest", "InefficientFilter"), {}, TryLater, "bad_request", 600),
        (400, graph_error("SomethingNew"), {}, TryLater, "bad_request", 600),
        (302, b"", {}, TryLater, "redirected", 0),
    ],
)
def test_an_answer_says_what_to_do_next(
    status: int, content: bytes, headers: dict[str, str], kind: type[ConnectorError], code: str, after: float | None
) -> None:
    found = from_answer(status, content, headers, now=NOW)
    assert (type(found), found.code) == (kind, code)
    assert "bea@" not in str(found)
    if after is not None:
        assert after <= getattr(found, "after", 0.0) <= after * 1.3


def test_the_innermost_code_speaks_first() -> None:
    assert codes_of(graph_error("Outer", "Inner", "Innermost")) == ["innermost", "inner", "outer"]
    assert codes_of(b"[]") == codes_of(b"\xff") == codes_of(b'{"error": "text"}') == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("999999", 86_400),
        (format_datetime(NOW.replace(minute=1), usegmt=True), 60),
        ("soon", 0),
        ("", 0),
    ],
)
def test_a_wait_is_read_in_both_forms(value: str, seconds: float) -> None:
    assert retry_after({"RETRY-AFTER": value}, NOW) == seconds


DEMAND = 'error="insufficient_claims", claims='


@pytest.mark.parametrize("value", ["", "Bearer", 'Bearer claims="e30="', f'{DEMAND}"%%%"', f'{DEMAND}"AAAA"'])
def test_claims_that_make_no_sense_are_none(value: str) -> None:
    assert demanded_claims({"www-authenticate": value}) == ""


@pytest.mark.parametrize(
    ("fault", "variant", "kind", "code"),
    [
        ("F28", "", TryLater, "not_json"),
        ("F29", "", TryLater, "truncated"),
        ("F30", "", TryLater, ("network", "truncated")),
        ("F49", "", TryLater, "throttled"),
        ("F49", "date", TryLater, "throttled"),
        ("F49", "none", TryLater, "throttled"),
        ("F49", "long", TryLater, "throttled"),
        ("F49", "busy", TryLater, "throttled"),
        ("F50", "", TryLater, "unauthorized"),
        ("F51", "", Refused, "blocked_by_admin"),
        ("F51", "denied", Refused, "blocked_by_admin"),
        ("F52", "", Refused, "mailbox_unavailable"),
        ("F56", "503", TryLater, "server_error"),
        ("F56", "500", TryLater, "server_error"),
        ("F56", "502", TryLater, "server_error"),
    ],
)
def test_each_fault_of_the_wire_has_its_word_and_its_end(
    outlook_link: OutlookLink, fault: str, variant: str, kind: type[ConnectorError], code: str | tuple[str, ...]
) -> None:
    cursor = pinned(outlook_link.mailbox)
    fresh = outlook_link.box.deliver(letter(1), "inbox")
    outlook_link.world.faults.add(fault, variant=variant, operation="graph.*", times=None)
    with pytest.raises(kind) as caught:
        outlook_link.mailbox.pull(cursor)
    assert caught.value.code in ((code,) if isinstance(code, str) else code)
    outlook_link.world.faults.clear()
    found = [item.item_id for page in pages(outlook_link.mailbox.pull, cursor) for item in messages(page.items)]
    assert found == [fresh]


def test_what_graph_asks_for_is_waited_by_all_who_share_the_mailbox(outlook_link: OutlookLink) -> None:
    outlook_link.world.faults.add("F49", variant="long", times=1)
    with pytest.raises(TryLater):
        outlook_link.mailbox.pin()
    assert outlook_link.budget.penalties == [600.0]


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


def test_a_page_that_takes_too_long_is_asked_for_in_smaller_pieces(outlook_link: OutlookLink) -> None:
    for number in range(3):
        outlook_link.box.deliver(letter(number), "inbox")
    cursor = outlook_link.mailbox.pin()
    outlook_link.world.faults.add("F56", operation="graph.messages.delta", times=2)
    assert len(messages(outlook_link.mailbox.pull(cursor).items)) == 3
    outlook_link.world.faults.add("F56", operation="graph.messages.delta", times=None)
    with pytest.raises(TryLater) as caught:
        outlook_link.mailbox.pull(cursor)
    assert caught.value.code == "gateway_timeout"


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


@pytest.mark.parametrize("thin", [False, True])
def test_typed_fields_stand_in_for_missing_headers(outlook_link: OutlookLink, thin: bool) -> None:
    outlook_link.world.microsoft.knobs.thin_headers = thin
    key = outlook_link.box.deliver(
        letter(1, List_Id="<news.example>", References="<a@x.example> <b@x.example>"), "inbox"
    )
    sent = outlook_link.box.send(letter(2, REP, BUYER))
    got, out = outlook_link.mailbox.headers([key, sent])
    assert isinstance(got, Message) and isinstance(out, Message)
    assert (got.machine, got.references) == ("list", ("a@x.example", "b@x.example"))
    assert {(party.role, party.address) for party in got.parties} == {("from", BUYER), ("to", REP)}
    assert (out.outbound, out.message_id, out.references) == (True, "letter-2@test.example", ())
    assert out.thread and out.sent_at == NOW


def test_a_display_name_is_no_address(outlook_link: OutlookLink) -> None:
    key = outlook_link.box.deliver(letter(1, sender='"bea@northwind.example, boss" <zoe@stranger.example>'), "inbox")
    (item,) = outlook_link.mailbox.headers([key])
    assert isinstance(item, Message)
    assert [party.address for party in item.parties if party.role == "from"] == ["zoe@stranger.example"]


INVITATION = b"""From: bea@northwind.example\r\nTo: rae@acme.example\r\nSubject: Demo\r\nMessage-ID: <i@x.example>\r
MIME-Version: 1.0\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r
BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:demo-1@cal.example\r\nDTSTART:20261103T100000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"""


def test_a_meetings_mail_is_a_calendars(outlook_link: OutlookLink) -> None:
    key = outlook_link.box.deliver(INVITATION, "inbox")
    (head,) = outlook_link.mailbox.headers([key])
    assert isinstance(head, Message) and head.machine == "calendar" and head.calendar is not None
    assert (head.calendar.method, head.calendar.uid) == ("REQUEST", "")
    (whole,) = outlook_link.mailbox.open([Listed(key)])
    assert isinstance(whole, Message) and whole.calendar is not None
    assert (whole.calendar.method, whole.calendar.uid) == ("REQUEST", "demo-1@cal.example")


BOUNCE = (
    b"From: MAILER-DAEMON@northwind.example\r\nTo: rae@acme.example\r\nSubject: Undelivered\r\nMessage-ID: <b@x.example>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=B\r\n\r\n--B\r\n"
    b"Content-Type: text/plain\r\n\r\nSorry.\r\n--B\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n"
    b"Final-Recipient: rfc822; bea@northwind.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--B--\r\n"
)


def test_a_delivery_report_is_read_in_the_raw(outlook_link: OutlookLink) -> None:
    key = outlook_link.box.deliver(BOUNCE, "inbox")
    (item,) = outlook_link.mailbox.open([Listed(key)])
    assert isinstance(item, Message)
    assert (item.machine, item.bounced) == ("bounce", ("bea@northwind.example",))


def test_files_are_named_and_links_found(outlook_link: OutlookLink) -> None:
    from email.message import EmailMessage

    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = BUYER, REP, "Offer"
    message.set_content("See https://northwind.example/offer")
    message.add_alternative('<p>See <a href="https://northwind.example/offer">our offer</a></p>', subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Offer.pdf")
    key = outlook_link.box.deliver(message.as_bytes(), "inbox")
    (item,) = outlook_link.mailbox.open([Listed(key)])
    assert isinstance(item, Message) and item.body is not None
    assert [(one.name, one.mime) for one in item.attachments] == [("Offer.pdf", "application/pdf")]
    assert item.body.links == ("https://northwind.example/offer",)


def test_hostile_mail_crashes_nothing(make_outlook: Make) -> None:
    outlook_link = make_outlook(timeout=60.0)
    outlook_link.world.faults.add("F60M", account=REP)
    found = [item for page in pages(outlook_link.mailbox.pull, outlook_link.mailbox.pin()) for item in page.items]
    assert len(found) > 5
    opened = outlook_link.mailbox.open([Listed(item.item_id) for item in found])
    assert [item.item_id for item in opened] == [item.item_id for item in found]
    assert [item for item in opened if isinstance(item, Unreadable)] == []


def test_a_search_escapes_what_could_end_its_term(outlook_link: OutlookLink) -> None:
    kept = outlook_link.box.deliver(letter(1), "inbox")
    hits = outlook_link.mailbox.search([BUYER, 'x") OR (subject:"', "@stranger.example"], after=None)
    assert [hit.item_id for hit in hits.items] == [kept]
    assert outlook_link.mailbox.search([BUYER], after=NOW.replace(year=2027)).items == ()


def test_a_search_that_graph_ends_goes_on_by_days(outlook_link: OutlookLink, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = outlook_link.mailbox
    monkeypatch.setattr(type(mailbox), "search_most", 4)
    outlook_link.world.microsoft.knobs.search_most, outlook_link.world.microsoft.knobs.page_size = 4, 3
    at = NOW.timestamp()
    ids = [outlook_link.box.deliver(letter(n), "inbox", at=at - 40_000 * n) for n in range(12)]
    found, page = list[str](), ""
    for _ in range(20):
        hits = mailbox.search([BUYER], after=None, page=page)
        found += [hit.item_id for hit in hits.items]
        page = hits.next
        if not page:
            break
    assert set(found) == set(ids)


def test_a_crowded_day_ends_a_search(outlook_link: OutlookLink, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = outlook_link.mailbox
    monkeypatch.setattr(type(mailbox), "search_most", 4)
    outlook_link.world.microsoft.knobs.search_most = 4
    for number in range(9):
        outlook_link.box.deliver(letter(number), "inbox", at=NOW.timestamp() + number)
    page, asked = "", 0
    while asked == 0 or page:
        page, asked = mailbox.search([BUYER], after=None, page=page).next, asked + 1
    assert asked == 2


def test_a_message_id_with_a_quote_is_found(outlook_link: OutlookLink) -> None:
    key = outlook_link.box.deliver(mail(BUYER, REP, message_id="o'brien@x.example"), "inbox")
    assert outlook_link.mailbox.find_message_id("o'brien@x.example") == [key]


def test_a_mailbox_without_a_licence_is_told_and_connected_without_mail(make_outlook: Make) -> None:
    link = make_outlook()
    link.box.enabled = False
    identity = link.connection.identity()
    assert "no mailbox in Microsoft 365" in identity.missing[0]
    with pytest.raises(Refused) as caught:
        link.mailbox.pin()
    assert (caught.value.code, caught.value.scope) == ("mailbox_unavailable", "source")


def test_a_line_that_cannot_be_verified_is_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    import ssl

    import httpx

    from connectors.microsoft.faults import from_line

    error = httpx.ConnectError("x")
    error.__cause__ = ssl.SSLCertVerificationError("bad")
    assert isinstance(from_line(error), OperatorFault)
