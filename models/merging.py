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
from models.deal import Deal, DealContact, lock
from models.discovery import Discovery
from models.errors import Conflict, Invalid, NotFound
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


def undo_merge(session: Session, merge: Merge, *, now: datetime) -> int:
    """Take two apart again; the id of the one that is back (another than before where that was given away since). What has
    come since the merge goes to whose address or domain stands on it. Raises Conflict, NotFound."""
    lock(session, merge)
    if merge.undone_at is not None:
        raise Conflict("This was taken back already.")
    model: Any = Contact if merge.kind == "contact" else Company
    kept = session.get(model, merge.kept_id, with_for_update=True)
    if kept is None:
        raise Conflict("The one that they were merged into is no longer there: it was merged again or deleted.")
    later = select(Merge.id).where(
        Merge.kind == merge.kind,
        Merge.kept_id == merge.kept_id,
        col(Merge.undone_at).is_(None),
        col(Merge.id) > merge.id,
    )
    if session.exec(later).first() is not None:
        raise Conflict("Another one was merged in after this. Take that back first.")
    back = _bring_back(session, model, merge)
    (_part_contacts if merge.kind == "contact" else _part_companies)(session, merge, kept, back)
    merge.undone_at = now
    session.add(merge)
    session.flush()
    return back


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
    found = session.get(Merge, merge_id)
    if found is None:
        raise NotFound("There is no such merge.")
    return found


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


def _bring_back(session: Session, model: Any, merge: Merge) -> int:
    """The row that went, under its own id unless somebody else has got it."""
    columns = dict(merge.record["row"])
    columns["created_at"] = datetime.fromisoformat(columns["created_at"])
    if session.get(model, merge.gone_id) is not None:
        columns.pop("id")
    firm = columns.get("company_id")
    if firm is not None and session.get(Company, firm) is None:
        columns["company_id"] = merged_into(session, "company", firm)
    row = model(**columns)
    session.add(row)
    session.flush()
    return row.id or 0


def _part_contacts(session: Session, merge: Merge, kept: Contact, back: int) -> None:
    moved, before = merge.record["moved"], merge.record["before"]
    for name, (was, got) in before["filled"].items():
        if getattr(kept, name) == got:
            setattr(kept, name, was)
    kept.never_log = before["never_log"]
    session.add(kept)
    theirs = [row for address in moved["addresses"] if (row := session.get(ContactAddress, address))]
    for place, row in enumerate(row for row in theirs if row.contact_id == kept.id):
        row.contact_id, row.position = back, place
        session.add(row)
    session.flush()
    for one in moved["deals"]:
        _part_role(session, one, kept.id or 0, back)
    _part_presence(session, InteractionContact, "contact_id", moved["interactions"], kept.id or 0, back)
    _rename_parties_by_address(session, kept.id or 0, back)
    _return_plain(session, Choice, "key", moved["choices"], str(kept.id), str(back))
    _return_plain(session, Discovery, "contact_id", moved["discoveries"], kept.id or 0, back)


def _part_companies(session: Session, merge: Merge, kept: Company, back: int) -> None:
    moved, kept_id = merge.record["moved"], kept.id or 0
    for model, name in ((CompanyDomain, "domains"), (Contact, "contacts"), (Deal, "deals")):
        _return_plain(session, model, "company_id", moved[name], kept_id, back)
    _part_presence(session, InteractionCompany, "company_id", moved["interactions"], kept_id, back)


def _part_role(session: Session, one: dict[str, Any], kept_id: int, back: int) -> None:
    if session.get(Deal, one["deal"]) is None:
        return
    both = session.get(DealContact, (one["deal"], kept_id))
    if both is None and one["had"] is None:
        return  # taken off the deal since: it stays so
    if one["had"] is None:
        session.delete(both)
    elif both is not None and both.role == (one["had"] or one["role"]):
        both.role = one["had"]
        session.add(both)
    insert_new(session, DealContact, [{"deal_id": one["deal"], "contact_id": back, "role": one["role"]}])
    session.flush()


def _part_presence(
    session: Session, model: Any, column: str, moved: dict[str, list[int]], kept_id: int, back: int
) -> None:
    rows = table(model)
    for part in chunks(moved["all"]):
        there = session.exec(select(Interaction.id).where(col(Interaction.id).in_(part))).all()
        insert_new(session, model, [{"interaction_id": key, column: back} for key in there])
    for part in chunks(moved["new"]):
        gone = delete(rows).where(rows.c[column] == kept_id, rows.c.interaction_id.in_(part))
        session.connection().execute(gone)


def _rename_parties_by_address(session: Session, kept_id: int, back: int) -> None:
    """Name the right one of the two on all that either took part in, also what has come since."""
    owners = {
        row.address: row.contact_id
        for row in session.exec(select(ContactAddress).where(col(ContactAddress.contact_id).in_((kept_id, back))))
    }
    on = select(InteractionContact.interaction_id).where(col(InteractionContact.contact_id).in_((kept_id, back)))
    for part in chunks(set(session.exec(on).all())):
        for row in session.exec(select(Interaction).where(col(Interaction.id).in_(part))).all():
            _name_by_address(session, row, owners, (kept_id, back))


def _name_by_address(session: Session, row: Interaction, owners: dict[str, int], pair: tuple[int, int]) -> None:
    named = {owners[p["address"]] for p in row.parties if p["address"] in owners}
    row.parties = [
        p | {"contact_id": owners[p["address"]]} if p.get("contact_id") in pair and p["address"] in owners else p
        for p in row.parties
    ]
    session.add(row)
    if named:
        insert_new(session, InteractionContact, [{"interaction_id": row.id, "contact_id": key} for key in named])
        others = [key for key in pair if key not in named]
        rows = table(InteractionContact)
        session.connection().execute(delete(rows).where(rows.c.interaction_id == row.id, rows.c.contact_id.in_(others)))


def _return_plain(session: Session, model: Any, column: str, keys: list[Any], kept: Any, back: Any) -> None:
    """Rows that pointed to the one that is back, and still point to the kept one."""
    rows = table(model)
    key = next(iter(rows.primary_key.columns))
    for part in chunks(keys):
        still = update(rows).where(key.in_(part), rows.c[column] == kept).values(**{column: back})
        session.connection().execute(still)
    session.expire_all()
