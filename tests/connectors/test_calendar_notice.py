"""What a text/calendar part says (RFC 5546)."""

from __future__ import annotations

import pytest

from connectors.calendar_notice import read
from connectors.items import CalendarNotice
from connectors.parts import Part, part_from_rfc822


def calendar(method: str, *lines: str, header: str = "") -> Part:
    """A message with one calendar part."""
    inside = "\r\n".join(
        ["BEGIN:VCALENDAR", *([f"METHOD:{method}"] if method else []), "BEGIN:VEVENT", *lines, "END:VEVENT"]
    )
    raw = f"Content-Type: text/calendar; charset=utf-8{header}\r\n\r\n{inside}\r\nEND:VCALENDAR\r\n"
    return part_from_rfc822(raw.encode())[1]


UID = "UID:demo-1@northwind.example"
NOTICES = {
    "an invitation": (calendar("REQUEST", UID), CalendarNotice("REQUEST", "demo-1@northwind.example")),
    "a cancellation": (calendar("CANCEL", UID), CalendarNotice("CANCEL", "demo-1@northwind.example")),
    "accepted": (
        calendar("REPLY", UID, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bea@northwind.example"),
        CalendarNotice("REPLY", "demo-1@northwind.example", "accepted"),
    ),
    "declined, in small letters and with a name": (
        calendar("reply", UID, 'attendee;cn="Buyer; Bea";partstat=declined:mailto:bea@northwind.example'),
        CalendarNotice("REPLY", "demo-1@northwind.example", "declined"),
    ),
    "tentative, folded": (
        calendar("REPLY", UID, "ATTENDEE;CN=Bea;PART\r\n STAT=TENTATIVE:mailto:bea@northwind.example"),
        CalendarNotice("REPLY", "demo-1@northwind.example", "tentative"),
    ),
    "an answer in an invitation is nobody's reply": (
        calendar("REQUEST", UID, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:rae@acme.example"),
        CalendarNotice("REQUEST", "demo-1@northwind.example"),
    ),
    "the method of the header counts": (
        calendar("", UID, header="; method=CANCEL"),
        CalendarNotice("CANCEL", "demo-1@northwind.example"),
    ),
    "nothing inside": (calendar("REPLY"), CalendarNotice("REPLY", "")),
}


@pytest.mark.parametrize(("root", "notice"), NOTICES.values(), ids=NOTICES)
def test_it_reads(root: Part, notice: CalendarNotice) -> None:
    assert read(root) == notice


def test_a_uid_outside_of_the_meeting_is_not_the_meetings() -> None:
    root = Part("text/calendar", data=b"BEGIN:VTIMEZONE\nUID:zone\nEND:VTIMEZONE\nBEGIN:VEVENT\nUID:right\nEND:VEVENT")
    notice = read(root)
    assert notice is not None and notice.uid == "right"


def test_a_reminder_inside_the_meeting_does_not_rename_it() -> None:
    root = calendar("REQUEST", "BEGIN:VALARM", "UID:alarm", "END:VALARM", UID)
    notice = read(root)
    assert notice is not None and notice.uid == "demo-1@northwind.example"


def test_a_message_without_a_calendar_has_no_notice() -> None:
    assert read(Part("text/plain", data=b"BEGIN:VCALENDAR")) is None
    assert read(None) is None


def test_junk_gives_an_empty_notice() -> None:
    assert read(Part("text/calendar", data=b"\x00\xff\xfe" * 1000)) == CalendarNotice("", "")
