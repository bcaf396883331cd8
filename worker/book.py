"""The part of the address book that one page of items needs, read in a bounded number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from models.account import Account
from models.addresses import DOTLESS, domain_of, lineage, same_mailbox, weak
from models.contact import CompanyDomain, Contact, ContactAddress, is_free
from models.db import chunks
from models.deal import Deal, DealContact, StageChange
from models.erasure import NOBODY
from models.interaction import Choice, Interaction, Link, ThreadKey
from models.ours import blocked_values, is_blocked, is_ours, load_ours
from models.pipeline import Stage
from models.setting import team_settings
from models.user import User
from worker.view import View


@dataclass(frozen=True, slots=True)
class ContactRef:
    """A contact, as far as matching goes."""

    id: int
    name: str
    company_id: int | None
    never_log: bool


@dataclass(frozen=True, slots=True)
class DealRef:
    """A deal, as far as matching goes. ``moves`` are (when, stage id) in order of time."""

    id: int
    name: str
    company_id: int | None
    owner_id: int | None
    created_at: datetime
    closed_at: datetime | None
    roles: dict[int, str]
    moves: tuple[tuple[datetime, int], ...]

    def stage_at(self, moment: datetime) -> int | None:
        """The stage in which the deal stood at a moment; its first one for earlier moments."""
        stage = self.moves[0][1] if self.moves else None
        for at, stage_id in self.moves:
            if at > moment:
                break
            stage = stage_id
        return stage


@dataclass(frozen=True, slots=True)
class Proposed:
    """Settings as they might be: some of the team's with other values, blocks that come ({kind, value}) and go (ids)."""

    settings: Mapping[str, Any]
    block: Sequence[Mapping[str, str]] = ()
    unblock: Sequence[int] = ()


@dataclass(slots=True)
class Book:
    """Everything that ``match.decide`` may look at."""

    own: set[str] = field(default_factory=set)
    own_domains: set[str] = field(default_factory=set)
    owner_addresses: dict[int, set[str]] = field(default_factory=dict)
    contacts: dict[str, ContactRef] = field(default_factory=dict)
    weak_contacts: dict[str, ContactRef] = field(default_factory=dict)
    people: dict[int, ContactRef] = field(default_factory=dict)
    domains: dict[str, int] = field(default_factory=dict)
    deals: dict[int, DealRef] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    thread_deals: dict[int, list[int]] = field(default_factory=dict)
    known_threads: set[int] = field(default_factory=set)
    choices: dict[tuple[str, str], int] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    blocked_labels: set[str] = field(default_factory=set)
    settings: dict[str, Any] = field(default_factory=dict)
    calendar_synced: bool = False
    _deals_of: dict[int, list[DealRef]] = field(default_factory=dict)
    _deals_at: dict[int, list[DealRef]] = field(default_factory=dict)

    def is_ours(self, address: str) -> bool:
        """Whether an address is a colleague's (or a connected account's own), with or without a plus tag."""
        return is_ours(address, self.own, self.own_domains)

    def is_of(self, user_id: int | None, address: str) -> bool:
        """Whether an address is this user's, with or without a plus tag."""
        return not self.owner_addresses.get(user_id or 0, set()).isdisjoint((address, weak(address)))

    def contact(self, address: str) -> tuple[ContactRef, str] | None:
        """The contact behind an address, and how it was found: exact, same (but for dots and tags) or weak (+tag)."""
        found = self.contacts.get(address)
        if found is not None:
            return found, "exact"
        near = self.weak_contacts.get(weak(address))
        if near is None:
            return None
        return near, "same" if domain_of(address) in DOTLESS else "weak"

    def is_blocked(self, address: str) -> bool:
        """Whether the block list names an address (with or without a plus tag), its domain or one above that; or whether it
        stands for somebody who was erased."""
        return address == NOBODY or is_blocked(address, self.blocked)

    def is_excluded(self, address: str) -> bool:
        """Whether its owner's mail is never logged: blocked, or a contact who is marked so."""
        known = self.contact(address)
        return self.is_blocked(address) or (known is not None and known[0].never_log)

    def company_at(self, domain: str) -> int | None:
        """The company that owns a domain, or else the nearest one above it."""
        return next((self.domains[one] for one in lineage(domain) if one in self.domains), None)

    def deals_of(self, contact_id: int) -> list[DealRef]:
        return self._deals_of.get(contact_id, [])

    def deals_at(self, company_id: int) -> list[DealRef]:
        return self._deals_at.get(company_id, [])

    def thread_ids(self, view: View) -> list[int]:
        """The known threads that a view belongs to: where it stands itself, and the nearest one it continues."""
        found = [view.thread_id] if view.thread_id else []
        if view.own_key in self.threads:
            found.append(self.threads[view.own_key])
        found += [self.threads[key] for key in view.thread_keys if key in self.threads][:1]
        return list(dict.fromkeys(found))


