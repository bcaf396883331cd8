"""What makes two addresses the same."""

from __future__ import annotations

import pytest

from models.addresses import canonical, canonical_domain, forget_many, lineage, registrable, same_mailbox, weak


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("Bea@Northwind.Example", "bea@northwind.example"),
        (" <bea@northwind.example> ", "bea@northwind.example"),
        ("bea@northwind.example.", "bea@northwind.example"),
        ("bea@MÜNCHEN.example", "bea@xn--mnchen-3ya.example"),
        ("jörg@münchen.example", "jörg@xn--mnchen-3ya.example"),
        ("jo\u0308rg@northwind.example", "jörg@northwind.example"),
        ('"bea"@northwind.example', "bea@northwind.example"),
        ('"bea buyer"@northwind.example', '"bea buyer"@northwind.example'),
        ("bea+crm@northwind.example", "bea+crm@northwind.example"),
        ("bea", ""),
        ("@northwind.example", ""),
        ("bea@", ""),
        ("bea@localhost", ""),
        ("bea buyer@northwind.example", ""),
        ("bea@north wind.example", ""),
        ("a,b@northwind.example", ""),
        ("x" * 320 + "@northwind.example", ""),
        ("", ""),
    ],
)
def test_one_address_has_one_form(written: str, stored: str) -> None:
    """Field note 15: case, IDN and quoted local parts."""
    assert canonical(written) == stored


@pytest.mark.parametrize(
    ("address", "loose", "mailbox"),
    [
        ("j.d.oe+x@gmail.com", "jdoe@gmail.com", "jdoe@gmail.com"),
        ("jdoe@googlemail.com", "jdoe@gmail.com", "jdoe@gmail.com"),
        ("bea+crm@northwind.example", "bea@northwind.example", "bea+crm@northwind.example"),
        ("b.ea@northwind.example", "b.ea@northwind.example", "b.ea@northwind.example"),
        ("+x@northwind.example", "+x@northwind.example", "+x@northwind.example"),
    ],
)
def test_dots_and_tags_mean_nothing_at_gmail_and_little_elsewhere(address: str, loose: str, mailbox: str) -> None:
    """Field note 15: plus tags, Gmail dots, googlemail."""
    assert (weak(address), same_mailbox(address)) == (loose, mailbox)


@pytest.mark.parametrize(
    ("domain", "registered"),
    [
        ("mail.northwind.co.uk", "northwind.co.uk"),
        ("northwind.com", "northwind.com"),
        ("eu.sales.northwind.com", "northwind.com"),
        ("northwind.onmicrosoft.com", "northwind.onmicrosoft.com"),
        ("northwind.mail.onmicrosoft.com", "northwind.mail.onmicrosoft.com"),
        ("shop.github.io", "shop.github.io"),
        ("northwind.example", "northwind.example"),
        ("eu.mail.northwind.internal", "northwind.internal"),
        ("co.uk", "co.uk"),
        ("10.1.2.3", "10.1.2.3"),
    ],
)
def test_the_registered_domain_never_covers_strangers(domain: str, registered: str) -> None:
    """Field note 13: tenants of one host share a suffix, not an employer."""
    assert registrable(domain) == registered


@pytest.mark.parametrize(
    ("domain", "line"),
    [
        ("eu.mail.northwind.co.uk", ("eu.mail.northwind.co.uk", "mail.northwind.co.uk", "northwind.co.uk")),
        ("northwind.com", ("northwind.com",)),
        ("shop.github.io", ("shop.github.io",)),
        ("co.uk", ("co.uk",)),
    ],
)
def test_a_domains_line_ends_at_the_registered_one(domain: str, line: tuple[str, ...]) -> None:
    assert lineage(domain) == line


@pytest.mark.parametrize("text", ["", "northwind", "a b.example", "bea@northwind.example", "x" * 254 + ".example"])
def test_what_is_no_domain_is_refused(text: str) -> None:
    assert canonical_domain(text) == ""


def test_what_is_remembered_of_addresses_is_let_go_when_it_is_much() -> None:
    for number in range(50):
        canonical(f"p{number}@many.example")
    forget_many(most=100_000)
    assert canonical.cache_info().currsize >= 50
    forget_many(most=49)
    assert canonical.cache_info().currsize == 0
