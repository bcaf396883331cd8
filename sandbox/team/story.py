"""The life of one deal as letters and meetings: which scenes it went through, when, and how far the CRM has kept up."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sandbox.team import words_of
from sandbox.team.letters import Letter, small_pdf
from sandbox.team.words_of import Company, Person, Turn

REPS = (
    ("Rae Fenwick", "rae@brightpath.example", "Account manager north"),
    ("Jonas Vries", "jonas@brightpath.example", "Account manager"),
    ("Mila Soto", "mila@brightpath.example", "Account manager south"),
)
MONTHS = ("January", "February", "March", "April", "May", "June", "July")
MONTHS += ("August", "September", "October", "November", "December")

PLOTS: dict[str, tuple[str, ...]] = {
    "won": ("enquiry", "qa", "arrange*", "recap", "demo*", "quote", "haggle", "yes", "thanks", "onboarding"),
    "lost": ("outreach", "reply", "qa", "arrange*", "recap", "quote", "haggle", "no", "nothanks"),
    "shelved": ("enquiry", "qa", "arrange*", "recap", "later", "laterok"),
    "lead": ("outreach", "nudge"),
    "contacted": ("outreach", "reply", "qa"),
    "qualified": ("enquiry", "qa", "arrange*", "recap", "demo*"),
    "proposal": ("enquiry", "arrange*", "recap", "demo*", "quote", "haggle"),
    "lead>contacted": ("outreach", "reply"),
    "contacted>qualified": ("enquiry", "qa", "arrange*", "recap"),
    "qualified>proposal": ("outreach", "reply", "arrange*", "recap", "demo", "quote"),
    "proposal>won": ("enquiry", "arrange*", "recap", "quote", "haggle", "yes"),
    "proposal>lost": ("outreach", "reply", "recap", "quote", "haggle", "no"),
    "proposal>fridge": ("enquiry", "recap", "quote", "later"),
    "contacted>silence": ("outreach", "reply"),
}
"""What happened in a deal. ``a>b``: the CRM still says a, the mail says b already. ``*``: a meeting belongs to it."""
RECORDED = {"won": "Won", "lost": "Lost", "shelved": "Fridge"}
_THREADS = {"outreach": "outreach", "enquiry": "enquiry", "demo": "demo", "quote": "quote", "onboarding": "onboarding"}


ELSEWHERE = {
    "en": ("Grace Hollis", "Edwin Marlow", "Nora Petty", "Victor Lamb"),
    "de": ("Ulrike Hansen", "Bernd Rohde"),
    "nl": ("Marijke Smit", "Wim Bakker"),
    "fr": ("Odile Garnier", "Rémi Pascal"),
    "es": ("Pilar Reyes", "Andoni Vega"),
}


@dataclass
class Meeting:
    organizer: str
    guests: list[str]
    start: datetime
    end: datetime
    summary: str
    names: dict[str, str]


@dataclass
class Deal:
    """One deal of the invented CRM, with what there is to find about it in the mailboxes."""

    company: Company
    rep: tuple[str, str, str]
    plot: str
    name: str
    amount: int
    number: str
    letters: list[Letter] = field(default_factory=list)
    meetings: list[Meeting] = field(default_factory=list)
    people: tuple[Person, ...] = ()
    created: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    since: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    @property
    def stage(self) -> str:
        plot = self.plot.partition(">")[0]
        return RECORDED.get(plot, plot.title())

    @property
    def person(self) -> Person:
        return self.people[0]

    @property
    def other(self) -> Person:
        return self.people[-1]

    @property
    def colleague(self) -> str:
        """Somebody at the customer's whom the main contact can name: the other one on the deal, else one we never meet."""
        if len(self.people) > 1:
            return self.other.name
        names = ELSEWHERE[self.company.language]
        return names[sum(map(ord, self.company.domain)) % len(names)]


