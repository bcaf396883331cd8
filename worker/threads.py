"""Which conversation an item belongs to.

Of the keys an item carries the nearest known one decides: its own Message-ID (somebody replied to it before we saw it),
then what it replies to, then the provider's grouping. When its own id and its parent are known in two threads, the two
are one; the older stays. (RFC 5322 3.6.4; a simpler cousin of the well-known JWZ algorithm, which needs all mail at hand.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from models.db import insert_ids, insert_new, table
from models.interaction import Interaction, Thread, ThreadKey, known_keys
from models.privacy import RANK
from worker.view import View


def assign(session: Session, views: Sequence[View], known: Mapping[str, int], *, now: datetime) -> dict[str, int]:
    """The thread of each view, by item id. Threads are made and merged as needed; queries: three, plus two a merge."""
    local = _Joined()
    place: dict[str, str] = {key: f"t{thread_id}" for key, thread_id in known.items()}
    fresh: dict[str, str] = {}
    names: dict[str, str] = {}
    for view in views:
        name = _name(view, place, local)
        names[view.item_id] = name
        for key in (view.own_key, *view.thread_keys):
            if key and key not in place:
                place[key] = fresh[key] = name
    ids = _make(session, list(names.values()), local, now)
    _merge(session, {int(gone[1:]): ids[local.root(gone)] for gone in local.merged() if gone.startswith("t")})
    rows = [{"key": key, "thread_id": ids[local.root(name)]} for key, name in fresh.items()]
    insert_new(session, ThreadKey, rows)
    taken = _taken(session, rows)
    _merge(session, taken)
    found = {item_id: ids[local.root(name)] for item_id, name in names.items()}
    return {item_id: taken.get(thread_id, thread_id) for item_id, thread_id in found.items()}


def _taken(session: Session, rows: Sequence[Mapping[str, int | str]]) -> dict[int, int]:
    """Threads of ours whose keys another worker has stored first, and the thread that these lead to."""
    mine = {str(row["key"]): int(row["thread_id"]) for row in rows}
    lost: dict[int, int] = {}
    for key, thread_id in known_keys(session, mine):
        if thread_id != mine[key]:
            lost[mine[key]] = min(thread_id, lost.get(mine[key], thread_id))
    return lost


def _name(view: View, place: Mapping[str, str], local: _Joined) -> str:
    """Where a view stands: ``t<id>`` for a thread of the database, ``n<item>`` for one to be made."""
    own = place.get(view.own_key, "") if view.own_key else ""
    near = next((place[key] for key in view.thread_keys if key in place), "")
    if own and near:
        local.join(own, near)
    return own or near or f"n{view.item_id}"


def _make(session: Session, names: Sequence[str], local: _Joined, now: datetime) -> dict[str, int]:
    roots = list(dict.fromkeys(local.root(name) for name in names))
    ids = {root: int(root[1:]) for root in roots if root.startswith("t")}
    new = [root for root in roots if root not in ids]
    ids.update(zip(new, insert_ids(session, Thread, [{"created_at": now} for _ in new]), strict=True))
    return ids


def _merge(session: Session, merges: Mapping[int, int]) -> None:
    keys, interactions = table(ThreadKey), table(Interaction)
    for gone, kept in merges.items():
        _keep_narrower(session, gone, kept)
        session.connection().execute(update(keys).where(keys.c.thread_id == gone).values(thread_id=kept))
        session.connection().execute(
            update(interactions).where(interactions.c.thread_id == gone).values(thread_id=kept)
        )


def _keep_narrower(session: Session, gone: int, kept: int) -> None:
    """What was narrowed stays so when two conversations turn out to be one."""
    levels = {row.id: row.visibility for row in session.exec(select(Thread).where(col(Thread.id).in_((gone, kept))))}
    narrow = min((level for level in levels.values() if level), key=lambda level: RANK.get(level, 0), default="")
    if narrow and levels.get(kept) != narrow:
        session.get_one(Thread, kept).visibility = narrow


class _Joined:
    """Names that turned out to be one; threads of the database win over new ones, older ones over younger."""

    def __init__(self) -> None:
        self._to: dict[str, str] = {}

    def root(self, name: str) -> str:
        while name in self._to:
            name = self._to[name]
        return name

    def join(self, one: str, other: str) -> None:
        one, other = self.root(one), self.root(other)
        if one == other:
            return
        keep, gone = sorted((one, other), key=lambda name: (name[0] != "t", int(name[1:]) if name[0] == "t" else 0))
        self._to[gone] = keep

    def merged(self) -> list[str]:
        return list(self._to)
