"""What becomes of an item and who it concerns: pure decisions, each with its reason.

Order: where it lies -> ours only -> blocked -> machine mail -> exact address -> thread -> company's domain; then
``placement`` says on which deals it stands. Nothing here looks at a subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.erasure import NOBODY, WHY
from models.ours import is_marked
from worker.book import Book
from worker.placement import Customer, LinkTo, place
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
RECEIVERS = ("to", "cc", "bcc")
PERSONAL_MACHINES = {"bounce", "auto_reply"}
"""Machine mail that says something about the person it comes from: a company's domain is enough for it. The rest is logged
only where an exact contact takes part, or in a known conversation."""


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
        return Decision("internal", "between colleagues")
    if from_us and is_marked((p.address for p in view.people if p.role in RECEIVERS), book.settings):
        return Decision("ignored", "marked not to be logged")
    refusal = _refusal(view, authors, outsiders, book)
    if refusal:
        return Decision("ignored", refusal)
    customers = _who(view, [person for person in outsiders if not book.is_excluded(person.address)], book)
    if customers is None:
        return Decision("ignored", "machine mail" if view.machine else "no contact")
    where = place(view, customers, book)
    return Decision(
        where.outcome,
        where.reason,
        "outbound" if from_us else "inbound",
        contacts=tuple(key for customer in customers for key in customer.contacts),
        companies=tuple(sorted({key for customer in customers for key in customer.companies})),
        links=where.links,
        candidates=where.candidates,
        rule=where.rule,
    )


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
