"""Mails as no textbook has them (provider contract section 8, F60): what parsers break on, written by us.

`malformed()` names them; `deliver_malformed` puts them into a mailbox. Addresses: a customer `buyer@customer.example`, a
stranger `stranger@elsewhere.example`, and the mailbox's own address.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.mailbox import Mailbox

BUYER = "buyer@customer.example"
STRANGER = "stranger@elsewhere.example"
BIG = 25_000_000
MANY = 600
DEEP = 20
Maker = Callable[[str], bytes]


def malformed() -> dict[str, Maker]:
    """Name -> the mail for a mailbox address. `big-body` is made only when it is read."""
    return dict(_MAILS)


def deliver_malformed(box: Mailbox, names: Iterable[str] | None = None) -> dict[str, str]:
    """The mails named (default all) arrive in the mailbox; name -> message id. Raises KeyError for an unknown name."""
    found = {}
    for name in _MAILS if names is None else names:
        make = _MAILS[name]
        if name == "big-body":
            from sandbox.parcel import envelope_of

            envelope = envelope_of(_mail(box.email, "big", "Everything in one mail", ""))
            envelope.size = BIG
            found[name] = box.deliver(lambda make=make: make(box.email), envelope=envelope)
        else:
            found[name] = box.deliver(make(box.email))
    return found


def _mail(
    me: str,
    name: str,
    subject: str,
    text: str,
    *,
    sender: str = f"Bea Buyer <{BUYER}>",
    to: str = "",
    message_id: str | None = "",
    date: str = "Mon, 02 Nov 2026 09:00:00 +0000",
    more: Iterable[str] = (),
) -> bytes:
    """A mail with what is given. message_id None leaves the header out; "" makes an honest one."""
    identity = f"<{name}@customer.example>" if message_id == "" else message_id
    head = [f"From: {sender}", f"To: {to or me}", f"Subject: {subject}", f"Date: {date}"]
    head += [f"Message-ID: {identity}"] if identity is not None else []
    return ("\r\n".join([*head, *more]) + "\r\n\r\n" + text + "\r\n").encode("utf-8")


def _parts(boundary: str, *parts: str) -> str:
    return "".join(f"--{boundary}\r\n{part}\r\n" for part in parts) + f"--{boundary}--"


def _typed(kind: str) -> list[str]:
    return ["MIME-Version: 1.0", f"Content-Type: {kind}"]


def _many(me: str) -> bytes:
    crowd = ",\r\n ".join([me, *(f"person{number}@crowd{number % 40}.example" for number in range(MANY - 1))])
    return _mail(me, "many", "To all of you", "Please note our new opening hours.", to=crowd)


def _group(me: str) -> bytes:
    to = f"Board: Ann <ann@customer.example>, {BUYER};, undisclosed-recipients:;, {me}"
    return _mail(me, "group", "Minutes", "The minutes are on the shelf.", to=to)


def _broken_words(me: str) -> bytes:
    subject = "=?utf-8?B?w4nDqQ?= =?no-such-charset?Q?=A4=A5?= =?utf-8?Q?=C3?= =?iso-8859-1?B?***?="
    return _mail(me, "words", subject, "The subject says it all.", sender=f"=?utf-8?B?w4nDqQ <{BUYER}>")


def _raw_bytes(me: str) -> bytes:
    raw = _mail(me, "bytes", "Gr@e", "Sch@nen Tag", more=_typed("text/plain; charset=utf-8"))
    return raw.replace(b"Gr@e", b"Gr\xfc\xdfe").replace(b"Sch@nen", b"Sch\xf6nen")


def _reply(me: str) -> bytes:
    calendar = "\r\n".join(
        [
            *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Sandbox//EN", "METHOD:REPLY", "BEGIN:VEVENT"),
            *("UID:series-1@customer.example", "DTSTAMP:20261102T090000Z", "DTSTART:20261105T100000Z"),
            *(f"ORGANIZER:mailto:{me}", f"ATTENDEE;PARTSTAT=DECLINED:mailto:{BUYER}", "SEQUENCE:0"),
            *("SUMMARY:Demo", "END:VEVENT", "END:VCALENDAR", ""),
        ]
    )
    text = _parts(
        "cal",
        "Content-Type: text/plain; charset=utf-8\r\n\r\nBea Buyer has declined this invitation.",
        f"Content-Type: text/calendar; charset=utf-8; method=REPLY\r\n\r\n{calendar}",
    )
    return _mail(me, "reply", "Declined: Demo", text, more=_typed("multipart/alternative; boundary=cal"))


def _bounce(me: str) -> bytes:
    report = "Reporting-MTA: dns; mx.customer.example\r\n\r\nFinal-Recipient: rfc822; gone@customer.example\r\n"
    report += "Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user"
    text = _parts(
        "dsn",
        "Content-Type: text/plain\r\n\r\nYour message could not be delivered to gone@customer.example.",
        f"Content-Type: message/delivery-status\r\n\r\n{report}",
        f"Content-Type: text/rfc822-headers\r\n\r\nFrom: {me}\r\nTo: gone@customer.example\r\nSubject: Offer",
    )
    more = ["Return-Path: <>", "Auto-Submitted: auto-replied"]
    more += _typed("multipart/report; report-type=delivery-status; boundary=dsn")
    sender = "Mail Delivery Subsystem <mailer-daemon@mx.customer.example>"
    return _mail(me, "dsn", "Undelivered Mail Returned to Sender", text, sender=sender, more=more)


def _nested(me: str) -> bytes:
    inner = _mail(me, f"deep{DEEP}", "The innermost one", "We accept.", sender=f"Zoe <{STRANGER}>")
    for level in range(DEEP - 1, -1, -1):
        head = _mail(me, f"deep{level}", f"Fwd: level {level}", "", more=_typed("message/rfc822"))
        inner = head.rstrip(b"\r\n") + b"\r\n\r\n" + inner
    return inner


def _big(me: str) -> bytes:
    line = base64.b64encode(b"All of it, once more, for the record. " * 2)[:76] + b"\r\n"
    body = line * (BIG // len(line))
    head = _mail(me, "big", "Everything in one mail", "", more=_typed("application/octet-stream; name=all.bin"))
    return head.rstrip(b"\r\n") + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body


def _endless_boundary(me: str) -> bytes:
    text = "--open\r\nContent-Type: text/plain\r\n\r\nThe closing line never comes."
    return _mail(me, "open", "Cut off", text, more=_typed("multipart/mixed; boundary=open"))


def _twin(me: str, text: str, sender: str) -> bytes:
    return _mail(me, "twin", "Same name, other child", text, sender=sender, message_id="<twin@customer.example>")


_MAILS: dict[str, Maker] = {
    "empty-id": lambda me: _mail(me, "a", "No name", "My mailer is shy.", message_id="<>"),
    "no-id": lambda me: _mail(me, "b", "No id at all", "My mailer is shyer.", message_id=None),
    "twin-one": lambda me: _twin(me, "I am the first.", f"Bea Buyer <{BUYER}>"),
    "twin-two": lambda me: _twin(me, "I am somebody else.", f"Zoe Stranger <{STRANGER}>"),
    "two-addresses": lambda me: _mail(me, "c", "Who am I", "Guess.", sender=f"{BUYER} <{STRANGER}>"),
    "many-recipients": _many,
    "group": _group,
    "broken-words": _broken_words,
    "raw-bytes": _raw_bytes,
    "date-1970": lambda me: _mail(me, "d", "From the past", "Hello.", date="Thu, 01 Jan 1970 00:00:00 +0000"),
    "no-date": lambda me: _mail(me, "e", "Timeless", "Hello.", date="the day before yesterday"),
    "calendar-reply": _reply,
    "bounce": _bounce,
    "auto-submitted": lambda me: _mail(
        me, "f", "Out of office", "I am away.", more=["Auto-Submitted: auto-replied", "Precedence: auto_reply"]
    ),
    "big-body": _big,
    "nul-bytes": lambda me: _mail(me, "g", "Holes", "Mind\0the\0gap."),
    "nested": _nested,
    "open-boundary": _endless_boundary,
    "nobody": lambda me: _mail(me, "h", "", "", sender=""),
}
