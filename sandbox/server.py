"""The sandbox on a socket: HTTP/1.1 with kept connections, one thread each, and the misbehaviour of the wire itself."""

from __future__ import annotations

import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from sandbox import consent
from sandbox.control import control
from sandbox.microsoft import front
from sandbox.microsoft.forms import GRAPH, LOGIN
from sandbox.paths import PREFIXES
from sandbox.routes import Router
from sandbox.wire import Answer, Refusal, Request, dump, not_found
from sandbox.world import World

BIGGEST = 64 << 20


class Server:
    """A running sandbox; `port` 0 picks a free one. Use it as a context, or `close` it. Raises OSError: port taken."""

    def __init__(self, world: World, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world = world
        handler = type("Handler", (_Handler,), {"world": world, "router": Router(world)})
        self._http = _Http((host, port), handler)
        self.host, self.port = host, self._http.server_address[1]
        self.url = f"http://{host}:{self.port}"
        self.google_api_root = self.url
        self.google_oauth_root = self.url
        self.microsoft_graph_root = self.url + GRAPH
        self.microsoft_login_root = self.url + LOGIN
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True, name="sandbox")
        self._thread.start()
        world.courier.start()

    def show(self, world: World) -> None:
        """Answer from another world from now on, on the same socket."""
        self.world.courier.stop()
        handler: Any = self._http.RequestHandlerClass
        handler.world, handler.router, self.world = world, Router(world), world
        world.courier.start()

    def close(self) -> None:
        self.world.courier.stop()
        self._http.shutdown()
        self._http.server_close()
        self._http.drop_all()
        self._thread.join(5)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def drop_all(self) -> None:
        """Kept connections of clients are closed too."""
        with self._guard:
            waiting = list(self._open)
        for one in waiting:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is not an error of the sandbox; anything else is, and is shown."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    world: World
    router: Router

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_DELETE = do_PUT = do_PATCH = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed; `world.stats` keeps the record."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > BIGGEST:
            self._send(Answer(413))
            return
        body = self.rfile.read(length) if length else b""
        headers = {name.lower(): value for name, value in self.headers.items()}
        base = f"http://{headers.get('host', 'localhost')}"
        request = Request(self.command, self.path, headers, body, base=base)
        if self.world.knobs.latency:
            self.world.clock.sleep(self.world.knobs.latency)
        try:
            answer = self._answer(request)
        except Refusal as refusal:
            answer = refusal.answer
        self._send(answer)

    def _answer(self, request: Request) -> Answer:
        path, world = request.path, self.world
        if path.startswith("/_sandbox/"):
            return control(world, request)
        if path == "/o/oauth2/v2/auth":
            return consent.authorise(world, request)
        if path == "/token" and request.method == "POST":
            return consent.token(world, request)
        if path == "/revoke" and request.method == "POST":
            return consent.revoke(world, request)
        if path in ("/certs", "/oauth2/v3/certs"):
            return consent.certificates(world, pem=False)
        if path == "/oauth2/v1/certs":
            return consent.certificates(world, pem=True)
        if path.startswith(PREFIXES):
            return self.router.answer(request)
        if path.startswith(front.PREFIXES):
            return front.answer(world, request)
        raise not_found()

    def _send(self, answer: Answer) -> None:
        if answer.wire in ("reset", "close"):
            self._hang_up(hard=answer.wire == "reset")
            return
        body = answer.body or (b"" if answer.status in (204, 302, 410) else dump({}))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + (50 if answer.wire in ("truncate", "stall") else 0)))
        self.end_headers()
        if answer.wire == "stall":
            self.wfile.flush()
            time.sleep(answer.seconds)
            self._hang_up(hard=False)
            return
        self.wfile.write(body)
        self.wfile.flush()
        if answer.wire == "truncate":
            self._hang_up(hard=False)

    def _hang_up(self, *, hard: bool) -> None:
        self.close_connection = True
        if hard:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return
