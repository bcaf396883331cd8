"""Each named fault does what section 8 of the provider contract says, when it is told to, and to whom."""

from __future__ import annotations

import json
from typing import Any

import httplib2
import httpx
import pytest
from googleapiclient.errors import HttpError

from sandbox import Server, World
from sandbox.mailbox import Mailbox
from sandbox.presets import PRESETS
from sandbox.torture import malformed
from tests.sandbox.client import Google
from tests.sandbox.conftest import BUYER, ME, NOW
from tests.sandbox.letters import mail

GMAIL = "/gmail/v1/users/me"
LIST, HISTORY, EVENTS = (
    f"{GMAIL}/messages",
    f"{GMAIL}/history?startHistoryId=10000",
    "/calendar/v3/calendars/primary/events",
)
ANY = {"profile": f"{GMAIL}/profile", "list": LIST, "history": HISTORY, "events": EVENTS}


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def refresh(server: Server, token: str) -> httpx.Response:
    given = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "c", "client_secret": "s"}
    return httpx.post(f"{server.url}/token", data=given)


TOKEN_FAULTS = [
    ("F01", "", 400, "invalid_grant", "Token has been expired or revoked."),
    ("F03", "", 400, "invalid_grant", "invalid_rapt"),
    ("F04", "", 401, "unauthorized_client", "Client is unauthorized"),
    ("F04", "clock", 400, "invalid_grant", "short-lived token"),
    ("F05", "", 401, "invalid_client", "The OAuth client was not found."),
    ("F05", "deleted_client", 401, "deleted_client", "The OAuth client was not found."),
]


@pytest.mark.parametrize(("fault", "variant", "status", "error", "text"), TOKEN_FAULTS)
def test_the_token_endpoint_refuses(
    fault: str, variant: str, status: int, error: str, text: str, world: World, server: Server
) -> None:
    world.faults.add(fault, variant=variant)
    answer = refresh(server, world.refresh_token(ME))
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert text in answer.text
    if fault == "F03":
        assert answer.json()["error_subtype"] == "invalid_rapt"


def test_f02_answers_html_three_times_and_then_recovers(world: World, server: Server) -> None:
    world.faults.add("F02")
    answers = [refresh(server, world.refresh_token(ME)) for _ in range(4)]
    assert [one.status_code for one in answers] == [503, 503, 503, 200]
    assert answers[0].headers["content-type"].startswith("text/html")


def test_f06_and_f07_take_a_scope_and_the_refresh_token_away(world: World, server: Server) -> None:
    world.knobs.auto_consent = world.grants.rotate = True
    world.faults.add("F06")
    assert "calendar" not in refresh(server, world.refresh_token(ME)).json()["scope"]
    world.faults.add("F07")
    assert "refresh_token" not in refresh(server, world.refresh_token(ME)).json()


API_FAULTS = [
    ("F08", "", "profile", 401, "authError"),
    ("F09", "", "list", 403, "rateLimitExceeded"),
    ("F10", "", "list", 429, "rateLimitExceeded"),
    ("F11", "", "list", 429, "userRateLimitExceeded"),
    ("F12", "", "list", 403, "dailyLimitExceeded"),
    ("F13", "", "list", 403, "domainPolicy"),
    ("F14", "", "list", 403, "insufficientPermissions"),
    ("F15", "", "list", 403, "accessNotConfigured"),
    ("F16", "", "list", 400, "failedPrecondition"),
    ("F18", "", "history", 404, "notFound"),
    ("F38", "", "events", 404, "notFound"),
    ("F39", "", "events", 403, "userRateLimitExceeded"),
    ("F39", "429", "events", 429, "rateLimitExceeded"),
    ("F39", "quota", "events", 403, "quotaExceeded"),
]


