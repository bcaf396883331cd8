"""The invented texts, read from the files under words/: scenes per language, the cast, the products, the noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "words"


@dataclass(frozen=True)
class Turn:
    """One mail of a scene; `ours` tells who writes it."""

    ours: bool
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    name: str
    title: str
    role: str
    email: str


@dataclass(frozen=True)
class Company:
    name: str
    domain: str
    language: str
    site: str
    product: str
    size: int
    people: tuple[Person, ...]


@dataclass(frozen=True)
class Note:
    subject: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Exchange:
    """A conversation beside the deals: (who writes, paragraphs) for each mail."""

    subject: str
    turns: tuple[tuple[str, tuple[str, ...]], ...]


@cache
def scenes(language: str) -> dict[str, list[list[Turn]]]:
    """Scene name -> its variants, each a list of turns."""
    found: dict[str, list[list[Turn]]] = {}
    for name, blocks in _sections(language).items():
        turns = [[_turn(line) for line in block if line[:2] in ("> ", "< ")] for block in blocks]
        found[name] = [one for one in turns if one]
    return found


@cache
def phrases(language: str, kind: str) -> tuple[str, ...]:
    """The lines of a section such as greet, bye, opener, closer."""
    return tuple(line for block in _sections(language).get(kind, []) for line in block)


@cache
def subjects(language: str) -> dict[str, tuple[str, ...]]:
    lines = phrases(language, "subjects")
    return {line.partition(":")[0]: tuple(line.partition(":")[2].strip().split(" / ")) for line in lines}


@cache
def notes(kind: str) -> tuple[Note, ...]:
    return tuple(Note(block[0], tuple(block[1].split("|"))) for block in _sections("noise")[kind])


@cache
def exchanges(kind: str) -> tuple[Exchange, ...]:
    return tuple(_exchange(block) for block in _sections("joint")[kind])


@cache
def product(name: str, language: str) -> tuple[str, str, str]:
    """(name, unit, one of them) in a language."""
    rows = [[cell.strip() for cell in line.split("|")] for line in _lines("products")]
    return next((row[2], row[3], row[4]) for row in rows if row[:2] == [name, language])


@cache
def companies() -> tuple[Company, ...]:
    return tuple(_company([cell.strip() for cell in line.split("|")]) for line in _lines("cast"))


def _company(row: list[str]) -> Company:
    people = tuple(_person(text.strip(), row[1]) for text in row[6].split(";"))
    return Company(row[0], row[1], row[2], row[3], row[4], int(row[5]), people)


def _person(text: str, domain: str) -> Person:
    name, title, role = (piece.strip() for piece in text.split(",", 2))
    return Person(name, title, role, f"{plain(name)}@{domain}")


def plain(name: str) -> str:
    """A name as the left side of an address: ASCII, lower case, dots."""
    import unicodedata

    text = name.lower().replace("ü", "ue").replace("ö", "oe").replace("ä", "ae").replace("ß", "ss")
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return ".".join("".join(letter for letter in word if letter.isalnum()) for word in text.split())


def _turn(line: str) -> Turn:
    return Turn(line[0] == "<", tuple(line[2:].split("|")))


def _exchange(block: list[str]) -> Exchange:
    lines = [line.partition(": ")[::2] for line in block]
    subject = next((text for who, text in lines if who == "subject"), "")
    return Exchange(subject, tuple((who, tuple(text.split("|"))) for who, text in lines if who != "subject"))


def _lines(name: str) -> list[str]:
    text = (FOLDER / f"{name}.txt").read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@cache
def _sections(name: str) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    current: list[list[str]] = []
    for line in (FOLDER / f"{name}.txt").read_text("utf-8").splitlines():
        if line.startswith("## "):
            current = found.setdefault(line[3:].strip(), [[]])
        elif line.startswith("# "):
            continue
        elif not line.strip():
            current.append([])
        elif current:
            current[-1].append(line)
    return {key: [block for block in blocks if block] for key, blocks in found.items()}
