"""What an export holds, table by table, each read in pages so that the memory stays flat.

Who, when and on which deal are exported of what was logged; subjects and texts only when asked for, and then as far as
``models.privacy`` lets the viewer see them: an export opens no mailbox wider than a page does. Nothing that is held for
its owner leaves. Deals and contacts carry the column names that the import knows for certain.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import Session, col, select

from models.contact import Company, CompanyDomain, Contact, addresses_of
from models.db import chunks
from models.deal import Deal, DealContact, StageChange
from models.imports.columns import LABELS
from models.interaction import Interaction, Link
from models.pipeline import Pipeline, Stage
from models.privacy import sights
from models.user import User

Value = str | float | int | date | None
PAGE = 500
PEOPLE, DEALS = LABELS["contacts"], LABELS["deals"]


@dataclass(frozen=True)
class Table:
    """A name, column names, and rows as a stream to be read once."""

    name: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[Sequence[Value]]]


def tables(session: Session, *, viewer_id: int | None, text: bool = False) -> list[Table]:
    """Everything. ``viewer_id`` None: the operator at the command line, who sees what a whole team may see."""
    words = ("Subject", "Text") if text else ()
    return [
        Table("companies", ("Company", "Domains", "Created"), lambda: _companies(session)),
        Table("contacts", _CONTACTS, lambda: _contacts(session)),
        Table("deals", _DEALS, lambda: _deals(session)),
        Table("stage history", _HISTORY, lambda: _history(session)),
        Table("timelines", (*_TIMELINE, *words), lambda: _timelines(session, viewer_id, text)),
    ]


_CONTACTS = (
    *(PEOPLE[name] for name in ("name", "emails", "company", "title", "phone", "never_log")),
    "Added",
)
_DEALS = tuple(
    DEALS[name]
    for name in (
        *("external_id", "name", "company", "contact_names", "contact_emails", "owner", "pipeline", "stage", "amount"),
        *("currency", "created_at", "expected_close", "close_date", "stage_since", "close_reason", "next_step"),
    )
)
_HISTORY = ("Deal id", DEALS["external_id"], DEALS["name"], "From", "To", "At", "By", "Person", "Taken back")
_TIMELINE = ("When", "Kind", "Direction", "From", "With", "Deal id", DEALS["name"])


def _companies(session: Session) -> Iterator[Sequence[Value]]:
    for rows in _pages(session, Company):
        domains: dict[int, list[str]] = {}
        ids = [row.id for row in rows]
        for one in session.exec(select(CompanyDomain).where(col(CompanyDomain.company_id).in_(ids))):
            domains.setdefault(one.company_id, []).append(one.domain)
        for row in rows:
            yield row.name, "; ".join(sorted(domains.get(row.id or 0, []))), _moment(row.created_at)


def _contacts(session: Session) -> Iterator[Sequence[Value]]:
    for rows in _pages(session, Contact):
        addresses = addresses_of(session, [row.id or 0 for row in rows])
        firms = _names(session, Company, [row.company_id for row in rows])
        for row in rows:
            emails = "; ".join(addresses.get(row.id or 0, []))
            never = "yes" if row.never_log else ""
            yield row.name, emails, firms.get(row.company_id), row.title, row.phone, never, _moment(row.created_at)


def _deals(session: Session) -> Iterator[Sequence[Value]]:
    stages, pipelines = _names(session, Stage), _names(session, Pipeline)
    for rows in _pages(session, Deal):
        firms = _names(session, Company, [row.company_id for row in rows])
        owners = _emails(session, [row.owner_id for row in rows])
        names, emails = _people(session, [row.id or 0 for row in rows])
        for row in rows:
            key = row.id or 0
            yield (
                *(row.external_id, row.name, firms.get(row.company_id)),
                *("; ".join(names.get(key, [])), "; ".join(emails.get(key, [])), owners.get(row.owner_id)),
                *(pipelines.get(row.pipeline_id), stages.get(row.stage_id)),
                *(None if row.amount_minor is None else row.amount_minor / 100, row.currency),
                *(_moment(row.created_at), row.expected_close, _moment(row.closed_at), _moment(row.stage_since)),
                *(row.close_reason, row.next_step),
            )


def _people(session: Session, deal_ids: list[int]) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """(names, first addresses) of the people in some deals, in the same order."""
    names: dict[int, list[str]] = {}
    emails: dict[int, list[str]] = {}
    found = session.exec(
        select(DealContact.deal_id, Contact.id, Contact.name)
        .join(Contact, col(Contact.id) == DealContact.contact_id)
        .where(col(DealContact.deal_id).in_(deal_ids))
        .order_by(col(Contact.id))
    ).all()
    addresses = addresses_of(session, {contact_id or 0 for _, contact_id, _ in found})
    for deal_id, contact_id, name in found:
        if addresses.get(contact_id or 0):
            names.setdefault(deal_id, []).append(name.replace(";", ","))
            emails.setdefault(deal_id, []).append(addresses[contact_id or 0][0])
    return names, emails


def _history(session: Session) -> Iterator[Sequence[Value]]:
    stages = _names(session, Stage)
    for rows in _pages(session, StageChange):
        deals = {
            row.id: row for row in session.exec(select(Deal).where(col(Deal.id).in_({one.deal_id for one in rows})))
        }
        people = _emails(session, [row.user_id for row in rows])
        for row in rows:
            deal = deals[row.deal_id]
            yield (
                *(row.deal_id, deal.external_id, deal.name, stages.get(row.from_stage_id), stages.get(row.to_stage_id)),
                *(_moment(row.at), row.source, people.get(row.user_id), _moment(row.undone_at)),
            )


def _timelines(session: Session, viewer_id: int | None, text: bool) -> Iterator[Sequence[Value]]:
    for rows in _pages(session, Interaction):
        seen = sights(session, rows, viewer_id)
        deals: dict[int, list[tuple[int, str]]] = {}
        for key, deal_id, name in session.exec(
            select(Link.interaction_id, Deal.id, Deal.name)
            .join(Deal, col(Deal.id) == Link.deal_id)
            .where(col(Link.interaction_id).in_([row.id for row in rows]), col(Link.removed_at).is_(None))
        ):
            deals.setdefault(key, []).append((deal_id or 0, name))
        for row in rows:
            sight = seen[row.id or 0]
            if not sight.any or row.held:
                continue
            words = (row.subject if sight.subject else None, row.text if sight.text else None) if text else ()
            for deal_id, name in deals.get(row.id or 0, [(None, None)]):
                yield *_who(row), deal_id, name, *words


def _who(row: Interaction) -> tuple[Value, ...]:
    senders = [one["address"] for one in row.parties if one["role"] in ("from", "organizer")]
    others = [one["address"] for one in row.parties if one["address"] not in senders]
    return _moment(row.occurred_at), row.kind, row.direction, "; ".join(senders[:1]), "; ".join(others)


def _pages(session: Session, model: Any) -> Iterator[list[Any]]:
    """A table's rows by id, page by page; a page is forgotten before the next is read."""
    last = 0
    while True:
        rows = list(session.exec(select(model).where(model.id > last).order_by(model.id).limit(PAGE)).all())
        if not rows:
            return
        last = rows[-1].id
        yield rows
        session.expunge_all()


def _names(session: Session, model: Any, ids: Sequence[int | None] | None = None) -> dict[int | None, str]:
    statement = select(model.id, model.name)
    if ids is None:
        return dict(session.exec(statement).all())
    found: dict[int | None, str] = {}
    for part in chunks(set(ids) - {None}):
        found.update(session.exec(statement.where(model.id.in_(part))).all())
    return found


def _emails(session: Session, ids: Sequence[int | None]) -> dict[int | None, str]:
    found: dict[int | None, str] = {}
    for part in chunks(set(ids) - {None}):
        found.update(session.exec(select(User.id, User.email).where(col(User.id).in_(part))).all())
    return found


def _moment(moment: datetime | None) -> str | None:
    """ISO in UTC; a midnight as a plain day, as it came."""
    if moment is None:
        return None
    return (
        f"{moment:%Y-%m-%d}"
        if (moment.hour, moment.minute, moment.second) == (0, 0, 0)
        else f"{moment:%Y-%m-%d %H:%M:%S}Z"
    )