@pytest.mark.parametrize(("fault", "variant", "place", "status", "why"), API_FAULTS)
def test_an_api_refuses(
    fault: str, variant: str, place: str, status: int, why: str, world: World, google: Google
) -> None:
    world.faults.add(fault, variant=variant)
    assert reason(google.get(ANY[place])) == (status, why)
    assert world.stats.record[-1].fault == fault


def test_f11_names_the_time_and_f14_the_missing_scope(world: World, google: Google) -> None:
    world.faults.add("F11", seconds=600)
    assert "Retry after 2026-11-02T09:10:00.000Z" in google.get(LIST).text
    world.faults.add("F14")
    answer = google.get(LIST)
    assert answer.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_f17_refuses_only_what_a_metadata_grant_may_not(world: World, google: Google, box: Mailbox) -> None:
    message = box.deliver(mail())
    world.faults.add("F17")
    assert reason(google.get(LIST, q="x")) == (403, "forbidden")
    assert reason(google.get(f"{LIST}/{message}")) == (403, "forbidden")
    assert google.get(LIST).status_code == google.get(f"{LIST}/{message}", format="metadata").status_code == 200


def test_f19_gives_a_page_without_records_and_then_the_records(world: World, google: Google, box: Mailbox) -> None:
    box.deliver(mail())
    world.faults.add("F19")
    first = google.get(HISTORY).json()
    assert set(first) == {"historyId", "nextPageToken"}
    assert len(google.get(f"{HISTORY}&pageToken={first['nextPageToken']}").json()["history"]) == 1


def test_f20_repeats_records_and_leaves_some_untyped(world: World, google: Google, box: Mailbox) -> None:
    message = box.deliver(mail())
    world.faults.add("F20")
    records = google.get(HISTORY).json()["history"]
    assert [one["messages"][0]["id"] for one in records] == [message] * 3
    assert sum("messagesAdded" in one for one in records) == 2


def test_f21_cuts_the_connection_at_the_second_page(world: World, google: Google) -> None:
    world.faults.add("F21")
    assert google.get(HISTORY).status_code == 200
    with pytest.raises(httpx.TransportError):
        google.get(HISTORY)
    assert google.get(HISTORY).status_code == 200


def test_f22_finds_the_message_only_later(world: World, google: Google, box: Mailbox) -> None:
    path = f"{LIST}/{box.deliver(mail())}"
    world.faults.add("F22")
    assert google.get(path).status_code == 404
    world.clock.advance(5)
    assert google.get(path).status_code == 200


def test_f23_poisons_one_message_for_ever(world: World, google: Google, box: Mailbox) -> None:
    bad, good = box.deliver(mail()), box.deliver(mail())
    world.faults.add("F23", item=bad)
    assert [reason(google.get(f"{LIST}/{bad}")) for _ in range(3)] == [(500, "backendError")] * 3
    assert google.get(f"{LIST}/{good}").status_code == 200


def test_f24_saves_a_draft_ten_times_and_sends_it(world: World, box: Mailbox) -> None:
    world.faults.add("F24", account=ME)
    kinds = [one.kind for one in box.changes]
    assert kinds.count("messageAdded") == 11
    assert kinds.count("messageDeleted") == 10
    assert [one.labels for one in box.messages.values()] == [{"SENT"}]


def test_f25_loses_a_part_and_f26_spoils_three(world: World, google: Google, box: Mailbox) -> None:
    message = box.deliver(mail())
    requests = [google.messages.get(userId="me", id=message, format="minimal") for _ in range(20)]
    world.faults.add("F25")
    with pytest.raises(KeyError):
        google.batch(requests)
    world.faults.add("F26")
    found: dict[str, Any] = {}
    batch = google.gmail.new_batch_http_request(
        callback=lambda key, answer, error: found.update({key: error or answer})
    )
    for number, request in enumerate(requests):
        batch.add(request, request_id=str(number))
    batch.execute()
    assert sum(isinstance(one, dict) for one in found.values()) == 17
    assert sorted(int(one.resp.status) for one in found.values() if isinstance(one, HttpError)) == [404, 429]
    assert found["2"] == '{"id":'


