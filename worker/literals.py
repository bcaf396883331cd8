"""What a text must hold for a pattern to match it at all, read off the standard library's own parse of the pattern.

Texts and demands are compared in a plain form (``packed``): single blanks, zeros for digits, a blank for every sign that
is no letter. Where a pattern says that a word ends, its demand ends in a blank, so that "in" is not found in "pricing".
With a construct that is not known here less is demanded: the pattern is merely tried more often.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

_DIGIT = re.compile(r"\d")
_SIGN = re.compile(r"\W")
_WORD = "[(IN, [(CATEGORY, CATEGORY_WORD)])]"
_BLANK = "[(IN, [(CATEGORY, CATEGORY_SPACE)])]"
_APART = ("CATEGORY_SPACE", "CATEGORY_NOT_WORD")


def packed(folded: str) -> str:
    """A folded text in its plain form, with a blank at either end."""
    return f" {_plain(' '.join(folded.split()))} "


def required(source: str) -> tuple[frozenset[str], ...]:
    """Groups of strings: of each group at least one stands in every text (``packed``) that a pattern matches. The most
    selective group comes first (the one whose shortest string is longest); () when none can be named."""
    parser = importlib.import_module("re._parser")
    groups = [group for group in _demands(list(parser.parse(source, re.S))) if all(text.strip() for text in group)]
    return tuple(map(frozenset, sorted(groups, key=_selective, reverse=True)))


def _plain(text: str) -> str:
    return _DIGIT.sub("0", _SIGN.sub(" ", text))


def _demands(items: Sequence[Any], left: bool = False, right: bool = False) -> list[set[str]]:
    """What the parts of a sequence demand, each on its own. ``left``, ``right``: whether no letter can stand beside it."""
    before, after = _edges(items, left, 1), _edges(items[::-1], right, -1)[::-1]
    found: list[set[str]] = []
    run, begins = "", 0
    for place, (op, arg) in enumerate(items):
        sign = _sign(str(op), arg)
        if sign:
            begins = begins if run else place
            run += sign
            continue
        found += _run(run, before[begins], after[place - 1])
        run = ""
        found += _demanded(str(op), arg, before[place], after[place])
    return found + _run(run, before[begins] if items else left, right)


def _sign(op: str, arg: Any) -> str:
    """The one sign that a part stands for; empty for any other part."""
    if op == "LITERAL":
        return _plain(chr(arg))
    return " " if op == "MAX_REPEAT" and arg[0] == 1 and str(list(arg[2])) == _BLANK else ""


def _run(run: str, left: bool, right: bool) -> list[set[str]]:
    return [{_edged(run, left, right)}] if run else []


def _edged(text: str, left: bool, right: bool) -> str:
    """With a blank where the pattern lets no letter stand beside it."""
    start = " " if left and text[0] != " " else ""
    end = " " if right and text[-1] != " " else ""
    return f"{start}{text}{end}"


def _demanded(op: str, arg: Any, left: bool, right: bool) -> list[set[str]]:
    if op == "IN":
        signs = {_member(str(kind), value) for kind, value in arg}
        return [] if "" in signs else [{_edged(sign, left, right) for sign in signs}]
    if op == "SUBPATTERN":
        return _demands(list(arg[3]), left, right)
    if op in ("MAX_REPEAT", "MIN_REPEAT") and arg[0] > 0:
        return _demands(list(arg[2]), left, right and arg[1] == 1)
    if op == "BRANCH":
        parts = [max(_demands(list(branch), left, right), key=_selective, default=set()) for branch in arg[1]]
        return [set().union(*parts)] if all(parts) else []
    return []


def _member(kind: str, value: Any) -> str:
    """One member of a class of characters in its plain form; empty when that cannot be said."""
    if kind == "LITERAL":
        return _plain(chr(value))
    return "0" if str(value) == "CATEGORY_DIGIT" else ""


def _selective(group: set[str]) -> tuple[int, int]:
    return min(map(len, group)), -len(group)


def _edges(items: Iterable[Any], edge: bool, way: int) -> list[bool]:
    """For each part of a sequence walked in one ``way`` (1: from the left) whether no letter can stand right before it."""
    found = []
    for op, arg in items:
        found.append(edge)
        edge = _passed(str(op), arg, edge, way)
    return found


def _through(items: Sequence[Any], edge: bool, way: int) -> bool:
    for op, arg in items[::way]:
        edge = _passed(str(op), arg, edge, way)
    return edge


def _passed(op: str, arg: Any, edge: bool, way: int) -> bool:
    """The same for what follows a part that is entered with ``edge``."""
    if op == "LITERAL":
        return _plain(chr(arg)) == " "
    if op == "IN":
        return all(_keeps_apart(str(kind), value) for kind, value in arg)
    if op == "ASSERT_NOT":
        return edge or (arg[0] == -way and str(list(arg[1])) == _WORD)
    if op == "SUBPATTERN":
        return _through(list(arg[3]), edge, way)
    if op == "BRANCH":
        return all(_through(list(branch), edge, way) for branch in arg[1])
    if op in ("MAX_REPEAT", "MIN_REPEAT"):
        once = _through(list(arg[2]), edge, way)
        return (edge or arg[0] > 0) and once and _through(list(arg[2]), once, way)
    return False


def _keeps_apart(kind: str, value: Any) -> bool:
    return _plain(chr(value)) == " " if kind == "LITERAL" else str(value) in _APART
