"""What one interaction says by itself. Pure: the same line gives the same signals, whatever else is on the timeline.

Sentence by sentence, in every language that the text seems to hold: a wording found there becomes a signal unless a
guard spoils it (a denial, a condition, a doubt, a question, another matter). The guards of a rule and its strength are
data; see ``worker.cuebook``. What the signals mean together is decided in ``worker.suggest``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from worker.cuebook import Cue, Language, Rule, rules, spoken
from worker.literals import packed
from worker.offers import offer_signals
from worker.parties import Names, names_in, verdict
from worker.sentences import Sentence, fold, split
from worker.timeline_view import Line, Signal

__all__ = ["Signal", "read"]

LONGEST = 20_000
"""Characters of a text that are read; whoever has decided says so before that."""
MOST_PLACES = 12
"""Places in one sentence at which one wording is tried against its guards."""
_WORD = re.compile(r"[a-z0-9\u00df]+")
_CLAUSE = re.compile(
    r"[,;:()\uff0c\uff1b\uff1a]|\s[-\u2013\u2014]\s|\b(?:but|however|though|maar|echter|aber|jedoch|mais|pero|sino|so|dus|also|donc|asi que)\b"
    r"|\u4f46|\u4e0d\u8fc7"
)
_AND = re.compile(r"\b(?:and|und|en|et|y)\b|\u5e76")
_TERM = re.compile(r"\w+")
_ADDRESS = re.compile(r"^\W*\w+(?: \w+){0,2}\s*[,!:\uff0c\uff01\uff1a]\s*$")
"""Whom a sentence speaks to, in front of what it says."""
BESIDE = 4
"""Letters that may stand beside a yes: a name, no more."""
AFTERWARDS = 4
"""Words that may follow a word of agreement in its clause."""
SNEER = 3
"""Words of a sentence that may take back the one before it."""
_SPEECH = re.compile(
    r'"([^"]*)"|\u201c([^\u201d]*)\u201d|\u00ab([^\u00bb]*)\u00bb|\u201e([^\u201c\u201d]*)[\u201c\u201d]|\u300c([^\u300d]*)\u300d'
)
"""What stands between quotation marks: somebody else's words, or a name."""
_INVERTED = "\u00bf"
_TAG = re.compile(r"<(?:/?[a-z][^<>]{0,300}|!--[^<>]{0,300})>|&(?:nbsp|amp|lt|gt|quot|#\d{1,5});", re.I)
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/tr|/h\d)\b", re.I)


def read(line: Line, *, deal_name: str = "") -> tuple[Signal, ...]:
    """The signals of a line, in the order of their places. Machine mail says nothing but a completed signature, mail
    between colleagues nothing at all. ``deal_name`` may be empty; with it, a subject about it is never another matter."""
    side = _side(line)
    if side is None:
        return ()
    text = line.new[:LONGEST]
    found: list[Signal] = []
    if side == "robot":
        return tuple(_robot(line, text))
    plain = _untagged(text)
    folded = fold(plain)
    sentences = split(plain, folded)
    words = _WORD.findall(folded)
    packages = [(sentence, packed(sentence.text)) for sentence in sentences]
    for language in spoken(words, folded):
        found += _in_language(line, language, side, packages, deal_name)
    if side == "us" and line.kind == "email":
        found = offer_signals(line, sentences, found)
    if side == "them":
        found += _subject(line, deal_name, words)
    return tuple(sorted(_once(found), key=lambda signal: (signal.start, signal.rule)))


def _side(line: Line) -> str | None:
    if line.kind == "meeting":
        return "us"
    if line.direction == "internal":
        return None
    if line.machine is not None:
        return (
            "robot" if line.machine in ("notification", "auto_reply", "bulk") and line.direction == "inbound" else None
        )
    return "us" if line.sender_ours or line.direction == "outbound" else "them"


