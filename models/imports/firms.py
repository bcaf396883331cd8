"""Which company a row means: by its domain, else by exactly this name; else a new one. A free-mail domain says nothing."""

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, func, select

from models.addresses import canonical_domain, domain_of, registrable
from models.contact import Company, CompanyDomain, add_company, company_of_domain, is_free_mail, learn_domain
from models.db import chunks


class Firms:
    """The companies of one part of an import, read at once. ``fresh_domains``: what companies have gained in it;
    ``written``: how often something was."""

    def __init__(self, session: Session, names: Iterable[str], domains: Iterable[str], *, now: datetime) -> None:
        self._session, self._now = session, now
        self._by_name: dict[str, int] = {}
        self._by_domain: dict[str, int | None] = {}
        self._names: dict[int, str] = {}
        self._held: list[Company] = []  # so that the session need not read them again for each row
        self.fresh_domains: list[str] = []
        self.written = 0
        wanted = {name for name in names if name}
        for part in chunks(wanted | {name.lower() for name in wanted}):
            found = select(Company).where((col(Company.name).in_(part)) | func.lower(Company.name).in_(part))
            for row in session.exec(found.order_by(col(Company.id).desc())):
                self._know(row)
        self._bare = set(self._names) - _with_domains(session, self._names)
        for part in chunks({registrable(one) for one in domains if one}):
            rows = session.exec(
                select(CompanyDomain.domain, Company.id, Company.name)
                .join(Company, col(Company.id) == CompanyDomain.company_id)
                .where(col(CompanyDomain.domain).in_(part))
            )
            for domain, key, name in rows:
                self._by_domain[domain] = key or 0
                self._names[key or 0] = name

    def find(self, name: str, domains: list[str], address: str) -> tuple[int | None, list[str]]:
        """(company id or None, what to say) of a row that names a company, domains or, at least, somebody's address. A
        company is made only for a name or a domain, never for an address alone; the address's domain becomes that of a
        company that has none yet."""
        own = domain_of(address) if address else ""
        hint = own if own and not is_free_mail(own) else ""
        said = [
            f"{one} is a free-mail provider and says nothing about a company." for one in domains if is_free_mail(one)
        ]
        domains = [one for one in domains if not is_free_mail(one)]
        key = next((found for one in domains if (found := self._of_domain(one))), None) or self._by_name.get(
            _fold(name)
        )
        if key is None and name and hint and (key := self._of_domain(hint)) is not None:
            said.append(
                f"{name!r}: {hint} belongs to {self._names.get(key, '')!r}, so they are taken for the same company."
            )
        if key is None and not name and not domains:
            return (self._of_domain(hint) if hint else None), said
        if key is None:
            key = self._make(name or domains[0], domains)
        self._learn(key, [hint] if hint and not domains and key in self._bare else domains)
        return key, said

    def _of_domain(self, domain: str) -> int | None:
        clean = registrable(canonical_domain(domain))
        if clean not in self._by_domain:
            self._by_domain[clean] = company_of_domain(self._session, clean) if clean else None
        key = self._by_domain[clean]
        if key and key not in self._names:
            row = self._session.get(Company, key)
            if row is not None:
                self._know(row)
        return key

    def _make(self, name: str, domains: list[str]) -> int:
        self.written += 1
        company = add_company(self._session, name[:200], [], now=self._now)
        self._know(company)
        self._bare.add(company.id or 0)
        return company.id or 0

    def _learn(self, key: int, domains: list[str]) -> None:
        for domain in domains:
            clean = registrable(canonical_domain(domain))
            if clean and self._of_domain(clean) is None:
                self.written += 1
                learn_domain(self._session, key, clean)
                self._by_domain[clean] = key
                self._bare.discard(key)
                self.fresh_domains.append(clean)

    def _know(self, row: Company) -> None:
        self._held.append(row)
        self._by_name[_fold(row.name)] = row.id or 0
        self._names[row.id or 0] = row.name


def _with_domains(session: Session, ids: Iterable[int]) -> set[int]:
    found: set[int] = set()
    for part in chunks(ids):
        found |= set(
            session.exec(select(CompanyDomain.company_id).where(col(CompanyDomain.company_id).in_(part))).all()
        )
    return found


def _fold(name: str) -> str:
    return " ".join(name.casefold().split())
