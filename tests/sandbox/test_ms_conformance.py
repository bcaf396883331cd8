"""Every operation of the pretend Graph, every path of the cut document; and the ways in for other processes and fillers."""

from __future__ import annotations

import base64
import time
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sandbox import Server, World
from sandbox.bulk import fill
from sandbox.microsoft.filling import labelled
from sandbox.microsoft.forms import moment
from sandbox.microsoft.graph import OPERATIONS
from sandbox.microsoft.outlook import OutlookBox
from tests.sandbox import ms_conform
from tests.sandbox.conftest import BUYER, INA, NOW, OTTO
from tests.sandbox.cut_graph import PATHS
from tests.sandbox.letters import mail
from tests.sandbox.ms_client import GraphClient
from tests.sandbox.test_ms_push import Door

WINDOW = "?startDateTime=2026-11-01T00:00:00Z&endDateTime=2026-12-01T00:00:00Z"
ALL = ("User.Read", "User.Read.All", "Mail.Read", "Calendars.Read", "MailboxSettings.Read")


@pytest.fixture
def full(world: World, outlook: OutlookBox) -> dict[str, str]:
    """A mailbox with some of everything in it, and the ids that paths need."""
    start, box = NOW + timedelta(days=1), outlook
    ids = {"message": box.deliver(mail(to=INA, attachment=b"%PDF", html="<p>Hi</p>")), "folder": box.folder("North")}
    box.move(box.deliver(mail(to=INA)), "North")
    box.purge(box.deliver(mail(to=INA)))
    box.draft_save(mail(INA, BUYER))
    ids["single"] = box.calendar.put("Fair", start.date(), start.date() + timedelta(days=1), attendees=[BUYER])
    ids["event"] = box.calendar.put("Round", start, start + timedelta(hours=1), rule="FREQ=WEEKLY;COUNT=4")
    ids["calendar"] = box.calendar.default
    return ids


def test_every_path_and_every_operation_conforms(world: World, full: dict[str, str], graph_for: Any) -> None:
    graph: GraphClient = graph_for(INA, *ALL)
    driven = set()
    for path in PATHS:
        if path.startswith("/subscriptions"):
            continue
        filled = path
        for name, key in (
            ("mailFolder", "folder"),
            ("message", "message"),
            ("calendar", "calendar"),
            ("event", "event"),
        ):
            filled = filled.replace(f"{{{name}-id}}", full[key])
        if "attachment-id" in filled:
            listed = graph.get(filled.rpartition("/")[0])["value"]
            filled = filled.replace("{attachment-id}", listed[0]["id"])
        filled += WINDOW if "calendarView" in filled or "instances" in filled else ""
        graph.pages(filled)
        driven.add(ms_conform.template(filled))
    assert driven == {path for path in PATHS if not path.startswith("/subscriptions")}
    assert ms_conform.named("mailboxSettings", graph.ask("/me/mailboxSettings").json()) == []
    graph.ask(f"/me/messages/{full['message']}/$value")
    graph.ask("/me/messages/delta")
    graph.batch({"id": "1", "method": "GET", "url": "/me"})
    with_door(graph)
    assert set(OPERATIONS) <= set(world.stats.requests)


def with_door(graph: GraphClient) -> None:
    """The life of a subscription."""
    door = Door()
    given = {"changeType": "created", "resource": "me/messages", "notificationUrl": door.url}
    given["expirationDateTime"] = moment(NOW.timestamp() + 86_400)
    made = graph.checked("POST", "/subscriptions", graph.ask("/subscriptions", "POST", json=given).json())
    path = f"/subscriptions/{made['id']}"
    graph.get("/subscriptions")
    graph.get(path)
    again = graph.ask(path, "PATCH", json={"expirationDateTime": given["expirationDateTime"]})
    graph.checked("PATCH", path, again.json())
    assert graph.ask(f"{path}/reauthorize", "POST").status_code == graph.ask(path, "DELETE").status_code == 204
    door.close()


