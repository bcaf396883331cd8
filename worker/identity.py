"""When two copies are one: the identity of an e-mail or meeting across mailboxes.

Message-ID (RFC 5322 3.6.4) when there is one; it counts as the same mail only when the sender's domain agrees (at a free-mail
provider: the sender), the dates lie within two days and the subjects do not contradict each other, because broken and spoofed
ids repeat. Without one, or where a relay gave the copy of another mailbox one of its own: a fingerprint of sender, minute,
subject and recipients. A meeting: calendar UID and original start (RFC 5545 3.8.4.7, 3.8.4.4).
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta

from connectors.items import Meeting, Message
from connectors.meeting_identity import SINGLE
from models.addresses import canonical, domain_of, registrable, same_mailbox
from models.contact import is_free_mail

SAME_WITHIN = timedelta(days=2)
_PREFIXES = re.compile(
    r"^\s*((re|fw|fwd|aw|wg|sv|vs|tr|rif|antw|doorst|rv|res|enc|回复|答复|转发)(\[\d+\])?\s*[:：]\s*)+", re.I
)
_SPACE = re.compile(r"\s+")


def of_message(message: Message) -> tuple[str, str]:
    """(identity, fingerprint) of a mail."""
    fingerprint = mail_fingerprint(message)
    if message.message_id:
        return f"m:{message.message_id.strip()[:400]}", fingerprint
    return f"f:{fingerprint}", fingerprint


def of_meeting(meeting: Meeting) -> str:
    """The identity of a meeting; without a UID (a provider may give none) organizer, start and subject stand in."""
    if meeting.uid:
        return f"u:{meeting.uid[:400]}|{meeting.original_start:%Y%m%dT%H%M}"
    organizer = next((canonical(p.address) for p in meeting.parties if p.role == "organizer"), "")
    when = meeting.start if meeting.original_start == SINGLE else meeting.original_start
    return f"u:{_hash(organizer, f'{when:%Y%m%dT%H%M}', meeting.subject)}"


def mail_fingerprint(message: Message) -> str:
    """What two copies of one mail share even when a relay rewrote or dropped the Message-ID."""
    sender = next((canonical(p.address) for p in message.parties if p.role == "from"), "")
    others = sorted({canonical(p.address) for p in message.parties if p.role in ("to", "cc")})
    when = message.sent_at or message.at
    return _hash(sender, f"{when:%Y%m%d%H%M}", plain_subject(message.subject), ",".join(others))


def plain_subject(subject: str) -> str:
    """A subject without Re:, Fwd: and their cousins."""
    return _SPACE.sub(" ", _PREFIXES.sub("", subject)).strip().lower()


def agree(one: tuple[str, datetime, str], other: tuple[str, datetime, str]) -> bool:
    """Whether two mails with one Message-ID, each as (sender, time, subject), really are one mail. A list may have put its
    name before the subject of one of them."""
    short, long = sorted((plain_subject(one[2]), plain_subject(other[2])), key=len)
    same_subject = short == long or (short != "" and long.endswith(short))
    return _employer(one[0]) == _employer(other[0]) and abs(one[1] - other[1]) <= SAME_WITHIN and same_subject


def _employer(address: str) -> str:
    """Whom a sender's name stands for: a firm, whose people may share an alias; at a free-mail provider the one person."""
    domain = domain_of(address)
    return same_mailbox(address) if is_free_mail(domain) else registrable(domain)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
