"""Taking a merge apart: exactly what it moved goes back, and what has come since goes to whose address or domain stands on it."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from models.contact import Company, CompanyDomain, Contact, ContactAddress
from models.db import chunks, insert_new, table
from models.deal import Deal, DealContact, lock
from models.discovery import Discovery
from models.errors import Conflict
from models.interaction import Choice, Interaction, InteractionCompany, InteractionContact
from models.merging import Merge, merged_into


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
    session.flush()
    rows = table(model)
    key = next(iter(rows.primary_key.columns))
    for part in chunks(keys):
        still = update(rows).where(key.in_(part), rows.c[column] == kept).values(**{column: back})
        session.connection().execute(still)
    session.expire_all()
