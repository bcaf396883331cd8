"""Change notifications: the handshake, notices of mail and events, lifecycle notices, renewal, silence, forgeries."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox import World
from sandbox.microsoft.forms import moment
from sandbox.microsoft.outlook import OutlookBox
from sandbox.microsoft.senders import FLOOD, SCRIPT
from tests.sandbox import ms_conform
from tests.sandbox.conftest import INA, NOW, OTTO
from tests.sandbox.letters import mail
from tests.sandbox.ms_client import GraphClient

INBOX = "me/mailFolders('inbox')/messages"


class Door:
    """An app's two addresses: echoes handshakes (unless `mute`), keeps notices, answers them with `status`."""

    def __init__(self) -> None:
        self.status, self.mute = 202, False
        self.tokens: list[str] = []
        self.got: list[tuple[str, dict[str, Any]]] = []
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                token = parse_qs(urlsplit(self.path).query).get("validationToken", [""])[0]
                if token:
                    door.tokens.append(token)
                else:
                    door.got.append((self.path, json.loads(body)))
                shown = b"" if door.mute or not token else token.encode()
                self.send_response(200 if token else door.status)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(shown)))
                self.end_headers()
                self.wfile.write(shown)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def notices(self) -> list[dict[str, Any]]:
        return [one for _, body in self.got for one in body["value"]]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


def wanted(door: Door, **more: Any) -> dict[str, Any]:
    given = {"changeType": "created,updated,deleted", "resource": INBOX, "clientState": "s3cret"}
    given |= {"notificationUrl": f"{door.url}/push", "lifecycleNotificationUrl": f"{door.url}/life"}
    return given | {"expirationDateTime": moment(NOW.timestamp() + 6 * 86_400)} | more


def subscribed(graph: GraphClient, door: Door, **more: Any) -> dict[str, Any]:
    answer = graph.ask("/subscriptions", "POST", json=wanted(door, **more))
    assert answer.status_code == 201, answer.text
    return graph.checked("POST", "/subscriptions", answer.json())


def refused(graph: GraphClient, door: Door, **more: Any) -> tuple[int, str]:
    return graph.error("/subscriptions", method="POST", json=wanted(door, **more))


def test_a_subscription_begins_with_a_handshake(outlook: OutlookBox, graph: GraphClient, door: Door) -> None:
    made = subscribed(graph, door)
    assert len(door.tokens) == 2
    assert (made["resource"], made["clientState"]) == (INBOX, "s3cret")
    assert graph.get("/subscriptions")["value"] == [made]
    assert graph.get(f"/subscriptions/{made['id']}") == made
    assert refused(graph, door) == (409, "Conflict")
    door.mute = True
    assert refused(graph, door, resource="me/events") == (400, "ValidationError")
    assert len(graph.get("/subscriptions")["value"]) == 1


def test_what_cannot_be_watched_is_refused(world: World, outlook: OutlookBox, graph: GraphClient, door: Door) -> None:
    late = moment(NOW.timestamp() + 8 * 86_400)
    assert refused(graph, door, resource="me/contacts") == (400, "InvalidRequest")
    assert refused(graph, door, changeType="moved") == (400, "InvalidRequest")
    assert refused(graph, door, clientState="x" * 129) == (400, "InvalidRequest")
    assert refused(graph, door, expirationDateTime=late) == (400, "InvalidRequest")
    assert refused(graph, door, notificationUrl="http://app.example/push") == (400, "InvalidRequest")
    assert refused(graph, door, notificationUrl="https://app.example/push") == (400, "ValidationError")
    assert refused(graph, door, resource="me/mailFolders('nowhere')/messages") == (404, "ErrorItemNotFound")
    world.outlook(OTTO)
    assert refused(graph, door, resource=f"users/{OTTO}/messages") == (403, "ExtensionError")


