"""Accounts: connecting through the provider's own pages, states in words, the ledger, and who decides what is seen."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import httpx
from sqlmodel import select

import house as building
import sandbox
from models.account import Account, Source, Walk
from models.ledger import LedgerEntry
from models.user import WebSession
from tests.support import COLLEAGUE, NOW, REP, connect
from tests.web import member, serving, signed_in
from tests.webapp.office import office

CALENDAR = "https://www.googleapis.com/auth/calendar"


def come_back(client: httpx.Client, address: str) -> httpx.Response:
    """What the browser does after the provider: the same path and query, at the port on which this test serves."""
    parts = urlsplit(address)
    return client.get(f"{parts.path}?{parts.query}")


def consent(client: httpx.Client, **form: str) -> str:
    """Press Connect, let the pretend Google say yes; the address it sends the browser back to."""
    asked = client.post("/connect/google", data=form, follow_redirects=False)
    assert asked.status_code == 303, asked.text[-300:]
    given = httpx.get(asked.headers["location"], timeout=10)
    return given.headers["location"]


def accounts_of(house: building.House) -> list[Account]:
    with house.db.read() as session:
        return list(session.exec(select(Account)).all())


def test_a_mailbox_is_connected_through_the_consent_page(house: building.House, world: sandbox.World) -> None:
    world.mailbox(REP)
    world.knobs.auto_consent = True
    member(house, REP)
    with serving(house) as base, closing(signed_in(base, REP)) as client:
        assert "No mailbox is connected" in client.get("/accounts").text
        page = come_back(client, consent(client))
        assert page.url.path == "/accounts" and f"{REP} is connected" in page.text
        assert [account.email for account in accounts_of(house)] == [REP]
        assert accounts_of(house)[0].sealed_grant


def test_a_consent_is_bound_to_the_browser_that_began_it_and_used_once(
    house: building.House, world: sandbox.World
) -> None:
    world.mailbox(REP)
    world.knobs.auto_consent = True
    member(house, REP)
    member(house, COLLEAGUE)
    with (
        serving(house) as base,
        closing(signed_in(base, REP)) as client,
        closing(signed_in(base, COLLEAGUE)) as other,
    ):
        back = consent(client)
        stolen = come_back(other, back)
        assert stolen.status_code == 403 and "does not belong to this browser" in stolen.text
        assert 'href="/accounts"' in stolen.text
        wrong = come_back(client, back.replace("state=", "state=x"))
        assert wrong.status_code == 403
        assert come_back(client, back).status_code == 403
        assert accounts_of(house) == []


def test_nobody_comes_back_without_being_signed_in(house: building.House, world: sandbox.World) -> None:
    world.mailbox(REP)
    world.knobs.auto_consent = True
    member(house, REP)
    with serving(house) as base, closing(signed_in(base, REP)) as client, httpx.Client(base_url=base) as stranger:
        assert come_back(stranger, consent(client)).status_code == 303
        assert accounts_of(house) == []


def test_declining_is_told_and_changes_nothing(house: building.House, world: sandbox.World) -> None:
    member(house, REP)
    with serving(house) as base, closing(signed_in(base, REP)) as client:
        asked = client.post("/connect/google", follow_redirects=False).headers["location"]
        state = parse_qs(urlsplit(asked).query)["state"][0]
        page = client.get("/connect/google/callback", params={"error": "access_denied", "state": state})
        assert page.url.path == "/accounts" and "access was declined" in page.text
        assert accounts_of(house) == []
        with house.db.read() as session:
            assert {row.consent for row in session.exec(select(WebSession)).all()} == {""}


def test_a_calendar_that_was_not_ticked_is_told_with_what_to_do(house: building.House, world: sandbox.World) -> None:
    world.mailbox(REP)
    member(house, REP)
    with serving(house) as base, closing(signed_in(base, REP)) as client:
        asked = client.post("/connect/google", follow_redirects=False).headers["location"]
        query = {name: values[0] for name, values in parse_qs(urlsplit(asked).query).items()}
        ticked = [scope for scope in query["scope"].split() if not scope.startswith(CALENDAR)]
        given = httpx.post(asked, data={"choice": REP, "granted": ticked}, timeout=10)
        page = come_back(client, given.headers["location"])
        assert "Reading the calendar was not allowed" in client.get("/accounts").text
        assert page.status_code == 200 and accounts_of(house)[0].capabilities == ["mail"]


def test_reconnecting_with_another_mailbox_is_refused(house: building.House, world: sandbox.World) -> None:
    world.mailbox(REP)
    world.mailbox("other@acme.example")
    member(house, REP)
    account = connect(house, world, REP)
    with serving(house) as base, closing(signed_in(base, REP)) as client:
        form = {"account_id": str(account.id)}
        asked = client.post("/connect/google", data=form, follow_redirects=False).headers["location"]
        assert parse_qs(urlsplit(asked).query)["login_hint"] == [REP]
        given = httpx.post(asked, data={"choice": "other@acme.example"}, timeout=10)
        page = come_back(client, given.headers["location"])
        assert page.status_code == 409 and "Nothing was changed" in page.text and REP in page.text
        assert [one.email for one in accounts_of(house)] == [REP]


def test_a_provider_that_is_not_set_up_says_what_to_do(make_house) -> None:
    house = make_house(google_client_id="", google_client_secret="")
    member(house, REP, "admin")
    with serving(house) as base, closing(signed_in(base, REP)) as client:
        text = client.get("/accounts").text
        assert "DEALTRAIL_GOOGLE_CLIENT_ID" in text and "/connect/google/callback" in text
        assert client.post("/connect/google").status_code == 422
        assert client.post("/connect/outlook").status_code == 404


def test_a_refused_account_says_so_and_offers_to_reconnect(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        with house.db.write() as session:
            row = session.get_one(Account, room.account)
            row.refused, row.refused_sentence = "reconnect", "Google no longer accepts this grant. Please reconnect."
            session.add(row)
        text = client.get("/accounts").text
        assert "Google no longer accepts this grant" in text and ">Reconnect</button>" in text
        assert "need a hand" in client.get("/board").text


def test_syncing_and_comparing_are_asked_for_by_rows(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        client.post(f"/accounts/{room.account}/sync")
        assert all(source.next_sync_at > NOW for source in room.all(Source))
        client.post(f"/accounts/{room.account}/audit")
        assert [walk.kind for walk in room.all(Walk)] == ["audit"]


def test_the_first_sync_shows_how_far_it_is(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        before = client.get("/accounts/news").headers["x-version"]
        with house.db.write() as session:
            source = session.get_one(Source, room.all(Source, Source.kind == "mail")[0].id)
            source.estimate = 40
            session.add(source)
            session.add(Walk(source_id=source.id or 0, kind="people", created_at=NOW))
        news = client.get("/accounts/news", params={"v": before})
        assert '<progress value="2" max="40"' in news.text and "2 of about 40" in news.text
        assert client.get("/accounts/news", params={"v": news.headers["x-version"]}).status_code == 204


def test_only_its_owner_decides_what_colleagues_see(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        member(house, "boss@acme.example", "admin")
        with closing(signed_in(room.base, "boss@acme.example")) as admin:
            answer = admin.post(f"/accounts/{room.account}/visibility", data={"visibility": "full"})
            assert answer.status_code == 403 and "Only the owner" in answer.text
            assert "rae@acme.example" in admin.get("/accounts").text
        assert client.post(f"/accounts/{room.account}/visibility", data={"visibility": "x"}).status_code == 422
        client.post(f"/accounts/{room.account}/visibility", data={"visibility": "metadata"})
        assert room.row(Account, room.account).visibility == "metadata"


def test_the_ledger_lists_each_outcome_with_its_reason_and_tries_again(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        with house.db.write() as session:
            source = room.all(Source, Source.kind == "mail")[0].id
            for number, outcome in enumerate(("ignored", "unreadable", "owed")):
                session.add(
                    LedgerEntry(
                        source_id=source or 0,
                        item_id=f"thing-{number}",
                        outcome=outcome,
                        reason=f"why {number}",
                        error="bad_mime" if outcome == "unreadable" else "",
                        updated_at=NOW,
                    )
                )
        path = f"/accounts/{room.account}/ledger"
        text = client.get(f"{path}?outcome=unreadable").text
        assert "thing-1" in text and "bad_mime" in text and "thing-0" not in text and "Try again now" in text
        assert "thing-0" in client.get(f"{path}?outcome=ignored&reason=why+0").text
        assert client.get(f"{path}?outcome=nonsense").status_code == 404
        client.post(f"/accounts/{room.account}/retry")
        assert {row.outcome for row in room.all(LedgerEntry, LedgerEntry.item_id == "thing-1")} == {"owed"}


def test_disconnecting_forgets_the_grant_and_keeps_what_was_logged(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        page = client.post(f"/accounts/{room.account}/disconnection")
        assert "What was logged stays" in page.text and room.row(Account, room.account).sealed_grant == b""
        assert "Re: Our quote" in client.get(f"/deals/{room.deal}").text
