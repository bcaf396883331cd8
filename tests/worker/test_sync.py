"""A whole mailbox over real HTTP: first sync, what is new, what moved, what was missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

import house as building
import sandbox
from models.account import Source, Walk
from models.event import Event
from models.health import account_health, ledger_sum
from models.interaction import Copy, Interaction
from models.ledger import LedgerEntry
from tests.support import BUYER, COLLEAGUE, OUTSIDER, REP, mail, poll, settle
from tests.worker.scene import (
    RECENT,
    entry,
    kinds,
    on_deals,
    opened,
    outcomes,
    people,
    places_of,
    states,
    subjects,
)

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def _past(days: float) -> float:
    return (datetime.now(UTC) - timedelta(days=days)).timestamp()


def _letter(subject: str, sender: str = BUYER, to: str = REP, days: float = 1, **more: str) -> bytes:
    return mail(
        sender,
        to,
        subject,
        at=datetime.now(UTC) - timedelta(days=days),
        message_id=f"{subject}@x".replace(" ", "."),
        **more,
    )


def test_a_first_sync_accounts_for_everything_and_announces_nothing_old(
    house: building.House, world: sandbox.World
) -> None:
    people(house)
    box = world.mailbox(REP)
    for number in range(5):
        box.deliver(_letter(f"Offer {number}", days=10 + number), at=_past(10 + number), history=False)
        box.deliver(_letter(f"News {number}", OUTSIDER, days=5), at=_past(5), history=False)
    box.deliver(_letter("Old", days=500), at=_past(500), history=False)
    box.deliver(_letter("Older stranger", OUTSIDER, days=500), at=_past(500), history=False)
    work, _ = opened(house, world)
    settle(work)
    with house.db.read() as session:
        assert outcomes(session) == {"logged": 6, "ignored": 5, "unopened": 1}
        assert [deal for _, deal, _ in on_deals(session)] == ["Windmill"] * 5, "not the one from before the deal"
        assert kinds(session)["interaction.logged"] == 0
        found = ledger_sum(session, [session.exec(select(Source.id).where(Source.kind == "mail")).one() or 0])
        assert found.total == len(box.messages)


def test_the_people_who_matter_come_first(house: building.House, world: sandbox.World) -> None:
    """People first: what concerns a contact is on the timeline before anybody else's headers are opened."""
    people(house)
    box = world.mailbox(REP)
    for number in range(30):
        box.deliver(_letter(f"News {number}", OUTSIDER, days=2), at=_past(2), history=False)
    box.deliver(_letter("Offer", days=20), at=_past(20), history=False)
    work, _ = opened(house, world)
    settle(work)
    with house.db.read() as session:
        ids = session.exec(select(LedgerEntry.item_id).order_by(col(LedgerEntry.updated_at), col(LedgerEntry.id))).all()
        assert ids[0] == session.exec(select(Copy.item_id)).one()


def test_new_mail_is_logged_and_announced_at_the_next_look(house: building.House, world: sandbox.World) -> None:
    deal = people(house)
    work, _ = opened(house, world)
    settle(work)
    box = world.mailbox(REP)
    box.deliver(_letter("Fresh", days=0))
    box.deliver(mail(REP, BUYER, "Answer", at=datetime.now(UTC)))
    box.deliver(_letter("Stranger", OUTSIDER, days=0))
    poll(work)
    poll(work)
    with house.db.read() as session:
        assert sorted(subjects(session)) == ["Answer", "Fresh"]
        rows = session.exec(select(Interaction).order_by(col(Interaction.subject))).all()
        assert [row.direction for row in rows] == ["outbound", "inbound"] and all(row.new_text for row in rows)
        events = session.exec(select(Event).where(Event.kind == "interaction.logged")).all()
        assert {event.deal_id for event in events} == {deal} and len(events) == 2
        assert outcomes(session) == {"logged": 2, "ignored": 1}


