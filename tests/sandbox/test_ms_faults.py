"""Every fault of Microsoft's in the provider contract is there and does what the contract says (F43 to F59; sign-in's and the
notices' are in test_ms_signin.py and test_ms_push.py too)."""

from __future__ import annotations

import base64
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from sandbox import Server, World
from sandbox.microsoft.outlook import OutlookBox
from sandbox.microsoft.presets import MICROSOFT
from sandbox.presets import PRESETS
from tests.sandbox.conftest import INA, NOW, OTTO
from tests.sandbox.letters import mail
from tests.sandbox.ms_client import GraphClient

INBOX = "/me/mailFolders/inbox/messages/delta"
WINDOW = "startDateTime=2026-11-01T00:00:00Z&endDateTime=2026-12-01T00:00:00Z"


def fill(box: OutlookBox, count: int = 5) -> list[str]:
    return [box.deliver(mail(to=INA), at=NOW.timestamp() + at) for at in range(count)]


def refreshed(world: World, server: Server) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": world.microsoft_refresh_token(INA), "client_id": "client"}
    return httpx.post(f"{server.microsoft_login_root}/organizations/oauth2/v2.0/token", data=form)


def test_every_number_of_the_contract_is_there_and_none_twice() -> None:
    assert {f"F{number}" for number in range(43, 60)} <= set(MICROSOFT)
    assert not set(MICROSOFT) & set(PRESETS)


@pytest.mark.parametrize("fault", sorted(MICROSOFT))
def test_every_fault_and_variant_can_be_planned(world: World, outlook: OutlookBox, fault: str) -> None:
    for variant in ("", *MICROSOFT[fault].variants):
        world.faults.add(fault, variant=variant, account=INA)
    assert len(world.faults.rules) in (0, 1 + len(MICROSOFT[fault].variants))
    if MICROSOFT[fault].variants:
        with pytest.raises(ValueError, match="has no variant"):
            world.faults.add(fault, variant="nonsense")


@pytest.mark.parametrize(
    ("fault", "variant", "status", "code"),
    [
        ("F49", "", 429, "ApplicationThrottled"),
        ("F49", "busy", 429, "TooManyRequests"),
        ("F50", "", 401, "InvalidAuthenticationToken"),
        ("F50", "claims", 401, "InvalidAuthenticationToken"),
        ("F51", "", 403, "ErrorAccessDenied"),
        ("F51", "denied", 403, "ErrorAccessDenied"),
        ("F52", "", 404, "MailboxNotEnabledForRESTAPI"),
        ("F56", "503", 503, "serviceNotAvailable"),
        ("F56", "500", 500, "ErrorInternalServerError"),
    ],
)
def test_a_refusal_has_its_status_and_code(
    world: World, graph: GraphClient, fault: str, variant: str, status: int, code: str
) -> None:
    world.faults.add(fault, variant=variant, times=1)
    assert graph.error("/me/messages") == (status, code)
    assert graph.get("/me/messages")["value"] == []


@pytest.mark.parametrize("path", ["/me/messages", "/me/mailFolders", "/me/calendars", f"/me/calendarView?{WINDOW}"])
def test_a_mailbox_is_closed_as_a_whole_and_its_user_is_not(world: World, graph: GraphClient, path: str) -> None:
    world.faults.add("F52", account=INA)
    assert graph.error(path)[0] == 404
    assert graph.get("/me")["mail"] == INA
    world.faults.clear()
    world.faults.add("F52", account=OTTO)
    assert graph.ask(path).status_code == 200


def test_a_wait_comes_in_every_form(world: World, graph: GraphClient) -> None:
    def told(variant: str) -> str | None:
        world.faults.add("F49", variant=variant)
        return graph.ask("/me/messages").headers.get("retry-after")

    assert [told(variant) for variant in ("", "long", "none")] == ["12", "600", None]
    assert parsedate_to_datetime(told("date") or "").timestamp() == NOW.timestamp() + 12
    world.clock.advance(11)
    assert world.microsoft.meter.early[INA] > 0


def test_a_claims_challenge_can_be_read(world: World, graph: GraphClient) -> None:
    world.faults.add("F50", variant="claims")
    challenge = graph.ask("/me").headers["www-authenticate"]
    assert 'error="insufficient_claims"' in challenge
    claims = challenge.partition('claims="')[2].partition('"')[0]
    assert b"access_token" in base64.b64decode(claims)


@pytest.mark.parametrize(
    ("variant", "status", "code"),
    [
        ("", 410, "SyncStateNotFound"),
        ("location", 410, "SyncStateNotFound"),
        ("lower", 400, "syncStateNotFound"),
        ("missing", 404, "syncStateNotFound"),
        ("resync", 410, "ErrorInvalidSyncState"),
    ],
)
def test_a_delta_link_dies_in_every_way(
    world: World, outlook: OutlookBox, graph: GraphClient, variant: str, status: int, code: str
) -> None:
    fill(outlook)
    world.faults.add("F53", variant=variant)
    _, link = graph.round(INBOX)
    answer = graph.ask(link)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    if variant == "location":
        assert answer.headers["location"].startswith(graph.server.microsoft_graph_root)
    if variant == "resync":
        assert answer.json()["error"]["innerError"]["code"] == "resyncRequired"
    assert len(graph.round(INBOX)[0]) == 5


