"""Review: what is shown, what a decision does, and that each can be taken back."""

from __future__ import annotations

import json

import house as building
from models.deal import Deal, StageChange
from models.event import Event
from models.interaction import Held, Interaction, Link
from models.suggestion import Suggestion
from tests.models import cast
from tests.support import NOW
from tests.webapp.office import office, parties
from webapp.pages.case import quoted

SCRIPT = {"hx-request": "true"}


def test_a_case_shows_the_words_marked_who_said_them_and_when(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        text = client.get(f"/?item=s{room.suggestion}").text
        assert "<mark>We are good to go, please send the contract to Ines.</mark>" in text
        assert "Dear Rae, we had a look." in text and "Bea Buyer" in text and "85 % sure" in text
        assert "the first of its kind here" in text and "€ 48,000" in text


def test_the_record_of_a_rule_is_told_with_its_n(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        with house.db.write() as session:
            for state in ("accepted", "accepted", "dismissed"):
                more = {"deal_id": room.deal, "from_stage_id": 1, "to_stage_id": 2, "meaning": "contacted"}
                past = {"deal_version": 1, "rule": "accept.order", "reason": "x", "created_at": NOW, "state": state}
                session.add(Suggestion(**more, **past))
        assert "right 2 of 3 times here" in client.get(f"/?item=s{room.suggestion}").text


def test_accepting_moves_the_deal_and_undo_takes_it_back(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        path = f"/suggestions/{room.suggestion}/acceptance"
        answer = client.post(path, headers=SCRIPT)
        told = json.loads(answer.headers["hx-trigger"])
        assert answer.status_code == 204
        assert told["toast"] == {
            "text": "Windmill is now in Contacted.",
            "undo": {"method": "DELETE", "url": path},
        }
        assert told["renew"]["item"] == f"h{room.held}"
        assert room.row(Deal, room.deal).stage_id == room.stage("Contacted")
        assert client.delete(path, headers=SCRIPT).status_code == 204
        assert room.row(Deal, room.deal).stage_id == room.stage("Lead")
        assert room.row(Suggestion, room.suggestion).state == "open"


def test_it_works_without_a_script_too(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        page = client.post(f"/suggestions/{room.suggestion}/acceptance")
        assert str(page.url).endswith(f"/?item=h{room.held}") and "Windmill is now in Contacted." in page.text
        assert "Windmill is now in Contacted." not in client.get("/").text


def test_deciding_twice_is_told_and_the_page_renewed(house: building.House) -> None:
    with office(house) as room, room.rep() as client, room.colleague() as other:
        path = f"/suggestions/{room.suggestion}/acceptance"
        assert other.post(path, headers=SCRIPT).status_code == 204
        answer = client.post(path, headers=SCRIPT)
        told = json.loads(answer.headers["hx-trigger"])
        assert answer.status_code == 409 and "accepted already" in told["toast"]["text"] and "renew" in told


def test_lost_wants_a_reason_and_keeps_it(house: building.House) -> None:
    with office(house, to="Lost") as room, room.rep() as client:
        path = f"/suggestions/{room.suggestion}/acceptance"
        assert client.post(path, data={"reason": " "}).status_code == 422
        client.post(path, data={"reason": "too dear", "amount": ""})
        deal = room.row(Deal, room.deal)
        assert deal.close_reason == "too dear" and deal.amount_minor == 4_800_000


def test_won_may_change_the_amount(house: building.House) -> None:
    with office(house, to="Won") as room, room.rep() as client:
        assert "Final amount in EUR" in client.get(f"/?item=s{room.suggestion}").text
        wrong = client.post(f"/suggestions/{room.suggestion}/acceptance", data={"amount": "a lot"}, headers=SCRIPT)
        assert "is not an amount" in json.loads(wrong.headers["hx-trigger"])["toast"]["text"]
        client.post(f"/suggestions/{room.suggestion}/acceptance", data={"amount": "44.500,50"})
        assert room.row(Deal, room.deal).amount_minor == 4_450_050
        assert room.all(Event, Event.kind == "deal.won")


def test_another_stage_counts_as_accepted(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        client.post(f"/suggestions/{room.suggestion}/acceptance", data={"stage_id": str(room.stage("Proposal"))})
        assert room.row(Deal, room.deal).stage_id == room.stage("Proposal")
        assert room.row(Suggestion, room.suggestion).state == "accepted"
        assert room.all(StageChange, StageChange.suggestion_id == room.suggestion)


def test_a_dismissal_keeps_its_reason_and_can_be_taken_back(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        path = f"/suggestions/{room.suggestion}/dismissal"
        client.post(path, data={"why": "too early"})
        row = room.row(Suggestion, room.suggestion)
        assert (row.state, row.dismissal) == ("dismissed", "too early")
        client.delete(path, headers=SCRIPT)
        assert room.row(Suggestion, room.suggestion).state == "open"


def test_a_held_mail_shows_its_deals_ranked_with_reasons(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        text = client.get(f"/?item=h{room.held}").text
        assert "Which deal is this?" in text and "About the mill." in text
        assert text.index("takes part in this deal") < text.index("Second mill")


def test_choosing_a_deal_logs_the_mail_there_and_undo_holds_it_again(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        path, mail = f"/held/{room.held}/choice", room.row(Held, room.held).interaction_id
        client.post(path, data={"deal_id": str(room.other)})
        assert [link.deal_id for link in room.all(Link, Link.interaction_id == mail)] == [room.other]
        client.delete(path, headers=SCRIPT)
        assert room.all(Link, Link.interaction_id == mail) == [] and room.row(Interaction, mail).held


def test_a_conversation_is_one_item_and_is_decided_together(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        with house.db.write() as session:
            first = session.get_one(Interaction, session.get_one(Held, room.held).interaction_id)
            account, source = cast.mailbox(session)
            more = {"thread": first.thread_id, "parties": parties(), "subject": "Re: Which of the mills?"}
            second = cast.waiting(session, account, source, [], **more).id or 0
        text = client.get("/").text
        assert "· 2 mails" in text and "2 to decide" in text
        client.post(f"/held/{room.held}/choice", data={"deal_id": "none"})
        assert {room.row(Held, key).state for key in (room.held, second)} == {"none"}
        client.delete(f"/held/{room.held}/choice")
        assert {room.row(Held, key).state for key in (room.held, second)} == {"open"}


def test_later_puts_a_case_at_the_end_for_this_browser_only(house: building.House) -> None:
    with office(house) as room, room.rep() as client, room.rep() as elsewhere:
        first = client.get("/").text
        keys = (f"line-s{room.suggestion}", f"line-h{room.held}")
        ahead, behind = sorted(keys, key=first.index)
        client.post(f"/later/{ahead.removeprefix('line-')}")
        after, other = client.get("/").text, elsewhere.get("/").text
        assert after.index(behind) < after.index(ahead) and ">Later</p>" in after
        assert other.index(ahead) < other.index(behind)
        client.delete(f"/later/{ahead.removeprefix('line-')}")
        assert ">Later</p>" not in client.get("/").text


def test_news_are_told_once_and_nothing_else(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        first = client.get("/review/news", params={"item": f"s{room.suggestion}"})
        version = first.headers["x-version"]
        assert 'id="case"' not in first.text and f"line-h{room.held}" in first.text
        assert client.get("/review/news", params={"v": version}).status_code == 204
        client.post(f"/held/{room.held}/choice", data={"deal_id": "none"})
        assert f"line-h{room.held}" not in client.get("/review/news", params={"v": version}).text


def test_an_empty_queue_tells_the_next_step(house: building.House) -> None:
    with office(house) as room, room.colleague() as client:
        client.post(f"/suggestions/{room.suggestion}/dismissal")
        assert "Nothing waits for you" in client.get("/").text and "Connect a mailbox" in client.get("/").text


def test_a_quote_stands_alone_when_the_text_has_changed() -> None:
    assert quoted("something else", 0, 5, "quote") == ("", "quote", "")


def test_long_surroundings_are_cut_at_words() -> None:
    text = "word " * 100 + "THIS" + " word" * 100
    before, mark, after = quoted(text, 500, 504, "THIS")
    assert mark == "THIS" and before.startswith("… word") and after.endswith("word …") and len(before) < 190
