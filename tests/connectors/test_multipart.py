"""A batch as bytes: every part that can be read is matched by its id, whatever the order, the line ends or its neighbours."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from googleapiclient.errors import BatchError

from connectors.google import multipart
from connectors.items import Message
from tests.connectors.conftest import Link
from tests.connectors.contract import letter

KIND = "multipart/mixed; boundary=mark"


def answer(*parts: tuple[str, int, str], end: str = "\r\n") -> bytes:
    """A batch answer of (Content-ID, status, body) parts."""
    lines = []
    for name, status, body in parts:
        lines += ["--mark", "Content-Type: application/http", f"Content-ID: <response-{name}>", ""]
        lines += [f"HTTP/1.1 {status} Whatever", "Content-Type: application/json", "", body]
    return end.join([*lines, "--mark--", ""]).encode()


def found(parts: dict[str, multipart.Part]) -> dict[str, tuple[int, str]]:
    return {key: (part.status, part.content.decode().strip()) for key, part in parts.items()}


@pytest.mark.parametrize(
    "kind", [KIND, 'multipart/mixed; boundary="mark"', "multipart/mixed; boundary=mark ; charset=UTF-8"]
)
def test_the_boundary_is_read_however_it_is_written(kind: str) -> None:
    assert list(multipart.read(kind, answer(("u + b", 200, "{}")))) == ["b"]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_parts_are_matched_by_their_id(end: str) -> None:
    body = answer(("u + b", 404, "{}"), ("u + a%2Fc", 200, '{"id": "a"}'), end=end)
    assert found(multipart.read(KIND, body)) == {"b": (404, "{}"), "a/c": (200, '{"id": "a"}')}


def test_a_part_without_id_or_status_is_left_out() -> None:
    body = answer(("nothing", 200, "{}"), ("u + b", 200, "{}")).replace(b"HTTP/1.1 200 Whatever", b"what?", 1)
    assert list(multipart.read(KIND, body)) == ["b"]


def test_a_cut_answer_gives_what_is_whole() -> None:
    body = answer(("u + a", 200, '{"id": "a"}'), ("u + b", 200, '{"id": "b"}'))
    parts = multipart.read(KIND, body[: body.index(b'"b"')])
    assert found(parts) == {"a": (200, '{"id": "a"}'), "b": (200, '{"id":')}


@pytest.mark.parametrize("kind", ["text/html", "multipart/mixed", 'application/json; boundary="mark"'])
def test_what_is_no_batch_answer_is_said_to_be_none(kind: str) -> None:
    with pytest.raises(BatchError):
        multipart.read(kind, b"<html></html>")


def test_a_request_is_written_with_its_path_alone() -> None:
    request: Any = SimpleNamespace(method="GET", uri="http://127.0.0.1:1/gmail/v1/users/me/messages/a?alt=json")
    kind, body = multipart.write({"a 1": request}, {"authorization": "Bearer t"})
    assert kind.startswith("multipart/mixed; boundary=")
    assert b"\r\n\r\nGET /gmail/v1/users/me/messages/a?alt=json HTTP/1.1\r\nHost: 127.0.0.1:1\r\n" in body
    assert b" + a%201>" in body and b"\r\nauthorization: Bearer t\r\n" in body


def test_parts_whose_token_is_refused_are_asked_for_once_more_under_a_fresh_one(link: Link) -> None:
    ids = [link.box.deliver(letter(n), labels=["INBOX"]) for n in range(3)]
    link.mailbox.headers(ids)
    calls = link.world.stats.requests["oauth.token"]
    link.world.faults.add("F08", operation="gmail.messages.get", item=ids[1], times=1)
    assert all(isinstance(item, Message) for item in link.mailbox.headers(ids))
    assert link.world.stats.requests["oauth.token"] == calls + 1
    assert link.slept == []
