"""A house at work: the pages, the worker or both in this process, until somebody ends it."""

from __future__ import annotations

import asyncio
import gc
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from urllib.parse import urlsplit

import structlog
from sqlmodel import select

import wiring
from connectors.guard import check_url
from house import House, now, open_house, release
from models.user import User
from settings import LOOPBACK, SettingsError

log = structlog.get_logger()


def serve(
    *,
    web: bool,
    work: bool,
    house: House | None = None,
    ready: threading.Event | None = None,
    listener: socket.socket | None = None,
) -> None:
    """Run the pages, the worker or both until SIGINT or SIGTERM; what is under way is finished first. Raises SettingsError
    for a taken port, before anything has started."""
    house = house or open_house()
    if web and listener is None:
        listener = listen(house.settings.host, house.settings.port)
    if work and not web and house.settings.broker_url == "memory://" and not house.embedded:
        log.info("work.memory_broker", note="jobs stay in this process; set BROKER_URL to share them")
    stop = _stop_at_a_signal()
    calm_collector()
    with working(house) if work else nullcontext():
        if listener is None:
            stop.wait()
        elif not stop.is_set():
            _serve_web(house, listener, ready)


def calm_collector() -> None:
    """For a process that lives long: what has been loaded by now stays, so the garbage collector need not look through it
    again and again, nor after every few hundred objects (it took an eighth of the worker's time)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _stop_at_a_signal() -> threading.Event:
    """Set by the first SIGINT or SIGTERM; a second one ends the process at once. uvicorn takes the signals while it runs
    and passes them on to these handlers afterwards."""
    stop = threading.Event()

    def ask(number: int, _frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, ask)
    return stop


@contextmanager
def working(house: House) -> Iterator[None]:
    """A worker and a scheduler in this process, on whatever broker is configured."""
    from worker.broker import EmbeddedWorker, build_broker

    broker = build_broker(house.settings.broker_url)
    from worker import actors
    from worker.reader import Reader
    from worker.scheduler import Scheduler

    surroundings = house.work()
    actors.bind(surroundings)
    actors.declare(broker)
    embedded = EmbeddedWorker(broker, threads=house.settings.workers)
    scheduler = Scheduler(surroundings, actors.enqueue)
    reader = Reader(surroundings, surroundings.push.inbox) if surroundings.push.inbox else None
    embedded.start()
    scheduler.start()
    if reader is not None:
        reader.start()
    try:
        yield
    finally:
        if reader is not None:
            reader.stop()
        scheduler.stop()
        embedded.stop()
        surroundings.close_all()


def _serve_web(house: House, listener: socket.socket, ready: threading.Event | None) -> None:
    import uvicorn

    chosen = house.settings
    config = uvicorn.Config(
        build_app(house), log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=3
    )
    server = uvicorn.Server(config)
    log.info("web.listening", url=f"http://{chosen.host}:{listener.getsockname()[1]}")
    if ready is not None:
        threading.Thread(target=_tell_when_started, args=(server, ready), daemon=True).start()
    asyncio.run(server.serve(sockets=[listener]))


def build_app(house: House, *, setup_token: str | None = None) -> Any:
    """The web application on this house."""
    from webapp.app import create_app
    from webapp.deps import Deps

    chosen = house.settings
    token = setup_token if setup_token is not None else _setup_token(house)
    deps = Deps(
        db=house.db,
        keyring=house.keyring,
        base_url=chosen.base_url,
        session_days=chosen.session_days,
        consents=house.providers,
        check_url=lambda url: check_url(url, allow_private=chosen.webhook_allow_private),
        clock=now,
        version=release(),
        setup_token=token,
        doors=wiring.doors(chosen),
    )
    return create_app(deps)


def _setup_token(house: House) -> str:
    """Where strangers could reach the first-start page, it asks for a token that only the log shows."""
    if urlsplit(house.settings.base_url).hostname in LOOPBACK:
        return ""
    with house.db.read() as session:
        if session.exec(select(User.id)).first() is not None:
            return ""
    token = secrets.token_urlsafe(16)
    log.warning("web.first_start", open=f"{house.settings.base_url}/setup?token={token}")
    return token


def listen(host: str, port: int) -> socket.socket:
    """A port, taken for this process; 0: any that is free. Raises SettingsError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle on
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Port {port} on {host} cannot be used ({error.strerror}). Stop the other program, or set DEALTRAIL_PORT."
        ) from error
    return listener


def _tell_when_started(server: Any, ready: threading.Event) -> None:
    while not server.started:
        time.sleep(0.02)
    ready.set()
