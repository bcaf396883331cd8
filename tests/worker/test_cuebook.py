"""The cue files: whole, found by their letters, and unable to run away on hostile lines."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from worker import cuebook
from worker.cuebook import SIDES, Cue, Language, languages, rules, spoken
from worker.literals import packed, required
from worker.sentences import LONGEST, fold, split

CUES = [(language, cue) for language in languages() for cue in language.cues]
FOREVER = 1000
"""A repetition that may go on so long counts as endless."""


def test_every_language_knows_the_rules_that_decide() -> None:
    wanted = {
        name for name, rule in rules().items() if rule.kind in ("accept", "yes", "reject", "postpone", "sent", "need")
    }
    wanted -= {"sent.file"}
    for language in languages():
        missing = wanted - {cue.rule.name for cue in language.cues}
        assert missing <= ({"accept.word"} if language.code == "zh" else set()), (language.code, missing)
    assert {language.code for language in languages()} == {"en", "nl", "fr", "de", "es", "zh"}


def test_every_language_has_every_guard() -> None:
    for language in languages():
        empty = [name for name in cuebook.GUARDS if language.guards[name].pattern == r"(?!)"]
        assert not empty, (language.code, empty)


def test_no_guard_is_found_in_an_empty_text() -> None:
    for language in languages():
        assert not [name for name in cuebook.GUARDS if language.guards[name].search("")]


def test_a_win_is_never_told_without_asking_about_questions_conditions_and_denials() -> None:
    for name, rule in rules().items():
        if rule.kind in ("accept", "yes") and rule.side == "them":
            assert {"question", "negation", "condition", "hedge"} <= set(rule.guards), name


def test_an_optional_blank_may_be_absent() -> None:
    source = cuebook._source("\\d+ ?euro", {}, True)
    assert re.search(source, "30euro") and re.search(source, "30 euro")


def test_an_unknown_guard_is_refused() -> None:
    with pytest.raises(ValueError, match="no guard is called typo"):
        cuebook._rule("accept.typo", {"kind": "accept", "guards": ["typo"]})


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(ValueError, match=r"xx\.toml.*\[words\]"):
        cuebook._cue(rules()["accept.offer"], "accept {nothing}", {}, True, "xx.toml")


def test_what_a_pattern_requires_stands_in_what_it_matches() -> None:
    text = packed("we accept  your quote 77")
    groups = required(r"accept\s+your\s+(?:quote|offer)\s+\d\d")
    assert groups and all(any(literal in text for literal in group) for group in groups)


@pytest.mark.parametrize(
    ("text", "spoken_here", "look_alikes"),
    [
        ("We will probably go with you.", {"en"}, {"fr", "nl"}),
        ("Wij gaan akkoord met de offerte, dank je wel.", {"nl"}, {"en", "de", "es"}),
        ("Wir nehmen das Angebot gerne an.", {"de"}, {"nl", "fr"}),
        ("Hi 李婷，the 合同 is fine, please send it", {"en", "zh"}, {"nl", "de"}),
    ],
)
def test_a_look_alike_is_not_spoken(text: str, spoken_here: set[str], look_alikes: set[str]) -> None:
    folded = fold(text)
    codes = {language.code for language in spoken(re.findall(r"[a-z]+", folded), folded)}
    assert spoken_here <= codes and not look_alikes & codes


def test_long_lines_are_cut() -> None:
    hostile = "we accept " * 10_000
    assert len(hostile) == 100_000
    assert all(len(sentence.text) <= LONGEST for sentence in split(hostile, hostile))


@pytest.mark.parametrize("language", languages(), ids=lambda language: language.code)
def test_no_pattern_repeats_without_end_inside_what_repeats_without_end(language: Language) -> None:
    """Exponential work needs an endless repetition inside an endless one. Of the counted ones that stand inside one another
    the product is small; so the work on a sentence, of at most a thousand characters, is bounded."""
    for name, pattern in _patterns(language):
        for depth in _nested(_parse(pattern)):
            assert depth.count(FOREVER) < 2, (language.code, name, pattern.pattern[:200])


@pytest.mark.parametrize("language", languages(), ids=lambda language: language.code)
def test_endless_repetitions_do_not_stand_side_by_side(language: Language) -> None:
    """Two that begin alike side by side make the work square; ``\\w+`` or ``\\s*`` beside the other is told apart by its sign."""
    for name, pattern in _patterns(language):
        for one, other in _neighbours(_parse(pattern)):
            assert one != other, (language.code, name, pattern.pattern[:200])


def _patterns(language: Language) -> Iterator[tuple[str, re.Pattern[str]]]:
    yield from ((cue.rule.name, cue.pattern) for cue in language.cues)
    yield from language.guards.items()


def _parse(pattern: re.Pattern[str]) -> list[Any]:
    return list(importlib.import_module("re._parser").parse(pattern.pattern, pattern.flags & ~re.U))


def _nested(items: list[Any], above: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """For every innermost repetition, how often each of those around it and itself may go round."""
    for op, arg in items:
        if str(op).endswith("REPEAT"):
            times = (*above, min(int(arg[1]), FOREVER))
            yield times
            yield from _nested(list(arg[2]), times)
        else:
            for inner in _inside(str(op), arg):
                yield from _nested(inner, above)


def _neighbours(items: list[Any]) -> Iterator[tuple[str, str]]:
    """Endless repetitions of one sign that follow one another, each as the sign."""
    before = ""
    for op, arg in items:
        endless = str(op).endswith("REPEAT") and int(arg[1]) >= FOREVER
        sign = str(list(arg[2])) if endless else ""
        if before and sign:
            yield before, sign
        before = sign
        for inner in _inside(str(op), arg):
            yield from _neighbours(inner)


def _inside(op: str, arg: Any) -> list[list[Any]]:
    if op == "SUBPATTERN":
        return [list(arg[3])]
    if op == "BRANCH":
        return [list(branch) for branch in arg[1]]
    if op in ("ASSERT", "ASSERT_NOT"):
        return [list(arg[1])]
    return [list(arg[2])] if op.endswith("REPEAT") else []


def test_the_check_sees_what_it_is_for() -> None:
    assert any(depth.count(FOREVER) > 1 for depth in _nested(_parse(re.compile(r"(?:\w+ ?)+x"))))
    assert any(one == other for one, other in _neighbours(_parse(re.compile(r"\s*\s*x"))))


def test_cues_are_found_by_their_letters() -> None:
    """A cue that a text matches is among its candidates; else the index hides it."""
    text = "we accept your offer, the contract is signed and attached; wir nehmen ihr angebot an"
    found: list[tuple[str, Cue]] = [(one.code, cue) for one, cue in CUES if cue.pattern.search(text)]
    assert len(found) > 3
    plain = packed(text)
    by_code = {language.code: language for language in languages()}
    for code, cue in found:
        side = cue.rule.side if cue.rule.side != "both" else "them"
        assert cue in by_code[code].candidates(plain, side), cue.pattern.pattern


def test_nothing_that_is_written_hides_from_the_index() -> None:
    """Every wording that stands in a sentence of the golden page is among its candidates, whoever wrote it."""
    page = (Path(__file__).parent / "golden_suggestions.md").read_text("utf-8")
    sentences = {sentence.text for sentence in split(page, fold(page)) if len(sentence.text) < 200}
    assert len(sentences) > 300
    seen = 0
    for text in sorted(sentences)[::3]:
        plain = packed(text)
        for language in languages():
            shown = {id(cue) for side in SIDES for cue in language.candidates(plain, side)}
            standing = [cue for cue in language.cues if cue.pattern.search(text)]
            seen += len(standing)
            assert not [cue.pattern.pattern for cue in standing if id(cue) not in shown], text
    assert seen > 100


def test_a_demand_ends_where_a_word_must() -> None:
    assert required(r"(?<!\w)(?:in|within)\s+(?:two|seven)\w* days(?!\w)") == (
        frozenset({" days "}),
        frozenset({" in ", " within "}),
        frozenset({" two", " seven"}),
    )
    assert " in " not in packed("our pricing") and " in " in packed("(in")
