"""Batches on the wire, and what a mailbox may spend: units a minute, requests at once."""

from __future__ import annotations

import pytest
from googleapiclient.errors import HttpError

from sandbox import World
from sandbox.mailbox import Mailbox
from tests.sandbox.client import Google, reason_of
from tests.sandbox.conftest import ME
from tests.sandbox.letters import mail

MARK = "batch-mark"


def raw_batch(google: Google, count: int = 2, *, content_id: str = "<b1f6 + {}>") -> bytes:
    """The bytes of a batch's answer, without a client library in between."""
    parts = []
    for number in range(count):
        head = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
        head += f"Content-ID: {content_id.format(number)}\r\n" if content_id else ""
        parts.append(f"--{MARK}\r\n{head}\r\nGET /gmail/v1/users/me/profile HTTP/1.1\r\n\r\n\r\n")
    import httpx

    body = "".join(parts) + f"--{MARK}--\r\n"
    headers = {"Authorization": f"Bearer {google.token}", "Content-Type": f'multipart/mixed; boundary="{MARK}"'}
    return httpx.post(f"{google.server.url}/batch/gmail/v1", headers=headers, content=body).content


def test_a_batch_answers_with_crlf_and_the_content_id_of_each_part(google: Google) -> None:
    answer = raw_batch(google)
    assert b"\n" not in answer.replace(b"\r\n", b"")
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    for number in range(2):
        assert f"Content-ID: <response-b1f6 + {number}>\r\n".encode() in answer
    assert answer.startswith(b"--batch_")
    assert answer.endswith(b"--\r\n")


def test_parts_without_a_name_are_answered_without_one(google: Google) -> None:
    assert b"Content-ID" not in raw_batch(google, content_id="")


def test_each_part_succeeds_or_fails_by_itself(google: Google, box: Mailbox) -> None:
    there = box.deliver(mail())
    requests = [google.messages.get(userId="me", id=one, format="minimal") for one in (there, "0" * 16, there)]
    first, second, third = google.batch(requests)
    assert first["id"] == third["id"] == there
    assert reason_of(second) == (404, "notFound")


def test_more_than_a_hundred_parts_are_refused_whole(google: Google) -> None:
    answer = raw_batch(google, 101)
    assert b"Inner request count exceeds the limit. Received: 101, Limit: 100" in answer
    assert raw_batch(google, 100).count(b"200 OK") == 100


def test_a_body_that_is_no_batch_is_refused(google: Google) -> None:
    assert b"badRequest" in raw_batch(google, 0)


def test_units_run_out_and_come_back_with_the_sliding_minute(world: World, google: Google, box: Mailbox) -> None:
    message = box.deliver(mail())
    world.knobs.enforce_quota, world.knobs.units_per_minute = True, 50
    get = google.messages.get(userId="me", id=message, format="minimal")
    get.execute()
    world.clock.advance(30)
    get.execute()
    with pytest.raises(HttpError) as caught:
        get.execute()
    assert reason_of(caught.value) == (403, "rateLimitExceeded")
    assert b"Quota exceeded for quota metric" in caught.value.content
    google.users.getProfile(userId="me").execute()
    world.clock.advance(30)
    get.execute()
    assert world.stats.units[ME] == 61
    assert world.stats.peak_units(ME) == 41


@pytest.mark.parametrize(
    ("profile", "units"), [("2026", 20 + 40 + 5 + 10 + 2 + 1), ("legacy", 5 + 10 + 5 + 10 + 2 + 1)]
)
def test_each_call_costs_what_the_profile_says(
    world: World, google: Google, box: Mailbox, profile: str, units: int
) -> None:
    world.knobs.cost_profile = profile
    message = box.deliver(mail())
    google.messages.get(userId="me", id=message).execute()
    google.users.threads().get(userId="me", id=message).execute()
    google.messages.list(userId="me").execute()
    google.users.threads().list(userId="me").execute()
    google.users.history().list(userId="me", startHistoryId="10000").execute()
    google.users.getProfile(userId="me").execute()
    assert world.stats.units[ME] == units


def test_a_part_of_a_batch_costs_as_much_as_a_call(world: World, google: Google, box: Mailbox) -> None:
    world.knobs.enforce_quota, world.knobs.units_per_minute = True, 60
    message = box.deliver(mail())
    answers = google.batch([google.messages.get(userId="me", id=message, format="minimal") for _ in range(5)])
    assert [isinstance(one, HttpError) for one in answers] == [False, False, False, True, True]


def test_the_gate_lets_so_many_through_at_once_and_parts_count(world: World, google: Google) -> None:
    world.knobs.concurrency_limit = 3
    answers = google.batch([google.users.getProfile(userId="me") for _ in range(5)])
    refused = [one for one in answers if isinstance(one, HttpError)]
    assert [reason_of(one) for one in refused] == [(429, "rateLimitExceeded")] * 2
    assert world.stats.peak_concurrency[ME] == 3
    assert world.stats.statuses[429] == 2
    assert len(google.batch([google.users.getProfile(userId="me") for _ in range(3)])) == 3


def test_calendar_has_its_own_minute(world: World, google: Google) -> None:
    world.knobs.enforce_quota, world.knobs.calendar_per_minute = True, 2
    request = google.events.list(calendarId="primary")
    request.execute(), request.execute()
    with pytest.raises(HttpError) as caught:
        request.execute()
    assert reason_of(caught.value) == (403, "userRateLimitExceeded")
    world.clock.advance(60)
    request.execute()


def test_the_record_names_every_request_and_its_quota_user(world: World, google: Google, box: Mailbox) -> None:
    message = box.deliver(mail())
    google.messages.get(userId="me", id=message, quotaUser="hash-1").execute()
    seen = world.stats.record[-1]
    assert (seen.operation, seen.account, seen.item, seen.status, seen.units) == (
        "gmail.messages.get",
        ME,
        message,
        200,
        20,
    )
    assert seen.quota_user == "hash-1"
    assert world.stats.as_json()["quota_users"] == {"hash-1": 1}
    world.stats.clear()
    assert world.stats.as_json()["requests"] == {}
