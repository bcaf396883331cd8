"""One delivery of a webhook: signed (Standard Webhooks 1.0.0), sent once, its outcome as data. No redirect is followed, the
connection goes to the address that was checked, and the answer is read up to a limit only."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
from standardwebhooks.webhooks import Webhook as Signer

from connectors.guard import Forbidden, Resolver, Target, check_url, resolve

MOST_ANSWER = 4_000
MOST_READ = 65_536
_NETWORK = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    httpcore.ProxyError,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a send. ``status`` 0: no answer, and ``error`` says why. Seconds in ``retry_after``."""

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
    signature = Signer(secret).sign(uid, now, body.decode())
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
        return _post(target, headers_of(secret, uid, body, now), body, timeout, started)
    except (*_NETWORK, OSError, ValueError) as error:
        return Outcome(0, _sentence(error), took_ms=_ms(started))


def _post(target: Target, headers: dict[str, str], body: bytes, timeout: float, started: float) -> Outcome:
    limits = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
    secure = ssl.create_default_context()
    with (
        httpcore.ConnectionPool(ssl_context=secure, max_connections=1, network_backend=_Pinned(target)) as pool,
        pool.stream("POST", target.url, headers=headers, content=body, extensions={"timeout": limits}) as response,
    ):
        answer = _read(response, started + timeout)
        error = "The receiver answers with a redirect, which is never followed." if 300 <= response.status < 400 else ""
        given = {name.lower(): value for name, value in response.headers}
        wait = _retry_after(given.get(b"retry-after", b"").decode("latin-1"))
        return Outcome(response.status, error, answer, _ms(started), wait)


def _read(response: httpcore.Response, deadline: float) -> str:
    held = b""
    for chunk in response.iter_stream():
        held += chunk
        if len(held) >= MOST_READ or time.monotonic() > deadline:
            break
    return held[:MOST_ANSWER].decode("utf-8", "replace").replace("\x00", "")


class _Pinned(httpcore.SyncBackend):
    """Connects to the addresses that were checked, whatever the name would resolve to now."""

    def __init__(self, target: Target) -> None:
        self._target = target

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
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last or httpcore.ConnectError("no address")


def _retry_after(text: str) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 10.2.3), None when there is none that can be read."""
    text = text.strip()
    if text.isdigit():
        return float(text[:7])
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return max(0.0, (at - datetime.now(at.tzinfo or UTC)).total_seconds()) if at.tzinfo else None


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
