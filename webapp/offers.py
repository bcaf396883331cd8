"""Discovered people and merges as pages and programs see them. A discovered person is their finder's alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, or_, select

from models.account import Account, Source, Walk
from models.addresses import domain_of
from models.contact import Company, Contact
from models.discovery import Discovery, firms_of, shown_name
from models.errors import NotFound
from models.merging import Merge
from webapp.deps import Viewer
from webapp.present import iso


def shapes(session: Session, rows: Sequence[Discovery]) -> list[dict[str, Any]]:
    """Offers, with the company that each would belong to (``company_id`` None: it would be made; ``company`` None: none)."""
    firms = firms_of(session, rows)
    return [
        {
            "id": row.id,
            "address": row.address,
            "name": shown_name(row),
            "company": firm[1] if (firm := firms.get(domain_of(row.address))) else None,
            "company_id": firm[0] if firm else None,
            "inbound": row.inbound,
            "outbound": row.outbound,
            "answered": row.inbound > 0,
            "last_at": iso(row.last_at),
            "state": row.state,
            "contact_id": row.contact_id,
        }
        for row in rows
    ]


def reading(session: Session, viewer: Viewer) -> bool:
    """Whether the viewer's mailboxes are still being read for the first time."""
    found = session.exec(
        select(Walk.id)
        .join(Source, col(Source.id) == Walk.source_id)
        .join(Account, col(Account.id) == Source.account_id)
        .where(
            Account.user_id == viewer.id,
            col(Account.disconnected_at).is_(None),
            col(Walk.done_at).is_(None),
            col(Walk.kind).in_(("sent", "sweep")),
        )
        .limit(1)
    ).first()
    fresh = session.exec(
        select(Account.id)
        .join(Source, col(Source.account_id) == Account.id)
        .where(
            Account.user_id == viewer.id,
            col(Account.disconnected_at).is_(None),
            or_(Source.kind == "directory", Source.kind == "mail"),
            col(Source.synced_at).is_(None),
        )
        .limit(1)
    ).first()
    return found is not None or fresh is not None


def merge_shape(row: Merge) -> dict[str, Any]:
    """A merge."""
    return {
        "id": row.id,
        "kind": row.kind,
        "kept_id": row.kept_id,
        "gone_id": row.gone_id,
        "gone_name": row.gone_name,
        "made_at": iso(row.made_at),
        "undone_at": iso(row.undone_at),
    }


def kept_name(session: Session, row: Merge) -> str:
    """Whom the other was merged into. Raises NotFound."""
    kept = session.get(Contact if row.kind == "contact" else Company, row.kept_id)
    if kept is None:
        raise NotFound("The one that they were merged into is no longer there.")
    return kept.name