@pytest.mark.parametrize(("variant", "status"), [("", 400), ("401", 401), ("503", 503)])
def test_f27_refuses_a_batch_whole(variant: str, status: int, world: World, google: Google) -> None:
    world.faults.add("F27", variant=variant)
    batch = google.gmail.new_batch_http_request()
    batch.add(google.users.getProfile(userId="me"))
    if variant == "401":
        batch.execute()
        assert world.stats.statuses[401] == 1
        return
    with pytest.raises(HttpError) as caught:
        batch.execute()
    assert caught.value.resp.status == status


def test_f28_shows_a_web_page_with_status_200(world: World, google: Google) -> None:
    world.faults.add("F28")
    answer = google.get(LIST)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=UTF-8")


@pytest.mark.parametrize(
    ("variant", "error"), [("", httpx.RemoteProtocolError), ("gzip", httpx.DecodingError), ("bomb", None)]
)
def test_f29_spoils_the_body(variant: str, error: Any, world: World, google: Google) -> None:
    if variant == "gzip":
        world.faults.add("F29", variant=variant)
        with pytest.raises(httplib2.FailedToDecompressContent):
            google.users.getProfile(userId="me").execute()
    world.faults.add("F29", variant=variant)
    if error is None:
        assert len(google.get(LIST).content) > 30_000_000
        return
    with pytest.raises(error):
        google.get(LIST)
    assert google.get(LIST).status_code == 200


@pytest.mark.parametrize("variant", ["reset", "close", "stall"])
def test_f30_breaks_the_connection(variant: str, world: World, google: Google) -> None:
    world.faults.add("F30", variant=variant, seconds=0.0)
    with pytest.raises(httpx.TransportError):
        google.get(LIST)
    assert google.get(LIST).status_code == 200


@pytest.mark.parametrize(
    ("fault", "status", "text"), [("F31", 400, "Only one user push"), ("F32", 403, "not authorized")]
)
def test_a_watch_is_refused(fault: str, status: int, text: str, world: World, google: Google) -> None:
    world.pubsub.topic("projects/p/topics/t")
    world.faults.add(fault)
    with pytest.raises(HttpError) as caught:
        google.users.watch(userId="me", body={"topicName": "projects/p/topics/t"}).execute()
    assert caught.value.resp.status == status
    assert text.encode() in caught.value.content


@pytest.mark.parametrize(("fault", "status"), [("F33", 410), ("F34", 410), ("F35", 400)])
def test_a_sync_token_is_refused(fault: str, status: int, world: World, google: Google) -> None:
    token = google.get(EVENTS).json()["nextSyncToken"]
    world.faults.add(fault)
    assert google.get(EVENTS).status_code == 200
    answer = google.get(EVENTS, syncToken=token)
    assert answer.status_code == status
    if fault == "F33":
        assert reason(answer) == (410, "fullSyncRequired")
        assert answer.json()["error"]["errors"][0]["location"] == "syncToken"
        assert "status" not in answer.json()["error"]
    if fault == "F34":
        assert answer.content == b""


def test_f36_keeps_the_token_or_the_items_back(world: World, google: Google) -> None:
    world.faults.add("F36")
    assert "nextSyncToken" not in google.get(EVENTS).json()
    world.faults.add("F36", variant="empty")
    assert google.get(EVENTS).json()["nextPageToken"]


def test_f37_lists_bare_cancellations_and_f40_odd_events(world: World, google: Google) -> None:
    for number in range(5):
        world.almanac.meet(ME, [BUYER], NOW, NOW.replace(hour=10), f"Number {number}")
    world.faults.add("F37")
    bare = google.get(EVENTS).json()["items"][-2:]
    assert [set(one) for one in bare] == [
        {"kind", "status", "id", "recurringEventId", "originalStartTime"},
        {"kind", "status", "id"},
    ]
    world.faults.add("F40")
    odd = google.get(EVENTS).json()["items"]
    assert odd[0]["attendeesOmitted"]
    assert odd[1]["organizer"]["email"].endswith("@group.calendar.google.com")
    assert [odd[2]["visibility"], odd[3]["start"], odd[4]["eventType"]] == [
        *("private", {"date": "2026-11-02"}, "workingLocation"),
    ]


