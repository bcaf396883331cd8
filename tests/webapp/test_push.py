"""Where Google rings: honest pushes make a source due, forged ones are refused, and nobody learns which mailboxes we know."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import event as on
from sqlmodel import select

import house as building
import sandbox
from connectors.doorbell import Watched
from models.account import Account, Source
from models.channel import Channel, add_channel, channel_opened
from models.doorbell import claim_due_channels, hash_of
from sandbox.oauth import b64url
from sandbox.pubsub import PUSHER, Published, Subscription, push_body
from sandbox.senders import CHANNEL_VARIANTS, PUSH_VARIANTS
from tests.support import BUYER, COLLEAGUE, REP, connect, mail, settle
from tests.web import serving
from tests.worker import scene
from worker.context import Push, Work
from worker.push import plan, tend

TOPIC, SUB = "projects/p/topics/t", "projects/p/subscriptions/s"
AUDIENCE = "https://dealtrail.acme.example/push/google/gmail"
Make = Callable[..., building.House]


@dataclass
class Gate:
    """A house that Google pushes to, with Rae's mailbox and calendar read once."""

    house: building.House
    world: sandbox.World
    base: str
    work: Work
    subscription: Subscription
    client: httpx.Client

    def post(self, body: Any, token: str | None = None, **headers: str) -> int:
        """One push to the mailbox door; its status."""
        bearer = self.world.pubsub.token(self.subscription) if token is None else token
        given = headers | ({"authorization": f"Bearer {bearer}"} if bearer else {})
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post("/push/google/gmail", content=content, headers=given).status_code

    def channel(self, name: str, token: str, resource: str = "r", state: str = "exists", **more: str) -> int:
        """One message of a calendar's channel; its status."""
        headers = {"x-goog-channel-id": name, "x-goog-channel-token": token, "x-goog-resource-id": resource}
        headers |= {"x-goog-resource-state": state, "x-goog-message-number": "7"} | more
        return self.client.post("/push/google/calendar", headers=headers).status_code

    def source(self, kind: str = "mail", email: str = REP) -> Source:
        """As it is now."""
        with self.house.db.read() as session:
            rows = select(Source).join(Account, Account.id == Source.account_id)  # type: ignore[arg-type]
            return session.exec(rows.where(Source.kind == kind, Account.email == email, Source.selected)).one()

    def quiet(self) -> None:
        """Nothing is due for an hour."""
        with self.house.db.write() as session:
            for row in session.exec(select(Source)).all():
                row.next_sync_at = building.now() + timedelta(hours=1)
                session.add(row)

    def rung(self, kind: str = "mail", email: str = REP) -> bool:
        """Whether the source is due within seconds."""
        due = self.source(kind, email).next_sync_at
        return due is not None and due - building.now() < timedelta(seconds=10)

    def rows(self) -> list[Any]:
        """Everything that a push could change."""
        with self.house.db.read() as session:
            found = [*session.exec(select(Source)).all(), *session.exec(select(Channel)).all()]
            return [row.model_dump() for row in found]

    def tend(self) -> None:
        """Open and stop what is due."""
        with self.house.db.write() as session:
            won = claim_due_channels(session, now=self.work.now(), seconds=300, limit=50)
        for channel_id, owner in won:
            tend(self.work, channel_id, owner)


@pytest.fixture
def gate(make_house: Make, world: sandbox.World) -> Iterator[Gate]:
    house = make_house(
        google_pubsub_topic=TOPIC,
        google_push_service_account=PUSHER,
        google_push_audience=AUDIENCE,
        poll_seconds=600,
        calendar_poll_seconds=600,
    )
    world.knobs.watch_interval = 0
    with serving(house) as base:
        subscription = world.pubsub.subscribe(
            SUB, TOPIC, push_to=f"{base}/push/google/gmail", audience=AUDIENCE, retry=(0.05, 0.2)
        )
        work = house.work()
        connect(house, world, REP)
        settle(work)
        with httpx.Client(base_url=base, timeout=20) as client:
            made = Gate(house, world, base, work, subscription, client)
            made.quiet()
            yield made
        work.close()


def notice(email: str = REP, history: Any = "5") -> dict[str, Any]:
    content = json.dumps({"emailAddress": email, "historyId": history}).encode()
    return {"message": {"data": base64.b64encode(content).decode(), "messageId": "1"}, "subscription": SUB}


# ---- mailboxes


