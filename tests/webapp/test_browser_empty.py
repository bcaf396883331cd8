"""The first hour in a house with nothing in it: every page says what to do next, has room, and is open to everybody."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

import house as building
from tests.web import PASSWORD, serving
from tests.webapp.seats import browser, faults_by_day_and_night

pytestmark = pytest.mark.browser
__all__ = ["browser"]
NEXT_STEPS = {
    "/": "Connect a mailbox",
    "/board": "Make the first deal",
    "/contacts": "New contact",
    "/companies": "New company",
    "/accounts": "Connect",
    "/webhooks": "Add a webhook",
    "/settings": "Invite",
    "/search": "Press",
    "/new/deal": "Make the deal",
    "/new/contact": "Add",
    "/nowhere": "To the first page",
}


@pytest.mark.parametrize("width", [1280, 390])
def test_an_empty_house_leads_on(house: building.House, browser: Browser, width: int) -> None:
    with serving(house) as base:
        page = browser.new_page(
            base_url=base,
            viewport={"width": width, "height": 800},
            reduced_motion="reduce",
        )
        page.goto("/")
        expect(page).to_have_url(f"{base}/setup")
        looked_at(page, "/setup", width)
        page.get_by_label("Your name").fill("Rae")
        page.get_by_label("E-mail address").fill("rae@acme.example")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Begin").click()
        expect(page.locator(".bar")).to_be_visible()
        for path, step in NEXT_STEPS.items():
            page.goto(path)
            expect(page.locator("main")).to_contain_text(step)
            looked_at(page, path, width)
        page.close()


def looked_at(page: Page, path: str, width: int) -> None:
    """No sideways scrolling and nothing that axe complains of."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert faults_by_day_and_night(page) == [], path
