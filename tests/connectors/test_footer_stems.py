"""The cheap look for a footer's stems lets no offer pass unseen."""

from __future__ import annotations

import importlib
import re
from itertools import product
from typing import Any

from connectors import footer

ANYTHING = "\x00"
"""Stands for what a pattern leaves open."""


def spelled(items: list[Any]) -> list[str]:
    """What a sequence of a pattern can spell, each choice taken once; a part that may be left out is left out, too."""
    return ["".join(parts) for parts in product(*(_choices(str(op), arg) for op, arg in items))]


def _choices(op: str, arg: Any) -> list[str]:
    if op == "LITERAL":
        return [chr(arg)]
    if op == "BRANCH":
        return [one for branch in arg[1] for one in spelled(list(branch))]
    if op == "SUBPATTERN":
        return spelled(list(arg[3]))
    if op in ("MAX_REPEAT", "MIN_REPEAT"):
        return ([""] if arg[0] == 0 else []) + spelled(list(arg[2]))
    if op == "IN":
        return [chr(value) for kind, value in arg if str(kind) == "LITERAL" and str(arg[0][0]) != "NEGATE"] or [
            ANYTHING
        ]
    return [""] if op == "AT" else [ANYTHING]


def test_every_offer_holds_a_stem() -> None:
    parser = importlib.import_module("re._parser")
    offers = spelled(list(parser.parse(footer._OFFERS.pattern, re.I)))
    assert len(offers) > 1_000
    assert [one for one in offers if not any(stem in one.lower() for stem in footer._STEMS)] == []
