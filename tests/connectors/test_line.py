"""What the socket under Google's library makes of a refused token, whatever challenge comes with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors.google.line import Line


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join(5)


@pytest.mark.parametrize(
    "challenge", ["Bearer", "Bearer ", 'Bearer realm="a", error="invalid_token"', "Bearer, Basic", "=,=", ""]
)
def test_a_refused_token_is_an_answer_whatever_the_challenge(challenge: str) -> None:
    def refuse(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", challenge)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    line = Line(timeout=5)
    with serving(refuse) as url:
        answer, content = line.request(url)
        line.close()
    assert (answer.status, content) == (401, b"{}")
