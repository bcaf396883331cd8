"""Gmail's search language, asked over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from googleapiclient.errors import HttpError

from sandbox import World
from sandbox.mailbox import Mailbox
from tests.sandbox.client import Google, reason_of
from tests.sandbox.conftest import ME
from tests.sandbox.letters import mail

ANN, BEA, CAL = "ann@north.example", "bea@eu.south.example", "cal@gmail.com"


def day(month: int, day: int, hour: int = 12) -> float:
    return datetime(2026, month, day, hour, tzinfo=UTC).timestamp()


@pytest.fixture
def ids(box: Mailbox) -> dict[str, str]:
    found = {
        "ann": box.deliver(
            mail(f"Ann Archer <{ANN}>", ME, "Lorry prices", message_id="one@north.example"), at=day(9, 1)
        ),
        "bea": box.deliver(mail(BEA, ME, "Depot", "The purple gate is shut."), at=day(9, 10)),
        "to-ann": box.deliver(mail(ME, ANN, "Re: Lorry prices"), at=day(9, 20)),
        "copied": box.deliver(mail(CAL, ME, "Both", headers=[("Cc", BEA)]), at=day(10, 1)),
        "spam": box.deliver(mail(ANN, ME, "Win"), ["SPAM"], at=day(10, 5)),
        "trash": box.deliver(mail(ANN, ME, "Old"), ["TRASH"], at=day(10, 6)),
        "chat": box.deliver(mail(ANN, ME, "hi"), ["CHAT"], at=day(10, 7)),
        "pdf": box.deliver(mail(CAL, ME, "Quote", attachment=b"%PDF"), ["INBOX", "Big deals"], at=day(10, 8)),
    }
    found["draft"] = box.drafts[box.draft_save(mail(ME, BEA, "Unfinished"))]
    return found


QUERIES = {
    "from:ann@north.example": "chat to-ann ann".replace("to-ann ", ""),
    "from:ANN@north.example": "chat ann",
    "from:archer": "ann",
    "to:ann@north.example": "to-ann",
    "cc:bea@eu.south.example": "copied",
    "from:south.example": "bea",
    "from:@eu.south.example": "bea",
    "{from:ann@north.example to:ann@north.example} -in:chats": "to-ann ann",
    "from:(ann@north.example OR bea@eu.south.example) -in:chats": "bea ann",
    "from:ann@north.example OR from:bea@eu.south.example -in:chats": "bea ann",
    "(from:cal@gmail.com has:attachment) OR from:bea@eu.south.example": "pdf bea",
    "from:me": "draft to-ann",
    "from:me -in:drafts": "to-ann",
    "in:drafts": "draft",
    "in:sent": "to-ann",
    "in:inbox from:gmail.com": "pdf copied",
    "in:spam": "spam",
    "in:trash": "trash",
    "in:anywhere from:ann@north.example": "chat trash spam ann",
    "label:big-deals": "pdf",
    "label:no-such-label": "",
    "is:unread": "copied bea ann",
    "has:attachment": "pdf",
    "rfc822msgid:one@north.example": "ann",
    "rfc822msgid:<one@north.example>": "ann",
    "rfc822msgid:nobody@knows.example": "",
    "subject:lorry": "to-ann ann",
    "subject:(lorry prices)": "to-ann ann",
    'subject:"Lorry prices" from:ann@north.example': "ann",
    "purple": "bea",
    '"purple gate"': "bea",
    "-from:ann@north.example -from:me from:example": "bea",
    f"after:{int(day(9, 10))} before:{int(day(9, 20))}": "bea",
    f"after:{int(day(9, 10)) + 1} before:{int(day(9, 20)) + 1}": "to-ann",
    "older_than:60d": "ann",
    "newer_than:30d in:inbox": "pdf",
}


@pytest.mark.parametrize(("query", "wanted"), QUERIES.items())
def test_it_finds(query: str, wanted: str, google: Google, ids: dict[str, str]) -> None:
    assert google.search(query) == [ids[name] for name in wanted.split()]


def test_plain_dates_begin_at_midnight_in_california_and_epochs_mean_what_they_say(
    google: Google, box: Mailbox
) -> None:
    before, after = box.deliver(mail(), at=day(9, 10, 7)), box.deliver(mail(), at=day(9, 10, 9))
    assert google.search("after:2026/09/10") == [after]
    assert google.search("before:2026/9/10") == [before]
    assert google.search("after:09/10/2026") == [after]
    assert google.search(f"after:{int(day(9, 10, 7))}") == [after, before]


def test_spam_and_trash_are_hidden_unless_asked_for(google: Google, ids: dict[str, str]) -> None:
    assert len(google.search("", includeSpamTrash=True)) == len(google.search("")) + 2
    assert google.search("", labelIds=["SPAM"]) == [ids["spam"]]
    assert google.search("", labelIds=["INBOX", "UNREAD"]) == [ids[name] for name in ("copied", "bea", "ann")]


def test_pages_lose_and_double_nothing_while_mail_arrives(world: World, google: Google, box: Mailbox) -> None:
    there = [box.deliver(mail(), at=day(9, 1) + number) for number in range(30)]
    seen, token = [], None
    for _ in range(10):
        page = google.call(google.messages.list(userId="me", maxResults=7, pageToken=token))
        seen += [one["id"] for one in page.get("messages", [])]
        box.deliver(mail())
        box.delete(there[-1]) if there[-1] in seen and there[-1] in box.messages else None
        token = page.get("nextPageToken")
        if token is None:
            break
    assert seen == there[::-1]


def test_an_empty_page_has_no_messages_key(google: Google) -> None:
    assert google.call(google.messages.list(userId="me")) == {"resultSizeEstimate": 0}


def test_short_pages_can_be_forced(world: World, google: Google, ids: dict[str, str]) -> None:
    world.knobs.page_size = 2
    assert len(google.call(google.messages.list(userId="me"))["messages"]) == 2
    assert len(google.search("")) == 7


def test_a_metadata_grant_may_not_search_or_open(google_for, ids: dict[str, str]) -> None:
    google = google_for(ME, "https://www.googleapis.com/auth/gmail.metadata")
    google.call(google.messages.list(userId="me", labelIds=["INBOX"]))
    google.call(google.messages.get(userId="me", id=ids["ann"], format="metadata"))
    for request in (google.messages.list(userId="me", q=""), google.messages.get(userId="me", id=ids["ann"])):
        with pytest.raises(HttpError) as caught:
            request.execute()
        assert reason_of(caught.value) == (403, "forbidden")
    with pytest.raises(HttpError) as caught:
        google.users.settings().sendAs().list(userId="me").execute()
    assert reason_of(caught.value) == (403, "insufficientPermissions")
