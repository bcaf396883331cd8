"""Signing up through Google's consent page: what belongs to whom, what lasts how long, and how one leaves again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlmodel import select

import house as building
import sandbox
from connecting import store_grant
from enrol import enrol
from models.account import Account
from models.user import WebSession
from tests import support
from tests.support import COLLEAGUE, REP, connect
from tests.web import member, serving, signed_in

GMAIL = "https://www.googleapis.com/auth/gmail.readonly"
METADATA = "https://www.googleapis.com/auth/gmail.metadata"
NEW_ADDRESS = "rae.jones@acme.example"


@contextmanager
def rep(house: building.House, world: sandbox.World) -> Iterator[httpx.Client]:
    """Rae, signed in, with a mailbox at Google."""
    world.mailbox(REP)
    member(house, REP)
    with serving(house) as base, closing(signed_in(base, REP)) as client:
        yield client


def begin(client: httpx.Client, **form: str) -> str:
    """Press Connect or Reconnect; the address of the consent page."""
    asked = client.post("/connect/google", data=form, follow_redirects=False)
    assert asked.status_code == 303, asked.text[-300:]
    return asked.headers["location"]


def choose(address: str, email: str = REP, scopes: list[str] | None = None) -> str:
    """Say yes there, perhaps to less or to more; where the browser is sent back to."""
    wanted = parse_qs(urlsplit(address).query)["scope"][0].split()
    given = httpx.post(address, data={"choice": email, "granted": scopes or wanted}, timeout=10)
    return given.headers["location"]


def come_back(client: httpx.Client, address: str) -> httpx.Response:
    """At the port on which this test serves."""
    parts = urlsplit(address)
    return client.get(f"{parts.path}?{parts.query}")


def account(house: building.House) -> Account:
    with house.db.read() as session:
        return session.exec(select(Account)).one()


def grant(house: building.House) -> dict[str, object]:
    return house.keyring.open_json(account(house).sealed_grant)


def late(house: building.House, by: timedelta) -> None:
    """The sign-in under way was begun so much earlier."""
    with house.db.write() as session:
        for row in session.exec(select(WebSession).where(WebSession.consent != "")):
            kept = json.loads(row.consent)
            row.consent = json.dumps(kept | {"at": (building.now() - by).isoformat()})
            session.add(row)


def test_what_is_sent_to_google_binds_the_answer_to_this_browser(house: building.House, world: sandbox.World) -> None:
    with rep(house, world) as client:
        first, second = (parse_qs(urlsplit(begin(client)).query) for _ in range(2))
        for query in (first, second):
            assert query["code_challenge_method"] == ["S256"] and len(query["code_challenge"][0]) == 43
            assert query["access_type"] == ["offline"] and query["prompt"] == ["consent"]
            assert "include_granted_scopes" not in query
        for name in ("state", "nonce", "code_challenge"):
            assert first[name] != second[name]


def test_only_the_last_sign_in_that_was_begun_counts(house: building.House, world: sandbox.World) -> None:
    with rep(house, world) as client:
        old, new = choose(begin(client)), choose(begin(client))
        assert come_back(client, old).status_code == 403
        assert come_back(client, new).status_code == 403, "the wrong one used the sign-in up"


def test_a_sign_in_is_good_once(house: building.House, world: sandbox.World) -> None:
    with rep(house, world) as client:
        back = choose(begin(client))
        assert f"{REP} is connected" in come_back(client, back).text
        again = come_back(client, back)
        assert again.status_code == 403 and "used before" in again.text


@pytest.mark.parametrize(("minutes", "status"), [(29, 200), (31, 403)])
def test_a_sign_in_lasts_half_an_hour(house: building.House, world: sandbox.World, minutes: int, status: int) -> None:
    with rep(house, world) as client:
        back = choose(begin(client))
        late(house, timedelta(minutes=minutes))
        page = come_back(client, back)
        assert page.status_code == status
        assert ("left open for more than half an hour" in page.text) == (status == 403)


def test_a_code_without_this_browsers_verifier_buys_nothing(house: building.House, world: sandbox.World) -> None:
    with rep(house, world) as client:
        back = choose(begin(client))
        with house.db.write() as session:
            row = session.exec(select(WebSession).where(WebSession.consent != "")).one()
            kept = json.loads(row.consent)
            blob = json.loads(kept["blob"]) | {"code_verifier": "z" * 64}
            row.consent = json.dumps(kept | {"blob": json.dumps(blob)})
            session.add(row)
        assert "has run out or was used before" in come_back(client, back).text
        with house.db.read() as session:
            assert session.exec(select(Account)).all() == []


def test_mail_without_the_calendar_goes_on_with_a_notice_and_a_way_to_add_it(
    house: building.House, world: sandbox.World
) -> None:
    with rep(house, world) as client:
        come_back(client, choose(begin(client), scopes=["openid", "email", GMAIL]))
        page = client.get("/accounts").text
        assert "meetings will not be logged" in page and "Reconnect</button>" in page
        work = house.work()
        support.settle(work)
        work.close()
        assert account(house).refused == "" and account(house).capabilities == ["mail"]
        come_back(client, choose(begin(client, account_id=str(account(house).id))))
        assert account(house).capabilities == ["calendar", "mail"]
        assert "meetings will not be logged" not in client.get("/accounts").text


def test_headers_only_smuggled_in_is_refused_with_the_way_out(house: building.House, world: sandbox.World) -> None:
    with rep(house, world) as client:
        asked = begin(client)
        wanted = parse_qs(urlsplit(asked).query)["scope"][0].split()
        page = unescape(come_back(client, choose(asked, scopes=[*wanted, METADATA])).text)
        assert "headers only" in page and "myaccount.google.com/permissions" in page
        with house.db.read() as session:
            assert session.exec(select(Account)).all() == []


def test_f07_a_repeat_consent_without_a_refresh_token_leaves_the_stored_one(
    house: building.House, world: sandbox.World
) -> None:
    with rep(house, world) as client:
        come_back(client, choose(begin(client)))
        before = grant(house)
        world.faults.add("F07")
        page = come_back(client, choose(begin(client, account_id=str(account(house).id))))
        assert "no lasting access" in page.text
        assert grant(house) == before and before["refresh_token"]


def test_reconnecting_mends_the_same_account(house: building.House, world: sandbox.World) -> None:
    with rep(house, world) as client:
        come_back(client, choose(begin(client)))
        known = account(house)
        world.grants.kill(REP)
        world.grants.forget_access()
        work = house.work()
        support.settle(work)
        assert account(house).refused == "reconnect"
        page = come_back(client, choose(begin(client, account_id=str(known.id))))
        assert "is connected" in page.text
        assert (account(house).id, account(house).refused) == (known.id, "")
        support.settle(work)
        work.close()
        assert account(house).refused == ""


def test_another_mailbox_does_not_slip_into_an_account(house: building.House, world: sandbox.World) -> None:
    world.mailbox(COLLEAGUE)
    with rep(house, world) as client:
        come_back(client, choose(begin(client)))
        known, before = account(house), grant(house)
        page = come_back(client, choose(begin(client, account_id=str(known.id)), email=COLLEAGUE))
        assert page.status_code == 409 and "Nothing was changed" in page.text
        assert (account(house).email, grant(house)) == (REP, before)


def test_a_new_address_of_the_same_person_is_the_same_account(
    house: building.House, world: sandbox.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bound to Google's ``sub``: addresses get renamed."""
    with rep(house, world) as client:
        come_back(client, choose(begin(client)))
        known = account(house)
        world.mailbox(NEW_ADDRESS)
        monkeypatch.setattr("sandbox.oauth.subject_of", lambda email: known.subject)
        page = come_back(client, choose(begin(client, account_id=str(known.id)), email=NEW_ADDRESS))
        assert f"{NEW_ADDRESS} is connected" in page.text
        assert (account(house).id, account(house).email) == (known.id, NEW_ADDRESS)


