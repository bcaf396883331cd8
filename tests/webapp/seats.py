"""Somebody at a real browser: a seat at an office, its toasts, and what axe says of a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support import REP
from tests.web import PASSWORD
from tests.webapp.office import Office

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for a file of tests."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield running
        running.close()


@contextmanager
def seat(
    browser: Browser, room: Office, *, width: int = 1280, scheme: str = "light", email: str = REP, refused: bool = False
) -> Iterator[Page]:
    """Somebody who has signed in; at the end nothing may have been complained of in the console, but (``refused``) the
    browser's own note about a refused request."""
    context = browser.new_context(
        base_url=room.base,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # pyright: ignore[reportArgumentType]
        reduced_motion="reduce",
    )
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".bar")).to_be_visible()
    yield page
    context.close()
    told = [said for said in complaints if not (refused and ("Failed to load" in said or "Error Code 422" in said))]
    assert told == [], told


def toast(page: Page, words: str) -> None:
    """Wait for a toast."""
    expect(page.locator("#toasts")).to_contain_text(words)


def faults(page: Page) -> list[Any]:
    """What axe complains of, short."""
    return _short(Axe().run(page).response["violations"])


def faults_by_day_and_night(page: Page) -> list[Any]:
    """The same in light and in dark, where nothing but the contrast can differ."""
    page.emulate_media(color_scheme="light")
    found = faults(page)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate("axe.run({runOnly: {type: 'rule', values: ['color-contrast']}})")
    return found + _short(dark["violations"])


def _short(found: list[Any]) -> list[Any]:
    return [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]
