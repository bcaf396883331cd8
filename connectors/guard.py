"""May we call this address? Every URL that comes from outside goes through here before a socket is opened (OWASP: SSRF)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

Resolver = Callable[[str, int], Sequence[str]]
_CARRIER = (ipaddress.ip_network("100.64.0.0/10"), ipaddress.ip_network("192.88.99.0/24"))
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))
_NAMES = (
    "localhost",
    "internal",
    "local",
    "localdomain",
    "home.arpa",
    "lan",
    "intranet",
    "corp",
    "metadata.google.internal",
)


class Forbidden(ValueError):
    """This address must not be called; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be called, with the addresses that its host had when it was checked: connect to these only."""

    url: str
    host: str
    port: int
    addresses: tuple[str, ...]


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in found))


def check_url(url: str, *, allow_private: bool = False, resolver: Resolver = resolve) -> Target:
    """The checked target. http is for private addresses only, and these only with `allow_private`. Raises Forbidden."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise Forbidden("This is not a whole web address. It should look like https://example.com/hook.") from None
    host = (parts.hostname or "").rstrip(".")
    if not url.isascii():
        raise Forbidden("Write the address in plain letters (a name like bücher.example as xn--bcher-kva.example).")
    if parts.scheme not in ("https", "http") or not host:
        raise Forbidden("This is not a whole web address. It should look like https://example.com/hook.")
    if parts.username or parts.password:
        raise Forbidden("Leave user name and password out of the address.")
    if any(ord(letter) <= 32 or letter == "\\" for letter in url):
        raise Forbidden("The address holds a character that does not belong into one.")
    if not allow_private and (parts.scheme != "https" or _local_name(host)):
        raise Forbidden("Only public https:// addresses may be called. Put the receiver behind https.")
    try:
        addresses = tuple(resolver(host, port))
    except (OSError, UnicodeError):
        raise Forbidden(f"The host {host} cannot be found. Check the address.") from None
    if not addresses:
        raise Forbidden(f"The host {host} has no address.")
    if not allow_private and not all(public(address) for address in addresses):
        raise Forbidden("This host leads into a private network. Only public addresses may be called.")
    return Target(url, host, port, addresses)


def public(address: str) -> bool:
    """Whether an IP address belongs to the public internet (RFC 6890), also when wrapped into IPv6."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    if inner is not None:
        return public(str(inner))
    if any(found in network for network in (*_CARRIER, *_TRANSLATED) if network.version == found.version):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def _local_name(host: str) -> bool:
    return host in _NAMES or host.endswith(tuple(f".{name}" for name in _NAMES))
