"""Room and sight: forms that open where one sees them, texts beside each other, columns side by side, and what arrives on a phone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

import house as building
from models.bell_faults import LONG
from models.channel import Channel
from models.db import Database
from models.event import Event
from models.imports.run import keep_file
from models.imports.store import Import, ImportFault
from models.suggestion import Suggestion
from models.user import add_user
from models.webhook import Attempt, Delivery, add_webhook
from tests.models import cast
from tests.support import NOW, REP
from tests.web import member
from tests.webapp.office import Office, arrive, office
from tests.webapp.seats import browser, faults_by_day_and_night, seat, toast

pytestmark = pytest.mark.browser
__all__ = ["browser"]
COVERED = """() => {
  const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  const found = [], boxes = [];
  while (walk.nextNode()) {
    const node = walk.currentNode, holder = node.parentElement;
    if (!node.data.trim() || !holder.checkVisibility() || holder.closest('.hidden-label, option, pre')) continue;
    const range = document.createRange(); range.selectNodeContents(node);
    for (const box of range.getClientRects()) if (box.width > 1) boxes.push([node.data.trim().slice(0, 40), box]);
  }
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
    const [one, a] = boxes[i], [other, b] = boxes[j];
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 4 && high > 6) found.push(`${one} / ${other}`);
  }
  return found;
}"""
"""Pairs of texts of which one lies over the other."""


def fits(page: Page, width: int) -> None:
    """Nothing sticks out, no text lies over another, and axe has nothing to say."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(COVERED) == []
    assert faults_by_day_and_night(page) == []


def test_the_forms_of_a_suggestion_open_in_sight_on_a_deals_page(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room, width=390) as page:
        page.goto(f"/deals/{room.deal}")
        for name in ("Other stage", "Dismiss"):
            page.locator("#deal-case summary", has_text=name).click()
            sheet = page.locator("#deal-case .sheet:visible")
            expect(sheet).to_be_in_viewport(ratio=1)
            if name == "Other stage":
                page.keyboard.press("Escape")
                expect(sheet).to_have_count(0)
        page.get_by_role("button", name="Too early").click()
        toast(page, "Dismissed for Windmill")
        assert room.row(Suggestion, room.suggestion).dismissal == "too early"


def test_an_invitation_to_a_long_address_fits_a_phone(house: building.House, browser: Browser) -> None:
    with office(house) as room:
        with house.db.write() as session:
            _, token = add_user(session, f"{'long-name.' * 5}person@acme.example", role="rep", now=building.now())
        page = browser.new_page(base_url=room.base, viewport={"width": 390, "height": 800}, reduced_motion="reduce")
        page.goto(f"/invite/{token}")
        expect(page.get_by_role("button", name="Come in")).to_be_in_viewport()
        fits(page, 390)
        page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_every_try_of_a_webhook_can_be_read(house: building.House, browser: Browser, width: int) -> None:
    with office(house) as room, seat(browser, room, width=width) as page:
        page.goto(f"/webhooks/{tried(room)}")
        row = page.locator(".deliveries > li").first
        expect(row).to_contain_text("answered 503 in 1,234 ms · 2 tries · next try")
        expect(row.locator("pre")).to_be_hidden()
        fits(page, width)
        row.get_by_text("What is sent", exact=True).click()
        expect(row.locator("pre")).to_be_visible()
        untried = page.locator(".deliveries > li").nth(1).locator(".answered")
        assert untried.inner_text().startswith("next try")


def tried(room: Office) -> int:
    """A webhook with one delivery that failed twice and one that was not tried yet."""
    with room.house.db.write() as session:
        user = cast.member(session)
        hook, _ = add_webhook(
            session, room.house.keyring, user_id=user.id or 0, target_url="https://hooks.example/in", event="*", now=NOW
        )
        for number in range(2):
            event = Event(
                kind="deal.stage_changed", at=NOW, uid=f"evt_{number}", once=f"once{number}", payload={"n": 1}
            )
            session.add(event)
            session.flush()
            waits = Delivery(
                webhook_id=hook.id or 0,
                event_id=event.id or 0,
                attempts=0 if number == 0 else 2,
                next_attempt_at=NOW + timedelta(hours=1),
                created_at=NOW,
            )
            session.add(waits)
            session.flush()
            for _ in range(waits.attempts):
                try_ = Attempt(
                    delivery_id=waits.id or 0, at=NOW, status=503, answer="<html>" + "no " * 60, took_ms=1234
                )
                session.add(try_)
        return hook.id or 0


