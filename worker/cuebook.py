"""The cue files: what people write, per language, and what each rule is worth.

``cues/rules.toml`` says for each rule which side must have written it, which guards spoil it and how far it is to be trusted.
``cues/<language>.toml`` holds the wordings, one pattern a line. In a pattern a blank stands for any white space, ``~`` for a
gap of some words, ``{name}`` for the wording of that name under ``[words]``; accents and case do not matter. Patterns of
languages with spaces begin and end at a word's edge.
"""

from __future__ import annotations

import importlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from worker.sentences import fold_accents

FOLDER = Path(__file__).parent / "cues"
GUARDS = ("negation", "condition", "hedge", "other", "future", "sarcasm", "yet", "was", "harmless", "asking", "polite")
"""``harmless`` wordings are taken out before the others are looked for; ``asking``: how a clause that asks begins; ``was``: a
plan of the past; ``polite``: what may stand beside a yes and says nothing."""
_DIGIT = re.compile(r"\d")
FAR_BEHIND = 4
"""A language with so many times fewer of its everyday words than the best one is not spoken: its words are look-alikes."""
TERSE = 6
"""So few words may hold no everyday one; every language is tried on them."""
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
AGREEING = ("accept.yes", "accept.word", "accept.bare", "accept.order")
SIDES = ("them", "us", "robot")
_OPTIONAL_BLANK = re.compile(r"(?<!\\) \?(?![?+*])")
_ENDLESS_GROUP = re.compile(r"(?<!\\)\)([+*])")
_NAME = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Rule:
    """``side``: who must have written it: them | us | both | robot. ``guards`` spoil it when they stand in the sentence."""

    name: str
    kind: str
    side: str
    confidence: float
    guards: tuple[str, ...]
    own_negation: bool = False
    bare: bool = False
    opens: bool = False
    whole: bool = False
    local: bool = False


@dataclass(frozen=True, slots=True)
class Cue:
    rule: Rule
    pattern: re.Pattern[str]
    literals: tuple[frozenset[str], ...]
    """Of each of these groups one stands in every text (``packed``) that the pattern can match; empty: nothing is known."""


@dataclass(frozen=True, slots=True)
class Language:
    code: str
    spaced: bool
    common: frozenset[str]
    solo: frozenset[str]
    cues: tuple[Cue, ...]
    sides: dict[str, Index]
    guards: dict[str, re.Pattern[str]]
    wake: dict[str, Any]
    files: dict[str, tuple[str, ...]]

    def beside_agreement(self, folded: str) -> str:
        """What a folded text says beside words of agreement and politeness."""
        for pattern in (self.guards["polite"], *(cue.pattern for cue in self.cues if cue.rule.name in AGREEING)):
            folded = pattern.sub(lambda match: " " * len(match.group()), folded)
        return folded

    def candidates(self, text: str, threes: frozenset[str], side: str) -> list[Cue]:
        """The cues of a side that can match a text at all, given as ``packed`` gives it."""
        return self.sides[side].candidates(text, threes)


class Index:
    """The cues of one side, found by what a text must hold for them to match: literals are looked up by the three
    letters that set them apart best, so that a sentence is compared with few of some hundred wordings."""

    def __init__(self, cues: Sequence[Cue]) -> None:
        self._cues = cues
        self._always = [number for number, cue in enumerate(cues) if not cue.literals]
        cues_of: dict[str, list[int]] = {}
        for number, cue in enumerate(cues):
            for literal in cue.literals[0] if cue.literals else ():
                cues_of.setdefault(literal, []).append(number)
        common = Counter(three for literal in cues_of for three in _threes(literal))
        self._short = [(literal, numbers) for literal, numbers in cues_of.items() if len(literal) < 3]
        self._by_three: dict[str, list[tuple[str, list[int]]]] = {}
        for literal, numbers in cues_of.items():
            if len(literal) >= 3:
                rarest = min(_threes(literal), key=common.__getitem__)
                self._by_three.setdefault(rarest, []).append((literal, numbers))
        self._threes = frozenset(self._by_three)

    def candidates(self, text: str, threes: frozenset[str]) -> list[Cue]:
        """In the order of the file."""
        found = set(self._always)
        for literal, numbers in self._short:
            if literal in text:
                found.update(numbers)
        for three in self._threes & threes:
            for literal, numbers in self._by_three[three]:
                if literal in text:
                    found.update(numbers)
        return [self._cues[number] for number in sorted(found) if _stands(self._cues[number].literals, text)]


