"""Whom a mail says that a user corresponds with: pure rules on its headers, and the one place where they become rows.

A mail counts when a person wrote it and no machine; to a person when the mailbox's owner wrote it to few, and from a person
when they are its author. A task's address (info@) counts as an author only where a person's name stands before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import select

from models.contact import Contact
from models.discovery import Exchange, note_exchanges
from models.fields import EPOCH
from models.ledger import WRITTEN, WROTE
from models.roles import is_role, signed_by_person
from worker.announce import HISTORY_GRACE
from worker.book import Book
from worker.case import Case, Logging
from worker.rows import clean
from worker.view import Person, View

MOST_ADDRESSED = 15
"""Outsiders on a mail of ours; one to more of them is a circular."""


def ways_of(view: View, book: Book, user_id: int) -> dict[str, tuple[int, str]]:
    """Of each unknown person on a mail: who wrote to whom, and how they are called. Empty where it tells nothing."""
    if view.kind != "email" or view.place != "mail" or view.machine:
        return {}
    authors = [person for person in view.people if person.role == "from"]
    if view.outbound or any(book.is_of(user_id, person.address) for person in authors):
        strangers = _strangers([person for person in view.people if person.role in ("to", "cc", "bcc")], book)
        few = len({person.address for person in strangers}) <= MOST_ADDRESSED
        return {person.address: (WRITTEN, _shown(person)) for person in strangers} if few else {}
    return {
        person.address: (WROTE, _shown(person))
        for person in _strangers(authors, book)
        if not is_role(person.address) or signed_by_person(person.name, person.address)
    }


def ways(work: Logging, case: Case) -> dict[str, tuple[int, str]]:
    """The same of one case; nothing of what is kept out of the books."""
    if case.decision.outcome == "internal" or case.decision.reason in ("blocked", "blocked label"):
        return {}
    return ways_of(case.view, work.book, work.account.user_id)


def discover(work: Logging, cases: Sequence[Case]) -> None:
    """Note the exchanges of a page; its ledger entries and their hashes are stored already."""
    found = [
        Exchange(address, work.hasher.digest(address), name, way, case.view.at)
        for case in cases
        for address, (way, name) in ways(work, case).items()
    ]
    if not found:
        return
    early = work.session.exec(select(Contact.id).limit(1)).first() is None
    since = EPOCH if work.announce_all else work.account.connected_at - HISTORY_GRACE
    note_exchanges(work.session, work.account.user_id, found, early=early, since=since, now=work.now)


def _strangers(people: Sequence[Person], book: Book) -> list[Person]:
    return [
        person
        for person in people
        if not (book.is_ours(person.address) or book.contact(person.address) or book.is_blocked(person.address))
    ]


def _shown(person: Person) -> str:
    """A display name, unless it merely repeats an address."""
    name = " ".join(clean(person.name).split()).strip("'\"")[:200]
    return "" if "@" in name else name
