"""Did an offer really go out with this mail of ours? Words alone are a promise; a file, a link, a portal or a price is an offer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from worker.cuebook import file_names, rules
from worker.sentences import Sentence, fold
from worker.timeline_view import Line, Signal

_URL = re.compile(r"https?://|www\.")
_MONEY = re.compile(
    r"(?:[$\u20ac\u00a3\u00a5\uffe5]|\b(?:usd|eur|euros?|gbp|chf|mxn|cny|rmb|fr|k\u20ac)\b)\s?\.?\s?\d|"
    r"\d[\d.,' \u00a0]*\s?(?:[$\u20ac\u00a3\u00a5]|k\b|,-|(?:usd|eur|euros?|gbp|pounds?|dollars?|chf|franken|mxn|pesos|cny|rmb|k\u20ac)\b"
    r"|\u5143|\u4e07|\u5757|\u5343)"
)
_PICTURE = re.compile(r"image/|text/calendar|application/(?:pgp|pkcs7|x-pkcs7|ics)")


def money(text: str) -> bool:
    """Whether a folded text names an amount of money."""
    return bool(_MONEY.search(text))


def offer_signals(line: Line, sentences: Sequence[Sentence], found: Sequence[Signal]) -> list[Signal]:
    """The signals of our own mail with those about offers settled: kept where the offer is really there, dropped else;
    added where the file alone tells."""
    kept = [signal for signal in found if signal.kind != "sent" or _real(line, sentences, signal)]
    if any(signal.kind == "sent" for signal in kept):
        return kept
    file = next((name for name, mime, _ in line.attachments if _offer_file(name, mime)), "")
    if file and not any(signal.kind == "not_an_offer" for signal in kept):
        kept.append(_by_file(line, sentences, file))
    return kept


def _real(line: Line, sentences: Sequence[Sentence], signal: Signal) -> bool:
    if signal.rule == "sent.attached":
        return any(_document(name, mime) for name, mime, _ in line.attachments)
    if signal.rule == "sent.link":
        near = [s.text for s in sentences if signal.start <= s.start <= signal.end + 3]
        return any(_URL.search(text) for text in near) or bool(line.links)
    if signal.rule == "sent.price":
        return any(money(s.text) for s in sentences if s.start == signal.start)
    return True


def _document(name: str, mime: str) -> bool:
    """Some document that may be the offer of which the words speak: no picture in a signature, no invoice, no slides."""
    return not _PICTURE.match(mime.lower()) and not file_names("other").search(_words(name))


def _offer_file(name: str, mime: str) -> bool:
    return _document(name, mime) and bool(file_names("offer").search(_words(name)))


def _words(name: str) -> str:
    return re.sub(r"[_\-.+]+", " ", fold(name))


def _by_file(line: Line, sentences: Sequence[Sentence], file: str) -> Signal:
    rule = rules()["sent.file"]
    naming = next((s for s in sentences if not s.question and file_names("offer").search(s.text)), None)
    if naming is None:
        return Signal(rule.kind, line.id, rule.name, "", -1, -1, line.at, rule.confidence, value=file)
    quote = line.new[naming.start : naming.end]
    signal = Signal(rule.kind, line.id, rule.name, quote, naming.start, naming.end, line.at, rule.confidence)
    return replace(signal, value=file)
