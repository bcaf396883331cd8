"""Whom a header names, and whom it does not (provider-contract 7.4)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.addresses import MOST_RECIPIENTS, parse, parse_all, valid

READ = {
    "a bare address": ("bea@northwind.example", [("", "bea@northwind.example")]),
    "a name and an address": ("Bea Buyer <bea@northwind.example>", [("Bea Buyer", "bea@northwind.example")]),
    "a quoted name with a comma": ('"Buyer, Bea" <bea@northwind.example>', [("Buyer, Bea", "bea@northwind.example")]),
    "an escaped quote in a name": ('"Bea \\"B\\" Buyer" <bea@n.example>', [('Bea "B" Buyer', "bea@n.example")]),
    "the domain's case": ("<Bea@NorthWind.EXAMPLE>", [("", "Bea@northwind.example")]),
    "a final dot": ("bea@northwind.example.", [("", "bea@northwind.example")]),
    "two of them": ("a@x.example, B <b@y.example>", [("", "a@x.example"), ("B", "b@y.example")]),
    "empty places": (" , a@x.example,, ,b@y.example,", [("", "a@x.example"), ("", "b@y.example")]),
    "Outlook's semicolons": ("a@x.example; b@y.example", [("", "a@x.example"), ("", "b@y.example")]),
    "a comment for a name": ("bea@n.example (Bea Buyer)", [("Bea Buyer", "bea@n.example")]),
    "a comment beside the name": ("Bea (buying) <bea@n.example>", [("Bea (buying)", "bea@n.example")]),
    "a name that repeats the address": ("bea@n.example <bea@n.example>", [("", "bea@n.example")]),
    "an encoded name": ("=?utf-8?q?B=C3=A9a?= <bea@n.example>", [("Béa", "bea@n.example")]),
    "a name encoded in two words": ("=?utf-8?b?QsOp?= =?utf-8?b?YQ==?= <bea@n.example>", [("Béa", "bea@n.example")]),
    "a name in an unknown charset": ("=?x-none?q?Bea?= <bea@n.example>", [("Bea", "bea@n.example")]),
    "a name in raw UTF-8": ("Béa Müller <bea@n.example>", [("Béa Müller", "bea@n.example")]),
    "an encoded comma is no separator": ("=?utf-8?q?Buyer=2C_Bea?= <bea@n.example>", [("Buyer, Bea", "bea@n.example")]),
    "a quoted local part": ('"bea buyer"@n.example', [("", '"bea buyer"@n.example')]),
    "a quoted local part with an at": ('<"a@b"@n.example>', [("", '"a@b"@n.example')]),
    "a plus tag stays": ("bea+deals@n.example", [("", "bea+deals@n.example")]),
    "an international domain": ("bea@bücher.example", [("", "bea@xn--bcher-kva.example")]),
    "sharp s is its own letter": ("bea@faß.example", [("", "bea@xn--fa-hia.example")]),
    "an international local part": ("béa@n.example", [("", "béa@n.example")]),
    "a group": ("Team: a@x.example, b@y.example;", [("", "a@x.example"), ("", "b@y.example")]),
    "an empty group": ("undisclosed-recipients:;", []),
    "a group among others": (
        "c@z.example, Team: a@x.example;, d@w.example",
        [("", "c@z.example"), ("", "a@x.example"), ("", "d@w.example")],
    ),
    "a source route": ("<@relay.example,@hop.example:bea@n.example>", [("", "bea@n.example")]),
    "a folded header": ("Bea\r\n Buyer\r\n\t<bea@n.example>", [("Bea Buyer", "bea@n.example")]),
    "a NUL in a name": ("Bea\x00 <bea@n.example>", [("Bea\x00", "bea@n.example")]),
    "an open quote": ('"Bea Buyer <bea@n.example>', [("Bea Buyer", "bea@n.example")]),
}

NOBODY = {
    "a name without brackets": "Bea Buyer bea@n.example",
    "no at": "bea.n.example",
    "two ats": "bea@n@x.example",
    "no domain": "bea@",
    "no local part": "@n.example",
    "a host without a dot": "root@localhost",
    "two dots": "bea@n..example",
    "an empty bracket": "Bea <>",
    "a space in the local part": "<bea buyer@n.example>",
    "an address literal": "bea@[192.0.2.1]",
    "a domain that cannot be encoded": "bea@\u2048.example",
    "an endless address": f"{'a' * 400}@n.example",
    "nothing": "",
}

SPOOFED = {
    "the name is an address": ("bea@northwind.example <eve@evil.example>", "eve@evil.example"),
    "the name is a quoted address": ('"bea@northwind.example" <eve@evil.example>', "eve@evil.example"),
    "the name holds brackets": ('"Bea <bea@northwind.example>" <eve@evil.example>', "eve@evil.example"),
    "an encoded address for a name": (
        "=?utf-8?q?=3Cbea=40northwind=2Eexample=3E=2C?= <eve@evil.example>",
        "eve@evil.example",
    ),
    "an address in a comment": ("eve@evil.example (bea@northwind.example)", "eve@evil.example"),
    "two pairs of brackets": ("<bea@northwind.example> <eve@evil.example>", "eve@evil.example"),
}


@pytest.mark.parametrize(("value", "expected"), READ.values(), ids=READ)
def test_it_reads(value: str, expected: list[tuple[str, str]]) -> None:
    found = parse(value, "to")
    assert [(party.name, party.address) for party in found] == expected
    assert {party.role for party in found} <= {"to"}


@pytest.mark.parametrize("value", NOBODY.values(), ids=NOBODY)
def test_it_makes_nobody_up_of(value: str) -> None:
    assert parse(value, "to") == []


@pytest.mark.parametrize(("value", "sender"), SPOOFED.values(), ids=SPOOFED)
def test_a_display_name_never_speaks_for_somebody_else(value: str, sender: str) -> None:
    assert [party.address for party in parse(value, "from")] in ([sender], [])
    assert "bea@northwind.example" not in [party.address for party in parse(value, "from")]


def test_a_closing_bracket_between_two_addresses_gives_neither() -> None:
    assert parse("alice@n.example)bob@evil.example", "from") == []


def test_six_hundred_recipients_are_cut_at_five_hundred() -> None:
    value = ", ".join(f"Person {n} <p{n}@many.example>" for n in range(600))
    found = parse(value, "to")
    assert len(found) == MOST_RECIPIENTS == 500
    assert found[0].address == "p0@many.example"


def test_six_hundred_recipients_in_as_many_headers_are_cut_too() -> None:
    found = parse_all([("From", "a@x.example"), *[("To", f"p{n}@many.example") for n in range(600)]])
    assert len([party for party in found if party.role == "to"]) == MOST_RECIPIENTS


@pytest.mark.parametrize(
    "value",
    [
        "a@b" + ":" * 60_000,
        " " * 60_000 + '"',
        "<" * 60_000,
        '"' * 60_001,
        "(" * 60_000,
        "\\" * 60_000,
        "," * 60_000,
        "a@x.example <" * 5_000,
        ("é" * 30 + "@") * 2_000,
    ],
    ids=["colons", "blanks", "brackets", "quotes", "comments", "backslashes", "commas", "opened", "letters"],
)
def test_a_hostile_header_is_read_in_one_go(value: str) -> None:
    assert parse(value, "to") == []


def test_roles_come_in_the_order_of_a_letterhead() -> None:
    found = parse_all(
        [
            ("Reply-To", "answers@x.example"),
            ("CC", "c@x.example"),
            ("TO", "t@x.example"),
            ("Bcc", "hidden@x.example"),
            ("Sender", "office@x.example"),
            ("From", "boss@x.example"),
            ("X-To", "nobody@x.example"),
        ]
    )
    assert [(party.role, party.address) for party in found] == [
        ("from", "boss@x.example"),
        ("sender", "office@x.example"),
        ("to", "t@x.example"),
        ("cc", "c@x.example"),
        ("bcc", "hidden@x.example"),
        ("reply_to", "answers@x.example"),
    ]


def test_a_sender_who_is_the_author_is_named_once() -> None:
    found = parse_all([("From", "Boss <Boss@x.example>"), ("Sender", "boss@X.example")])
    assert [party.role for party in found] == ["from"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (" bea@N.example ", "bea@n.example"),
        ("Bea.Buyer@n.example", "Bea.Buyer@n.example"),
        ("bea@BÜCHER.example", "bea@xn--bcher-kva.example"),
        ("bea@-n.example", ""),
        ("bea\n@n.example", ""),
        ("bea@n.exa mple", ""),
    ],
)
def test_one_address_is_made_comparable(given: str, expected: str) -> None:
    assert valid(given) == expected


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_whatever_a_header_says_what_comes_of_it_is_an_address(value: str) -> None:
    for party in parse(value, "to"):
        assert valid(party.address) == party.address
        assert party.address.count("@") == 1 or party.address.startswith('"')
