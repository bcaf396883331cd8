"""Asking Graph to ring, and reading what it posts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.doorbell import ChannelNotice, Posted, Watched
from connectors.errors import Gone, OperatorFault, Refused, TryLater
from connectors.microsoft.push import MicrosoftPush, can_post_to
from connectors.microsoft.rings import LONGEST_TOKEN, GraphDoor, notices_of
from tests.connectors.ms_link import OutlookLink
from tests.sandbox.test_ms_push import Door
from tests.support import BUYER, REP, mail


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


@pytest.fixture
def bells(outlook_link: OutlookLink) -> MicrosoftPush:
    return outlook_link.connection.doorbells()


def opened(bells: MicrosoftPush, door: Door, token: str = "hush", **more: Any) -> Watched:
    given: dict[str, Any] = {"kind": "mail", "external_id": "me", "address": f"{door.url}/push/microsoft"} | more
    return bells.open(**given, channel_id="ours", token=token, first=True)


def living(link: OutlookLink) -> list[Any]:
    return list(link.world.microsoft.subscriptions.open.values())


# ---- subscriptions


def test_a_mailbox_rings_with_the_secret_that_it_was_given(
    bells: MicrosoftPush, door: Door, outlook_link: OutlookLink
) -> None:
    watched = opened(bells, door)
    assert len(door.tokens) == 1, "one handshake: both addresses are one"
    assert not watched.greets and watched.channel_id == living(outlook_link)[0].id
    assert timedelta(days=6.9) < watched.expires_at - datetime.now(UTC) < timedelta(days=7)
    outlook_link.box.deliver(mail(BUYER, REP))
    outlook_link.world.courier.settle()
    ((path, body),) = door.got
    assert path == "/push/microsoft"
    assert notices_of(json.dumps(body).encode()) == (ChannelNotice(watched.channel_id, "hush"),)


def test_a_calendar_rings_and_others_are_looked_at_on_a_timer(
    bells: MicrosoftPush, door: Door, outlook_link: OutlookLink
) -> None:
    diary = outlook_link.box.calendar
    opened(bells, door, kind="calendar", external_id=diary.default)
    now = datetime.now(UTC)
    diary.put("Demo", now, now + timedelta(hours=1))
    outlook_link.world.courier.settle()
    assert len(door.got) == 1
    for kind, other in (("calendar", diary.calendar("Team")), ("mail", "shared@acme.example")):
        with pytest.raises(Refused) as told:
            opened(bells, door, kind=kind, external_id=other)
        assert told.value.code == "push_unsupported"
    assert len(living(outlook_link)) == 1


def test_it_is_renewed_for_as_long_as_may_be_and_paused_no_more(
    bells: MicrosoftPush, door: Door, outlook_link: OutlookLink
) -> None:
    watched = opened(bells, door)
    outlook_link.world.microsoft.subscriptions.lifecycle("reauthorizationRequired", REP)
    (row,) = living(outlook_link)
    assert row.paused
    again = bells.renew("mail", "me", address=f"{door.url}/push/microsoft", channel_id=watched.channel_id)
    assert again.channel_id == watched.channel_id and again.expires_at >= watched.expires_at
    assert not row.paused
    outlook_link.world.faults.add("F58R")
    with pytest.raises(Gone):
        bells.renew("mail", "me", address="", channel_id=watched.channel_id)


def test_a_shorter_life_is_taken_where_the_long_one_is_refused(
    bells: MicrosoftPush, door: Door, outlook_link: OutlookLink
) -> None:
    outlook_link.world.microsoft.knobs.subscription_minutes = 4_230
    watched = opened(bells, door)
    assert timedelta(minutes=4_200) < watched.expires_at - datetime.now(UTC) < timedelta(minutes=4_230)


def test_what_a_dead_worker_left_behind_is_ended_first(
    bells: MicrosoftPush, door: Door, outlook_link: OutlookLink
) -> None:
    first = opened(bells, door)
    calendar = opened(bells, door, kind="calendar", external_id=outlook_link.box.calendar.default)
    second = opened(bells, door, token="other")
    assert {one.id for one in living(outlook_link)} == {calendar.channel_id, second.channel_id}
    assert first.channel_id != second.channel_id
    outlook_link.world.faults.add("F58", variant="conflict", times=2)
    with pytest.raises(TryLater) as told:
        opened(bells, door)
    assert told.value.code == "conflict"


def test_it_is_stopped_and_may_be_gone_already(bells: MicrosoftPush, door: Door, outlook_link: OutlookLink) -> None:
    watched = opened(bells, door)
    for _ in range(2):
        bells.stop("mail", watched.channel_id, "")
    assert living(outlook_link) == []


def test_who_cannot_be_reached_is_told_what_to_do(bells: MicrosoftPush, door: Door, outlook_link: OutlookLink) -> None:
    door.mute = True
    with pytest.raises(OperatorFault) as told:
        opened(bells, door)
    assert (told.value.code, told.value.scope) == ("push_not_reached", "source")
    with pytest.raises(OperatorFault) as told:
        opened(bells, door, address="http://dealtrail.acme.example/push/microsoft")
    assert told.value.code == "push_not_https"
    assert can_post_to("https://dealtrail.acme.example/push/microsoft", pretend=False)
    assert not can_post_to("http://127.0.0.1/push/microsoft", pretend=False)


# ---- the door


def post(body: Any = b"", **query: str) -> Posted:
    return Posted({}, query, body if isinstance(body, bytes) else json.dumps(body).encode())


def test_a_handshake_is_said_back_as_it_came_unless_it_is_endless() -> None:
    heard = GraphDoor().hear(post(validationToken="<script>alert('x')</script> %26"))
    assert (heard.status, heard.echo) == (200, "<script>alert('x')</script> %26")
    heard = GraphDoor().hear(post(validationToken="x" * (LONGEST_TOKEN + 1)))
    assert (heard.status, heard.echo) == (400, None)


def test_notices_are_read_one_by_one_and_once_each() -> None:
    good = {"subscriptionId": "s1", "clientState": "hush", "changeType": "created"}
    removed = good | {"subscriptionId": "s2", "lifecycleEvent": "subscriptionRemoved"}
    again = good | {"subscriptionId": "s3", "lifecycleEvent": "reauthorizationRequired"}
    missed = good | {"lifecycleEvent": "missed"}
    junk = [None, 7, {}, {"subscriptionId": "s4"}, good | {"subscriptionId": "x" * 65}, good | {"clientState": 5}]
    heard = GraphDoor().hear(post({"value": [good, good, *junk, removed, again, missed]}))
    assert heard.status == 202 and heard.unknown == 0
    assert heard.channels == (
        ChannelNotice("s1", "hush"),
        ChannelNotice("s2", "hush", tend=True),
        ChannelNotice("s3", "hush", tend=True),
    )


@pytest.mark.parametrize("body", [b"", b"junk", b"[]", b'{"value": 7}', b'{"value": {}}', b"[" * 100_000])
def test_junk_is_accepted_and_says_nothing(body: bytes) -> None:
    assert (GraphDoor().hear(post(body)).channels, GraphDoor().hear(post(body)).status) == ((), 202)