def load(
    session: Session,
    views: Sequence[View],
    account: Account | None = None,
    *,
    proposed: Proposed | None = None,
    more_deals: Iterable[int] = (),
) -> Book:
    """The book for one page. Queries: a dozen, plus one per 500 addresses or thread keys. ``proposed``: as it would be with
    these settings; ``more_deals``: to be known although nothing here leads to them yet."""
    book = Book(settings=team_settings(session) | dict(proposed.settings if proposed else {}))
    _load_own_way(session, book, account)
    _load_ours(session, book)
    _load_blocks(session, book, account, proposed)
    addresses = {person.address for view in views for person in (*view.people, *view.hints)}
    outside = {address for address in addresses if not book.is_ours(address)}
    _load_people(session, book, outside)
    _load_threads(session, book, views)
    _load_deals(session, book, more_deals)
    if account is not None:
        book.calendar_synced = "calendar" in account.capabilities
    return book


def _load_ours(session: Session, book: Book) -> None:
    ours = load_ours(session, book.settings)
    book.own, book.own_domains, book.owner_addresses = ours.addresses, ours.domains, ours.by_user


def _load_own_way(session: Session, book: Book, account: Account | None) -> None:
    """What the mailbox's owner wants done with mail that fits several deals, before what the team wants."""
    owner = session.get(User, account.user_id) if account is not None else None
    if owner is not None and owner.several_deals:
        book.settings["several_deals"] = owner.several_deals


def _load_blocks(session: Session, book: Book, account: Account | None, proposed: Proposed | None) -> None:
    without = proposed.unblock if proposed else ()
    book.blocked, labels = blocked_values(session, account.user_id if account else None, without=without)
    for one in proposed.block if proposed else ():
        if one["kind"] != "label":
            book.blocked |= {one["value"], same_mailbox(one["value"])}
    book.blocked_labels = labels | set(book.settings["no_log_labels"])


def _load_people(session: Session, book: Book, outside: set[str]) -> None:
    by_address: dict[str, int] = {}
    by_weak: dict[str, set[int]] = {}
    for part in chunks(outside):
        rows = session.exec(select(ContactAddress).where(col(ContactAddress.address).in_(part)))
        by_address.update((row.address, row.contact_id) for row in rows)
    near = {weak(address) for address in outside if address not in by_address}
    for part in chunks(near):
        for row in session.exec(select(ContactAddress).where(col(ContactAddress.weak_form).in_(part))):
            by_weak.setdefault(row.weak_form, set()).add(row.contact_id)
    domains = {one for address in outside for one in lineage(domain_of(address)) if not is_free(one, book.settings)}
    for part in chunks(domains):
        for row in session.exec(select(CompanyDomain).where(col(CompanyDomain.domain).in_(part))):
            book.domains[row.domain] = row.company_id
    sure = {form: min(keys) for form, keys in by_weak.items() if len(keys) == 1}
    _load_contacts(session, book, set(by_address.values()) | set(sure.values()))
    book.contacts = {a: book.people[key] for a, key in by_address.items() if key in book.people}
    book.weak_contacts = {a: book.people[key] for a, key in sure.items() if key in book.people}