def test_mail_between_colleagues_leaves_nothing_but_its_id_and_the_word_internal(
    house: building.House, world: sandbox.World
) -> None:
    """Field note 8: subject "salary" stands in no column of any table, on the first sync and later, although nobody
    configured a domain."""
    people(house)
    box = world.mailbox(REP)
    box.deliver(_letter("salary raise", COLLEAGUE, days=3), at=_past(3), history=False)
    work, _ = opened(house, world)
    settle(work)
    box.deliver(
        mail(REP, [COLLEAGUE, "newhire@acme.example"], "my salary", "salary: fivethousand", at=datetime.now(UTC))
    )
    box.deliver(mail("hr@mail.acme.example", REP, "Salary slip", "salary inside", at=datetime.now(UTC)))
    poll(work)
    for word in ("salary", "Salary", "newhire", "fivethousand"):
        assert places_of(house.db, word) == []
    with house.db.read() as session:
        rows = session.exec(select(LedgerEntry).where(LedgerEntry.outcome == "internal")).all()
        assert len(rows) >= 2
        assert {(row.reason, row.interaction_id, row.error) for row in rows} == {("between colleagues", None, "")}
    assert "ledger_hash.hash" not in places_of(house.db, "newhire")


def test_a_folder_move_is_no_deletion_in_either_order(house: building.House, world: sandbox.World) -> None:
    """Field note 3: archived, labelled, back in the inbox, within one look and across two."""
    people(house)
    work, _ = opened(house, world)
    box = world.mailbox(REP)
    one, two = box.deliver(_letter("One")), box.deliver(_letter("Two"))
    settle(work)
    box.label(one, ["Customers"], ["INBOX"])
    box.label(two, [], ["INBOX"])
    box.label(two, ["INBOX"], [])
    poll(work)
    box.label(one, ["INBOX"], ["Customers"])
    poll(work)
    with house.db.read() as session:
        assert states(session) == ["present", "present"]
        assert outcomes(session) == {"logged": 2} and kinds(session)["interaction.logged"] <= 2


def test_trash_spam_and_deletion_mark_the_copy_and_erase_nothing(house: building.House, world: sandbox.World) -> None:
    people(house)
    work, _ = opened(house, world)
    box = world.mailbox(REP)
    ids = [box.deliver(_letter(name)) for name in ("Trashed", "Spammed", "Deleted")]
    settle(work)
    box.trash(ids[0])
    box.spam(ids[1])
    box.delete(ids[2])
    poll(work)
    with house.db.read() as session:
        assert states(session) == ["trash", "spam", "deleted"] or sorted(states(session)) == [
            "deleted",
            "spam",
            "trash",
        ]
        assert sorted(subjects(session)) == ["Deleted", "Spammed", "Trashed"] and len(on_deals(session)) == 3
        assert outcomes(session) == {"logged": 3}
    box.untrash(ids[0])
    box.label(ids[1], ["INBOX"], ["SPAM"])
    box.undelete(ids[2])
    poll(work)
    with house.db.read() as session:
        assert states(session) == ["present"] * 3 and len(subjects(session)) == 3


def test_mail_that_becomes_visible_late_is_there_within_one_look(house: building.House, world: sandbox.World) -> None:
    """Field note 5: rescued from spam, delivered with an old date, undeleted before it was ever read."""
    people(house)
    work, _ = opened(house, world)
    settle(work)
    box = world.mailbox(REP)
    spam = box.deliver(_letter("Rescued"), labels=["SPAM"])
    gone = box.deliver(_letter("Undeleted"))
    box.delete(gone)
    poll(work)
    with house.db.read() as session:
        assert subjects(session) == []
        assert entry(session, spam).outcome == "ignored"
    box.label(spam, ["INBOX"], ["SPAM"])
    box.undelete(gone)
    box.deliver(_letter("Old date", days=200), at=_past(200))
    poll(work)
    with house.db.read() as session:
        assert sorted(subjects(session)) == ["Old date", "Rescued", "Undeleted"]


