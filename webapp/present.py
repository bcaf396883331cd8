"""Rows as people and programs see them: one shape for each thing, used by the pages and the API alike.

Every function that shows something of an interaction asks ``models.privacy`` first, evidence quotes included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from sqlmodel import Session, col, select

from models.account import Account, Source
from models.contact import Company, CompanyDomain, Contact, addresses_of
from models.db import chunks
from models.deal import Deal, DealContact, money
from models.event import Event
from models.health import account_health, ledger_sum
from models.interaction import Copy, Held, Interaction, Link
from models.pipeline import Pipeline, Stage, stages_of
from models.privacy import Sight, sights
from models.simulation import SimulatedMove, Simulation
from models.suggestion import Suggestion
from models.user import User
from models.webhook import Attempt, Delivery, Webhook
from webapp.deps import Viewer


def iso(moment: datetime | date | None) -> str | None:
    """RFC 3339 in UTC, or a plain date."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def by_id(session: Session, model: Any, ids: Iterable[int | None]) -> dict[int, Any]:
    """Rows of a table by their ids."""
    found: dict[int, Any] = {}
    for part in chunks({key for key in ids if key is not None}):
        found.update((row.id or 0, row) for row in session.exec(select(model).where(model.id.in_(part))))
    return found


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


def interactions(
    session: Session, rows: Sequence[Interaction], viewer: Viewer, *, whole: bool = False
) -> list[dict[str, Any]]:
    """Interactions as far as the viewer may see them; those that are none of their business are left out. ``whole``: with
    the text."""
    seen = sights(session, rows, viewer.id)
    shown = [row for row in rows if seen[row.id or 0].any]
    ids = [row.id or 0 for row in shown]
    links = _links(session, ids)
    copies = _copies(session, ids)
    return [_interaction(row, seen[row.id or 0], links, copies, whole=whole) for row in shown]


def _interaction(
    row: Interaction,
    sight: Sight,
    links: dict[int, list[dict[str, Any]]],
    copies: dict[int, list[dict[str, Any]]],
    *,
    whole: bool,
) -> dict[str, Any]:
    key = row.id or 0
    shape = {
        "id": key,
        "kind": row.kind,
        "direction": row.direction,
        "occurred_at": iso(row.occurred_at),
        "ends_at": iso(row.ends_at),
        "all_day": row.all_day,
        "status": row.status,
        "subject": row.subject if sight.subject else None,
        "snippet": row.snippet if sight.text else None,
        "machine": row.machine or None,
        "machine_reason": (row.machine_reason or None) if sight.subject else None,
        "visibility": sight.level,
        "held": row.held,
        "parties": row.parties,
        "attachments": [{k: a.get(k) for k in ("name", "mime", "size")} for a in row.attachments] if sight.text else [],
        "links": links.get(key, []),
        "copies": copies.get(key, []),
        "thread_id": row.thread_id,
        "logged_at": iso(row.logged_at),
    }
    if whole:
        shape |= {"text": row.text, "new_text": row.new_text} if sight.text else {"text": None, "new_text": None}
    return shape