def _stands(groups: Sequence[frozenset[str]], text: str) -> bool:
    """Whether a literal of each group but the first stands in a text."""
    for group in groups[1:]:
        for literal in group:
            if literal in text:
                break
        else:
            return False
    return True


def packed(folded: str) -> tuple[str, frozenset[str]]:
    """A folded text with single blanks and zeros for digits, and every three characters that follow one another in it."""
    text = _DIGIT.sub("0", " ".join(folded.split()))
    return text, frozenset(_threes(text))


def _threes(text: str) -> list[str]:
    return [text[at : at + 3] for at in range(len(text) - 2)]


@cache
def rules() -> dict[str, Rule]:
    """All rules by name. Raises ValueError when the file is wrong."""
    table = tomllib.loads((FOLDER / "rules.toml").read_text("utf-8"))
    return {name: _rule(name, row) for name, row in table.items()}


@cache
def languages() -> tuple[Language, ...]:
    """Every language with a file. Raises ValueError with the file and the line when a cue is wrong."""
    return tuple(_language(path) for path in sorted(FOLDER.glob("??.toml")))


def spoken(words: Iterable[str], folded: str) -> list[Language]:
    """The languages that a text seems to hold, for matching: rather one too many, but no look-alike. ``words``: its folded
    words."""
    found = set(words)
    few = 1 if len(found) < 15 else 2
    hits = {one.code: len(found & one.common) for one in languages()}
    best = max(hits.values())
    if not best and len(found) <= TERSE and not any(found & language.solo for language in languages()):
        return [language for language in languages() if language.spaced or _CHINESE.search(folded)]
    return [
        language
        for language in languages()
        if (hits[language.code] >= few and hits[language.code] * FAR_BEHIND > best)
        or (found & language.solo and (hits[language.code] + 1) * FAR_BEHIND > best)
        or (not language.spaced and _CHINESE.search(folded))
    ]


@cache
def file_names(kind: str) -> re.Pattern[str]:
    """Names of files, over all languages: ``offer``, or ``other`` for what goes out beside offers."""
    parts = [
        rf"(?<![a-z])(?:{line})(?![a-z])" if lang.spaced else line for lang in languages() for line in lang.files[kind]
    ]
    return re.compile("|".join(parts))


def _rule(name: str, row: dict[str, Any]) -> Rule:
    guards = tuple(row.get("guards", ()))
    unknown = [guard for guard in guards if guard not in (*GUARDS, "question")]
    if unknown:
        raise ValueError(f"cues/rules.toml, {name}: no guard is called {', '.join(unknown)}")
    return Rule(
        name=name,
        kind=row["kind"],
        side=row.get("side", "them"),
        confidence=float(row.get("confidence", 0.0)),
        guards=guards,
        **{flag: bool(row.get(flag, False)) for flag in ("own_negation", "bare", "opens", "whole", "local")},
    )


def _language(path: Path) -> Language:
    data = tomllib.loads(path.read_text("utf-8"))
    head = data["language"]
    spaced = bool(head.get("spaced", True))
    words = _words(data.get("words", {}))
    cues = []
    for group, table in data.get("cues", {}).items():
        for name, block in table.items():
            rule = rules().get(f"{group}.{name}")
            if rule is None:
                raise ValueError(f"{path.name}: no rule is called {group}.{name} in rules.toml")
            cues += [_cue(rule, line, words, spaced, path.name) for line in _lines(block)]
    return Language(
        code=path.stem,
        spaced=spaced,
        common=frozenset(fold_accents(head.get("common", "")).split()),
        solo=frozenset(fold_accents(head.get("solo", "")).split()),
        cues=tuple(cues),
        sides={side: Index([cue for cue in cues if cue.rule.side in (side, "both")]) for side in SIDES},
        guards={name: _any(data["guards"].get(name, ""), words, spaced, path.name) for name in GUARDS},
        wake=data.get("wake", {}),
        files={kind: tuple(map(fold_accents, _lines(block))) for kind, block in data.get("files", {}).items()},
    )


def _lines(block: str) -> list[str]:
    return [line.strip() for line in block.splitlines() if line.strip() and not line.startswith("#")]


