"""What only a real browser shows: keys, undo, what arrives without a reload, room on a phone, and access for everybody."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, expect

import house as building
from models.account import Account
from models.deal import Deal, StageChange
from models.event import Event
from models.imports.run import keep_file
from models.interaction import Held, Link
from models.suggestion import Suggestion
from models.webhook import add_webhook
from tests.support import NOW, REP
from tests.web import member
from tests.webapp.office import Office, arrive, office
from tests.webapp.seats import browser, faults, faults_by_day_and_night, seat, toast

pytestmark = pytest.mark.browser
__all__ = ["browser"]


def test_accepting_moves_the_deal_tells_it_and_undo_takes_it_back(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto(f"/?item=s{room.suggestion}")
        page.get_by_role("button", name="Accept").click()
        toast(page, "Windmill is now in Contacted.")
        expect(page.locator("#case")).to_have_attribute("data-item", f"h{room.held}")
        assert room.row(Deal, room.deal).stage_id == room.stage("Contacted")
        change = room.all(StageChange, StageChange.suggestion_id == room.suggestion)[0]
        assert change.source == "suggestion" and change.undone_at is None
        assert [event.payload["to"]["name"] for event in room.all(Event, Event.kind == "deal.stage_changed")] == [
            "Contacted"
        ]
        page.locator("#toasts").get_by_role("button", name=re.compile("Undo")).click()
        toast(page, "Taken back")
        expect(page.locator("#case")).to_have_attribute("data-item", f"s{room.suggestion}")
        assert room.row(Deal, room.deal).stage_id == room.stage("Lead")
        assert room.all(StageChange, StageChange.suggestion_id == room.suggestion)[0].undone_at is not None
        assert room.all(Event, Event.kind == "deal.stage_changed")[-1].payload["undo"] is True
        assert room.row(Suggestion, room.suggestion).state == "open"


def test_the_whole_queue_is_worked_through_by_keyboard(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        case = page.locator("#case")
        page.goto(f"/?item=h{room.held}")
        page.keyboard.press("j")
        expect(case).to_have_attribute("data-item", f"s{room.suggestion}")
        page.keyboard.press("k")
        expect(case).to_have_attribute("data-item", f"h{room.held}")
        page.keyboard.press("2")
        toast(page, "Logged on Second mill")
        mail = room.row(Held, room.held).interaction_id
        assert [link.deal_id for link in room.all(Link, Link.interaction_id == mail)] == [room.other]
        expect(case).to_have_attribute("data-item", f"s{room.suggestion}")
        page.keyboard.press("d")
        page.keyboard.press("2")
        toast(page, "Dismissed for Windmill")
        assert room.row(Suggestion, room.suggestion).dismissal == "too early"
        expect(case).to_contain_text("Nothing waits for you")
        page.keyboard.press("z")
        expect(case).to_have_attribute("data-item", f"s{room.suggestion}")
        page.keyboard.press("z")
        expect(case).to_have_attribute("data-item", f"h{room.held}")
        assert room.row(Held, room.held).state == "open"


def test_won_asks_for_reason_and_amount_before_anything_happens(house: building.House, browser: Browser) -> None:
    with office(house, to="Won") as room, seat(browser, room) as page:
        page.goto(f"/?item=s{room.suggestion}")
        page.keyboard.press("a")
        reason = page.get_by_label("Why was it won?")
        expect(reason).to_be_focused()
        assert room.row(Suggestion, room.suggestion).state == "open"
        reason.fill("price")
        page.get_by_label("Final amount in EUR").fill("50,000")
        page.keyboard.press("Enter")
        toast(page, "Windmill is now in Won.")
        deal = room.row(Deal, room.deal)
        assert (deal.close_reason, deal.amount_minor) == ("price", 5_000_000)


def test_what_was_typed_stays_when_it_is_refused(house: building.House, browser: Browser) -> None:
    with office(house, to="Won") as room, seat(browser, room, refused=True) as page:
        page.goto(f"/?item=s{room.suggestion}")
        page.keyboard.press("a")
        page.get_by_label("Final amount in EUR").fill("a lot")
        page.keyboard.press("Enter")
        toast(page, "is not an amount")
        expect(page.get_by_label("Final amount in EUR")).to_have_value("a lot")


def test_new_things_arrive_without_a_reload_and_leave_an_open_form_alone(
    house: building.House, browser: Browser
) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto(f"/deals/{room.deal}")
        page.evaluate("window.same = true")
        page.get_by_label("Next step").fill("half a sent")
        with house.db.write() as session:
            fresh = arrive(session, room.deal, subject="Just came in", occurred_at=NOW + timedelta(hours=1)).id
        row = page.locator(f"#i{fresh}")
        expect(row).to_be_visible(timeout=15_000)
        expect(page.locator("#stream > li").first).to_have_attribute("id", f"i{fresh}")
        expect(page.get_by_label("Next step")).to_have_value("half a sent")
        assert page.evaluate("window.same") is True


def test_the_queue_grows_without_a_reload(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto(f"/?item=s{room.suggestion}")
        page.get_by_role("link", name=re.compile("which deal")).wait_for()
        with house.db.write() as session:
            held = session.get_one(Held, room.held)
            held.state = "none"
            session.add(held)
        expect(page.locator(f"#line-h{room.held}")).to_have_count(0, timeout=15_000)
        expect(page.locator("#case")).to_have_attribute("data-item", f"s{room.suggestion}")


def test_a_card_is_dragged_to_another_stage(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto("/board")
        card, target = page.locator(f"#deal-{room.other}"), page.locator(f'[data-stage="{room.stage("Qualified")}"]')
        card.drag_to(target)
        toast(page, "Second mill is now in Qualified.")
        assert room.row(Deal, room.other).stage_id == room.stage("Qualified")
        page.keyboard.press("z")
        toast(page, "Taken back")
        assert room.row(Deal, room.other).stage_id == room.stage("Lead")


def test_a_card_moves_by_its_menu_too(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room, width=390) as page:
        page.goto("/board")
        card = page.locator(f"#deal-{room.other}")
        card.locator("summary").click()
        card.get_by_role("button", name="Proposal").click()
        toast(page, "Second mill is now in Proposal.")
        assert room.row(Deal, room.other).stage_id == room.stage("Proposal")


def test_a_row_is_read_in_place_and_taken_off(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto(f"/deals/{room.deal}")
        row = page.locator(f"#i{room.mail}")
        row.locator("summary", has_text="Read").click()
        expect(row.locator(".text")).to_contain_text("please send the contract to Ines")
        row.get_by_text("Wrong deal?").click()
        row.get_by_role("button", name="Not this deal").click()
        toast(page, "Taken off this deal")
        expect(page.locator(f"#i{room.mail}")).to_have_count(0)
        page.keyboard.press("z")
        expect(page.locator(f"#i{room.mail}")).to_have_count(1)


def test_on_a_phone_the_case_is_a_sheet_with_a_way_back(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room, width=390) as page:
        page.goto("/")
        expect(page.locator("#case")).to_be_hidden()
        page.locator(f"#line-s{room.suggestion}").click()
        expect(page.get_by_role("button", name="Accept")).to_be_in_viewport()
        page.get_by_role("link", name=re.compile("All that waits")).click()
        expect(page.locator("#case")).to_be_hidden()


def places(room: Office) -> list[str]:
    """The pages that are looked at for room and for access."""
    return [
        "/",
        f"/?item=s{room.suggestion}",
        f"/?item=h{room.held}",
        "/board",
        f"/deals/{room.deal}",
        f"/deals/{room.deal}/move?stage={room.stage('Lost')}",
        f"/interactions/{room.mail}",
        "/contacts",
        "/companies",
        "/new/company",
        f"/contacts/{room.contact}",
        f"/companies/{room.company}",
        "/accounts",
        f"/accounts/{room.account}/ledger",
        f"/accounts/{room.account}/ledger?outcome=logged",
        "/webhooks",
        "/webhooks/1",
        "/settings",
        "/search?q=mill",
        "/search?q=nothing-of-the-kind",
        "/new/deal",
        "/new/contact",
        "/imports",
        "/imports/1",
        "/settings/matching",
        f"/accounts/{room.account}/visibility?visibility=subject",
        f"/contacts/{room.contact}/erasure",
        "/erasures",
    ]


def furnish(room: Office) -> None:
    """Long words and an administrator's view."""
    member(room.house, REP, "admin")
    path = room.house.settings.data_dir / f"{'long-name-' * 12}.csv"
    path.write_text(f"{'Opportunity' * 9},Stage,Owner,Closed\n{'long' * 40},Dancing,Zed,01/02/2026\n", encoding="utf-8")
    keep_file(room.house.db, path, kind="deals", file_name=path.name, user_id=1, now=NOW)
    with room.house.db.write() as session:
        account = session.get_one(Account, room.account)
        account.refused, account.refused_sentence = "reconnect", "Google no longer accepts this grant."
        add_webhook(
            session,
            room.house.keyring,
            user_id=account.user_id,
            target_url="https://hooks.example/" + "long" * 40,
            event="*",
            now=NOW,
        )
        deal = session.get_one(Deal, room.deal)
        deal.name = "Windmill " + "extraordinarily-long-name-" * 4
        session.add_all([account, deal])