def test_a_draft_is_left_alone_until_it_is_sent_and_then_counts_once(
    house: building.House, world: sandbox.World
) -> None:
    """Field note 16: a draft that is edited ten times, then sent, is one entry."""
    people(house)
    work, _ = opened(house, world)
    settle(work)
    box = world.mailbox(REP)
    draft = None
    for version in range(10):
        draft = box.draft_save(
            mail(REP, BUYER, "Our offer", f"Version {version}", message_id=f"draft{version}@x"), draft
        )
        if version % 4 == 0:
            poll(work)
    with house.db.read() as session:
        assert subjects(session) == []
    box.draft_send(str(draft))
    poll(work)
    with house.db.read() as session:
        assert subjects(session) == ["Our offer"]
        assert session.exec(select(Interaction.new_text)).one().strip() == "Version 9"


def test_an_expired_cursor_recovers_by_itself(house: building.House, world: sandbox.World) -> None:
    """Field note 4: away for long, with adds, edits and deletions: nothing is lost, nothing told twice, and the next look
    is an ordinary one."""
    people(house)
    work, accounts = opened(house, world)
    box = world.mailbox(REP)
    first, doomed = box.deliver(_letter("First")), box.deliver(_letter("Doomed"))
    settle(work)
    with house.db.read() as session:
        before = kinds(session)
    box.deliver(_letter("Missed"))
    box.label(first, ["Customers"])
    box.delete(doomed)
    box.expire_history()
    poll(work)
    with house.db.read() as session:
        after = kinds(session)
        assert sorted(subjects(session)) == ["Doomed", "First", "Missed"]
        assert after["account.gap_recovered"] == 1
        assert after["interaction.logged"] == before["interaction.logged"] + 1, "the missed one, and none again"
        assert sorted(states(session)) == ["deleted", "present", "present"]
        assert session.exec(select(Source.facts).where(Source.kind == "mail")).one()["gap_recovered_at"]
        assert account_health(session, accounts[0], now=datetime.now(UTC)).state == "ok"
    box.deliver(_letter("Next", days=0))
    poll(work)
    with house.db.read() as session:
        assert "Next" in subjects(session)
        assert kinds(session)["account.gap_recovered"] == 1
        assert session.exec(select(Walk.id).where(col(Walk.done_at).is_(None))).all() == []


def test_arrivals_and_deletions_between_the_pages_of_a_backfill(house: building.House, world: sandbox.World) -> None:
    """Field note 6: the final state is the mailbox."""
    people(house)
    world.knobs.page_size = 3
    box = world.mailbox(REP)
    ids = [box.deliver(_letter(f"Mail {n}", days=2 + n), at=_past(2 + n), history=False) for n in range(12)]
    work, _ = opened(house, world)
    steps = iter(
        [lambda: box.delete(ids[11]), lambda: box.deliver(_letter("Arrived", days=0)), lambda: box.delete(ids[0])]
    )
    real = work.now

    def meddle() -> datetime:
        step = next(steps, None)
        if step:
            step()
        return real()

    work.now = meddle
    settle(work)
    poll(work)
    with house.db.read() as session:
        there = set(session.exec(select(Copy.item_id).where(Copy.state == "present")).all())
        there |= set(session.exec(select(LedgerEntry.item_id).where(LedgerEntry.outcome == "ignored")).all())
        assert set(box.messages) <= there
        assert not there & {ids[0], ids[11]} - set(box.messages)


@pytest.mark.parametrize("holes", [3])
def test_the_audit_finds_every_hole_repairs_it_and_says_so(
    house: building.House, world: sandbox.World, holes: int
) -> None:
    """Field note 7: holes made at random are all found, repaired and reported."""
    import random

    from models.account import request_audit

    people(house)
    box = world.mailbox(REP)
    for number in range(60):
        box.deliver(_letter(f"Mail {number}", days=5), at=_past(5), history=False)
    work, accounts = opened(house, world)
    settle(work)
    lost = random.Random(5).sample(sorted(box.messages), holes)
    with house.db.write() as session:
        for row in session.exec(select(LedgerEntry).where(col(LedgerEntry.item_id).in_(lost))):
            session.delete(row)
        for copy in session.exec(select(Copy).where(col(Copy.item_id).in_(lost))):
            session.delete(copy)
    with house.db.write() as session:
        assert outcomes(session) == {"logged": 60 - holes}
        request_audit(session, accounts[0].id or 0, now=datetime.now(UTC))
    settle(work)
    with house.db.read() as session:
        assert outcomes(session) == {"logged": 60}
        facts = session.exec(select(Source.facts).where(Source.kind == "mail")).one()
        assert (facts["found"], facts["missing"], facts["shrunken"]) == (holes, 0, "")
        assert kinds(session)["interaction.logged"] == 0 and len(subjects(session)) == 60
        assert session.exec(select(Walk.id).where(col(Walk.done_at).is_(None))).all() == []


