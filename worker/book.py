"""The part of the address book that one page of items needs, read in a bounded number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select as choose
from sqlmodel import Session, col, select

from models.account import Account
from models.addresses import DOTLESS, domain_of, lineage, same_mailbox, weak
from models.bulk import among
from models.contact import CompanyDomain, Contact, ContactAddress, is_free
from models.deal import Deal, DealContact, StageChange
from models.erasure import NOBODY
from models.interaction import Choice, Interaction, Link, known_keys
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


_BY_ADDRESS = choose(col(ContactAddress.address), col(ContactAddress.contact_id)).where(
    among(col(ContactAddress.address))
)
_BY_WEAK_FORM = choose(col(ContactAddress.weak_form), col(ContactAddress.contact_id)).where(
    among(col(ContactAddress.weak_form))
)
_BY_DOMAIN = choose(col(CompanyDomain.domain), col(CompanyDomain.company_id)).where(among(col(CompanyDomain.domain)))
_CONTACTS = choose(col(Contact.id), col(Contact.name), col(Contact.company_id), col(Contact.never_log)).where(
    among(col(Contact.id))
)
_LIVE_THREADS = choose(col(Interaction.thread_id)).where(among(col(Interaction.thread_id))).distinct()
_THREAD_DEALS = (
    choose(col(Interaction.thread_id), col(Link.deal_id))
    .join(Link, col(Link.interaction_id) == Interaction.id)
    .where(among(col(Interaction.thread_id)), col(Link.removed_at).is_(None))
    .order_by(col(Interaction.occurred_at).desc(), col(Link.id))
)
_CHOICES = choose(col(Choice.kind), col(Choice.key), col(Choice.deal_id)).where(
    col(Choice.kind).in_(("thread", "contact")), among(col(Choice.key))
)
_DEALS_OF = choose(col(DealContact.deal_id)).where(among(col(DealContact.contact_id))).distinct()
_DEAL = choose(
    col(Deal.id), col(Deal.name), col(Deal.company_id), col(Deal.owner_id), col(Deal.created_at), col(Deal.closed_at)
)
_DEALS = _DEAL.where(among(col(Deal.id))).order_by(col(Deal.id))
_DEALS_AT = _DEAL.where(among(col(Deal.company_id))).order_by(col(Deal.id))
_ROLES = choose(col(DealContact.deal_id), col(DealContact.contact_id), col(DealContact.role)).where(
    among(col(DealContact.deal_id))
)
_MOVES = (
    choose(col(StageChange.deal_id), col(StageChange.at), col(StageChange.to_stage_id))
    .where(among(col(StageChange.deal_id)), col(StageChange.undone_at).is_(None))
    .order_by(col(StageChange.at), col(StageChange.id))
)


def load(
    session: Session,
    views: Sequence[View],
    account: Account | None = None,
    *,
    proposed: Proposed | None = None,
    more_deals: Iterable[int] = (),
) -> Book:
    """The book for one page, in some twenty queries however large the page. ``proposed``: as it would be with
    these settings; ``more_deals``: to be known although nothing here leads to them yet."""
    session.flush()
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
    by_address = dict(_among(session, _BY_ADDRESS, outside))
    by_weak: dict[str, set[int]] = {}
    for form, contact_id in _among(session, _BY_WEAK_FORM, {weak(one) for one in outside if one not in by_address}):
        by_weak.setdefault(form, set()).add(contact_id)
    domains = {one for address in outside for one in lineage(domain_of(address)) if not is_free(one, book.settings)}
    book.domains.update(_among(session, _BY_DOMAIN, domains))
    sure = {form: min(keys) for form, keys in by_weak.items() if len(keys) == 1}
    for key, name, company_id, never_log in _among(session, _CONTACTS, {*by_address.values(), *sure.values()}):
        book.people[key] = ContactRef(key, name, company_id, never_log)
    book.contacts = {a: book.people[key] for a, key in by_address.items() if key in book.people}
    book.weak_contacts = {a: book.people[key] for a, key in sure.items() if key in book.people}


def _load_threads(session: Session, book: Book, views: Sequence[View]) -> None:
    book.threads.update(
        known_keys(session, {key for view in views for key in (view.own_key, *view.thread_keys) if key})
    )
    ids = set(book.threads.values()) | {view.thread_id for view in views if view.thread_id}
    book.known_threads |= {thread_id for (thread_id,) in _among(session, _LIVE_THREADS, ids)}
    for thread_id, deal_id in _among(session, _THREAD_DEALS, ids):
        if deal_id not in book.thread_deals.setdefault(thread_id, []):
            book.thread_deals[thread_id].append(deal_id)
    keys = {*map(str, ids), *map(str, book.people)}
    for kind, key, deal_id in _among(session, _CHOICES, keys):
        book.choices[(kind, key)] = deal_id


def _load_deals(session: Session, book: Book, more: Iterable[int]) -> None:
    companies = set(book.domains.values()) | {c.company_id for c in book.people.values() if c.company_id}
    ids = {deal_id for deals in book.thread_deals.values() for deal_id in deals} | set(book.choices.values())
    ids |= set(more) | {deal_id for (deal_id,) in _among(session, _DEALS_OF, book.people)}
    deals = {row.id: row for row in (*_among(session, _DEALS, ids), *_among(session, _DEALS_AT, companies))}
    roles: dict[int, dict[int, str]] = {}
    moves: dict[int, list[tuple[datetime, int]]] = {}
    for deal_id, contact_id, role in _among(session, _ROLES, deals):
        roles.setdefault(deal_id, {})[contact_id] = role
    for deal_id, at, to_stage_id in _among(session, _MOVES, deals):
        moves.setdefault(deal_id, []).append((at, to_stage_id))
    for key, row in deals.items():
        _enter(book, row, roles.get(key, {}), moves.get(key, []))


def _among(session: Session, statement: Any, keys: Iterable[Any]) -> Sequence[Any]:
    """The rows of a statement about these keys; no query for none."""
    asked = list(keys)
    return session.connection().execute(statement, {"keys": asked}).all() if asked else ()


def _enter(book: Book, deal: Any, roles: dict[int, str], moves: list[tuple[datetime, int]]) -> None:
    ref = DealRef(
        id=deal.id,
        name=deal.name,
        company_id=deal.company_id,
        owner_id=deal.owner_id,
        created_at=deal.created_at,
        closed_at=deal.closed_at,
        roles=roles,
        moves=tuple(moves),
    )
    book.deals[ref.id] = ref
    for contact_id in roles:
        book._deals_of.setdefault(contact_id, []).append(ref)
    if deal.company_id is not None:
        book._deals_at.setdefault(deal.company_id, []).append(ref)


def stage_names(session: Session) -> dict[int, Stage]:
    """Every stage by id."""
    return {stage.id or 0: stage for stage in session.exec(select(Stage))}
