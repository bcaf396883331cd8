"""A message out of headers and parts, whoever delivered them. Nothing here raises: mail is hostile and broken, and an odd
field becomes an empty or a shortened one, never a lost message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_tz

from connectors import addresses, bounces, calendar_notice, machine
from connectors.items import Attachment, Message, Place
from connectors.parts import Part, unfold
from connectors.words import decode_words

_ID = re.compile(r"<\s*([^<>\s]{1,900})\s*>")
_FORWARD = re.compile(
    r"^\s*((re|aw|sv|antw)\s*:\s*)*(fw|fwd|wg|tr|rv|doorst|i|enc|vs|转发|轉寄)\s*(\[\d+\])?\s*[:：]", re.I
)
MOST_SUBJECT = 1000
MOST_REFERENCES = 100


def read_message(
    *,
    item_id: str,
    thread: str,
    at: datetime,
    headers: Sequence[tuple[str, str]],
    place: Place = "mail",
    outbound: bool = False,
    labels: tuple[str, ...] = (),
    size: int = 0,
    root: Part | None = None,
    with_body: bool = True,
) -> Message:
    """The message. Without ``root``, or with ``with_body`` False, its ``body`` is None (attachments are still listed when
    the part tree is known)."""
    first = _first_values(headers)
    parties = addresses.parse_all(headers)
    subject = clean_subject(first.get("subject", ""))
    kind, reason = machine.judge(first, parties, root, subject, outbound=outbound)
    bounced: tuple[str, ...] = ()
    bounce_of = ""
    if kind == "bounce":
        known = [party.address for party in parties]
        bounced, bounce_of = bounces.returned(root, first.get("x-failed-recipients", ""), known)
    body = None
    if with_body and root is not None:
        from connectors.body import read_body

        body = read_body(root)
    return Message(
        item_id=item_id,
        thread=thread,
        at=at,
        parties=parties,
        subject=subject,
        place=place,
        outbound=outbound,
        message_id=message_id(first.get("message-id", "")),
        references=references(first.get("references", ""), first.get("in-reply-to", "")),
        sent_at=sent_at(first.get("date", "")),
        machine=kind,
        machine_reason=reason,
        calendar=calendar_notice.read(root) if kind == "calendar" else None,
        bounced=bounced,
        bounce_of=bounce_of,
        labels=labels,
        size=size,
        body=body,
        attachments=attachments(root),
        forwarded=bool(_FORWARD.match(subject)),
    )


def message_id(value: str) -> str:
    """A Message-ID without brackets; empty for ``<>`` and other nothings (RFC 5322 3.6.4)."""
    found = _ID.search(value)
    if found:
        return found.group(1)
    bare = value.strip().strip("<>").strip()
    return bare[:900] if bare and " " not in bare and "@" in bare else ""


def references(refs: str, in_reply_to: str) -> tuple[str, ...]:
    """Oldest first, no repeats, In-Reply-To last; what stands between the ids is ignored."""
    ids = _ID.findall(refs[:60_000])[-MOST_REFERENCES:]
    replied = _ID.findall(in_reply_to[:4000])[:3]
    merged = [one for one in ids if one not in replied] + replied
    return tuple(dict.fromkeys(merged))


def sent_at(value: str) -> datetime | None:
    """A Date header as aware UTC; None when it is none or makes no sense (before 1980, after 2100)."""
    try:
        parsed = parsedate_tz(unfold(value)[:200])
        if parsed is None:
            return None
        moment = datetime(*parsed[:6], tzinfo=UTC).timestamp() - (parsed[9] or 0)
        found = datetime.fromtimestamp(moment, UTC)
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        return None
    return found if 1980 <= found.year <= 2100 else None


def clean_subject(value: str) -> str:
    """Decoded, on one line, shortened."""
    return " ".join(decode_words(unfold(value)[:8000]).split())[:MOST_SUBJECT]


def attachments(root: Part | None) -> tuple[Attachment, ...]:
    """Named parts and attached messages, in order; what is inside an attached message is its own affair."""
    found: list[Attachment] = []
    stack = [root] if root is not None else []
    while stack and len(found) < 200:
        part = stack.pop()
        inside = part.mime == "message/rfc822"
        if part.filename or inside:
            name = " ".join(decode_words(part.filename).split())[:300] or "message.eml"
            found.append(Attachment(name, part.mime, part.size, part.part_id))
        if not inside:
            stack.extend(reversed(part.children))
    return tuple(found)


def _first_values(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    first: dict[str, str] = {}
    for name, value in headers[:500]:
        first.setdefault(name.lower(), unfold(value[:65_536]))
    return first
