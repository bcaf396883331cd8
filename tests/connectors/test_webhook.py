"""One delivery: signed, sent once to the address that was checked, its outcome as data."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from connectors.webhook import MOST_ANSWER, Outcome, body_of, send

SECRET = "whsec_" + "c2VjcmV0IGZvciB0ZXN0cyBvbmx5IQ=="
NOW = datetime.now(UTC)
BODY = body_of("evt_1", "deal.won", NOW, {"deal_id": 7, "name": "Büro"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Receiver:
    """A receiver on a real socket that answers each connection with the same bytes, then does as told."""

    def __init__(self, answer: bytes, more: Callable[[socket.socket, threading.Event], None] | None) -> None:
        self.asked: list[bytes] = []
        self._answer, self._more, self._over = answer, more, threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _run(self) -> None:
        with suppress(OSError):
            while not self._over.is_set():
                connection, _ = self._socket.accept()
                with connection, suppress(OSError):
                    self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        held = b""
        while b"\r\n\r\n" not in held:
            held += connection.recv(65_536)
        head, _, body = held.partition(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(body) < size:
            body += connection.recv(65_536)
        self.asked.append(head + b"\r\n\r\n" + body)
        connection.sendall(self._answer)
        if self._more is not None:
            self._more(connection, self._over)


@contextmanager
def receiver(
    answer: bytes = OK, more: Callable[[socket.socket, threading.Event], None] | None = None
) -> Iterator[Receiver]:
    running = Receiver(answer, more)
    try:
        yield running
    finally:
        running.close()


def post(port: int, *, timeout: float = 5.0, secret: str = SECRET, host: str = "127.0.0.1") -> Outcome:
    return send(
        f"http://{host}:{port}/in",
        secret,
        "evt_1",
        BODY,
        now=datetime.now(UTC),
        timeout=timeout,
        allow_private=True,
        resolver=lambda name, number: ["127.0.0.1"],
    )


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def headers_of(asked: bytes) -> tuple[dict[str, str], str]:
    head, _, body = asked.partition(b"\r\n\r\n")
    pairs = (line.decode().partition(":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in pairs}, body.decode()


def test_what_is_sent_verifies_with_the_standards_own_library() -> None:
    with receiver() as running:
        assert post(running.port).ok
    headers, body = headers_of(running.asked[0])
    assert Webhook(SECRET).verify(body, headers)["data"] == {"deal_id": 7, "name": "Büro"}
    assert headers["webhook-id"] == "evt_1"
    assert headers["content-type"] == "application/json"


def test_another_secret_and_another_body_do_not_verify() -> None:
    with receiver() as running:
        post(running.port)
    headers, body = headers_of(running.asked[0])
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "YW5vdGhlciBzZWNyZXQgZm9yIHRlc3Rz").verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace("7", "8"), headers)


def test_the_same_event_is_the_same_bytes_in_every_attempt() -> None:
    again = body_of("evt_1", "deal.won", NOW.astimezone(), {"name": "Büro", "deal_id": 7})
    assert again == BODY
    assert b"webhook-id" not in BODY and b'"id":"evt_1"' in BODY


@pytest.mark.parametrize(
    ("status", "ok"),
    [("200 OK", True), ("204 No Content", True), ("400 Bad", False), ("410 Gone", False), ("500 X", False)],
)
def test_the_status_tells_whether_it_arrived(status: str, ok: bool) -> None:
    with receiver(answer(status)) as running:
        outcome = post(running.port)
    assert (outcome.status, outcome.ok) == (int(status[:3]), ok)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_never_followed(status: str) -> None:
    with receiver() as other, receiver(answer(status, f"Location: http://127.0.0.1:{other.port}/")) as running:
        outcome = post(running.port)
    assert (outcome.ok, len(running.asked), other.asked) == (False, 1, [])
    assert "redirect" in outcome.error


def test_it_connects_to_the_address_that_was_checked_whatever_the_name_says_then() -> None:
    answers = iter([["127.0.0.1"]])
    with receiver() as running:
        outcome = send(
            f"http://rebound.example:{running.port}/in",
            SECRET,
            "evt_1",
            BODY,
            now=NOW,
            allow_private=True,
            resolver=lambda name, number: next(answers),
        )
    assert outcome.ok
    assert headers_of(running.asked[0])[0]["host"].startswith("rebound.example")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "https://10.0.0.1/", "https://localhost/", "nonsense"])
def test_a_private_address_is_refused_before_any_socket(url: str) -> None:
    outcome = send(url, SECRET, "evt_1", BODY, now=NOW, resolver=lambda name, number: ["127.0.0.1"])
    assert (outcome.status, bool(outcome.error)) == (0, True)


def test_retry_after_in_seconds_is_kept() -> None:
    with receiver(answer("429 Slow", "Retry-After: 120")) as running:
        assert post(running.port).retry_after == 120.0


def test_retry_after_as_a_date_is_kept() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    with receiver(answer("503 Later", f"Retry-After: {later}")) as running:
        wait = post(running.port).retry_after
    assert wait is not None and 3_000 < wait <= 3_600


@pytest.mark.parametrize("value", ["soon", "-5", "", "Mon, 99 Nov 2026", "1.5"])
def test_retry_after_that_makes_no_sense_is_none(value: str) -> None:
    with receiver(answer("503 Later", f"Retry-After: {value}")) as running:
        assert post(running.port).retry_after is None


def test_a_retry_after_in_the_past_is_now() -> None:
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    with receiver(answer("503 Later", f"Retry-After: {past}")) as running:
        assert post(running.port).retry_after == 0.0


def test_a_big_answer_is_read_in_part_only() -> None:
    def pour(connection: socket.socket, over: threading.Event) -> None:
        while not over.is_set():
            connection.sendall(b"x" * 65_536)

    with receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", pour) as running:
        outcome = post(running.port)
    assert (outcome.status, len(outcome.answer)) == (200, MOST_ANSWER)


def test_a_receiver_that_never_answers_is_given_up() -> None:
    with receiver(b"", lambda connection, over: over.wait(10) and None) as running:
        outcome = post(running.port, timeout=0.2)
    assert (outcome.status, outcome.error) == (0, "The receiver did not answer in time.")


def test_headers_that_trickle_do_not_hold_the_sender() -> None:
    def trickle(connection: socket.socket, over: threading.Event) -> None:
        while not over.wait(0.05):
            connection.sendall(b"X-Slow: 1\r\n")

    with receiver(b"HTTP/1.1 200 OK\r\n", trickle) as running:
        outcome = post(running.port, timeout=0.3)
    assert (outcome.status, outcome.error) == (0, "The receiver did not answer in time.")


def test_a_body_that_trickles_does_not_hold_the_sender_and_its_status_counts() -> None:
    def trickle(connection: socket.socket, over: threading.Event) -> None:
        while not over.wait(0.05):
            connection.sendall(b"x")

    with receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", trickle) as running:
        outcome = post(running.port, timeout=1.0)
    assert (outcome.status, outcome.ok) == (200, True)
    assert outcome.error == "The answer broke off before its end; its status counts all the same."


@pytest.mark.parametrize(
    "junk", [b"", b"HTTP/1.1", b"\x00\xff" * 100, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000, b"SSH-2.0-x\r\n"]
)
def test_an_answer_that_is_none_is_an_outcome_too(junk: bytes) -> None:
    with receiver(junk) as running:
        outcome = post(running.port, timeout=1.0)
    assert outcome.status == 0 and outcome.error


def test_nobody_at_the_address_is_an_outcome() -> None:
    with receiver() as running:
        port = running.port
    assert post(port).error == "Nobody answers at that address."


def test_a_secret_that_is_none_is_an_outcome() -> None:
    assert post(9, secret="whsec_!").error == "The secret of this webhook cannot sign. Make a new one."


def test_neither_secret_nor_body_is_in_what_is_told() -> None:
    with receiver(b"") as running:
        outcome = post(running.port, timeout=0.5)
    assert SECRET not in repr(outcome) and "Büro" not in repr(outcome)
