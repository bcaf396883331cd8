"""The web room on a real socket, and the people who knock."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn

import house as building
from models.user import User, add_user, create_key, find_user, set_password
from serving import build_app, listen

PASSWORD = "a long enough password"


@contextmanager
def serving(house: building.House, *, setup_token: str = "") -> Iterator[str]:
    """The application on a free port of this machine; its address."""
    listener = listen("127.0.0.1", 0)
    app = build_app(house, setup_token=setup_token)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def member(house: building.House, email: str, role: str = "rep", password: str = PASSWORD) -> User:
    """A user who can sign in."""
    with house.db.write() as session:
        user = find_user(session, email) or add_user(session, email, role=role, now=building.now())[0]
        user.role = role
        set_password(session, user, password)
        return user


def key_of(house: building.House, email: str) -> str:
    """An API key of a user's."""
    with house.db.write() as session:
        user = find_user(session, email)
        assert user is not None
        return create_key(session, user, now=building.now())


def api(base: str, key: str = "") -> httpx.Client:
    """A client of the JSON API."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=f"{base}/api/v1", headers=headers, timeout=20)


def signed_in(base: str, email: str, password: str = PASSWORD) -> httpx.Client:
    """A browser-like client that has signed in; its changes carry the session's token."""
    client = httpx.Client(base_url=base, timeout=20, follow_redirects=True)
    answer = client.post("/sign-in", data={"email": email, "password": password})
    assert answer.status_code == 200, answer.text[:500]
    client.headers["x-csrf-token"] = token_in(answer.text)
    return client


def token_in(page: str) -> str:
    """The session's token as a page carries it."""
    found = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert found, "the page carries no token"
    return found[1]
