"""What the rules of suggestion see: a deal and its timeline as plain values, without a table and without a provider."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Line:
    """One interaction on a deal's timeline. Datetimes are aware UTC; ``at`` of a meeting is its start.

    ``new`` is what the sender wrote, already without quoted replies, signature and forwarded mail (for a meeting: its
    description). ``sender_known`` says that the sender is a contact of the deal or belongs to its company.
    ``attachments`` are (name, mime type, size in bytes); ``attendees`` are (address, response, ours).
    """

    id: int
    kind: Literal["email", "meeting"]
    direction: Literal["inbound", "outbound", "internal"]
    at: datetime
    end: datetime | None = None
    sender: str = ""
    sender_name: str = ""
    sender_ours: bool = False
    sender_known: bool = True
    recipients: tuple[str, ...] = ()
    subject: str = ""
    new: str = ""
    machine: str | None = None
    machine_reason: str = ""
    attachments: tuple[tuple[str, str, int], ...] = ()
    links: tuple[str, ...] = ()
    forwarded: bool = False
    status: str = ""
    attendees: tuple[tuple[str, str, bool], ...] = ()
    announced: bool = True


@dataclass(frozen=True, slots=True)
class DealView:
    """A deal at the moment of judging. ``meaning`` is that of its stage; ``stages`` are (id, meaning, position).
    ``created_at``: what was decided before that was decided about something else (None: not known)."""

    id: int
    name: str
    stage_id: int
    meaning: str
    days_in_stage: float
    stage_since: datetime
    patience_days: int
    version: int
    stages: tuple[tuple[int, str, int], ...] = ()
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where it stands: ``Line.new[start:end] == quote``, or (-1, -1) and no quote for a meeting, a file or silence."""

    line_id: int
    rule: str
    quote: str = ""
    start: int = -1
    end: int = -1


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that an interaction says by itself. ``weight`` is the strength of its rule, 0 to 1."""

    kind: str
    line_id: int
    rule: str
    quote: str
    start: int
    end: int
    at: datetime
    weight: float
    lang: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed move. ``to`` is the meaning of a stage, or ``revive``: take a shelved deal off the fridge."""

    to: str
    confidence: float
    rule: str
    reason: str
    evidence: tuple[Evidence, ...]
    wake_on: date | None = None
