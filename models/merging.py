"""Two rows that turn out to be one person or one company: made one, with everything that hung on the other, and apart again.

A merge is a row that remembers what it moved. Undo moves exactly that back, restores what the kept one was given, and sorts
what has come since by whose address stands on it. Of two merges of the same pair at the same moment one finds nothing left.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import Field, Session, SQLModel, col, select

from models.contact import Company, CompanyDomain, Contact, ContactAddress
from models.db import chunks, insert_new, table
from models.deal import Deal, DealContact
from models.discovery import Discovery
from models.errors import Invalid, NotFound
from models.existing import existing
from models.fields import instant, json_dict
from models.interaction import Choice, Interaction, InteractionCompany, InteractionContact

FACTS = {"contact": ("title", "phone", "company_id"), "company": ()}
KINDS = ("contact", "company")


class Merge(SQLModel, table=True):
    """``gone_id`` was merged into ``kept_id``. ``record``: {row, moved, before}, what undo needs."""

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    kept_id: int = Field(index=True)
    gone_id: int = Field(index=True)
    gone_name: str = ""
    record: dict[str, Any] = json_dict()
    made_by: int | None = None
    made_at: datetime = instant()
    undone_at: datetime | None = instant(None)


def merge_contacts(session: Session, kept_id: int, gone_id: int, *, user_id: int, now: datetime) -> Merge:
    """Make two contacts one. Raises Invalid, NotFound, Conflict."""
    kept, gone = _pair(session, Contact, kept_id, gone_id, "contact")
    before = _fill(kept, gone) | {"never_log": kept.never_log}
    kept.never_log = kept.never_log or gone.never_log
    moved = {
        "addresses": _move_addresses(session, kept_id, gone_id),
        "deals": _move_roles(session, kept_id, gone_id),
        "interactions": _move_presence(session, InteractionContact, "contact_id", kept_id, gone_id),
        "choices": _move_choices(session, kept_id, gone_id),
        "discoveries": _move_plain(session, Discovery, "contact_id", kept_id, gone_id),
    }
    _rename_parties(session, moved["interactions"]["all"], gone_id, kept_id)
    return _finish(session, "contact", kept, gone, moved, before, user_id, now)


def merge_companies(session: Session, kept_id: int, gone_id: int, *, user_id: int, now: datetime) -> Merge:
    """Make two companies one. Raises Invalid, NotFound, Conflict."""
    kept, gone = _pair(session, Company, kept_id, gone_id, "company")
    moved = {
        "domains": _move_plain(session, CompanyDomain, "company_id", kept_id, gone_id),
        "contacts": _move_plain(session, Contact, "company_id", kept_id, gone_id),
        "deals": _move_plain(session, Deal, "company_id", kept_id, gone_id),
        "interactions": _move_presence(session, InteractionCompany, "company_id", kept_id, gone_id),
    }
    return _finish(session, "company", kept, gone, moved, {}, user_id, now)


def merged_into(session: Session, kind: str, gone_id: int) -> int | None:
    """Where somebody is now who was merged into another one."""
    for _ in range(20):
        found = session.exec(
            select(Merge.kept_id)
            .where(Merge.kind == kind, Merge.gone_id == gone_id, col(Merge.undone_at).is_(None))
            .order_by(col(Merge.id).desc())
        ).first()
        if found is None:
            return None
        if session.get(Contact if kind == "contact" else Company, found) is not None:
            return found
        gone_id = found
    return None


def get_merge(session: Session, merge_id: int) -> Merge:
    """Raises NotFound."""
    return existing(session, Merge, merge_id, "merge")


def _pair(session: Session, model: Any, kept_id: int, gone_id: int, what: str) -> tuple[Any, Any]:
    """Both rows, held in the order of their ids."""
    if kept_id == gone_id:
        raise Invalid(f"Choose another {what} than this one.", "gone_id")
    rows = {key: session.get(model, key, with_for_update=True) for key in sorted((kept_id, gone_id))}
    if rows[kept_id] is None or rows[gone_id] is None:
        raise NotFound(f"There is no such {what}; perhaps it was merged already.")
    return rows[kept_id], rows[gone_id]


def _fill(kept: Any, gone: Any) -> dict[str, Any]:
    """Give the kept one what it lacks; what it had before and what it got."""
    filled = {}
    for name in FACTS["contact"]:
        if not getattr(kept, name) and getattr(gone, name):
            filled[name] = [getattr(kept, name), getattr(gone, name)]
            setattr(kept, name, getattr(gone, name))
    return {"filled": filled}


def _move_addresses(session: Session, kept_id: int, gone_id: int) -> list[str]:
    """The other's addresses, behind those of the kept one."""
    mine = session.exec(select(ContactAddress.position).where(ContactAddress.contact_id == kept_id)).all()
    theirs = session.exec(
        select(ContactAddress).where(ContactAddress.contact_id == gone_id).order_by(col(ContactAddress.position))
    ).all()
    for place, row in enumerate(theirs, start=max(mine, default=-1) + 1):
        row.contact_id, row.position = kept_id, place
        session.add(row)
    session.flush()
    return [row.address for row in theirs]