def _robot(line: Line, text: str) -> Iterator[Signal]:
    """The one thing a machine can say: that everybody has signed the contract or the order. The subject counts too,
    since such notices often say it there and only there."""
    if line.machine == "auto_reply" and "auto-replied" in line.machine_reason:
        return
    whole = f"{line.subject}\n{text}"
    folded = fold(whole)
    shift = len(line.subject) + 1
    words = _WORD.findall(folded)
    packages = [(sentence, packed(sentence.text)) for sentence in split(whole, folded)]
    for language in spoken(words, folded):
        hits = _in_language(line, language, "robot", packages)
        if any(hit.kind == "not_completed" for hit in hits):
            return
        for hit in hits:
            inside = hit.start >= shift
            start, end = (hit.start - shift, hit.end - shift) if inside else (-1, -1)
            yield _moved(hit, text[start:end] if inside else "", start, end)


def _in_language(
    line: Line, language: Language, side: str, packages: Sequence[tuple[Sentence, str]], deal_name: str = ""
) -> list[Signal]:
    source = line.new if side != "robot" else f"{line.subject}\n{line.new}"
    found = []
    for number, (sentence, text) in enumerate(packages, 1):
        said: set[str] = set()
        for cue in language.candidates(text, side):
            if cue.rule.name in said:
                continue
            match = _standing(cue, language, sentence)
            if match is None:
                continue
            kind = cue.rule.kind
            if cue.rule.names:
                begin, end = (sentence.start + place for place in match.span("name"))
                kind = _named(cue.rule, language, names_in(line, deal_name), source[begin:end])
            if not kind or ("sarcasm" in cue.rule.guards and _mocked(language, packages[number : number + 1])):
                continue
            said.add(cue.rule.name)
            found.append(replace(_signal(line, cue.rule, language.code, sentence, source), kind=kind))
    return found


def _named(rule: Rule, language: Language, names: Names, name: str) -> str:
    """What a wording about a named company says: its rule's kind; ``undecided`` where it cannot be told who that is."""
    whose = verdict(names, name, language.common)
    if whose == "unsure":
        return "undecided" if rule.names == "foreign" else ""
    return rule.kind if whose == rule.names else ""


def _mocked(language: Language, following: Sequence[tuple[Sentence, str]]) -> bool:
    """Whether the next sentence is nothing but a sneer: "Not.", "Haha." """
    return any(
        len(_TERM.findall(sentence.text)) <= SNEER and language.guards["sarcasm"].search(sentence.text)
        for sentence, _ in following
    )


def _standing(cue: Cue, language: Language, sentence: Sentence) -> re.Match[str] | None:
    """Where the wording stands in the sentence at a place where no guard spoils it."""
    if cue.pattern.search(sentence.text) is None:
        return None
    for match in islice(cue.pattern.finditer(sentence.text), MOST_PLACES):
        if _placed(cue.rule, language, sentence.text, match) and not _spoilt(cue.rule, language, sentence, match):
            return match
    return None


def _placed(rule: Rule, language: Language, text: str, match: re.Match[str]) -> bool:
    """Whether a word of agreement stands where it can be one: it opens its clause, or is all that its sentence says."""
    if rule.whole:
        before = text[: match.start()]
        if before.strip() and not _ADDRESS.search(before):
            return False
        return _letters(language.beside_agreement(text[match.start() :])) <= BESIDE
    if not rule.opens or not language.spaced:
        return True
    start, end = _clause(text, match.start(), match.end())
    before = language.beside_agreement(text[start : match.start()])
    return not _letters(before) and len(_WORD.findall(text[match.end() : end])) <= AFTERWARDS


def _letters(text: str) -> int:
    return sum(map(len, _TERM.findall(text)))


