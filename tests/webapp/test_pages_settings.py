"""Webhooks and settings: secrets shown once, attempts readable, and only those act who may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx

import house as building
from models.event import announce, event_row, place_events
from models.interaction import Block
from models.setting import team_settings
from models.user import ApiKey, User
from models.webhook import Attempt, Delivery, Webhook, plan_deliveries
from tests.support import NOW
from tests.web import api, member, signed_in
from tests.webapp.office import Office, office

BOSS = "boss@acme.example"
TARGET = "http://127.0.0.1:9/hook"


@contextmanager
def boss_of(room: Office) -> Iterator[httpx.Client]:
    member(room.house, BOSS, "admin")
    with closing(signed_in(room.base, BOSS)) as client:
        yield client


def sent(room: Office) -> int:
    """A delivery with one failed attempt."""
    with room.house.db.write() as session:
        announce(session, event_row("deal.won", "1", {"deal": {"name": "Windmill"}}, now=NOW, deal_id=room.deal))
        event = next(one for one in place_events(session) if one.kind == "deal.won")
        hook = session.get_one(Webhook, 1)
        plan_deliveries(session, [(hook, event)], now=NOW)
        delivery = session.get_one(Delivery, 1)
        delivery.state, delivery.attempts = "failed", 1
        session.add(Attempt(delivery_id=1, at=NOW, status=500, error="", answer="out of order", took_ms=12))
        return delivery.id or 0


def test_a_webhooks_secret_is_shown_once(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        page = client.post("/webhooks", data={"target_url": TARGET, "event": "deal.won"})
        assert re.search(r"whsec_[A-Za-z0-9+/=]{20,}", page.text)
        assert not re.search(r"whsec_[A-Za-z0-9]{20,}", client.get("/webhooks").text)
        assert "To verify" in page.text


def test_a_bad_address_is_told_and_stays_typed(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        page = client.post("/webhooks", data={"target_url": "ftp://x", "event": "*"})
        assert page.status_code == 422 and "web address" in page.text and 'value="ftp://x"' in page.text
        assert client.post("/webhooks", data={"target_url": TARGET, "event": "nonsense"}).status_code == 422


def test_every_attempt_can_be_read_and_a_delivery_sent_again(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        client.post("/webhooks", data={"target_url": TARGET, "event": "*"})
        delivery = sent(room)
        text = client.get("/webhooks/1").text
        assert "given up" in text and ">500</span>" in text and "out of order" in text and "Windmill" in text
        client.post(f"/deliveries/{delivery}/redelivery")
        assert room.row(Delivery, delivery).state == "pending"


def test_a_webhook_is_paused_resumed_and_deleted(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        client.post("/webhooks", data={"target_url": TARGET, "event": "*"})
        assert "Paused by hand." in client.post("/webhooks/1/pause").text
        client.delete("/webhooks/1/pause")
        assert room.row(Webhook, 1).paused_at is None
        assert client.post("/webhooks/1/removal").url.path == "/webhooks"
        assert client.get("/webhooks/1").status_code == 404


def test_a_webhook_is_its_owners_and_an_administrator_reads_no_contents(house: building.House) -> None:
    with office(house) as room, room.rep() as client, room.colleague() as other, boss_of(room) as boss:
        client.post("/webhooks", data={"target_url": TARGET, "event": "*"})
        delivery = sent(room)
        assert other.get("/webhooks/1").status_code == 404 and TARGET not in other.get("/webhooks").text
        assert other.post(f"/deliveries/{delivery}/redelivery").status_code == 404
        text = boss.get("/webhooks/1").text
        assert "deal.won" in text and "Windmill" not in text and "out of order" not in text


def test_a_key_is_shown_once_works_and_can_be_revoked(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        page = client.post("/keys", data={"name": "for Zapier"})
        token = re.search(r"dt_[\w-]{30,}", page.text)
        assert token and token[0] not in client.get("/settings").text and "for Zapier" in page.text
        with api(room.base, token[0]) as program:
            assert program.get("/deals").status_code == 200
            key = room.all(ApiKey)[0].id
            client.post(f"/keys/{key}/revocation")
            assert program.get("/deals").status_code == 401


def test_nobody_revokes_anothers_key(house: building.House) -> None:
    with office(house) as room, room.rep() as client, room.colleague() as other:
        client.post("/keys", data={"name": ""})
        assert other.post(f"/keys/{room.all(ApiKey)[0].id}/revocation").status_code == 404


def test_blocks_are_ones_own_or_an_administrators_for_all(house: building.House) -> None:
    with office(house) as room, room.rep() as client, boss_of(room) as boss:
        client.post("/blocks", data={"kind": "domain", "value": "Spam.example"})
        assert client.post("/blocks", data={"kind": "domain", "value": "x.example", "whose": "team"}).status_code == 403
        boss.post("/blocks", data={"kind": "address", "value": "ceo@rival.example", "whose": "team"})
        page = client.post("/blocks", data={"kind": "address", "value": "no address"})
        assert page.status_code == 422 and "no address" in page.text and 'value="no address"' in page.text
        rows = {row.value: row.id for row in room.all(Block)}
        assert client.post(f"/blocks/{rows['ceo@rival.example']}/removal").status_code == 403
        assert boss.post(f"/blocks/{rows['spam.example']}/removal").status_code == 404
        client.post(f"/blocks/{rows['spam.example']}/removal")
        assert len(room.all(Block)) == 1


def test_an_administrator_changes_the_teams_settings(house: building.House) -> None:
    with office(house) as room, boss_of(room) as boss:
        form = {
            "team_name": "Acme",
            "default_currency": "gbp",
            "internal_domains": "acme.example\nacme.test",
            "internal_addresses": "",
            "several_deals": "newest",
            "default_visibility": "subject",
            "grace_days": "7",
            "reach_back_days": "30",
        }
        boss.post("/settings/team", data=form)
        with house.db.read() as session:
            stored = team_settings(session)
        assert (stored["default_currency"], stored["grace_days"], stored["several_deals"]) == ("GBP", 7, "newest")
        assert stored["internal_domains"] == ["acme.example", "acme.test"] and stored["announce_backfill"] is False
        wrong = boss.post("/settings/team", data=form | {"grace_days": "many"})
        assert wrong.status_code == 422 and "not a whole number" in wrong.text and 'value="Acme"' in wrong.text


def test_an_administrator_invites_and_the_link_lets_in(house: building.House) -> None:
    with office(house) as room, boss_of(room) as boss:
        page = boss.post("/users", data={"email": "new@acme.example", "name": "Nia", "role": "manager"})
        link = re.search(r"/invite/[\w-]+", page.text)
        assert link and "Send this link to new@acme.example" in page.text
        with httpx.Client(base_url=room.base) as guest:
            assert "new@acme.example" in guest.get(link[0]).text
        again = boss.post("/users", data={"email": "new@acme.example", "role": "rep"})
        assert again.status_code == 422 and "is a user already" in again.text


def test_roles_change_and_people_are_shut_out_at_once(house: building.House) -> None:
    with office(house) as room, boss_of(room) as boss, room.colleague() as other:
        ids = {user.email: user.id for user in room.all(User)}
        boss.post(f"/users/{ids['col@acme.example']}/role", data={"role": "manager"})
        assert room.row(User, ids["col@acme.example"]).role == "manager"
        boss.post(f"/users/{ids['col@acme.example']}/absence")
        assert other.get("/board").url.path == "/sign-in"
        boss.delete(f"/users/{ids['col@acme.example']}/absence")
        assert room.row(User, ids["col@acme.example"]).disabled_at is None
        last = boss.post(f"/users/{ids[BOSS]}/role", data={"role": "rep"})
        assert last.status_code == 409 and "last administrator" in last.text
