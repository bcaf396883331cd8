"""Nobody is known: a mailbox is connected, the sent mail names the people who matter, they are taken in at once, and the
timelines of their deals fill by themselves."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

import house as building
import sandbox
from tests import support
from tests.journeys import steps
from tests.support import REP
from tests.web import api, key_of, member
from tests.worker.scene import places_of

FIRMS, LETTERS, NOISE = 3, 3, 100
FIRST_WITHIN = 60.0
"""Seconds from connecting to the first useful result (DESIGN, what people take for granted)."""
SIGNED = "Dear Rae,\nyes, please.\n\nBest regards\nPat Buyer{0}\nHead of Purchasing\nTel. +44 20 7946 00{0:02}"


def filled(world: sandbox.World) -> None:
    """Buyers at some firms with whom Rae writes to and fro, and a heap of what nobody asked for."""
    box, now = world.mailbox(REP), datetime.now(UTC)
    for number in range(NOISE):
        box.deliver(support.mail(f"n{number}@noise.example", REP, f"Noise {number}", at=now - timedelta(days=1)))
    for firm in range(FIRMS):
        buyer = f"pat.buyer{firm}@firm{firm}.example"
        for letter in range(LETTERS):
            at = now - timedelta(hours=20 * letter + firm + 2)
            box.deliver(
                support.mail(REP, buyer, f"Offer {letter}", at=at, message_id=f"o{firm}.{letter}@x"), labels=["SENT"]
            )
            answer = support.mail(
                f"Pat Buyer{firm} <{buyer}>",
                REP,
                f"Re: Offer {letter}",
                SIGNED.format(firm),
                at=at + timedelta(hours=1),
                reply_to=f"o{firm}.{letter}@x",
            )
            box.deliver(answer)


def listed(client: httpx.Client) -> list[dict[str, Any]]:
    """Whom the API offers."""
    return client.get("/discovered").json()["items"]


def test_sent_mail_names_people_and_taking_them_in_fills_the_timelines(
    house: building.House, world: sandbox.World, dealtrail: Callable[..., subprocess.Popen[str]]
) -> None:
    member(house, REP)
    filled(world)
    port = steps.free_port()
    base = f"http://127.0.0.1:{port}"
    process = dealtrail("serve", DEALTRAIL_PORT=str(port), DEALTRAIL_BASE_URL=base)
    steps.answering(process, base)
    with api(base, key_of(house, REP)) as client:
        assert listed(client) == [] and client.get("/contacts").json()["items"] == []
        started = time.monotonic()
        support.connect(house, world, REP)
        steps.until(lambda: len(listed(client)) == FIRMS, seconds=FIRST_WITHIN, why="the people in the sent mail")
        assert time.monotonic() - started < FIRST_WITHIN
        steps.first_sync_ends(client)
        people = listed(client)
        assert {(one["inbound"], one["outbound"]) for one in people} == {(LETTERS, LETTERS)}
        assert places_of(house.db, "noise.example") == [] and places_of(house.db, "Head of Purchasing") == []

        done = client.post("/discovered/decisions", json={"ids": [one["id"] for one in people], "decision": "deal"})
        assert done.status_code == 201 and len(done.json()["deals"]) == FIRMS

        def filled_up() -> bool:
            lines = [client.get(f"/deals/{deal}/timeline").json()["items"] for deal in done.json()["deals"]]
            return [len(items) for items in lines] == [2 * LETTERS] * FIRMS

        steps.until(filled_up, seconds=60, every=0.2, why="the timelines to fill")
        contacts = client.get("/contacts").json()["items"]
        assert {(one["name"], one["title"], one["phone"]) for one in contacts} == {
            (f"Pat Buyer{firm}", "Head of Purchasing", f"+44 20 7946 00{firm:02}") for firm in range(FIRMS)
        }
        assert {one["company"] for one in contacts} == {f"Firm{firm}" for firm in range(FIRMS)}
        assert listed(client) == [] and places_of(house.db, "noise.example") == []

        back = client.delete(f"/discovered/decisions/{done.json()['id']}")
        assert back.status_code == 200, back.text
        assert client.get("/deals").json()["items"] == [] and len(listed(client)) == FIRMS
        assert {(one["inbound"], one["outbound"]) for one in listed(client)} == {(LETTERS, LETTERS)}
    process.terminate()
    assert process.wait(20) == 0, process.communicate()[0]
