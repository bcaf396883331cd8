"""Changing who sees how much, also of what is logged already: looked at first, then done, then never told again."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import Session, col, select

from models.account import Account, Source, disconnect_account
from models.db import Database
from models.errors import Forbidden, Invalid, NotFound
from models.event import Event, announce, event_row
from models.interaction import Interaction, Link, Thread
from models.levels import (
    Change,
    look_at_account,
    look_at_thread,
    narrowed_threads,
    set_account_level,
    set_row_level,
    set_thread_level,
)
from models.linking import interaction_payload
from models.privacy import sights
from models.suggestion import Signal, Suggestion
from tests.models import cast
from tests.support import COLLEAGUE, NOW, OUTSIDER, REP
from tests.worker.scene import places_of

WORDS: dict[str, Any] = {"subject": "Prices", "text": "walrus", "new_text": "walrus", "snippet": "walrus"}


class Room:
    """Rae's mailbox and her colleague's: a mail of Rae's, one that both hold, all told to the team, and a quote."""

    def __init__(self, session: Session) -> None:
        self.mine, self.source = cast.mailbox(session, REP)
        self.theirs, other = cast.mailbox(session, COLLEAGUE)
        self.thread = cast.conversation(session)
        deal = cast.sale(session)
        more: dict[str, Any] = {"account": self.mine, "source": self.source, "on": deal, "thread": self.thread}
        self.alone, self.shared = (cast.letter(session, **WORDS, **more) for _ in range(2))
        cast.copied(session, self.shared, self.theirs, other)
        for row in (self.alone, self.shared):
            session.add(Signal(interaction_id=row.id or 0, kind="budget", rule="r", quote="walrus"))
            links = list(session.exec(select(Link).where(Link.interaction_id == row.id)))
            told = interaction_payload(session, row, links)
            announce(session, event_row("interaction.logged", f"{row.id}:", told, now=NOW, deal_id=deal.id))
        lead, offer = (cast.stage(session, name).id or 0 for name in ("Lead", "Proposal"))
        evidence = [{"interaction_id": self.alone.id, "rule": "r", "quote": "walrus", "start": 0, "end": 6}]
        hint = Suggestion(
            deal_id=deal.id or 0,
            from_stage_id=lead,
            to_stage_id=offer,
            meaning="proposal",
            deal_version=1,
            rule="r",
            reason="Said so",
            evidence=evidence,
            created_at=NOW,
        )
        session.add(hint)
        session.flush()

    def seen(self, session: Session, viewer: int | None = None) -> list[str]:
        rows = [self.alone, self.shared]
        return [sights(session, rows, viewer)[row.id or 0].level for row in rows]


def told(session: Session) -> list[tuple[Any, Any]]:
    rows = session.exec(select(Event).where(Event.kind == "interaction.logged").order_by(col(Event.id)))
    return [(event.payload["subject"], event.payload["snippet"]) for event in rows]


def figures(change: Change) -> dict[str, int]:
    return {name: number for name, number in change.shown().items() if number}


def test_a_look_counts_and_writes_nothing(any_db: Database) -> None:
    with any_db.write() as session:
        room = Room(session)
        found = look_at_account(session, room.mine, "metadata")
        assert figures(found) == {"concerned": 2, "narrower": 1, "texts": 1, "quotes": 2, "events": 1}
        assert room.mine.visibility == "full" and room.seen(session) == ["full", "full"]
        assert told(session) == [("Prices", "walrus")] * 2
        with pytest.raises(Invalid):
            look_at_account(session, room.mine, "nonsense")
        assert room.mine.visibility == "full"


def test_narrowing_an_account_takes_the_words_out_of_what_was_told(any_db: Database) -> None:
    with any_db.write() as session:
        room = Room(session)
        change = set_account_level(session, room.mine, "subject", now=NOW)
        assert change.narrower == 1 and change.removed == 0
        assert room.seen(session) == ["subject", "full"]
        assert room.seen(session, room.mine.user_id) == ["full", "full"], "one's own stays one's own"
        assert told(session) == [("Prices", None), ("Prices", "walrus")]
        set_account_level(session, room.mine, "metadata", now=NOW)
        assert told(session)[0] == (None, None)
        assert set_account_level(session, room.mine, "full", now=NOW).wider == 1
        assert told(session)[0] == (None, None), "nothing is told anew"


