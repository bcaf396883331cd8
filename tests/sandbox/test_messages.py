"""How Gmail shows messages: formats, masks, parts, threads, labels, drafts, own addresses."""

from __future__ import annotations

import base64

import pytest
from googleapiclient.errors import HttpError

from sandbox import World
from sandbox.mailbox import Mailbox
from tests.sandbox.client import Google, error_of, reason_of
from tests.sandbox.conftest import BUYER, ME
from tests.sandbox.letters import mail


def got(google: Google, message: str, **given) -> dict:
    return google.call(google.messages.get(userId="me", id=message, **given))


def test_each_format_shows_what_it_promises(google: Google, box: Mailbox) -> None:
    raw = mail(text="Tea & cake", html="<p>Tea &amp; cake</p>")
    message = box.deliver(raw)
    minimal, full = got(google, message, format="minimal"), got(google, message)
    assert set(minimal) == {"id", "threadId", "labelIds", "snippet", "historyId", "internalDate", "sizeEstimate"}
    assert minimal["snippet"] == "Tea &amp; cake"
    assert set(full) == set(minimal) | {"payload"}
    plain, marked = full["payload"]["parts"]
    assert (plain["partId"], plain["filename"], plain["mimeType"]) == ("0", "", "text/plain")
    assert base64.urlsafe_b64decode(marked["body"]["data"] + "==").strip() == b"<p>Tea &amp; cake</p>"
    assert base64.urlsafe_b64decode(got(google, message, format="raw")["raw"] + "==") == raw
    some = got(google, message, format="metadata", metadataHeaders=["from", "Subject"])["payload"]["headers"]
    assert [one["name"] for one in some] == ["From", "Subject"]


def test_a_mask_cuts_the_answer_down(google: Google, box: Mailbox) -> None:
    message = box.deliver(mail(html="<p>Hi</p>"))
    shown = got(google, message, fields="id,payload(headers,parts(partId,body/size))")
    assert set(shown) == {"id", "payload"}
    assert set(shown["payload"]) == {"headers", "parts"}
    assert shown["payload"]["parts"][0]["body"].keys() == {"size"}
    page = google.call(google.messages.list(userId="me", fields="messages/id,nextPageToken"))
    assert page == {"messages": [{"id": message}]}
    assert google.call(google.users.getProfile(userId="me", fields="historyId")).keys() == {"historyId"}
    with pytest.raises(HttpError) as caught:
        google.messages.get(userId="me", id=message, fields="id,(").execute()
    assert caught.value.resp.status == 400


def test_an_attachment_is_named_anew_each_time_and_opens_by_any_of_its_names(google: Google, box: Mailbox) -> None:
    message = box.deliver(mail(attachment=b"%PDF-1.4 quote"))
    names = []
    for _ in range(2):
        part = got(google, message)["payload"]["parts"][1]
        assert (part["filename"], part["body"]["size"]) == ("quote.pdf", 14)
        names.append(part["body"]["attachmentId"])
        content = google.messages.attachments().get(userId="me", messageId=message, id=names[-1]).execute()
        assert base64.urlsafe_b64decode(content["data"]) == b"%PDF-1.4 quote"
    assert names[0] != names[1]


def test_a_conversation_holds_together_by_references_and_subject(google: Google, box: Mailbox) -> None:
    first = box.deliver(mail(subject="Prices", message_id="a@x"))
    answer = box.deliver(mail(ME, BUYER, "Re: Prices", message_id="b@x", headers=[("In-Reply-To", "<a@x>")]))
    other = box.deliver(mail(ME, BUYER, "Something else", headers=[("References", "<a@x>")]))
    thread = google.call(google.users.threads().get(userId="me", id=first, format="minimal"))
    assert [one["id"] for one in thread["messages"]] == [first, answer]
    assert thread["historyId"] == str(box.messages[answer].history)
    listed = google.pages(google.users.threads().list, "threads", userId="me")
    assert {one["id"] for one in listed} == {first, other}


