"""Every operation, driven by Google's own library; every answer held against the discovery documents."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sandbox import World
from sandbox.mailbox import Mailbox
from sandbox.paths import OPERATIONS
from sandbox.torture import deliver_malformed
from tests.sandbox import conform
from tests.sandbox.client import Google
from tests.sandbox.conftest import BUYER, ME, NOW
from tests.sandbox.letters import mail

TOPIC, SUB = "projects/p/topics/t", "projects/p/subscriptions/s"
OWN_NAMES = {
    "gmail.": "gmail.users.",
    "directory.": "directory.",
    "calendar.": "calendar.",
    "pubsub.": "pubsub.projects.",
}


@pytest.fixture
def full(world: World, box: Mailbox) -> dict[str, str]:
    """A world with some of everything in it."""
    box.add_alias("sales@acme.example", "Sales")
    ids = {"plain": box.deliver(mail()), "rich": box.deliver(mail(attachment=b"%PDF" * 50, html="<p>Hi</p>"))}
    ids["answer"] = box.deliver(mail(ME, BUYER, "Re: Hello", headers=[("In-Reply-To", "<x@y>")]))
    box.label(ids["plain"], ["STARRED", "Customers/North"])
    ids["draft"] = box.draft_save(mail(ME, BUYER, "Offer"))
    gone = box.deliver(mail(subject="Oops"))
    box.trash(gone)
    box.delete(gone)
    calendar = world.almanac.calendar(ME)
    start = NOW + timedelta(days=1)
    ids["event"] = world.almanac.meet(ME, [BUYER], start, start + timedelta(hours=1), "Demo", names={BUYER: "Bea"})
    weekly = {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=5"]}
    ids["series"] = world.almanac.meet(ME, [BUYER], start, start + timedelta(hours=1), "Round", **weekly)
    second = (start + timedelta(days=7)).strftime("%Y%m%dT%H%M%SZ")
    world.almanac.change(calendar, f"{ids['series']}_{second}", summary="Round, moved")
    world.almanac.cancel(calendar, ids["event"])
    world.almanac.put(calendar, {"summary": "Fair", "start": {"date": "2026-11-05"}, "end": {"date": "2026-11-07"}})
    world.admins.add(ME)
    world.pubsub.subscribe(SUB, TOPIC)
    return ids


def every_request(google: Google, ids: dict[str, str]) -> list[Any]:
    """One request or more of each reading operation."""
    users, messages, events, mine = google.users, google.messages, google.events, {"userId": "me"}
    made = [users.getProfile(**mine), messages.list(**mine), messages.list(**mine, q="from:bea", maxResults=1)]
    for key in ("plain", "rich", "answer"):
        made += [messages.get(**mine, id=ids[key], format=form) for form in ("minimal", "metadata", "full", "raw")]
    made += [users.threads().list(**mine), users.labels().list(**mine), users.labels().get(**mine, id="INBOX")]
    made += [users.threads().get(**mine, id=ids["plain"], format=form) for form in ("minimal", "metadata", "full")]
    made += [users.labels().get(**mine, id="Label_1"), users.settings().sendAs().list(**mine)]
    made += [users.history().list(**mine, startHistoryId="10000"), users.drafts().list(**mine)]
    made += [users.drafts().get(**mine, id=ids["draft"])]
    made += [google.calendar.calendarList().list(), google.calendar.calendars().get(calendarId="primary")]
    made += [
        events.list(calendarId="primary", singleEvents=single, showDeleted=shown)
        for single in (0, 1)
        for shown in (0, 1)
    ]
    made += [events.get(calendarId="primary", eventId=ids[key]) for key in ("event", "series")]
    made += [events.instances(calendarId="primary", eventId=ids["series"])]
    return made


def test_every_answer_is_as_the_discovery_documents_say(google: Google, full: dict[str, str]) -> None:
    for request in every_request(google, full):
        google.call(request)


def test_every_answer_is_so_through_batches_too(google: Google, full: dict[str, str]) -> None:
    requests = every_request(google, full)
    for api, service in (("gmail", google.gmail), ("calendar", google.calendar)):
        chosen = [one for one in requests if one.methodId.startswith(api)]
        assert all(isinstance(answer, dict) for answer in google.batch(chosen, service))


def test_watching_pulling_and_listing_users_conform(world: World, google: Google, full: dict[str, str]) -> None:
    subscriptions = google.pubsub.projects().subscriptions()
    google.call(google.users.watch(userId="me", body={"topicName": TOPIC}))
    pulled = google.call(subscriptions.pull(subscription=SUB, body={"maxMessages": 5}))["receivedMessages"]
    ack = {"ackIds": [pulled[0]["ackId"]]}
    google.call(subscriptions.modifyAckDeadline(subscription=SUB, body={**ack, "ackDeadlineSeconds": 60}))
    google.call(subscriptions.acknowledge(subscription=SUB, body=ack))
    google.call(google.users.stop(userId="me"))
    body = {"id": "channel-1", "type": "web_hook", "address": "http://127.0.0.1:1/", "token": "t"}
    channel = google.call(google.events.watch(calendarId="primary", body=body))
    google.call(google.calendar.channels().stop(body={"id": "channel-1", "resourceId": channel["resourceId"]}))
    google.call(google.directory.users().list(domain="acme.example"))
    part = google.call(google.messages.get(userId="me", id=full["rich"]))["payload"]["parts"][1]
    attachment = google.messages.attachments()
    google.call(attachment.get(userId="me", messageId=full["rich"], id=part["body"]["attachmentId"]))


def test_malformed_mail_is_shown_in_the_right_shape(google: Google, box: Mailbox) -> None:
    ids = deliver_malformed(box)
    for name, message in ids.items():
        if name != "big-body":
            for form in ("minimal", "metadata", "full", "raw"):
                google.call(google.messages.get(userId="me", id=message, format=form))
    big = google.call(google.messages.get(userId="me", id=ids["big-body"], format="minimal"))
    assert big["sizeEstimate"] == 25_000_000


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_offered_operation_is_one_of_googles_and_is_driven_above(operation: str) -> None:
    method = next(true + operation.removeprefix(own) for own, true in OWN_NAMES.items() if operation.startswith(own))
    assert method in conform.methods(method.partition(".")[0])
    source = f"{every_request.__code__.co_names}{test_watching_pulling_and_listing_users_conform.__code__.co_names}"
    assert method.rpartition(".")[2] in source


def test_the_checker_finds_what_is_wrong() -> None:
    found = conform.faults("gmail.users.getProfile", {"historyId": 5, "messagesTotal": "7", "colour": "red"})
    assert len(found) == 3
    assert conform.faults("gmail.users.getProfile", {"historyId": "-5"})
    assert conform.faults("gmail.users.messages.attachments.get", {"data": "?!"})
    assert conform.faults("calendar.events.get", {"updated": "2026-11-02T09:00:00"})
    assert conform.faults("gmail.users.stop", {"a": 1})
    assert not conform.faults("gmail.users.getProfile", {"historyId": "5"})
