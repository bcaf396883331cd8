"""Whom a bounce did not reach, and which mail it returns (RFC 3464)."""

from __future__ import annotations

import pytest

from connectors.bounces import MOST, returned
from connectors.parts import Part, part_from_rfc822

OWN = ("mailer-daemon@mx.example", "rae@acme.example")


def report(
    *blocks: str, text: str = "It failed.", head: str = "Message-ID: <offer-1@acme.example>\nSubject: Offer"
) -> Part:
    """A delivery report of RFC 3464 with one block a recipient."""
    status = "Reporting-MTA: dns; mx.example\n\n" + "\n\n".join(blocks)
    raw = (
        "Content-Type: multipart/report; report-type=delivery-status; boundary=cut\n\n"
        f"--cut\nContent-Type: text/plain\n\n{text}\n"
        f"--cut\nContent-Type: message/delivery-status\n\n{status}\n"
        f"--cut\nContent-Type: text/rfc822-headers\n\n{head}\n--cut--\n"
    )
    return part_from_rfc822(raw.encode())[1]


def failed(address: str, action: str = "failed") -> str:
    return f"Final-Recipient: rfc822; {address}\nAction: {action}\nStatus: 5.1.1"


def test_a_report_names_the_address_and_the_mail() -> None:
    assert returned(report(failed("gone@n.example")), "") == (("gone@n.example",), "offer-1@acme.example")


def test_a_report_names_each_address_once() -> None:
    root = report(
        failed("a@n.example"), failed("b@n.example"), "Original-Recipient: rfc822;a@n.example\nAction: failed"
    )
    assert returned(root, "b@n.example")[0] == ("b@n.example", "a@n.example")


def test_a_delayed_mail_has_not_failed_yet() -> None:
    text = "Not yet delivered to gone@n.example; we will keep trying."
    assert returned(report(failed("gone@n.example", "delayed"), text=text), "")[0] == ()


def test_of_a_delayed_and_a_failed_one_only_the_failed_is_named() -> None:
    root = report(failed("slow@n.example", "delayed"), failed("gone@n.example"))
    assert returned(root, "")[0] == ("gone@n.example",)


def test_fields_in_a_part_below_the_report_are_read() -> None:
    inner = Part("text/plain", data=f"Reporting-MTA: dns; mx\n\n{failed('gone@n.example')}".encode())
    root = Part("multipart/report", children=(Part("message/delivery-status", children=(inner,)),))
    assert returned(root, "")[0] == ("gone@n.example",)


def test_the_id_of_a_mail_returned_whole_is_found() -> None:
    inner = b"Content-Type: message/rfc822\n\nMessage-ID: <offer-2@acme.example>\nSubject: Offer\n\nHello"
    assert returned(part_from_rfc822(inner)[1], "")[1] == "offer-2@acme.example"


IN_WORDS = {
    "alone on its line": "These failed permanently:\n\n    gone@n.example\n",
    "with a bullet": "Delivery failed:\n * gone@n.example\n",
    "in brackets": "<gone@n.example>\n550 5.1.1 User unknown",
    "with its reason behind it": "gone@n.example: 550 5.2.2 Mailbox full",
    "in a sentence": "Your message wasn't delivered to gone@n.example because the address couldn't be found.",
    "after a label": "Unknown user: gone@n.example",
    "after an SMTP command": "Sent <<< RCPT TO:<gone@n.example>\nReceived >>> 550",
    "of a mail that was being delivered": "There was an error delivering your mail to <gone@n.example>.",
    "in quotation marks": '"gone@n.example":\nSMTP error from remote server',
    "twice on its line": ">>> gone@n.example <gone@n.example>",
    "behind a full mailbox": "User's mailbox is full: <gone@n.example>",
    "with its reason in brackets": "gone@n.example [User unknown]",
    "in HTML": "<p>Not delivered to <b>gone@n.example</b></p>",
}


@pytest.mark.parametrize("text", IN_WORDS.values(), ids=IN_WORDS)
def test_a_report_in_words_names_the_address(text: str) -> None:
    mime = "text/html" if text.startswith("<p>") else "text/plain"
    assert returned(Part(mime, data=text.encode()), "", OWN)[0] == ("gone@n.example",)


@pytest.mark.parametrize(
    "text",
    [
        "Questions? Ask helpdesk@mx.example for advice about it.",
        "Return-Path: <rae@acme.example>\n\ngone@n.example",
        "We could not deliver it to gone@n.example yet and will continue to try.",
        "rae@acme.example",
        "",
    ],
    ids=["the help desk", "the returned mail", "still trying", "ourselves", "nothing"],
)
def test_words_that_blame_nobody_name_nobody(text: str) -> None:
    assert returned(Part("text/plain", data=text.encode()), "", OWN)[0] == ()


def test_a_crowd_is_cut() -> None:
    assert len(returned(report(*(failed(f"p{n}@n.example") for n in range(60))), "")[0]) == MOST


@pytest.mark.parametrize("text", ["a@" * 50_000, "<" * 100_000, "Final-Recipient: " * 5_000, "x@y." * 20_000])
def test_a_hostile_report_is_read_in_one_go(text: str) -> None:
    assert returned(Part("text/plain", data=text.encode()), "")[0] == ()


def test_without_parts_there_is_what_the_header_says() -> None:
    assert returned(None, "gone@n.example, also@n.example")[0] == ("gone@n.example", "also@n.example")