def test_notices_tell_which_message_and_never_what_it_says(
    world: World, outlook: OutlookBox, graph: GraphClient, door: Door
) -> None:
    made = subscribed(graph, door)
    key = outlook.deliver(mail(to=INA, subject="Secret"))
    outlook.mark(key)
    outlook.move(key, "archive")
    outlook.deliver(mail(to=INA), "archive")
    world.courier.settle()
    assert sorted(one["changeType"] for one in door.notices()) == ["created", "deleted", "updated"]
    first = next(one for one in door.notices() if one["changeType"] == "created")
    assert (first["subscriptionId"], first["clientState"], first["tenantId"]) == (made["id"], "s3cret", outlook.tenant)
    assert first["resourceData"]["id"] == key
    assert first["resource"] == f"Users/{outlook.oid}/Messages/{key}"
    assert all(ms_conform.named("changeNotificationCollection", body) == [] for _, body in door.got)
    assert "Secret" not in json.dumps(door.got)


def test_a_notice_may_come_before_its_message(
    world: World, outlook: OutlookBox, graph: GraphClient, door: Door
) -> None:
    world.microsoft.knobs.visibility_delay = 5
    subscribed(graph, door)
    outlook.deliver(mail(to=INA))
    world.courier.settle()
    key = door.notices()[0]["resourceData"]["id"]
    assert graph.error(f"/me/messages/{key}")[0] == 404
    world.clock.advance(5)
    assert graph.get(f"/me/messages/{key}")["id"] == key


def test_all_messages_events_and_default_ids(
    world: World, outlook: OutlookBox, graph: GraphClient, graph_for: Callable[..., GraphClient], door: Door
) -> None:
    plain = graph_for(INA, immutable=False)
    subscribed(plain, door, resource="/me/messages", changeType="created")
    subscribed(graph, door, resource="/me/events", changeType="created,deleted")
    key = outlook.deliver(mail(to=INA), "archive")
    event = outlook.calendar.put("Demo", NOW, NOW + timedelta(hours=1))
    outlook.calendar.remove(event)
    world.courier.settle()
    (first,) = [one for one in door.notices() if one["resourceData"]["@odata.type"] == "#Microsoft.Graph.Message"]
    events = sorted((one for one in door.notices() if one is not first), key=lambda one: one["changeType"])
    assert first["resourceData"]["id"] == plain.items("/me/messages")[0]["id"] != key
    assert [(one["changeType"], one["resourceData"]["id"]) for one in events] == [
        ("created", event),
        ("deleted", event),
    ]


def test_a_door_that_fails_is_tried_again(world: World, outlook: OutlookBox, graph: GraphClient, door: Door) -> None:
    subscribed(graph, door)
    door.status = 503
    outlook.deliver(mail(to=INA))
    world.courier.settle()
    door.status = 202
    world.clock.advance(10)
    world.courier.settle()
    assert len(door.got) == 2
    assert world.courier.pending() == 0


def test_notices_are_lost_and_doubled_as_the_knobs_say(
    world: World, outlook: OutlookBox, graph: GraphClient, door: Door
) -> None:
    subscribed(graph, door)
    world.knobs.push_duplicates = 1.0
    outlook.deliver(mail(to=INA))
    world.knobs.push_drops = 1.0
    outlook.deliver(mail(to=INA))
    world.courier.settle()
    assert len(door.got) == 2


def test_a_subscription_is_renewed_ended_and_runs_out(
    world: World, outlook: OutlookBox, graph: GraphClient, door: Door
) -> None:
    made = subscribed(graph, door)
    path, later = f"/subscriptions/{made['id']}", moment(NOW.timestamp() + 6.5 * 86_400)
    renewed = graph.ask(path, "PATCH", json={"expirationDateTime": later})
    assert renewed.json()["expirationDateTime"] == later
    assert graph.ask(f"{path}/reauthorize", "POST").status_code == 204
    assert graph.error(path, method="PATCH", json={"lifecycleNotificationUrl": door.url}) == (400, "InvalidRequest")
    short = subscribed(graph, door, resource="me/events", expirationDateTime=moment(NOW.timestamp() + 60))
    assert short["expirationDateTime"] == moment(NOW.timestamp() + 45 * 60)
    assert graph.ask(path, "DELETE").status_code == 204
    world.clock.advance(45 * 60)
    for gone in (path, f"/subscriptions/{short['id']}"):
        assert graph.error(gone, method="PATCH", json={"expirationDateTime": later}) == (404, "ResourceNotFound")
    outlook.deliver(mail(to=INA))
    world.courier.settle()
    assert door.got == []


