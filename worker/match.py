"""What becomes of an item and who it concerns: pure decisions, each with its reason.

Order: where it lies -> ours only -> blocked -> machine mail -> exact address -> thread -> company's domain; then
``placement`` says on which deals it stands. Nothing here looks at a subject. Whom the answers go to is a mere hint
(provider-contract 8.5): where a list or a form of ours hands a mail on, it may hold it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from models.addresses import weak
from models.erasure import NOBODY, WHY
from models.ours import is_marked
from worker.book import Book
from worker.placement import Customer, LinkTo, Placement, place
from worker.view import SENDER_ROLES, Person, View

Outcome = Literal["logged", "held", "ignored", "internal"]
RECEIVERS = ("to", "cc", "bcc")
RELAYS = ("list", "notification")
"""Machine mail that may carry a person's words: a list that writes in its own name (DMARC), a form on a web site."""
HINT = "reply"
"""The rule of what was held because a contact gets the answers."""
PERSONAL_MACHINES = {"bounce", "auto_reply"}
"""Machine mail that says something about the person it comes from: a company's domain is enough for it. The rest is logged
only where an exact contact takes part, or in a known conversation."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an item. ``contacts`` took part, of ``companies``; ``candidates`` are offered when it is held.
    ``hinted``: nothing but who gets the answers told the customer."""

    outcome: Outcome
    reason: str
    direction: str = "inbound"
    contacts: tuple[int, ...] = ()
    companies: tuple[int, ...] = ()
    links: tuple[LinkTo, ...] = ()
    candidates: tuple[LinkTo, ...] = ()
    rule: str = ""
    hinted: bool = False

    @property
    def concerns_us(self) -> bool:
        """Whether the item's text may be opened."""
        return self.outcome in ("logged", "held")


def decide(view: View, book: Book) -> Decision:
    """What becomes of one item."""
    if view.place != "mail":
        return Decision("ignored", {"draft": "draft", "spam": "spam", "trash": "trash", "chat": "chat"}[view.place])
    if view.private:
        return Decision("ignored", "private event")
    if not view.people:
        return Decision("ignored", "nobody on it")
    authors = _authors(view)
    from_us = view.outbound or (bool(authors) and all(book.is_ours(person.address) for person in authors))
    outsiders = [person for person in view.people if not book.is_ours(person.address)]
    if from_us:
        outsiders = [person for person in outsiders if person.role != "sender"]
    if not outsiders and (from_us or view.kind == "meeting"):
        return _handed_on(view, authors, book) or Decision("internal", "between colleagues")
    if from_us and is_marked((p.address for p in view.people if p.role in RECEIVERS), book.settings):
        return Decision("ignored", "marked not to be logged")
    refusal = _refusal(view, authors, outsiders, book)
    if refusal:
        return Decision("ignored", refusal)
    customers = _who(view, [person for person in outsiders if not book.is_excluded(person.address)], book)
    if customers is None:
        unknown = Decision("ignored", "machine mail" if view.machine else "no contact")
        return _handed_on(view, authors, book) or unknown
    return _decided(place(view, customers, book), customers, "outbound" if from_us else "inbound")


def _decided(where: Placement, customers: Sequence[Customer], direction: str) -> Decision:
    return Decision(
        where.outcome,
        where.reason,
        direction,
        contacts=tuple(key for customer in customers for key in customer.contacts),
        companies=tuple(sorted({key for customer in customers for key in customer.companies})),
        links=where.links,
        candidates=where.candidates,
        rule=where.rule,
    )


def _handed_on(view: View, authors: Sequence[Person], book: Book) -> Decision | None:
    """A contact's mail that a list of ours or a web form hands on under another name: held for the mailbox's owner, who sees the
    deals that it may belong to, unless a person put its conversation on one. None where nothing hints at a contact."""
    if view.kind != "email" or view.outbound or view.forwarded or not _relays(view, authors, book):
        return None
    wrote = [person for person in view.hints if not book.is_ours(person.address)]
    if not wrote or _refusal(view, authors, wrote, book):
        return None
    customers = _by_address([person for person in wrote if not book.is_excluded(person.address)], book)
    if not customers:
        return None
    where = place(view, customers, book)
    if where.outcome == "logged" and where.rule != "thread":
        name = next(iter(customers[0].contacts.values())).name
        where = Placement("held", f"answers to it go to {name}", HINT, candidates=where.links)
    return replace(_decided(where, customers, "inbound"), hinted=True)


def _relays(view: View, authors: Sequence[Person], book: Book) -> bool:
    """Whether no person stands as the author: an address of ours that is no colleague's own, or a machine's."""
    own = set().union(*book.owner_addresses.values())
    ours = bool(authors) and all(book.is_ours(person.address) for person in authors)
    if ours:
        return all(own.isdisjoint((person.address, weak(person.address))) for person in authors)
    return view.machine in RELAYS


def _authors(view: View) -> list[Person]:
    """Who wrote it (RFC 5322 3.6.2): From, or who calls the meeting; Sender, which may be a mere transmitter, only where
    there is neither."""
    wrote = [person for person in view.people if person.role in ("from", "organizer")]
    return wrote or [person for person in view.people if person.role in SENDER_ROLES]


def _refusal(view: View, authors: Sequence[Person], outsiders: Sequence[Person], book: Book) -> str:
    if book.blocked_labels and not book.blocked_labels.isdisjoint(label.lower() for label in view.labels):
        return "blocked label"
    if any(person.address == NOBODY for person in authors):
        return WHY
    if any(book.is_excluded(person.address) for person in authors):
        return "blocked"
    if outsiders and all(person.address == NOBODY for person in outsiders):
        return WHY
    if outsiders and all(book.is_excluded(person.address) for person in outsiders):
        return "blocked"
    if view.kind == "meeting" and view.declined:
        return "declined by us"
    if view.machine == "calendar" and book.calendar_synced:
        return "calendar notice"
    return ""


def _who(view: View, outsiders: Sequence[Person], book: Book) -> list[Customer] | None:
    """The customers that an item concerns; empty where only its thread is known; None where nobody is."""
    exact = _by_address(outsiders, book)
    if exact:
        return exact
    if not view.forwarded and any(thread_id in book.known_threads for thread_id in book.thread_ids(view)):
        return []
    if view.machine and view.machine not in PERSONAL_MACHINES:
        return None
    return _by_domain(outsiders, book) or None


def _by_address(outsiders: Sequence[Person], book: Book) -> list[Customer]:
    """Contacts on the item, those of one company together."""
    found: dict[tuple[str, int], Customer] = {}
    for person in outsiders:
        known = book.contact(person.address)
        if known is None:
            continue
        contact, how = known
        key = ("company", contact.company_id) if contact.company_id else ("contact", contact.id)
        customer = found.setdefault(key, Customer("address", 1.0))
        if contact.id in customer.contacts:
            continue
        customer.contacts[contact.id] = contact
        if contact.company_id:
            customer.companies.add(contact.company_id)
        customer.score = min(customer.score, 0.8 if how == "weak" else 1.0)
        note = {"exact": "", "same": " (the same Gmail mailbox)", "weak": " (without its +tag)"}[how]
        customer.reasons.append(f"{contact.name} is a contact{note}")
    return list(found.values())


def _by_domain(outsiders: Sequence[Person], book: Book) -> list[Customer]:
    """Companies whose domains are on the item."""
    found: dict[int, Customer] = {}
    for person in outsiders:
        company = book.company_at(person.domain)
        if company is not None and company not in found:
            found[company] = Customer("domain", 0.7, companies={company})
            found[company].reasons.append(f"{person.domain} belongs to the company")
    return list(found.values())
