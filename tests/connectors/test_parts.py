"""A raw message as parts: nesting, names, transfer encodings, and mail that is no mail (RFC 2045, 2231)."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from connectors.mail import attachments
from connectors.parts import MOST_PARTS, Part, parameters, part_from_rfc822, unfold

PARAMETERS = {
    "plain": ("text/plain; charset=utf-8", {"charset": "utf-8"}),
    "quoted": ('text/plain; charset="utf-8"; format=flowed', {"charset": "utf-8", "format": "flowed"}),
    "an escaped quote": ('a/b; name="the \\"best\\" offer.pdf"', {"name": 'the "best" offer.pdf'}),
    "a semicolon inside quotes": ('a/b; name="one; two.pdf"; x=y', {"name": "one; two.pdf", "x": "y"}),
    "upper case": ("A/B; NAME=offer.pdf", {"name": "offer.pdf"}),
    "a charset of its own": ("attachment; filename*=utf-8''Angeb%C3%B6t.pdf", {"filename": "Angeböt.pdf"}),
    "in pieces": ("attachment; filename*0=long; filename*1=er.pdf", {"filename": "longer.pdf"}),
    "in pieces out of order": ("attachment; filename*1=er.pdf; filename*0=long", {"filename": "longer.pdf"}),
    "in encoded pieces": (
        "attachment; filename*0*=iso-8859-1'de'Angeb%F6; filename*1=t.pdf",
        {"filename": "Angeböt.pdf"},
    ),
    "an unknown charset": ("attachment; filename*=none''a%C3%B6.pdf", {"filename": "aö.pdf"}),
    "no value": ("text/plain; charset", {}),
    "nothing": ("", {}),
}


@pytest.mark.parametrize(("value", "expected"), PARAMETERS.values(), ids=PARAMETERS)
def test_parameters_are_read(value: str, expected: dict[str, str]) -> None:
    assert parameters(value) == expected


def test_a_header_is_unfolded() -> None:
    assert unfold("one\r\n two\r\n\tthree\n  four ") == "one two three four"


def test_a_message_with_an_attachment_has_its_parts_in_order() -> None:
    message = EmailMessage()
    message.set_content("Here it is.")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Angebot für Sie.pdf")
    _, root = part_from_rfc822(message.as_bytes())
    assert [part.mime for part in root.walk()] == ["multipart/mixed", "text/plain", "application/pdf"]
    assert [(one.name, one.mime, one.size, one.part) for one in attachments(root)] == [
        ("Angebot für Sie.pdf", "application/pdf", 4, "1")
    ]


def test_an_attached_message_is_one_attachment_whatever_is_inside() -> None:
    inner = EmailMessage()
    inner.set_content("Inside.")
    inner.add_attachment(b"x", maintype="image", subtype="png", filename="inside.png")
    outer = EmailMessage()
    outer.set_content("See below.")
    outer.add_attachment(inner)
    _, root = part_from_rfc822(outer.as_bytes())
    assert [(one.mime, one.name) for one in attachments(root)] == [("message/rfc822", "message.eml")]


def test_a_message_nested_twenty_times_is_walked_and_ends() -> None:
    raw = b"Content-Type: text/plain\r\n\r\nthe innermost"
    for _ in range(20):
        raw = b"Content-Type: message/rfc822\r\n\r\n" + raw
    _, root = part_from_rfc822(raw)
    assert 10 < len(root.walk()) < 25


def test_a_message_nested_without_end_is_one_text() -> None:
    raw = b"Content-Type: message/rfc822\r\n\r\n" * 3_000 + b"x"
    _, root = part_from_rfc822(raw)
    assert len(root.walk()) < 30


def test_many_parts_are_cut() -> None:
    part = Part("multipart/mixed", children=tuple(Part("text/plain", part_id=str(n)) for n in range(1_000)))
    assert len(part.walk()) == MOST_PARTS


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\x00\x00",
        b"no header at all",
        b"Subject: only a header",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x",
        b"Content-Type: ;;;\r\n\r\nx",
        b"Content-Type: text/plain; charset=\xff\r\n\r\nx",
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!",
        b"Content-Transfer-Encoding: x-unknown\r\n\r\nx",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=ZZ=",
        "Subject: Grüße\r\n\r\nx".encode("latin-1"),
        b"From x\r\n: y\r\n\r\nz",
    ],
)
def test_what_is_hardly_a_mail_has_a_root_all_the_same(raw: bytes) -> None:
    headers, root = part_from_rfc822(raw)
    assert root.mime and isinstance(headers, tuple)


def test_raw_bytes_in_a_header_are_kept_readable() -> None:
    headers, _ = part_from_rfc822("Subject: Grüße\r\n\r\nx".encode())
    assert headers == (("Subject", "Grüße"),)


def test_the_first_header_of_a_name_counts() -> None:
    part = Part("text/plain", headers=(("X-One", "first"), ("x-one", "second")))
    assert (part.header("X-ONE"), part.header("X-Two")) == ("first", "")
