"""From an item and a decision to the rows that are stored: pure shaping, no database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from connectors.items import Meeting, Message
from models.addresses import lineage, weak
from models.erasure import NOBODY
from worker.book import Book
from worker.match import Decision
from worker.view import Person, View

SNIPPET = 200
"""Characters of a text shown in lists."""
MOST_PARTIES = 200
"""Parties stored on one row; a mail to two thousand people is no conversation."""
MOST_TEXT = 200_000
"""Characters of a text stored."""


def mail_row(
    message: Message, view: View, decision: Decision, book: Book, *, identity: str, fingerprint: str, now: datetime
) -> dict[str, Any]:
    """An e-mail as an interaction."""
    body = message.body
    return _common(view, decision, book, identity=identity, now=now) | {
        "subject": clean(message.subject)[:1000],
        "snippet": _snippet(body.new or body.text) if body else "",
        "text": clean(body.text)[:MOST_TEXT] if body else "",
        "new_text": clean(body.new)[:MOST_TEXT] if body else "",
        "machine": view.machine,
        "machine_reason": clean(view.machine_reason)[:300],
        "forwarded": view.forwarded,
        "attachments": [
            {"name": clean(a.name)[:300], "mime": a.mime, "size": a.size, "part": a.part}
            for a in message.attachments[:100]
        ],
        "links": list(body.links) if body else [],
        "fingerprint": fingerprint,
    }


def meeting_row(
    meeting: Meeting, view: View, decision: Decision, book: Book, *, identity: str, now: datetime
) -> dict[str, Any]:
    """A meeting as an interaction."""
    return _common(view, decision, book, identity=identity, now=now) | {
        "ends_at": meeting.end,
        "all_day": meeting.all_day,
        "subject": clean(meeting.subject)[:1000],
        "snippet": _snippet(meeting.description),
        "text": clean(meeting.description)[:MOST_TEXT],
        "new_text": clean(meeting.description)[:MOST_TEXT],
        "status": meeting.status,
        "sequence": meeting.sequence,
        "links": [meeting.join_url] if meeting.join_url else [],
    }


def parties(people: Sequence[Person], book: Book) -> list[dict[str, Any]]:
    """Who takes part, with whom we know and who is ours."""
    rows = []
    for person in people[:MOST_PARTIES]:
        known = book.contact(person.address)
        rows.append(
            {
                "role": person.role,
                "address": person.address,
                "name": clean(person.name)[:200],
                "response": person.response,
                "contact_id": known[0].id if known else None,
                "ours": book.is_ours(person.address),
            }
        )
    return rows


def outside_forms(view: View, book: Book, *, unknown_only: bool) -> set[str]:
    """What is hashed of an item's outsiders, so that they are found when they become contacts: each address, also without
    its plus tag or dots that do not count, and behind an @ its domain and those above it."""
    forms: set[str] = set()
    for person in view.people[:MOST_PARTIES]:
        if person.address == NOBODY or book.is_ours(person.address):
            continue
        if unknown_only and book.contact(person.address):
            continue
        forms |= {person.address, weak(person.address)} | {f"@{domain}" for domain in lineage(person.domain)}
    return forms


def month(moment: datetime) -> str:
    """``YYYY-MM``."""
    return f"{moment:%Y-%m}"


def clean(text: str) -> str:
    """Text that every database stores: no NUL, no lone surrogates."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _common(view: View, decision: Decision, book: Book, *, identity: str, now: datetime) -> dict[str, Any]:
    return {
        "kind": view.kind,
        "direction": decision.direction,
        "occurred_at": view.at,
        "ends_at": None,
        "all_day": False,
        "subject": "",
        "snippet": "",
        "text": "",
        "new_text": "",
        "machine": "",
        "machine_reason": "",
        "forwarded": False,
        "status": "",
        "held_at": None,
        "sequence": 0,
        "parties": parties((*view.people, *view.hints) if decision.hinted else view.people, book),
        "attachments": [],
        "links": [],
        "identity": identity,
        "fingerprint": "",
        "visibility": "",
        "held": decision.outcome == "held",
        "logged_at": now,
    }


def _snippet(text: str) -> str:
    short = " ".join(clean(text[: SNIPPET * 3]).split())
    return short if len(short) <= SNIPPET else short[: SNIPPET - 1].rsplit(" ", 1)[0] + "…"
