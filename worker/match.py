"""Who and which deal: pure decisions, each with its reason.

Order: where it lies -> ours only -> blocked -> machine mail -> exact address -> thread -> company's domain; then, among the
deals that were open when it happened: the thread's deal, what a person taught, the contact's role, the owner who took
part, and else a question. Nothing here looks at a subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from worker.book import Book, ContactRef, DealRef
from worker.view import SENDER_ROLES, Person, View

Outcome = Literal["logged", "held", "ignored", "internal"]
MACHINE_WORDS = {
    "bounce": "a bounce",
    "auto_reply": "an automatic reply",
    "list": "a mailing list",
    "bulk": "bulk mail",
    "calendar": "a calendar notice",
    "receipt": "a read receipt",
    "notification": "an automatic notification",
}
PERSONAL_MACHINES = {"bounce", "auto_reply"}
"""Machine mail that says something about the person it comes from; the rest is logged only from an exact contact."""


@dataclass(frozen=True, slots=True)
class LinkTo:
    """One deal that an item belongs to, and why."""

    deal_id: int
    rule: str
    score: float
    reasons: tuple[str, ...]
    stage_id: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an item. ``contacts`` took part, of ``companies``; ``candidates`` are offered when it is held."""

    outcome: Outcome
    reason: str
    direction: str = "inbound"
    contacts: tuple[int, ...] = ()
    companies: tuple[int, ...] = ()
    links: tuple[LinkTo, ...] = ()
    candidates: tuple[LinkTo, ...] = ()
    rule: str = ""

    @property
    def concerns_us(self) -> bool:
        """Whether the item's text may be opened."""
        return self.outcome in ("logged", "held")


@dataclass(slots=True)
class _Found:
    rule: str
    score: float
    contacts: dict[int, ContactRef] = field(default_factory=dict)
    companies: set[int] = field(default_factory=set)
    reasons: list[str] = field(default_factory=list)


def decide(view: View, book: Book) -> Decision:
    """What becomes of one item."""
    if view.place != "mail":
        return Decision("ignored", {"draft": "draft", "spam": "spam", "trash": "trash", "chat": "chat"}[view.place])
    if view.private:
        return Decision("ignored", "private event")
    direction = _direction(view, book)
    outsiders = [person for person in view.people if not book.is_ours(person.address)]
    if not outsiders:
        return Decision("internal", "between colleagues") if view.people else Decision("ignored", "nobody on it")
    refusal = _refusal(view, outsiders, book)
    if refusal:
        return Decision("ignored", refusal)
    found = _who(view, outsiders, book)
    if found is None:
        return Decision("ignored", "machine mail" if view.machine else "no contact")
    companies = tuple(sorted(found.companies))
    return replace(_which_deal(view, found, book, direction), companies=companies)


def _direction(view: View, book: Book) -> str:
    if view.outbound:
        return "outbound"
    senders = [person for person in view.people if person.role in SENDER_ROLES]
    from_us = bool(senders) and all(book.is_ours(person.address) for person in senders)
    return "outbound" if from_us else "inbound"


def _refusal(view: View, outsiders: Sequence[Person], book: Book) -> str:
    if book.blocked_labels and not book.blocked_labels.isdisjoint(label.lower() for label in view.labels):
        return "blocked label"
    sender = next((person.address for person in view.people if person.role in SENDER_ROLES), "")
    known = book.contact(sender) if sender else None
    if sender and (book.is_blocked(sender) or (known is not None and known[0].never_log)):
        return "blocked"
    if all(book.is_blocked(person.address) or _never(person, book) for person in outsiders):
        return "blocked"
    if view.kind == "meeting" and view.declined:
        return "declined by us"
    if view.machine == "calendar" and book.calendar_synced:
        return "calendar notice"
    return ""


def _never(person: Person, book: Book) -> bool:
    known = book.contact(person.address)
    return known is not None and known[0].never_log


