"""Graph's mail: folders, messages, bodies, attachments, search, filters; every answer held against Microsoft's OpenAPI."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from sandbox import World
from sandbox.microsoft.outlook import OutlookBox
from sandbox.torture import deliver_malformed
from tests.sandbox.conftest import BUYER, INA, NOW, OTTO
from tests.sandbox.letters import mail
from tests.sandbox.ms_client import GraphClient

INVITE = "BEGIN:VCALENDAR\r\nMETHOD:{}\r\nBEGIN:VEVENT\r\nATTENDEE;PARTSTAT={}:mailto:bea@northwind.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"


def to_ina(**more: object) -> bytes:
    return mail(to=INA, **more)  # type: ignore[arg-type]


def invitation(method: str, answer: str = "NEEDS-ACTION") -> bytes:
    head = f"From: {BUYER}\r\nTo: {INA}\r\nSubject: Demo\r\nMIME-Version: 1.0\r\n"
    kind = f"Content-Type: text/calendar; charset=utf-8;\r\n method={method}\r\n\r\n"
    return (head + kind + INVITE.format(method, answer)).encode()


def test_a_message_has_all_the_usual_properties(outlook: OutlookBox, graph: GraphClient) -> None:
    key = outlook.deliver(
        to_ina(sender=f'"Winter, Bea" <{BUYER}>', message_id="a1@northwind.example"), at=NOW.timestamp() - 60
    )
    shown = graph.get(f"/me/messages/{key}")
    assert shown["id"] == key
    assert shown["internetMessageId"] == "<a1@northwind.example>"
    assert (shown["receivedDateTime"], shown["sentDateTime"]) == ("2026-11-02T08:59:00Z", "2026-11-02T08:00:00Z")
    assert shown["from"] == {"emailAddress": {"name": "Winter, Bea", "address": BUYER}}
    assert shown["toRecipients"] == [{"emailAddress": {"name": INA, "address": INA}}]
    assert shown["body"]["contentType"] == "html"
    assert "Hello there &amp; welcome." in shown["body"]["content"]
    assert shown["bodyPreview"] == "Hello there & welcome."
    assert (shown["isDraft"], shown["isRead"], shown["hasAttachments"]) == (False, False, False)
    assert not {"uniqueBody", "internetMessageHeaders", "meetingMessageType"} & set(shown)


def test_a_body_comes_as_text_when_that_is_preferred(outlook: OutlookBox, graph: GraphClient) -> None:
    key = outlook.deliver(to_ina(html="<p>Hi <b>Ina</b></p>"))
    assert graph.get(f"/me/messages/{key}", select="body")["body"]["content"].startswith("<p>Hi")
    plain = graph.get(f"/me/messages/{key}", select="body", prefer='outlook.body-content-type="text"')
    assert plain["body"] == {"contentType": "text", "content": "Hello there & welcome.\r\n"}


def test_the_unique_body_leaves_out_what_was_quoted(outlook: OutlookBox, graph: GraphClient) -> None:
    text = "Yes, Thursday.\n\nOn Mon, 2 Nov 2026, Ina Holt wrote:\n> When shall we meet?\n"
    key = outlook.deliver(to_ina(text=text, html="<div>Yes, Thursday.</div><blockquote>When?</blockquote>"))
    words = graph.get(f"/me/messages/{key}", select="uniqueBody", prefer='outlook.body-content-type="text"')[
        "uniqueBody"
    ]
    assert words == {"contentType": "text", "content": "Yes, Thursday."}
    assert "blockquote" not in graph.get(f"/me/messages/{key}", select="uniqueBody")["uniqueBody"]["content"]


def test_headers_come_on_demand_and_never_with_sent_mail(outlook: OutlookBox, graph: GraphClient) -> None:
    came = outlook.deliver(to_ina(headers=[("In-Reply-To", "<x@y>")]))
    sent = outlook.send(mail(INA, BUYER, headers=[("In-Reply-To", "<x@y>")]))
    headers = graph.get(f"/me/messages/{came}", select="internetMessageHeaders")["internetMessageHeaders"]
    assert {"name": "In-Reply-To", "value": "<x@y>"} in headers
    assert "internetMessageHeaders" not in graph.get(f"/me/messages/{sent}", select="internetMessageHeaders,subject")
    assert b"In-Reply-To: <x@y>" in graph.ask(f"/me/messages/{sent}/$value").content


def test_answers_share_a_conversation(outlook: OutlookBox, graph: GraphClient) -> None:
    one = outlook.deliver(to_ina(message_id="a@x"))
    two = outlook.send(mail(INA, BUYER, "Re: Hello", headers=[("References", "<a@x>")]))
    ids = [graph.get(f"/me/messages/{key}", select="conversationId")["conversationId"] for key in (one, two)]
    assert ids[0] == ids[1]
    found = graph.items("/me/messages", filter=f"conversationId eq '{ids[0]}'", select="id")
    assert {item["id"] for item in found} == {one, two}


def test_attachments_have_their_content(outlook: OutlookBox, graph: GraphClient) -> None:
    key = outlook.deliver(to_ina(attachment=b"%PDF-1.7"))
    assert graph.get(f"/me/messages/{key}", select="hasAttachments")["hasAttachments"] is True
    (listed,) = graph.get(f"/me/messages/{key}/attachments", select="name,size,contentType,isInline")["value"]
    assert (listed["name"], listed["size"], listed["contentType"]) == ("quote.pdf", 8, "application/pdf")
    assert "contentBytes" not in listed
    whole = graph.get(f"/me/messages/{key}/attachments/{listed['id']}")
    assert base64.b64decode(whole["contentBytes"]) == b"%PDF-1.7"
    assert graph.error(f"/me/messages/{key}/attachments/nothing") == (404, "ErrorItemNotFound")


@pytest.mark.parametrize(
    ("method", "answer", "kind"),
    [
        ("REQUEST", "NEEDS-ACTION", "meetingRequest"),
        ("CANCEL", "NEEDS-ACTION", "meetingCancelled"),
        ("REPLY", "ACCEPTED", "meetingAccepted"),
        ("REPLY", "TENTATIVE", "meetingTenativelyAccepted"),
        ("REPLY", "DECLINED", "meetingDeclined"),
    ],
)
def test_meeting_mail_says_what_it_is(
    outlook: OutlookBox, graph: GraphClient, method: str, answer: str, kind: str
) -> None:
    key = outlook.deliver(invitation(method, answer))
    shown = graph.get(f"/me/messages/{key}", select="subject,microsoft.graph.eventMessage/meetingMessageType")
    assert shown["@odata.type"].startswith("#microsoft.graph.eventMessage")
    assert shown["meetingMessageType"] == kind


def test_folders_are_a_tree_in_the_language_of_the_mailbox(world: World, graph_for: Callable[..., GraphClient]) -> None:
    world.outlook("uwe@acme.example", language="de").folder("Kunden/Nordwind")
    graph = graph_for("uwe@acme.example")
    top = {one["displayName"]: one for one in graph.items("/me/mailFolders", top=5)}
    assert {"Posteingang", "Gesendete Elemente", "Kunden"} <= set(top)
    assert "Einstellungen für QuickSteps" not in top
    assert top["Kunden"]["childFolderCount"] == 1
    children = graph.items(f"/me/mailFolders/{top['Kunden']['id']}/childFolders")
    assert [one["displayName"] for one in children] == ["Nordwind"]
    every = graph.items("/me/mailFolders?includeHiddenFolders=true&$top=5")
    assert "Einstellungen für QuickSteps" in {one["displayName"] for one in every}
    assert graph.get("/me/mailFolders/inbox")["id"] == top["Posteingang"]["id"]
    named = graph.items("/me/mailFolders", filter="displayName eq 'Posteingang'", select="displayName")
    assert named == [{"id": top["Posteingang"]["id"], "displayName": "Posteingang"}]
    assert graph.error("/me/mailFolders", expand="childFolders") == (400, "BadRequest")
    assert graph.error("/me/mailFolders/nowhere") == (404, "ErrorItemNotFound")


def test_messages_are_listed_in_pages_newest_first(outlook: OutlookBox, graph: GraphClient) -> None:
    keys = [outlook.deliver(to_ina(), at=NOW.timestamp() + number) for number in range(25)]
    assert [one["id"] for one in graph.items("/me/messages", select="id")] == keys[::-1]
    assert len(graph.get("/me/messages")["value"]) == 10
    assert len(graph.pages("/me/mailFolders/inbox/messages", top=25)) == 1
    assert graph.error("/me/messages", top=1001) == (400, "BadRequest")


def test_filters_select_and_order(outlook: OutlookBox, graph: GraphClient) -> None:
    one = outlook.deliver(to_ina(message_id="a@x", subject="Offer"), at=NOW.timestamp() - 90)
    two = outlook.deliver(to_ina(sender="o'neil@northwind.example", subject="Offer 2"), at=NOW.timestamp() - 30)
    draft = outlook.draft_save(mail(INA, BUYER))

    def found(text: str, **more: str) -> list[str]:
        return [item["id"] for item in graph.items("/me/messages", filter=text, select="id", **more)]

    assert found("internetMessageId eq '<a@x>'") == [one]
    assert found("receivedDateTime ge 2026-11-02T08:59:00Z and isDraft eq false") == [two]
    assert found("from/emailAddress/address eq 'O''Neil@northwind.example'") == [two]
    assert found("isDraft eq true") == [draft]
    assert found("startswith(subject,'offer') and not (subject eq 'Offer')") == [two]
    assert set(found("toRecipients/any(r:r/emailAddress/address eq 'ina@acme.example')")) == {one, two}
    assert found("receivedDateTime lt 2026-11-02T08:59:50Z and isDraft eq false", orderby="receivedDateTime") == [
        one,
        two,
    ]
    refused = {"filter": "isDraft eq false", "orderby": "receivedDateTime desc"}
    assert graph.error("/me/messages", **refused) == (400, "InefficientFilter")
    assert graph.error("/me/messages", filter="nonsense eq 1")[0] == 400
    assert graph.error("/me/messages", filter="isDraft eq") == (400, "BadRequest")
    assert graph.error("/me/messages", select="nonsense") == (400, "BadRequest")


def test_people_are_found_by_address_domain_and_name(outlook: OutlookBox, graph: GraphClient) -> None:
    came = outlook.deliver(to_ina(sender=f"Bea Winter <{BUYER}>", subject="Offer for the depot"), at=NOW.timestamp())
    sent = outlook.send(mail(INA, f"{OTTO}, carl@other.example", "Numbers"), at=NOW.timestamp() + 1)
    outlook.deliver(to_ina(sender="news@letters.example"), at=NOW.timestamp() + 2)

    def found(text: str) -> list[str]:
        return [item["id"] for item in graph.items("/me/messages", search=f'"{text}"', select="id", top=1)]

    assert found(f"participants:{BUYER}") == [came]
    assert found("participants:northwind.example") == [came]
    assert found("from:winter") == found("from:bea") == [came]
    assert found(f"participants:{BUYER} OR to:carl@other.example") == [sent, came]
    assert found(f"participants:{BUYER} AND received>=2026-11-03") == []
    assert found("subject:depot NOT from:carl") == [came]
    assert found("(from:ina OR from:bea) AND received:2026-11-02..2026-11-03") == [sent, came]
    assert found("offer") == [came]
    assert found("to:nobody@northwind.example") == []


def test_a_search_stands_alone_in_quotes_and_ends_somewhere(
    world: World, outlook: OutlookBox, graph: GraphClient
) -> None:
    for _ in range(6):
        outlook.deliver(to_ina())
    world.microsoft.knobs.search_most = 5
    assert len(graph.items("/me/messages", search=f'"from:{BUYER}"', top=2)) == 5
    assert graph.error("/me/messages", search="from:bea") == (400, "BadRequest")
    assert graph.error("/me/messages", search='"a"', filter="isRead eq true") == (400, "SearchWithFilter")
    assert graph.error("/me/messages", search='"a"', orderby="subject") == (400, "SearchWithOrderBy")
    assert graph.error("/me/messages", search='"(a"') == (400, "BadRequest")
    assert graph.error("/me/messages", search='"colour:red"') == (400, "BadRequest")


def test_malformed_mail_is_shown_as_well_as_it_can_be(outlook: OutlookBox, graph: GraphClient) -> None:
    names = deliver_malformed(outlook, None)  # type: ignore[arg-type]
    heads = graph.items("/me/messages", select="id,subject,from,toRecipients,sentDateTime,internetMessageId", top=100)
    assert len(heads) == len(names)
    for name, key in names.items():
        if name != "big-body":
            graph.get(f"/me/messages/{key}", select="body,uniqueBody,internetMessageHeaders,bodyPreview,hasAttachments")
            graph.get(f"/me/messages/{key}/attachments")


def test_basic_permission_shows_no_words(outlook: OutlookBox, graph_for: Callable[..., GraphClient]) -> None:
    key = outlook.deliver(to_ina(attachment=b"x"))
    basic = graph_for(INA, "Mail.ReadBasic", "User.Read")
    assert not {"body", "bodyPreview"} & set(basic.get(f"/me/messages/{key}"))
    assert basic.error(f"/me/messages/{key}/attachments") == (403, "ErrorAccessDenied")
    assert basic.error("/me/calendars") == (403, "ErrorAccessDenied")


def test_another_mailbox_is_read_only_when_it_is_shared(
    world: World, outlook: OutlookBox, graph_for: Callable[..., GraphClient]
) -> None:
    key = world.outlook(OTTO).deliver(mail(to=OTTO))
    scopes = ("Mail.Read", "Mail.Read.Shared")
    assert graph_for(INA).error(f"/users/{OTTO}/messages") == (403, "ErrorAccessDenied")
    assert graph_for(INA, *scopes).error(f"/users/{OTTO}/messages") == (403, "ErrorAccessDenied")
    world.outlook(OTTO).share_with(INA)
    assert [one["id"] for one in graph_for(INA, *scopes).items(f"/users/{OTTO}/messages")] == [key]
    assert graph_for(INA, *scopes).items(f"/users/{world.outlook(OTTO).oid}/mailFolders/inbox/messages")


def test_an_app_reads_every_mailbox_of_its_tenant_that_it_may(
    world: World, graph_for: Callable[..., GraphClient]
) -> None:
    world.outlook(INA).deliver(to_ina())
    world.microsoft.user("desk@acme.example", licensed=False)
    world.outlook("eve@other.example")
    world.microsoft.entra.allow("acme.example")
    app = graph_for(token=world.microsoft.app_token("acme.example"))
    users = app.items(
        "/users", select="id,mail,userPrincipalName,accountEnabled,assignedLicenses,proxyAddresses", top=1
    )
    assert {one["userPrincipalName"]: bool(one["assignedLicenses"]) for one in users} == {
        INA: True,
        "desk@acme.example": False,
    }
    assert len(app.items(f"/users/{INA}/messages")) == 1
    assert app.error("/users/desk@acme.example/messages") == (404, "MailboxNotEnabledForRESTAPI")
    assert app.error("/users/eve@other.example/messages") == (404, "Request_ResourceNotFound")
    assert app.error("/me/messages") == (400, "BadRequest")
    assert app.ask(f"/users/{INA}/mailboxSettings").json()["userPurpose"] == "user"
    world.outlook(INA).blocked = True
    assert app.error(f"/users/{INA}/messages") == (403, "ErrorAccessDenied")
    assert graph_for(INA).items("/me/messages")
    narrow = graph_for(token=world.microsoft.app_token("acme.example", ("Mail.Read",)))
    assert narrow.error("/users") == (403, "Authorization_RequestDenied")


def test_a_user_knows_its_own_addresses(outlook: OutlookBox, graph: GraphClient) -> None:
    outlook.add_alias("sales@acme.example")
    me = graph.get("/me", select="id,mail,userPrincipalName,proxyAddresses,otherMails")
    assert me["proxyAddresses"] == [f"SMTP:{INA}", "smtp:sales@acme.example"]
    assert me["id"] == outlook.oid
    assert graph.get(f"/users/{outlook.oid}") == graph.get("/me") == graph.get("/users/sales@acme.example")
