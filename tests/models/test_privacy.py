"""Who may see how much: every level, override and viewer in one table."""

from __future__ import annotations

import itertools

import pytest

from models.db import Database
from models.privacy import CopyLevel, decide_sight, sights
from tests.models.cast import copied, letter, mailbox, member
from tests.support import COLLEAGUE, OUTSIDER, REP

OWNER, OTHER, ADMIN = 1, 2, 3
RANK = ["none", "metadata", "subject", "full"]
LEVELS = ["full", "subject", "metadata"]


@pytest.mark.parametrize(("level", "override"), list(itertools.product(LEVELS, ["", *LEVELS, "none", "nonsense"])))
@pytest.mark.parametrize("viewer", ["owner", "colleague", "admin", "machine"])
def test_everybody_but_the_owner_sees_what_level_and_override_allow(level: str, override: str, viewer: str) -> None:
    """Field note 9: administrators are no exception; what is no level shows nothing."""
    viewer_id = {"owner": OWNER, "colleague": OTHER, "admin": ADMIN, "machine": None}[viewer]
    sight = decide_sight(viewer_id=viewer_id, held=False, override=override, copies=[CopyLevel(OWNER, level)])
    narrowed = override if override in RANK or not override else "none"
    wanted = "full" if viewer == "owner" else min(level, narrowed or level, key=RANK.index)
    assert sight.level == wanted
    assert (sight.any, sight.subject, sight.text) == (
        wanted != "none",
        wanted in ("subject", "full"),
        wanted == "full",
    )


@pytest.mark.parametrize(
    ("viewer_id", "held", "copies", "level"),
    [
        (OWNER, True, [CopyLevel(OWNER, "full")], "full"),
        (OTHER, True, [CopyLevel(OWNER, "full")], "none"),
        (None, True, [CopyLevel(OWNER, "full")], "none"),
        (OTHER, False, [], "none"),
        (OWNER, False, [], "none"),
        (ADMIN, False, [CopyLevel(OWNER, "metadata"), CopyLevel(OTHER, "subject")], "subject"),
        (OTHER, False, [CopyLevel(OWNER, "full"), CopyLevel(OTHER, "metadata")], "full"),
        (ADMIN, False, [CopyLevel(OWNER, "unheard of")], "none"),
        (ADMIN, False, [CopyLevel(OWNER, "unheard of"), CopyLevel(OTHER, "metadata")], "metadata"),
    ],
)
def test_what_is_held_is_its_owners_alone_and_the_most_generous_copy_counts(
    viewer_id: int | None, held: bool, copies: list[CopyLevel], level: str
) -> None:
    assert decide_sight(viewer_id=viewer_id, held=held, override="", copies=copies).level == level


def test_the_rows_give_the_same_answer(any_db: Database) -> None:
    with any_db.write() as session:
        mine = mailbox(session, REP, visibility="metadata")
        theirs = mailbox(session, COLLEAGUE, visibility="subject")
        shared, alone = letter(session), letter(session, visibility="metadata")
        orphan, held = letter(session), letter(session, held=True)
        copied(session, shared, *mine)
        copied(session, shared, *theirs)
        copied(session, alone, *theirs)
        copied(session, held, *mine)
        rows = [shared, alone, orphan, held]

        def seen(viewer_id: int | None) -> list[str]:
            found = sights(session, rows, viewer_id)
            return [found[row.id or 0].level for row in rows]

        assert seen(mine[0].user_id) == ["full", "metadata", "none", "full"]
        assert seen(theirs[0].user_id) == ["full", "full", "none", "none"]
        assert seen(member(session, OUTSIDER, "admin").id) == ["subject", "metadata", "none", "none"]
        assert seen(None) == ["subject", "metadata", "none", "none"]
        assert sights(session, [], None) == {}