def _who(view: View, outsiders: Sequence[Person], book: Book) -> _Found | None:
    exact = _by_address(outsiders, book)
    if exact is not None:
        return exact
    if view.machine and view.machine not in PERSONAL_MACHINES:
        return None
    return _by_thread(view, book) or _by_domain(outsiders, book)


def _by_address(outsiders: Sequence[Person], book: Book) -> _Found | None:
    found = _Found("address", 1.0)
    for person in outsiders:
        known = book.contact(person.address)
        if known is None or known[0].never_log or book.is_blocked(person.address) or known[0].id in found.contacts:
            continue
        contact, how = known
        found.contacts[contact.id] = contact
        if contact.company_id:
            found.companies.add(contact.company_id)
        found.score = min(found.score, 0.8 if how == "weak" else 1.0)
        note = {"exact": "", "same": " (the same Gmail mailbox)", "weak": " (without its +tag)"}[how]
        found.reasons.append(f"{contact.name} is a contact{note}")
    return found if found.contacts else None


def _by_thread(view: View, book: Book) -> _Found | None:
    if view.forwarded:
        return None
    if any(thread_id in book.known_threads for thread_id in book.thread_ids(view)):
        return _Found("thread", 0.9, reasons=["it continues a logged conversation"])
    return None


def _by_domain(outsiders: Sequence[Person], book: Book) -> _Found | None:
    found = _Found("domain", 0.7)
    for person in outsiders:
        company = book.company_at(person.domain)
        if company is not None and company not in found.companies and not book.is_blocked(person.address):
            found.companies.add(company)
            found.reasons.append(f"{person.domain} belongs to the company")
    return found if found.companies else None


def _which_deal(view: View, found: _Found, book: Book, direction: str) -> Decision:
    contacts = tuple(found.contacts)
    threads = [] if view.forwarded else book.thread_ids(view)
    taught = [book.choices[("thread", str(key))] for key in threads if ("thread", str(key)) in book.choices]
    if taught and taught[0] in book.deals:
        link = _link(book.deals[taught[0]], "thread", 1.0, ["this conversation was put here by hand"], view)
        return Decision("logged", "thread", direction, contacts, links=(link,), rule="thread")
    tied = [book.deals[key] for thread in threads for key in book.thread_deals.get(thread, []) if key in book.deals]
    live = _open_then(list({deal.id: deal for deal in tied}.values()), view, book)
    if live:
        reasons = list(dict.fromkeys(["it continues a conversation on this deal", *found.reasons[:1]]))
        most = 5 if book.settings["several_deals"] == "all" else 1
        links = tuple(_link(deal, "thread", 0.95, reasons, view) for deal in live[:most])
        return Decision("logged", "thread", direction, contacts, links=links, rule="thread")
    candidates = _candidates(view, found, book)
    if not candidates:
        return Decision("logged", f"{found.rule}, no open deal then", direction, contacts, rule=found.rule)
    if len(candidates) == 1:
        link = _only(candidates[0], view, found, book)
        return Decision("logged", link.rule, direction, contacts, links=(link,), rule=link.rule)
    return _among(candidates, view, found, book, direction)


def _candidates(view: View, found: _Found, book: Book) -> list[DealRef]:
    own = {deal.id: deal for key in found.contacts for deal in [*book.deals_of(key), *_taught(key, book)]}
    mine = _open_then(list(own.values()), view, book)
    if mine:
        return mine
    shared = {deal.id: deal for key in found.companies for deal in book.deals_at(key)}
    return _open_then(list(shared.values()), view, book)


def _taught(contact_id: int, book: Book) -> list[DealRef]:
    """The deal on which a person put this contact's mail, wherever it belongs otherwise."""
    chosen = book.deals.get(book.choices.get(("contact", str(contact_id)), 0))
    return [chosen] if chosen is not None else []


