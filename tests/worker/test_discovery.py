"""From a mailbox to people to offer: whose headers count, what is never kept, many workers at once, and the sent mail first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

import house as building
import sandbox
from connectors.items import Party
from models.account import Walk
from models.blocks import add_block
from models.contact import Contact
from models.db import Database
from models.discovery import Discovery, offers
from models.event import Event
from models.interaction import Interaction, Link
from models.keyring import Keyring
from models.ledger import LedgerEntry
from models.offering import decide
from models.setting import set_team_setting
from tests import support
from tests.models.cast import buyer, count, firm, mailbox, member, told
from tests.support import COLLEAGUE, NOW, REP
from tests.worker.scene import Desk, note, opened, outcomes, places_of
from worker import walks
from worker.intake import Holding, take

SAM = "sam.stone@stoneworks.example"
WORKERS = 6


def offered(db: Database, email: str = REP) -> list[tuple[str, int, int]]:
    """(address, they wrote, we wrote) of each offer."""
    with db.read() as session:
        rows = offers(session, member(session, email).id or 0, now=NOW)
        return [(row.address, row.inbound, row.outbound) for row in rows]


def known(db: Database, keyring: Keyring) -> Desk:
    """A desk in a house whose address book is not empty."""
    desk = Desk(db, keyring)
    with db.write() as session:
        buyer(session)
    return desk


def sent(to: Any = SAM, **fields: Any) -> Any:
    """A mail of the rep's."""
    return note(REP, to, outbound=True, **fields)


def test_two_way_mail_makes_an_offer_whichever_came_first(any_db: Database, keyring: Keyring) -> None:
    desk = known(any_db, keyring)
    desk.take(note(SAM), note(SAM))
    assert places_of(any_db, "stoneworks") == []
    desk.take(sent())
    assert offered(any_db) == [(SAM, 2, 1)]
    with any_db.read() as session:
        assert [event.payload["seen"] for event in told(session, "contact.discovered")] == [3]
        assert places_of(any_db, "Hello") == []


def test_an_item_that_is_read_twice_counts_once(any_db: Database, keyring: Keyring) -> None:
    desk = known(any_db, keyring)
    letters = [note(SAM), sent()]
    for _ in range(3):
        desk.take(*letters)
    assert offered(any_db) == [(SAM, 1, 1)]


@pytest.mark.parametrize(
    "letter",
    [
        {"machine": "list", "machine_reason": "List-Id: <x>"},
        {"machine": "auto_reply"},
        {"place": "spam"},
        {"place": "trash"},
    ],
)
def test_machines_and_spam_are_nobody(db: Database, keyring: Keyring, letter: dict[str, Any]) -> None:
    """Field note 14: group, bulk and automatic mail creates nobody."""
    desk = known(db, keyring)
    desk.take(note(SAM, **letter), note(SAM, **letter))
    desk.take(sent())
    assert offered(db) == []


def test_our_automatic_answers_and_circulars_are_no_sign(db: Database, keyring: Keyring) -> None:
    desk = known(db, keyring)
    everybody = [f"p{number}@many.example" for number in range(30)]
    desk.take(sent(machine="auto_reply"), sent([*everybody, SAM]), note(SAM), note(everybody[0]))
    with db.read() as session:
        assert count(session, Discovery) == 0


def test_only_what_the_owner_wrote_counts_as_ours(db: Database, keyring: Keyring) -> None:
    desk = known(db, keyring)
    with db.write() as session:
        member(session, COLLEAGUE)
    desk.take(note(COLLEAGUE, [SAM, REP]), note(SAM))
    with db.read() as session:
        assert count(session, Discovery) == 0


@pytest.mark.parametrize(("name", "people"), [("Anna Muster", 1), ("Stoneworks Sales", 0), ("", 0)])
def test_a_tasks_address_counts_where_a_person_signs(db: Database, keyring: Keyring, name: str, people: int) -> None:
    desk = known(db, keyring)
    desk.take(
        note("info@stoneworks.example", parties=(Party("from", "info@stoneworks.example", name), Party("to", REP)))
    )
    desk.take(sent("info@stoneworks.example"))
    assert len(offered(db)) == people


