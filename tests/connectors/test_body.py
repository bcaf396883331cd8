"""Which part is the text, and what of it is new."""

from __future__ import annotations

import pytest

from connectors.body import MOST_TEXT, read_body, unflow
from connectors.parts import Part, part_from_rfc822

PLAIN = "Content-Type: text/plain; charset=utf-8\n\nTuesday is fine."
HTML = "Content-Type: text/html; charset=utf-8\n\n<p>Tuesday is <b>really</b> fine.</p>"


def mime(kind: str, *parts: str) -> bytes:
    """A multipart message of these parts."""
    body = "".join(f"--cut\n{part}\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary=cut\n\n{body}--cut--\n".encode()


def body_of(raw: bytes) -> str:
    """The whole text of a raw message."""
    return read_body(part_from_rfc822(raw)[1]).text.strip()


TEXTS = {
    "plain text alone": (PLAIN.encode(), "Tuesday is fine."),
    "HTML alone": (HTML.encode(), "Tuesday is really fine."),
    "plain text is preferred": (mime("alternative", PLAIN, HTML), "Tuesday is fine."),
    "an empty plain text gives way": (
        mime("alternative", "Content-Type: text/plain\n\n \n", HTML),
        "Tuesday is really fine.",
    ),
    "a stub gives way": (
        mime(
            "alternative",
            "Content-Type: text/plain\n\nPlease view this in a browser.",
            f"Content-Type: text/html\n\n<p>{'The whole long letter. ' * 20}</p>",
        ),
        ("The whole long letter. " * 20).strip(),
    ),
    "an attached text is not the letter": (
        mime("mixed", "Content-Type: text/plain\nContent-Disposition: attachment\n\nattached", PLAIN),
        "Tuesday is fine.",
    ),
    "a named text is not the letter": (
        mime("mixed", "Content-Type: text/plain; name=notes.txt\n\nnotes", PLAIN),
        "Tuesday is fine.",
    ),
    "an attached message is not the letter": (
        mime("mixed", PLAIN, "Content-Type: message/rfc822\n\nSubject: x\n\nWe accept."),
        "Tuesday is fine.",
    ),
    "a multipart without parts is read as it stands": (
        b"Content-Type: multipart/mixed; boundary=none\n\nTuesday is fine.",
        "Tuesday is fine.",
    ),
    "a boundary that never closes": (
        b"Content-Type: multipart/mixed; boundary=cut\n\n--cut\nContent-Type: text/plain\n\nTuesday is fine.",
        "Tuesday is fine.",
    ),
    "a broken charset": (b"Content-Type: text/plain; charset=none-such\n\nGr\xfc\xdfe", "Grüße"),
    "NUL bytes": (b"Content-Type: text/plain\n\nTues\x00day", "Tuesday"),
    "a type that is no text": (b"Content-Type: application/pdf\n\n%PDF", ""),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize(("raw", "text"), TEXTS.values(), ids=TEXTS)
def test_the_text_of_a_message_is_found(raw: bytes, text: str) -> None:
    assert body_of(raw) == text


def test_what_is_cut_in_html_is_not_new() -> None:
    html = b'<div>Tuesday is fine.</div><div id="appendonsend"></div><div>Rae asked which day.</div>'
    body = read_body(Part("text/html", data=html, charset="utf-8"))
    assert body.new == "Tuesday is fine."
    assert "Rae asked" in body.text and "\x02" not in body.text


def test_answers_below_a_quotation_in_html_are_new() -> None:
    html = (
        b'<p>Hi Rae,</p><div class="moz-cite-prefix">On 2/11/26 Rae wrote:</div><blockquote>Which day?</blockquote>'
        b"<p>Tuesday.</p>"
    )
    new = read_body(Part("text/html", data=html, charset="utf-8")).new
    assert new.split() == ["Hi", "Rae,", "Tuesday."]


def test_links_of_html_are_kept_beside_the_plain_text() -> None:
    html = 'Content-Type: text/html\n\n<a href="https://sign.example/1">Sign</a>'
    body = read_body(part_from_rfc822(mime("alternative", PLAIN, html))[1])
    assert (body.text.strip(), body.links) == ("Tuesday is fine.", ("https://sign.example/1",))


def test_a_text_of_megabytes_is_cut_and_says_so() -> None:
    body = read_body(Part("text/plain", data="é".encode() * 3_000_000, charset="utf-8"))
    assert body.truncated and len(body.text) == MOST_TEXT
    assert set(body.text) == {"é"}


@pytest.mark.parametrize(
    ("given", "delsp", "expected"),
    [
        ("One \ntwo\nthree", False, "One two\nthree"),
        ("One \ntwo", True, "Onetwo"),
        ("> quoted \nmine", False, "> quoted \nmine"),
        ("-- \nBea", False, "-- \nBea"),
        (" stuffed", False, "stuffed"),
    ],
)
def test_flowed_lines_are_joined(given: str, delsp: bool, expected: str) -> None:
    assert unflow(given, delsp=delsp) == expected


def test_a_flowed_letter_is_one_paragraph() -> None:
    assert body_of(b"Content-Type: text/plain; format=flowed\n\nTuesday \nis fine.") == "Tuesday is fine."
