"""What a provider holds, in the trade's words: frozen values without a provider's vocabulary and without a table.

All datetimes are timezone-aware UTC. All-day meetings carry dates (``all_day=True``): ``start`` is then
midnight UTC *standing for a date*, and must be read through :attr:`Meeting.start_date`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

Role = Literal["from", "sender", "to", "cc", "bcc", "reply_to", "organizer", "attendee"]
Place = Literal["mail", "draft", "spam", "trash", "chat"]
"""Where a message lies, as far as it matters to us: ``mail`` is everything that was really sent or received."""
Machine = Literal["bounce", "auto_reply", "list", "bulk", "calendar", "receipt", "notification"]
"""Why a message counts as written by a machine (RFC 3834, 2919, 2369, 3464, 8098, 5546)."""
Response = Literal["accepted", "declined", "tentative", "none"]


@dataclass(frozen=True, slots=True)
class Party:
    """One address on an item. ``address`` is a syntactically valid addr-spec with its domain lower-cased
    and IDNA-encoded, the local part as it was written; never empty (RFC 5322 3.4)."""

    role: Role
    address: str
    name: str = ""
    response: Response = "none"
    resource: bool = False
    """A room or a device, not a person."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A named part. ``part`` is stable within the message, unlike providers' attachment ids. ``size`` in bytes."""

    name: str
    mime: str
    size: int
    part: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """The text of a message. ``text`` is all of it as plain text; ``new`` is what the sender wrote this time,
    without quoted replies, forwarded mail, signature and disclaimer; ``signature`` is the block below it.
    ``links`` are the http(s) targets of HTML anchors, in order, at most 50."""

    text: str
    new: str
    signature: str = ""
    links: tuple[str, ...] = ()
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class CalendarNotice:
    """What a text/calendar part says (RFC 5546): the method and which meeting it is about."""

    method: str
    uid: str
    response: Response = "none"


@dataclass(frozen=True, slots=True)
class Message:
    """An e-mail. ``body`` is None when only its headers were opened.

    ``at`` is the provider's own time of acceptance, ``sent_at`` the sender's Date header (not to be trusted).
    ``message_id`` and ``references`` (oldest first, In-Reply-To last, no repeats) carry no angle brackets.
    ``outbound`` means that the provider marks it as sent by the mailbox's owner.
    """

    item_id: str
    thread: str
    at: datetime
    parties: tuple[Party, ...]
    subject: str
    place: Place = "mail"
    outbound: bool = False
    message_id: str = ""
    references: tuple[str, ...] = ()
    sent_at: datetime | None = None
    machine: Machine | None = None
    machine_reason: str = ""
    """The header that told, for people: ``List-Id: <news.acme.example>``."""
    calendar: CalendarNotice | None = None
    bounced: tuple[str, ...] = ()
    """Addresses that a bounce says could not be reached (RFC 3464 Final-Recipient)."""
    bounce_of: str = ""
    """Message-ID of the mail that a bounce returns."""
    labels: tuple[str, ...] = ()
    """The user's own labels, by name, for block lists."""
    size: int = 0
    body: Body | None = None
    attachments: tuple[Attachment, ...] = ()
    forwarded: bool = False
    """The subject or the body says that this hands on somebody else's mail."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """One occurrence in a calendar. ``uid`` is shared by all attendees' calendars (RFC 5545 UID), and together
    with ``original_start`` names the real-world meeting. A private one has no subject, text or attendees."""

    item_id: str
    uid: str
    original_start: datetime
    start: datetime
    end: datetime
    status: Literal["confirmed", "tentative", "cancelled"] = "confirmed"
    all_day: bool = False
    subject: str = ""
    description: str = ""
    location: str = ""
    join_url: str = ""
    parties: tuple[Party, ...] = ()
    parties_complete: bool = True
    """False: the list is partial; whoever is missing must not be taken off."""
    private: bool = False
    busy: bool = True
    my_response: Response = "none"
    sequence: int = 0
    updated_at: datetime | None = None
    series: str = ""
    """Item id of the recurring meeting it belongs to."""
    sparse: bool = False
    """A cancellation that carries ids and nothing else: keep what is stored."""

    @property
    def start_date(self) -> date:
        return self.start.date()


@dataclass(frozen=True, slots=True)
class Removed:
    """An item that left: ``deleted`` for good, or moved to ``trash`` or ``spam``. Never erases what was logged."""

    item_id: str
    reason: Literal["deleted", "trash", "spam"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item that exists but could not be read this time. ``error`` is one word from ``errors.error_word``.

    ``strike`` is False when the provider merely asked us to slow down: that is never held against the item.
    ``gone`` is True when the provider says that there is no such item (it may be not yet visible)."""

    item_id: str
    error: str
    detail: str = ""
    strike: bool = True
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """An item known by its id only. ``thread`` may be empty."""

    item_id: str
    thread: str = ""


Item = Message | Meeting | Removed | Unreadable | Listed


@dataclass(frozen=True, slots=True)
class Page:
    """One answer on the way. ``cursor`` is what to store once every item of this page is accounted for; opaque.
    ``more`` says that another page is ready now. ``estimate`` is the provider's guess of all items, or None."""

    items: tuple[Item, ...]
    cursor: str
    more: bool
    estimate: int | None = None
    backlog: bool = False
    """The page is of a round through what was there before: what is searched for may go first."""
    suspect: bool = False
    """Something left in a way that does not name its items (a whole folder): the source is to be audited soon."""
    notices: tuple[str, ...] = field(default=())
    """Sentences for people about what this page revealed (a calendar was re-listed, say)."""
