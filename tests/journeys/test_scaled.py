"""The same path on Postgres and Redis with the pages and two workers as processes of their own; Redis may forget everything
in the middle of it."""

from __future__ import annotations

import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dramatiq
import httpx
import psycopg
import pytest
import redis
from sqlalchemy import make_url
from sqlmodel import Session, col, func, select

import house as building
import sandbox
from models.account import Account, Source
from models.event import Event
from models.interaction import Copy, Interaction, Link
from models.ledger import LedgerEntry
from models.setting import set_team_setting
from models.webhook import Delivery
from tests import support
from tests.conftest import _redis_server
from tests.journeys import steps
from tests.journeys.conftest import Receiver
from tests.support import BUYER, COLLEAGUE, NOW, OUTSIDER, REP
from tests.web import api, key_of, member
from worker.broker import EmbeddedWorker, build_broker

pytestmark = pytest.mark.redis
MAILS = 96
"""In Rae's mailbox; half of them with a buyer, and half of these in her colleague's too."""
BUYERS = [BUYER, *(f"buyer@customer-{number}.example" for number in range(1, 6))]
"""Each has a deal: a deal's events go to a receiver one after another."""


@pytest.fixture
def empty_postgres(postgres: str) -> Iterator[str]:
    """A database without a single table, as a team has it before its first ``dealtrail migrate``."""
    name = f"scaled_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield make_url(postgres).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def queue(redis_url: str) -> Iterator[redis.Redis]:
    """The Redis of this test, empty before and after."""
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    yield client
    client.flushall()
    client.close()


