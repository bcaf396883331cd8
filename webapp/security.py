"""Closed by default: a route without a policy is refused, whoever asks.

``@policy`` stands on every endpoint: ``public`` (anybody), ``rep`` (whoever is signed in), ``manager`` or ``admin``. Pages are
asked with a session cookie, and every change they make carries the session's own token (CSRF) and comes from our own
origin; the API is asked with a bearer key, which no browser sends by itself.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import Forbidden, Invalid
from models.user import ApiKey, User, key_owner, signed_in
from webapp.deps import Deps, Viewer, deps_of

COOKIE = "dealtrail"
RANK = {"public": 0, "rep": 1, "manager": 2, "admin": 3}
SAFE = ("GET", "HEAD", "OPTIONS")
POLICY = "dealtrail_policy"
SEEN_EVERY = timedelta(minutes=1)
MOST_BODY = 51 * 2**20
"""Bytes of a request at the most: the largest file and what stands around it."""
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
        "form-action 'self' https: http://127.0.0.1:* http://localhost:*"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class SignInNeeded(Exception):
    """Nobody is signed in; a page sends the browser to the door, the API answers 401."""


class TooManyTries(Exception):
    """Somebody guesses passwords. ``after`` in seconds."""

    def __init__(self, after: float) -> None:
        super().__init__("Too many attempts. Wait a few minutes, then try again.")
        self.after = after


def policy(who: str) -> Callable[[Endpoint], Endpoint]:
    """Who may use an endpoint. Raises ValueError for a role that is none."""
    if who not in RANK:
        raise ValueError(f"{who!r} is no policy; use one of {', '.join(RANK)}")

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, POLICY, who)
        return endpoint

    return mark


def policy_of(endpoint: Any) -> str | None:
    """The policy of an endpoint; None when it was forgotten."""
    return getattr(endpoint, POLICY, None)


def guard(request: Request) -> None:
    """Runs before every endpoint. Raises SignInNeeded, Forbidden."""
    wanted = policy_of(request.scope["endpoint"])
    if wanted is None:
        raise Forbidden("This address is closed.")
    deps = deps_of(request)
    viewer = _by_key(deps, request) if is_api(request) else _by_cookie(deps, request)
    request.state.viewer = viewer
    if wanted != "public":
        if viewer is None:
            raise SignInNeeded
        if RANK[viewer.role if viewer.role in RANK else "rep"] < RANK[wanted]:
            raise Forbidden(
                "This is for "
                + {"manager": "managers and administrators"}.get(wanted, "administrators")
                + "; ask one of yours."
            )
    if not is_api(request) and request.method not in SAFE:
        _same_origin(request, deps)


async def check_token(request: Request) -> None:
    """Every change from a page carries the session's token, in a header (htmx) or a form field. Raises Forbidden."""
    viewer = getattr(request.state, "viewer", None)
    if viewer is None or is_api(request) or request.method in SAFE:
        return
    given = request.headers.get("x-csrf-token", "")
    check_length(request)
    if not given and request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        given = str((await request.form()).get("csrf", ""))
    if not hmac.compare_digest(given.encode(), viewer.csrf.encode()):
        raise Forbidden("This page is out of date. Go back, reload it and try again.")


def check_length(request: Request) -> None:
    """Refuse what is too large to be taken before any of it is read. Raises Invalid."""
    length = request.headers.get("content-length", "")
    if request.headers.get("content-type", "").startswith("multipart/") and not length.isdigit():
        raise Invalid("Say how long the file is (Content-Length).", "file")
    if length.isdigit() and int(length) > MOST_BODY:
        raise Invalid(f"More than {MOST_BODY >> 20} MB cannot be sent at once; split the file.", "file")


def is_api(request: Request) -> bool:
    """Whether JSON is spoken here."""
    return request.url.path.startswith("/api/")


def _by_cookie(deps: Deps, request: Request) -> Viewer | None:
    token = request.cookies.get(COOKIE, "")
    if not token:
        return None
    with deps.db.read() as session:
        found = signed_in(session, token, now=deps.clock())
        return _viewer(found[0], found[1].csrf) if found else None


def _by_key(deps: Deps, request: Request) -> Viewer | None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        return None
    with deps.db.read() as session:
        found = key_owner(session, token.strip())
    if found is None:
        return None
    user, key = found
    now = deps.clock()
    if key.last_used_at is None or now - key.last_used_at > SEEN_EVERY:
        with deps.db.write() as session:
            row = session.get(ApiKey, key.id)
            if row is not None:
                row.last_used_at = now
                session.add(row)
    return _viewer(user, "")


def _viewer(user: User, csrf: str) -> Viewer:
    return Viewer(user.id or 0, user.email, user.name, user.role, csrf)


def _same_origin(request: Request, deps: Deps) -> None:
    """A browser names the page that a change comes from; a foreign one is refused."""
    origin = request.headers.get("origin")
    if origin is None:
        return
    ours = {urlsplit(deps.base_url).netloc, request.headers.get("host", "")}
    if origin == "null" or urlsplit(origin).netloc not in ours:
        raise Forbidden("This change came from another site and was refused.")


class Tries:
    """Failed sign-ins of an address or a machine; more than ``most`` in ``seconds`` and everybody waits. In this process
    only: several web processes each allow as many."""

    def __init__(self, most: int = 10, seconds: float = 900.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._failed: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def check(self, *keys: str) -> None:
        """Raises TooManyTries."""
        with self._lock:
            now = self._clock()
            for key in keys:
                recent = [at for at in self._failed.get(key, ()) if now - at < self._seconds]
                if len(recent) >= self._most:
                    raise TooManyTries(self._seconds - (now - recent[0]))

    def failed(self, *keys: str) -> None:
        with self._lock:
            now = self._clock()
            if len(self._failed) > 10_000:
                self._failed.clear()
            for key in keys:
                recent = [at for at in self._failed.get(key, ()) if now - at < self._seconds]
                self._failed[key] = [*recent, now]

    def passed(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                self._failed.pop(key, None)


class SafeHeaders:
    """Every answer carries the headers that keep a browser from being used against its user."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)
