"""Whose name a sentence names: ours, the writer's own, or somebody else's. Pure.

"We signed with Globex" is a no to us, "we signed with Acme" a yes, if Acme is what we are called. What we are called is read
off the addresses that a mail was written to; a name is told by its capital letter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from worker.sentences import fold
from worker.timeline_view import Line

_PART = re.compile(r"[a-z0-9\u4e00-\u9fff]+")
SHORTEST = 3
"""Letters of a part of an address that may be a name."""


@dataclass(frozen=True, slots=True)
class Names:
    """Folded words. ``ours``: what our company may be called; ``familiar``: those of everybody in the mail and of the deal."""

    ours: frozenset[str]
    familiar: frozenset[str]
    written: bool
    """Whether the text tells capital letters from small ones at all."""


def names_in(line: Line, deal_name: str) -> Names:
    """The names that a mail to us knows."""
    writers = _parts(line.sender) | _parts(line.sender_name)
    hosts = frozenset().union(*(_parts(address.rpartition("@")[2].rpartition(".")[0]) for address in line.recipients))
    people = frozenset().union(*map(_parts, line.recipients))
    cased = any(letter.isupper() for letter in line.new) and not line.new.isupper()
    return Names(hosts - writers, hosts | people | writers | _parts(deal_name), cased)


def verdict(names: Names, name: str, common: frozenset[str]) -> str:
    """Whose ``name`` (as it was written) is: ``ours``, ``foreign``, ``unsure`` where capitals tell nothing, or "" for no name
    that counts. ``common``: the everyday words of the language."""
    folded = fold(name)
    if folded in names.ours:
        return "ours"
    if folded in names.familiar or folded in common or len(folded) < SHORTEST:
        return ""
    if not names.written and folded.isascii():
        return "unsure"
    return "foreign" if name[:1].isupper() or not folded.isascii() else ""


def _parts(text: str) -> frozenset[str]:
    return frozenset(part for part in _PART.findall(fold(text)) if len(part) >= SHORTEST)
