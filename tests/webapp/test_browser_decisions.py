"""Deciding in a real browser, by key and by mouse: what a person did is in the database, and undo takes all of it back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

import house as building
from models.deal import Deal, StageChange
from models.event import Event
from models.interaction import Held, Link
from models.suggestion import Suggestion
from tests.webapp.office import Office, office
from tests.webapp.seats import browser, seat, toast

pytestmark = pytest.mark.browser
__all__ = ["browser"]


def moves(room: Office) -> list[tuple[str, bool]]:
    """(stage, undo) of each announced move of the deal, oldest first."""
    found = room.all(Event, Event.kind == "deal.stage_changed")
    return [(event.payload["to"]["name"], bool(event.payload.get("undo"))) for event in found]


def test_a_key_accepts_and_another_takes_it_back(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto(f"/?item=s{room.suggestion}")
        page.keyboard.press("a")
        toast(page, "Windmill is now in Contacted.")
        assert room.row(Deal, room.deal).stage_id == room.stage("Contacted")
        assert room.row(Suggestion, room.suggestion).state == "accepted"
        change = room.all(StageChange, StageChange.suggestion_id == room.suggestion)[0]
        assert (change.source, change.to_stage_id, change.undone_at) == ("suggestion", room.stage("Contacted"), None)
        assert moves(room) == [("Contacted", False)]
        assert len(room.all(Event, Event.kind == "suggestion.accepted")) == 1
        page.keyboard.press("z")
        toast(page, "Taken back")
        expect(page.locator("#case")).to_have_attribute("data-item", f"s{room.suggestion}")
        assert room.row(Deal, room.deal).stage_id == room.stage("Lead")
        assert room.row(Suggestion, room.suggestion).state == "open"
        assert room.all(StageChange, StageChange.suggestion_id == room.suggestion)[0].undone_at is not None
        assert moves(room) == [("Contacted", False), ("Lead", True)]


def test_what_was_accepted_can_be_taken_back_and_accepted_again(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto(f"/?item=s{room.suggestion}")
        for _ in range(2):
            page.keyboard.press("a")
            toast(page, "Windmill is now in Contacted.")
            page.keyboard.press("z")
            toast(page, "Taken back")
            expect(page.locator("#case")).to_have_attribute("data-item", f"s{room.suggestion}")
        assert room.row(Deal, room.deal).stage_id == room.stage("Lead")
        assert [undo for _, undo in moves(room)] == [False, True, False, True]


def test_a_suggestion_is_dismissed_with_a_reason_by_mouse(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto(f"/?item=s{room.suggestion}")
        page.locator("summary", has_text="Dismiss").click()
        page.get_by_role("button", name="Wrong deal").click()
        toast(page, "Dismissed for Windmill")
        row = room.row(Suggestion, room.suggestion)
        assert (row.state, row.dismissal) == ("dismissed", "wrong deal")
        assert room.row(Deal, room.deal).stage_id == room.stage("Lead") and moves(room) == []
        assert len(room.all(Event, Event.kind == "suggestion.dismissed")) == 1
        page.locator("#toasts").get_by_role("button", name=re.compile("Undo")).click()
        toast(page, "Taken back")
        row = room.row(Suggestion, room.suggestion)
        assert (row.state, row.dismissal) == ("open", "")


def test_a_held_mail_goes_to_the_deal_that_was_clicked(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto(f"/?item=h{room.held}")
        page.get_by_role("button", name=re.compile("Second mill")).click()
        toast(page, "Logged on Second mill")
        held = room.row(Held, room.held)
        assert held.state == "chosen"
        on = Link.interaction_id == held.interaction_id
        assert [link.deal_id for link in room.all(Link, on)] == [room.other]
        assert len(room.all(Event, Event.kind == "interaction.logged")) == 1
        page.keyboard.press("z")
        toast(page, "Taken back")
        assert room.row(Held, room.held).state == "open"
        assert [link for link in room.all(Link, on) if link.removed_at is None] == []


def test_the_case_shows_the_words_and_how_the_deal_stands(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto(f"/?item=s{room.suggestion}")
        case = page.locator("#case")
        expect(case.locator("mark")).to_have_text("We are good to go, please send the contract to Ines.")
        stands = case.get_by_role("region", name="How the deal stands")
        expect(stands).to_contain_text("In Lead")
        expect(stands).to_contain_text("none noted")
        case.get_by_text("Read in context").click()
        expect(case.locator(".loaded .text")).to_contain_text("Regards, Bea")


def test_an_account_shows_its_sum_and_asks_for_a_comparison(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto("/accounts")
        balance = page.get_by_role("group", name=re.compile("What became of everything"))
        numbers = [int(text.replace(",", "")) for text in balance.locator("b").all_inner_texts()]
        assert numbers[0] == sum(numbers[1:]) > 0
        expect(page.locator(".verdict")).to_contain_text("Not compared yet.")
        page.get_by_role("button", name="Compare with Google").click()
        expect(page.locator(".verdict")).to_contain_text("Comparing now")
