"""Gmail's search language, as far as a mail client needs it ("Refine searches in Gmail").

A query becomes a tree of terms. Each term tests a message; a term that an index can answer also names its candidates, so that
`from:ann@x.com` in a mailbox of 200,000 looks at Ann's mails only. OR binds tighter than the implied AND, braces mean OR.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sandbox.mailbox import Mailbox, Stored
from sandbox.mime import text_of
from sandbox.parcel import day_start

_TOKEN = re.compile(r'\s*(?:([(){}])|(-?)([A-Za-z_][A-Za-z0-9_]*):(?=\S)|(-)(?=[({"\w])|"([^"]*)"|([^\s(){}"]+))')
_PLACES = {"inbox": "INBOX", "sent": "SENT", "drafts": "DRAFT", "draft": "DRAFT", "spam": "SPAM", "trash": "TRASH"}
_PLACES |= {"chats": "CHAT", "chat": "CHAT", "unread": "UNREAD", "starred": "STARRED", "important": "IMPORTANT"}
_SPANS = {"d": 86400, "m": 30 * 86400, "y": 365 * 86400, "h": 3600}


@dataclass(slots=True)
class Term:
    """`candidates` None: no index helps. `low`/`high` bound the internal date in ms (inclusive, exclusive)."""

    test: Callable[[Stored], bool]
    candidates: Callable[[], set[str]] | None = None
    low: int | None = None
    high: int | None = None
    places: frozenset[str] = frozenset()


def parse_query(query: str, box: Mailbox, now: float) -> Term:
    """The query for one mailbox. Unknown operators are searched as words, as Gmail does."""
    return _Parser(query, box, now).whole()


def _and(terms: list[Term]) -> Term:
    if len(terms) == 1:
        return terms[0]
    indexed = [term.candidates for term in terms if term.candidates]
    lows = [term.low for term in terms if term.low is not None]
    highs = [term.high for term in terms if term.high is not None]
    return Term(
        lambda stored: all(term.test(stored) for term in terms),
        (lambda: min((find() for find in indexed), key=len)) if indexed else None,
        max(lows, default=None),
        min(highs, default=None),
        frozenset().union(*(term.places for term in terms)),
    )


def _or(terms: list[Term]) -> Term:
    if len(terms) == 1:
        return terms[0]
    finders = [term.candidates for term in terms if term.candidates]
    lows = [term.low for term in terms if term.low is not None]
    highs = [term.high for term in terms if term.high is not None]
    return Term(
        lambda stored: any(term.test(stored) for term in terms),
        (lambda: set().union(*(find() for find in finders))) if len(finders) == len(terms) else None,
        min(lows) if len(lows) == len(terms) else None,
        max(highs) if len(highs) == len(terms) else None,
        frozenset().union(*(term.places for term in terms)),
    )


def _not(term: Term) -> Term:
    return Term(lambda stored: not term.test(stored))


class _Parser:
    def __init__(self, query: str, box: Mailbox, now: float) -> None:
        self.box = box
        self.now = now
        self.tokens = list(_tokens(query))
        self.at = 0

    def whole(self) -> Term:
        terms = []
        while self.at < len(self.tokens):
            terms.append(self._sequence("", ""))
            self.at += 1
        return _and([term for term in terms if term]) if terms else Term(lambda stored: True)

    def _sequence(self, close: str, field: str) -> Term:
        groups: list[list[Term]] = []
        joined = False
        while self.at < len(self.tokens) and self.tokens[self.at] != ("mark", close):
            kind, text = self.tokens[self.at]
            if kind == "word" and text in ("OR", "|", "AND"):
                joined = text != "AND"
                self.at += 1
                continue
            term = self._item(field)
            if joined and groups:
                groups[-1].append(term)
            else:
                groups.append([term])
            joined = False
        if close == "}":
            return _or([term for group in groups for term in group]) if groups else Term(lambda stored: True)
        return _and([_or(group) for group in groups]) if groups else Term(lambda stored: True)

    def _item(self, field: str) -> Term:
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "minus":
            return _not(self._item(field)) if self.at < len(self.tokens) else Term(lambda stored: True)
        if kind == "field":
            return self._item(text.lower()) if self.at < len(self.tokens) else self._term("", text)
        if kind == "mark" and text in "({":
            inner = self._sequence(")" if text == "(" else "}", field)
            self.at += 1
            return inner
        if kind == "mark":
            return Term(lambda stored: True)
        return self._term(field, text)

    def _term(self, field: str, text: str) -> Term:
        if field in ("from", "to", "cc", "bcc"):
            return self._people(field, text.lower())
        make = getattr(self, f"_{field}_term", None) if field else None
        if make is not None:
            return make(text)
        return self._words_term(text if not field else f"{field} {text}")

    def _people(self, role: str, text: str) -> Term:
        if text == "me":
            return _or([self._people(role, address) for address in sorted(self.box.own_addresses())])
        get = {"from": lambda s: s.senders, "to": lambda s: s.to, "cc": lambda s: s.cc, "bcc": lambda s: s.bcc}[role]
        if "@" not in text and "." not in text:
            word = re.compile(rf"\b{re.escape(text)}\b")
            return Term(lambda stored: any(word.search(person.words) for person in get(stored.envelope)))
        key = text if "@" in text[1:] or text.startswith("@") else "@" + text
        suffix = "." + key[1:]

        def test(stored: Stored) -> bool:
            for person in get(stored.envelope):
                address = person.address
                if address == key or (key[0] == "@" and (address.endswith((key, suffix)))):
                    return True
            return False

        index = self.box.by_person
        return Term(test, lambda: set(index.get((role, key), ())))

    def _subject_term(self, text: str) -> Term:
        words = text.lower().split()
        return Term(lambda stored: all(word in stored.envelope.subject.lower() for word in words))

    def _words_term(self, text: str) -> Term:
        wanted = text.lower()

        def test(stored: Stored) -> bool:
            envelope = stored.envelope
            people = (*envelope.senders, *envelope.to, *envelope.cc)
            if wanted in envelope.subject.lower() or any(wanted in person.words for person in people):
                return True
            return wanted in text_of(stored.bytes()).lower()

        return Term(test)

    def _rfc822msgid_term(self, text: str) -> Term:
        wanted = text.strip("<>")
        index = self.box.by_message_id
        return Term(lambda s: s.envelope.message_id == wanted, lambda: set(index.get(wanted, ())))

    def _label_term(self, text: str) -> Term:
        label = self.box.label_named(text)
        if label is None:
            return Term(lambda stored: False, set)
        return Term(lambda s: label in s.labels, lambda: self.box.by_label.get(label, set()), places=frozenset([label]))

    def _in_term(self, text: str) -> Term:
        text = text.lower()
        if text == "anywhere":
            return Term(lambda stored: True, places=frozenset(["SPAM", "TRASH"]))
        if text == "archive":
            return Term(lambda s: not s.labels & {"INBOX", "SENT", "DRAFT", "SPAM", "TRASH", "CHAT"})
        return self._label_term(_PLACES.get(text, text))

    def _is_term(self, text: str) -> Term:
        if text.lower() == "read":
            return Term(lambda stored: "UNREAD" not in stored.labels)
        return self._in_term(text)

    def _category_term(self, text: str) -> Term:
        return self._label_term(f"CATEGORY_{text.upper()}")

    def _has_term(self, text: str) -> Term:
        if text.lower() == "attachment":
            return Term(lambda stored: stored.envelope.attached)
        return Term(lambda stored: False, set)

    def _after_term(self, text: str) -> Term:
        limit = self._moment(text)
        return Term(lambda stored: stored.ms >= limit, low=limit)

    def _before_term(self, text: str) -> Term:
        limit = self._moment(text)
        return Term(lambda stored: stored.ms < limit, high=limit)

    def _newer_than_term(self, text: str) -> Term:
        limit = self._back(text)
        return Term(lambda stored: stored.ms >= limit, low=limit)

    def _older_than_term(self, text: str) -> Term:
        limit = self._back(text)
        return Term(lambda stored: stored.ms < limit, high=limit)

    _newer_term = _after_term
    _older_term = _before_term

    def _moment(self, text: str) -> int:
        if text.isdigit():
            return int(text) * 1000
        pieces = [int(piece) for piece in re.split(r"[/-]", text) if piece.isdigit()]
        if len(pieces) != 3:
            return 0
        year, month, day = pieces if pieces[0] > 31 else (pieces[2], pieces[0], pieces[1])
        try:
            return int(day_start(year, month, day) * 1000)
        except ValueError:
            return 0

    def _back(self, text: str) -> int:
        found = re.fullmatch(r"(\d+)([dmyh])", text.lower())
        return int((self.now - int(found[1]) * _SPANS[found[2]]) * 1000) if found else 0


def _tokens(query: str) -> Iterable[tuple[str, str]]:
    at = 0
    while at < len(query):
        found = _TOKEN.match(query, at)
        if not found:
            at += 1
            continue
        at = found.end()
        mark, dash, field, minus, quoted, word = found.groups()
        if dash or minus:
            yield "minus", "-"
        if field:
            yield "field", field
        elif mark:
            yield "mark", mark
        elif quoted is not None:
            yield "quote", quoted
        elif word:
            yield "word", word