def test_f60_delivers_every_malformed_mail_of_the_contract(world: World, google: Google, box: Mailbox) -> None:
    world.faults.add("F60", account=ME)
    assert len(box.messages) == len(malformed())
    by_id: dict[str, int] = {}
    for stored in box.messages.values():
        by_id[stored.envelope.message_id] = by_id.get(stored.envelope.message_id, 0) + 1
    assert by_id[""] == 2
    assert by_id["twin@customer.example"] == 2
    assert max(len(one.envelope.to) for one in box.messages.values()) == 600
    with pytest.raises(KeyError):
        world.faults.add("F60", account=ME, variant="no-such-mail")


def test_the_big_mail_is_25_megabytes_and_the_nested_one_20_deep(world: World, google: Google, box: Mailbox) -> None:
    assert 24_000_000 < len(malformed()["big-body"](ME)) < 26_000_000
    world.faults.add("F60", account=ME, variant="nested")
    part, depth = google.get(f"{LIST}/{next(iter(box.messages))}").json()["payload"], 0
    while "parts" in part:
        part, depth = part["parts"][0], depth + 1
    assert depth == 20
    assert part["body"]["size"] > 0


def test_every_fault_of_google_has_a_name() -> None:
    assert {f"F{number:02d}" for number in range(1, 43)} | {"F60"} <= set(PRESETS)


def test_a_fault_is_aimed_by_account_item_path_count_and_chance(world: World, google_for: Any) -> None:
    mine, other = google_for(ME), google_for("col@acme.example")
    world.faults.add("F09", account=ME, nth=2, times=2)
    assert [mine.get(LIST).status_code for _ in range(5)] == [200, 403, 403, 200, 200]
    assert other.get(LIST).status_code == 200
    world.faults.clear()
    world.faults.add("F09", operation="gmail.labels.*", times=None)
    assert (mine.get(LIST).status_code, mine.get(f"{GMAIL}/labels").status_code) == (200, 403)
    world.faults.clear()
    rule = world.faults.add("F09", path="*/messages", method="GET", times=None, probability=0.5)
    answers = [mine.get(LIST).status_code for _ in range(40)]
    assert 5 < answers.count(403) < 35
    assert rule.fired == answers.count(403)
    with pytest.raises(ValueError, match="known: F01"):
        world.faults.add("F99")


def test_lines_without_carriage_returns_break_the_client_library(world: World, google: Google) -> None:
    world.faults.add("LF")
    batch = google.gmail.new_batch_http_request()
    batch.add(google.users.getProfile(userId="me"))
    with pytest.raises((IndexError, KeyError)):
        batch.execute()
    assert json.dumps(world.faults.as_json())


@pytest.mark.parametrize(
    ("variant", "status", "value"),
    [("", 503, "90"), ("date", 503, "Mon, 02 Nov 2026 09:01:30 GMT"), ("429", 429, "90")],
)
def test_ra_asks_for_a_wait(variant: str, status: int, value: str, world: World, google: Google) -> None:
    world.faults.add("RA", variant=variant)
    answer = google.get(LIST)
    assert (answer.status_code, answer.headers["retry-after"]) == (status, value)


def test_calls_of_the_token_endpoint_are_in_the_record(world: World, server: Server) -> None:
    world.faults.add("F02", times=1)
    answers = [refresh(server, world.refresh_token(ME)).status_code for _ in range(2)]
    seen = [(one.status, one.fault, one.account) for one in world.stats.record if one.operation == "oauth.token"]
    assert answers == [503, 200]
    assert seen == [(503, "F02", ME), (200, "", ME)]
