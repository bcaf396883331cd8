"""What an event looks like before there is one: invented, of exactly the shape in which real ones arrive."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from webapp.present import iso

_LEAD = {"id": 1, "name": "Lead", "meaning": "lead"}
_CONTACTED = {"id": 2, "name": "Contacted", "meaning": "contacted"}
_WON = {"id": 5, "name": "Won", "meaning": "won"}
_LOST = {"id": 6, "name": "Lost", "meaning": "lost"}
_FRIDGE = {"id": 7, "name": "Fridge", "meaning": "fridge"}
_ENDS = {"deal.won": _WON, "deal.lost": _LOST, "deal.shelved": _FRIDGE}


def sample(kind: str, now: datetime) -> dict[str, Any]:
    """An invented event of a kind."""
    return {"id": "evt_sample", "type": kind, "timestamp": iso(now), "data": _data(kind, now)}


def _data(kind: str, now: datetime) -> dict[str, Any]:
    noun = kind.partition(".")[0]
    if kind == "contact.discovered":
        return {"address": "bea@northwind.example", "name": "Bea Buyer", "company": "Northwind", "seen": 3}
    if noun in ("interaction", "meeting"):
        return _interaction(kind, now)
    if noun == "account":
        return _account(kind, now)
    if noun == "suggestion" or kind == "deal.stage_suggested":
        return _suggestion(kind)
    if kind in ("deal.created", "deal.cooling"):
        return _deal(_LEAD)
    return _move(kind)


def _deal(stage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": 1,
        "name": "Northwind: 40 seats",
        "stage": stage["name"],
        "stage_meaning": stage["meaning"],
        "amount": 12_000.0,
        "currency": "EUR",
        "expected_close": None,
        "company": {"id": 1, "name": "Northwind"},
        "owner": {"id": 1, "email": "rae@acme.example", "name": "Rae"},
    }


def _move(kind: str) -> dict[str, Any]:
    to = _ENDS.get(kind, _CONTACTED)
    return {
        "deal": _deal(to),
        "from": _FRIDGE if kind == "deal.revived" else _LEAD,
        "to": to,
        "source": "person",
        "user_id": 1,
        "suggestion_id": None,
    }


def _suggestion(kind: str) -> dict[str, Any]:
    state = {"suggestion.accepted": "accepted", "suggestion.dismissed": "dismissed"}.get(kind, "open")
    decided = {} if state == "open" else {"user_id": 1, "dismissal": ""}
    return {
        "id": 1,
        "deal": _deal(_CONTACTED if state == "accepted" else _LEAD),
        "from": _LEAD,
        "to": _CONTACTED,
        "confidence": 0.9,
        "rule": "two-way contact",
        "reason": "The customer wrote back.",
        "state": state,
        "wake_on": None,
        "evidence": [{"interaction_id": 1, "rule": "two-way contact"}],
    } | decided


def _interaction(kind: str, now: datetime) -> dict[str, Any]:
    meeting = kind.startswith("meeting.")
    sender = {"role": "from", "address": "bea@northwind.example", "name": "Bea Buyer", "contact_id": 1, "ours": False}
    taker = {"role": "to", "address": "rae@acme.example", "name": "Rae", "contact_id": None, "ours": True}
    if meeting:
        sender, taker = sender | {"role": "attendee"}, taker | {"role": "organizer"}
    link = {"deal_id": 1, "rule": "contact", "score": 0.9, "reasons": ["Bea Buyer is on this deal"]}
    shape = {
        "id": 1,
        "kind": "meeting" if meeting else "email",
        "direction": "outbound" if meeting else "inbound",
        "occurred_at": iso(now),
        "subject": "Demo" if meeting else "Re: Your offer",
        "snippet": "Thank you, this looks good to us.",
        "machine": None,
        "parties": [sender, taker],
        "links": [] if kind == "interaction.held" else [link],
    }
    if kind == "interaction.held":
        shape["candidates"] = [{key: link[key] for key in ("deal_id", "score", "reasons")}]
    return shape


def _account(kind: str, now: datetime) -> dict[str, Any]:
    shape: dict[str, Any] = {"account_id": 1, "email": "rae@acme.example"}
    if kind == "account.gap_recovered":
        return shape | {"source": "Mailbox", "since": iso(now)}
    return shape | {"reason": "invalid_grant", "sentence": "The consent was withdrawn. Reconnect the account."}