def test_seven_columns_stand_side_by_side(house: building.House, browser: Browser) -> None:
    with office(house) as room:
        with house.db.write() as session:
            for name in ("Contacted", "Qualified", "Proposal", "Won", "Lost", "Fridge"):
                more = {"closed_at": NOW} if name in ("Won", "Lost") else {}
                deal = cast.sale(
                    session, name=f"A mill in {name}", stage=cast.stage(session, name), amount_minor=4_800_000
                )
                for column, value in more.items():
                    setattr(deal, column, value)
        with seat(browser, room) as page:
            page.goto("/board")
            board = page.locator(".board")
            assert board.evaluate("node => node.scrollWidth <= node.clientWidth")
            expect(page.locator(".column", has_text="A mill in Fridge")).to_be_in_viewport()
            fits(page, 1280)


@pytest.mark.parametrize("width", [1280, 390])
def test_rows_that_are_not_taken_are_told_on_the_page(house: building.House, browser: Browser, width: int) -> None:
    with office(house) as room:
        key = half_taken(room)
        with seat(browser, room, width=width) as page:
            page.goto(f"/imports/{key}")
            state = page.locator("#import-state")
            expect(state).to_contain_text("There is no e-mail address in this row.")
            expect(state).to_contain_text("These are the first 10 of 12; all of them are in the file.")
            assert state.locator("tbody tr").count() == 10
            expect(state.locator("tbody tr").last).to_contain_text("taken")
            fits(page, width)


def half_taken(room: Office) -> int:
    """An import of contacts of which eleven rows were not taken, and one with a remark."""
    path = room.house.settings.data_dir / "people.csv"
    path.write_text("Name,Email\nBea,bea@northwind.example\n", encoding="utf-8")
    with room.house.db.read() as session:
        user = cast.member(session).id or 0
    key = keep_file(room.house.db, path, kind="contacts", file_name=path.name, user_id=user, now=NOW)
    with room.house.db.write() as session:
        row = session.get_one(Import, key)
        row.state, row.position, row.refused, row.noted = "done", 12, 11, 1
        session.add(row)
        said = [(2, True, "'c@@' is not an e-mail address and is left out.")]
        said += [(number, False, "There is no e-mail address in this row.") for number in range(3, 14)]
        for number, taken, reason in said:
            session.add(ImportFault(import_id=key, row=number, taken=taken, reason=reason))
        return key


@pytest.mark.parametrize("width", [1280, 390])
def test_an_account_whose_doorbell_is_mute_says_so(house: building.House, browser: Browser, width: int) -> None:
    member(house, REP, "admin")
    with office(house) as room:
        silence(house.db, room)
        with seat(browser, room, width=width) as page:
            page.goto("/accounts")
            card = page.locator(f"#account-{room.account}")
            expect(card).to_contain_text("New mail is not announced to us. Create the topic.")
            fits(page, width)
            card.get_by_role("button", name="Sync now").click()
            toast(page, "is being looked at now")


def silence(db: Database, room: Office) -> None:
    """The account's doorbell cannot be opened for want of a topic."""
    with db.write() as session:
        _, source = cast.mailbox(session)
        now = building.now()
        bell = Channel(source_id=source.id, kind="mail", created_at=now, renew_at=now + 2 * LONG, failures=1)
        bell.error, bell.error_sentence, bell.error_at = "topic_missing", "Create the topic.", now
        session.add(bell)


def test_on_a_phone_what_was_logged_is_counted_while_one_looks_on(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room, width=390) as page:
        page.goto("/")
        page.evaluate("window.same = true")
        before = page.locator("#queue-head").inner_text()
        with house.db.write() as session:
            arrive(session, room.deal, subject="Just came in", occurred_at=building.now(), logged_at=building.now())
        expect(page.locator("#queue-head")).not_to_have_text(before, timeout=15_000)
        assert page.evaluate("window.same") is True
