"""Addresses that belong to a task (info@, sales@) and not to a person, unless a person signs the mail."""

import re
from functools import cache
from importlib.resources import files

from models.addresses import domain_of, registrable

_TRAILING = re.compile(r"[-_.]?\d+$")
_WORD = re.compile(r"[^\W\d_][^\W\d_'’.-]*")
_TEAM = """
team sales support service services info office accounts accounting billing finance purchasing marketing press media help
helpdesk desk customer care contact orders vertrieb einkauf buchhaltung kundenservice verkauf zentrale equipe équipe ventas
compras atención cliente commercial comptabilité verkoop inkoop administratie klantenservice gmbh ltd inc llc bv ag sa sarl
srl group department abteilung afdeling the
"""
TEAM_WORDS = frozenset(_TEAM.split())
"""Words in a display name that is a department's or a firm's."""


@cache
def role_names() -> frozenset[str]:
    """Local parts of tasks."""
    text = files("models").joinpath("role_addresses.txt").read_text(encoding="utf-8")
    return frozenset(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def is_role(address: str) -> bool:
    """Whether a canonical address is a task's: ``info@``, ``sales+eu@``, ``support2@``."""
    local = address.rpartition("@")[0].partition("+")[0]
    return local in role_names() or _TRAILING.sub("", local) in role_names()


def signed_by_person(name: str, address: str) -> bool:
    """Whether a display name is somebody's: two words or more, none of which is a task's or the firm's."""
    words = [word.lower().strip(".") for word in _WORD.findall(name)]
    firm = registrable(domain_of(address)).partition(".")[0]
    foreign = TEAM_WORDS | role_names() | {firm, firm.replace("-", "")}
    return 2 <= len(words) <= 5 and foreign.isdisjoint(words) and "@" not in name


def likely_name(address: str) -> str:
    """``bea.buyer@...`` -> ``Bea Buyer``; empty where an address tells no name."""
    local = address.rpartition("@")[0].partition("+")[0]
    parts = [part for part in re.split(r"[._-]", local) if part]
    if len(parts) not in (2, 3) or not all(part.isalpha() and len(part) > 1 for part in parts) or is_role(address):
        return ""
    return " ".join(part.capitalize() for part in parts)


def likely_firm(domain: str) -> str:
    """``blue-mills.co.uk`` -> ``Blue Mills``: a company's name as long as nobody has told a better one."""
    return " ".join(part.capitalize() for part in registrable(domain).partition(".")[0].split("-") if part)
