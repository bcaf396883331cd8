"""One cell as a date, an amount of money, addresses or domains. Pure; what cannot be read raises ValueError with a sentence.

A cell is text, a number or None, as ``sheet`` hands it on. What a single cell cannot tell (03/04 is the third of April, or
the fourth of March; 1,234 is a thousand, or one and a bit) is decided by its whole column: see ``survey``.
"""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from models.addresses import canonical, canonical_domain, registrable
from models.contact import is_free_mail
from models.money import in_hundredths, read_money

Cell = str | int | float | None
SERIALS = range(20_000, 80_000)
"""Days since 1900 that are taken for a date: 1954 to 2119."""
_DAY_ZERO, _DAY_ZERO_1904 = datetime(1899, 12, 30, tzinfo=UTC), datetime(1904, 1, 1, tzinfo=UTC)
_CLOCK = r"(?:[T,]?\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([ap]\.?m\.?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _CLOCK, re.I)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})" + _CLOCK, re.I)
_LOCAL = re.compile(r"(\d{1,2})\s?[-/.]\s?(\d{1,2})\s?[-/.]\s?(\d{4}|\d{2})" + _CLOCK, re.I)
_DAY_NAMED = re.compile(
    r"(?:[a-z]+\.?,?\s+)?(\d{1,2})(?:st|nd|rd|th|er|º)?[-.\s]*(?:de\s+)?([a-z]{3,})\.?,?[-\s]*(?:de\s+)?(\d{4}|\d{2})"
    + _CLOCK
)
_MONTH_NAMED = re.compile(r"(?:[a-z]{3,9}\.?,\s+)?([a-z]{3,})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})" + _CLOCK)
_MONTHS = {
    "jan": 1,
    "ene": 1,
    "feb": 2,
    "fev": 2,
    "mar": 3,
    "maa": 3,
    "mae": 3,
    "mrt": 3,
    "apr": 4,
    "avr": 4,
    "abr": 4,
    "may": 5,
    "mai": 5,
    "mei": 5,
    "jun": 6,
    "jul": 7,
    "aug": 8,
    "aou": 8,
    "ago": 8,
    "sep": 9,
    "set": 9,
    "oct": 10,
    "okt": 10,
    "nov": 11,
    "dec": 12,
    "dez": 12,
    "dic": 12,
    "juin": 6,
    "juil": 7,
}
_ADDRESS = re.compile(r"[^\s<>,;|()\[\]]+@[^\s<>,;|()\[\]]+")


def text_of(cell: Cell) -> str:
    """What people see in a cell, on one line's width: no NUL, whole numbers without a point, and without the
    apostrophe that keeps an export from being run as a formula."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    text = str(cell).replace("\0", "").strip()
    return text[1:] if text[:1] == "'" and text[1:2] in ("=", "+", "-", "@") else text


def read_date(cell: Cell, *, month_first: bool = False, from_1904: bool = False) -> datetime:
    """The instant that a cell names, UTC where it names no zone: ISO, day or month first, month in words, an Excel serial,
    milliseconds since 1970. Raises ValueError."""
    if isinstance(cell, int | float):
        return _serial(float(cell), from_1904)
    text = plain(text_of(cell))
    if re.fullmatch(r"\d{13}", text):
        return _within(datetime.fromtimestamp(int(text) / 1000, UTC), text)
    if re.fullmatch(r"\d{5}([.,]\d+)?", text):
        return _serial(float(text.replace(",", ".")), from_1904)
    for pattern, order in ((_ISO, "ymd"), (_COMPACT, "ymd"), (_DAY_NAMED, "dmy"), (_MONTH_NAMED, "mdy")):
        found = pattern.fullmatch(text)
        if found:
            return _moment(dict(zip(order, found.groups()[:3], strict=True)), found.groups()[3:], text)
    found = _LOCAL.fullmatch(text)
    if found is None:
        raise ValueError(f"{text_of(cell)!r} is not a date.")
    return _moment(
        dict(zip("mdy" if month_first else "dmy", found.groups()[:3], strict=True)), found.groups()[3:], text
    )


def date_hint(text: str) -> str:
    """What a cell tells of its column's dates: ``day`` or ``month`` (which comes first), ``either``, or nothing."""
    found = _LOCAL.fullmatch(text)
    if found is None:
        return ""
    first, second = int(found[1]), int(found[2])
    if first > 12 >= second:
        return "day"
    return "month" if second > 12 >= first else "either" if first <= 12 else ""