def test_colleagues_contacts_and_the_blocked_leave_no_row(db: Database, keyring: Keyring) -> None:
    desk = known(db, keyring)
    with db.write() as session:
        set_team_setting(session, "internal_domains", ["partner.example"])
        add_block(session, kind="address", value=SAM, user_id=None, now=NOW)
    for other in (SAM, "x@partner.example", "bea@northwind.example"):
        desk.take(sent(other), note(other))
    with db.read() as session:
        assert count(session, Discovery) == 0


def test_an_unknown_person_on_a_customers_mail_is_offered_with_that_company(db: Database, keyring: Keyring) -> None:
    desk = Desk(db, keyring)
    with db.write() as session:
        company = firm(session)
        buyer(session, company_id=company.id)
    desk.take(note("carl@northwind.example"), sent(["bea@northwind.example", "carl@northwind.example"]))
    assert offered(db) == [("carl@northwind.example", 1, 1)]
    with db.read() as session:
        assert told(session, "contact.discovered")[0].payload["company"] == "Northwind"


def test_they_are_called_as_they_call_themselves(db: Database, keyring: Keyring) -> None:
    desk = known(db, keyring)
    desk.take(sent(parties=(Party("from", REP), Party("to", SAM, "stone, s"))))
    desk.take(note(SAM, parties=(Party("from", SAM, "Sam Stone"), Party("to", REP))))
    desk.take(sent(parties=(Party("from", REP), Party("to", SAM, "old sam"))))
    with db.read() as session:
        assert session.exec(select(Discovery.name)).all() == ["Sam Stone"]


def test_many_workers_and_one_unseen_person_make_one_row(any_db: Database, keyring: Keyring) -> None:
    """Field note 22, for discovery: one row, nothing miscounted, on SQLite and Postgres."""
    desk = known(any_db, keyring)
    holdings = []
    with any_db.write() as session:
        for _ in range(WORKERS):
            _, source = mailbox(session)
            source.lease_owner, source.cursor = "desk", "start"
            session.add(source)
            holdings.append(Holding(source.id or 0, "desk", 60))
    start = threading.Barrier(WORKERS)

    def work(holding: Holding) -> None:
        start.wait()
        for _ in range(3):
            take(any_db, keyring, holding, [note(SAM), sent()], now=NOW)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, holdings))
    assert desk.source not in [holding.source_id for holding in holdings]
    assert offered(any_db) == [(SAM, WORKERS * 3, WORKERS * 3)]
    with any_db.read() as session:
        assert count(session, Discovery) == 1
        assert len(told(session, "contact.discovered")) == 1


def test_two_owners_have_a_row_each_and_see_only_their_own(db: Database, keyring: Keyring) -> None:
    desk = known(db, keyring)
    other = Desk(db, keyring, COLLEAGUE)
    desk.take(sent(), note(SAM))
    other.take(note(COLLEAGUE, "tim@else.example", outbound=True), note("tim@else.example", COLLEAGUE))
    assert offered(db) == [(SAM, 1, 1)]
    assert offered(db, COLLEAGUE) == [("tim@else.example", 1, 1)]


def test_a_signature_fills_what_an_accepted_person_lacks_once(db: Database, keyring: Keyring) -> None:
    desk = known(db, keyring)
    desk.take(sent(), note(SAM))
    with db.write() as session:
        row = session.exec(select(Discovery)).one()
        key = decide(session, keyring, [row.id or 0], "contact", user_id=row.user_id, now=NOW).contacts[0]
    text = "Hello Rae,\nyes please.\n\nSam Stone\nHead of Quarry\n+44 20 7946 0018"
    signed = {"text": text, "parties": (Party("from", SAM, "Sam Stone"), Party("to", REP))}
    desk.take(note(SAM, **signed))
    with db.write() as session:
        sam = session.get_one(Contact, key)
        assert (sam.name, sam.title, sam.phone) == ("Sam Stone", "Head of Quarry", "+44 20 7946 0018")
        sam.phone = ""
        session.add(sam)
    desk.take(note(SAM, **signed), note("bea@northwind.example", text=text.replace("Sam Stone", "Bea Buyer")))
    with db.read() as session:
        assert session.get_one(Contact, key).phone == ""
        assert session.exec(select(Contact.title).where(Contact.id != key)).all() == [""]