def _spoilt(rule: Rule, language: Language, sentence: Sentence, match: re.Match[str]) -> bool:
    """A doubt, a condition or irony spoils the whole sentence; the rest spoils the clause of the match alone. Another
    matter spoils a bare "go ahead" wherever the sentence names it."""
    if not rule.guards:
        return False
    if "question" in rule.guards and _asked(language, sentence, match):
        return True
    if "sarcasm" in rule.guards and _reported(sentence.text, match):
        return True
    text = language.guards["harmless"].sub(_blank, sentence.text)
    start, end = _clause(text, match.start(), match.end())
    clause = text[start:end]
    looked_at = {
        "negation": clause,
        "future": clause,
        "yet": clause,
        "was": clause,
        "other": text if rule.bare else clause,
    }
    if rule.local:
        looked_at = dict.fromkeys(rule.guards, clause)
    if rule.kind == "got":
        looked_at["future"] = _AND.split(text[start : match.end()])[-1]
    if rule.own_negation:
        looked_at["negation"] = text[start : match.start()] + " " + text[match.end() : end]
    return any(
        language.guards[guard].search(looked_at.get(guard, text)) for guard in rule.guards if guard != "question"
    )


def _reported(text: str, match: re.Match[str]) -> bool:
    """Whether the match is a quotation inside of a sentence that says more: what somebody else said."""
    return any(
        speech.start() < match.start() and match.end() <= speech.end() and _TERM.search(text[: speech.start()])
        for speech in _SPEECH.finditer(text)
    )


def _asked(language: Language, sentence: Sentence, match: re.Match[str]) -> bool:
    """Whether the match is what the sentence asks: it stands in its last clause, or in one that begins as questions do."""
    text = sentence.text
    opened = text.rfind(_INVERTED)
    if opened >= 0 and not _asks_more(text, opened):
        return match.end() > opened
    start, end = _clause(text, match.start(), match.end())
    opens = language.guards["asking"].search(text[start:end]) is not None
    if not sentence.question:
        return opens and not language.spaced
    return opens or end == len(text)


def _asks_more(text: str, opened: int) -> bool:
    """Whether more than a closing mark follows a Spanish question; then it is one of several."""
    return text.count(_INVERTED) > 1 or "?" not in text[opened:]


def _clause(text: str, start: int, end: int) -> tuple[int, int]:
    before, after = 0, len(text)
    for mark in _CLAUSE.finditer(text):
        if mark.end() <= start:
            before = mark.end()
        elif mark.start() >= end:
            after = mark.start()
            break
    return before, after


def _untagged(text: str) -> str:
    """The text with left-over HTML blanked, every character in its place."""
    return _TAG.sub(lambda match: _gap(match.group()), text) if "<" in text or "&" in text else text


def _gap(tag: str) -> str:
    return "\n".ljust(len(tag)) if _BREAK.match(tag) else " " * len(tag)


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _signal(line: Line, rule: Rule, lang: str, sentence: Sentence, source: str) -> Signal:
    quote = source[sentence.start : sentence.end]
    return Signal(rule.kind, line.id, rule.name, quote, sentence.start, sentence.end, line.at, rule.confidence, lang)


def _moved(signal: Signal, quote: str, start: int, end: int) -> Signal:
    return Signal(signal.kind, signal.line_id, signal.rule, quote, start, end, signal.at, signal.weight, signal.lang)


def _subject(line: Line, deal_name: str, words: list[str]) -> Iterator[Signal]:
    """A subject that names another matter (an invoice, an NDA): it takes the force out of a bare "go ahead". ``words``:
    those of the text."""
    folded = fold(line.subject)
    titled = _WORD.findall(folded)
    shared = set(titled) & {word for word in _WORD.findall(fold(deal_name)) if len(word) > 3}
    if not folded or shared:
        return
    rule = rules()["subject.other"]
    for language in spoken(titled + words, folded):
        if language.guards["other"].search(language.guards["harmless"].sub(_blank, folded)):
            yield Signal(rule.kind, line.id, rule.name, "", -1, -1, line.at, rule.confidence, language.code)
            return


def _once(signals: Sequence[Signal]) -> Iterator[Signal]:
    seen: set[tuple[str, int]] = set()
    for signal in signals:
        if (signal.rule, signal.start) not in seen:
            seen.add((signal.rule, signal.start))
            yield signal