def test_the_audit_marks_what_left_unnoticed(house: building.House, world: sandbox.World) -> None:
    from models.account import request_audit

    people(house)
    box = world.mailbox(REP)
    ids = [box.deliver(_letter(f"Mail {number}")) for number in range(6)]
    work, accounts = opened(house, world)
    settle(work)
    box.delete(ids[0])
    box.trash(ids[1])
    box.expire_history()
    with house.db.write() as session:
        request_audit(session, accounts[0].id or 0, now=datetime.now(UTC))
    settle(work)
    with house.db.read() as session:
        assert sorted(states(session)) == ["deleted", "present", "present", "present", "present", "trash"]
        assert len(subjects(session)) == 6


def test_a_shrunken_answer_marks_nothing_and_is_told(
    house: building.House, world: sandbox.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Field note 19: an empty list with status 200 is not believed."""
    from connectors.base import Hits
    from connectors.google.gmail import GmailMailbox
    from models.account import request_audit

    people(house)
    box = world.mailbox(REP)
    for number in range(30):
        box.deliver(_letter(f"Mail {number}", days=5), at=_past(5), history=False)
    work, accounts = opened(house, world)
    settle(work)
    with monkeypatch.context() as patch:
        patch.setattr(GmailMailbox, "listing", lambda self, **given: Hits(()))
        with house.db.write() as session:
            request_audit(session, accounts[0].id or 0, now=datetime.now(UTC))
        settle(work)
    with house.db.read() as session:
        assert set(states(session)) == {"present"}
        health = account_health(session, accounts[0], now=datetime.now(UTC))
        assert health.state == "owed" and "far fewer" in health.sentence
    with house.db.write() as session:
        request_audit(session, accounts[0].id or 0, now=datetime.now(UTC))
    settle(work)
    with house.db.read() as session:
        assert account_health(session, accounts[0], now=datetime.now(UTC)).state == "ok"


def test_the_same_mail_in_three_mailboxes_is_one_entry_with_three_copies(
    house: building.House, world: sandbox.World
) -> None:
    """Field note 16."""
    people(house)
    third = "kim@acme.example"
    raw = mail(BUYER, [REP, COLLEAGUE, third], "To all of you", at=YESTERDAY, message_id="all@x")
    work, _ = opened(house, world, REP, COLLEAGUE, third)
    for email in (REP, COLLEAGUE, third):
        world.mailbox(email).deliver(raw)
    settle(work)
    with house.db.read() as session:
        assert subjects(session) == ["To all of you"]
        assert len(states(session)) == 3 and len(on_deals(session)) == 1
        assert outcomes(session) == {"logged": 3}


def test_mail_of_a_metadata_account_is_never_opened(house: building.House, world: sandbox.World) -> None:
    people(house)
    work, accounts = opened(house, world)
    with house.db.write() as session:
        accounts[0].visibility = "metadata"
        session.add(accounts[0])
    world.mailbox(REP).deliver(_letter("Shy"))
    settle(work)
    with house.db.read() as session:
        row = session.exec(select(Interaction)).one()
        assert (row.text, row.new_text, row.snippet) == ("", "", "")


def test_times_on_the_rows_are_when_it_happened(house: building.House, world: sandbox.World) -> None:
    people(house)
    work, _ = opened(house, world)
    world.mailbox(REP).deliver(_letter("Then", days=3), at=_past(3))
    settle(work)
    with house.db.read() as session:
        at = session.exec(select(Interaction.occurred_at)).one()
        assert abs(at - (datetime.now(UTC) - RECENT)) < timedelta(minutes=5)