def test_errors_conform_too(graph: GraphClient) -> None:
    given = graph.ask("/me/messages/nothing").json()
    assert set(given["error"].pop("innerError")) == {"date", "request-id", "client-request-id"}
    assert ms_conform.named("ODataErrors.ODataError", given) == []
    assert graph.ask("/me/nothing").json()["error"]["code"] == "BadRequest"
    echoed = httpx.get(f"{graph.server.microsoft_graph_root}/me", headers={"client-request-id": "mine"})
    assert echoed.status_code == 401
    assert echoed.headers["client-request-id"] == echoed.json()["error"]["innerError"]["client-request-id"] == "mine"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/me", {"id": 5}),
        ("/me", {"nonsense": "x"}),
        ("/me/messages/x", {"isRead": "yes"}),
        ("/me/messages/x", {"receivedDateTime": "2026-11-02T09:00:00"}),
        ("/me/messages/x", {"importance": "huge"}),
        ("/me/messages/x", {"toRecipients": [{"emailAddress": {"mail": "x"}}]}),
        ("/me/messages/x", {"@odata.type": "#microsoft.graph.nothing"}),
        ("/me/mailFolders", {"value": [{"displayName": None, "totalItemCount": "1"}]}),
        ("/me/mailFolders/inbox/messages/delta", {"value": [{"id": "x", "@removed": {"reason": "moved"}}]}),
        ("/me/events/x", {"start": {"dateTime": 5}}),
    ],
)
def test_the_check_finds_what_is_wrong(path: str, answer: dict[str, Any]) -> None:
    assert ms_conform.faults("GET", path, answer)


def test_another_process_has_its_way_in(world: World, server: Server) -> None:
    def ask(name: str, method: str = "POST", /, **given: Any) -> Any:
        url = f"{server.url}/_sandbox/microsoft/{name}"
        answer = httpx.request(method, url, json=given if method == "POST" else None)
        answer.raise_for_status()
        return answer.json()

    ask("user", email=INA, name="Ina Holt", alias="sales@acme.example", reader=OTTO)
    raw = base64.urlsafe_b64encode(mail(to=INA)).decode()
    key = ask("deliver", email=INA, raw=raw, folder="Customers/North")["id"]
    assert ask("move", email=INA, id=key, folder="archive")["id"] == key
    ask("delete", email=INA, id=key)
    assert ask("fill", email=INA, count=50, people=[BUYER], relevant_share=0.5)["count"] == 50
    times = {"start": "2026-11-03T10:00:00+01:00", "end": "2026-11-03T11:00:00+01:00"}
    uid = ask("meet", organizer=INA, guests=[BUYER], subject="Demo", location="Room 4", **times)["uid"]
    assert world.microsoft.meeting(uid)[INA].location == "Room 4"
    ask("cancel", uid=uid)
    assert world.microsoft.meeting(uid) == {}
    ask("knobs", page_size=3)
    ask("allow", domain="acme.example", roles=["Mail.Read"])
    (account,) = ask("accounts", "GET")
    assert (account["email"], account["refresh_token"]) == (INA, world.microsoft_refresh_token(INA))
    ask("refuse", email=INA, number=50076)
    assert world.microsoft.entra.refuse == {INA: 50076}
    ask("refuse", email=INA, number=0)
    ask("revoke", email=INA)
    ask("forget_access")
    ask("expire", email=INA)
    assert ask("lifecycle", event="missed") == {"told": 0}
    assert ask("meter", "GET") == {"early": {}, "refused": {}, "most": {}}
    with pytest.raises(httpx.HTTPStatusError):
        ask("knobs", colour="red")


def test_a_large_mailbox_is_quickly_filled_and_searched(outlook: OutlookBox, graph: GraphClient) -> None:
    begin = time.perf_counter()
    filled = fill(labelled(outlook), 5_000, people=[BUYER], relevant_share=0.1)
    assert time.perf_counter() - begin < 3
    found = graph.items("/me/messages", search=f'"participants:{BUYER}"', select="id", top=250)
    assert {one["id"] for one in found} == set(filled.relevant)
    items, _ = graph.round(
        "/me/mailFolders/inbox/messages/delta", select="id,receivedDateTime", prefer="odata.maxpagesize=1000"
    )
    sent, _ = graph.round("/me/mailFolders/sentitems/messages/delta", select="id", prefer="odata.maxpagesize=1000")
    assert len({one["id"] for one in [*items, *sent]}) == 5_000


def test_one_conversation_can_be_in_both_providers(world: World, outlook: OutlookBox, graph: GraphClient) -> None:
    raw = mail(BUYER, f"{INA}, rae@acme.example", message_id="both@northwind.example")
    box = world.mailbox("rae@acme.example")
    here, there = outlook.deliver(raw), box.deliver(raw)
    assert graph.get(f"/me/messages/{here}")["internetMessageId"] == "<both@northwind.example>"
    assert box.messages[there].envelope.message_id == "both@northwind.example"