def _links(session: Session, ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for part in chunks(ids):
        for link in session.exec(
            select(Link)
            .where(col(Link.interaction_id).in_(part), col(Link.removed_at).is_(None))
            .order_by(col(Link.id))
        ):
            found.setdefault(link.interaction_id, []).append(
                {
                    "deal_id": link.deal_id,
                    "rule": link.rule,
                    "score": link.score,
                    "reasons": link.reasons,
                    "stage_id": link.stage_id,
                    "made_by": link.made_by,
                }
            )
    return found


def _copies(session: Session, ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for part in chunks(ids):
        for copy, email in session.exec(
            select(Copy, Account.email)
            .join(Account, col(Account.id) == Copy.account_id)
            .where(col(Copy.interaction_id).in_(part))
            .order_by(col(Copy.id))
        ):
            found.setdefault(copy.interaction_id, []).append(
                {"account_id": copy.account_id, "email": email, "state": copy.state}
            )
    return found


def suggestions(session: Session, rows: Sequence[Suggestion], viewer: Viewer) -> list[dict[str, Any]]:
    """Suggestions with their evidence; a quote only for those who may read the mail it comes from."""
    stages = by_id(session, Stage, [key for row in rows for key in (row.from_stage_id, row.to_stage_id)])
    sources = by_id(session, Interaction, [e["interaction_id"] for row in rows for e in row.evidence])
    seen = sights(session, sources.values(), viewer.id)
    chances = by_id(session, Deal, [row.deal_id for row in rows])
    return [
        {
            "id": row.id,
            "deal_id": row.deal_id,
            "deal": chances[row.deal_id].name if row.deal_id in chances else None,
            "from_stage": stage_of(stages.get(row.from_stage_id)),
            "to_stage": stage_of(stages.get(row.to_stage_id)),
            "confidence": row.confidence,
            "state": row.state,
            "rule": row.rule,
            "reason": row.reason,
            "wake_on": iso(row.wake_on),
            "evidence": [_evidence(e, sources, seen) for e in row.evidence],
            "created_at": iso(row.created_at),
            "decided_at": iso(row.decided_at),
            "decided_by": row.decided_by,
            "dismissal": row.dismissal,
        }
        for row in rows
    ]


def _evidence(item: dict[str, Any], sources: dict[int, Interaction], seen: dict[int, Sight]) -> dict[str, Any]:
    key = item["interaction_id"]
    sight, source = seen.get(key, Sight("none")), sources.get(key)
    sender = next((p for p in source.parties if p["role"] in ("from", "organizer")), None) if source else None
    return {
        "interaction_id": key,
        "rule": item["rule"],
        "quote": item["quote"] if sight.text else None,
        "start": item["start"] if sight.text else None,
        "end": item["end"] if sight.text else None,
        "kind": source.kind if source else None,
        "occurred_at": iso(source.occurred_at) if source and sight.any else None,
        "subject": source.subject if source and sight.subject else None,
        "sender": {"name": sender["name"], "address": sender["address"]} if sender and sight.any else None,
    }


def held(session: Session, rows: Sequence[Held], viewer: Viewer) -> list[dict[str, Any]]:
    """Held items with their candidates. Callers pass the viewer's own only."""
    mails = by_id(session, Interaction, [row.interaction_id for row in rows])
    shown = {item["id"]: item for item in interactions(session, list(mails.values()), viewer)}
    chances = by_id(session, Deal, [c["deal_id"] for row in rows for c in row.candidates])
    return [
        {
            "id": row.id,
            "state": row.state,
            "reason": row.reason,
            "created_at": iso(row.created_at),
            "decided_at": iso(row.decided_at),
            "interaction": shown[row.interaction_id],
            "candidates": [c | {"deal": chances[c["deal_id"]].name} for c in row.candidates if c["deal_id"] in chances],
        }
        for row in rows
        if row.interaction_id in shown and row.user_id == viewer.id
    ]


def account(session: Session, row: Account, *, now: datetime) -> dict[str, Any]:
    """An account with its health; never anything of its grant."""
    health = account_health(session, row, now=now)
    owner = session.get(User, row.user_id)
    return {
        "id": row.id,
        "provider": row.provider,
        "email": row.email,
        "user_id": row.user_id,
        "user": owner.name if owner else "",
        "visibility": row.visibility,
        "capabilities": row.capabilities,
        "missing": row.missing,
        "notices": health.notices,
        "state": health.state,
        "sentence": health.sentence,
        "owed": health.owed,
        "unreadable": health.unreadable,
        "oldest_owed_at": iso(health.oldest_owed_at),
        "synced_at": iso(health.synced_at),
        "lag_seconds": health.lag_seconds,
        "walks": health.walks,
        "seen": health.seen,
        "estimate": health.estimate,
        "throttled_until": iso(row.throttled_until),
        "connected_at": iso(row.connected_at),
        "disconnected_at": iso(row.disconnected_at),
    }


def ledger(session: Session, row: Account) -> dict[str, Any]:
    """What became of everything in an account's mailboxes and calendars, by kind of source and in all."""
    sources = session.exec(select(Source).where(Source.account_id == row.id, Source.kind != "directory")).all()
    by_kind = {kind: _sum(session, [s.id or 0 for s in sources if s.kind == kind]) for kind in ("mail", "calendar")}
    return {
        "account_id": row.id,
        "email": row.email,
        **_sum(session, [s.id or 0 for s in sources]),
        "by_kind": by_kind,
        "sources": [
            {
                "id": s.id,
                "kind": s.kind,
                "name": s.name,
                "selected": s.selected,
                "synced_at": iso(s.synced_at),
                "next_sync_at": iso(s.next_sync_at),
                "error": s.error_sentence or None,
                "gone_at": iso(s.gone_at),
                "gap_recovered_at": s.facts.get("gap_recovered_at"),
            }
            for s in sources
        ],
    }


def _sum(session: Session, source_ids: list[int]) -> dict[str, Any]:
    found = ledger_sum(session, source_ids)
    return {
        "in_mailbox": found.total,
        "logged": found.logged,
        "held": found.held,
        "ignored": found.ignored,
        "internal": found.internal,
        "owed": found.owed,
        "unreadable": found.unreadable,
        "unopened": found.unopened,
        "gone": found.gone,
        "missing": found.missing,
        "checked_at": iso(found.checked_at),
        "ignored_by_reason": found.ignored_by_reason,
    }


def hook(row: Webhook) -> dict[str, Any]:
    """A webhook without its secret."""
    return {
        "id": row.id,
        "target_url": row.target_url,
        "event": row.event,
        "filter": row.filter,
        "user_id": row.user_id,
        "created_at": iso(row.created_at),
        "paused_at": iso(row.paused_at),
        "paused_reason": row.paused_reason or None,
        "failing_since": iso(row.failing_since),
    }


def deliveries(session: Session, rows: Sequence[Delivery], *, attempts: bool = False) -> list[dict[str, Any]]:
    """Deliveries with the event they carry; with ``attempts`` every try."""
    events = by_id(session, Event, [row.event_id for row in rows])
    tries: dict[int, list[dict[str, Any]]] = {}
    for part in chunks(row.id for row in rows) if attempts else ():
        for row in session.exec(select(Attempt).where(col(Attempt.delivery_id).in_(part)).order_by(col(Attempt.id))):
            tries.setdefault(row.delivery_id, []).append(
                {
                    "at": iso(row.at),
                    "status": row.status,
                    "error": row.error,
                    "answer": row.answer,
                    "took_ms": row.took_ms,
                }
            )
    return [
        {
            "id": row.id,
            "webhook_id": row.webhook_id,
            "event_id": events[row.event_id].uid if row.event_id in events else None,
            "type": events[row.event_id].kind if row.event_id in events else None,
            "state": row.state,
            "attempts": row.attempts,
            "next_attempt_at": iso(row.next_attempt_at),
            "created_at": iso(row.created_at),
            "delivered_at": iso(row.delivered_at),
        }
        | ({"tries": tries.get(row.id or 0, [])} if attempts else {})
        for row in rows
    ]


def event(row: Event) -> dict[str, Any]:
    """An event as the feed and the hooks tell it."""
    return {"id": row.uid, "type": row.kind, "timestamp": iso(row.at), "data": row.payload}


def simulation(row: Simulation) -> dict[str, Any]:
    """A simulation with its progress and figures."""
    names = ("moved", "placed", "taken_off", "asked", "kept_by_hand", "maybe_logged", "left")
    return {
        "id": row.id,
        "state": row.state,
        "changes": row.changes,
        "since": iso(row.since),
        "seen": row.position,
        "total": row.total,
        "counts": {name: row.counts.get(name, 0) for name in names},
        "error": row.error or None,
        "made_at": iso(row.made_at),
        "finished_at": iso(row.finished_at),
        "applied_at": iso(row.applied_at),
    }


def moves(session: Session, rows: Sequence[SimulatedMove], viewer: Viewer) -> list[dict[str, Any]]:
    """What would move; ``interaction`` is null where it is not for the viewer to see."""
    mails = by_id(session, Interaction, [row.interaction_id for row in rows])
    shown = {item["id"]: item for item in interactions(session, list(mails.values()), viewer)}
    ids = {key for row in rows for key in (*row.before["deals"], *(link["deal_id"] for link in row.after["links"]))}
    chances = by_id(session, Deal, ids)
    named = {key: {"id": key, "name": deal.name} for key, deal in chances.items()}
    return [
        {
            "id": row.id,
            "kind": row.kind,
            "state": row.state,
            "interaction": shown.get(row.interaction_id),
            "from": [named[key] for key in row.before["deals"] if key in named and row.interaction_id in shown],
            "to": [
                named[link["deal_id"]] | {"rule": link["rule"], "reasons": link["reasons"]}
                for link in row.after["links"]
                if link["deal_id"] in named and row.interaction_id in shown
            ],
            "outcome": row.after["outcome"],
            "reason": row.after["reason"] if row.interaction_id in shown else None,
        }
        for row in rows
    ]
