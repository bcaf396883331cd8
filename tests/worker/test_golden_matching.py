"""Every row of ``golden_matching.md``: matching decides as the page says, on a world that the real loader reads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, col, select

from connectors.items import Body
from models.db import Database
from models.interaction import Copy, Interaction, ThreadKey
from models.keyring import Keyring
from models.seed import seed
from tests.support import NOW
from tests.worker import golden
from worker import book as books
from worker import match, view
from worker.book import stage_names
from worker.intake import Holding, take
from worker.placement import LinkTo

HELLO = Body("Hello.", "Hello.")
KEYS = Keyring(["a-key-for-tests-long-enough"])
PAGE = golden.tables()
SITUATIONS = [
    pytest.param(row, id=f"{heading}: {row['situation']}")
    for heading, rows in PAGE.items()
    for row in rows
    if "the item" in row
]
COPIES = [row for rows in PAGE.values() for row in rows if "first copy" in row]


def _opened(template: Path, folder: Path) -> tuple[Database, golden.World]:
    path = folder / "dealtrail.db"
    shutil.copyfile(template, path)
    db = Database(f"sqlite:///{path}")
    with db.write() as session:
        seed(session, KEYS)
        world = golden.build(session, PAGE)
        session.expunge_all()
    return db, world


@pytest.fixture(scope="module")
def scene(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, golden.World]]:
    """One database for all situations: built once, then only read."""
    db, world = _opened(sqlite_template, tmp_path_factory.mktemp("golden"))
    with db.read() as session:
        yield session, world
    db.close()


@pytest.fixture(scope="module")
def books_of_two(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, golden.World]]:
    """One for all copies; each row has its own days and ids in it."""
    db, world = _opened(sqlite_template, tmp_path_factory.mktemp("copies"))
    yield db, world
    db.close()


def test_the_page_is_whole() -> None:
    names = [param.id for param in SITUATIONS]
    assert len(SITUATIONS) >= 130 and len(set(names)) == len(names)


@pytest.mark.parametrize("row", SITUATIONS)
def test_it_decides_as_the_page_says(scene: tuple[Session, golden.World], row: golden.Row) -> None:
    session, world = scene
    item = golden.fields(row["the item"])
    who = item.get("Mailbox", "Rae")
    seen = (
        view.of_meeting(golden.meeting(item))
        if "Organizer" in item
        else view.of_message(golden.message(item), world.sources[who])
    )
    book = books.load(session, [seen], world.accounts[who])
    book.settings["several_deals"] = item.get("Several deals", "ask")
    decision = match.decide(seen, book)
    assert _told(decision, session, world, row["what becomes of it"]) == row["what becomes of it"]
    reasons = [
        decision.reason,
        *(reason for link in (*decision.links, *decision.candidates) for reason in link.reasons),
    ]
    assert any(row["because"] in reason for reason in reasons), reasons


def _told(decision: match.Decision, session: Session, world: golden.World, wanted: str) -> str:
    """A decision in the page's words; direction and stages only where the page names them."""
    way = {"outbound": "sent: ", "inbound": "received: "}[decision.direction]
    way = way if wanted.startswith(("sent: ", "received: ")) else ""
    stages = stage_names(session)

    def name(link: LinkTo) -> str:
        stage = f" in {stages[link.stage_id or 0].name}" if " in " in wanted else ""
        return f"{world.names[link.deal_id]}{stage} ({link.rule})"

    if decision.outcome in ("ignored", "internal"):
        assert not decision.links and not decision.candidates and not decision.contacts
        return decision.outcome
    if decision.outcome == "held":
        assert not decision.links
        asked = ", ".join(world.names[link.deal_id] for link in decision.candidates if not link.sure)
        sure = ", ".join(world.names[link.deal_id] for link in decision.candidates if link.sure)
        return f"{way}ask: {asked}" + (f"; sure: {sure}" if sure else "")
    return way + (", ".join(name(link) for link in decision.links) or f"no deal ({decision.rule})")


@pytest.mark.parametrize(("number", "row"), list(enumerate(COPIES)), ids=[row["situation"] for row in COPIES])
def test_copies_are_one_entry_or_two(books_of_two: tuple[Database, golden.World], number: int, row: golden.Row) -> None:
    """Field note 16, in both orders."""
    db, world = books_of_two
    for turn, names in enumerate([("first copy", "second copy"), ("second copy", "first copy")]):
        day, ids = 2 * number + turn, set()
        for name in names:
            item = {"From": "bea@northwind.example", "To": "rae@acme.example, col@acme.example"}
            item |= golden.fields(row[name].replace("@x>", f"@x{day}>").replace("@y>", f"@y{day}>"))
            who = item.get("Mailbox", "Rae" if name == "first copy" else "Col")
            mail = golden.message(item, f"{day} {name}", later=timedelta(days=10 * day))
            take(db, KEYS, Holding(world.sources[who], "golden", 60), [replace(mail, body=HELLO)], now=NOW)
            ids |= {f"m:{mail.message_id}"} - {"m:"}
        with db.read() as session:
            copies = select(Copy.interaction_id).where(col(Copy.item_id).startswith(f"{day} "))
            entries = session.exec(copies).all()
            assert (len(entries), len(set(entries))) == (2, int(row["entries"]))
            threads = session.exec(select(Interaction.thread_id).where(col(Interaction.id).in_(entries))).all()
            known = session.exec(select(ThreadKey.thread_id).where(col(ThreadKey.key).in_(ids))).all()
            assert set(known) <= set(threads) and len(known) == len(ids), "an answer to either copy finds its thread"
