"""Sentences with their places, and a folded copy of the text of the same length to match against."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_QUOTES = {
    "\u2019": "'",
    "\u2018": "'",
    "\u00b4": "'",
    "`": "'",
    "\u02bc": "'",
    "\u00a0": " ",
    "\u202f": " ",
    "\u3000": " ",
}
_WRAPPED = 58
"""A line at least this long without a full stop goes on in the next one."""
LONGEST = 1000
"""Characters of one sentence; a longer one is cut at white space, so that the work on it stays small."""
_END = re.compile(r"[.!?\u2026]+[\"'\u201d\u00bb)\]]*(?=\s|$)|[\u3002\uff01\uff1f\uff1b]+[\u201d\u300d\uff09]*|\n")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:mr|mrs|ms|dr|prof|st|no|nr|bzw|ca|z\.b|d\.h|u\.a|inkl|zzgl|evtl|ggf|hr|fr|abs|str|tel|e\.g|i\.e|vs|approx"
    r"|incl|excl|dhr|mevr|bijv|o\.a|d\.w\.z|jl|a\.s|mme|m|sr|sra|srta|lic|ing|arq|ud|uds|p\.ej|n|art|max|min|jan|feb|aug"
    r"|sept|okt|oct|nov|dez|dec|v|dra|vgl|\d{1,2})\.$",
    re.I,
)
_BULLET = re.compile(r"[ \t]*(?:[-*\u2022\u2013\u00b7>]|\d{1,2}[.)]|[a-z]\))[ \t]")


def _fold_table() -> dict[int, str]:
    table = {code: chr(code).lower() for code in range(0x41, 0x5B)}
    for code in range(0xC0, 0x180):
        plain = unicodedata.normalize("NFD", chr(code))[0].lower()
        table[code] = plain if len(plain) == 1 else chr(code)
    for code in range(0xFF01, 0xFF5F):
        if chr(code) not in "\uff0c\uff1f\uff01\uff1b\uff1a\uff08\uff09":
            table[code] = chr(code - 0xFEE0).lower()
    return table | {ord(mark): plain for mark, plain in _QUOTES.items()}


_FOLD = _fold_table()
_ACCENTS = {code: plain for code, plain in _FOLD.items() if code > 0x7F}


def fold(text: str) -> str:
    """Lower case, without accents, one kind of apostrophe; every character keeps its place."""
    return text.translate(_FOLD)


def fold_accents(pattern: str) -> str:
    """A pattern written by hand, made fit for folded text. Its ASCII letters stay, so that escapes keep their meaning."""
    return pattern.translate(_ACCENTS)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence at [start:end] of the text it was cut from; ``text`` is its folded form."""

    start: int
    end: int
    text: str
    question: bool


def split(text: str, folded: str) -> list[Sentence]:
    """All sentences in order, without the white space around them."""
    found = []
    for start, end in _short(text, _spans(text)):
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if end > start:
            words = folded[start:end]
            found.append(Sentence(start, end, words, _asks(words)))
    return found


def _short(text: str, spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for start, end in spans:
        while end - start > LONGEST:
            cut = text.rfind(" ", start + LONGEST // 2, start + LONGEST)
            cut = cut if cut > 0 else start + LONGEST
            yield start, cut
            start = cut
        yield start, end


def _spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _END.finditer(text):
        if match.start() < start:
            continue
        if match.group() == "\n":
            if not _breaks(text, match.start()):
                continue
        elif match.group() == "." and _ABBREVIATION.search(text[max(start, match.start() - 8) : match.end()]):
            continue
        yield start, match.end()
        start = match.end()
    yield start, len(text)


def _breaks(text: str, at: int) -> bool:
    """Whether the line break at ``at`` ends a sentence: a short line, an empty one, or a list item follows."""
    line_start = text.rfind("\n", 0, at) + 1
    following = text[at + 1 : at + 60]
    if at - line_start < _WRAPPED or not following.strip() or following.lstrip(" \t").startswith("\n"):
        return True
    return bool(_BULLET.match(following)) or not text[line_start:at].strip()


def _asks(words: str) -> bool:
    tail = words.rstrip("\"'\u201d\u00bb) ")
    return tail.endswith(("?", "\uff1f", "?!", "\uff1f\uff01")) or "?" in tail[-3:]
