"""Companies and contacts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from models.contact import Company, CompanyDomain, Contact, addresses_of
from models.db import chunks
from webapp.present.rows import by_id, iso


def companies(session: Session, rows: Sequence[Company]) -> list[dict[str, Any]]:
    """Companies with their domains."""
    domains: dict[int, list[str]] = {}
    for part in chunks(row.id for row in rows):
        for domain in session.exec(
            select(CompanyDomain).where(col(CompanyDomain.company_id).in_(part)).order_by(col(CompanyDomain.domain))
        ):
            domains.setdefault(domain.company_id, []).append(domain.domain)
    return [
        {
            "id": row.id,
            "name": row.name,
            "domains": domains.get(row.id or 0, []),
            "created_at": iso(row.created_at),
        }
        for row in rows
    ]


def contacts(session: Session, rows: Sequence[Contact]) -> list[dict[str, Any]]:
    """Contacts with their addresses, primary first, and their company."""
    addresses = addresses_of(session, [row.id or 0 for row in rows])
    firms = by_id(session, Company, [row.company_id for row in rows])
    return [
        {
            "id": row.id,
            "name": row.name,
            "title": row.title,
            "phone": row.phone,
            "emails": addresses.get(row.id or 0, []),
            "company_id": row.company_id,
            "company": firms[row.company_id].name if row.company_id in firms else None,
            "never_log": row.never_log,
            "created_at": iso(row.created_at),
        }
        for row in rows
    ]
