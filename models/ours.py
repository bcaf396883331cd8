"""Who is one of us: the one rule by which matching, discovery and merging tell colleagues from customers."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from models.account import Account, AccountAddress
from models.addresses import canonical, canonical_domain, domain_of, lineage, registrable, same_mailbox, weak
from models.contact import CompanyDomain, is_free
from models.interaction import Block
from models.user import User


@dataclass(slots=True)
class Ours:
    """Our addresses and domains; ``by_user``: whose addresses are whose."""

    addresses: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    by_user: dict[int, set[str]] = field(default_factory=dict)

    def has(self, address: str) -> bool:
        """Whether an address is a colleague's (or a connected account's own), with or without a plus tag."""
        return is_ours(address, self.addresses, self.domains)


def is_ours(address: str, addresses: set[str], domains: set[str]) -> bool:
    """Whether an address is among ours, with or without a plus tag, or at one of our domains."""
    if address in addresses or weak(address) in addresses:
        return True
    domain = domain_of(address)
    return domain in domains or registrable(domain) in domains


def load_ours(session: Session, settings: dict[str, Any]) -> Ours:
    """Users, invited users, connected accounts with their aliases, and what the team configured."""
    mine = [(user.id or 0, user.email) for user in session.exec(select(User)).all()]
    mine += session.exec(select(Account.user_id, Account.email)).all()
    aliases = session.exec(
        select(Account.user_id, AccountAddress.address).join(Account, col(Account.id) == AccountAddress.account_id)
    ).all()
    configured = {canonical(address) for address in settings["internal_addresses"]} - {""}
    ours = Ours({canonical(email) for _, email in [*mine, *aliases]} | configured)
    ours.addresses |= {same_mailbox(address) for address in ours.addresses}
    domains = {domain_of(canonical(email)) for _, email in mine}
    domains |= {canonical_domain(domain) for domain in settings["internal_domains"]}
    domains |= _of_nobody_else(session, {domain_of(canonical(email)) for _, email in aliases})
    ours.domains = {registrable(domain) for domain in domains if domain and not is_free(domain, settings)}
    for user_id, email in [*mine, *aliases]:
        ours.by_user.setdefault(user_id, set()).update((canonical(email), weak(canonical(email))))
    return ours


def blocked_values(
    session: Session, user_id: int | None, *, without: Container[int | None] = ()
) -> tuple[set[str], set[str]]:
    """(addresses and domains, labels) that are never logged: the team's, and this user's own; some blocks left out."""
    values: set[str] = set()
    labels: set[str] = set()
    for block in session.exec(select(Block)):
        if block.id in without:
            continue
        if block.user_id is None or (user_id is not None and block.user_id == user_id):
            value = block.value.strip().lower()
            if block.kind == "label":
                labels.add(value)
            else:
                values |= {value, same_mailbox(value)}
    return values, labels


def is_marked(addresses: Iterable[str], settings: dict[str, Any]) -> bool:
    """Whether one of the receivers of a mail of ours is the address that keeps it out of the books."""
    marks = {form for one in settings["no_log_addresses"] for form in (one, weak(one))}
    return bool(marks) and any(not marks.isdisjoint((address, weak(address))) for address in addresses)


def is_blocked(address: str, values: set[str]) -> bool:
    """Whether the block list names an address (with or without a plus tag), its domain or one above that."""
    return bool(values) and not values.isdisjoint((address, weak(address), *lineage(domain_of(address))))


def _of_nobody_else(session: Session, domains: Iterable[str]) -> set[str]:
    """Domains of send-as addresses, but for a customer's: who has an address there does not make all of it ours."""
    domains = set(domains)
    names = {one for domain in domains for one in lineage(domain)}
    theirs = set(session.exec(select(CompanyDomain.domain).where(col(CompanyDomain.domain).in_(names))).all())
    return {domain for domain in domains if theirs.isdisjoint(lineage(domain))}