def read_amount(cell: Cell, *, mark: str = "") -> tuple[int, str]:
    """(hundredths, currency or empty) as ``models.money`` reads them; ``mark`` is the column's. Raises ValueError."""
    if isinstance(cell, int | float):
        return in_hundredths(Decimal(str(cell)), text_of(cell)), ""
    return read_money(text_of(cell), mark=mark)


def read_addresses(cell: Cell) -> tuple[list[str], list[str]]:
    """(addresses in the form in which they are stored, what is none) of one cell that may hold several, with or without
    names and set apart by anything usual."""
    text = text_of(cell).replace("mailto:", " ")
    good: list[str] = []
    bad: list[str] = []
    for part in _ADDRESS.findall(text):
        address = canonical(part.strip("\"'.:"))
        if address and address not in good:
            good.append(address)
        elif not address:
            bad.append(part)
    bad += [word for word in re.split(r"[\s,;|<>]+", _ADDRESS.sub(" ", text)) if "@" in word]
    if not good and not bad and text:
        bad.append(text)
    return good, bad


def read_domains(cell: Cell) -> tuple[list[str], list[str]]:
    """(registrable domains, what is none or says nothing about one firm) of a cell with domains or web addresses."""
    good: list[str] = []
    bad: list[str] = []
    for part in re.split(r"[\s,;|]+", text_of(cell)):
        host = re.sub(r"^[a-z]+://", "", part.lower()).split("/")[0].split(":")[0].rpartition("@")[2]
        domain = registrable(canonical_domain(host))
        if domain and not is_free_mail(domain):
            good += [domain] if domain not in good else []
        elif part:
            bad.append(part)
    return good, bad


def read_yes(cell: Cell) -> bool:
    """Whether a cell says yes."""
    return plain(text_of(cell)) in (
        "1",
        "yes",
        "y",
        "true",
        "x",
        "ja",
        "oui",
        "si",
        "wahr",
        "waar",
        "vrai",
        "verdadero",
    )


def plain(text: str) -> str:
    """Lower case, without accents."""
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


def _serial(days: float, from_1904: bool) -> datetime:
    if int(days) not in SERIALS:
        raise ValueError(f"{text_of(days)!r} is not a date.")
    found = (_DAY_ZERO_1904 if from_1904 else _DAY_ZERO) + timedelta(days=days)
    return (found + timedelta(milliseconds=500)).replace(microsecond=0)


def _moment(parts: dict[str, str], clock: tuple[str | None, ...], raw: str) -> datetime:
    month = int(parts["m"]) if parts["m"].isdigit() else _month(parts["m"])
    year = int(parts["y"])
    if len(parts["y"]) == 2:
        year += 2000 if year < 70 else 1900
    hour, minute, second, half, zone = clock
    hours = int(hour or 0)
    if half:
        hours = hours % 12 + (12 if half.startswith("p") else 0)
    try:
        found = datetime(year, month, int(parts["d"]), hours, int(minute or 0), int(second or 0), tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{raw!r} is not a date.") from None
    if zone and zone[0] in "+-":
        ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        found -= ahead if zone[0] == "+" else -ahead
    return _within(found, raw)


def _within(found: datetime, raw: str) -> datetime:
    if not 1970 <= found.year <= 2120:
        raise ValueError(f"{raw!r} is no date of our time.")
    return found


def _month(word: str) -> int:
    return _MONTHS.get(word[:4]) or _MONTHS.get(word[:3]) or 0
