"""Who may see how much of an interaction. One rule, asked by every page, answer, event and quote.

Levels of an account: ``full`` (everything), ``subject`` (no text), ``metadata`` (who and when). The owner of a mailbox that
holds a copy sees all of it; everybody else, administrators included, sees what the most generous of the copies' accounts
allows, narrowed by the interaction's own override. What is held is its owner's alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlmodel import Session, col, select

from models.account import Account
from models.db import chunks
from models.interaction import Copy, Interaction

RANK = {"none": 0, "metadata": 1, "subject": 2, "full": 3}


@dataclass(frozen=True)
class Sight:
    """What one viewer may see of one interaction."""

    level: str

    @property
    def subject(self) -> bool:
        return RANK[self.level] >= RANK["subject"]

    @property
    def text(self) -> bool:
        return self.level == "full"

    @property
    def any(self) -> bool:
        return self.level != "none"


@dataclass(frozen=True)
class CopyLevel:
    """What matters of a copy: whose mailbox, and what that account allows."""

    user_id: int
    visibility: str


def decide_sight(*, viewer_id: int | None, held: bool, override: str, copies: Iterable[CopyLevel]) -> Sight:
    """Pure. ``viewer_id`` None is a machine without a person (an event to the whole team)."""
    copies = list(copies)
    if viewer_id is not None and any(copy.user_id == viewer_id for copy in copies):
        return Sight("full")
    if held or not copies:
        return Sight("none")
    level = max((_known(copy.visibility) for copy in copies), key=RANK.__getitem__)
    if override and RANK[_known(override)] < RANK[level]:
        level = _known(override)
    return Sight(level)


def _known(level: str) -> str:
    """A level; what is none shows nothing."""
    return level if level in RANK else "none"


def sights(session: Session, interactions: Iterable[Interaction], viewer_id: int | None) -> dict[int, Sight]:
    """What a viewer may see of each interaction, by its id."""
    rows = list(interactions)
    copies: dict[int, list[CopyLevel]] = {}
    for part in chunks(row.id for row in rows):
        found = session.exec(
            select(Copy.interaction_id, Account.user_id, Account.visibility)
            .join(Account, col(Account.id) == Copy.account_id)
            .where(col(Copy.interaction_id).in_(part))
        )
        for interaction_id, user_id, visibility in found:
            copies.setdefault(interaction_id, []).append(CopyLevel(user_id, visibility))
    return {
        row.id or 0: decide_sight(
            viewer_id=viewer_id, held=row.held, override=row.visibility, copies=copies.get(row.id or 0, [])
        )
        for row in rows
    }
