"""Steps that the journeys share: a free port, waiting, a deal to log on, a webhook that is verified."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
from standardwebhooks.webhooks import Webhook as Verifier

from tests.journeys.conftest import Receiver
from tests.support import BUYER

T = TypeVar("T")


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(look: Callable[[], T | None], *, seconds: float, why: str, every: float = 0.05) -> T:
    """What ``look`` gives once it gives something; fails with ``why`` after ``seconds``."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = look()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"waited {seconds} s for: {why}")


def answering(process: subprocess.Popen[str], base: str) -> None:
    """Wait until the pages answer."""

    def look() -> bool:
        assert process.poll() is None, process.communicate()[0]
        try:
            return httpx.get(f"{base}/api/v1/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    until(look, seconds=60, why="the pages to answer")


@dataclass(frozen=True)
class Desk:
    """A deal to log on, and a webhook of its owner's."""

    deal: int
    secret: str


def furnish(api: httpx.Client, receiver: Receiver) -> Desk:
    """Bea of Northwind, her deal, and a subscription, all through the API."""
    deal = open_deal(api, "Fleet pilot", BUYER)
    hook = _made(api, "hooks", {"target_url": receiver.url, "event": "interaction.logged"})
    return Desk(deal, hook["secret"])


def open_deal(api: httpx.Client, name: str, email: str) -> int:
    """A deal with a new customer, known by one address; its id."""
    domain = email.rpartition("@")[2]
    company = _made(api, "companies", {"name": domain.partition(".")[0].title(), "domains": [domain]})
    contact = _made(api, "contacts", {"name": "The buyer", "emails": [email], "company_id": company["id"]})
    deal = _made(api, "deals", {"name": name, "contacts": [{"contact_id": contact["id"], "role": "buyer"}]})
    return deal["id"]


def _made(api: httpx.Client, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(f"/{kind}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def first_sync_ends(api: httpx.Client) -> None:
    """Wait until the worker calls every account of this person's up to date."""

    def look() -> bool:
        states = [account["state"] for account in api.get("/accounts").json()["items"]]
        return bool(states) and set(states) == {"ok"}

    until(look, seconds=60, why="the first sync to end")


def verified(headers: dict[str, str], body: bytes, secret: str) -> dict[str, Any]:
    """The event of a delivery, checked by the library that receivers use. Raises WebhookVerificationError."""
    event = Verifier(secret).verify(body, headers)
    assert event == json.loads(body)
    assert event["id"] == headers["webhook-id"]
    assert abs(datetime.now(UTC).timestamp() - int(headers["webhook-timestamp"])) < 60
    return event