def test_an_account_known_by_its_address_only_is_reconnected_by_consent(
    house: building.House, world: sandbox.World
) -> None:
    """It came in with a refresh token that tells no identity; the consent does."""
    world.mailbox(REP)
    granted = house.providers["google"].adopt(world.refresh_token(REP, (GMAIL,)))
    with house.db.write() as session:
        store_grant(session, house.keyring, granted, REP)
    known = account(house)
    with rep(house, world) as client:
        page = come_back(client, choose(begin(client, account_id=str(known.id))))
        assert "is connected" in page.text
        assert account(house).id == known.id and account(house).subject.isdigit()


def test_disconnecting_is_local_unless_one_asks_for_more(house: building.House, world: sandbox.World) -> None:
    with rep(house, world) as client:
        come_back(client, choose(begin(client)))
        token = str(grant(house)["refresh_token"])
        page = client.get("/accounts").text
        assert "another Dealtrail server or a tool of your own loses its access too" in page
        client.post(f"/accounts/{account(house).id}/disconnection")
        assert account(house).sealed_grant == b"" and not world.grants.by_refresh[token].died
        come_back(client, choose(begin(client)))
        token = str(grant(house)["refresh_token"])
        page = client.post(f"/accounts/{account(house).id}/disconnection", data={"withdraw": "1"}).text
        assert "withdrawn at Google, also for other programs" in page
        assert account(house).sealed_grant == b"" and world.grants.by_refresh[token].died
        come_back(client, choose(begin(client)))
        assert account(house).disconnected_at is None


