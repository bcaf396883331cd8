"""What a row about a deal says, before anybody is asked what it means here. Pure."""

import re
from dataclasses import dataclass, field
from datetime import date, datetime

from models.deal import check_amount
from models.imports.cells import read_amount, read_date, text_of
from models.imports.people import addresses_in, domains_in
from models.imports.rows import Cells, Fault


@dataclass
class Chance:
    """A row as it was read."""

    external_id: str
    name: str
    company: str
    domains: list[str]
    contacts: list[str]
    emails: list[str]
    owner: str
    pipeline: str
    stage: str
    status: str
    amount_minor: int | None
    currency: str
    created_at: datetime | None
    expected: date | None
    closed_at: datetime | None
    won_at: datetime | None
    lost_at: datetime | None
    stage_since: datetime | None
    reason: str
    next_step: str
    said: list[str] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """What the row is known by."""
        named = "\0".join((self.name.casefold(), self.company.casefold(), *self.domains[:1]))
        return [f"id\0{self.external_id}" if self.external_id else named]

    def leave_out(self, addresses: set[str], why: str) -> None:
        """The deal comes without these people."""
        if len(self.contacts) == len(self.emails):
            pairs = zip(self.contacts, self.emails, strict=True)
            self.contacts = [name for name, address in pairs if address not in addresses]
        else:
            self.contacts = []
        self.emails = [address for address in self.emails if address not in addresses]
        self.said.append(why)


def read_chance(cells: Cells) -> Chance:
    """Pure. Raises Fault."""
    domains, said = domains_in(cells)
    emails, bad = addresses_in(cells, "contact_emails")
    company = cells.text("company")
    if "company" in cells and not company and not domains:
        said.append(f"There is no company in the column {cells.plan.columns[cells.plan.places['company'][0]]}.")
    money = cells.amount("amount", read_amount)
    _check(money)
    expected, closed = cells.date("expected_close", read_date), cells.date("close_date", read_date)
    return Chance(
        external_id=cells.text("external_id", 100),
        name=_name(cells, company, domains),
        company=company,
        domains=domains,
        contacts=_names(cells),
        emails=emails,
        owner=cells.text("owner"),
        pipeline=cells.text("pipeline"),
        stage=cells.text("stage"),
        status=cells.text("status"),
        amount_minor=money[0] if money else None,
        currency=_currency(cells, money),
        created_at=cells.date("created_at", read_date),
        expected=(expected or closed).date() if expected or closed else None,  # pyright: ignore[reportOptionalMemberAccess]
        closed_at=closed,
        won_at=cells.date("won_at", read_date),
        lost_at=cells.date("lost_at", read_date),
        stage_since=cells.date("stage_since", read_date),
        reason=cells.text("close_reason", 500),
        next_step=cells.text("next_step", 2_000),
        said=said + [f"{one!r} is not an e-mail address and is left out." for one in bad],
    )


def _name(cells: Cells, company: str, domains: list[str]) -> str:
    """A deal's name; without one, what is sold; else to whom."""
    name = (
        cells.text("name") or cells.text("product") or company or "".join(domains[:1]) or cells.text("external_id", 100)
    )
    if not name:
        raise Fault("There is nothing in this row that could name the deal.")
    return name


def _names(cells: Cells) -> list[str]:
    whole = ";".join(text_of(cell) for _, cell in cells.filled("contact_names"))
    return [name for name in (" ".join(part.split()) for part in re.split(r"[;|\n]", whole)) if name][:50]


def _currency(cells: Cells, money: tuple[int, str] | None) -> str:
    said = cells.text("currency", 40)
    found = re.search(r"\b([A-Za-z]{3})\b", said) if said else None
    signs = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY"}
    if said and not found and said not in signs:
        raise Fault(f"{said!r} is not a currency; three letters are, such as EUR.")
    return found[1].upper() if found else signs.get(said, "") or (money[1] if money else "")


def _check(money: tuple[int, str] | None) -> None:
    if money is not None:
        check_amount(money[0])