def test_a_draft_changes_its_message_with_each_save_and_is_replaced_when_sent(google: Google, box: Mailbox) -> None:
    draft = box.draft_save(mail(ME, BUYER, "Offer", "Version 1"))
    before = google.call(google.users.drafts().get(userId="me", id=draft))["message"]
    box.draft_save(mail(ME, BUYER, "Offer", "Version 2"), draft)
    after = google.call(google.users.drafts().list(userId="me"))["drafts"][0]["message"]
    assert after["id"] != before["id"]
    assert after["threadId"] == before["threadId"]
    sent = got(google, box.draft_send(draft), format="minimal")
    assert (sent["labelIds"], sent["threadId"]) == (["SENT"], before["threadId"])
    assert google.call(google.users.drafts().list(userId="me")) == {"resultSizeEstimate": 0}
    with pytest.raises(HttpError) as caught:
        got(google, after["id"])
    assert reason_of(caught.value) == (404, "notFound")


def test_labels_count_what_lies_in_them(google: Google, box: Mailbox) -> None:
    one, two = box.deliver(mail()), box.deliver(mail())
    box.label(one, ["Customers/North"], ["UNREAD"])
    box.label(two, ["customers/north"])
    labels = {label["name"]: label for label in google.call(google.users.labels().list(userId="me"))["labels"]}
    assert labels["INBOX"]["type"] == "system"
    assert labels["Customers/North"]["type"] == "user"
    shown = google.call(google.users.labels().get(userId="me", id=labels["Customers/North"]["id"]))
    assert (shown["messagesTotal"], shown["messagesUnread"]) == (2, 1)


def test_own_addresses_are_the_profile_and_the_send_as_aliases(google: Google, box: Mailbox) -> None:
    box.add_alias("sales@acme.example", "Sales")
    box.add_alias("old@acme.example", status="pending")
    found = google.call(google.users.settings().sendAs().list(userId="me"))["sendAs"]
    assert [(one["sendAsEmail"], one.get("verificationStatus")) for one in found] == [
        *((ME, None), ("sales@acme.example", "accepted"), ("old@acme.example", "pending")),
    ]
    assert found[0]["isPrimary"]
    sent = box.deliver(mail("sales@acme.example", BUYER))
    assert box.messages[sent].labels == {"SENT"}


def test_a_new_mail_may_not_be_readable_yet(world: World, google: Google, box: Mailbox) -> None:
    world.knobs.visibility_delay = 5
    message = box.deliver(mail())
    assert google.search("") == []
    with pytest.raises(HttpError) as caught:
        got(google, message)
    assert reason_of(caught.value) == (404, "notFound")
    world.clock.advance(5)
    assert google.search("") == [message] == [got(google, message)["id"]]


@pytest.mark.parametrize(
    ("path", "given", "status", "reason"),
    [
        ("/gmail/v1/users/me/messages/0123456789abcdef", {}, 404, "notFound"),
        ("/gmail/v1/users/me/messages/nonsense", {}, 400, "invalidArgument"),
        ("/gmail/v1/users/me/messages", {"maxResults": "many"}, 400, "invalidArgument"),
        ("/gmail/v1/users/me/messages", {"labelIds": "NOPE"}, 400, "invalidArgument"),
        ("/gmail/v1/users/me/history", {}, 400, "invalidArgument"),
        (
            "/gmail/v1/users/me/history",
            {"startHistoryId": "1", "historyTypes": "messagesAdded"},
            400,
            "invalidArgument",
        ),
        ("/gmail/v1/users/other@acme.example/profile", {}, 403, "forbidden"),
        ("/gmail/v1/users/me/nothing", {}, 404, "notFound"),
        ("/calendar/v3/calendars/nobody/events", {}, 404, "notFound"),
        ("/calendar/v3/calendars/primary/events/nothing", {}, 404, "notFound"),
    ],
)
def test_a_refusal_has_googles_envelope(google: Google, path: str, given: dict, status: int, reason: str) -> None:
    answer = google.get(path, **given)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["errors"][0]["reason"]) == (status, status, reason)
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert ("status" in error) == path.startswith("/gmail")


def test_a_bad_token_and_a_missing_scope_are_told_apart(google: Google, google_for) -> None:
    google.token = "ya29.wrong"
    refused = google.get("/gmail/v1/users/me/profile")
    assert (refused.status_code, refused.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    narrow = google_for(ME, "https://www.googleapis.com/auth/calendar.readonly")
    with pytest.raises(HttpError) as caught:
        narrow.users.getProfile(userId="me").execute()
    error = error_of(caught.value)
    assert error["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert 'error="insufficient_scope"' in caught.value.resp["www-authenticate"]
