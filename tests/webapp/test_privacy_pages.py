"""Erasing, narrowing and looking before changing rules: by page and by API, and only by those who may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
from sqlmodel import select

import house as building
from models.contact import Contact
from models.erasure import Erasure
from models.interaction import Interaction, Thread
from models.setting import team_settings
from models.simulation import SimulatedMove, Simulation, claim_due_simulations
from models.user import User
from tests.support import REP
from tests.web import api, key_of, member, signed_in
from tests.webapp.office import Office, office
from worker.simulate import run_simulation

BOSS = "boss@acme.example"
RULES = {
    "several_deals": "newest",
    "grace_days": "14",
    "reach_back_days": "90",
    "internal_domains": "",
    "internal_addresses": "",
    "free_mail_too": "",
    "free_mail_exceptions": "",
    "no_log_addresses": "nolog@acme.example",
    "no_log_labels": "no-log",
}


@contextmanager
def boss_of(room: Office) -> Iterator[httpx.Client]:
    member(room.house, BOSS, "admin")
    with closing(signed_in(room.base, BOSS)) as client:
        yield client


def compute(house: building.House) -> None:
    """What the worker does about simulations."""
    with house.db.write() as session:
        won = claim_due_simulations(session, now=building.now(), seconds=60, limit=5)
    work = house.work()
    for key, owner in won:
        run_simulation(work, key, owner)
    work.close()


# ---- erasure


def test_an_administrator_looks_confirms_and_gets_a_receipt(house: building.House) -> None:
    with office(house) as room, boss_of(room) as boss:
        assert f"/contacts/{room.contact}/erasure" in boss.get(f"/contacts/{room.contact}").text
        look = boss.get(f"/contacts/{room.contact}/erasure").text
        assert "with them alone, deleted" in look and "Type Bea Buyer to confirm" in look
        wrong = boss.post(f"/contacts/{room.contact}/erasure", data={"confirm": "Bea"})
        assert wrong.status_code == 422 and room.row(Contact, room.contact) is not None
        done = boss.post(f"/contacts/{room.contact}/erasure", data={"confirm": "bea buyer"})
        assert done.url.path == "/erasures" and "just now" in done.text and "Bea" not in done.text.split("<main")[1]
        assert room.row(Contact, room.contact) is None and room.row(Interaction, room.mail) is None
        paper = boss.get(f"/erasures/{room.all(Erasure)[0].id}/receipt")
        assert "attachment" in paper.headers["content-disposition"] and paper.json()["by"] == BOSS
        assert "good to go" not in boss.get(f"/deals/{room.deal}").text, "the deal stays, her words do not"
        again = boss.post("/contacts", data={"name": "Bea", "emails": "bea@northwind.example"})
        assert again.status_code == 422 and "was erased" in again.text
        boss.post(f"/erasures/{room.all(Erasure)[0].id}/lifting")
        assert boss.post("/contacts", data={"name": "Bea", "emails": "bea@northwind.example"}).status_code == 200


def test_the_api_erases_too_and_keeps_the_receipt(house: building.House) -> None:
    with office(house) as room:
        member(house, BOSS, "admin")
        with api(room.base, key_of(house, BOSS)) as boss:
            path = f"/contacts/{room.contact}/erasure"
            would = boss.get(path).json()["would"]
            done = boss.post(path)
            assert done.status_code == 201 and done.json()["counts"] == would
            assert boss.get(path).json() == done.json() == boss.get(f"/erasures/{done.json()['id']}").json()
            assert [one["id"] for one in boss.get("/erasures").json()["items"]] == [done.json()["id"]]
            assert boss.post(path).status_code == 404
            refused = boss.post("/contacts", json={"emails": ["BEA@northwind.example"]})
            assert refused.status_code == 409 and "bea" not in refused.text.lower()


def test_nobody_else_erases(house: building.House) -> None:
    with office(house) as room, room.rep() as rep:
        assert "Erase this person" not in rep.get(f"/contacts/{room.contact}").text
        for path in (f"/contacts/{room.contact}/erasure", "/erasures"):
            assert rep.get(path).status_code == 403
        assert rep.post(f"/contacts/{room.contact}/erasure", data={"confirm": "Bea Buyer"}).status_code == 403
        with api(room.base, key_of(house, REP)) as program:
            assert program.post(f"/contacts/{room.contact}/erasure").status_code == 403
        assert room.row(Contact, room.contact) is not None


# ---- levels


def test_an_account_s_level_is_looked_at_first_and_then_changed_with_its_texts(house: building.House) -> None:
    with office(house) as room, room.rep() as rep, room.colleague() as other:
        path = f"/accounts/{room.account}/visibility"
        look = rep.get(path, params={"visibility": "subject"}).text
        assert "Nothing is changed yet" in look and "Also remove the" in look
        assert room.row(Interaction, room.mail).text and "good to go" in other.get(f"/interactions/{room.mail}").text
        rep.post(path, data={"visibility": "subject", "remove_texts": "on"})
        row = room.row(Interaction, room.mail)
        assert (row.text, row.new_text, row.snippet) == ("", "", "") and row.subject
        assert other.get(path).status_code == 404 and rep.get(path, params={"visibility": "x"}).status_code == 422


def test_the_api_tells_the_same_figures_before_and_after(house: building.House) -> None:
    with office(house) as room, api(room.base, key_of(house, REP)) as rep:
        path = f"/accounts/{room.account}/visibility"
        would = rep.get(path, params={"level": "metadata"}).json()
        assert would["visibility"] == "full" and would["would"]["narrower"] > 0
        done = rep.put(path, json={"visibility": "metadata", "remove_texts": True}).json()["changed"]
        assert done["narrower"] == would["would"]["narrower"] and done["removed"] == would["would"]["texts"] > 0
        member(house, BOSS, "admin")
        with api(room.base, key_of(house, BOSS)) as boss:
            assert boss.put(path, json={"visibility": "full"}).status_code == 403


def test_a_conversation_is_narrowed_from_one_of_its_mails(house: building.House) -> None:
    with office(house) as room, room.rep() as rep, room.colleague() as other:
        with house.db.write() as session:
            mail = session.get_one(Interaction, room.mail)
            thread = Thread(created_at=building.now())
            session.add(thread)
            session.flush()
            mail.thread_id = key = thread.id
            session.add(mail)
        page = rep.get(f"/interactions/{room.mail}").text
        assert "The whole conversation: 1 mail of yours" in page
        assert "What colleagues see of it" not in other.get(f"/interactions/{room.mail}").text
        rep.post(f"/interactions/{room.mail}/visibility", data={"visibility": "metadata", "whole": "on"})
        assert room.row(Thread, key).visibility == room.row(Interaction, room.mail).visibility == "metadata"
        assert "good to go" not in other.get(f"/interactions/{room.mail}").text
        refused = other.post(f"/interactions/{room.mail}/visibility", data={"visibility": "full"})
        assert refused.status_code == 403
        with api(room.base, key_of(house, REP)) as program:
            assert program.get(f"/threads/{key}/visibility").json()["would"]["wider"] == 1
            assert program.put(f"/threads/{key}/visibility", json={"visibility": None}).status_code == 200
            assert program.get("/threads/999/visibility").status_code == 404
        assert "good to go" in other.get(f"/interactions/{room.mail}").text


# ---- rules


def test_rules_are_looked_at_and_then_applied(house: building.House) -> None:
    with office(house) as room, boss_of(room) as boss:
        assert "still takes mail" in boss.get("/settings/matching").text
        page = boss.post("/simulations", data=RULES)
        assert page.url.path.startswith("/simulations/") and "nothing is changed" in page.text
        compute(house)
        look = boss.get(page.url.path).text
        assert "would move" in look and "newest" in look
        assert "would move" in boss.get(f"{page.url.path}/news").text
        with house.db.read() as session:
            assert team_settings(session)["several_deals"] == "ask", "a look changes nothing"
        boss.post(f"{page.url.path}/application")
        compute(house)
        with house.db.read() as session:
            assert team_settings(session)["several_deals"] == "newest"
            assert session.exec(select(Simulation)).one().state == "applied"
        assert "were to move" in boss.get(page.url.path).text


def test_a_held_mail_is_shown_to_its_owner_only_in_a_look(house: building.House) -> None:
    with office(house) as room, boss_of(room) as boss:
        page = boss.post("/simulations", data=RULES)
        key = int(page.url.path.rpartition("/")[2])
        with house.db.write() as session:
            row = session.get_one(Simulation, key)
            row.state, row.next_run_at = "ready", None
            held = session.exec(select(Interaction).where(Interaction.held)).one()
            after = {"outcome": "logged", "reason": "newest deal", "links": [], "candidates": []}
            before = {"deals": [], "held": True, "outcome": "held"}
            session.add(
                SimulatedMove(simulation_id=key, interaction_id=held.id or 0, kind="placed", before=before, after=after)
            )
        text = boss.get(f"/simulations/{key}").text
        assert "private to the owner" in text and held.subject not in text


def test_rules_are_saved_for_what_comes_and_a_wrong_one_stays_typed(house: building.House) -> None:
    with office(house) as room, boss_of(room) as boss:
        assert "from now on" in boss.post("/settings/matching", data=RULES).text
        with house.db.read() as session:
            stored = team_settings(session)
        assert stored["no_log_addresses"] == ["nolog@acme.example"] and stored["several_deals"] == "newest"
        for path in ("/settings/matching", "/simulations"):
            wrong = boss.post(path, data=RULES | {"grace_days": "many", "internal_domains": "acme.test"})
            assert wrong.status_code == 422 and "not a whole number" in wrong.text and "acme.test" in wrong.text
        same = boss.post("/simulations", data=RULES)
        assert same.status_code == 422 and "Nothing would change" in same.text


def test_a_rep_has_a_way_of_their_own_and_changes_no_rule(house: building.House) -> None:
    with office(house) as room, room.rep() as rep:
        assert "An administrator changes these" in rep.get("/settings/matching").text
        rep.post("/settings/mine", data={"several_deals": "newest"})
        assert next(user for user in room.all(User) if user.email == REP).several_deals == "newest"
        assert rep.post("/settings/mine", data={"several_deals": "x"}).status_code == 422
        for path in ("/settings/matching", "/simulations"):
            assert rep.post(path, data=RULES).status_code == 403


def test_managers_block_for_the_team_by_page_as_by_api(house: building.House) -> None:
    with office(house) as room:
        member(house, BOSS, "manager")
        with closing(signed_in(room.base, BOSS)) as manager:
            manager.post("/blocks", data={"kind": "domain", "value": "rival.example", "whose": "team"})
            assert "rival.example" in manager.get("/settings").text


def test_a_look_by_the_api(house: building.House) -> None:
    with office(house) as room:
        member(house, BOSS, "admin")
        with api(room.base, key_of(house, BOSS)) as boss:
            made = boss.post("/simulations", json={"settings": {"several_deals": "newest"}})
            assert made.status_code == 201 and made.json()["state"] == "computing"
            path = f"/simulations/{made.json()['id']}"
            assert boss.post(f"{path}/application").status_code == 409
            compute(house)
            assert boss.get(path).json()["state"] == "ready" and "items" in boss.get(f"{path}/moves").json()
            assert boss.delete(path).status_code == 204 and boss.get(path).json()["state"] == "cancelled"
            assert boss.post("/simulations", json={"settings": {"team_name": "x"}}).status_code == 422
