"""The demonstration as a process: two providers, one timeline, and something to see on every page."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from sqlmodel import Session, col, select

import house as building
from models.account import Account, Source
from models.db import Database
from models.discovery import offers
from models.interaction import Copy, Interaction, Link
from models.user import User

SHARED = "The first Monday at"


def providers(session: Session, interaction_id: int) -> set[str]:
    """Where copies of it were read."""
    statement = select(Account.provider).join(Source).join(Copy).where(Copy.interaction_id == interaction_id)
    return set(session.exec(statement).all())


def test_a_rep_at_google_and_one_in_outlook_share_one_conversation_and_one_meeting(
    dealtrail: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = dealtrail("demo", "--once")
    said, _ = process.communicate(timeout=280)
    assert process.returncode == 0, said
    assert "A pretend Google and Microsoft are running at http://127.0.0.1:" in said
    assert "2 mailboxes at Google and 1 mailbox in Outlook." in said
    assert "3 reps are connected." in said
    db = Database(f"sqlite:///{tmp_path / 'data' / 'demo' / 'dealtrail.db'}")
    try:
        with db.read() as session:
            shared = session.exec(select(Interaction).where(col(Interaction.subject).contains(SHARED))).all()
            assert sorted(one.kind for one in shared) == ["email"] * 5 + ["meeting"]
            assert {frozenset(providers(session, one.id or 0)) for one in shared} == {
                frozenset(("google", "microsoft"))
            }
            assert len({one.thread_id for one in shared if one.kind == "email"}) == 1
            on = select(Link.deal_id).where(col(Link.interaction_id).in_([one.id for one in shared]))
            assert len(set(session.exec(on).all())) == 1
            for user in session.exec(select(User)).all():
                found = offers(session, user.id or 0, now=building.now())
                assert 2 <= len(found) <= 4, user.email
                assert all(one.inbound and one.outbound for one in found)
    finally:
        db.close()
