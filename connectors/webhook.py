"""One delivery of a webhook: signed (Standard Webhooks 1.0.0), sent once, its outcome as data. No redirect is followed, the
connection goes to the address that was checked, and the answer is read up to a limit only."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpcore
from standardwebhooks.webhooks import Webhook as Signer

from connectors.guard import Forbidden, Resolver, Target, check_url, resolve
from connectors.retry_after import seconds

MOST_ANSWER = 4_000
MOST_READ = 65_536
_REDIRECT = "The receiver answers with a redirect, which is never followed."
_BROKEN_OFF = "The answer broke off before its end; its status counts all the same."
_NETWORK = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    httpcore.ProxyError,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a send. ``status`` 0: no answer, and ``error`` says why; beside a status it says what was odd about the
    answer. Seconds in ``retry_after``."""

    status: int
    error: str = ""
    answer: str = ""
    took_ms: int = 0
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def body_of(uid: str, kind: str, at: datetime, data: dict[str, Any]) -> bytes:
    """The payload: {id, type, timestamp, data}; the same event gives the same bytes on every attempt."""
    moment = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    content = {"id": uid, "type": kind, "timestamp": moment, "data": data}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def headers_of(secret: str, uid: str, body: bytes, now: datetime) -> dict[str, str]:
    """webhook-id, webhook-timestamp and webhook-signature. Raises ValueError for a secret that is none."""
    try:
        signature = Signer(secret).sign(uid, now, body.decode())
    except Exception as error:
        raise ValueError("the secret of this webhook cannot sign") from error
    return {
        "content-type": "application/json",
        "user-agent": "Dealtrail-Webhooks/1",
        "webhook-id": uid,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }


def send(
    url: str,
    secret: str,
    uid: str,
    body: bytes,
    *,
    now: datetime,
    timeout: float = 15.0,
    allow_private: bool = False,
    resolver: Resolver = resolve,
) -> Outcome:
    """POST once; never raises for what a receiver or the network does. ``timeout`` in seconds bounds the whole send."""
    started = time.monotonic()
    try:
        target = check_url(url, allow_private=allow_private, resolver=resolver)
    except Forbidden as error:
        return Outcome(0, str(error))
    try:
        headers = headers_of(secret, uid, body, now)
    except ValueError:
        return Outcome(0, "The secret of this webhook cannot sign. Make a new one.")
    try:
        return _post(target, headers, body, timeout, started)
    except (*_NETWORK, OSError, ValueError) as error:
        return Outcome(0, _sentence(error), took_ms=_ms(started))


def _post(target: Target, headers: dict[str, str], body: bytes, timeout: float, started: float) -> Outcome:
    limits = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
    secure = ssl.create_default_context()
    backend = _Pinned(target, started + timeout)
    with (
        httpcore.ConnectionPool(ssl_context=secure, max_connections=1, network_backend=backend) as pool,
        pool.stream("POST", target.url, headers=headers, content=body, extensions={"timeout": limits}) as response,
    ):
        answer, whole = _read(response)
        error = _REDIRECT if 300 <= response.status < 400 else "" if whole else _BROKEN_OFF
        given = {name.lower(): value for name, value in response.headers}
        wait = seconds(given.get(b"retry-after", b"").decode("latin-1"), datetime.now(UTC))
        return Outcome(response.status, error, answer, _ms(started), wait)


def _read(response: httpcore.Response) -> tuple[str, bool]:
    """The beginning of the answer, and whether it came as far as it was wanted. One that breaks off or goes on for too long
    was an answer all the same: its status counts."""
    held, whole = b"", True
    try:
        for chunk in response.iter_stream():
            held += chunk
            if len(held) >= MOST_READ:
                break
    except (httpcore.ReadTimeout, httpcore.ReadError, httpcore.RemoteProtocolError):
        whole = False
    return held[:MOST_ANSWER].decode("utf-8", "replace").replace("\x00", ""), whole


class _Pinned(httpcore.SyncBackend):
    """Connects to the addresses that were checked, whatever the name would resolve to now."""

    def __init__(self, target: Target, deadline: float) -> None:
        self._target, self._deadline = target, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        last: Exception | None = None
        for address in self._target.addresses[:4]:
            try:
                left = _left(self._deadline, httpcore.ConnectTimeout)
                stream = super().connect_tcp(address, port, left, local_address, socket_options)
                return _Timed(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last or httpcore.ConnectError("no address")


class _Timed(httpcore.NetworkStream):
    """A stream that ends when the time of the whole send is over, however slowly it trickles."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, httpcore.ConnectTimeout)
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float, late: type[httpcore.TimeoutException]) -> float:
    """Seconds that are left. Raises ``late`` when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise late("the time of this send is over")
    return left


def _sentence(error: Exception) -> str:
    if isinstance(error, httpcore.TimeoutException):
        return "The receiver did not answer in time."
    if isinstance(error, httpcore.ConnectError):
        text = str(error).lower()
        return (
            "Its certificate is not valid."
            if "certificate" in text or "ssl" in text
            else "Nobody answers at that address."
        )
    return f"The connection failed ({type(error).__name__})."


def _ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
