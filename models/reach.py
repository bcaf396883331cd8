"""Reaching back: when the address book or the deals change, earlier mail is asked for again. Only rows are written here;
the worker finds them due.

Three ways, cheapest first: interactions that are stored already are decided again (``rematch_at``); ignored items are
found by the keyed hashes they left; and a people walk asks each searchable mailbox for the new addresses.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from models.account import Account, Source, Walk
from models.addresses import weak
from models.contact import Contact, ContactAddress
from models.db import chunks, table
from models.deal import Deal, DealContact
from models.interaction import Interaction, InteractionCompany, InteractionContact
from models.keyring import Keyring, hasher
from models.ledger import LedgerEntry, LedgerHash, reopen_hashes


def contact_changed(session: Session, keyring: Keyring, contact_id: int, now: datetime) -> None:
    """A contact is new or has a new address."""
    addresses = list(session.exec(select(ContactAddress.address).where(ContactAddress.contact_id == contact_id)).all())
    people_added(session, keyring, addresses, now)


def people_added(session: Session, keyring: Keyring, addresses: list[str], now: datetime) -> None:
    """Many new addresses at once (an import), in few statements."""
    digest = hasher(session, keyring).digest
    forms = {form for address in addresses for form in (address, weak(address))}
    hashes = [digest(form) for form in forms]
    _rematch(session, _stored_with(session, hashes), now)
    sources = reopen_hashes(session, hashes, now=now)
    wake(session, sources, now)
    search_for(session, addresses, now)


def domain_added(session: Session, keyring: Keyring, domain: str, now: datetime) -> None:
    """A company has a new domain."""
    domains_added(session, keyring, [domain], now)


def domains_added(session: Session, keyring: Keyring, domains: list[str], now: datetime) -> None:
    """Many new domains of companies at once (an import), in few statements."""
    digest = hasher(session, keyring).digest
    terms = ["@" + domain for domain in domains]
    hashes = [digest(term) for term in terms]
    _rematch(session, _stored_with(session, hashes), now)
    wake(session, reopen_hashes(session, hashes, now=now), now)
    search_for(session, terms, now)


def deal_changed(session: Session, deal_id: int, now: datetime) -> None:
    """A deal is new, or has new people or another company: what is stored of its people, of its company's domains and of
    their conversations is decided again."""
    deals_changed(session, [deal_id], now)


def deals_changed(session: Session, deal_ids: list[int], now: datetime) -> None:
    """The same of many deals at once (an import), in few statements."""
    people: set[int | None] = set()
    firms: set[int | None] = set()
    ids: set[int] = set()
    for part in chunks(deal_ids):
        people |= set(session.exec(select(DealContact.contact_id).where(col(DealContact.deal_id).in_(part))).all())
        firms |= set(session.exec(select(Deal.company_id).where(col(Deal.id).in_(part))).all())
    for part in chunks(firms - {None}):
        people |= set(session.exec(select(Contact.id).where(col(Contact.company_id).in_(part))).all())
        ids |= set(
            session.exec(
                select(InteractionCompany.interaction_id).where(col(InteractionCompany.company_id).in_(part))
            ).all()
        )
    for part in chunks(people - {None}):
        ids |= set(
            session.exec(
                select(InteractionContact.interaction_id).where(col(InteractionContact.contact_id).in_(part))
            ).all()
        )
    _rematch(session, ids | _same_threads(session, ids), now)


def search_for(session: Session, terms: Iterable[str], now: datetime) -> None:
    """Open a people walk for these addresses (or ``@domain``) in every mailbox that was synced before; a mailbox that was
    not yet will search for everybody anyway."""
    wanted = list(terms)
    sources = session.exec(
        select(Source)
        .join(Account, col(Account.id) == Source.account_id)
        .where(
            Source.kind == "mail",
            Source.cursor != "",
            col(Source.gone_at).is_(None),
            col(Account.disconnected_at).is_(None),
        )
    ).all()
    for source in sources if wanted else []:
        session.add(Walk(source_id=source.id or 0, kind="people", state={"terms": wanted}, created_at=now))
        source.next_sync_at = now
        session.add(source)


def _same_threads(session: Session, interaction_ids: Iterable[int]) -> set[int]:
    found: set[int] = set()
    for part in chunks(interaction_ids):
        threads = select(Interaction.thread_id).where(
            col(Interaction.id).in_(part), col(Interaction.thread_id).is_not(None)
        )
        rows = session.exec(select(Interaction.id).where(col(Interaction.thread_id).in_(threads)))
        found |= {interaction_id for interaction_id in rows if interaction_id is not None}
    return found


def _stored_with(session: Session, hashes: list[bytes]) -> set[int]:
    found: set[int] = set()
    for part in chunks(hashes):
        rows = session.exec(
            select(LedgerEntry.interaction_id)
            .join(LedgerHash, col(LedgerHash.entry_id) == LedgerEntry.id)
            .where(col(LedgerHash.hash).in_(part), col(LedgerEntry.interaction_id).is_not(None))
        )
        found |= {interaction_id for interaction_id in rows if interaction_id is not None}
    return found


def _rematch(session: Session, interaction_ids: Iterable[int], now: datetime) -> None:
    interactions = table(Interaction)
    for part in chunks(interaction_ids):
        session.connection().execute(update(interactions).where(interactions.c.id.in_(part)).values(rematch_at=now))


def wake(session: Session, source_ids: Iterable[int], now: datetime) -> None:
    """Have these sources looked at now."""
    sources = table(Source)
    for part in chunks(source_ids):
        session.connection().execute(update(sources).where(sources.c.id.in_(part)).values(next_sync_at=now))
