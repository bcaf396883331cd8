"""The board and a deal's page: what they show and what people change there."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from sqlmodel import col

import house as building
from models.deal import Deal, DealContact, StageChange
from models.errors import Invalid
from models.interaction import Interaction, Link
from tests.support import NOW
from tests.webapp.office import arrive, office
from webapp.pages.forms import read_amount

SCRIPT = {"hx-request": "true"}


@pytest.mark.parametrize(
    ("typed", "hundredths"),
    [
        ("48000", 4_800_000),
        ("48,000", 4_800_000),
        ("48.000", 4_800_000),
        ("48 000", 4_800_000),
        ("48'000.50", 4_800_050),
        ("48.000,50", 4_800_050),
        ("48,000.5", 4_800_050),
        ("€ 12,5", 1_250),
        ("1,234,567", 123_456_700),
        ("0", 0),
        ("250k", 25_000_000),
    ],
)
def test_amounts_are_read_as_people_write_them(typed: str, hundredths: int) -> None:
    assert read_amount(typed) == hundredths


@pytest.mark.parametrize("typed", ["a lot", "-5", "1.2.3,4,5", "٣", "9" * 20, "1e9", "48000 USD", ""])
def test_what_is_no_amount_is_refused(typed: str) -> None:
    with pytest.raises(Invalid):
        read_amount(typed)


def test_the_board_has_a_column_for_each_stage_with_count_and_total(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        text = client.get("/board").text
        assert all(f"<span>{name}</span>" in text for name in ("Lead", "Contacted", "Proposal", "Won", "Fridge"))
        assert "€ 48,000" in text and "A move is suggested" in text and "Windmill" in text


def test_the_board_can_be_filtered(house: building.House) -> None:
    with office(house) as room, room.rep() as client, room.colleague() as other:
        assert "Windmill" not in client.get("/board?q=second").text
        assert "Windmill" in client.get("/board?q=NORTHWIND").text
        assert "Windmill" not in other.get("/board?owner=me").text
        assert "Windmill" in other.get("/board?owner=zzz").text


def test_a_new_deal_is_made_with_its_people(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        form = {"name": "Third", "company_id": str(room.company), "contact_id": str(room.contact), "amount": "1.000"}
        page = client.post("/deals", data=form | {"currency": "eur", "expected_close": "2026-12-24"})
        assert page.status_code == 200 and "<h1>Third</h1>" in page.text
        deal = room.all(Deal, Deal.name == "Third")[0]
        assert (deal.amount_minor, deal.currency, deal.expected_close) == (100_000, "EUR", date(2026, 12, 24))
        assert room.all(DealContact, DealContact.deal_id == deal.id)[0].contact_id == room.contact


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("name", " ", "A deal needs a name."),
        ("amount", "much", "is not an amount"),
        ("currency", "Euro", "three letters"),
        ("expected_close", "soon", "is not a date"),
        ("company_id", "9999", "no such company"),
    ],
)
def test_bad_input_is_told_in_a_sentence_and_stays_typed(
    house: building.House, field: str, value: str, sentence: str
) -> None:
    with office(house) as room, room.rep() as client:
        form = {"name": "Third deal", "amount": "77", "currency": "EUR"} | {field: value}
        page = client.post("/deals", data=form)
        assert page.status_code == 422 and sentence in page.text
        assert ('value="77"' in page.text) == (field != "amount")
        assert field == "name" or 'value="Third deal"' in page.text


def test_a_move_is_written_down_and_can_be_taken_back(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        data = {"stage_id": str(room.stage("Qualified"))}
        answer = client.post(f"/deals/{room.other}/stage", data=data, headers=SCRIPT)
        undo = json.loads(answer.headers["hx-trigger"])["toast"]["undo"]
        assert room.row(Deal, room.other).stage_id == room.stage("Qualified")
        assert "Lead → <strong>Qualified</strong>" in client.get(f"/deals/{room.other}").text
        assert client.request(undo["method"], undo["url"], headers=SCRIPT).status_code == 204
        assert room.row(Deal, room.other).stage_id == room.stage("Lead")
        assert "(taken back)" in client.get(f"/deals/{room.other}").text


def test_lost_by_hand_wants_a_reason_and_the_fridge_a_day(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        lost, fridge = room.stage("Lost"), room.stage("Fridge")
        assert "Why was it lost?" in client.get(f"/deals/{room.deal}/move?stage={lost}").text
        assert client.post(f"/deals/{room.deal}/stage", data={"stage_id": str(lost)}).status_code == 422
        client.post(f"/deals/{room.other}/stage", data={"stage_id": str(fridge), "wake_on": "2027-03-01"})
        assert room.row(Deal, room.other).wake_on == date(2027, 3, 1)


def test_facts_change_one_by_one(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        client.post(f"/deals/{room.deal}/facts", data={"next_step": "Call Bea on Friday"})
        deal = room.row(Deal, room.deal)
        assert deal.next_step == "Call Bea on Friday" and deal.amount_minor == 4_800_000
        assert client.post(f"/deals/{room.deal}/facts", data={"name": ""}).status_code == 422
        client.post(f"/deals/{room.deal}/facts", data={"amount": "", "owner_id": "", "currency": "usd"})
        deal = room.row(Deal, room.deal)
        assert (deal.amount_minor, deal.owner_id, deal.currency) == (None, None, "USD")


def test_people_join_and_leave_a_deal(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        path = f"/deals/{room.deal}/people"
        client.post(path, data={"contact_id": str(room.contact), "role": "decision maker"})
        assert room.all(DealContact, DealContact.deal_id == room.deal)[0].role == "decision maker"
        assert client.post(path, data={"contact_id": str(room.contact), "role": "king"}).status_code == 422
        assert client.delete(f"{path}/{room.contact}", headers=SCRIPT).status_code == 204
        assert room.all(DealContact, DealContact.deal_id == room.deal) == []
        assert client.delete(f"{path}/{room.contact}", headers=SCRIPT).status_code == 404


def test_the_timeline_says_why_each_row_is_there(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        with house.db.write() as session:
            link = session.get_one(Link, room.all(Link, Link.deal_id == room.deal)[0].id)
            link.reasons = ["Bea Buyer is a contact"]
            session.add(link)
        text = client.get(f"/deals/{room.deal}").text
        assert "Here because Bea Buyer is a contact · stage then: Lead" in text and "Re: Our quote" in text


def test_a_row_is_taken_off_and_put_back(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        path = f"/deals/{room.deal}/interactions/{room.mail}"
        answer = client.delete(path, headers=SCRIPT)
        assert json.loads(answer.headers["hx-trigger"])["toast"]["undo"] == {"method": "POST", "url": path}
        assert f'id="i{room.mail}"' not in client.get(f"/deals/{room.deal}").text
        client.post(path, headers=SCRIPT)
        assert f'id="i{room.mail}"' in client.get(f"/deals/{room.deal}").text


def test_a_row_moves_to_another_deal_and_back(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        path = f"/interactions/{room.mail}/deal?back={room.deal}"
        answer = client.post(path, data={"deal_id": str(room.other)}, headers=SCRIPT)
        undo = json.loads(answer.headers["hx-trigger"])["toast"]["undo"]
        assert f'id="i{room.mail}"' in client.get(f"/deals/{room.other}").text
        client.request(undo["method"], undo["url"], headers=SCRIPT)
        assert f'id="i{room.mail}"' in client.get(f"/deals/{room.deal}").text
        assert client.post(f"/interactions/{room.mail}/deal", data={}).status_code == 422


def test_the_timeline_goes_on_page_by_page_and_loses_nothing(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        with house.db.write() as session:
            for number in range(70):
                arrive(session, room.other, occurred_at=NOW - timedelta(hours=number // 3), subject=f"Mail {number}")
        seen, address = client.get(f"/deals/{room.other}").text, ""
        for _ in range(4):
            if "/earlier?before=" not in seen[len(address) :]:
                break
            following = seen.rpartition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")
            seen = seen.replace("/earlier?before=", "/done?before=") + client.get(following).text
        ids = [row.id for row in room.all(Interaction, col(Interaction.subject).startswith("Mail "))]
        assert [key for key in ids if seen.count(f'id="i{key}"') != 1] == []
        assert "This is the beginning." in seen


def test_a_new_row_is_news(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        path = f"/deals/{room.deal}/news"
        version = client.get(path).headers["x-version"]
        assert client.get(path, params={"v": version}).status_code == 204
        with house.db.write() as session:
            fresh = arrive(session, room.deal, subject="Just now").id
        assert f'id="i{fresh}"' in client.get(path, params={"v": version}).text


def test_the_quote_is_marked_in_the_whole_text(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        text = client.get(f"/interactions/{room.mail}?start=26&end=78&part=1").text
        assert "<mark>We are good to go, please send the contract to Ines.</mark>" in text and "<html" not in text


def test_moves_from_a_suggestion_are_taken_back_there(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        client.post(f"/suggestions/{room.suggestion}/acceptance")
        change = room.all(StageChange, StageChange.suggestion_id == room.suggestion)[0].id
        assert client.delete(f"/deals/{room.deal}/stage/{change}", headers=SCRIPT).status_code == 409