def _move_roles(session: Session, kept_id: int, gone_id: int) -> list[dict[str, Any]]:
    """The deals of the other; where both take part the kept one stays, with the role that either has."""
    moved = []
    for row in session.exec(select(DealContact).where(DealContact.contact_id == gone_id)).all():
        both = session.get(DealContact, (row.deal_id, kept_id))
        moved.append({"deal": row.deal_id, "role": row.role, "had": None if both is None else both.role})
        if both is None:
            session.add(DealContact(deal_id=row.deal_id, contact_id=kept_id, role=row.role))
        else:
            both.role = both.role or row.role
            session.add(both)
        session.delete(row)
    session.flush()
    return moved


def _move_presence(session: Session, model: Any, column: str, kept_id: int, gone_id: int) -> dict[str, list[int]]:
    """Where the other took part: ``all`` of it, and ``new``, where the kept one did not."""
    rows, keys = table(model), table(model).c[column]
    mine = set(session.exec(select(model.interaction_id).where(getattr(model, column) == kept_id)).all())
    theirs = sorted(session.exec(select(model.interaction_id).where(getattr(model, column) == gone_id)).all())
    insert_new(session, model, [{"interaction_id": key, column: kept_id} for key in theirs])
    session.connection().execute(delete(rows).where(keys == gone_id))
    return {"all": theirs, "new": [key for key in theirs if key not in mine]}


def _move_choices(session: Session, kept_id: int, gone_id: int) -> list[int]:
    """What was taught about the other, unless the kept one was taught something itself."""
    both = {
        row.key: row
        for row in session.exec(
            select(Choice).where(Choice.kind == "contact", col(Choice.key).in_((str(kept_id), str(gone_id))))
        )
    }
    row = both.get(str(gone_id))
    if row is None or str(kept_id) in both:
        return []
    row.key = str(kept_id)
    session.add(row)
    session.flush()
    return [row.id or 0]


def _move_plain(session: Session, model: Any, column: str, kept_id: int, gone_id: int) -> list[Any]:
    """Rows that merely point to the other; their keys."""
    rows = table(model)
    key = next(iter(rows.primary_key.columns))
    found = list(session.connection().execute(select(key).where(rows.c[column] == gone_id)).scalars())
    session.connection().execute(update(rows).where(rows.c[column] == gone_id).values(**{column: kept_id}))
    return found


def _rename_parties(session: Session, interaction_ids: Iterable[int], old: int, new: int) -> None:
    """Who is named on stored mail."""
    for part in chunks(interaction_ids):
        for row in session.exec(select(Interaction).where(col(Interaction.id).in_(part))):
            row.parties = [p | {"contact_id": new} if p.get("contact_id") == old else p for p in row.parties]
            session.add(row)
    session.flush()


def _finish(
    session: Session, kind: str, kept: Any, gone: Any, moved: dict[str, Any], before: Any, user_id: int, now: datetime
) -> Merge:
    session.add(kept)
    merge = Merge(
        kind=kind,
        kept_id=kept.id,
        gone_id=gone.id,
        gone_name=gone.name,
        record={"row": gone.model_dump(mode="json"), "moved": moved, "before": before},
        made_by=user_id,
        made_at=now,
    )
    session.flush()
    session.expire(gone)
    session.delete(gone)
    session.add(merge)
    session.flush()
    return merge
