"""Rows of contacts: somebody known by any of their addresses is brought up to date, everybody else is new."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session, col, select

from models.addresses import domain_of
from models.contact import Contact, ContactAddress, Newcomer, add_contact, add_contacts, addresses_of, set_addresses
from models.db import chunks
from models.imports.cells import read_addresses, read_domains, read_yes
from models.imports.firms import Firms
from models.imports.rows import Cells, Fault, Outcome


@dataclass
class Person:
    """A row as it was read."""

    name: str
    emails: list[str]
    company: str
    domains: list[str]
    title: str
    phone: str
    never_log: bool | None
    said: list[str] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """What the row is known by."""
        return self.emails


def read_person(cells: Cells) -> Person:
    """Pure. Raises Fault for a row without an address."""
    good, bad = addresses_in(cells, "emails")
    if not good:
        raise Fault(f"{bad[0]!r} is not an e-mail address." if bad else "There is no e-mail address in this row.")
    domains, wrong = domains_in(cells)
    name = cells.text("name") or " ".join(filter(None, (cells.text("first_name"), cells.text("last_name"))))
    yes = [read_yes(cell) for _, cell in cells.filled("never_log")]
    return Person(
        name=name,
        emails=good,
        company=cells.text("company"),
        domains=domains,
        title=cells.text("title"),
        phone=cells.text("phone", 100),
        never_log=yes[0] if yes else None,
        said=[f"{one!r} is not an e-mail address and is left out." for one in bad] + wrong,
    )


def addresses_in(cells: Cells, name: str) -> tuple[list[str], list[str]]:
    """(addresses, what is none) of all cells of a field."""
    good: list[str] = []
    bad: list[str] = []
    for _, cell in cells.filled(name):
        some, others = read_addresses(cell)
        good += [one for one in some if one not in good]
        bad += others
    return good, bad


def domains_in(cells: Cells) -> tuple[list[str], list[str]]:
    """(domains, what to say) of the domain columns."""
    good: list[str] = []
    said: list[str] = []
    for _, cell in cells.filled("domain"):
        some, others = read_domains(cell)
        good += [one for one in some if one not in good]
        said += [f"{one!r} is no domain of a company's own and is left out." for one in others]
    return good, said


class People:
    """The contacts whom a part of an import may mean, read at once. ``fresh``: addresses that contacts have gained;
    ``written``: how often something was."""

    def __init__(self, session: Session, addresses: Iterable[str], firms: Firms, *, now: datetime) -> None:
        self._session, self._firms, self._now = session, firms, now
        self._holders: dict[str, int] = {}
        self.fresh: list[str] = []
        self.written = 0
        for part in chunks(set(addresses)):
            rows = session.exec(
                select(ContactAddress.address, ContactAddress.contact_id).where(col(ContactAddress.address).in_(part))
            )
            self._holders.update(rows.all())
        self._rows: dict[int, Contact] = {}
        self._have: dict[int, list[str]] = {}
        for part in chunks(set(self._holders.values())):
            self._rows |= {row.id or 0: row for row in session.exec(select(Contact).where(col(Contact.id).in_(part)))}
            self._have |= addresses_of(session, part)

    def take(self, person: Person) -> tuple[Outcome, list[str]]:
        """Make or update the contact of a row. Raises Fault when its addresses are two contacts'."""
        row = self.holder(person.emails)
        if row is None:
            new, said = self.newcomer(person)
            self.add(new)
            return "created", said
        company_id, said = self._firms.find(person.company, person.domains, person.emails[0])
        if not person.company and not person.domains:
            company_id = row.company_id or company_id
        changed = self._update(row, person, company_id)
        return ("updated" if changed else "same"), said

    def is_new(self, person: Person) -> bool:
        """Whether nobody has any of a row's addresses."""
        return self._holders.keys().isdisjoint(person.emails)

    def newcomer(self, person: Person) -> tuple[Newcomer, list[str]]:
        """(who a row's new person is to become, what to say); their company is made when it is new."""
        company_id, said = self._firms.find(person.company, person.domains, person.emails[0])
        never = bool(person.never_log)
        return Newcomer(person.name, person.emails, company_id, person.title, person.phone, never), said

    def add_all(self, people: Sequence[Newcomer]) -> None:
        """Make many contacts at once. Raises Conflict, Invalid, and then nobody was made."""
        self.written += 1
        for key, person in zip(add_contacts(self._session, people, now=self._now), people, strict=True):
            self._know(key, person.emails)

    def add(self, person: Newcomer) -> None:
        """The same for one. Raises Conflict, Invalid."""
        row = self._add(person.name, list(person.emails), person.company_id, person.title, person.phone)
        row.never_log = person.never_log

    def holder(self, emails: list[str]) -> Contact | None:
        """Who has these addresses. Raises Fault when two do."""
        found = {self._holders[address]: address for address in emails if address in self._holders}
        if len(found) > 1:
            (one, first), (other, second) = list(found.items())[:2]
            raise Fault(
                f"{first} is {self._row(one).name}'s and {second} is {self._row(other).name}'s: these are two contacts."
            )
        return self._row(next(iter(found))) if found else None

    def _row(self, key: int) -> Contact:
        if key not in self._rows:
            self._rows[key] = self._session.get_one(Contact, key)
        return self._rows[key]

    def of_address(self, address: str, name: str, company_id: int | None) -> int:
        """The contact with an address; made when nobody has it."""
        row = self.holder([address]) or self._add(name, [address], company_id, "", "")
        return row.id or 0

    def named(self, name: str, company_id: int | None) -> list[int]:
        """The contacts with exactly this name in a company."""
        if company_id is None:
            return []
        rows = select(Contact.id).where(Contact.company_id == company_id, Contact.name == name).limit(2)
        return [key or 0 for key in self._session.exec(rows).all()]

    def _add(self, name: str, emails: list[str], company_id: int | None, title: str, phone: str) -> Contact:
        self.written += 1
        row = add_contact(
            self._session, name=name, emails=emails, now=self._now, company_id=company_id, title=title, phone=phone
        )
        self._rows[row.id or 0] = row
        self._know(row.id or 0, emails)
        return row

    def _update(self, row: Contact, person: Person, company_id: int | None) -> bool:
        self.written += 1
        wanted = {
            "name": person.name or row.name,
            "title": person.title or row.title,
            "phone": person.phone or row.phone,
            "company_id": company_id or row.company_id,
            "never_log": row.never_log if person.never_log is None else person.never_log,
        }
        changes = {name: value for name, value in wanted.items() if getattr(row, name) != value}
        for name, value in changes.items():
            setattr(row, name, value)
        self._session.add(row)
        have = self._have.get(row.id or 0, [])
        more = [address for address in person.emails if address not in have]
        if more:
            self._know(row.id or 0, set_addresses(self._session, row, [*have, *more]))
        return bool(changes or more)

    def _know(self, key: int, addresses: Iterable[str]) -> None:
        for address in addresses:
            self._holders[address] = key
            self._have.setdefault(key, []).append(address)
            self.fresh.append(address)


def domains_of(people: Iterable[Person]) -> list[str]:
    """Every domain that decides about a company in some rows."""
    return [one for person in people for one in (*person.domains, domain_of(person.emails[0]))]
