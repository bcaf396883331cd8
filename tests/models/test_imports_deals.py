"""Rows of deals: found again, with their dates, stages, owners, amounts and people; in any spelling of the same file."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from models.contact import Company, Contact
from models.db import Database
from models.deal import Deal, DealContact, StageChange
from models.imports.run import owner_values, stage_values
from models.imports.store import Import
from models.keyring import Keyring
from models.pipeline import add_pipeline
from tests.models import cast
from tests.models.imported import Desk, counts, text_of
from tests.support import NOW, REP

HEADER = ["Deal ID", "Deal name", "Company", "Stage", "Value", "Created", "Close date", "Owner"]
ROWS = [
    ["A1", "Café Mühle", "Northwind", "Proposal", "1234.50", "2024-01-31", "2024-12-24", "Rae"],
    ["A2", "Wheel", "Northwind", "Closed Won", "250000", "2024-02-01", "2024-03-13", REP],
    ["A3", "Axle", "Kessel", "Closed Lost", "99.90", "2024-02-02", "2024-03-01", "Nobody Known"],
    ["A4", "Gear", "", "Engaging", "", "2024-02-03", "", ""],
]


@pytest.fixture
def desk(any_db: Database, keyring: Keyring, tmp_path: Path) -> Desk:
    """On SQLite and on Postgres."""
    with any_db.write() as session:
        cast.member(session)
    return Desk(any_db, keyring, tmp_path)


def stage_names(desk: Desk) -> list[str]:
    with desk.db.read() as session:
        return [session.get_one(type(cast.stage(session, "Lead")), deal.stage_id).name for deal in desk.all(Deal)]


def test_deals_come_with_everything_and_closed_ones_keep_their_dates(desk: Desk) -> None:
    row = desk.take("deals", [HEADER, *ROWS])
    assert counts(row) == (4, 0, 0, 0)
    mill, wheel, axle, gear = desk.all(Deal)
    assert stage_names(desk) == ["Proposal", "Won", "Lost", "Contacted"]
    assert (mill.amount_minor, mill.currency, mill.external_id) == (123_450, "EUR", "A1")
    assert (mill.expected_close, mill.closed_at) == (date(2024, 12, 24), None)
    assert (wheel.expected_close, wheel.closed_at) == (None, datetime(2024, 3, 13, tzinfo=UTC))
    assert wheel.created_at == datetime(2024, 2, 1, tzinfo=UTC) and wheel.stage_since == wheel.closed_at
    assert mill.owner_id == wheel.owner_id is not None and axle.owner_id is None
    assert gear.amount_minor is None and gear.company_id is None
    history = [(one.at.date(), one.source) for one in desk.all(StageChange) if one.deal_id == wheel.id]
    assert history == [(date(2024, 2, 1), "import"), (date(2024, 3, 13), "import")]
    assert [(number, taken) for number, taken, _ in desk.said(row)] == [(5, True)]
    assert wheel.suggest_at is None and mill.suggest_at == NOW


def test_nothing_is_announced_unless_asked(desk: Desk) -> None:
    desk.take("deals", [HEADER, *ROWS])
    with desk.db.read() as session:
        assert cast.told(session) == []
    desk.take("deals", [HEADER, ["B1", *ROWS[1][1:]]], announce=True)
    with desk.db.read() as session:
        assert [event.kind for event in cast.told(session)] == ["deal.created", "deal.stage_changed", "deal.won"]


VARIANTS = {
    "cp1252, semicolons, day first, decimal comma": (
        "cp1252",
        ";",
        "%d.%m.%Y",
        lambda v: f"€ {v:,.2f}".translate(str.maketrans(",.", ".,")),
    ),
    "utf-8 with a mark, month first, thousands": (
        "utf-8-sig",
        ",",
        "%m/%d/%Y",
        lambda v: f"${v:,.2f}".replace("$", "EUR "),
    ),
    "utf-16, tabs, times": ("utf-16", "\t", "%d-%m-%Y 19:58", lambda v: f"{v:,.2f}".replace(",", "'") + " EUR"),
    "bars, months in words": (
        "utf-8",
        "|",
        "%d %b %Y",
        lambda v: f"{v:,.2f} €".replace(",", "\u202f").replace(".", ","),
    ),
}


def spelled(name: str) -> bytes:
    """The same rows as another program writes them."""
    encoding, separator, day, money = VARIANTS[name]
    rows = [
        [
            *row[:4],
            money(float(row[4])) if row[4] else "",
            *(date.fromisoformat(one).strftime(day) if one else "" for one in row[5:7]),
            row[7],
        ]
        for row in ROWS
    ]
    return text_of([HEADER, *rows], separator).replace("\u202f", "\u00a0").encode(encoding)


@pytest.mark.parametrize("name", VARIANTS)
def test_another_spelling_makes_the_same_deals_and_finds_them_again(desk: Desk, name: str) -> None:
    assert counts(desk.take("deals", spelled(name))) == (4, 0, 0, 0)
    found = [(d.name, d.amount_minor, d.created_at.date(), d.closed_at and d.closed_at.date()) for d in desk.all(Deal)]
    assert found == [
        ("Café Mühle", 123_450, date(2024, 1, 31), None),
        ("Wheel", 25_000_000, date(2024, 2, 1), date(2024, 3, 13)),
        ("Axle", 9_990, date(2024, 2, 2), date(2024, 3, 1)),
        ("Gear", None, date(2024, 2, 3), None),
    ]
    assert counts(desk.take("deals", [HEADER, *ROWS])) == (0, 0, 4, 0)


def test_a_second_import_updates_by_id_then_by_name_and_company(desk: Desk) -> None:
    desk.take("deals", [HEADER, *ROWS])
    changed = ["A1", "Grand mill", "Northwind", "Won", "2000", "2024-01-31", "2024-05-05", "Rae"]
    assert counts(desk.take("deals", [HEADER, changed])) == (0, 1, 0, 0)
    mill = desk.all(Deal)[0]
    assert (mill.name, mill.amount_minor) == ("Grand mill", 200_000)
    assert mill.closed_at is not None and mill.closed_at.date() == date(2024, 5, 5)
    named = [["Deal", "Company", "Amount"], ["Wheel", "northwind", "7"], ["Wheel", "Elsewhere", "8"]]
    assert counts(desk.take("deals", named)) == (1, 1, 0, 0)
    assert [deal.amount_minor for deal in desk.all(Deal) if deal.name == "Wheel"] == [700, 800]


def test_two_deals_of_one_name_are_not_guessed_at(desk: Desk) -> None:
    with desk.db.write() as session:
        firm = cast.firm(session)
        for _ in range(2):
            cast.sale(session, "Twin", company_id=firm.id)
    row = desk.take("deals", [["Deal", "Company", "Amount"], ["Twin", "Northwind", "5"]])
    assert counts(row) == (0, 0, 0, 1) and "2 deals are called 'Twin'" in desk.said(row)[0][2]


def test_unknown_stages_are_told_by_value_and_can_be_said(desk: Desk) -> None:
    rows = [["Deal", "Stage"], ["A", "Dancing"], ["B", "Dancing"], ["C", "proposal"], ["D", "Negotiation"]]
    import_id = desk.hand_in("deals", rows)
    with desk.db.read() as session:
        found = stage_values(session, session.get_one(Import, import_id))
        proposal = cast.stage(session, "Proposal").id or 0
    assert [(one.value, one.rows, one.id, one.sure) for one in found] == [
        ("Dancing", 2, None, False),
        ("proposal", 1, proposal, True),
        ("Negotiation", 1, proposal, False),
    ]
    refused = desk.take("deals", rows)
    assert counts(refused) == (2, 0, 0, 2) and "'Dancing'" in desk.said(refused)[0][2]
    assert counts(desk.take("deals", rows, stages={"Dancing": proposal})) == (2, 0, 2, 0)


def test_unknown_owners_leave_the_deal_without_one_and_can_be_said(desk: Desk) -> None:
    rows = [["Deal", "Owner"], ["A", "Rae"], ["B", f"Rae Rep <{REP.upper()}>"], ["C", "Zed"]]
    import_id = desk.hand_in("deals", rows)
    with desk.db.read() as session:
        rae = cast.member(session).id
        found = owner_values(session, session.get_one(Import, import_id))
    assert [(one.value, one.id) for one in found] == [("Rae", rae), (f"Rae Rep <{REP.upper()}>", rae), ("Zed", None)]
    desk.take("deals", rows)
    assert [deal.owner_id for deal in desk.all(Deal)] == [rae, rae, None]
    assert counts(desk.take("deals", rows, owners={"Zed": rae})) == (0, 1, 2, 0)
    assert counts(desk.take("deals", rows)) == (0, 0, 3, 0), "what is unknown takes no owner away"


def test_pipedrive_tells_the_decision_apart_from_the_stage(desk: Desk) -> None:
    header = [
        "Deal - Title",
        "Deal - Stage",
        "Deal - Status",
        "Deal - Won time",
        "Deal - Lost time",
        "Deal - Lost reason",
        "Deal - Deal created",
    ]
    rows = [
        ["A", "Proposal Made", "Won", "2024-05-01 10:00:00", "", "", "2024-04-01"],
        ["B", "Qualified", "Lost", "", "2024-05-02", "too dear", "2024-04-01"],
        ["C", "Qualified", "Open", "", "", "", "2024-04-01"],
    ]
    desk.take("deals", [header, *rows])
    assert stage_names(desk) == ["Won", "Lost", "Qualified"]
    won, lost, _ = desk.all(Deal)
    assert won.closed_at == datetime(2024, 5, 1, 10, tzinfo=UTC) and lost.close_reason == "too dear"
    with desk.db.read() as session:
        was = [session.get_one(StageChange, one.id) for one in desk.all(StageChange) if one.deal_id == won.id]
        assert [one.to_stage_id for one in was] == [cast.stage(session, "Proposal").id, won.stage_id]


def test_people_take_part_by_address_or_by_an_exact_name_at_the_company(desk: Desk) -> None:
    with desk.db.write() as session:
        firm = cast.firm(session)
        known = cast.buyer(session, company_id=firm.id).id
    header = ["Deal", "Company", "Contact person", "Contact email"]
    rows = [
        ["A", "Northwind", "Bea Buyer", ""],
        ["B", "Northwind", "Ann New", "ann@northwind.example"],
        ["C", "Northwind", "Who Else", ""],
    ]
    row = desk.take("deals", [header, *rows])
    ann = next(person for person in desk.all(Contact) if person.name == "Ann New")
    with desk.db.read() as session:
        parts = {(p.deal_id, p.contact_id) for p in session.exec(cast.select(DealContact)).all()}
    a, b, _ = desk.all(Deal)
    assert parts == {(a.id, known), (b.id, ann.id)} and ann.company_id == firm.id
    assert [(number, "'Who Else'" in reason) for number, _, reason in desk.said(row)] == [(4, True)]
    assert counts(desk.take("deals", [header, *rows])) == (0, 0, 3, 0)


def test_dirt_is_told_row_by_row(desk: Desk) -> None:
    rows = [
        ["1", "", "", "", "", "", "", ""],
        ["2", "A", "", "Lead", "dear", "", "", ""],
        ["3", "B", "", "Lead", "-5", "", "", ""],
        ["4", "C", "", "Lead", "5", "someday", "", ""],
        ["5", "D", "", "Won", "5", "2024-05-05", "2024-04-04", ""],
        ["6", "E", "", "Won", "5", "2024-05-05", "", ""],
    ]
    row = desk.take("deals", [HEADER, *rows])
    said = {number: (taken, reason) for number, taken, reason in desk.said(row)}
    assert counts(row) == (3, 0, 0, 3)
    for number, word in ((3, "Value: 'dear'"), (4, "below nought"), (5, "Created: 'someday'")):
        assert not said[number][0] and word in said[number][1]
    assert "before it was created" in said[6][1] and "without a closing date; 2024-05-05" in said[7][1]
    names = {deal.name: deal for deal in desk.all(Deal)}
    assert names["1"].external_id == "1", "a deal without a name goes by its id"
    assert names["D"].created_at == names["D"].closed_at


def test_currencies_come_from_their_column_the_cell_or_the_team(desk: Desk) -> None:
    rows = [
        ["Deal", "Amount", "Currency"],
        ["A", "5", "usd"],
        ["B", "£5", ""],
        ["C", "5", "US Dollar (USD)"],
        ["D", "5", "bananas!"],
    ]
    row = desk.take("deals", rows, currency="CHF")
    assert [deal.currency for deal in desk.all(Deal)] == ["USD", "GBP", "USD"]
    assert "'bananas!'" in desk.said(row)[0][2]
    desk.take("deals", [["Deal", "Amount"], ["E", "5"]], currency="CHF")
    assert desk.all(Deal)[-1].currency == "CHF"


def test_another_pipeline_is_found_by_its_name(desk: Desk) -> None:
    with desk.db.write() as session:
        other = add_pipeline(session, "Partners", [("Met", "contacted", 5), ("Signed", "won", 0)]).id
    rows = [
        ["Deal", "Pipeline", "Stage"],
        ["A", "partners", "Met"],
        ["B", "Partners", "closed won"],
        ["C", "No such", "Lead"],
    ]
    row = desk.take("deals", rows)
    assert [deal.pipeline_id == other for deal in desk.all(Deal)] == [True, True, False]
    assert stage_names(desk) == ["Met", "Signed", "Lead"] and "'No such'" in desk.said(row)[-1][2]
    lost = desk.take("deals", [["Deal", "Pipeline", "Status"], ["D", "Partners", "lost"]])
    assert "has no stage for lost" in desk.said(lost)[0][2]


def test_companies_are_made_once(desk: Desk) -> None:
    desk.take("deals", [["Deal", "Company"], ["A", "Kessel"], ["B", "KESSEL"], ["C", "kessel "]])
    assert [firm.name for firm in desk.all(Company)] == ["Kessel"]