def test_lifecycle_notices_go_to_their_own_address(
    world: World, outlook: OutlookBox, graph: GraphClient, door: Door
) -> None:
    made = subscribed(graph, door)
    assert world.microsoft.subscriptions.lifecycle("reauthorizationRequired", INA) == 1
    outlook.deliver(mail(to=INA))
    world.courier.settle()
    assert [path for path, _ in door.got] == ["/life"]
    assert graph.ask(f"/subscriptions/{made['id']}/reauthorize", "POST").status_code == 204
    outlook.deliver(mail(to=INA))
    world.courier.settle()
    world.microsoft.subscriptions.lifecycle("subscriptionRemoved")
    world.courier.settle()
    assert [path for path, _ in door.got] == ["/life", "/push", "/life"]
    assert [one.get("lifecycleEvent") for one in door.notices()] == [
        "reauthorizationRequired",
        None,
        "subscriptionRemoved",
    ]
    assert graph.get("/subscriptions")["value"] == []


def test_forged_notices_come_in_every_kind(world: World, outlook: OutlookBox, graph: GraphClient, door: Door) -> None:
    one = subscribed(graph, door)
    two = subscribed(graph, door, resource="me/events")
    outlook.deliver(mail(to=INA), history=False)
    world.faults.add("F59", variant="mixed", account=INA)
    world.courier.settle()
    posts = [body["value"] for _, body in door.got]
    notices = next(value for value in posts if value[2]["subscriptionId"] == one["id"])
    assert [item["subscriptionId"] for item in notices[:3]] == [one["id"], two["id"], one["id"]]
    assert notices[2]["clientState"] == "not-the-state"
    assert notices[3]["subscriptionId"] not in (one["id"], two["id"])
    world.faults.add("F59", variant="validation")
    assert SCRIPT in door.tokens
    door.got.clear()
    world.faults.add("F59")
    world.courier.settle()
    assert {item.get("lifecycleEvent") for item in door.notices()} == {None, "missed", "reauthorizationRequired"}
    with pytest.raises(ValueError, match="known: validation"):
        world.faults.add("F59", variant="nonsense")


def test_a_flood_of_one_notice(world: World, outlook: OutlookBox, graph: GraphClient, door: Door) -> None:
    subscribed(graph, door, resource="me/messages")
    world.faults.add("F59", variant="flood")
    world.courier.settle()
    assert len(door.got) == FLOOD


def test_subscriptions_end_unheard(world: World, outlook: OutlookBox, graph: GraphClient, door: Door) -> None:
    made = subscribed(graph, door)
    world.faults.add("F58X", account=INA)
    world.courier.settle()
    assert door.got == []
    assert graph.error(f"/subscriptions/{made['id']}") == (404, "ResourceNotFound")


def test_an_app_watches_the_mailboxes_of_its_tenant(
    world: World, outlook: OutlookBox, graph_for: Callable[..., GraphClient], door: Door
) -> None:
    world.microsoft.entra.allow("acme.example")
    app = graph_for(token=world.microsoft.app_token("acme.example"))
    made = subscribed(app, door, resource=f"/users/{outlook.oid}/mailFolders/inbox/messages")
    outlook.deliver(mail(to=INA))
    world.courier.settle()
    assert door.notices()[0]["subscriptionId"] == made["id"]
