"""A mail arrives in the mailbox and is seen: on the deal's page without a reload, and at a receiver that checks it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright
from sqlmodel import select
from standardwebhooks.webhooks import WebhookVerificationError

import house as building
import sandbox
from models.ledger import LedgerEntry
from tests import support
from tests.journeys import steps
from tests.journeys.conftest import Receiver
from tests.support import BUYER, REP
from tests.web import PASSWORD, api, key_of, member

AT_ONCE = 5.0
"""Seconds from the commit of what was logged to the page of somebody who looks at it."""


@dataclass(frozen=True)
class Running:
    """``dealtrail serve`` with Rae's mailbox, up to date, and her deal."""

    base: str
    api: httpx.Client
    desk: steps.Desk
    house: building.House
    world: sandbox.World

    def arrive(self, subject: str) -> str:
        """A mail of Bea's arrives now; its id at the provider."""
        now = datetime.now(UTC)
        raw = support.mail(BUYER, REP, subject, "When can you start?", at=now, message_id=f"{subject}@test.example")
        return self.world.mailbox(REP).deliver(raw)

    def committed(self, item_id: str) -> float:
        """Wait until the ledger says that it is logged; when that was, on the monotonic clock."""

        def look() -> bool:
            with self.house.db.read() as session:
                entry = session.exec(select(LedgerEntry).where(LedgerEntry.item_id == item_id)).first()
                return entry is not None and entry.outcome == "logged"

        steps.until(look, seconds=20, every=0.02, why="the mail to be logged")
        return time.monotonic()


@pytest.fixture
def running(
    house: building.House,
    world: sandbox.World,
    receiver: Receiver,
    dealtrail: Callable[..., subprocess.Popen[str]],
) -> Iterator[Running]:
    member(house, REP)
    support.connect(house, world, REP)
    port = steps.free_port()
    base = f"http://127.0.0.1:{port}"
    process = dealtrail("serve", DEALTRAIL_PORT=str(port), DEALTRAIL_BASE_URL=base)
    steps.answering(process, base)
    with api(base, key_of(house, REP)) as client:
        steps.first_sync_ends(client)
        yield Running(base, client, steps.furnish(client, receiver), house, world)
    process.terminate()
    assert process.wait(20) == 0, process.communicate()[0]


def test_a_new_mail_is_on_the_timeline_and_its_webhook_verifies(running: Running, receiver: Receiver) -> None:
    item = running.arrive("A question about the pilot")
    running.committed(item)
    [logged] = running.api.get(f"/deals/{running.desk.deal}/timeline").json()["items"]
    assert (logged["kind"], logged["direction"], logged["subject"]) == (
        "email",
        "inbound",
        "A question about the pilot",
    )
    assert [link["deal_id"] for link in logged["links"]] == [running.desk.deal]

    steps.until(receiver.ids, seconds=5, why="the webhook")
    [(headers, body)] = receiver.got
    event = steps.verified(headers, body, running.desk.secret)
    assert (event["type"], event["data"]["id"]) == ("interaction.logged", logged["id"])
    assert event["data"]["subject"] == "A question about the pilot"

    tampered = body.replace(b"pilot", b"pilots", 1)
    assert tampered != body
    with pytest.raises(WebhookVerificationError):
        steps.verified(headers, tampered, running.desk.secret)
    with pytest.raises(WebhookVerificationError):
        steps.verified(headers | {"webhook-id": "evt_of_another"}, body, running.desk.secret)


@pytest.mark.browser
def test_a_new_mail_appears_on_the_open_page_within_five_seconds(
    running: Running, receiver: Receiver, chromium: str
) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(base_url=running.base)
        page.goto("/sign-in")
        page.get_by_label("E-mail address").fill(REP)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(".bar")).to_be_visible()
        page.goto(f"/deals/{running.desk.deal}")
        expect(page.get_by_role("heading", name="What happened")).to_be_visible()
        page.evaluate("window.same = true")

        row = page.locator("#stream > li", has_text="Seen while looking")
        expect(row).to_have_count(0)
        since = running.committed(running.arrive("Seen while looking"))
        expect(row).to_be_visible(timeout=AT_ONCE * 1000)
        assert time.monotonic() - since < AT_ONCE
        assert page.evaluate("window.same") is True, "the page was loaded anew"
        browser.close()

    steps.until(receiver.ids, seconds=5, why="the webhook")
    [(headers, body)] = receiver.got
    assert steps.verified(headers, body, running.desk.secret)["data"]["subject"] == "Seen while looking"