def _load_contacts(session: Session, book: Book, ids: Iterable[int]) -> None:
    for part in chunks(ids):
        for row in session.exec(select(Contact).where(col(Contact.id).in_(part))):
            key = row.id or 0
            book.people[key] = ContactRef(key, row.name, row.company_id, row.never_log)


def _load_threads(session: Session, book: Book, views: Sequence[View]) -> None:
    for part in chunks({key for view in views for key in (view.own_key, *view.thread_keys) if key}):
        known = session.exec(select(ThreadKey.key, ThreadKey.thread_id).where(col(ThreadKey.key).in_(part)))
        book.threads.update((key, thread_id) for key, thread_id in known)
    ids = set(book.threads.values()) | {view.thread_id for view in views if view.thread_id}
    for part in chunks(ids):
        live = session.exec(select(Interaction.thread_id).where(col(Interaction.thread_id).in_(part)).distinct()).all()
        book.known_threads |= {thread_id for thread_id in live if thread_id is not None}
        links = session.exec(
            select(Interaction.thread_id, Link.deal_id)
            .join(Link, col(Link.interaction_id) == Interaction.id)
            .where(col(Interaction.thread_id).in_(part), col(Link.removed_at).is_(None))
            .order_by(col(Interaction.occurred_at).desc())
        )
        for thread_id, deal_id in links:
            if thread_id is not None and deal_id not in book.thread_deals.setdefault(thread_id, []):
                book.thread_deals[thread_id].append(deal_id)
    keys = [("thread", str(thread_id)) for thread_id in ids] + [("contact", str(key)) for key in book.people]
    for part in chunks({key for _, key in keys}):
        taught = select(Choice).where(col(Choice.kind).in_(("thread", "contact")), col(Choice.key).in_(part))
        for choice in session.exec(taught):
            book.choices[(choice.kind, choice.key)] = choice.deal_id


def _load_deals(session: Session, book: Book, more: Iterable[int]) -> None:
    companies = set(book.domains.values()) | {c.company_id for c in book.people.values() if c.company_id}
    ids = {deal_id for deals in book.thread_deals.values() for deal_id in deals} | set(book.choices.values())
    ids |= set(more)
    for part in chunks(book.people):
        ids |= set(session.exec(select(DealContact.deal_id).where(col(DealContact.contact_id).in_(part))).all())
    deals: dict[int, Deal] = {}
    for part in chunks(ids):
        deals.update((deal.id or 0, deal) for deal in session.exec(select(Deal).where(col(Deal.id).in_(part))))
    for part in chunks(companies):
        deals.update((deal.id or 0, deal) for deal in session.exec(select(Deal).where(col(Deal.company_id).in_(part))))
    roles: dict[int, dict[int, str]] = {}
    moves: dict[int, list[tuple[datetime, int]]] = {}
    for part in chunks(deals):
        for row in session.exec(select(DealContact).where(col(DealContact.deal_id).in_(part))):
            roles.setdefault(row.deal_id, {})[row.contact_id] = row.role
        changes = session.exec(
            select(StageChange)
            .where(col(StageChange.deal_id).in_(part), col(StageChange.undone_at).is_(None))
            .order_by(col(StageChange.at), col(StageChange.id))
        )
        for change in changes:
            moves.setdefault(change.deal_id, []).append((change.at, change.to_stage_id))
    for key, deal in deals.items():
        _enter(book, key, deal, roles.get(key, {}), moves.get(key, []))


def _enter(book: Book, key: int, deal: Deal, roles: dict[int, str], moves: list[tuple[datetime, int]]) -> None:
    ref = DealRef(
        id=key,
        name=deal.name,
        company_id=deal.company_id,
        owner_id=deal.owner_id,
        created_at=deal.created_at,
        closed_at=deal.closed_at,
        roles=roles,
        moves=tuple(moves),
    )
    book.deals[key] = ref
    for contact_id in roles:
        book._deals_of.setdefault(contact_id, []).append(ref)
    if deal.company_id is not None:
        book._deals_at.setdefault(deal.company_id, []).append(ref)


def stage_names(session: Session) -> dict[int, Stage]:
    """Every stage by id."""
    return {stage.id or 0: stage for stage in session.exec(select(Stage))}