def test_texts_are_removed_for_good_but_for_a_colleagues_copy(any_db: Database) -> None:
    with any_db.write() as session:
        room = Room(session)
        alone, shared = room.alone.id, room.shared.id
        change = set_account_level(session, room.mine, "subject", now=NOW, remove_texts=True)
        assert change.removed == 1
        gone, kept = session.get_one(Interaction, alone), session.get_one(Interaction, shared)
        assert (gone.subject, gone.text, gone.new_text, gone.snippet) == ("Prices", "", "", "")
        assert kept.text == "walrus"
        assert [row.interaction_id for row in session.exec(select(Signal))] == [shared]
        assert session.exec(select(Suggestion)).one().evidence[0]["quote"] == ""
        set_account_level(session, session.get_one(Account, room.theirs.id), "metadata", now=NOW, remove_texts=True)
    assert places_of(any_db, "walrus") == [], "nobody keeps it any more"


def test_a_conversation_is_narrowed_with_what_is_yet_to_come(any_db: Database) -> None:
    with any_db.write() as session:
        room = Room(session)
        user = room.mine.user_id
        found = look_at_thread(session, room.thread, "metadata", user_id=user)
        assert figures(found) == {"concerned": 2, "narrower": 2, "events": 2}
        assert room.seen(session) == ["full", "full"] and session.get_one(Thread, room.thread).visibility == ""
        set_thread_level(session, room.thread, "metadata", user_id=user)
        assert room.seen(session) == ["metadata", "metadata"] and told(session) == [(None, None)] * 2
        assert narrowed_threads(session, [room.thread, 99]) == {room.thread: "metadata"}
        set_thread_level(session, room.thread, "", user_id=user)
        assert room.seen(session) == ["full", "full"] and narrowed_threads(session, [room.thread]) == {}
        set_thread_level(session, room.thread, "subject", user_id=user, earlier=False)
        assert room.seen(session) == ["full", "full"] and narrowed_threads(session, [room.thread])


def test_only_those_in_whose_mailbox_it_lies_narrow_a_conversation(any_db: Database) -> None:
    with any_db.write() as session:
        room = Room(session)
        stranger = cast.member(session, OUTSIDER, "admin").id or 0
        with pytest.raises(Forbidden):
            set_thread_level(session, room.thread, "metadata", user_id=stranger)
        with pytest.raises(NotFound):
            set_thread_level(session, 999, "metadata", user_id=stranger)
        with pytest.raises(Invalid):
            set_thread_level(session, room.thread, "none", user_id=room.mine.user_id)
        set_thread_level(session, room.thread, "metadata", user_id=room.theirs.user_id)
        assert room.seen(session) == ["full", "metadata"], "only what lies in their own mailbox"


def test_one_mail_is_narrowed_by_itself(any_db: Database) -> None:
    with any_db.write() as session:
        room = Room(session)
        assert set_row_level(session, room.alone, "subject").narrower == 1
        assert room.seen(session) == ["subject", "full"] and told(session)[0] == ("Prices", None)
        assert set_row_level(session, room.alone, "").wider == 1


def test_a_removed_account_leaves_the_deals_history_as_it_was(any_db: Database) -> None:
    """Field note 25: what was logged stays, and is seen as before; the grant is gone and nothing runs any more."""
    with any_db.write() as session:
        room = Room(session)
        set_account_level(session, room.mine, "subject", now=NOW)
        before, links = room.seen(session), len(session.exec(select(Link)).all())
        disconnect_account(session, room.mine, now=NOW)
        session.flush()
        assert room.seen(session) == before and len(session.exec(select(Link)).all()) == links == 2
        assert session.get_one(Interaction, room.alone.id).text == "walrus"
        assert room.seen(session, room.mine.user_id) == ["full", "full"]
        account = session.get_one(Account, room.mine.id)
        assert account.sealed_grant == b"" and session.get_one(Source, room.source.id).next_sync_at is None
