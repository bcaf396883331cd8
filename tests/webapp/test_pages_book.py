"""The address book and search."""

from __future__ import annotations

import house as building
from models.contact import Company, CompanyDomain, Contact, ContactAddress
from tests.models import cast
from tests.webapp.office import office


def test_contacts_are_found_by_name_address_and_company(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        for words in ("bea b", "BEA@north", "northwind"):
            assert "Bea Buyer" in client.get("/contacts", params={"q": words}).text, words
        page = client.get("/contacts", params={"q": "nobody%"}).text
        assert "Nobody found" in page and "Bea Buyer" not in page


def test_contacts_come_in_pages(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        with house.db.write() as session:
            for number in range(60):
                cast.buyer(session, f"p{number}@else.example", name=f"Person {number:02}")
        assert "page 1 of 2" in client.get("/contacts").text
        assert "Person 59" in client.get("/contacts?number=2").text


def test_a_contact_is_added_with_addresses_and_company_by_domain(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        page = client.post("/contacts", data={"name": "Ines", "emails": "ines@northwind.example, i@home.example"})
        assert page.status_code == 200 and "<h1>Ines</h1>" in page.text
        made = room.all(Contact, Contact.name == "Ines")[0]
        assert made.company_id == room.company
        assert len(room.all(ContactAddress, ContactAddress.contact_id == made.id)) == 2


def test_a_bad_or_taken_address_is_told_and_the_form_keeps_what_was_typed(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        for emails, sentence in (("nonsense", "is not an e-mail address"), ("bea@northwind.example", "Bea Buyer")):
            page = client.post("/contacts", data={"name": "Ines", "emails": emails, "title": "Buyer in chief"})
            assert page.status_code == 422 and sentence in page.text
            assert "Buyer in chief" in page.text and emails in page.text


def test_a_contact_is_changed(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        path = f"/contacts/{room.contact}"
        form = {"name": "Bea B.", "emails": "bea@northwind.example\nbea@home.example", "never_log": "on"}
        page = client.post(path, data=form | {"company_id": str(room.company)})
        assert "Bea B." in page.text and "never logged" in page.text and "bea@home.example" in page.text
        wrong = client.post(path, data=form | {"emails": "", "title": "Boss"})
        assert wrong.status_code == 422 and "at least one" in wrong.text and 'value="Boss"' in wrong.text


def test_a_contacts_page_shows_what_happened_and_their_deals(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        text = client.get(f"/contacts/{room.contact}").text
        assert "Re: Our quote" in text and "Windmill" in text and "bea@northwind.example" in text
        assert "Which of the mills?" in text


def test_a_company_is_added_and_changed_and_shows_its_mail(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        assert "Re: Our quote" in client.get(f"/companies/{room.company}").text
        client.post("/companies", data={"name": "Kessel", "domains": "kessel.example"})
        made = room.all(Company, Company.name == "Kessel")[0].id
        client.post(f"/companies/{made}", data={"name": "Kessel Optics", "domains": "kessel.example kessel2.example"})
        assert len(room.all(CompanyDomain, CompanyDomain.company_id == made)) == 2
        wrong = client.post("/companies", data={"name": "Free", "domains": "gmail.com"})
        assert wrong.status_code == 422 and "free-mail" in wrong.text and 'value="Free"' in wrong.text
        taken = client.post(f"/companies/{made}", data={"name": "Kessel", "domains": "northwind.example"})
        assert taken.status_code == 422 and "belongs to another company" in taken.text


def test_search_finds_deals_people_companies_and_subjects(house: building.House) -> None:
    with office(house) as room, room.rep() as client:
        assert f"/deals/{room.deal}" in client.get("/search?q=windm").text
        assert f"/contacts/{room.contact}" in client.get("/search?q=bea@north").text
        assert f"/companies/{room.company}" in client.get("/search?q=NORTHWIND.EX").text
        assert f"/interactions/{room.mail}" in client.get("/search?q=our+quote").text
        assert "Nothing found" in client.get("/search?q=%25").text
