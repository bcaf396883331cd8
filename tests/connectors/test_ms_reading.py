"""What is read of a mail in Outlook, and what a search finds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connectors.items import Listed, Message, Unreadable
from tests.connectors.contract import NOW, letter, pages
from tests.connectors.ms_link import OutlookLink
from tests.support import BUYER, REP, mail

Make = Callable[..., OutlookLink]


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
