"""The door: first start, signing in and out, invitations, and what keeps strangers out."""

from __future__ import annotations

from contextlib import closing

import httpx
import pytest
from sqlmodel import select

import house as building
from models.invitation import invite_again
from models.user import User, add_user
from tests.support import NOW, REP
from tests.web import PASSWORD, member, serving, signed_in, token_in
from webapp.pages.door import own_path

FIRST = {"name": "Ada", "email": "ada@acme.example", "password": PASSWORD}


def browser(base: str) -> httpx.Client:
    return httpx.Client(base_url=base, follow_redirects=True, timeout=20)


def test_the_first_start_makes_the_administrator_and_lets_them_in(house: building.House) -> None:
    with serving(house) as base, browser(base) as client:
        assert "become the administrator" in client.get("/board").text
        page = client.post("/setup", data=FIRST)
        assert page.url.path == "/accounts" and "No mailbox is connected" in page.text
        assert token_in(page.text)
    with house.db.read() as session:
        assert [user.role for user in session.exec(select(User)).all()] == ["admin"]


def test_the_first_start_happens_once(house: building.House) -> None:
    member(house, REP)
    with serving(house) as base, browser(base) as client:
        assert client.post("/setup", data=FIRST).status_code == 409
        assert client.get("/setup").url.path == "/sign-in"


def test_where_strangers_could_come_the_first_start_wants_the_token_from_the_log(house: building.House) -> None:
    with serving(house, setup_token="from the log") as base, browser(base) as client:
        refused = client.post("/setup", data=FIRST | {"token": "guessed"})
        assert refused.status_code == 422 and "stands in the log" in refused.text
        assert 'value="ada@acme.example"' in refused.text and PASSWORD not in refused.text
        assert client.post("/setup", data=FIRST | {"token": "from the log"}).url.path == "/accounts"


def test_a_short_password_is_refused_in_words_and_the_rest_stays_typed(house: building.House) -> None:
    with serving(house) as base, browser(base) as client:
        page = client.post("/setup", data=FIRST | {"password": "short"})
        assert page.status_code == 422 and "at least 10 characters" in page.text and 'value="Ada"' in page.text


def test_a_wrong_password_is_told_and_the_address_stays(house: building.House) -> None:
    member(house, REP)
    with serving(house) as base, browser(base) as client:
        page = client.post("/sign-in", data={"email": REP, "password": "not this one"})
        assert page.status_code == 422 and "do not fit together" in page.text and f'value="{REP}"' in page.text


def test_guessing_is_slowed_down(house: building.House) -> None:
    member(house, REP)
    with serving(house) as base, browser(base) as client:
        answers = [client.post("/sign-in", data={"email": REP, "password": f"guess {n}"}) for n in range(11)]
        assert answers[9].status_code == 422 and answers[10].status_code == 429
        assert client.post("/sign-in", data={"email": REP, "password": PASSWORD}).status_code == 429


def test_after_signing_in_one_comes_to_the_page_one_wanted(house: building.House) -> None:
    member(house, REP)
    with serving(house) as base, browser(base) as client:
        door = client.get("/contacts?q=bea")
        assert door.url.path == "/sign-in" and "/contacts?q=bea" in door.text
        inside = client.post("/sign-in", data={"email": REP, "password": PASSWORD, "next": "/contacts?q=bea"})
        assert str(inside.url).endswith("/contacts?q=bea")


@pytest.mark.parametrize(
    "wanted", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "evil", "/a\nb", "///x"]
)
def test_no_redirect_leaves_the_house(wanted: str) -> None:
    assert own_path(wanted) == "/"


def test_an_own_path_is_kept() -> None:
    assert own_path("/deals/3?x=1") == "/deals/3?x=1"


def test_signing_out_ends_the_session_on_the_server_too(house: building.House) -> None:
    member(house, REP)
    with serving(house) as base, closing(signed_in(base, REP)) as client:
        cookie = client.cookies["dealtrail"]
        assert client.post("/sign-out").url.path == "/sign-in"
        with httpx.Client(base_url=base, cookies={"dealtrail": cookie}) as thief:
            assert thief.get("/board").status_code == 303


def test_an_invitation_works_once(house: building.House) -> None:
    member(house, REP)
    with house.db.write() as session:
        _, token = add_user(session, "new@acme.example", role="rep", now=NOW)
    with serving(house) as base, browser(base) as client:
        assert "new@acme.example" in client.get(f"/invite/{token}").text
        short = client.post(f"/invite/{token}", data={"name": "Nia", "password": "short"})
        assert short.status_code == 422 and 'value="Nia"' in short.text
        inside = client.post(f"/invite/{token}", data={"name": "Nia New", "password": PASSWORD})
        assert inside.url.path == "/accounts" and "Nia" in inside.text
        assert client.get(f"/invite/{token}").status_code == 404


def test_a_new_link_replaces_the_old_one(house: building.House) -> None:
    with house.db.write() as session:
        user, first = add_user(session, "new@acme.example", role="rep", now=NOW)
        second = invite_again(session, user)
    with serving(house) as base, browser(base) as client:
        assert client.get(f"/invite/{first}").status_code == 404
        assert client.get(f"/invite/{second}").status_code == 200


def test_a_change_without_the_token_or_from_another_site_is_refused(house: building.House) -> None:
    member(house, REP)
    with serving(house) as base, closing(signed_in(base, REP)) as client:
        token = client.headers.pop("x-csrf-token")
        data = {"name": "Bea", "emails": "bea@x.example"}
        assert client.post("/contacts", data=data).status_code == 403
        assert client.post("/contacts", data=data | {"csrf": "wrong"}).status_code == 403
        foreign = client.post("/contacts", data=data | {"csrf": token}, headers={"origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert client.post("/contacts", data=data | {"csrf": token}).status_code == 200
