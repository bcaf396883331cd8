"""What happens beside the deals' own stories: one conversation with a customer that two reps share, with a meeting in both
their calendars, and people whom the reps write with and who are in nobody's address book."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from sandbox.team import words_of
from sandbox.team.casting import alone
from sandbox.team.letters import Letter
from sandbox.team.post import OUTLOOK, meet
from sandbox.team.story import REPS, Deal
from sandbox.world import World

SUBJECT = "The first Monday at {co}"
STRANGERS = (
    ("Petra Holm", "petra.holm@kestrel-ambulance.example"),
    ("Gordon Blythe", "gordon.blythe@autumnmeeting.example"),
    ("Marianne Ferris", "m.ferris@ostley-group.example"),
    ("Callum Reid", "callum.reid@tidewater-cold.example"),
)
"""People who answered a rep and are in nobody's address book, one for each exchange of words/joint.txt."""
WHOM = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 3), (2, 2), (2, 3))
"""Which rep wrote with which of them."""
Party = tuple[str, str]


def joint(world: World, deals: list[Deal], now: datetime, chance: random.Random, serial: Iterator[int]) -> list[Letter]:
    """The letters of the shared conversation; its meeting is put into the calendars."""
    second = next(rep for rep in REPS if rep[1] in OUTLOOK)
    deal = next(deal for deal in deals if _fits(deal, deals))
    writers = {"first": deal.rep[:2], "second": second[:2], "customer": (deal.person.name, deal.person.email)}
    fill = {"co": deal.company.name, "site": deal.company.site}
    turns = words_of.exchanges("joint")[0].turns
    letters = _told(SUBJECT.format(**fill), turns, writers, fill, now - timedelta(hours=30), chance, serial)
    start = (now + timedelta(days=1)).replace(hour=11, minute=0, second=0, microsecond=0)
    guests = [second[1], deal.person.email]
    names = {email: name for name, email in writers.values()}
    meet(world, deal.rep[1], guests, start, start + timedelta(hours=1), SUBJECT.format(**fill), names=names)
    return letters


def strangers(now: datetime, chance: random.Random, serial: Iterator[int]) -> list[Letter]:
    """What the reps and people outside the address book wrote each other in the last weeks."""
    letters: list[Letter] = []
    for number, (rep, stranger) in enumerate(WHOM):
        writers = {"rep": REPS[rep][:2], "stranger": STRANGERS[stranger]}
        exchange = words_of.exchanges("stranger")[stranger]
        begin = now - timedelta(days=4 + 5 * number)
        letters += _told(exchange.subject, exchange.turns, writers, {"site": "Leeds"}, begin, chance, serial)
    return letters


def _fits(deal: Deal, deals: list[Deal]) -> bool:
    """Still being talked about, in English, by a rep at Google, and the only open deal of its customer."""
    plain = deal.plot in ("proposal", "qualified") and deal.company.language == "en"
    return plain and deal.company in alone(deals) and deal.rep[1] not in OUTLOOK


def _told(
    subject: str,
    turns: tuple[tuple[str, tuple[str, ...]], ...],
    writers: dict[str, Party],
    fill: dict[str, str],
    begin: datetime,
    chance: random.Random,
    serial: Iterator[int],
) -> list[Letter]:
    """One letter for each turn, some hours apart, each to everybody else and an answer to the one before."""
    letters: list[Letter] = []
    for number, (who, paragraphs) in enumerate(turns):
        sender = writers[who]
        others = [party for party in writers.values() if party != sender]
        lines = [f"Hello {' and '.join(name.split()[0] for name, _ in others)},", ""]
        for paragraph in paragraphs:
            lines += [paragraph.format(**fill), ""]
        lines += ["Best wishes", sender[0].split()[0]]
        letters.append(
            Letter(
                sender=sender,
                to=others,
                subject=f"Re: {subject}" if number else subject,
                text="\n".join(lines) + "\n",
                at=begin + timedelta(hours=5 * number),
                message_id=f"{next(serial)}.{chance.getrandbits(40):x}@{sender[1].partition('@')[2]}",
                answers=letters[-1] if letters else None,
            )
        )
    return letters
