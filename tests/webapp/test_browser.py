"""The pages in a real browser."""

from __future__ import annotations

import pytest

import house as building
from tests import web
from tests.support import REP

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_somebody_signs_in_and_no_page_scrolls_sideways(house: building.House, chromium: str, width: int) -> None:
    from playwright.sync_api import sync_playwright

    web.member(house, REP, "admin")
    with web.serving(house) as base, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": 900})
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{base}/sign-in")
        page.fill("input[name=email]", REP)
        page.fill("input[name=password]", web.PASSWORD)
        page.click("button.primary")
        page.wait_for_url(lambda url: "/sign-in" not in url)
        for path in ("/", "/board", "/contacts", "/accounts", "/webhooks", "/settings"):
            answer = page.goto(f"{base}{path}")
            assert answer is not None and answer.status == 200, path
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        browser.close()
        assert not said
