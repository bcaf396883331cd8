"""What makes two addresses the same: the identity rules that contacts, matching and the ledger share.

Sources: RFC 5321 2.4 (local parts), UTS 46 (domains), the public suffix list (registrable domains).
"""

import unicodedata
from functools import lru_cache

import idna
import tldextract

DOTLESS = {"gmail.com", "googlemail.com"}
SHARED_SUFFIXES = {"onmicrosoft.com", "mail.onmicrosoft.com"}
"""Suffixes under which strangers live side by side, although the public suffix list does not name them."""
_suffixes = tldextract.TLDExtract(
    suffix_list_urls=(),
    cache_dir=None,
    include_psl_private_domains=True,
    extra_suffixes=sorted(SHARED_SUFFIXES),
)


@lru_cache(maxsize=65_536)
def canonical(address: str) -> str:
    """The form under which an address is stored and compared: NFC, all lower case, domain in IDNA A-labels (UTS 46).
    Empty when the text is no address."""
    local, at, domain = address.strip().strip("<>").rpartition("@")
    if not at or not local or not domain or any(c.isspace() for c in domain) or len(address) > 320:
        return ""
    if local.startswith('"') and local.endswith('"') and len(local) > 2 and _plain(local[1:-1]):
        local = local[1:-1]
    if not local.startswith('"') and any(c.isspace() or c in '<>()[],;:\\"' for c in local):
        return ""
    domain = canonical_domain(domain)
    return f"{unicodedata.normalize('NFC', local).lower()}@{domain}" if domain else ""


@lru_cache(maxsize=65_536)
def canonical_domain(domain: str) -> str:
    """Lower case, IDNA A-labels, no final dot. Empty when it is no domain."""
    domain = domain.strip().rstrip(".").lstrip("@").lower()
    if not domain or "." not in domain or "@" in domain or " " in domain or len(domain) > 253:
        return ""
    try:
        return domain.encode("ascii").decode() if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return ""


@lru_cache(maxsize=65_536)
def weak(address: str) -> str:
    """What a canonical address would be without its plus tag and, at Gmail, without dots: a hint that two may be one
    person's, never a reason to merge by itself."""
    local, _, domain = address.rpartition("@")
    local = local.partition("+")[0] or local
    if domain in DOTLESS:
        return f"{local.replace('.', '') or local}@gmail.com"
    return f"{local}@{domain}"


@lru_cache(maxsize=65_536)
def same_mailbox(address: str) -> str:
    """The form in which addresses certainly reach the same mailbox: at gmail.com and googlemail.com dots and plus tags
    mean nothing; elsewhere the address itself."""
    _, _, domain = address.rpartition("@")
    return weak(address) if domain in DOTLESS else address


def domain_of(address: str) -> str:
    """The part behind the @."""
    return address.rpartition("@")[2]


@lru_cache(maxsize=65_536)
def registrable(domain: str) -> str:
    """The domain that was registered (``mail.acme.co.uk`` -> ``acme.co.uk``), by the public suffix list shipped with
    tldextract. Where that knows no suffix its last label is one, as the list's own algorithm says (``mail.acme.internal`` ->
    ``acme.internal``). A public suffix stays itself."""
    found = _suffixes(domain)
    if not found.suffix and not domain[-1:].isdigit():
        return ".".join(domain.split(".")[-2:])
    return found.top_domain_under_public_suffix or domain


@lru_cache(maxsize=65_536)
def lineage(domain: str) -> tuple[str, ...]:
    """A domain and those above it, up to the registered one: ``eu.mail.acme.com``, ``mail.acme.com``, ``acme.com``."""
    top, labels = registrable(domain), domain.split(".")
    above = [".".join(labels[start:]) for start in range(len(labels))]
    return tuple(one for one in above if one in (domain, top) or one.endswith(f".{top}"))


def forget_many(most: int = 8_192) -> None:
    """Let go of what the functions here remember, where that is more than ``most`` answers: a file of a hundred thousand
    addresses, each seen once, is not worth its memory."""
    for remembering in (canonical, canonical_domain, weak, same_mailbox, registrable, lineage):
        if remembering.cache_info().currsize > most:
            remembering.cache_clear()


def _plain(local: str) -> bool:
    return all(c.isalnum() or c in "!#$%&'*+-/=?^_`{|}~." for c in local)
