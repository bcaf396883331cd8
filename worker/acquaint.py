"""What the opened mail of people who were taken in from discovery says of them: it fills what their contact lacks, once."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, select

from connectors.items import Message
from models.contact import Contact
from models.discovery import Discovery
from worker.case import Case, Logging
from worker.signature import Facts, read_signature, signed_block


def acquaint(work: Logging, cases: Sequence[Case]) -> None:
    """Fill name, position and telephone of accepted people from their own new mail, the newest mail first; never what stands
    there already, nor again what somebody has taken out."""
    letters = sorted(
        (case for case in cases if case.fresh and _tells(case)), key=lambda case: case.view.at, reverse=True
    )
    authors = {case.identity: _author(work, case) for case in letters}
    rows = _accepted(work.session, {key for key in authors.values() if key})
    for case in letters:
        row = rows.get(authors[case.identity])
        contact = work.session.get(Contact, row.contact_id) if row else None
        if row is not None and contact is not None:
            _fill(work.session, row, contact, _facts(case))


def _tells(case: Case) -> bool:
    item = case.item
    return isinstance(item, Message) and item.body is not None and not case.view.machine and not case.view.forwarded


def _author(work: Logging, case: Case) -> int:
    """The contact who wrote it, by exactly their address; 0 where nobody did."""
    sender = next((person for person in case.view.people if person.role == "from"), None)
    known = work.book.contact(sender.address) if sender else None
    return known[0].id if known and known[1] == "exact" else 0


def _accepted(session: Session, contact_ids: set[int]) -> dict[int, Discovery]:
    if not contact_ids:
        return {}
    rows = session.exec(
        select(Discovery).where(col(Discovery.contact_id).in_(contact_ids), Discovery.state == "accepted")
    ).all()
    return {row.contact_id or 0: row for row in rows}


def _facts(case: Case) -> Facts:
    body = case.item.body if isinstance(case.item, Message) else None
    name = next((person.name for person in case.view.people if person.role == "from"), "")
    found = read_signature(signed_block(body.signature, body.new, name), name) if body else Facts()
    return Facts("" if "@" in name else name or found.name, found.title, found.phone)


def _fill(session: Session, row: Discovery, contact: Contact, facts: Facts) -> None:
    told = dict(row.made.get("told", {}))
    for field, value, empty in (
        ("name", facts.name, contact.name == row.address),
        ("title", facts.title, not contact.title),
        ("phone", facts.phone, not contact.phone),
    ):
        if value and empty and field not in told:
            setattr(contact, field, value)
            told[field] = value
    if told != row.made.get("told", {}):
        row.made = row.made | {"told": told}
        session.add_all([row, contact])