def test_when_google_cannot_be_asked_it_is_disconnected_here_and_said(
    house: building.House, world: sandbox.World, server: sandbox.Server
) -> None:
    with rep(house, world) as client:
        come_back(client, choose(begin(client)))
        server.close()
        page = client.post(f"/accounts/{account(house).id}/disconnection", data={"withdraw": "1"}).text
        assert "could not be asked to withdraw" in page and account(house).sealed_grant == b""


def test_nobody_withdraws_anothers_consent(house: building.House, world: sandbox.World) -> None:
    known = connect(house, world, REP)
    member(house, "boss@acme.example", "admin")
    member(house, COLLEAGUE)
    with serving(house) as base:
        for email, status in (("boss@acme.example", 403), (COLLEAGUE, 404)):
            with closing(signed_in(base, email)) as client:
                answer = client.post(f"/accounts/{known.id}/disconnection", data={"withdraw": "1"})
                assert answer.status_code == status
    assert account(house).sealed_grant and not world.grants.by_refresh[world.refresh_token(REP)].died


def test_an_account_of_the_team_is_not_to_be_reconnected_or_withdrawn(
    house: building.House, world: sandbox.World, server: sandbox.Server, tmp_path: Path
) -> None:
    world.mailbox(REP)
    robot = world.service_account("acme.example", scopes=(GMAIL,))
    (tmp_path / "key.json").write_text(json.dumps(robot.info(f"{server.google_oauth_root}/token")))
    enrol("google", tmp_path / "key.json", addresses=[REP], house=house)
    with rep(house, world) as client:
        page = unescape(client.get("/accounts").text)
        assert "The team's service account reads this mailbox" in page
        assert "The Workspace administrator can allow it" in page
        assert "Reconnect</button>" not in page and "Disconnect and withdraw" not in page
        answer = client.post(f"/accounts/{account(house).id}/disconnection", data={"withdraw": "1"})
        assert answer.status_code == 422 and "service account reads it" in unescape(answer.text)
        assert account(house).sealed_grant
        come_back(client, choose(begin(client)))
        assert account(house).key_id is None and grant(house)["refresh_token"]
