"""Accounts, members, keys, settings, the block list and health over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlmodel import select

import house as building
from models.account import Source, Walk
from models.ledger import LedgerEntry
from tests.support import NOW
from tests.web import api
from tests.webapp.planted import PEOPLE, Team, planted


@pytest.fixture
def team(house: building.House) -> Iterator[Team]:
    with planted(house) as team:
        yield team


def test_accounts_are_one_s_own_and_all_of_them_an_administrator_s(team: Team) -> None:
    [one] = team.read("accounts")["items"]
    assert (one["email"], one["state"]) == (PEOPLE["owner"][0], "syncing")
    assert "sealed_grant" not in one
    assert team.read("accounts", who="manager")["items"] == []
    assert [one["id"] for one in team.read("accounts", who="admin")["items"]] == [one["id"]]
    assert team.read("accounts/{account_id}", who="admin")["id"] == one["id"]


def test_a_sync_is_asked_for_by_a_row(team: Team) -> None:
    with team.house.db.write() as session:
        for source in session.exec(select(Source)):
            source.next_sync_at = None
            session.add(source)
    assert team.api("POST", "accounts/{account_id}/sync").status_code == 202
    with team.house.db.read() as session:
        assert all(source.next_sync_at is not None for source in session.exec(select(Source)))
    assert team.api("POST", "accounts/{account_id}/sync", who="other").status_code == 404


def test_the_ledger_adds_up(team: Team) -> None:
    with team.house.db.write() as session:
        source = session.exec(select(Source).where(Source.kind == "mail")).one()
        for number, outcome in enumerate(("ignored", "internal", "owed", "unreadable", "unopened")):
            row = LedgerEntry(source_id=source.id or 0, item_id=f"x{number}", outcome=outcome, updated_at=NOW)
            session.add(row)
    found = team.read("accounts/{account_id}/ledger")
    parts = ("logged", "held", "ignored", "internal", "owed", "unreadable", "unopened")
    assert found["in_mailbox"] == sum(found[part] for part in parts) == 7
    assert found["missing"] is None, "no audit yet"


def test_an_audit_is_asked_for_once(team: Team) -> None:
    assert team.read("accounts/{account_id}/audit")["running"] is False
    for _ in range(2):
        asked = team.api("POST", "accounts/{account_id}/audit")
        assert (asked.status_code, asked.json()["running"]) == (202, True)
    with team.house.db.read() as session:
        assert len(session.exec(select(Walk).where(Walk.kind == "audit")).all()) == 1


def test_an_account_is_disconnected_and_what_was_logged_stays(team: Team) -> None:
    assert team.api("DELETE", "accounts/{account_id}").status_code == 204
    assert team.read("accounts")["items"] == []
    assert len(team.read("deals/{deal_id}/timeline")["items"]) == 1
    for method, path in (("POST", "/sync"), ("POST", "/audit"), ("DELETE", "")):
        assert team.api(method, "accounts/{account_id}" + path).status_code == 404


def test_members_are_invited_changed_and_disabled_by_an_administrator(team: Team) -> None:
    made = team.api("POST", "users", {"email": "new@acme.example", "role": "manager"}, who="admin")
    assert made.status_code == 201
    assert "/invite/" in made.json()["invitation"]
    assert "invitation" not in team.read(f"users/{made.json()['id']}")
    assert team.api("PATCH", "users/{user_id}", {"role": "manager"}, who="admin").json()["role"] == "manager"
    assert team.api("PATCH", "users/{user_id}", {"disabled": True}, who="admin").json()["disabled_at"]
    assert team.api("GET", "users", who="other").status_code == 401, "their key opens nothing any more"
    assert team.api("PATCH", "users/{user_id}", {"disabled": False}, who="admin").json()["disabled_at"] is None
    assert team.read("users/me", who="other")["role"] == "manager"


def test_a_team_keeps_an_administrator(team: Team) -> None:
    mine = team.read("users/me", who="admin")["id"]
    assert team.api("PATCH", f"users/{mine}", {"role": "rep"}, who="admin").status_code == 409
    assert team.api("PATCH", f"users/{mine}", {"disabled": True}, who="admin").status_code == 409
    assert team.api("POST", "users", {"email": "Rae@acme.example"}, who="admin").status_code == 409
    assert team.api("POST", "users", {"email": "no address"}, who="admin").status_code == 422
    assert team.api("POST", "users", {"email": "x@acme.example", "role": "king"}, who="admin").status_code == 422


def test_a_key_is_shown_once_works_and_is_revoked(team: Team) -> None:
    made = team.api("POST", "keys", {"name": "for tests"})
    assert made.status_code == 201
    token = made.json()["key"]
    assert token not in team.api("GET", "keys").text
    with api(team.base, token) as client:
        assert client.get("/users/me").json()["email"] == PEOPLE["owner"][0]
        assert team.api("DELETE", f"keys/{made.json()['id']}", who="admin").status_code == 404, "it is not theirs"
        assert team.api("DELETE", f"keys/{made.json()['id']}").status_code == 204
        assert client.get("/users/me").status_code == 401
    assert team.api("DELETE", f"keys/{made.json()['id']}").status_code == 404


def test_settings_are_read_and_changed_by_an_administrator(team: Team) -> None:
    changes = {"several_deals": "newest", "internal_domains": ["ACME.Example"], "grace_days": 3}
    changed = team.api("PATCH", "settings", changes, who="admin").json()
    assert {name: changed[name] for name in changes} == changes | {"internal_domains": ["acme.example"]}
    assert team.read("settings", who="admin") == changed
    assert team.api("GET", "settings", who="manager").status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hash_key": "mine"},
        {"several_deals": "some"},
        {"grace_days": -1},
        {"grace_days": True},
        {"announce_backfill": "yes"},
        {"internal_domains": ["acme.example", "no domain"]},
        {"internal_addresses": "rae@acme.example"},
        {"default_currency": "EURO"},
        {"team_name": ""},
        {"grace_days": 5, "default_visibility": "some"},
    ],
)
def test_a_setting_that_cannot_be_changes_none(team: Team, changes: dict[str, Any]) -> None:
    before = team.read("settings", who="admin")
    assert team.api("PATCH", "settings", changes, who="admin").status_code == 422
    assert team.read("settings", who="admin") == before


def test_each_blocks_for_themselves_and_leaders_for_the_team(team: Team) -> None:
    mine = team.api("POST", "blocks", {"kind": "address", "value": "Spam@Evil.Example"})
    assert (mine.status_code, mine.json()["value"]) == (201, "spam@evil.example")
    assert team.api("POST", "blocks", {"kind": "address", "value": "spam@evil.example"}).status_code == 409
    assert mine.json()["id"] not in [one["id"] for one in team.read("blocks", who="other")["items"]]
    assert team.api("DELETE", f"blocks/{mine.json()['id']}", who="admin").status_code == 404
    whole = {"kind": "label", "value": "Private", "team": True}
    assert team.api("POST", "blocks", whole).status_code == 403
    one = team.api("POST", "blocks", whole, who="manager").json()
    assert one in team.read("blocks", who="other")["items"]
    assert team.api("DELETE", f"blocks/{one['id']}").status_code == 403
    assert team.api("DELETE", f"blocks/{one['id']}", who="admin").status_code == 204
    for body in ({"kind": "domain", "value": "none"}, {"kind": "name", "value": "x"}, {"kind": "label", "value": " "}):
        assert team.api("POST", "blocks", body).status_code == 422


def test_health_tells_strangers_numbers_and_members_their_accounts(team: Team) -> None:
    answer = team.api("GET", "health", who="nobody")
    told = answer.json()
    assert (told["status"], told["counts"]["accounts"]) == ("ok", 1)
    assert "@" not in answer.text
    assert [one["email"] for one in team.read("health")["accounts"]] == [PEOPLE["owner"][0]]
    assert team.read("health", who="other")["accounts"] == []
    assert len(team.read("health", who="admin")["accounts"]) == 1


def test_health_is_worse_for_what_is_owed(team: Team) -> None:
    with team.house.db.write() as session:
        for source in session.exec(select(Source).where(Source.kind == "mail")):
            source.synced_at = NOW
            session.add(source)
            session.add(LedgerEntry(source_id=source.id or 0, item_id="x", outcome="owed", updated_at=NOW))
    told = team.read("health", who="nobody")
    assert (told["status"], told["counts"]["owed"]) == ("degraded", 1)
