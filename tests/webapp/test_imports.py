"""Import and export through the API and the pages, with a worker that takes what is due."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from selectolax.lexbor import LexborHTMLParser
from sqlmodel import select

import house as building
from models.contact import Contact
from models.deal import Deal
from models.imports.store import Import, ImportFault, ImportPart, claim_due_imports
from models.user import User
from tests.support import COLLEAGUE, REP
from tests.web import api, key_of, member, serving, signed_in
from tests.webapp.office import Office, office
from webapp import security
from worker.importing import run_import

PEOPLE = "Name;E-Mail;Firma\nBea Buyer;bea@northwind.example;Northwind\nNo Body;;Northwind\nCas;cas@x.example, c@@;\n"
DEALS = (
    "Opportunity,Account,Phase,Value,Owner,Closed\n"
    'Mill,Northwind,Won,"1,200.00",Rae,13/02/2026\nWheel,Northwind,Dancing,80,Zed,\nAxle,,lead,,,\n'
)


@pytest.fixture
def base(house: building.House) -> Iterator[str]:
    """The house's address; Rae and her colleague are in it."""
    member(house, REP)
    member(house, COLLEAGUE)
    with serving(house) as address:
        yield address


def send(client: httpx.Client, kind: str, content: str | bytes, name: str = "x.csv") -> httpx.Response:
    """Send a file to the API."""
    return client.post("/imports", data={"kind": kind}, files={"file": (name, content)})


def work(house: building.House) -> None:
    """Take what is due."""
    worker = house.work()
    while True:
        with house.db.write() as session:
            won = claim_due_imports(session, now=worker.now(), seconds=60, limit=5)
        if not won:
            return
        for import_id, owner in won:
            run_import(worker, import_id, owner)


def stored(house: building.House, model: Any) -> list[Any]:
    """Every row of a table."""
    with house.db.read() as session:
        return list(session.exec(select(model)).all())


def test_a_file_is_sent_corrected_tried_and_taken(house: building.House, base: str) -> None:
    with closing(api(base, key_of(house, REP))) as client:
        answer = send(client, "deals", DEALS)
        assert answer.status_code == 201, answer.text
        found = answer.json()
        path = f"/imports/{found['id']}"
        assert {one["name"]: one["field"] for one in found["columns"]} == {
            "Opportunity": "name",
            "Account": "company",
            "Phase": "stage",
            "Value": "amount",
            "Owner": "owner",
            "Closed": "close_date",
        }
        assert found["columns"][0]["examples"] == ["Mill", "Wheel", "Axle"] and found["state"] == "ready"
        assert [(one["value"], one["stage"]) for one in found["stages"]] == [
            ("Won", "Won"),
            ("Dancing", None),
            ("lead", "Lead"),
        ]
        assert [(one["value"], one["user_id"]) for one in found["owners"] if not one["user_id"]] == [("Zed", None)]

        assert client.post(f"{path}/dry-run").status_code == 202
        work(house)
        tried = client.get(path).json()
        assert tried["state"] == "ready" and stored(house, Deal) == []
        assert tried["checked"] == {"total": 3, "created": 2, "updated": 0, "unchanged": 0, "refused": 1, "noted": 1}
        lines = list(csv.reader(io.StringIO(client.get(f"{path}/faults.csv").text.lstrip("\ufeff"))))
        assert lines[1][:2] == ["3", "no"] and "'Dancing'" in lines[1][2] and lines[1][3] == "Wheel"

        stages = client.get("/pipelines").json()["items"][0]["stages"]
        lead = next(one["id"] for one in stages if one["name"] == "Lead")
        rae = next(user.id for user in stored(house, User) if user.email == REP)
        changed = client.patch(path, json={"stages": {"Dancing": lead}, "owners": {"Zed": rae}, "currency": "chf"})
        assert changed.status_code == 200 and changed.json()["checked"] is None

        assert client.post(f"{path}/start").json()["state"] == "running"
        work(house)
        done = client.get(path).json()
        assert (done["state"], done["created"], done["refused"], done["done"], done["total"]) == ("done", 3, 0, 3, 3)
        assert {deal.currency for deal in stored(house, Deal)} == {"CHF"}
        assert stored(house, ImportPart) == [] and done["columns"][0]["examples"] == []
        assert client.post(f"{path}/start").status_code == 409 and client.patch(path, json={}).status_code == 409
        assert [one["id"] for one in client.get("/imports").json()["items"]] == [found["id"]]
        assert client.get("/events").json()["items"] == []


