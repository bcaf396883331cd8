"""People found in one's own mail, and merging: on the page, by the API, by keys; and that nobody else knows of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import Browser, expect

import house as building
from models.contact import Company, Contact, ContactAddress
from models.deal import Deal
from models.discovery import Discovery
from models.merging import Merge
from tests.models import cast
from tests.models.strangers import exchanged
from tests.support import BUYER, COLLEAGUE, REP
from tests.web import api, key_of
from tests.webapp.office import Office, office
from tests.webapp.seats import browser, faults_by_day_and_night, seat, toast

__all__ = ["browser"]
PEOPLE = {
    "sam.stone@stoneworks.example": ("Sam Stone", 7, 5),
    "tim@stoneworks.example": ("Tim Tiler", 3, 2),
    "ann@gmail.com": ("", 1, 1),
}


@contextmanager
def found(house: building.House) -> Iterator[Office]:
    """Rae's office, with three people in her mail whom nobody has as contacts, and one in her colleague's."""
    with office(house) as room:
        with house.db.write() as session:
            for address, (name, wrote, written) in PEOPLE.items():
                exchanged(session, house.keyring, address, name=name, wrote=wrote, written=written, now=building.now())
            exchanged(session, house.keyring, "zed@secret.example", own=COLLEAGUE, now=building.now())
        yield room


@contextmanager
def asking(room: Office, email: str = REP) -> Iterator[httpx.Client]:
    """Somebody's program."""
    with api(room.base, key_of(room.house, email)) as client:
        yield client


def ids(room: Office) -> dict[str, int]:
    """Discoveries by address."""
    return {row.address: row.id for row in room.all(Discovery)}


def test_the_page_lists_ones_own_the_busiest_first(house: building.House) -> None:
    with found(house) as room, room.rep() as client:
        text = client.get("/discovered").text
        places = [text.index(address) for address in PEOPLE]
        assert places == sorted(places) and "zed@secret" not in text
        assert "you wrote 5, they wrote 7" in text and "Stoneworks" in text and "new company" in text
        assert re.search(r'Found <span class="badge">3</span>', client.get("/contacts").text)
        assert "3 new people in your mail" in client.get("/").text


def test_an_outsider_sees_and_decides_nothing(house: building.House) -> None:
    with found(house) as room, room.colleague() as client:
        text = client.get("/discovered").text + client.get("/discovered/news").text
        assert "zed@secret.example" in text and not any(address in text for address in PEOPLE)
        answer = client.post("/discovered/decisions", data={"ids": list(ids(room).values()), "decision": "contact"})
        assert answer.status_code == 404
        assert {row.state for row in room.all(Discovery)} == {"open"}


def test_many_are_taken_in_with_their_deal_and_given_back(house: building.House) -> None:
    with found(house) as room, room.rep() as client:
        mine = [key for address, key in ids(room).items() if address in PEOPLE]
        page = client.post("/discovered/decisions", data={"ids": mine, "decision": "deal"})
        assert page.status_code == 200 and "3 people are in the address book with 2 deals" in page.text
        assert {deal.name for deal in room.all(Deal)} >= {"Stoneworks", "ann@gmail.com"}
        undo = re.search(r"/discovered/decisions/[0-9a-f]+", page.text)
        assert undo and client.delete(undo[0]).status_code == 200
        assert len(room.all(Contact)) == 1 and len(room.all(Company)) == 1 and len(room.all(Deal)) == 2


def test_a_button_on_a_row_decides_about_that_one_alone(house: building.House) -> None:
    with found(house) as room, room.rep() as client:
        key = ids(room)["ann@gmail.com"]
        others = [str(one) for one in ids(room).values() if one != key]
        page = client.post("/discovered/decisions", data={"decision": f"never:{key}", "ids": others})
        assert "ann@gmail.com is never offered again" in page.text
        assert sorted(row.state for row in room.all(Discovery)) == ["never", "open", "open", "open"]


@pytest.mark.parametrize(
    "data", [{}, {"decision": "contact"}, {"decision": "contact:x"}, {"decision": "marry", "ids": 1}]
)
def test_what_is_no_decision_is_refused_in_a_sentence(house: building.House, data: dict[str, object]) -> None:
    with found(house) as room, room.rep() as client:
        assert client.post("/discovered/decisions", data=data).status_code == 422


def test_the_news_are_silent_while_nothing_changes(house: building.House) -> None:
    with found(house) as room, room.rep() as client:
        first = client.get("/discovered/news")
        assert client.get("/discovered/news", params={"v": first.headers["x-version"]}).status_code == 204


@pytest.mark.browser
def test_the_bar_is_there_as_long_as_there_is_somebody_to_decide_about(house: building.House, browser: Browser) -> None:
    with found(house) as room, seat(browser, room) as page:
        page.goto("/discovered")
        bar = page.locator(".bulk")
        expect(bar).to_be_visible()
        page.locator("[data-tick-all]").click()
        page.keyboard.press("d")
        toast(page, "3 people are not offered for now.")
        expect(page.locator("#offer-none")).to_be_visible()
        expect(bar).to_be_hidden()
        page.keyboard.press("z")
        expect(page.locator(".offer")).to_have_count(3)
        expect(bar).to_be_visible()


