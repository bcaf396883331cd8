"""An amount of money as people write it, in a form as in a cell. Pure; what cannot be read raises ValueError with a sentence."""

import re
from decimal import Decimal, InvalidOperation

MOST_MINOR = 10**15 - 1
"""The largest amount, in hundredths."""
_SIGNS = {
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "₹": "INR",
    "zł": "PLN",
    "R$": "BRL",
    "US$": "USD",
    "A$": "AUD",
    "$": "USD",
}
_SCALES = {"k": 3, "tsd": 3, "m": 6, "mio": 6, "mln": 6, "mn": 6, "million": 6, "bn": 9, "mrd": 9}
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009\t", " ") | {"’": "'", "−": "-"})
_NUMBER = re.compile(r"[0-9][0-9.,' ]*")


def read_money(raw: str, *, mark: str = "") -> tuple[int, str]:
    """(hundredths, currency or empty): 48000, 48,000.50, 48.000,50 EUR, € 48 000, 250k. The last of several kinds of mark sets
    the decimals apart, a lone one before three digits sets thousands apart, unless ``mark`` says which one sets decimals apart
    here. Raises ValueError."""
    text = raw.translate(_SPACES).strip()
    found = _NUMBER.search(text)
    if found is None:
        raise ValueError(f"{raw!r} is not an amount.")
    before, after = text[: found.start()].strip(), text[found.end() :].strip()
    negative = before.endswith("-") or before.startswith(("-", "(")) or (after == "-" and found[0][-1].isdigit())
    currency, scale = _around([part for part in (before.strip("-( "), after.strip("-) ")) if part], raw)
    try:
        value = Decimal(_digits(found[0].rstrip(" '"), mark)) * Decimal(10) ** scale
    except InvalidOperation:
        raise ValueError(f"{raw!r} is not an amount.") from None
    return in_hundredths(-value if negative else value, raw), currency


def in_hundredths(value: Decimal, raw: str) -> int:
    """Raises ValueError for what is below nought or beyond every deal; ``raw`` is how it was written."""
    if not value.is_finite() or abs(value) * 100 > MOST_MINOR:
        raise ValueError(f"{raw!r} is not an amount.")
    if value < 0:
        raise ValueError(f"{raw!r} is below nought; a deal's amount is not.")
    return int((value * 100).to_integral_value())


def amount_hint(text: str) -> str:
    """The mark that sets decimals apart in a cell, if the cell alone tells; else nothing."""
    found = _NUMBER.search(text)
    if found is None or "," not in found[0] and "." not in found[0]:
        return ""
    number = found[0].strip(" .,'")
    comma, point = number.count(","), number.count(".")
    if comma and point:
        return "," if number.rfind(",") > number.rfind(".") else "."
    mark = "," if comma else "."
    if number.count(mark) > 1:
        return "." if mark == "," else ","
    return mark if mark in number and len(number.rpartition(mark)[2]) != 3 else ""


def _around(parts: list[str], raw: str) -> tuple[str, int]:
    """(currency, power of ten) from what stands beside the number. Raises ValueError for anything else."""
    currency, scale = "", 0
    for word in " ".join(parts).replace(".", " ").split():
        low = word.lower()
        if low in _SCALES:
            scale = _SCALES[low]
        elif word in _SIGNS:
            currency = _SIGNS[word]
        elif low[:1] in _SCALES and low[1:].upper() in _SIGNS:
            scale, currency = _SCALES[low[:1]], _SIGNS[low[1:].upper()]
        elif len(word) == 3 and word.isascii() and word.isalpha():
            currency = word.upper()
        elif word not in ("-", "–"):
            raise ValueError(f"{raw!r} is not an amount.")
    return currency, scale


def _digits(number: str, mark: str) -> str:
    """A number as Decimal reads it."""
    number = number.replace(" ", "").replace("'", "")
    alone = amount_hint(number) or mark
    if not alone:
        lone = "," if "," in number else "."
        alone = "." if lone == "," else ","  # a lone mark before three digits sets thousands apart
    return number.replace("." if alone == "," else ",", "").replace(alone, ".")