# ---- the sent mail first, through the real client


def filled(world: sandbox.World, *, sent_mails: int, noise: int) -> None:
    """A mailbox: so many mails to Sam and others, the newest first read; noise that nobody answered."""
    box = world.mailbox(REP)
    now = datetime.now(UTC)
    for number in range(noise):
        box.deliver(support.mail(f"n{number}@noise.example", REP, f"Noise {number}", at=now - timedelta(days=2)))
    for number in range(sent_mails):
        to = SAM if number % 3 == 0 else f"p{number % 7}@people{number % 7}.example"
        raw = support.mail(REP, to, f"Offer {number}", at=now - timedelta(days=1, minutes=number))
        box.deliver(raw, labels=["SENT"])
    box.deliver(support.mail(SAM, REP, "Re: Offer", at=now - timedelta(hours=3)))


def test_with_an_empty_address_book_the_newest_sent_mail_names_people_before_anything_else_is_read(
    house: building.House, world: sandbox.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walks, "SENT_AT_ONCE", 10)
    monkeypatch.setattr(walks, "MOST_SENT", 25)
    filled(world, sent_mails=40, noise=30)
    work, _ = opened(house, world)
    seen: list[tuple[int, int]] = []
    real = walks._finish

    def watch(work: Any, walk: Walk, holding: Any) -> None:
        if walk.kind == "sent":
            with house.db.read() as session:
                seen.append((count(session, LedgerEntry), count(session, Discovery)))
        real(work, walk, holding)

    monkeypatch.setattr(walks, "_finish", watch)
    support.settle(work)
    assert seen == [(25, 8)]
    with house.db.read() as session:
        rows = offers(session, member(session).id or 0, now=building.now())
        assert (rows[0].address, rows[0].inbound, rows[0].outbound) == (SAM, 1, 14)
        assert len(rows) == 8 and all(row.inbound == 0 for row in rows[1:])
        assert count(session, Interaction) == 0
        assert outcomes(session) == {"ignored": 71}
    assert places_of(house.db, "noise.example") == [] and places_of(house.db, "Offer") == []


def test_a_house_that_knows_people_searches_for_those_first(house: building.House, world: sandbox.World) -> None:
    with house.db.write() as session:
        buyer(session)
    filled(world, sent_mails=3, noise=0)
    work, _ = opened(house, world)
    support.settle(work)
    with house.db.read() as session:
        assert set(session.exec(select(Walk.kind)).all()) == {"people", "sweep"}
        rows = offers(session, member(session).id or 0, now=building.now())
        assert [row.address for row in rows] == [SAM]


def test_accepting_brings_their_mail_onto_the_timeline(house: building.House, world: sandbox.World) -> None:
    filled(world, sent_mails=4, noise=2)
    work, _ = opened(house, world)
    support.settle(work)
    with house.db.write() as session:
        row = session.exec(select(Discovery).where(Discovery.address == SAM)).one()
        done = decide(session, house.keyring, [row.id or 0], "deal", user_id=row.user_id, now=building.now())
    support.settle(work)
    with house.db.read() as session:
        logged = session.exec(select(Interaction).order_by(col(Interaction.occurred_at))).all()
        assert [(mail.subject, mail.direction) for mail in logged] == [
            ("Offer 0", "outbound"),
            ("Offer 3", "outbound"),
            ("Re: Offer", "inbound"),
        ]
        assert done.deals and _links(session) == {done.deals[0]: 3}
        events = session.exec(select(Event).where(Event.kind == "contact.discovered")).all()
        assert [(event.payload["address"], event.user_id) for event in events] == [(SAM, row.user_id)]


def _links(session: Session) -> dict[int, int]:
    found: dict[int, int] = {}
    for deal_id in session.exec(select(Link.deal_id)):
        found[deal_id] = found.get(deal_id, 0) + 1
    return found