def test_a_walk_dies_in_its_middle(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    fill(outlook)
    world.faults.add("F53M")
    first = graph.get(INBOX, prefer="odata.maxpagesize=2")
    assert graph.error(first["@odata.nextLink"]) == (410, "SyncStateNotFound")


def test_pages_are_empty_doubled_sparse_and_lie(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    keys = fill(outlook, 3)
    world.faults.add("F54")
    pages = graph.pages(INBOX)
    assert [len(one["value"]) for one in pages] == [0, 0, 0, 3]
    world.faults.add("F54", variant="duplicate", times=1)
    assert len(graph.round(INBOX)[0]) == 6
    world.faults.add("F54", variant="sparse", times=1)
    assert {frozenset(one) for one in graph.round(INBOX)[0]} == {
        frozenset(("@odata.type", "@odata.etag", "id", "isRead"))
    }
    world.faults.add("F54", variant="removed", times=1)
    assert graph.round(INBOX)[0][0]["@removed"] == {"reason": "deleted"}
    assert graph.get(f"/me/messages/{keys[-1]}")["id"] == keys[-1]


def test_a_batch_goes_wrong_in_each_of_its_parts(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    fill(outlook)
    requests: list[dict[str, Any]] = [
        {"id": str(at), "method": "GET", "url": "/me/messages?$top=1"} for at in range(1, 7)
    ]
    world.faults.add("F55")
    answer = graph.ask("/$batch", "POST", json={"requests": requests}).json()["responses"]
    assert [one["id"] for one in answer] == ["6", "5", "4", "2", "1"]
    found = {one["id"]: one for one in answer}
    assert {key: one["status"] for key, one in found.items()} == {"1": 429, "2": 404, "4": 503, "5": 200, "6": 200}
    assert found["1"]["headers"]["Retry-After"] == "9"
    assert base64.b64decode(found["4"]["body"]) == b"<html>503</html>"
    for variant, status in (("outer", 400), ("401", 401), ("503", 503)):
        world.faults.add("F55", variant=variant)
        assert graph.ask("/$batch", "POST", json={"requests": requests}).status_code == status
    world.faults.add("F49", account=INA)
    found = graph.batch(*requests)
    assert [found[str(at)]["status"] for at in range(1, 7)] == [429, 200, 200, 200, 200, 200]


@pytest.mark.parametrize(("variant", "status"), [("", 504), ("502", 502)])
def test_a_gateway_answers_with_a_page(world: World, graph: GraphClient, variant: str, status: int) -> None:
    world.faults.add("F56", variant=variant)
    answer = graph.ask("/me/messages")
    assert (answer.status_code, answer.headers["content-type"][:9]) == (status, "text/html")


def test_a_calendar_delta_is_as_bad_as_the_contract_says(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    start = NOW + timedelta(days=1)
    key = outlook.calendar.put("Round", start, start + timedelta(hours=1), rule="FREQ=WEEKLY;COUNT=3")
    world.faults.add("F57", times=1)
    items, _ = graph.round(f"/me/calendarView/delta?{WINDOW}")
    assert len([one for one in items if "@removed" in one]) == 3
    assert {one["iCalUId"] for one in items if "iCalUId" in one} == {None}
    world.faults.add("F57", variant="bare", times=1)
    items, _ = graph.round(f"/me/calendarView/delta?{WINDOW}")
    assert {one["type"] for one in items} == {"occurrence"}
    world.faults.add("F57M")
    assert graph.error(f"/me/events/{key}") == (404, "ErrorItemNotFound")
    assert graph.get(f"/me/events/{key}")["type"] == "seriesMaster"


@pytest.mark.parametrize(("variant", "status", "code"), [("", 400, "ValidationError"), ("conflict", 409, "Conflict")])
def test_a_subscription_is_refused(world: World, graph: GraphClient, variant: str, status: int, code: str) -> None:
    world.faults.add("F58", variant=variant)
    assert graph.error("/subscriptions", method="POST", json={}) == (status, code)
    world.faults.add("F58R")
    assert graph.error("/subscriptions/x", method="PATCH", json={}) == (404, "ResourceNotFound")


def test_a_token_is_rotated_and_the_answer_is_lost(world: World, server: Server, outlook: OutlookBox) -> None:
    world.faults.add("F48")
    known = len(world.microsoft.entra.by_refresh)
    with pytest.raises(httpx.TransportError):
        refreshed(world, server)
    assert len(world.microsoft.entra.by_refresh) == known + 2
    assert refreshed(world, server).status_code == 200


@pytest.mark.parametrize(("variant", "seconds"), [("timeout", 0.1), ("html", 0)])
def test_the_token_endpoint_may_hang_or_answer_with_a_page(
    world: World, server: Server, outlook: OutlookBox, variant: str, seconds: float
) -> None:
    world.faults.add("F47", variant=variant, seconds=seconds)
    if variant == "html":
        answer = refreshed(world, server)
        assert (answer.status_code, answer.headers["content-type"][:9]) == (503, "text/html")
    else:
        with pytest.raises(httpx.TransportError):
            refreshed(world, server)


def test_the_wire_breaks_for_graph_as_it_does_for_google(world: World, graph: GraphClient) -> None:
    for fault, variant in (("F29", ""), ("F30", ""), ("F30", "close")):
        world.faults.add(fault, variant=variant, operation="graph.*")
        with pytest.raises(httpx.TransportError):
            graph.ask("/me/messages")
    world.faults.add("F28", operation="graph.*")
    assert graph.ask("/me/messages").headers["content-type"].startswith("text/html")


def test_malformed_mail_comes_by_name(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    world.faults.add("F60M", account=INA)
    assert len(graph.items("/me/messages", select="id", top=100)) > 10
