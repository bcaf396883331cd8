"""Every page, from the table of routes: a rep sees it, an outsider is sent to the door, nobody sees another's."""

from __future__ import annotations

import json

import httpx

import house as building
from models.account import Account
from models.imports.run import keep_file
from serving import build_app
from tests.support import NOW
from tests.webapp.office import Office, office
from webapp.app import policies

PUBLIC = {"/setup", "/sign-in", "/invite/{token}"}
NEEDS_MORE = {"/connect/{provider}/callback"}


def pages(room: Office) -> list[str]:
    """Every page of a rep's, with the ids of the office."""
    app = build_app(room.house)
    found = sorted(
        path
        for path, methods, who in policies(app)
        if "GET" in methods and not path.startswith("/api/") and path not in PUBLIC | NEEDS_MORE and who == "rep"
    )
    ids = {
        "deal_id": room.deal,
        "contact_id": room.contact,
        "company_id": room.company,
        "account_id": room.account,
        "interaction_id": room.mail,
        "import_id": _import(room),
        "kind": "deals",
    }
    paths = [path.format(**ids) for path in found if "{hook_id}" not in path]
    return [path + "?before=2030-01-01T00:00:00%2B00:00~1" if path.endswith("/earlier") else path for path in paths]


def _import(room: Office) -> int:
    """A spreadsheet of hers that waits."""
    path = room.house.settings.data_dir / "people.csv"
    path.write_text("Name,Email\nNew,new@fresh.example\n", encoding="utf-8")
    owner = room.row(Account, room.account).user_id
    return keep_file(room.house.db, path, kind="contacts", file_name="people.csv", user_id=owner, now=NOW)


def test_a_rep_sees_every_page(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        for path in pages(room):
            answer = client.get(path)
            assert answer.status_code == 200, (path, answer.text[:300])
            whole = not path.endswith(("/news", "/receipt", ".csv")) and "/earlier" not in path
            whole = whole and not path.startswith("/import-templates/")
            assert ("<main" in answer.text and 'name="csrf-token"' in answer.text) == whole, path


def test_an_outsider_sees_none(house: building.House) -> None:
    with office(house) as room, httpx.Client(base_url=room.base) as stranger:
        for path in pages(room):
            answer = stranger.get(path)
            assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in"), path
            script = stranger.get(path, headers={"hx-request": "true"})
            assert script.headers["hx-redirect"] == "/sign-in", path


def test_a_colleague_does_not_see_another_reps_account_or_question(house: building.House) -> None:
    with office(house) as room, room.colleague() as client:
        assert client.get(f"/accounts/{room.account}/ledger").status_code == 404
        assert "rae@acme.example" not in client.get("/accounts").text
        assert client.post(f"/accounts/{room.account}/sync").status_code == 404
        assert client.post(f"/held/{room.held}/choice", data={"deal_id": str(room.deal)}).status_code == 404
        assert "Which of the mills?" not in client.get("/").text


def test_private_mail_shows_a_colleague_who_and_when_only(house: building.House) -> None:
    with office(house, visibility="metadata") as room, room.colleague() as client:
        for path in ("/", f"/?item=s{room.suggestion}", f"/deals/{room.deal}", f"/interactions/{room.mail}"):
            text = client.get(path).text
            assert "good to go" not in text and "Re: Our quote" not in text, path
        assert "Bea Buyer" in client.get(f"/deals/{room.deal}").text
        assert "Re: Our quote" not in client.get("/search?q=quote").text


def test_a_refusal_is_a_page_with_a_way_back(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        for path, status in (("/deals/9999", 404), ("/nowhere", 404), ("/deals/x", 422), ("/?item=s9999", 200)):
            answer = client.get(path)
            assert answer.status_code == status, path
            assert status == 200 or 'href="/"' in answer.text


def test_a_refusal_is_a_toast_for_a_script(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        answer = client.post(f"/deals/{room.deal}/stage", data={}, headers={"hx-request": "true"})
        told = json.loads(answer.headers["hx-trigger"])["toast"]
        assert answer.status_code == 422 and told["text"] == "Choose a stage." and told["bad"]
        assert answer.headers["hx-reswap"] == "none"


def test_pages_of_administrators_are_closed_to_reps(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        assert client.post("/settings/team", data={}).status_code == 403
        assert client.post("/users", data={"email": "x@y.example"}).status_code == 403
        assert "Invite by address" not in client.get("/settings").text


def test_no_page_carries_an_inline_script_or_style(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        for path in pages(room):
            text = client.get(path).text
            assert "<script>" not in text and "<style" not in text and " style=" not in text, path
            assert " onclick=" not in text and "hx-on" not in text, path