def test_googles_push_brings_a_mail_to_the_timeline(gate: Gate, world: sandbox.World) -> None:
    scene.people(gate.house)
    gate.tend()
    world.courier.settle()
    assert {posted.status for posted in world.courier.record} <= {204, 503}
    assert world.courier.record[-1].status == 204
    with gate.house.db.read() as session:
        (row,) = session.exec(select(Channel)).all()
    assert row.last_message_at is not None, "the greeting was heard"
    gate.quiet()
    world.mailbox(REP).deliver(mail(BUYER, REP, "Prices", at=building.now()))
    world.courier.settle()
    assert gate.rung()
    settle(gate.work, ahead=timedelta(seconds=5))
    with gate.house.db.read() as session:
        assert scene.subjects(session) == ["Prices"]


def test_the_answer_is_the_same_for_known_and_unknown_mailboxes_and_for_junk(gate: Gate) -> None:
    answers = set()
    for body in (notice(), notice("RAE@Acme.Example"), notice("nobody@nowhere.example"), {"message": {}}, b"junk", b""):
        answer = gate.client.post(
            "/push/google/gmail",
            content=body if isinstance(body, bytes) else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {gate.world.pubsub.token(gate.subscription)}"},
        )
        del answer.headers["date"]
        answers.add((answer.status_code, answer.content, tuple(answer.headers.items())))
    assert len(answers) == 1 and answers.pop()[0] == 204


def test_only_the_named_mailbox_is_rung(gate: Gate, world: sandbox.World) -> None:
    connect(gate.house, world, COLLEAGUE)
    settle(gate.work)
    gate.quiet()
    assert gate.post(notice(COLLEAGUE.title(), 12)) == 204
    assert (gate.rung(), gate.rung(email=COLLEAGUE)) == (False, True)
    assert not gate.rung("calendar")


def test_forged_pushes_are_refused_and_write_nothing(gate: Gate) -> None:
    token = gate.world.pubsub.token
    one, now = gate.subscription, int(gate.world.clock.now())
    head, claims, signature = token(one).split(".")
    none = b64url(json.dumps({"alg": "none", "kid": "sandbox-1"}).encode())
    stranger = b64url(json.dumps({"alg": "RS256", "kid": "sandbox-9"}).encode())
    forged = {
        "": 401,
        "x": 401,
        f"{none}.{claims}.": 401,
        f"{stranger}.{claims}.{signature}": 401,
        f"{head}.{claims}.{b64url(b'x' * 256)}": 401,
        token(one, exp=now - 3_600, iat=now - 7_200): 401,
        token(one, iss="https://evil.example"): 401,
        token(one, aud="https://somebody-else.example/push"): 403,
        token(one, email="intruder@other.iam.gserviceaccount.com"): 403,
        token(one, email_verified=False): 403,
    }
    before = gate.rows()
    assert {bearer: gate.post(notice(), bearer) for bearer in forged} == forged
    assert gate.rows() == before


def test_a_body_that_never_ends_is_not_read(gate: Gate) -> None:
    before = gate.rows()
    assert gate.post(b"[" * 1_000_000) == 413
    assert gate.rows() == before


def test_what_the_sandbox_forges_of_pushes_leaves_things_as_polling_would(gate: Gate, world: sandbox.World) -> None:
    scene.people(gate.house)
    for variant in PUSH_VARIANTS:
        gate.quiet()
        world.courier.record.clear()
        rule = world.faults.add("F42", variant=variant, account=REP)
        assert rule is not None
        world.courier.settle()
        honest = variant == "thrice"
        statuses = {posted.status for posted in world.courier.record}
        assert statuses <= {"junk": {204}, "unknown": {204}, "thrice": {204}}.get(variant, {401, 403}), variant
        assert gate.rung() == honest, variant
        world.courier._waiting.clear()


def test_where_nothing_is_to_be_pushed_every_push_is_refused(make_house: Make, world: sandbox.World) -> None:
    subscription = world.pubsub.subscribe(SUB, TOPIC, audience=AUDIENCE)
    with serving(make_house()) as base:
        token = world.pubsub.token(subscription)
        for headers in ({}, {"authorization": f"Bearer {token}"}):
            assert httpx.post(f"{base}/push/google/gmail", json=notice(), headers=headers).status_code == 403
        assert httpx.post(f"{base}/push/google/calendar").status_code == 401
        assert httpx.get(f"{base}/push/google/gmail").status_code == 405


def test_two_hundred_pushes_are_few_writes_and_no_call_to_google(gate: Gate, world: sandbox.World) -> None:
    gate.tend()
    world.courier.settle()
    gate.quiet()
    token, body = world.pubsub.token(gate.subscription), json.dumps(notice()).encode()
    writes: list[str] = []

    def count(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split(" ", 1)[0].upper() in ("UPDATE", "INSERT", "DELETE"):
            writes.append(statement)

    asked = len(world.stats.record)
    on.listen(gate.house.db.engine, "before_cursor_execute", count)
    try:
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: gate.post(body, token), range(200)))
    finally:
        on.remove(gate.house.db.engine, "before_cursor_execute", count)
    assert answers == [204] * 200
    assert gate.rung()
    assert 1 <= len(writes) <= 16, "whoever looked before the first had written may write too; nobody after"
    assert len(world.stats.record) == asked


