"""Name, position and telephone out of a signature; and nothing where there is doubt."""

from __future__ import annotations

import time

import pytest

from worker.signature import Facts, read_signature, signed_block


@pytest.mark.parametrize(
    ("block", "sender", "facts"),
    [
        (
            "Bea Buyer\nHead of Procurement\nNorthwind Ltd\nTel. +44 20 7946 0018 | Fax +44 20 7946 0019",
            "Bea Buyer",
            Facts("Bea Buyer", "Head of Procurement", "+44 20 7946 0018"),
        ),
        (
            "Jörg Müller | Leiter Einkauf\nNordwind GmbH, HRB 1234567\nFax: 040 1234567\nMobil: 0171 2345678",
            "Müller, Jörg",
            Facts("Jörg Müller", "Leiter Einkauf", "0171 2345678"),
        ),
        ("Claire Petit\nDirectrice des achats\nTél. : 01 44 55 66 77", "Claire Petit", Facts("Claire Petit", "Directrice des achats", "01 44 55 66 77")),
        ("ANA GARCÍA, Gerente de Compras\n(555) 123-4567 ext. 12", "Ana García", Facts("Ana García", "Gerente de Compras", "(555) 123-4567 ext. 12")),
        ("Jan de Vries\nInkoper", "Jan de Vries", Facts("Jan de Vries", "Inkoper", "")),
    ],
)  # fmt: skip
def test_what_people_sign_with_is_read(block: str, sender: str, facts: Facts) -> None:
    assert read_signature(block, sender) == facts


@pytest.mark.parametrize(
    "block",
    [
        "",
        "IBAN DE89 3704 0044 0532 0130 00",
        "VAT: 123456789\nFax 020 7946 0019",
        "12.03.2026 - 14.03.2026",
        "https://example.com/12345678 or mail4711234567@example.com",
        "This message is confidential and intended for the manager named above.",
        "Please call the manager about this.",
    ],
)
def test_what_is_no_telephone_and_no_position_is_left(block: str) -> None:
    assert read_signature(block, "Bea Buyer") == Facts()


def test_a_firm_is_not_taken_for_a_name() -> None:
    assert read_signature("Northwind Trading\nBea Buyer", "Bea Buyer").name == "Bea Buyer"


def test_an_unmarked_signature_begins_at_the_senders_name() -> None:
    text = "Dear Rae,\nhere it is: 020 1111 1111.\nBest\n\nBea Buyer\nHead of Procurement\n020 7946 0018"
    found = read_signature(signed_block("", text, "Bea Buyer"), "Bea Buyer")
    assert found == Facts("Bea Buyer", "Head of Procurement", "020 7946 0018")
    assert signed_block("", "Hello Bea Buyer\n020 7946 0018", "Bea Buyer") == ""


def test_hostile_text_takes_no_time() -> None:
    started = time.monotonic()
    for block in ("1 " * 100_000, "a-" * 100_000, "(" * 50_000, "chief " * 50_000, "\n".join(["x" * 5_000] * 100)):
        read_signature(block, "Bea Buyer")
    assert time.monotonic() - started < 2
