"""What a person decides about discovered people, each decision with its undo: contact, contact and deal, ignore, never."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from models import reach
from models.addresses import domain_of
from models.contact import (
    Company,
    Contact,
    ContactAddress,
    company_for_domain,
    company_of_domain,
    contact_for_address,
    is_free_mail,
)
from models.deal import Actor, Deal, DealContact, add_deal
from models.discovery import Discovery, shown_name, still_strangers
from models.errors import Conflict, Invalid, NotFound
from models.keyring import Keyring, hasher
from models.pipeline import FINAL, Stage
from models.removal import remove_company, remove_contact
from models.roles import likely_firm
from models.setting import team_settings
from models.unlogging import forget_search, take_out

DECISIONS = ("contact", "deal", "ignore", "never")
MOST = 500
"""People decided about at once."""


@dataclass
class Decided:
    """What was decided together. ``batch`` undoes it."""

    batch: str
    decision: str
    rows: list[Discovery] = field(default_factory=list)
    contacts: list[int] = field(default_factory=list)
    deals: list[int] = field(default_factory=list)


def decide(
    session: Session, keyring: Keyring, ids: Sequence[int], decision: str, *, user_id: int, now: datetime
) -> Decided:
    """Decide about some of a user's discovered people at once. ``contact`` and ``deal`` start the search for their earlier
    mail. Raises Invalid, NotFound (not this user's), Conflict (decided before)."""
    if decision not in DECISIONS:
        raise Invalid(f"A decision is one of {', '.join(DECISIONS)}.", "decision")
    if not ids:
        raise Invalid("Choose at least one person.", "ids")
    if len(set(ids)) > MOST:
        raise Invalid(f"At most {MOST} people at once.", "ids")
    rows = _waiting(session, ids, user_id)
    done = Decided(secrets.token_hex(8), decision, rows)
    if decision in ("contact", "deal"):
        _accept(session, keyring, done, user_id, now)
    state = {"ignore": "ignored", "never": "never"}.get(decision, "accepted")
    for row in rows:
        row.state, row.decided_at, row.batch = state, now, done.batch
        session.add(row)
    session.flush()
    return done


def undo(session: Session, keyring: Keyring, batch: str, *, user_id: int, now: datetime) -> list[Discovery]:
    """Take a decision back: contacts, companies and deals that it made go, what was logged because of them leaves the
    timeline, and the people are offered again. Raises NotFound, Conflict (others rest on it by now; or too late)."""
    rows = session.exec(
        select(Discovery)
        .where(Discovery.user_id == user_id, Discovery.batch == batch, Discovery.batch != "")
        .order_by(col(Discovery.id))
        .with_for_update()
    ).all()
    if not rows:
        raise NotFound("There is nothing to take back.")
    if any(not row.address for row in rows):
        raise Conflict("It is too late: the address was forgotten, as asked.")
    _unmake(session, keyring, rows, now)
    for row in rows:
        row.state, row.decided_at, row.batch, row.contact_id, row.made, row.kept_at = "open", None, "", None, {}, now
        session.add(row)
    session.flush()
    return list(rows)


def _waiting(session: Session, ids: Sequence[int], user_id: int) -> list[Discovery]:
    rows = session.exec(
        select(Discovery)
        .where(col(Discovery.id).in_(list(set(ids))), Discovery.user_id == user_id)
        .order_by(col(Discovery.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    if len(rows) < len(set(ids)):
        raise NotFound("There is no such person among those discovered in your mailboxes.")
    if any(row.state != "open" or not row.address for row in rows):
        raise Conflict("This was decided already.")
    return list(rows)


def _accept(session: Session, keyring: Keyring, done: Decided, user_id: int, now: datetime) -> None:
    if len(still_strangers(session, user_id, done.rows)) < len(done.rows):
        raise Conflict("Somebody among them is a colleague or on the block list by now.")
    domains: list[str] = []
    addresses: list[str] = []
    for row in done.rows:
        made: dict[str, Any] = {}
        company = _company(session, row, made, domains, now)
        contact = _contact(session, row, company, made, now)
        if company is None or domain_of(row.address) not in domains:
            addresses.append(row.address)
        row.contact_id, row.made = contact.id, made
        done.contacts.append(contact.id or 0)
        session.flush()
        if done.decision == "deal":
            _deal(session, row, contact, done, user_id, now)
    reach.people_added(session, keyring, addresses, now)
    reach.domains_added(session, keyring, sorted(set(domains)), now)
    reach.deals_changed(session, done.deals, now)


def _company(
    session: Session, row: Discovery, made: dict[str, Any], domains: list[str], now: datetime
) -> Company | None:
    """The company of somebody's domain, made when nobody owns it; free mail has none."""
    domain = domain_of(row.address)
    if is_free_mail(domain):
        return None
    known = company_of_domain(session, domain)
    if known is not None:
        return session.get(Company, known)
    company = company_for_domain(session, domain, now=now, name=likely_firm(domain))
    made["company"], made["domain"] = company.id, domain
    domains.append(domain)
    return company


def _contact(session: Session, row: Discovery, company: Company | None, made: dict[str, Any], now: datetime) -> Contact:
    known = session.get(ContactAddress, row.address)
    contact = contact_for_address(session, row.address, now=now, name=shown_name(row))
    if known is None:
        made["contact"] = contact.id
        contact.company_id = contact.company_id or (company.id if company else None)
        session.add(contact)
    return contact


def _deal(session: Session, row: Discovery, contact: Contact, done: Decided, user_id: int, now: datetime) -> None:
    """One deal for the people of one company: its only open deal, or a new one."""
    deal = _open_deal(session, contact.company_id)
    if deal is None:
        firm = session.get(Company, contact.company_id) if contact.company_id else None
        deal = add_deal(
            session,
            name=firm.name if firm else contact.name,
            now=now,
            company_id=contact.company_id,
            owner_id=user_id,
            currency=team_settings(session)["default_currency"],
            actor=Actor(user_id),
        )
        row.made = row.made | {"deal": deal.id}
    if session.get(DealContact, (deal.id, contact.id)) is None:
        session.add(DealContact(deal_id=deal.id or 0, contact_id=contact.id or 0))
        row.made = row.made | {"joined": deal.id}
    session.flush()
    if deal.id not in done.deals:
        done.deals.append(deal.id or 0)


def _open_deal(session: Session, company_id: int | None) -> Deal | None:
    if company_id is None:
        return None
    found = session.exec(
        select(Deal)
        .join(Stage, col(Stage.id) == Deal.stage_id)
        .where(Deal.company_id == company_id, col(Stage.meaning).not_in(FINAL))
        .limit(2)
    ).all()
    return found[0] if len(found) == 1 else None


def _unmake(session: Session, keyring: Keyring, rows: Sequence[Discovery], now: datetime) -> None:
    contacts, companies, deals = (_made(rows, name) for name in ("contact", "company", "deal"))
    if not any(row.made for row in rows):
        return
    _check_untouched(session, contacts, deals)
    _check_companies(session, companies, contacts, deals)
    for row in rows:
        joined = session.get(DealContact, (row.made.get("joined", 0), row.contact_id or 0))
        if joined is not None:
            session.delete(joined)
    session.flush()
    take_out(session, hasher(session, keyring), contacts, companies, deals, now=now)
    for key in deals:
        session.delete(session.get_one(Deal, key))
    session.flush()
    for key in contacts:
        remove_contact(session, session.get_one(Contact, key))
    for key in companies:
        remove_company(session, session.get_one(Company, key))
    terms = {row.address for row in rows} | {f"@{row.made.get('domain')}" for row in rows if row.made.get("domain")}
    forget_search(session, terms, now=now)


def _made(rows: Sequence[Discovery], name: str) -> set[int]:
    return {row.made[name] for row in rows if row.made.get(name)}


def _check_untouched(session: Session, contacts: set[int], deals: set[int]) -> None:
    """Raises Conflict where somebody has built on what is to go."""
    for key in contacts:
        contact = session.get(Contact, key)
        if contact is None:
            raise Conflict("One of these contacts was merged or deleted since; take that back first.")
        others = session.exec(
            select(DealContact.deal_id).where(DealContact.contact_id == key, col(DealContact.deal_id).not_in(deals))
        ).all()
        if set(others) - _joined(session, key):
            raise Conflict(f"{contact.name} takes part in other deals by now. Change it on the contact's page.")
        if len(session.exec(select(ContactAddress).where(ContactAddress.contact_id == key)).all()) > 1:
            raise Conflict(f"{contact.name} has got more addresses since. Change it on the contact's page.")
    for key in deals:
        deal = session.get(Deal, key)
        if deal is not None and deal.version > 1:
            raise Conflict(f"{deal.name} has moved since. Move it back first.")
        if deal is None:
            raise Conflict("The deal was deleted since.")
        people = session.exec(select(DealContact.contact_id).where(DealContact.deal_id == key)).all()
        if not set(people) <= contacts:
            raise Conflict(f"Others take part in {deal.name} by now. Take them off first.")


def _joined(session: Session, contact_id: int) -> set[int]:
    """The deals that were there before, and which the acceptance made this contact take part in."""
    rows = session.exec(select(Discovery).where(Discovery.contact_id == contact_id)).all()
    return {
        row.made["joined"] for row in rows if row.made.get("joined") and row.made.get("joined") != row.made.get("deal")
    }


def _check_companies(session: Session, companies: set[int], contacts: set[int], deals: set[int]) -> None:
    for key in companies:
        company = session.get(Company, key)
        if company is None:
            raise Conflict("One of these companies was merged or deleted since; take that back first.")
        people = session.exec(
            select(Contact.id).where(Contact.company_id == key, col(Contact.id).not_in(contacts))
        ).first()
        sales = session.exec(select(Deal.id).where(Deal.company_id == key, col(Deal.id).not_in(deals))).first()
        if people is not None or sales is not None:
            raise Conflict(f"Others belong to {company.name} by now. Give them another company first.")