def test_the_api_lists_in_pages_decides_and_takes_back(house: building.House) -> None:
    with found(house) as room, asking(room) as client:
        first = client.get("/discovered", params={"limit": 2}).json()
        rest = client.get("/discovered", params={"limit": 2, "cursor": first["next"]}).json()
        assert [one["address"] for one in first["items"] + rest["items"]] == list(PEOPLE)
        assert rest["next"] is None and first["items"][0]["company"] == "Stoneworks"
        assert (first["items"][0]["inbound"], first["items"][0]["outbound"]) == (7, 5)
        body = {"ids": [one["id"] for one in first["items"]], "decision": "contact"}
        done = client.post("/discovered/decisions", json=body)
        assert done.status_code == 201 and len(done.json()["contacts"]) == 2
        assert client.post("/discovered/decisions", json=body).status_code == 409
        back = client.delete(f"/discovered/decisions/{done.json()['id']}")
        assert back.status_code == 200 and {one["state"] for one in back.json()["items"]} == {"open"}
        assert client.delete(f"/discovered/decisions/{done.json()['id']}").status_code == 404


def test_a_colleagues_program_takes_nothing_back(house: building.House) -> None:
    with found(house) as room, asking(room) as client, asking(room, COLLEAGUE) as other:
        body = {"ids": [ids(room)["ann@gmail.com"]], "decision": "ignore"}
        assert other.post("/discovered/decisions", json=body).status_code == 404
        key = client.post("/discovered/decisions", json=body).json()["id"]
        assert other.delete(f"/discovered/decisions/{key}").status_code == 404


def test_two_contacts_are_made_one_by_an_address_and_two_again(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        with house.db.write() as session:
            other = cast.buyer(session, "bea@home.example", name="Bea Buyer").id
        assert "Take in Bea Buyer" in client.get(f"/contacts/{room.contact}").text
        path = f"/contacts/{room.contact}/merges"
        assert client.post(path, data={"other": "nobody@x.example"}).status_code == 404
        page = client.post(path, data={"other": "BEA@home.example"})
        assert "are one now" in page.text and "bea@home.example" in page.text
        assert str(client.get(f"/contacts/{other}").url).endswith(f"/contacts/{room.contact}")
        assert client.delete(f"/merges/{room.all(Merge)[0].id}").status_code == 200
        assert {row.contact_id for row in room.all(ContactAddress)} == {room.contact, other}


def test_two_companies_are_made_one_by_the_api_and_the_page(house: building.House) -> None:
    with office(house) as room, asking(room) as client, room.rep() as page:
        with house.db.write() as session:
            other = cast.firm(session, "Northwind Ltd", "northwind.test").id
        body = {"kind": "company", "kept_id": room.company, "gone_id": other}
        made = client.post("/merges", json=body).json()
        assert client.get("/merges").json()["items"][0]["gone_name"] == "Northwind Ltd"
        assert client.delete(f"/merges/{made['id']}").json()["back_id"] == other
        assert "Take in Northwind Ltd" in page.get(f"/companies/{room.company}").text
        text = page.post(f"/companies/{room.company}/merges", data={"other": "northwind.test"}).text
        assert "are one now" in text and len(room.all(Company)) == 1


def test_an_address_that_another_has_is_refused_with_who_has_it(house: building.House) -> None:
    with office(house) as room, asking(room) as client:
        answer = client.post("/contacts", json={"name": "Other", "emails": [BUYER]})
        assert answer.status_code == 409 and "Bea Buyer" in answer.json()["detail"]


# ---- by keys, in a browser


@pytest.mark.browser
def test_keys_tick_take_in_ignore_and_take_back(house: building.House, browser: Browser) -> None:
    with found(house) as room, seat(browser, room) as page:
        page.goto("/discovered")
        expect(page.locator(".offer[aria-current]")).to_contain_text("Sam Stone")
        for key in ("x", "j", "x"):
            page.keyboard.press(key)
        expect(page.locator("#ticked")).to_have_text("2 ticked")
        page.keyboard.press("w")
        toast(page, "2 people are in the address book with 1 deal")
        expect(page.locator(".offer")).to_have_count(1)
        page.keyboard.press("d")
        toast(page, "ann@gmail.com is not offered for now")
        expect(page.locator(".offers .empty")).to_contain_text("Looking")
        for count in (1, 3):
            page.keyboard.press("z")
            expect(page.locator(".offer")).to_have_count(count)
        assert {row.state for row in room.all(Discovery)} == {"open"} and len(room.all(Contact)) == 1


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_pages_have_no_faults(house: building.House, browser: Browser, width: int) -> None:
    with found(house) as room, seat(browser, room, width=width) as page:
        for path in ("/discovered", f"/contacts/{room.contact}", f"/companies/{room.company}"):
            page.goto(path)
            for fold in page.locator("details.fold summary").all():
                fold.click()
            assert faults_by_day_and_night(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_people_appear_by_themselves(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto("/discovered")
        with house.db.write() as session:
            exchanged(session, house.keyring, name="Sam Stone", now=building.now())
        expect(page.locator(".offer")).to_contain_text("Sam Stone", timeout=8_000)
        expect(page.locator("#found-count")).to_have_text("1")
