"""Which items are one mail or one meeting: another mailbox's copy, a Message-ID that is missing, reused or rewritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import update
from sqlmodel import Session, col, select

from connectors.items import Meeting, Message
from models.bulk import among
from models.db import chunks, table
from models.deal import Deal
from models.interaction import Copy, Interaction, Link
from worker import identity, rows
from worker.book import Book
from worker.case import Case, Logging
from worker.evidence import store_signals
from worker.view import View

_NAMED = select(Interaction).where(among(col(Interaction.identity))).order_by(col(Interaction.id))
_ALIKE = select(Interaction).where(among(col(Interaction.fingerprint))).order_by(col(Interaction.id))


def disown(session: Session, messages: Mapping[str, Message], views: dict[str, View], book: Book) -> None:
    """Take the Message-ID off the views of mails that merely reuse it, by mistake or by design: another mail has it already,
    and its conversation says nothing about theirs."""
    own = {key: identity.of_message(message) for key, message in messages.items() if views[key].own_key in book.threads}
    if not own:
        return
    known: dict[str, list[Interaction]] = {}
    for row in session.exec(_NAMED, params={"keys": [name for name, _ in own.values()]}):
        known.setdefault(row.identity, []).append(row)
    for key, (name, fingerprint) in own.items():
        rows = known.get(name, [])
        if rows and not any(_is(row, messages[key].subject, views[key], fingerprint) for row in rows):
            views[key] = replace(views[key], own_key="")


def find_same(work: Logging, cases: Sequence[Case]) -> None:
    """Give each case the interaction that already stands for it: of the database, or of an earlier case of this page."""
    for case in cases:
        if isinstance(case.item, Meeting):
            case.identity = identity.of_meeting(case.item)
        else:
            case.identity, case.fingerprint = identity.of_message(case.item)
    stored = _stored(work.session, cases)
    here = _in_this_mailbox(work, stored)
    first: dict[str, Case] = {}
    alike: dict[str, Case] = {}
    for case in cases:
        names = (case.identity, _second_name(case))
        match = next((row for name in names for row in stored.get(name, []) if _same(row, case)), None)
        match = match or next((row for row in stored.get(case.fingerprint, []) if _renamed(row, case, here)), None)
        if match is not None:
            case.interaction_id, case.known_thread = match.id or 0, match.thread_id or 0
            here.add(case.interaction_id)
            _fill(work, match, case)
            continue
        twin = next((first[name] for name in names if name in first and _twins(first[name], case)), None)
        twin = twin or _nameless_twin(alike.get(case.fingerprint), case)
        if twin is not None:
            case.identity = twin.identity
            continue
        if case.identity in stored or case.identity in first:
            case.identity = _second_name(case)
        first[case.identity] = case
        alike.setdefault(case.fingerprint, case)
        case.fresh = True


def _second_name(case: Case) -> str:
    """The identity of a mail whose Message-ID another mail has used already."""
    return f"{case.identity}#{case.fingerprint}"


def _stored(session: Session, cases: Sequence[Case]) -> dict[str, list[Interaction]]:
    found: dict[str, list[Interaction]] = {}
    names = {name for case in cases for name in (case.identity, _second_name(case))}
    prints = {case.fingerprint for case in cases if case.fingerprint}
    for row in session.exec(_NAMED, params={"keys": list(names)}) if names else ():
        found.setdefault(row.identity, []).append(row)
    for row in session.exec(_ALIKE, params={"keys": list(prints)}) if prints else ():
        found.setdefault(row.fingerprint, []).append(row)
    return found


def _same(row: Interaction, case: Case) -> bool:
    return _is(row, case.item.subject, case.view, case.fingerprint)


def _is(row: Interaction, subject: str, view: View, fingerprint: str) -> bool:
    if row.kind == "meeting":
        return True
    if row.fingerprint and row.fingerprint == fingerprint:
        return True
    stored = next((party["address"] for party in row.parties if party["role"] == "from"), "")
    return identity.agree((stored, row.occurred_at, row.subject), (_sender(view), view.at, subject))


def _twins(one: Case, other: Case) -> bool:
    if one.view.kind == "meeting" or one.fingerprint == other.fingerprint:
        return True
    return identity.agree(
        (_sender(one.view), one.view.at, one.item.subject), (_sender(other.view), other.view.at, other.item.subject)
    )


def _fill(work: Logging, row: Interaction, case: Case) -> None:
    """Another copy was opened further than the first: what the first mailbox kept closed is known now."""
    if isinstance(case.item, Meeting) or row.text or row.erased_at or case.item.body is None:
        return
    fuller = rows.mail_row(
        case.item, case.view, case.decision, work.book, identity=row.identity, fingerprint="", now=work.now
    )
    for name in ("snippet", "text", "new_text", "links", "attachments"):
        setattr(row, name, fuller[name])
    work.session.add(row)
    work.session.flush()
    store_signals(work, [replace(case, row=row.model_dump())])
    on = select(Link.deal_id).where(Link.interaction_id == row.id, col(Link.removed_at).is_(None))
    deals = table(Deal)
    work.session.connection().execute(update(deals).where(deals.c.id.in_(on)).values(suggest_at=work.now))


def _sender(view: View) -> str:
    return next((person.address for person in view.people if person.role == "from"), "")


def _renamed(row: Interaction, case: Case, here: set[int]) -> bool:
    """A fingerprint decides where one of the two has no Message-ID, or where a relay gave each mailbox's copy another one;
    a mailbox that holds both holds two mails."""
    nameless = row.identity.startswith("f:") or case.identity.startswith("f:")
    return row.kind == "email" and (nameless or row.id not in here)


def _in_this_mailbox(work: Logging, stored: dict[str, list[Interaction]]) -> set[int]:
    """Which of these interactions have a copy in the account at work."""
    ids = {row.id for found in stored.values() for row in found}
    here: set[int] = set()
    for part in chunks(ids):
        rows = select(Copy.interaction_id).where(col(Copy.interaction_id).in_(part), Copy.account_id == work.account.id)
        here |= set(work.session.exec(rows).all())
    return here


def _nameless_twin(other: Case | None, case: Case) -> Case | None:
    """Of an earlier case of this page, and so of this mailbox: one of the two has no Message-ID."""
    if other is None or not case.fingerprint:
        return None
    return other if "f:" in (other.identity[:2], case.identity[:2]) else None
