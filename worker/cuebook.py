"""The cue files: what people write, per language, and what each rule is worth.

``cues/rules.toml`` says for each rule which side must have written it, which guards spoil it and how far it is to be trusted.
``cues/<language>.toml`` holds the wordings, one pattern a line. In a pattern a blank stands for any white space, ``~`` for a
gap of some words, ``{word}`` for the wording of that name under ``[words]``, ``{name}`` for the name of a company or a person
(see ``worker.parties``); accents and case do not matter. Patterns of languages with spaces begin and end at a word's edge.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ahocorasick import Automaton

from worker.literals import required
from worker.sentences import fold_accents

FOLDER = Path(__file__).parent / "cues"
GUARDS = ("negation", "condition", "hedge", "other", "future", "sarcasm", "yet", "was", "harmless", "asking", "polite")
"""``harmless`` wordings are taken out before the others are looked for; ``asking``: how a clause that asks begins; ``was``: a
plan of the past; ``polite``: what may stand beside a yes and says nothing."""
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
    names: str = ""
    """Whose name its wording must hold at ``{name}``: ours | foreign; "" where it holds none."""


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

    def candidates(self, text: str, side: str) -> list[Cue]:
        """The cues of a side that can match a text (``packed``) at all."""
        return self.sides[side].candidates(text)


class Index:
    """The cues of one side, found by what a text must hold for them to match (``worker.literals``): all of it is looked for
    at once, in one walk over the text (Aho-Corasick), so that few of some hundred wordings are tried."""

    def __init__(self, cues: Sequence[Cue], common: frozenset[str]) -> None:
        self._cues = cues
        numbers: dict[str, int] = {}
        groups = [
            [
                frozenset(numbers.setdefault(one, len(numbers)) for one in group)
                for group in sorted(cue.literals, key=lambda group: _everyday(group, common))
            ]
            for cue in cues
        ]
        self._always = [place for place, demanded in enumerate(groups) if not demanded]
        self._others = [demanded[1:] for demanded in groups]
        leads: dict[int, list[int]] = {}
        for place, demanded in enumerate(groups):
            for number in demanded[0] if demanded else ():
                leads.setdefault(number, []).append(place)
        self._leads, self._leading = leads, frozenset(leads)
        self._walk = Automaton()
        for literal, number in numbers.items():
            self._walk.add_word(literal, number)
        self._walk.make_automaton()

    def candidates(self, text: str) -> list[Cue]:
        """Those that can match a text (``packed``) at all, in the order of the file."""
        there = {number for _, number in self._walk.iter(text)}
        found = set(self._always)
        for number in self._leading & there:
            found.update(self._leads[number])
        return [self._cues[place] for place in sorted(found) if _all_met(self._others[place], there)]


def _all_met(groups: Sequence[frozenset[int]], there: set[int]) -> bool:
    for group in groups:  # noqa: SIM110  (all() takes twice as long, and this runs for every sentence)
        if group.isdisjoint(there):
            return False
    return True


def _everyday(group: frozenset[str], common: frozenset[str]) -> int:
    """How many strings of a group many a sentence holds: everyday words, and scraps of two letters."""
    return sum(len(one.strip()) < 3 or common.issuperset(one.split()) for one in group)


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
        names=row.get("names", ""),
        **{flag: bool(row.get(flag, False)) for flag in ("own_negation", "bare", "opens", "whole", "local")},
    )


def _language(path: Path) -> Language:
    data = tomllib.loads(path.read_text("utf-8"))
    head = data["language"]
    spaced = bool(head.get("spaced", True))
    words = _words(data.get("words", {}))
    common = frozenset(fold_accents(head.get("common", "")).split())
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
        common=common,
        solo=frozenset(fold_accents(head.get("solo", "")).split()),
        cues=tuple(cues),
        sides={side: Index([cue for cue in cues if cue.rule.side in (side, "both")], common) for side in SIDES},
        guards={name: _any(data["guards"].get(name, ""), words, spaced, path.name) for name in GUARDS},
        wake=data.get("wake", {}),
        files={kind: tuple(map(fold_accents, _lines(block))) for kind, block in data.get("files", {}).items()},
    )


def _lines(block: str) -> list[str]:
    return [line.strip() for line in block.splitlines() if line.strip() and not line.startswith("#")]


def _words(table: dict[str, str]) -> dict[str, str]:
    """``[words]``: each a block whose lines are alternatives; a later one may name an earlier one."""
    found = {"name": r"(?P<name>[\w&-]+)"}
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
