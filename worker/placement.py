"""On which deals an item stands: pure, each link with its reasons.

Every customer on the item is asked for by itself, so that a mail to two of them stands on both their timelines. For each:
the deal of its conversation, else the one deal that was open then, else the best of several (what a person taught, the
contact's role, the owner who took part), else a question to the mailbox's owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from worker.book import Book, ContactRef, DealRef
from worker.view import View

MOST_LINKS = 5
CONTINUES = "it continues a conversation on this deal"


@dataclass(frozen=True, slots=True)
class LinkTo:
    """One deal that an item belongs to, and why. As a candidate, ``sure`` says that it is no part of the question: the item
    stands there as well, whichever of the others is chosen."""

    deal_id: int
    rule: str
    score: float
    reasons: tuple[str, ...]
    stage_id: int | None
    sure: bool = False


@dataclass(slots=True)
class Customer:
    """A company, or a person without one, that takes part; found by ``address`` or by ``domain``."""

    rule: str
    score: float
    contacts: dict[int, ContactRef] = field(default_factory=dict)
    companies: set[int] = field(default_factory=set)
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where it stands, or what is asked."""

    outcome: Literal["logged", "held"]
    reason: str
    rule: str
    links: tuple[LinkTo, ...] = ()
    candidates: tuple[LinkTo, ...] = ()


def place(view: View, customers: Sequence[Customer], book: Book) -> Placement:
    """The deals of one item, for the customers that take part in it (none: only its conversation is known)."""
    threads = [] if view.forwarded else book.thread_ids(view)
    tied = _tied(threads, view, book)
    chosen = _by_hand(threads, book)
    if chosen is not None:
        return _put_by_hand(chosen, tied, customers, view, book)
    known = [customer for customer in customers if any(_takes_part(customer, deal) for deal in tied)]
    answers = [_of_thread(tied, known, view, book)] if tied else []
    others = [customer for customer in customers if customer not in known]
    answers += [_of_customer(customer, deals, view, book) for customer, deals in _joined(others, view, book)]
    return _verdict(answers, default=customers[0].rule if customers else "thread", conversation=bool(tied))


def _verdict(answers: Sequence[Placement], *, default: str, conversation: bool) -> Placement:
    """Everything about one item together. Where a conversation has its deal, others who join it raise no question."""
    sure = _once(link for answer in answers for link in answer.links)[:MOST_LINKS]
    questions = [answer for answer in answers if answer.outcome == "held"]
    if questions and not conversation:
        asked = _once(link for question in questions for link in question.candidates)[:MOST_LINKS]
        told = [replace(link, sure=True) for link in sure]
        return Placement("held", questions[0].reason, questions[0].rule, candidates=(*asked, *told))
    if not sure:
        return Placement("logged", f"{default}, no open deal then", default)
    first = next(answer for answer in answers if answer.links)
    return Placement("logged", first.reason, first.rule, tuple(sure))


def _once(links: Iterable[LinkTo]) -> list[LinkTo]:
    """Each deal once, the first word about it."""
    return list({link.deal_id: link for link in reversed(list(links))}.values())[::-1]


# ---- the conversation


def _by_hand(threads: Sequence[int], book: Book) -> DealRef | None:
    """The deal on which a person put the conversation."""
    chosen = (book.deals.get(book.choices.get(("thread", str(key)), 0)) for key in threads)
    return next((deal for deal in chosen if deal is not None), None)


def _put_by_hand(
    chosen: DealRef, tied: Sequence[DealRef], customers: Sequence[Customer], view: View, book: Book
) -> Placement:
    """Where a person put the conversation; other customers, about whom that said nothing, stay where they are in it."""
    links = [_link(chosen, "thread", 1.0, ["this conversation was put here by hand"], view)]
    others = [
        c for c in customers if not _takes_part(c, chosen) and not any(chosen in _taught(k, book) for k in c.contacts)
    ]
    theirs = [deal for deal in tied if deal.id != chosen.id]
    known = [customer for customer in others if any(_takes_part(customer, deal) for deal in theirs)]
    links += _of_thread(theirs, known, view, book).links if known else ()
    return Placement("logged", "thread", "thread", tuple(_once(links)))


def _tied(threads: Sequence[int], view: View, book: Book) -> list[DealRef]:
    """The deals of the conversation that were open then, the latest used first."""
    ids = [key for thread in threads for key in book.thread_deals.get(thread, []) if key in book.deals]
    return _open_then([book.deals[key] for key in dict.fromkeys(ids)], view, book)


def _of_thread(tied: Sequence[DealRef], known: Sequence[Customer], view: View, book: Book) -> Placement:
    """The conversation's deal for each customer who takes part in one; where none does, one of each customer's in it."""
    every = book.settings["several_deals"] == "all"
    chosen: list[tuple[DealRef, list[str]]] = []
    for customer in known:
        theirs = [deal for deal in tied if _takes_part(customer, deal)]
        chosen += [(deal, customer.reasons[:1]) for deal in (theirs if every else theirs[:1])]
    if not known:
        firsts = {(deal.company_id or -deal.id): deal for deal in reversed(tied)}
        chosen = [(deal, []) for deal in tied if every or firsts[deal.company_id or -deal.id] is deal]
    links = tuple(_link(deal, "thread", 0.95, [CONTINUES, *reasons], view) for deal, reasons in chosen)
    return Placement("logged", "thread", "thread", links)


def _takes_part(customer: Customer, deal: DealRef) -> bool:
    return deal.company_id in customer.companies or not customer.contacts.keys().isdisjoint(deal.roles)


