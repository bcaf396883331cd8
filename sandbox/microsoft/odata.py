"""$filter as a test, as far as a mail client needs it (OData 4.01 part 2, section 5.1.1; Exchange's own limits)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sandbox.microsoft.forms import bad_query, read_time

Getter = Callable[[str], Any]
"""A property of the thing tested, by its path. Raises KeyError for one it does not have."""
Test = Callable[[Getter], bool]
_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|([(),])|([^\s(),']+))")
_EXACT = ("id", "parentFolderId", "conversationId", "seriesMasterId")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a is not None and b is not None and a > b,
    "ge": lambda a, b: a is not None and b is not None and a >= b,
    "lt": lambda a, b: a is not None and b is not None and a < b,
    "le": lambda a, b: a is not None and b is not None and a <= b,
}
_WORDS = {"startswith": str.startswith, "endswith": str.endswith, "contains": str.__contains__}


def parse_filter(text: str) -> tuple[Test, list[str]]:
    """The test, and the properties it names in their order. Raises Refusal (400) for what cannot be read."""
    parser = _Parser(text)
    try:
        test = parser.either()
        if parser.at < len(parser.tokens):
            raise ValueError(parser.tokens[parser.at])
    except (ValueError, IndexError) as error:
        raise bad_query(f"Invalid filter clause: {error}") from None
    return test, parser.named


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = [next(piece for piece in found if piece) for found in _TOKEN.findall(text)]
        self.at = 0
        self.named: list[str] = []

    def either(self) -> Test:
        tests = [self.both()]
        while self._next("or"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda get: any(test(get) for test in tests)

    def both(self) -> Test:
        tests = [self.single()]
        while self._next("and"):
            tests.append(self.single())
        return tests[0] if len(tests) == 1 else lambda get: all(test(get) for test in tests)

    def single(self) -> Test:
        if self._next("not"):
            inner = self.single()
            return lambda get: not inner(get)
        if self._next("("):
            inner = self.either()
            self._want(")")
            return inner
        word = self._take()
        if word.lower() in _WORDS:
            return self._function(_WORDS[word.lower()])
        if word.endswith("/any"):
            return self._any(word.removesuffix("/any"))
        return self._comparison(word)

    def _function(self, holds: Callable[[str, str], bool]) -> Test:
        self._want("(")
        path = self._name(self._take())
        self._want(",")
        wanted = str(_literal(self._take())).lower()
        self._want(")")
        return lambda get: holds(str(get(path) or "").lower(), wanted)

    def _any(self, path: str) -> Test:
        self._name(path)
        self._want("(")
        variable, _, rest = self.tokens[self.at].partition(":")
        self.tokens[self.at] = rest
        known = len(self.named)
        inner = self.either()
        del self.named[known:]
        self._want(")")

        def within(one: Any, name: str) -> Any:
            found = one
            for piece in name.removeprefix(variable).strip("/").split("/"):
                found = (found or {}).get(piece) if piece else found
            return found

        return lambda get: any(inner(lambda name, one=one: within(one, name)) for one in get(path) or ())

    def _comparison(self, word: str) -> Test:
        path, sign = self._name(word), self._take().lower()
        if sign not in _COMPARE:
            raise ValueError(sign)
        wanted, exact, compare = _literal(self._take()), path in _EXACT, _COMPARE[sign]

        def test(get: Getter) -> bool:
            found = get(path)
            if isinstance(wanted, str) and isinstance(found, str):
                return compare(*_alike(found, wanted, exact))
            return compare(found, wanted)

        return test

    def _name(self, word: str) -> str:
        self.named.append(word)
        return word

    def _take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def _next(self, word: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at].lower() == word:
            self.at += 1
            return True
        return False

    def _want(self, word: str) -> None:
        if not self._next(word):
            raise ValueError(f"{word} is missing")


def _literal(token: str) -> Any:
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    plain = {"true": True, "false": False, "null": None}
    if token.lower() in plain:
        return plain[token.lower()]
    return int(token) if re.fullmatch(r"-?\d+", token) else token


def _alike(found: str, wanted: str, exact: bool) -> tuple[Any, Any]:
    if re.match(r"\d{4}-\d\d-\d\d", wanted) and re.match(r"\d{4}-\d\d-\d\d", found):
        return read_time(found), read_time(wanted)
    return (found, wanted) if exact else (found.lower(), wanted.lower())