def _only(deal: DealRef, view: View, found: _Found, book: Book) -> LinkTo:
    if any(deal in _taught(key, book) for key in found.contacts):
        return _score(deal, view, found, book)
    return _link(deal, found.rule, found.score, found.reasons, view)


def _open_then(deals: Sequence[DealRef], view: View, book: Book) -> list[DealRef]:
    """The deals that an item of that time may belong to: open then; else closed a little before (grace); else created a
    little later (reach back)."""
    at = view.at
    grace = timedelta(days=book.settings["grace_days"])
    reach = timedelta(days=book.settings["reach_back_days"])
    alive = [d for d in deals if d.created_at <= at and (d.closed_at is None or at < d.closed_at)]
    if alive:
        return alive
    lately = [d for d in deals if d.created_at <= at and d.closed_at is not None and at <= d.closed_at + grace]
    if lately:
        return lately
    later = [d for d in deals if at < d.created_at <= at + reach]
    soonest = min((d.created_at for d in later), default=None)
    return [d for d in later if soonest is not None and d.created_at <= soonest + timedelta(days=1)]


def _among(candidates: list[DealRef], view: View, found: _Found, book: Book, direction: str) -> Decision:
    contacts = tuple(found.contacts)
    ranked = sorted(
        (_score(deal, view, found, book) for deal in candidates),
        key=lambda link: (-link.score, -book.deals[link.deal_id].created_at.timestamp()),
    )
    first, second = ranked[0], ranked[1]
    if first.score > second.score + 0.001:
        return Decision("logged", first.rule, direction, contacts, links=(first,), rule=first.rule)
    policy = book.settings["several_deals"]
    if policy == "newest":
        newest = max(candidates, key=lambda deal: (deal.created_at, deal.id))
        link = _link(newest, found.rule, 0.6, [*found.reasons, "the newest of several open deals"], view)
        return Decision("logged", "newest deal", direction, contacts, links=(link,), rule=found.rule)
    if policy == "all":
        links = tuple(
            _link(book.deals[link.deal_id], found.rule, 0.5, [*found.reasons, "one of several open deals"], view)
            for link in ranked[:5]
        )
        return Decision("logged", "all open deals", direction, contacts, links=links, rule=found.rule)
    reason = f"{len(candidates)} open deals fit"
    return Decision("held", reason, direction, contacts, candidates=tuple(ranked[:5]), rule=found.rule)


def _score(deal: DealRef, view: View, found: _Found, book: Book) -> LinkTo:
    """How well one of several deals fits. Steps are far enough apart that a higher rule always outweighs a lower one."""
    score, reasons, rule = 0.4, list(found.reasons), found.rule
    if any(book.choices.get(("contact", str(key))) == deal.id for key in found.contacts):
        score, rule = score + 0.3, "taught"
        reasons.append("you put this contact's mail here before")
    present = [key for key in found.contacts if key in deal.roles]
    with_role = [key for key in present if deal.roles[key]]
    if present:
        score += 0.02 * min(len(present), 4)
        names = ", ".join(found.contacts[key].name for key in present[:3])
        reasons.append(f"{names} {'takes' if len(present) == 1 else 'take'} part in this deal")
        rule = rule if rule == "taught" else "role"
    if with_role:
        score += 0.1
        reasons.append(f"{found.contacts[with_role[0]].name} is its {deal.roles[with_role[0]]}")
    if deal.owner_id is not None and any(
        person.address in book.owner_addresses.get(deal.owner_id, set()) for person in view.people
    ):
        score += 0.01
        reasons.append("its owner took part")
        rule = rule if rule in ("taught", "role") else "owner"
    return _link(deal, rule, round(score, 3), reasons, view)


def _link(deal: DealRef, rule: str, score: float, reasons: list[str], view: View) -> LinkTo:
    return LinkTo(deal.id, rule, score, tuple(reasons[:6]), deal.stage_at(view.at))