# ---- each customer


def _joined(customers: Sequence[Customer], view: View, book: Book) -> list[tuple[Customer, list[DealRef]]]:
    """Customers with the deals that fit them, those with a deal in common made one (a partner on another's deal)."""
    groups: list[tuple[Customer, list[DealRef]]] = []
    for customer in customers:
        deals = _candidates(customer, view, book)
        if not deals:
            continue
        alike = [group for group in groups if any(deal in group[1] for deal in deals)]
        for other, theirs in alike:
            customer = _both(other, customer)
            deals = list({deal.id: deal for deal in (*theirs, *deals)}.values())
        groups = [group for group in groups if group not in alike] + [(customer, deals)]
    return groups


def _both(one: Customer, other: Customer) -> Customer:
    return Customer(
        one.rule,
        min(one.score, other.score),
        one.contacts | other.contacts,
        one.companies | other.companies,
        [*one.reasons, *other.reasons],
    )


def _candidates(customer: Customer, view: View, book: Book) -> list[DealRef]:
    """A customer's deals at that time: those its contacts take part in, else its company's."""
    own = {deal.id: deal for key in customer.contacts for deal in [*book.deals_of(key), *_taught(key, book)]}
    mine = _open_then(list(own.values()), view, book)
    if mine:
        return mine
    shared = {deal.id: deal for key in customer.companies for deal in book.deals_at(key)}
    return _open_then(list(shared.values()), view, book)


def _taught(contact_id: int, book: Book) -> list[DealRef]:
    """The deal on which a person put this contact's mail, wherever it belongs otherwise."""
    chosen = book.deals.get(book.choices.get(("contact", str(contact_id)), 0))
    return [chosen] if chosen is not None else []


def _of_customer(customer: Customer, deals: list[DealRef], view: View, book: Book) -> Placement:
    if len(deals) > 1:
        return _among(deals, customer, view, book)
    deal = deals[0]
    if any(deal in _taught(key, book) for key in customer.contacts):
        link = _score(deal, customer, view, book)
    else:
        link = _link(deal, customer.rule, customer.score, customer.reasons, view)
    return Placement("logged", link.rule, link.rule, (link,))


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


def _among(deals: list[DealRef], customer: Customer, view: View, book: Book) -> Placement:
    ranked = sorted(
        (_score(deal, customer, view, book) for deal in deals),
        key=lambda link: (-link.score, -book.deals[link.deal_id].created_at.timestamp(), link.deal_id),
    )
    first, second = ranked[0], ranked[1]
    if first.score > second.score + 0.001:
        rule = _decisive(first, second, customer, view, book)
        return Placement("logged", rule, rule, (replace(first, rule=rule),))
    policy = book.settings["several_deals"]
    if policy == "newest":
        newest = max(deals, key=lambda deal: (deal.created_at, deal.id))
        link = _link(newest, customer.rule, 0.6, [*customer.reasons, "the newest of several open deals"], view)
        return Placement("logged", "newest deal", customer.rule, (link,))
    if policy == "all":
        reasons = [*customer.reasons, "one of several open deals"]
        links = tuple(_link(book.deals[one.deal_id], customer.rule, 0.5, reasons, view) for one in ranked[:MOST_LINKS])
        return Placement("logged", "all open deals", customer.rule, links)
    return Placement("held", f"{len(deals)} open deals fit", customer.rule, candidates=tuple(ranked[:MOST_LINKS]))


def _score(deal: DealRef, customer: Customer, view: View, book: Book) -> LinkTo:
    """How well one of several deals fits, by the first step that speaks for it."""
    steps = _steps(deal, customer, view, book)
    rule = next((name for name, (points, _) in steps.items() if points), customer.rule)
    reasons = [*customer.reasons, *(reason for _, said in steps.values() for reason in said)]
    return _link(deal, rule, round(0.4 + sum(points for points, _ in steps.values()), 3), reasons, view)


def _steps(deal: DealRef, customer: Customer, view: View, book: Book) -> dict[str, tuple[float, list[str]]]:
    """What speaks for a deal, the weightiest first, as (points, reasons). Points are far enough apart that a higher step
    always outweighs the lower ones."""
    present = [key for key in customer.contacts if key in deal.roles]
    with_role = [key for key in present if deal.roles[key]]
    points, role = 0.02 * min(len(present), 4), []
    if present:
        names = ", ".join(customer.contacts[key].name for key in present[:3])
        role.append(f"{names} {'takes' if len(present) == 1 else 'take'} part in this deal")
    if with_role:
        points += 0.1
        role.append(f"{customer.contacts[with_role[0]].name} is its {deal.roles[with_role[0]]}")
    taught = any(book.choices.get(("contact", str(key))) == deal.id for key in customer.contacts)
    owner = any(book.is_of(deal.owner_id, person.address) for person in view.people)
    return {
        "taught": (0.3, ["you put this contact's mail here before"]) if taught else (0.0, []),
        "role": (points, role),
        "owner": (0.01, ["its owner took part"]) if owner else (0.0, []),
    }


def _decisive(first: LinkTo, second: LinkTo, customer: Customer, view: View, book: Book) -> str:
    """The step in which the best of several is ahead of the next."""
    one, other = (_steps(book.deals[link.deal_id], customer, view, book) for link in (first, second))
    return next(name for name in one if one[name][0] > other[name][0])


def _link(deal: DealRef, rule: str, score: float, reasons: Sequence[str], view: View) -> LinkTo:
    return LinkTo(deal.id, rule, score, tuple(reasons[:6]), deal.stage_at(view.at))