@pytest.mark.postgres
def test_two_workers_log_everything_once_although_redis_forgets(
    make_house: Callable[..., building.House],
    world: sandbox.World,
    receiver: Receiver,
    empty_postgres: str,
    queue: redis.Redis,
    redis_url: str,
    dealtrail: Callable[..., subprocess.Popen[str]],
) -> None:
    port = steps.free_port()
    base = f"http://127.0.0.1:{port}"
    place = {
        "DEALTRAIL_DATABASE_URL": empty_postgres,
        "DEALTRAIL_BROKER_URL": redis_url,
        "DEALTRAIL_BASE_URL": base,
        "DEALTRAIL_PORT": str(port),
        "DEALTRAIL_LEASE_SECONDS": "5",
        "DEALTRAIL_WEBHOOK_TIMEOUT": "5",
    }
    migrated = dealtrail("migrate", **place)
    assert migrated.wait(60) == 0, migrated.communicate()[0]
    house = make_house(database_url=empty_postgres, broker_url=redis_url)
    _fill(world)
    world.knobs.latency = 0.05
    web = dealtrail("web", **place)
    steps.answering(web, base)
    member(house, REP, role="admin")
    with api(base, key_of(house, REP)) as client:
        desk = steps.furnish(client, receiver)
        deals = [desk.deal, *(steps.open_deal(client, f"Deal with {one}", one) for one in BUYERS[1:])]
        with house.db.write() as session:
            set_team_setting(session, "announce_backfill", True)
        support.connect(house, world, REP)
        support.connect(house, world, COLLEAGUE)
        workers = [dealtrail("work", **place) for _ in range(2)]
        for share in (0.15, 0.5):
            steps.until(lambda share=share: _settled(house) > share * MAILS, seconds=90, why="the sync to get on")
            steps.until(lambda: _forget(queue), seconds=30, every=0.01, why="a job to be lost")
        assert _settled(house) < _all_mails(world), "Redis forgot when it was too late to matter"
        steps.first_sync_ends(client)
        steps.until(lambda: _delivered(house), seconds=60, why="the webhooks to be sent")
        assert queue.zcard("dramatiq:__heartbeats__") == 2, "both workers take part"
        account = next(one["id"] for one in client.get("/accounts").json()["items"] if one["email"] == REP)
        client.post(f"/accounts/{account}/audit")
        audit = steps.until(lambda: _audited(client, account), seconds=30, why="the audit")
        assert audit["missing"] == 0
        shown = [len(client.get(f"/deals/{deal}/timeline").json()["items"]) for deal in deals]
        assert shown == [MAILS // 2 // len(deals)] * len(deals)
    for process in (web, *workers):
        process.terminate()
    assert [process.wait(30) for process in (web, *workers)] == [0, 0, 0]

    with house.db.read() as session:
        _ledger_equals_mailboxes(session, world)
        _nothing_twice(session)
        uids = session.exec(select(Event.uid).where(Event.kind == "interaction.logged")).all()
        assert session.exec(select(func.count()).select_from(Delivery)).one() == len(uids) == MAILS // 2
    assert Counter(receiver.ids()) == Counter(uids)
    for headers, body in receiver.got:
        steps.verified(headers, body, desk.secret)


def _fill(world: sandbox.World) -> None:
    """Mail of the last days: from a buyer to both, from strangers, between colleagues, to a buyer."""
    for number in range(MAILS):
        at = NOW - timedelta(hours=2 * number)
        buyer = BUYERS[number // 4 % len(BUYERS)]
        sender, to = ((buyer, [REP, COLLEAGUE]), (OUTSIDER, [REP]), (COLLEAGUE, [REP]), (REP, [buyer]))[number % 4]
        raw = support.mail(
            sender, to, f"Subject {number}", f"Text {number}.", at=at, message_id=f"s{number}@test.example"
        )
        for email in {sender, *to} & {REP, COLLEAGUE}:
            world.mailbox(email).deliver(raw, at=at.timestamp(), history=False)


def _forget(queue: redis.Redis) -> int:
    """Redis loses all it holds; how many jobs that waited for a worker were among it."""
    step = queue.pipeline()
    step.llen("dramatiq:default")
    step.flushall()
    return step.execute()[0]


def _all_mails(world: sandbox.World) -> int:
    return sum(len(world.mailbox(email).messages) for email in (REP, COLLEAGUE))


def _settled(house: building.House) -> int:
    with house.db.read() as session:
        return session.exec(
            select(func.count()).select_from(LedgerEntry).where(LedgerEntry.outcome != "unopened")
        ).one()


def _delivered(house: building.House) -> bool:
    with house.db.read() as session:
        unplaced = session.exec(select(func.count()).select_from(Event).where(col(Event.position).is_(None))).one()
        states = set(session.exec(select(Delivery.state).distinct()).all())
        return not unplaced and states == {"delivered"}


def _audited(client: httpx.Client, account: int) -> dict[str, Any] | None:
    answer = client.get(f"/accounts/{account}/audit").json()
    return None if answer["running"] or answer["missing"] is None else answer


def _ledger_equals_mailboxes(session: Session, world: sandbox.World) -> None:
    for email in (REP, COLLEAGUE):
        rows = session.exec(
            select(LedgerEntry.item_id, LedgerEntry.outcome)
            .join(Source, col(Source.id) == LedgerEntry.source_id)
            .join(Account, col(Account.id) == Source.account_id)
            .where(Source.kind == "mail", Account.email == email)
        ).all()
        assert Counter(item_id for item_id, _ in rows) == Counter(list(world.mailbox(email).messages)), email
        assert {outcome for _, outcome in rows} <= {"logged", "ignored", "internal"}, email


def _nothing_twice(session: Session) -> None:
    """Each mail with a buyer is one interaction and one link, however many mailboxes hold it."""
    identities = session.exec(select(Interaction.identity)).all()
    assert Counter(identities) == Counter(f"m:s{n}@test.example" for n in range(MAILS) if n % 4 in (0, 3))
    links = session.exec(select(Link.interaction_id)).all()
    assert len(links) == len(set(links)) == MAILS // 2
    copies = session.exec(select(Copy.source_id, Copy.item_id)).all()
    assert len(copies) == len(set(copies)) == MAILS // 2 + MAILS // 4


# ---- ways to Redis


@pytest.fixture
def tcp_url(tmp_path: Path) -> Iterator[str]:
    """A Redis that listens on a port."""
    port = steps.free_port()
    command = [_redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = redis.Redis(port=port)
    try:
        steps.until(lambda: _answers(client), seconds=10, why="Redis")
        yield f"redis://127.0.0.1:{port}/1"
    finally:
        client.close()
        process.terminate()
        process.wait(10)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.mark.parametrize("way", ["redis_url", "tcp_url"])
def test_redis_is_reached_by_its_socket_and_by_its_port(way: str, request: pytest.FixtureRequest) -> None:
    before = dramatiq.get_broker()
    broker = build_broker(request.getfixturevalue(way))
    done: list[int] = []

    def note(number: int) -> None:
        done.append(number)

    try:
        actor = dramatiq.actor(note, broker=broker)
        worker = EmbeddedWorker(broker, threads=1)
        worker.start()
        actor.send(7)
        steps.until(lambda: done == [7], seconds=10, why="the job to be done")
        worker.stop()
    finally:
        dramatiq.set_broker(before)
