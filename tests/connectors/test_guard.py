"""Which addresses may be called at all (OWASP: SSRF)."""

from __future__ import annotations

import pytest

from connectors.guard import Forbidden, check_url, public

PRIVATE = [
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fc00::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:7f00:1",
    "::7f00:1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
    "2001:db8::1",
    "not an address",
    "",
]
PUBLIC = ["8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "::ffff:8.8.8.8"]


def at(*addresses: str):
    """A resolver that always gives these."""
    return lambda host, port: list(addresses)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_not_public(address: str) -> None:
    assert not public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address: str) -> None:
    assert public(address)


@pytest.mark.parametrize("address", [one for one in PRIVATE if one])
def test_a_name_that_leads_to_a_private_address_is_refused(address: str) -> None:
    with pytest.raises(Forbidden):
        check_url("https://hooks.example/in", resolver=at(address))


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(Forbidden):
        check_url("https://hooks.example/in", resolver=at("8.8.8.8", "10.0.0.1"))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "127.1", "0", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_this_machine_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(Forbidden):
        check_url(f"https://{host}/in")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/in",
        "ftp://hooks.example/in",
        "file:///etc/passwd",
        "gopher://hooks.example/",
        "https://",
        "https:///in",
        "hooks.example/in",
        "javascript:alert(1)",
        "https://user:secret@hooks.example/in",
        "https://hooks.example@10.0.0.1/in",
        "https://hooks.example:99999/in",
        "https://hooks.example\\@evil.example/in",
        "https://hooks.example/in\r\nHost: evil.example",
        "https://hooks.example/a b",
        " https://hooks.example/in",
        "https://h\u00f6oks.example/in",
        "https://localhost/in",
        "https://printer.local/in",
        "https://db.internal/in",
        "https://metadata.google.internal/computeMetadata/v1/",
        "https://LOCALHOST./in",
        "",
    ],
)
def test_it_is_no_address_that_may_be_called(url: str) -> None:
    with pytest.raises(Forbidden):
        check_url(url, resolver=at("8.8.8.8"))


def test_a_public_address_is_checked_once_and_kept() -> None:
    target = check_url("https://hooks.example:8443/in?x=1", resolver=at("8.8.8.8", "2606:4700:4700::1111"))
    assert (target.host, target.port, target.addresses) == (
        "hooks.example",
        8443,
        ("8.8.8.8", "2606:4700:4700::1111"),
    )


def test_private_addresses_are_for_those_who_allow_them() -> None:
    assert check_url("http://127.0.0.1:9/in", allow_private=True).port == 9


def test_a_host_that_nobody_knows_is_said_to_be_unknown() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(Forbidden, match="cannot be found"):
        check_url("https://nowhere.example/in", resolver=unknown)


def test_a_host_without_an_address_is_refused() -> None:
    with pytest.raises(Forbidden, match="no address"):
        check_url("https://nowhere.example/in", resolver=at())
