"""Taking people out of the timeline again: what stood there for them alone is as if it had never been opened."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from models.account import Walk
from models.addresses import lineage, weak
from models.db import chunks, insert_new, table
from models.interaction import Choice, Interaction, InteractionCompany, InteractionContact, Link
from models.keyring import Hasher
from models.ledger import WRITTEN, WROTE, LedgerEntry, LedgerHash


def take_out(
    session: Session, hasher: Hasher, contacts: set[int], companies: set[int], deals: set[int], *, now: datetime
) -> int:
    """Undo what logging did because of these contacts, companies and deals, which are about to go; how many interactions
    went. What also concerns somebody else stays, without them. Ignored items keep their hashes, so that they are found
    again."""
    ids = _of(session, InteractionContact, "contact_id", contacts) | _of(
        session, InteractionCompany, "company_id", companies
    )
    for part in chunks(ids | _linked_to(session, deals)):
        others = _of_others(session, part, contacts, companies, deals)
        _ignore(session, hasher, [key for key in part if key not in others], now)
        _leave(session, [key for key in part if key in others], contacts)
    choices = table(Choice)
    for part in chunks(str(key) for key in contacts):
        session.connection().execute(delete(choices).where(choices.c.kind == "contact", choices.c.key.in_(part)))
    session.expire_all()
    return len(ids)


def _of(session: Session, model: type, column: str, keys: Iterable[int]) -> set[int]:
    found: set[int] = set()
    for part in chunks(keys):
        rows = table(model)
        found |= set(
            session.connection().execute(select(rows.c.interaction_id).where(rows.c[column].in_(part))).scalars()
        )
    return found


def _linked_to(session: Session, deals: Iterable[int]) -> set[int]:
    found: set[int] = set()
    for part in chunks(deals):
        found |= set(session.exec(select(Link.interaction_id).where(col(Link.deal_id).in_(part))).all())
    return found


def _of_others(session: Session, ids: list[int], contacts: set[int], companies: set[int], deals: set[int]) -> set[int]:
    """Which of these would stand on the timeline without them."""
    found: set[int] = set()
    for model, column, mine in (
        (InteractionContact, "contact_id", contacts),
        (InteractionCompany, "company_id", companies),
        (Link, "deal_id", deals),
    ):
        rows = table(model)
        query = select(rows.c.interaction_id).where(rows.c.interaction_id.in_(ids), rows.c[column].not_in(mine))
        found |= set(session.connection().execute(query).scalars())
    return found


def _ignore(session: Session, hasher: Hasher, ids: list[int], now: datetime) -> None:
    """The interaction and all that hung on it is gone; its items are ignored, with the hashes that such an item has."""
    rows = session.exec(select(Interaction).where(col(Interaction.id).in_(ids))).all()
    outsiders = {row.id: [party for party in row.parties if not party.get("ours")] for row in rows}
    outbound = {row.id: row.direction == "outbound" for row in rows if not row.machine}
    hashes = []
    for entry in session.exec(select(LedgerEntry).where(col(LedgerEntry.interaction_id).in_(ids))).all():
        for party in outsiders.get(entry.interaction_id, []):
            way = _way(party["role"], outbound.get(entry.interaction_id))
            hashes += [(entry.id, hasher.digest(form), 0) for form in _forms(party["address"])]
            hashes.append((entry.id, hasher.digest(party["address"]), way))
        entry.outcome, entry.reason, entry.interaction_id, entry.updated_at = "ignored", "no contact", None, now
        session.add(entry)
    session.flush()
    best: dict[tuple[int | None, bytes], int] = {}
    for entry_id, digest, way in hashes:
        best[(entry_id, digest)] = max(way, best.get((entry_id, digest), 0))
    insert_new(
        session, LedgerHash, [{"entry_id": key, "hash": digest, "way": way} for (key, digest), way in best.items()]
    )
    interactions = table(Interaction)
    session.connection().execute(delete(interactions).where(interactions.c.id.in_(ids)))


def _way(role: str, outbound: bool | None) -> int:
    if outbound is None:
        return 0
    return (WRITTEN if role in ("to", "cc", "bcc") else 0) if outbound else (WROTE if role == "from" else 0)


def _forms(address: str) -> set[str]:
    return {weak(address)} | {f"@{domain}" for domain in lineage(address.rpartition("@")[2])}


def _leave(session: Session, ids: list[int], contacts: set[int]) -> None:
    for row in session.exec(select(Interaction).where(col(Interaction.id).in_(ids))).all():
        row.parties = [p | {"contact_id": None} if p.get("contact_id") in contacts else p for p in row.parties]
        session.add(row)
    session.flush()
    present = table(InteractionContact)
    gone = delete(present).where(present.c.interaction_id.in_(ids), present.c.contact_id.in_(contacts))
    session.connection().execute(gone)


def forget_search(session: Session, terms: set[str], *, now: datetime) -> None:
    """End the people walks that look for nothing but these."""
    walks = table(Walk)
    for walk in session.exec(select(Walk).where(Walk.kind == "people", col(Walk.done_at).is_(None))).all():
        wanted = set(walk.state.get("terms", []))
        if wanted and wanted <= terms:
            session.connection().execute(update(walks).where(walks.c.id == walk.id).values(done_at=now))