OVERLAPS = """() => {
  const seen = [...document.querySelectorAll('main button, main summary, main input, main select, main a.button')]
    .filter((e) => e.checkVisibility() && !e.closest('.actions') && e.type !== 'hidden');
  const boxes = seen.map((e) => [e, e.getBoundingClientRect()]).filter(([, b]) => b.width && b.height);
  const found = [];
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
    const [a, x] = boxes[i], [b, y] = boxes[j];
    if (a.contains(b) || b.contains(a)) continue;
    if (x.left < y.right - 1 && y.left < x.right - 1 && x.top < y.bottom - 1 && y.top < x.bottom - 1)
      found.push(`${a.outerHTML.slice(0, 80)} / ${b.outerHTML.slice(0, 80)}`);
  }
  return found;
}"""


def test_no_page_scrolls_sideways_or_overlaps_on_a_phone(house: building.House, browser: Browser) -> None:
    with office(house) as room:
        furnish(room)
        with seat(browser, room, width=390) as page:
            for path in places(room):
                page.goto(path)
                assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
                assert page.evaluate(OVERLAPS) == [], path


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_violation(house: building.House, browser: Browser, width: int) -> None:
    with office(house) as room:
        furnish(room)
        with seat(browser, room, width=width) as page:
            for path in places(room):
                page.goto(path)
                assert faults_by_day_and_night(page) == [], path


def test_axe_finds_no_violation_in_panels_dialogs_and_toasts(house: building.House, browser: Browser) -> None:
    with office(house) as room, seat(browser, room) as page:
        page.goto(f"/?item=s{room.suggestion}")
        for key in ("d", "Escape", "e", "Escape", "?"):
            page.keyboard.press(key)
            assert faults(page) == [], key
        page.get_by_role("button", name="Close").click()
        page.keyboard.press("a")
        toast(page, "Windmill is now in Contacted.")
        assert faults(page) == []


def test_axe_finds_no_violation_at_the_door(house: building.House, browser: Browser) -> None:
    with office(house) as room:
        for scheme in ("light", "dark"):
            page = browser.new_page(base_url=room.base, color_scheme=scheme)  # pyright: ignore[reportArgumentType]
            page.goto("/sign-in")
            assert faults(page) == []
            page.close()
