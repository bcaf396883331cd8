"""What one interaction says by itself, whoever sends it and however hostile it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from worker.signals import LONGEST, read
from worker.timeline_view import Line

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BUYER = Line(1, "email", "inbound", NOW, sender="bea@northwind.example", new="We accept your offer.")


def kinds(line: Line) -> set[str]:
    return {signal.kind for signal in read(line)}


def says(text: str) -> set[str]:
    return kinds(replace(BUYER, new=text))


def test_a_quote_is_the_very_text_at_its_place() -> None:
    text = "Hallo Rae,\n\nwir nehmen Ihr Angebot an.   Grüße"
    found = [signal for signal in read(replace(BUYER, new=text)) if signal.kind == "accept"]
    assert found and all(text[one.start : one.end] == one.quote for one in found)


def test_the_same_line_says_the_same() -> None:
    assert read(BUYER) == read(replace(BUYER, id=1)) and "accept" in kinds(BUYER)


def test_colleagues_say_nothing() -> None:
    assert not read(replace(BUYER, direction="internal", sender_ours=True))


def test_we_cannot_accept_for_the_customer() -> None:
    assert "accept" not in kinds(replace(BUYER, direction="outbound", sender_ours=True))


@pytest.mark.parametrize("machine", ["auto_reply", "bulk", "bounce", "notification"])
def test_a_machine_accepts_nothing(machine: str) -> None:
    assert "accept" not in kinds(replace(BUYER, machine=machine, machine_reason="auto-replied"))


def test_an_e_signature_service_says_that_all_have_signed() -> None:
    notice = replace(
        BUYER, machine="notification", subject="Completed: Order form", new="Everyone has signed the order form."
    )
    assert kinds(notice) == {"accept"}
    assert not read(replace(notice, subject="Completed: Mutual NDA"))
    assert not read(replace(notice, new="The order form was sent to Bea and is waiting for her."))


@pytest.mark.parametrize(
    "text",
    [
        "We accept your offer?",
        "If you include the training, we accept your offer.",
        "We do not accept your offer.",
        "We will probably accept your offer.",
        "We accept your invoice.",
        "Sure, and we accept your offer in blood.",
        "Wenn der Rabatt stimmt, nehmen wir Ihr Angebot an.",
        "Als de prijs daalt, gaan we akkoord met de offerte.",
        "Nous acceptons votre devis sous réserve du financement.",
        "Aceptamos su presupuesto siempre que bajen el precio.",
        "如果价格合适，我们同意报价。",
    ],
)
def test_a_guard_spoils_a_yes(text: str) -> None:
    assert "accept" not in says(text)


def test_a_word_ending_like_a_denial_is_none() -> None:
    """``agreement`` and ``payment`` end as ``isn't`` does without its apostrophe."""
    assert "accept" in says("We accept the agreement and the payment terms.")


def test_a_yes_must_be_the_whole_sentence() -> None:
    assert "yes" in says("Yes please.") and "yes" in says("Hi Rae, yes, please do!")
    assert "yes" not in says("Nothing to correct.") and "yes" not in says("Yes, I saw your mail and will read it.")


def test_the_subject_can_name_another_matter() -> None:
    assert "subject_other" in kinds(replace(BUYER, subject="Ticket 8812", new="Approved, you can close it."))
    assert "subject_other" not in kinds(replace(BUYER, subject="Rollout", new="Approved."))


def test_our_offer_needs_a_file_a_link_or_a_price() -> None:
    ours = replace(BUYER, direction="outbound", sender_ours=True, new="Please find our quote attached.")
    assert "sent" not in kinds(ours)
    assert "sent" in kinds(replace(ours, attachments=(("Quote.pdf", "application/pdf", 900),)))
    assert "sent" not in kinds(replace(ours, attachments=(("logo.png", "image/png", 900),)))


@pytest.mark.parametrize(
    "char", ["a ", "\u00bf", "we accept ", "( ", "\x00", "<div ", "不", "yes, ", "1.000 €, ", "\n"]
)
def test_a_hundred_thousand_hostile_characters_are_read(char: str) -> None:
    """Bounded by what is read, not by what is sent: nothing beyond the first characters counts."""
    hostile = (char * 100_000)[:100_000]
    assert all(signal.end <= LONGEST for signal in read(replace(BUYER, new=hostile + " We accept your offer.")))


def test_an_empty_mail_says_nothing() -> None:
    assert not read(replace(BUYER, new="", subject=""))
