"""Graph over plain httpx: never retries by itself, never follows a redirect, and sends a token nowhere but below the
configured root, also when a link of Graph's own leads elsewhere (provider-contract 4.1, 4.4).

Every request asks for immutable ids and carries a client-request-id. A 401 is answered with a fresh token once, one that
satisfies the claims which the answer demands; everything else is told in ``faults``.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from connectors.clock import REAL, Clock
from connectors.errors import ConnectorError, TryLater
from connectors.microsoft.config import MicrosoftConfig
from connectors.microsoft.faults import from_answer, from_line, line
from connectors.microsoft.meter import ALL, MailboxMeter

BIGGEST_ANSWER = 64 * 1024 * 1024
IMMUTABLE = 'IdType="ImmutableId"'
_CLAIMS = re.compile(r'claims="([A-Za-z0-9+/=_-]+)"')
log = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)
"""Below that level it writes down addresses with the people that were searched for."""


class Tokens(Protocol):
    """Where access tokens come from (``tokens.StoredTokens``)."""

    def access(self) -> str:
        """A living one. Raises ConnectorError."""
        ...

    def renew(self, stale: str, claims: str = "") -> str:
        """Another one than ``stale``, which was refused; ``claims``: what it must satisfy (JSON). Raises ConnectorError."""
        ...


class Graph:
    """Requests of one account. ``home`` is how its mailbox is named in paths: ``/me`` or ``/users/...``. Not thread-safe: one
    for each thread. Close it. Methods raise ConnectorError."""

    def __init__(
        self,
        config: MicrosoftConfig,
        tokens: Tokens,
        meter: MailboxMeter,
        *,
        home: str = "/me",
        clock: Clock = REAL,
    ) -> None:
        self.config, self.meter, self.home, self.clock = config, meter, home, clock
        self._tokens = tokens
        self._http: httpx.Client | None = None

    def get(
        self, path: str, params: Mapping[str, str] | None = None, *, prefer: Iterable[str] = (), urgent: bool = False
    ) -> dict[str, Any]:
        """The JSON object at a path below the root (``/me/messages``). ``prefer``: preferences beside immutable ids."""
        url = str(httpx.URL(f"{self.config.graph}{path}", params=params)) if params else f"{self.config.graph}{path}"
        return self._one("GET", url, None, prefer, urgent)

    def follow(self, link: str, *, prefer: Iterable[str] = (), urgent: bool = False) -> dict[str, Any]:
        """What is behind a nextLink or deltaLink, which is taken as it is once its host is found to be ours."""
        if not self.config.is_ours(link):
            log.warning("graph.foreign_link host=%s", urlsplit(link).hostname)
            sentence = "Microsoft's answer led to an unknown host; it was not followed, and no access was shown there."
            raise TryLater("foreign_link", sentence, after=600.0)
        return self._one("GET", link, None, prefer, urgent)

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """POST, PATCH or DELETE outside of the mailbox's limits (subscriptions); {} for an answer without content."""
        content = None if body is None else json.dumps(body).encode()
        return self._object(self._asked(method, f"{self.config.graph}{path}", content, (IMMUTABLE,)))

    def exchange(self, requests: list[dict[str, Any]], *, urgent: bool = False) -> list[dict[str, Any]]:
        """One $batch of at most 20 and its answers in any order (A19). It has the mailbox for itself meanwhile."""
        self.meter.spend(len(requests), urgent=urgent)
        content = json.dumps({"requests": requests}).encode()
        with self.meter.lane(ALL):
            answer = self._object(self._asked("POST", f"{self.config.graph}/$batch", content, (IMMUTABLE,)))
        found = answer.get("responses")
        if not isinstance(found, list):
            raise line("not_json")
        return [one for one in found if isinstance(one, dict)]

    def renew(self) -> None:
        """Fetch another token than the one in use (parts of a batch were refused it). Raises ConnectorError."""
        self._tokens.renew(self._tokens.access())

    def close(self) -> None:
        """Close the line; the next request opens a new one."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _one(self, method: str, url: str, body: bytes | None, prefer: Iterable[str], urgent: bool) -> dict[str, Any]:
        self.meter.spend(1, urgent=urgent)
        with self.meter.lane():
            return self._object(self._asked(method, url, body, (IMMUTABLE, *prefer)))

    def _asked(self, method: str, url: str, body: bytes | None, prefer: tuple[str, ...]) -> tuple[int, bytes]:
        """Status and content of a success."""
        token = self._tokens.access()
        status, content, headers = self._sent(method, url, body, prefer, token)
        if status == 401:
            token = self._tokens.renew(token, demanded_claims(headers))
            status, content, headers = self._sent(method, url, body, prefer, token)
        if status < 300:
            return status, content
        fault = from_answer(status, content, headers, now=self.clock.now())
        log.info("graph.refused status=%s code=%s request=%s", status, fault.code, headers.get("request-id", ""))
        raise self.heeded(fault)

    def heeded(self, fault: ConnectorError) -> ConnectorError:
        """The same; a wait that it asks for is kept by everybody who shares the mailbox."""
        if isinstance(fault, TryLater) and fault.throttled and fault.after:
            self.meter.penalise(fault.after)
        return fault

    def _sent(
        self, method: str, url: str, body: bytes | None, prefer: tuple[str, ...], token: str
    ) -> tuple[int, bytes, httpx.Headers]:
        headers = {
            "Authorization": f"Bearer {token}",
            "client-request-id": str(uuid.uuid4()),
            "Accept": "application/json",
            "Prefer": ", ".join(prefer),
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            with self._line().stream(method, url, headers=headers, content=body) as answer:
                return answer.status_code, _read(answer), answer.headers
        except httpx.HTTPError as error:
            self.close()
            raise from_line(error) from None

    def _line(self) -> httpx.Client:
        if self._http is None:
            self._http = httpx.Client(
                timeout=self.config.timeout, follow_redirects=False, trust_env=not self.config.pretend
            )
        return self._http

    def _object(self, answer: tuple[int, bytes]) -> dict[str, Any]:
        """An answer that is no JSON object is no answer."""
        status, content = answer
        if status in (202, 204) and not content:
            return {}
        try:
            parsed = json.loads(content)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise line("not_json")
        return parsed


def demanded_claims(headers: Mapping[str, str]) -> str:
    """The claims (JSON) that continuous access evaluation demands in a 401, empty when it does not (contract 3.5)."""
    value = headers.get("www-authenticate", "")
    found = _CLAIMS.search(value)
    if "insufficient_claims" not in value or not found:
        return ""
    text = found.group(1).replace("-", "+").replace("_", "/")
    try:
        claims = base64.b64decode(text + "=" * (-len(text) % 4)).decode()
        json.loads(claims)
    except ValueError:
        return ""
    return claims


def _read(answer: httpx.Response) -> bytes:
    """The content, unpacked, as long as it is no bomb."""
    found = bytearray()
    for piece in answer.iter_bytes():
        found += piece
        if len(found) > BIGGEST_ANSWER:
            raise TryLater("too_large", "Microsoft's answer was far too large; it was not read.", after=60.0)
    return bytes(found)
