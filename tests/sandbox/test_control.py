"""The control API that tests and demonstrations in other processes use."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from sandbox import Server, World
from sandbox.__main__ import main
from tests.sandbox.conftest import BUYER, ME
from tests.sandbox.letters import mail
from tests.sandbox.receiver import Receiver


@pytest.fixture
def ask(server: Server) -> Any:
    def call(name: str, method: str = "POST", /, **given: Any) -> Any:
        answer = httpx.request(method, f"{server.url}/_sandbox/{name}", json=given if method == "POST" else None)
        answer.raise_for_status()
        return answer.json()

    return call


def test_mail_is_delivered_labelled_and_deleted(world: World, ask: Any) -> None:
    one = ask("deliver", email=ME, text=mail().decode())["id"]
    two = ask("deliver", email=ME, raw=base64.urlsafe_b64encode(mail()).decode(), labels=["SPAM"], at=1.0)["id"]
    ask("label", email=ME, id=one, add=["STARRED"], remove=["UNREAD"])
    ask("delete", email=ME, id=two)
    assert set(world.mailbox(ME).messages) == {one}
    assert world.mailbox(ME).messages[one].labels == {"INBOX", "STARRED"}
    assert ask("fill", email=ME, count=100, people=[BUYER], relevant_share=0.5)["count"] == 100


def test_clock_knobs_and_token_lives_are_turned(world: World, ask: Any) -> None:
    before = world.clock.now()
    assert ask("clock", advance=60)["now"] == before + 60
    ask("knobs", page_size=3)
    ask("tokens", access_seconds=60, rotate=True)
    assert (world.knobs.page_size, world.grants.access_seconds, world.grants.rotate) == (3, 60, True)
    token = world.refresh_token(ME)
    ask("revoke", email=ME)
    assert world.grants.by_refresh[token].died


def test_faults_and_counters_are_set_shown_and_cleared(world: World, ask: Any) -> None:
    ask("fault", fault="F09", times=2)
    assert ask("faults", "GET")[0]["fault"] == "F09"
    ask("faults", "DELETE")
    assert ask("faults", "GET") == []
    assert ask("stats", "GET")["requests"] == {}
    ask("stats", "DELETE")


def test_push_is_set_up_and_settled(world: World, ask: Any) -> None:
    with Receiver() as receiver:
        ask("subscription", name="projects/p/subscriptions/s", topic="projects/p/topics/t", push_to=receiver.url)
        world.watches.watch(world.mailbox(ME), "client", {"topicName": "projects/p/topics/t"})
        ask("settle")
        assert len(receiver.got) == 1
        assert [one["status"] for one in ask("posted", "GET")] == [204]


def test_a_team_connection_is_set_up(world: World, server: Server, ask: Any) -> None:
    ask("user", email="boss@acme.example", name="Boss", admin=True, alias="chef@acme.example")
    key = ask("robot", delegated={"acme.example": ["scope"]})
    assert key["token_uri"] == f"{server.url}/token"
    assert key["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert "boss@acme.example" in world.admins
    ask("user", email="boss@acme.example", suspended=True)
    assert "boss@acme.example" in world.suspended


def test_calendars_are_changed_and_cursors_expired(world: World, ask: Any) -> None:
    times = {"start": {"date": "2026-11-05"}, "end": {"date": "2026-11-06"}}
    event = ask("event", email=ME, event={"summary": "Fair", **times})["id"]
    ask("event", email=ME, cancel=event)
    assert world.almanac.calendar(ME).events[event]["status"] == "cancelled"
    token, history = world.almanac.token(), world.mailbox(ME).history
    ask("expire")
    assert world.almanac.since(token) is None
    assert world.mailbox(ME).changes_after(history) is None


@pytest.mark.parametrize(
    ("name", "given", "status"),
    [
        ("nothing", {}, 404),
        ("knobs", {"no_such_knob": 1}, 400),
        ("fault", {"fault": "F99"}, 400),
        ("fault", {"fault": "F09", "colour": "red"}, 400),
        ("delete", {"email": ME, "id": "x"}, 400),
        ("subscription", {"name": "s", "topic": "t", "push_to": "http://far.example/"}, 400),
        ("tokens", {"colour": 1}, 400),
    ],
)
def test_a_mistake_is_told(server: Server, name: str, given: dict, status: int) -> None:
    answer = httpx.post(f"{server.url}/_sandbox/{name}", json=given)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_the_program_refuses_unreadable_mail_with_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    assert main(["--port", "0", "--mail", str(tmp_path / "nothing")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_the_program_tells_where_it_is_and_ends_with_its_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import json

    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["--port", "0", "--until-stdin-closes"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["api_root"].startswith("http://127.0.0.1:")
    assert told["accounts"] == []


def test_a_taken_port_is_refused_with_a_sentence(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", str(server.port)]) == 2
    assert f"Port {server.port} cannot be used" in capsys.readouterr().err
