"""Pipelines, stages and deals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from models.contact import Company, Contact
from models.db import chunks
from models.deal import Deal, DealContact, money
from models.pipeline import Pipeline, Stage, stages_of
from models.user import User
from webapp.present.rows import by_id, iso


def pipelines(session: Session, rows: Sequence[Pipeline]) -> list[dict[str, Any]]:
    """Pipelines with their stages in order."""
    return [
        {
            "id": row.id,
            "name": row.name,
            "is_default": row.is_default,
            "stages": [stage_of(stage) for stage in stages_of(session, row.id or 0)],
        }
        for row in rows
    ]


def stage_of(stage: Stage | None) -> dict[str, Any] | None:
    """A stage."""
    if stage is None:
        return None
    return {
        "id": stage.id,
        "name": stage.name,
        "meaning": stage.meaning,
        "position": stage.position,
        "patience_days": stage.patience_days,
    }


def deals(session: Session, rows: Sequence[Deal]) -> list[dict[str, Any]]:
    """Deals with stage, company, owner and the people in them."""
    stages = by_id(session, Stage, [row.stage_id for row in rows])
    firms = by_id(session, Company, [row.company_id for row in rows])
    owners = by_id(session, User, [row.owner_id for row in rows])
    people: dict[int, list[dict[str, Any]]] = {}
    for part in chunks(row.id for row in rows):
        for link, contact in session.exec(
            select(DealContact, Contact)
            .join(Contact, col(Contact.id) == DealContact.contact_id)
            .where(col(DealContact.deal_id).in_(part))
            .order_by(col(Contact.name))
        ):
            people.setdefault(link.deal_id, []).append(
                {"contact_id": contact.id, "name": contact.name, "role": link.role}
            )
    return [
        {
            "id": row.id,
            "name": row.name,
            "pipeline_id": row.pipeline_id,
            "stage": stage_of(stages.get(row.stage_id)),
            "stage_since": iso(row.stage_since),
            "company_id": row.company_id,
            "company": firms[row.company_id].name if row.company_id in firms else None,
            "owner_id": row.owner_id,
            "owner": owners[row.owner_id].name if row.owner_id in owners else None,
            "owner_email": owners[row.owner_id].email if row.owner_id in owners else None,
            "amount": money(row.amount_minor),
            "currency": row.currency,
            "expected_close": iso(row.expected_close),
            "next_step": row.next_step,
            "close_reason": row.close_reason,
            "wake_on": iso(row.wake_on),
            "created_at": iso(row.created_at),
            "closed_at": iso(row.closed_at),
            "last_touch_at": iso(row.last_touch_at),
            "customer_touch_at": iso(row.customer_touch_at),
            "version": row.version,
            "contacts": people.get(row.id or 0, []),
        }
        for row in rows
    ]
