"""$search over messages: KQL, as far as a mail client needs it ("Use the $search query parameter", Exchange's properties).

Words stand next to each other for AND; OR, AND, NOT and brackets; property:value, property:"some words", dates with
>=, <=, >, < and a..b. A person is found by the whole address, its domain, its name before the @ and the words of the name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.mailbox import index_keys
from sandbox.microsoft.forms import bad_query, read_time
from sandbox.microsoft.outlook import Item, OutlookBox
from sandbox.mime import text_of

_TOKEN = re.compile(r'\s*(?:([()])|(?:([A-Za-z]+)(:|>=|<=|=|>|<))?(?:"([^"]*)"|([^\s()"]+)))')
_ROLES = {
    "from": ("from",),
    "to": ("to",),
    "cc": ("cc",),
    "bcc": ("bcc",),
    "recipients": ("to", "cc", "bcc"),
    "participants": ("from", "to", "cc", "bcc"),
}
_DAY = 86_400.0


@dataclass(slots=True)
class Term:
    """`keys`: the messages that the index names, None when it names none in particular."""

    test: Callable[[Item], bool]
    keys: Callable[[], set[str]] | None = None


def parse_search(text: str, box: OutlookBox) -> Term:
    """`text` is the value of $search, in its quotation marks. Raises Refusal (400)."""
    text = text.strip()
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise bad_query("The $search value must be enclosed in double quotation marks.")
    inner = text[1:-1].replace('\\"', '"')
    tokens = [found.groups() for found in _TOKEN.finditer(inner)]
    if not tokens:
        raise bad_query("Syntax error: the search is empty.")
    parser = _Parser(tokens, box)
    term = parser.either()
    if parser.at < len(tokens):
        raise bad_query("Syntax error: character ')' is not valid at that place.")
    return term


class _Parser:
    def __init__(self, tokens: list[tuple[str | None, ...]], box: OutlookBox) -> None:
        self.tokens, self.box, self.at = tokens, box, 0

    def either(self) -> Term:
        terms = [self.both()]
        while self._next("OR"):
            terms.append(self.both())
        if len(terms) == 1:
            return terms[0]
        finders = [term.keys for term in terms if term.keys]
        indexed = len(finders) == len(terms)
        keys = (lambda: set().union(*(find() for find in finders))) if indexed else None
        return Term(lambda item: any(term.test(item) for term in terms), keys)

    def both(self) -> Term:
        terms = [self.single()]
        while self.at < len(self.tokens) and self.tokens[self.at][0] != ")" and self.tokens[self.at][4] != "OR":
            self._next("AND")
            terms.append(self.single())
        finders = [term.keys for term in terms if term.keys]
        keys = (lambda: min((find() for find in finders), key=len)) if finders else None
        return Term(lambda item: all(term.test(item) for term in terms), keys)

    def single(self) -> Term:
        if self._next("NOT"):
            inner = self.single()
            return Term(lambda item: not inner.test(item))
        if self.at >= len(self.tokens):
            raise bad_query("Syntax error: the search ends too early.")
        bracket, name, sign, quoted, word = self.tokens[self.at]
        self.at += 1
        if bracket == "(":
            inner = self.either()
            if self.at >= len(self.tokens) or self.tokens[self.at][0] != ")":
                raise bad_query("Syntax error: a bracket is not closed.")
            self.at += 1
            return inner
        if bracket:
            raise bad_query("Syntax error: character ')' is not valid at that place.")
        return self._term((name or "").lower(), sign or ":", quoted if quoted is not None else word or "")

    def _next(self, word: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at][4] == word and not self.tokens[self.at][1]:
            self.at += 1
            return True
        return False

    def _term(self, name: str, sign: str, value: str) -> Term:
        wanted = value.lower()
        if name in _ROLES:
            return self._person(_ROLES[name], wanted)
        if name in ("received", "sent"):
            return _dated(name, sign, value)
        if name in ("hasattachment", "hasattachments"):
            return Term(lambda item: item.envelope.attached == (wanted == "true"))
        if name == "subject":
            return Term(lambda item: _has_words(item.envelope.subject, wanted))
        if name == "body":
            return Term(lambda item: _has_words(text_of(item.bytes()), wanted))
        if name:
            raise bad_query(f"Syntax error: {name} is not a property that can be searched.")
        return Term(lambda item: _has_words(_default_text(item), wanted))

    def _person(self, roles: tuple[str, ...], wanted: str) -> Term:
        def test(item: Item) -> bool:
            return any(_is_person(item, role, wanted) for role in roles)

        if "@" not in wanted and "." not in wanted:
            return Term(test)
        key = wanted if "@" in wanted.strip("@") else "@" + wanted.strip("@")
        return Term(test, lambda: {one for role in roles for one in self.box.by_person.get((role, key), ())})


def _is_person(item: Item, role: str, wanted: str) -> bool:
    envelope = item.envelope
    people = {"from": envelope.senders, "to": envelope.to, "cc": envelope.cc, "bcc": envelope.bcc}[role]
    plain = wanted.strip("@*")
    for person in people:
        keys = index_keys(person.address)
        if plain in keys or "@" + plain in keys or plain == person.address.partition("@")[0]:
            return True
        if "@" not in plain and _has_words(person.words, plain):
            return True
    return False


def _default_text(item: Item) -> str:
    senders = " ".join(person.words for person in item.envelope.senders)
    return f"{senders} {item.envelope.subject} {text_of(item.bytes())}"


def _has_words(text: str, wanted: str) -> bool:
    """The words in this order, the last one as a beginning when it ends in *."""
    pattern = r"\W+".join(re.escape(word) for word in re.findall(r"\w+", wanted))
    return (
        bool(pattern) and re.search(rf"\b{pattern}" + ("" if wanted.endswith("*") else r"\b"), text, re.I) is not None
    )


def _dated(name: str, sign: str, value: str) -> Term:
    try:
        low, _, high = value.partition("..")
        first, last = read_time(low), read_time(high or low)
    except ValueError:
        raise bad_query(f"Syntax error: {value} is no date.") from None
    whole = _DAY if len(high or low) <= 10 else 0.0

    def test(item: Item) -> bool:
        at = item.ms / 1000 if name == "received" else (item.envelope.sent_at or item.ms / 1000)
        if high or sign in (":", "="):
            return first <= at < last + (whole or 1.0)
        return {">=": at >= first, ">": at >= first + whole, "<": at < first, "<=": at < first + (whole or 1.0)}[sign]

    return Term(test)