# ---- calendars


def opened(gate: Gate) -> Channel:
    """Rae's calendar rings at this house."""
    gate.work.push = Push({("google", "calendar"): f"{gate.base}/push/google/calendar"})
    plan(gate.work)
    gate.tend()
    gate.world.courier.settle()
    with gate.house.db.read() as session:
        return session.exec(select(Channel).where(Channel.kind == "calendar")).one()


def test_a_calendars_change_brings_the_meeting_to_the_timeline(gate: Gate, world: sandbox.World) -> None:
    scene.people(gate.house)
    row = opened(gate)
    assert row.last_message_at is not None, "the greeting was heard"
    gate.quiet()
    start = world.clock.moment() + timedelta(days=1)
    world.almanac.meet(REP, [BUYER], start, start + timedelta(hours=1), "Demo")
    world.courier.settle()
    assert {posted.status for posted in world.courier.record if posted.kind == "calendar"} == {204}
    assert gate.rung("calendar") and not gate.rung("mail")
    settle(gate.work, ahead=timedelta(seconds=8))
    with gate.house.db.read() as session:
        assert scene.subjects(session) == ["Demo"]


def planted(gate: Gate) -> Channel:
    """A channel whose secret we know."""
    with gate.house.db.write() as session:
        row = add_channel(session, gate.source("calendar").id or 0, "calendar", now=building.now())
        row.channel_id, row.token_hash = "c1", hash_of("hush")
        session.add(row)
        session.flush()
        ends = Watched(building.now() + timedelta(days=7), "r")
        channel_opened(
            session,
            row.id or 0,
            opened_at=building.now(),
            expires_at=ends.expires_at,
            renew_at=ends.expires_at,
            address="https://dealtrail.acme.example/push/google/calendar",
            resource_id=ends.resource_id,
        )
        return row


def test_a_message_without_the_channels_own_secret_is_refused_and_writes_nothing(gate: Gate) -> None:
    planted(gate)
    before = gate.rows()
    assert gate.channel("c1", "wrong") == 403
    assert gate.channel("c1", "") == 403
    assert gate.channel("c2", "hush") == 403
    assert gate.channel("c1", "hush", resource="other") == 403
    assert gate.channel("", "hush") == 401
    assert gate.rows() == before
    assert gate.channel("c1", "hush") == 204
    assert gate.rung("calendar")


def test_a_greeting_is_heard_and_wakes_nobody(gate: Gate) -> None:
    row = planted(gate)
    assert gate.channel("c1", "hush", state="sync") == 204
    assert not gate.rung("calendar")
    with gate.house.db.read() as session:
        assert session.get_one(Channel, row.id).last_message_at is not None


def test_a_message_before_googles_answer_is_heard_too(gate: Gate) -> None:
    """The first message may come while the request that opens the channel is still under way: no resource is known yet."""
    with gate.house.db.write() as session:
        row = add_channel(session, gate.source("calendar").id or 0, "calendar", now=building.now())
        row.channel_id, row.token_hash = "early", hash_of("hush")
    assert gate.channel("early", "wrong", resource="new", state="sync") == 403
    assert gate.channel("early", "hush", resource="new", state="sync") == 204


def test_what_the_sandbox_forges_of_channels_is_refused_or_harmless(gate: Gate, world: sandbox.World) -> None:
    opened(gate)
    for variant in CHANNEL_VARIANTS:
        gate.quiet()
        world.courier.record.clear()
        world.faults.add("F41", variant=variant)
        world.courier.settle()
        statuses = {posted.status for posted in world.courier.record}
        assert statuses == ({403} if variant in ("token", "unknown") else {204}), variant
        assert gate.rung("calendar") == (variant in ("duplicate", "jump")), variant


def test_a_mailboxs_watch_is_no_door_to_a_calendars(gate: Gate) -> None:
    gate.tend()
    gate.world.courier.settle()
    before = gate.rows()
    assert gate.channel("reader:" + SUB, "") == 403
    assert gate.rows() == before


def test_a_push_body_of_the_real_shape_is_read(gate: Gate) -> None:
    published = Published("2070443601311540", b'{"emailAddress":"rae@acme.example","historyId":987050}', 0.0)
    assert gate.post(push_body(gate.subscription, published)) == 204
    assert gate.rung()
