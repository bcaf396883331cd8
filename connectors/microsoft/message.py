"""A message as Graph shows it, in the trade's words (provider-contract 4.1).

Addresses, subject, Message-ID and times are taken from Graph's typed fields, which are always there; the other headers from
``internetMessageHeaders``, which sent mail lacks. What Graph does not show at all (the parts of a delivery report, an invitation)
is read from the raw message where it was fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from connectors import addresses
from connectors.items import CalendarNotice, Message
from connectors.mail import read_message
from connectors.microsoft.folders import Folders
from connectors.parts import Part, part_from_rfc822

HEADS = (
    "id,receivedDateTime,sentDateTime,internetMessageId,conversationId,subject,from,sender,toRecipients,ccRecipients,"
    "bccRecipients,replyTo,isDraft,parentFolderId,hasAttachments,categories,lastModifiedDateTime,internetMessageHeaders"
)
WHOLE = f"{HEADS},body"
FILES = "attachments($select=id,name,contentType,size,isInline)"
_NEEDED = {"receivedDateTime", "parentFolderId", "isDraft", "conversationId"}
_TYPED = {"from", "sender", "to", "cc", "bcc", "reply-to", "subject", "message-id"}
_ROLES = (
    ("From", "from"),
    ("Sender", "sender"),
    ("To", "toRecipients"),
    ("Cc", "ccRecipients"),
    ("Bcc", "bccRecipients"),
    ("Reply-To", "replyTo"),
)
_METHODS = {"eventMessageRequest": "REQUEST", "eventMessageResponse": "REPLY", "eventMessage": "CANCEL"}


def is_whole(row: Mapping[str, Any]) -> bool:
    """Whether a row has what a message needs; an update may carry no more than what changed."""
    return row.keys() >= _NEEDED


def is_meeting(row: Mapping[str, Any]) -> bool:
    """Whether it is mail about a meeting."""
    return kind_of(row) in _METHODS


def kind_of(row: Mapping[str, Any]) -> str:
    """Its type without the namespace."""
    return str(row.get("@odata.type") or "").rpartition(".")[2]


def read(
    row: Mapping[str, Any], folders: Folders, own: Iterable[str], *, with_body: bool = False, raw: bytes | None = None
) -> Message:
    """The message of a whole row. ``own``: addresses that its owner sends from; ``raw``: the raw message, where fetched."""
    given, root = _headers(row), _root(row) if with_body else None
    if raw is not None:
        given, root = part_from_rfc822(raw)
    headers = [*_typed(row), *(pair for pair in given if pair[0].lower() not in _TYPED)]
    folder = str(row["parentFolderId"])
    found = read_message(
        item_id=str(row["id"]),
        thread=str(row.get("conversationId") or ""),
        at=moment(row["receivedDateTime"]),
        headers=headers,
        place="draft" if row.get("isDraft") else folders.place(folder),
        outbound=folders.is_sent(folder) or _from_owner(headers, own),
        labels=tuple(str(one) for one in row.get("categories") or []),
        root=root,
        with_body=with_body,
    )
    return _as_meeting(found, kind_of(row)) if is_meeting(row) else found


def moment(text: Any) -> datetime:
    """A DateTimeOffset as aware UTC. Raises ValueError."""
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")).astimezone(UTC)


def _as_meeting(message: Message, kind: str) -> Message:
    """A meeting's mail is a calendar's, whatever its headers say; the raw message tells more than its type does."""
    notice = message.calendar or CalendarNotice(_METHODS[kind], "")
    return replace(message, machine="calendar", machine_reason="a meeting message", calendar=notice)


def _typed(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [("Subject", str(row.get("subject") or "")), ("Message-ID", str(row.get("internetMessageId") or ""))]
    for name, field in _ROLES:
        value = row.get(field)
        people = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
        written = [_written(one.get("emailAddress")) for one in people if isinstance(one, dict)]
        if any(written):
            found.append((name, ", ".join(one for one in written if one)))
    return found


def _written(mailbox: Any) -> str:
    """One mailbox as a header has it, its name quoted; empty for one without an address of the internet."""
    if not isinstance(mailbox, dict) or "@" not in str(mailbox.get("address") or ""):
        return ""
    address, name = str(mailbox["address"]).strip(), " ".join(str(mailbox.get("name") or "").split())
    if not name or name == address:
        return f"<{address}>"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'


def _headers(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    found = [
        (str(one["name"]), str(one.get("value") or ""))
        for one in row.get("internetMessageHeaders") or []
        if isinstance(one, dict) and one.get("name")
    ]
    if not any(name.lower() == "date" for name, _ in found) and row.get("sentDateTime"):
        found.append(("Date", format_datetime(moment(row["sentDateTime"]))))
    return tuple(found)


def _root(row: Mapping[str, Any]) -> Part:
    """The text and the names of the files as parts."""
    body = row.get("body") if isinstance(row.get("body"), dict) else {}
    content = str((body or {}).get("content") or "")
    mime = "text/plain" if str((body or {}).get("contentType") or "").lower() == "text" else "text/html"
    data = content.encode("utf-8", "replace")
    text = Part(mime, data=data, charset="utf-8", size=len(data), part_id="0")
    files = [one for one in row.get("attachments") or [] if isinstance(one, dict)]
    headers = _headers(row)
    return Part(
        _content_type(headers),
        headers=headers,
        children=(text, *(_file(number, one) for number, one in enumerate(files, 1))),
    )


def _file(number: int, one: Mapping[str, Any]) -> Part:
    enclosed = str(one.get("@odata.type") or "").endswith("itemAttachment")
    mime = "message/rfc822" if enclosed else str(one.get("contentType") or "application/octet-stream").lower()
    size = one.get("size")
    return Part(mime, str(one.get("name") or ""), str(number), size=size if isinstance(size, int) else 0)


def _content_type(headers: Iterable[tuple[str, str]]) -> str:
    value = next((value for name, value in headers if name.lower() == "content-type"), "")
    mime = value.partition(";")[0].strip().lower()
    return mime if mime.startswith("multipart/") else "multipart/mixed"


def _from_owner(headers: Iterable[tuple[str, str]], own: Iterable[str]) -> bool:
    mine = set(own)
    value = next((value for name, value in headers if name == "From"), "")
    senders = addresses.parse(value, "from") if mine and value else []
    return bool(senders) and all(party.address.lower() in mine for party in senders)