def _words(table: dict[str, str]) -> dict[str, str]:
    """``[words]``: each a block whose lines are alternatives; a later one may name an earlier one."""
    found: dict[str, str] = {}
    for name, block in table.items():
        found[name] = "(?:" + "|".join(_expand(line, found) for line in _lines(block)) + ")"
    return found


def _expand(line: str, words: dict[str, str]) -> str:
    return _NAME.sub(lambda match: words[match.group(1)], line)


def _source(line: str, words: dict[str, str], spaced: bool) -> str:
    """The pattern of a line of the file. No group repeats without end, so that no work on a sentence can grow wild."""
    text = fold_accents(_expand(line, words)).replace("'", "'?")
    text = _ENDLESS_GROUP.sub(lambda found: "){1,6}" if found[1] == "+" else "){0,6}", text)
    if not spaced:
        return text.replace("~?", "~").replace("~", ".{0,14}?").replace(" ?", " ").replace(" ", r"\s*")
    text = _OPTIONAL_BLANK.sub(r"\\s*", text)
    text = re.sub(r"\s*~\s*", r"(?:\\W|\\W.{0,45}?\\W)", text)
    return rf"(?<!\w)(?:{text})(?!\w)".replace(" ", r"\s+")


def _compiled(source: str, line: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(source, re.S)
    except re.error as error:
        raise ValueError(f"{where}: {line!r} is no pattern: {error}") from error


def _cue(rule: Rule, line: str, words: dict[str, str], spaced: bool, where: str) -> Cue:
    try:
        source = _source(line, words, spaced)
    except KeyError as error:
        raise ValueError(f"{where}: {line!r} names {error}, which is not under [words]") from error
    return Cue(rule, _compiled(source, line, where), required(source))


def _any(block: str, words: dict[str, str], spaced: bool, where: str) -> re.Pattern[str]:
    sources = [_source(line, words, spaced) for line in _lines(block)]
    return _compiled("|".join(sources) or r"(?!)", block[:40], where)


def required(source: str) -> tuple[frozenset[str], ...]:
    """Groups of strings: of each group at least one stands in every match of a pattern, as ``packed`` has it. The most selective group comes first
    (the one whose shortest string is longest); () when none can be named. Read off the standard library's own parse of the
    pattern; with an unknown construct the pattern is merely tried more often."""
    parser = importlib.import_module("re._parser")
    groups = [group for group in _demands(list(parser.parse(source, re.S))) if all(text.strip() for text in group)]
    return tuple(map(frozenset, sorted(groups, key=_selective, reverse=True)))


def _demands(items: list[Any]) -> list[set[str]]:
    """What the parts of a sequence demand, each on its own."""
    found: list[set[str]] = []
    run = ""
    for op, arg in items:
        if str(op) == "LITERAL":
            run += _DIGIT.sub("0", chr(arg))
            continue
        if _is_blank(op, arg):
            run += " "
            continue
        found += [{run}] if run else []
        run = ""
        found += _demanded(str(op), arg)
    return found + ([{run}] if run else [])


def _is_blank(op: Any, arg: Any) -> bool:
    """Whether a part is ``\\s+``."""
    return str(op) == "MAX_REPEAT" and arg[0] == 1 and str(list(arg[2])) == "[(IN, [(CATEGORY, CATEGORY_SPACE)])]"


def _demanded(op: str, arg: Any) -> list[set[str]]:
    if op == "IN":
        signs = {_sign(str(kind), value) for kind, value in arg}
        return [] if "" in signs else [signs]
    if op == "SUBPATTERN":
        return _demands(list(arg[3]))
    if op in ("MAX_REPEAT", "MIN_REPEAT") and arg[0] > 0:
        return _demands(list(arg[2]))
    if op == "BRANCH":
        parts = [max(_demands(list(branch)), key=_selective, default=set()) for branch in arg[1]]
        return [set().union(*parts)] if all(parts) else []
    return []


def _sign(kind: str, value: Any) -> str:
    """One member of a class of characters as it stands in a packed text; empty when that cannot be said."""
    if kind == "LITERAL":
        return _DIGIT.sub("0", chr(value))
    return "0" if str(value) == "CATEGORY_DIGIT" else ""


def _selective(group: set[str]) -> tuple[int, int]:
    return min(map(len, group)), -len(group)
