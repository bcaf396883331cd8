"""What a signature says of who signs: name, position and telephone. Pure, line by line; a doubt is left out.

Works on the block that ``connectors.body`` takes off a mail (``Body.signature``), in the languages of the words below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_LINES, MOST_LINE, MOST_BLOCK = 20, 160, 4_000
"""Lines, characters of a line and characters in all that are looked at."""
MOST_TITLE = 80
MOST_TAIL = 9
"""Filled lines at the end of a text among which an unmarked signature is looked for."""
_TITLES = (
    r"c[efioptm]o|chief [\w ]+ officer|(?:vice )?president|vp|chair(?:man|woman)?|founder|co-?founder|owner|partner|principal|"
    r"(?:\w+ )?director|head of|manager|managing|supervisor|team ?lead|lead|coordinator|administrator|assistant|associate|"
    r"analyst|architect|consultant|counsel|attorney|lawyer|accountant|controller|treasurer|engineer|developer|designer|"
    r"scientist|researcher|professor|specialist|strategist|representative|executive|buyer|purchaser|procurement|planner|"
    r"secretary|officer|editor|technician|trader|broker|recruiter|advisor|adviser|"
    r"geschäftsführer(?:in)?|inhaber(?:in)?|vorstand|prokurist(?:in)?|leiter(?:in)?|leitung|einkäufer(?:in)?|einkaufsleiter(?:in)?|"
    r"vertriebsleiter(?:in)?|referent(?:in)?|berater(?:in)?|ingenieur(?:in)?|entwickler(?:in)?|assistenz|sachbearbeiter(?:in)?|"
    r"directeur|directrice|gérante?|responsable|chef(?:fe)? de|acheteu(?:r|se)|ingénieure?|chargée? de|conseill(?:er|ère)|"
    r"bedrijfsleider|inkoper|verkoper|directielid|adviseur|hoofd|medewerk(?:er|ster)|zaakvoerder|"
    r"directora?|gerente|jefe|jefa|comprador(?:a)?|ingenier[oa]|responsable de|encargad[oa]|asesora?|consultora?"
)
_TITLE = re.compile(rf"(?<![\w@.])(?:{_TITLES})(?![\w@])|经理|总监|主任|总裁|董事|工程师|采购|销售代表", re.I)
_NUMBER = re.compile(r"(?<![\w@./-])(?:\+|00|\()?\d[\d\s().\-/\u2010-\u2013]{5,24}\d(?![\w@])")
_EXTENSION = re.compile(r"^[\s,;]*(?:ext\.?|x|extension|durchwahl|poste|toestel)\s?\.?:?\s?(\d{1,5})\b", re.I)
_CALL = re.compile(
    r"\b(?:tel(?:e(?:ph|f)on(?:e|o)?)?|phone|ph|mobile?|mob|cell|direct|office|work|fon|handy|mobil|portable|móvil|movil|gsm|"
    r"t|m|p|d|o|c)\b\s*[.:|]?\s*$|电话|手机|\btél\b\s*[.:]?\s*$",
    re.I,
)
_NO_CALL = re.compile(
    r"\b(?:fax|telefax|téléfax|pager|iban|bic|vat|ust|hrb|hra|siren|siret|kvk|btw|cif|nif|tax|reg(?:istration)?|zip|p\.?o\.? ?box|"
    r"account|konto|passcode|pin|id|f)\b[^0-9+(]{0,14}$|传真",
    re.I,
)
_NO_TITLE = re.compile(
    r"\d{3}|[@<>{}]|https?:|www\.|[.!?]$|confidential|privileged|intended|sent from|^(?:dear|hi|hello|thanks)\b", re.I
)
_NAME = re.compile(r"^[^\W\d_][\w'’.-]*(?: [^\W\d_][\w'’.-]*){1,3}$")
_GREETING = re.compile(r"\s*(?:hi|hello|dear|hallo|hey|beste|liebe[r]?|bonjour|cher|chère|hola|estimad[oa])\b", re.I)
_PARTS = re.compile(r"\s*(?:\||•|·|–|—|\t| - |,|/(?!\w))\s*")


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found; empty where nothing certain was."""

    name: str = ""
    title: str = ""
    phone: str = ""


def read_signature(block: str, sender: str = "") -> Facts:
    """The facts of a signature. ``sender``: the display name in the mail's From, which tells a name from a firm."""
    lines = [" ".join(line[:MOST_LINE].strip(" \t*_-|>").split()) for line in block[:MOST_BLOCK].splitlines()]
    lines = [line for line in lines if line][:MOST_LINES]
    known = _words(sender)
    name = next((found for line in lines[:4] if (found := _name(line, known))), "")
    return Facts(name, _title(lines, name), _phone(lines))


def signed_block(signature: str, new: str, sender: str) -> str:
    """The lines to read: the block that was taken off the mail, with what stands from the sender's own name on in the last
    lines of what they wrote, where people sign without any mark."""
    known = _words(sender)
    lines = [line[:MOST_LINE] for line in new[-MOST_BLOCK:].splitlines() if line.strip()][-MOST_TAIL:]
    for place, line in enumerate(lines):
        first = _PARTS.split(line.strip())[0]
        if (_NAME.match(first) or first.lower() in known) and _words(first) & known and not _GREETING.match(line):
            return "\n".join([*lines[place:], signature])
    return signature


def _words(text: str) -> set[str]:
    """Of a display name, without an address behind it."""
    return set(re.findall(r"[^\W\d_]{2,}", re.split(r"[<\[]", text)[0].lower()))


def _name(line: str, known: set[str]) -> str:
    """Somebody's name at the start of a line; only where the sender's name bears it out."""
    first = _PARTS.split(line)[0]
    words = _words(first)
    if _NAME.match(first) and words & known and (words <= known or not _TITLE.search(first)):
        return first if not first.isupper() else first.title()
    return ""


def _title(lines: list[str], name: str) -> str:
    for line in lines[:6]:
        named = name and line.lower().startswith(name.lower())
        rest = line[len(name) :].lstrip(" ,|-–—•·/\t") if named else line
        for part in (rest, *_PARTS.split(rest)):
            if 2 <= len(part) <= MOST_TITLE and len(part.split()) <= 8 and _plain(part) and _TITLE.search(part):
                return part.strip(" ,|-")
    return ""


def _plain(part: str) -> bool:
    """Reads like a position: no address, no sentence."""
    return not _NO_TITLE.search(part) and (part[0].isupper() or not part[0].isascii())


def _phone(lines: list[str]) -> str:
    """The telephone number: one that is marked as such before one that merely looks like it."""
    bare = ""
    for line in lines:
        for found in _NUMBER.finditer(line):
            before, number = line[: found.start()], found.group().strip(" .-/")
            digits = sum(letter.isdigit() for letter in number)
            if not 7 <= digits <= 15 or _NO_CALL.search(before) or _date(number):
                continue
            extra = _EXTENSION.match(line[found.end() :])
            shown = " ".join(number.split()) + (f" ext. {extra[1]}" if extra else "")
            if number.count("(") != number.count(")"):
                shown = shown.replace("(", "").replace(")", "")
            if _CALL.search(before) or number.startswith("+"):
                return shown
            bare = bare or shown
    return bare


def _date(number: str) -> bool:
    return bool(re.fullmatch(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}", number)) or bool(
        re.fullmatch(r"\d{4}\s?[-–]\s?\d{4}", number)
    )