def test_a_mapping_by_hand_is_taken_and_a_wrong_one_is_refused(house: building.House, base: str) -> None:
    with closing(api(base, key_of(house, REP))) as client:
        found = send(client, "contacts", "Who,Where\nBea,bea at x\nCas,cas@x.example\n").json()
        path = f"/imports/{found['id']}"
        assert "e-mail" in found["missing"] and client.post(f"{path}/start").status_code == 422
        for mapping in ({"Nowhere": "name"}, {"Who": "nonsense"}):
            answer = client.patch(path, json={"mapping": mapping})
            assert answer.status_code == 422 and answer.json()["field"] == "mapping"
        assert client.patch(path, json={"stages": {"X": 9999}}).status_code == 422
        fixed = client.patch(path, json={"mapping": {"Where": "emails", "Who": "name"}}).json()
        assert fixed["missing"] is None
        client.post(f"{path}/start")
        work(house)
        assert [person.name for person in stored(house, Contact)] == ["Cas"]


@pytest.mark.parametrize(
    ("kind", "content", "word"),
    [
        ("deals", b"", "empty"),
        ("deals", b"%PDF-1.4", "PDF"),
        ("deals", b"1,2\n3,4\n", "column names"),
        ("deals", b"Deal,Company\n", "no rows"),
        ("people", b"Deal\nMill\n", "deals or contacts"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_leaves_nothing(
    house: building.House, base: str, kind: str, content: bytes, word: str
) -> None:
    with closing(api(base, key_of(house, REP))) as client:
        answer = send(client, kind, content)
        assert answer.status_code == 422 and word in answer.json()["detail"]
        assert client.post("/imports", data={"kind": "deals"}).status_code == 422
        assert stored(house, Import) == [] and stored(house, ImportPart) == []


def test_too_much_is_refused_before_it_is_read(
    house: building.House, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "MOST_BODY", 1_000)
    monkeypatch.setattr("webapp.uploads.MOST_BYTES", 100)
    with closing(api(base, key_of(house, REP))) as client, closing(signed_in(base, REP)) as browser:
        assert "cannot be sent at once" in send(client, "deals", "x" * 2_000).json()["detail"]
        assert "larger than" in send(client, "deals", "x" * 200).json()["detail"]
        assert (
            browser.post("/imports", data={"kind": "deals"}, files={"file": ("x.csv", "x" * 2_000)}).status_code == 422
        )


def test_an_import_is_its_makers_and_the_administrators(house: building.House, base: str) -> None:
    member(house, "ada@acme.example", "admin")
    with closing(api(base, key_of(house, REP))) as client:
        path = f"/imports/{send(client, 'contacts', PEOPLE).json()['id']}"
    with (
        closing(api(base, key_of(house, COLLEAGUE))) as other,
        closing(api(base, key_of(house, "ada@acme.example"))) as ada,
    ):
        for method, more in (
            ("GET", ""),
            ("PATCH", ""),
            ("POST", "/start"),
            ("POST", "/dry-run"),
            ("GET", "/faults.csv"),
        ):
            json = {"announce": True} if method == "PATCH" else None
            assert other.request(method, path + more, json=json).status_code == 404, more
        assert other.delete(path).status_code == 404 and other.get("/imports").json()["items"] == []
        assert ada.get(path).status_code == 200 and len(ada.get("/imports").json()["items"]) == 1


def test_a_deleted_import_stops_and_what_was_taken_stays(house: building.House, base: str) -> None:
    with closing(api(base, key_of(house, REP))) as client:
        path = f"/imports/{send(client, 'contacts', PEOPLE).json()['id']}"
        client.post(f"{path}/start")
        worker = house.work()
        with house.db.write() as session:
            ((import_id, owner),) = claim_due_imports(session, now=worker.now(), seconds=60, limit=5)
        assert client.delete(path).status_code == 204
        run_import(worker, import_id, owner)
        assert stored(house, Contact) == [] and stored(house, ImportFault) == [] and stored(house, ImportPart) == []
        assert client.get(path).status_code == 404


def test_the_page_shows_corrects_tries_and_takes(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        page = client.post("/imports", data={"kind": "deals"}, files={"file": ("Deals <b>.csv", DEALS)})
        assert page.status_code == 200 and "Deals &lt;b&gt;.csv" in page.text and "not known" in page.text
        path = page.url.path
        form = _form(page.text) | {"stages-1": str(room.stage("Proposal"))}
        tried = client.post(path, data=form | {"then": "check"})
        assert "Trying every row" in tried.text and "data-live" in tried.text
        assert client.get(f"{path}/news?v=x").status_code == 200
        work(house)
        news = client.get(f"{path}/news?v=x")
        assert "this is what would happen" in news.text and "3 new" in news.text and "faults.csv" in news.text
        assert client.get(f"{path}/news", params={"v": news.headers["x-version"]}).status_code == 204
        client.post(path, data=form | {"then": "start"})
        work(house)
        done = client.get(path).text
        assert "Done." in done and "0 not taken" in done
        assert {deal.name for deal in room.all(Deal)} >= {"Mill", "Wheel", "Axle"}
        assert "Deals &lt;b&gt;.csv" in client.get("/imports").text
        client.post(f"{path}/removal")
        assert room.all(Import) == []


def test_the_page_says_what_is_wrong_and_keeps_the_import(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        wrong = client.post("/imports", data={"kind": "contacts"}, files={"file": ("x.csv", b"")})
        assert wrong.status_code == 422 and "The file is empty." in wrong.text
        page = client.post("/imports", data={"kind": "contacts"}, files={"file": ("x.csv", PEOPLE)})
        form = _form(page.text) | {"column-1": ""}
        refused = client.post(page.url.path, data=form | {"then": "start"})
        assert refused.status_code == 422 and "No column holds e-mail addresses" in refused.text
        assert [row.state for row in room.all(Import)] == ["ready"]


def test_templates_are_there_for_both(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        for kind in ("deals", "contacts"):
            answer = client.get(f"/import-templates/{kind}")
            assert answer.headers["content-disposition"] == f'attachment; filename="dealtrail-{kind}.csv"'
            assert answer.content.startswith(b"\xef\xbb\xbf")
        assert client.get("/import-templates/cats").status_code == 404
        assert "/export" not in client.get("/imports").text, "for administrators only"


def test_an_administrator_takes_everything_out(house: building.House) -> None:
    with office(house, visibility="metadata") as room:
        member(house, "ada@acme.example", "admin")
        with _ada(room) as ada, room.rep() as rep:
            assert rep.get("/export").status_code == 403
            assert "/export?format=xlsx" in ada.get("/imports").text
            answer = ada.get("/export?format=csv&text=1")
            assert "dealtrail-" in answer.headers["content-disposition"]
            with zipfile.ZipFile(io.BytesIO(answer.content)) as package:
                files = {name: package.read(name).decode("utf-8-sig") for name in package.namelist()}
            assert "Windmill" in files["deals.csv"] and "bea@northwind.example" in files["contacts.csv"]
            assert "bea@northwind.example" in files["timelines.csv"]
            assert not [name for name, text in files.items() if "good to go" in text or "Our quote" in text]
            book = ada.get("/export?format=xlsx")
            assert book.content[:2] == b"PK" and "sheet" in book.headers["content-type"]
            assert ada.get("/export?format=doc").status_code == 422


def _ada(room: Office) -> closing[httpx.Client]:
    return closing(signed_in(room.base, "ada@acme.example"))


def _form(text: str) -> dict[str, str]:
    """What a browser would send of the page's selects, as they stand."""
    found: dict[str, str] = {}
    for box in LexborHTMLParser(text).css("form select"):
        chosen = box.css_first("option[selected]") or box.css_first("option")
        found[str(box.attributes["name"])] = str((chosen.attributes if chosen else {}).get("value") or "")
    return found
