"""Taking a person's words and name out of what is stored: pure, and of the same length, so that quotes keep their places."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import String, cast, or_

MASK = "█"
SHORT = 3
"""Letters from which on a part of a name is looked for by itself."""
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True)
class Redactor:
    """What is to vanish. ``addresses``: wherever they stand, in any case; ``phrases``: whole names and telephone numbers, in
    any case; ``words``: parts of a name, as they are written, only where the person took part."""

    addresses: frozenset[str]
    phrases: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()

    def mask(self, text: str) -> str:
        """The text with every letter of what is to vanish covered."""
        for pattern in self._patterns if text else ():
            text = pattern.sub(lambda found: MASK * len(found[0]), text)
        return text

    def finds(self, text: str) -> bool:
        """Whether anything of it stands in a text."""
        return any(pattern.search(text) for pattern in self._patterns)

    def mask_all(self, value: Any) -> Any:
        """A JSON value with every text in it masked."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, list):
            return [self.mask_all(one) for one in value]
        if isinstance(value, dict):
            return {name: self.mask_all(one) for name, one in value.items()}
        return value

    def within(self, *columns: Any) -> Any:
        """A condition that finds every row in which it may stand (and some more)."""
        wanted = {form for text in (*self.addresses, *self.phrases) for form in _as_stored(text)}
        return or_(*(cast(column, String).icontains(one, autoescape=True) for column in columns for one in wanted))

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        loose = [rf"(?<![\w.+%-]){re.escape(one)}(?![\w-])" for one in sorted(self.addresses, key=len, reverse=True)]
        loose += [rf"(?<!\w){_spaced(one)}(?!\w)" for one in sorted(self.phrases, key=len, reverse=True)]
        exact = [rf"(?<!\w){re.escape(one)}(?!\w)" for one in sorted(self.words, key=len, reverse=True)]
        found = [re.compile("|".join(loose), re.I)] if loose else []
        return found + ([re.compile("|".join(exact))] if exact else [])


def redactor(addresses: Iterable[str], names: Iterable[str], others: Iterable[str] = ()) -> Redactor:
    """For a person with these addresses and names (as they write themselves); ``others``: what else names them alone."""
    names = {" ".join(name.split()) for name in names if name.strip() and "@" not in name}
    parts = {word for name in names for word in _WORD.findall(name) if len(word) >= SHORT}
    phrases = {name for name in names if len(_WORD.findall(name)) > 1}
    phrases |= {" ".join(reversed([*map(str.strip, name.split(","))])) for name in names if name.count(",") == 1}
    return Redactor(
        frozenset(addresses), frozenset({*phrases, *(one for one in others if len(one) > 6)}), frozenset(parts)
    )


def outside(one: Redactor) -> Redactor:
    """The same without the parts of the name, for places where the person took no part."""
    return Redactor(one.addresses, one.phrases)


def _spaced(text: str) -> str:
    return r"\s+".join(re.escape(part) for part in text.split())


def _as_stored(text: str) -> set[str]:
    """How a text may stand in a column: in JSON its letters beyond ASCII are escaped, and SQLite folds the case of ASCII only."""
    cases = {text, text.lower(), text.upper(), text.title()}
    return cases | {json.dumps(one)[1:-1] for one in cases}