class Teller:
    """Writes a deal's letters, from its first scene on; the last one lands about `end`."""

    def __init__(self, deal: Deal, chance: random.Random, serial: Iterator[int]) -> None:
        self.deal, self.chance, self.serial = deal, chance, serial
        self.language = deal.company.language
        name, unit, one = words_of.product(deal.company.product, self.language)
        self.fill = {
            "co": deal.company.name,
            "site": deal.company.site,
            "p": name,
            "P": name[:1].upper() + name[1:],
            "n": str(deal.company.size),
            "unit": unit,
            "one": one,
            "number": deal.number,
            "cur": "£" if self.language == "en" else "€",
            "amount": f"{deal.amount:,}",
            "other": deal.colleague,
            "budget": f"{round(deal.amount * 1.1, -3):,}",
            "month": chance.choice(MONTHS),
            "title": deal.person.name,
        }
        self.last: Letter | None = None

    def tell(self, end: datetime) -> None:
        """All scenes, timed backwards from `end` so that the story ends there."""
        plan = [self._scene(name) for name in PLOTS[self.deal.plot]]
        gaps = [[self._gap(turn, at == 0) for at, turn in enumerate(turns)] for _, turns in plan]
        begin = end - sum((gap for row in gaps for gap in row), timedelta())
        times = _times(begin, gaps)
        while times[-1][-1] > end:
            begin -= max((times[-1][-1] - end) / 2, timedelta(hours=3))
            times = _times(begin, gaps)
        self.deal.created = self.deal.since = begin - timedelta(hours=5)
        for (name, turns), row, gap in zip(plan, times, gaps, strict=True):
            if name.endswith("*"):
                self._meeting(row[0] - gap[0], gap)
            for at, (turn, moment) in enumerate(zip(turns, row, strict=True)):
                self._write(name.rstrip("*"), turn, moment, first=at == 0)
            if name.rstrip("*") == PLOTS[self.deal.plot][-1] or name.rstrip("*") in ("recap", "quote"):
                self.deal.since = row[-1]

    def next_letter(self, scene: str, at: datetime) -> Letter | None:
        """One more turn of a scene on top of what was said, for the live part of the demonstration."""
        turns = self._scene(scene)[1]
        self._write(scene, turns[0], at, first=False)
        return self.last

    def _scene(self, name: str) -> tuple[str, list[Turn]]:
        scenes = words_of.scenes(self.language)
        plain = name.rstrip("*")
        special = f"{plain}.{self.deal.company.product}"
        variants = scenes.get(special, []) + scenes.get(plain, []) if plain == "qa" else scenes.get(plain, [])
        return name, self.chance.choice(variants or scenes["qa"])

    def _gap(self, turn: Turn, first: bool) -> timedelta:
        days = self.chance.uniform(1.5, 8) if first else self.chance.uniform(0.1, 2.2)
        return timedelta(days=days)

    def _write(self, scene: str, turn: Turn, at: datetime, *, first: bool) -> None:
        deal, chance = self.deal, self.chance
        fresh = first and (self.last is None or (scene in _THREADS and scene != "onboarding") or scene == "onboarding")
        person = deal.other if chance.random() < 0.15 else deal.person
        ours, theirs = (deal.rep[0], deal.rep[1]), (person.name, person.email)
        subject = self._subject(scene) if fresh or self.last is None else _again(self.last.subject)
        letter = Letter(
            sender=ours if turn.ours else theirs,
            to=[theirs if turn.ours else ours],
            subject=subject,
            text=self._text(turn, person),
            at=at,
            message_id=f"{next(self.serial)}.{chance.getrandbits(40):x}@{'brightpath' if turn.ours else deal.company.domain}",
            answers=None if fresh else self.last,
            language=self.language,
            rich=chance.random() < 0.5,
        )
        if len(deal.people) > 1 and chance.random() < 0.2:
            letter.cc.append((deal.other.name, deal.other.email))
        if turn.ours and chance.random() < 0.1:
            colleague = chance.choice([rep for rep in REPS if rep != deal.rep])
            letter.cc.append((colleague[0], colleague[1]))
        if scene == "quote" and turn.ours:
            lines = [f"Brightpath quotation {deal.number}", self.fill["P"], f"for {deal.company.name}"]
            lines += [
                f"{self.fill['n']} {self.fill['unit']}",
                f"Total {self.fill['cur']}{self.fill['amount']} for twelve months",
            ]
            letter.attachment = (f"Quote {deal.number}.pdf", "application/pdf", small_pdf(lines))
        self.last = letter
        deal.letters.append(letter)

    def _subject(self, scene: str) -> str:
        kinds = words_of.subjects(self.language)
        return self.chance.choice(kinds.get(scene) or kinds["fresh"]).format(**self.fill)

    def _text(self, turn: Turn, person: Person) -> str:
        chance = self.chance
        to = person.name.split()[0] if turn.ours else self.deal.rep[0].split()[0]
        fill = {
            **self.fill,
            "to": to,
            "title": person.name if turn.ours else self.deal.rep[0],
            "wake": chance.choice(MONTHS[:6]),
        }
        if person.name == fill["other"]:
            fill["other"] = self.deal.person.name
        phrases = lambda kind: chance.choice(words_of.phrases(self.language, kind)).format(**fill)  # noqa: E731
        lines = [phrases("greet"), ""]
        if chance.random() < 0.2:
            lines += [phrases("opener"), ""]
        for paragraph in turn.paragraphs:
            lines += [paragraph.format(**fill), ""]
        if chance.random() < 0.15:
            lines += [phrases("closer"), ""]
        lines += [phrases("bye"), *self._signature(turn, person)]
        return "\n".join(lines) + "\n"

    def _signature(self, turn: Turn, person: Person) -> list[str]:
        if not turn.ours:
            return [
                person.name,
                "",
                "-- ",
                f"{person.name} | {person.title}",
                self.deal.company.name,
                f"T +44 20 7946 0{sum(map(ord, person.name)) % 900:03d}",
            ]
        return [
            self.deal.rep[0].split()[0],
            "",
            "-- ",
            f"{self.deal.rep[0]}, {self.deal.rep[2]}",
            "Brightpath Planning Ltd",
        ]

    def _meeting(self, clock: datetime, gaps: list[timedelta]) -> None:
        start = _working(clock + gaps[0] * 0.6).replace(minute=0, second=0, microsecond=0)
        deal = self.deal
        people = [deal.person] + ([deal.other] if deal.other != deal.person else [])
        names = {one.email: one.name for one in people} | {deal.rep[1]: deal.rep[0]}
        title = f"{self.fill['P']} - {deal.company.name} / Brightpath"
        guests = [one.email for one in people]
        deal.meetings.append(Meeting(deal.rep[1], guests, start, start + timedelta(minutes=45), title, names))


def _times(begin: datetime, gaps: list[list[timedelta]]) -> list[list[datetime]]:
    """The moment of each turn: one after the other, all in working hours."""
    clock, found = begin, []
    for row in gaps:
        found.append([clock := _working(clock + gap) for gap in row])
    return found


def _again(subject: str) -> str:
    return subject if subject.lower().startswith("re:") else f"Re: {subject}"


def _working(at: datetime) -> datetime:
    """The same moment moved into a working day: 8 to 18 o'clock, Monday to Friday."""
    if at.weekday() >= 5:
        at += timedelta(days=7 - at.weekday())
    if not 8 <= at.hour < 18:
        at = at.replace(hour=8 + at.hour % 10)
    return at
