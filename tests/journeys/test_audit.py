"""``dealtrail audit``: holes are found, repaired and told; what cannot be compared is not called whole."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from sqlmodel import Session, col, delete, select
from typer.testing import CliRunner

import audit as auditing
import house as building
import main
import sandbox
import sync
from models.account import Account, Source, Walk
from models.audit import plan_audits
from models.errors import NotFound
from models.interaction import Interaction
from models.ledger import LedgerEntry
from tests import support
from tests.support import BUYER, OUTSIDER, REP
from tests.worker.scene import people

LETTERS = 60


@pytest.fixture
def settled(house: building.House, world: sandbox.World) -> sandbox.World:
    """A mailbox of sixty letters, every third from the buyer, synced to the end."""
    people(house)
    for raw in letters():
        world.mailbox(REP).deliver(raw)
    support.connect(house, world, REP)
    sync.sync("", wait=True, house=house)
    return world


def letters() -> list[bytes]:
    return [support.mail(BUYER if number % 3 == 0 else OUTSIDER, REP, f"Letter {number}") for number in range(LETTERS)]


def gmail_ids(world: sandbox.World) -> list[str]:
    return sorted(message.id for message in world.mailbox(REP).messages.values())


@dataclass(frozen=True)
class Settled:
    """A house that has read a mailbox to the end, and the ids that lie there."""

    house: building.House
    ids: list[str]


@pytest.fixture(params=["google", "microsoft"])
def either(
    request: pytest.FixtureRequest,
    make_house: Callable[..., building.House],
    server: sandbox.Server,
    world: sandbox.World,
) -> Settled:
    """The same sixty letters in a Gmail mailbox, or in three folders of an Outlook one."""
    house = make_house(**support.outlook_settings(server))
    people(house)
    if request.param == "google":
        for raw in letters():
            world.mailbox(REP).deliver(raw)
        support.connect(house, world, REP)
        sync.sync("", wait=True, house=house)
        return Settled(house, gmail_ids(world))
    box = world.outlook(REP)
    for number, raw in enumerate(letters()):
        box.deliver(raw, ("inbox", "archive", "Customers/North")[number % 3])
    support.connect_outlook(house, world, REP)
    sync.sync("", wait=True, house=house)
    return Settled(house, sorted(box.items))


def _mail_entries(session: Session) -> list[LedgerEntry]:
    statement = select(LedgerEntry).join(Source, col(Source.id) == LedgerEntry.source_id).where(Source.kind == "mail")
    return list(session.exec(statement).all())


def test_holes_are_found_repaired_and_told(either: Settled) -> None:
    """Field note 7."""
    house, ids = either.house, either.ids
    with house.db.write() as session:
        entries = _mail_entries(session)
        torn = random.Random(3).sample(entries, 3)
        logged = sum(entry.outcome == "logged" for entry in entries)
        for entry in torn:
            if entry.interaction_id:
                session.execute(delete(Interaction).where(col(Interaction.id) == entry.interaction_id))
            session.delete(entry)
    report = auditing.audit(REP, house=house)
    (one,) = report["accounts"]
    (box,) = [source for source in one["sources"] if source["kind"] == "mail"]
    assert report["ok"] and (box["holes_found"], box["missing"]) == (3, 0)
    assert (one["sum"]["in_mailbox"], box["sum"]["logged"]) == (LETTERS, logged)
    assert box["ids_sha256"] == sha256("".join(f"{key}\n" for key in ids).encode()).hexdigest()
    assert sum(sum(counts.values()) for counts in box["months"].values()) == LETTERS


def test_an_account_that_waits_for_its_person_is_not_called_whole(
    house: building.House, settled: sandbox.World
) -> None:
    with house.db.write() as session:
        account = session.exec(select(Account)).one()
        account.refused, account.refused_sentence = "reconnect", "Reconnect it."
        session.add(account)
    report = auditing.audit("", house=house)
    assert not report["ok"] and report["accounts"][0]["sentence"] == "Reconnect it."


def test_it_says_so_when_there_is_nothing_to_audit(house: building.House) -> None:
    with pytest.raises(NotFound, match="Connect one"):
        auditing.audit("nobody@acme.example", house=house)


def test_the_command_ends_with_its_verdict(
    house: building.House, settled: sandbox.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "open_house", lambda: house)
    whole = CliRunner().invoke(main.app, ["audit", "--json"])
    assert whole.exit_code == 0 and json.loads(whole.stdout)["ok"] is True
    shown = CliRunner().invoke(main.app, ["audit", "--account", REP])
    assert shown.exit_code == 0 and f"mail {LETTERS}" in " ".join(shown.stdout.split()) and REP in shown.stdout


def test_every_source_is_audited_once_a_day_and_not_all_at_once(house: building.House, settled: sandbox.World) -> None:
    now, every = datetime.now(UTC), timedelta(hours=24)

    def plan(at: datetime, jitter: float = 0.5) -> int:
        with house.db.write() as session:
            return plan_audits(session, every=every, now=at, jitter=lambda: jitter)

    with house.db.write() as session:
        for source in session.exec(select(Source)):
            source.next_audit_at = None
            session.add(source)
        session.execute(delete(Walk).where(col(Walk.kind) == "audit"))
    planned = plan(now)
    assert planned >= 2 and plan(now) == 0
    with house.db.read() as session:
        assert session.exec(select(Walk).where(Walk.kind == "audit")).all() == []
    assert plan(now + timedelta(hours=24), jitter=1.0) == planned
    with house.db.read() as session:
        assert len(session.exec(select(Walk).where(Walk.kind == "audit")).all()) == planned
        assert {source.next_audit_at for source in session.exec(select(Source).where(Source.kind != "directory"))} == {
            now + timedelta(hours=24 + 30)
        }
