"""What many tests do: open a house on a sandbox, connect a mailbox, run what is due until nothing is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import house as building
import sandbox
from connecting import store_grant
from models.account import Account, claim_due_sources
from models.user import User, add_user, find_user
from models.webhook import claim_due_deliveries
from worker import deliver
from worker.context import Work
from worker.sync import sync_source
from worker.upkeep import keep_up

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""A Monday morning; where a test does not care."""
REP, COLLEAGUE = "rae@acme.example", "col@acme.example"
BUYER, OUTSIDER = "bea@northwind.example", "zoe@stranger.example"
PLENTY = 60_000_000


def settings(folder: Path, server: sandbox.Server | None = None, **overrides: Any) -> dict[str, Any]:
    """Settings of a house in a folder of its own, on a sandbox, with no waiting."""
    chosen: dict[str, Any] = {
        "_env_file": None,
        "data_dir": folder,
        "google_client_id": "test-client",
        "google_client_secret": "test-secret",
        "gmail_units_per_minute": PLENTY,
        "gmail_project_units_per_minute": PLENTY,
        "budget_share": 1.0,
        "tick_seconds": 0.05,
        "poll_seconds": 0.5,
        "calendar_poll_seconds": 0.5,
        "log_level": "error",
        "webhook_allow_private": True,
    }
    if server is not None:
        chosen |= {"google_api_root": server.google_api_root, "google_oauth_root": server.google_oauth_root}
    return chosen | overrides


def outlook_settings(server: sandbox.Server) -> dict[str, Any]:
    """What a house needs beside its settings to reach the pretend Microsoft."""
    return {
        "microsoft_client_id": "test-client",
        "microsoft_client_secret": "test-secret",
        "microsoft_graph_root": server.microsoft_graph_root,
        "microsoft_login_root": server.microsoft_login_root,
        "outlook_requests_per_minute": PLENTY,
    }


def mail(
    sender: str,
    to: str | Iterable[str],
    subject: str = "Hello",
    text: str = "Hello there.",
    *,
    at: datetime = NOW,
    message_id: str = "",
    cc: Iterable[str] = (),
    reply_to: str = "",
    **headers: str,
) -> bytes:
    """An e-mail as bytes. ``reply_to`` is the Message-ID it answers; other headers by keyword (``List_Id="..."``)."""
    message = EmailMessage(policy=SMTP.clone(max_line_length=200))
    message["From"] = sender
    message["To"] = to if isinstance(to, str) else ", ".join(to)
    if cc:
        message["Cc"] = ", ".join(cc)
    message["Subject"] = subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{message_id or f'{abs(hash((sender, str(to), subject, at)))}@test.example'}>"
    if reply_to:
        message["In-Reply-To"] = message["References"] = f"<{reply_to}>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


def connect(house: building.House, world: sandbox.World, email: str, *, user: str = "") -> Account:
    """Connect a mailbox of the sandbox without a browser; its user is made when needed."""
    granted = house.providers["google"].adopt(world.refresh_token(email))
    with house.db.write() as session:
        return store_grant(session, house.keyring, granted, user or email)


def connect_outlook(house: building.House, world: sandbox.World, email: str, *, user: str = "") -> Account:
    """The same for a mailbox at the pretend Microsoft."""
    granted = house.providers["microsoft"].adopt(world.microsoft_refresh_token(email))
    with house.db.write() as session:
        return store_grant(session, house.keyring, granted, user or email)


def person(house: building.House, email: str, role: str = "rep") -> User:
    """A user, made when there is none."""
    with house.db.write() as session:
        return find_user(session, email) or add_user(session, email, role=role, now=building.now())[0]


def settle(work: Work, *, turns: int = 200, ahead: timedelta = timedelta(0)) -> int:
    """Run every source that is due, then what follows, until nothing is due any more; how many runs. ``ahead`` moves the
    moment that counts as now, so that retries come due."""
    runs = 0
    real = work.now
    work.now = lambda: real() + ahead
    try:
        for _ in range(turns):
            with work.db.write() as session:
                won = claim_due_sources(session, now=work.now(), seconds=work.pace.lease, limit=50)
            for source_id, owner in won:
                sync_source(work, source_id, owner)
                runs += 1
            if not keep_up(work) and not won:
                return runs
    finally:
        work.now = real
    raise AssertionError("there is always more to do")


def poll(work: Work) -> int:
    """Make every source due, and settle."""
    from sqlmodel import select

    from models.account import Source

    with work.db.write() as session:
        for source in session.exec(select(Source)).all():
            source.next_sync_at = work.now()
            session.add(source)
    return settle(work)


def send_due(work: Work) -> int:
    """Send every delivery that is due; how many."""
    with work.db.write() as session:
        won = claim_due_deliveries(session, now=work.now(), seconds=60, limit=100)
    for delivery_id, owner in won:
        deliver.run(work, delivery_id, owner)
    return len(won)
