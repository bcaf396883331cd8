"""The few conversations that could belong to either of two deals: both of the customer's people are on them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from sandbox.team import words_of
from sandbox.team.casting import CLOSED
from sandbox.team.letters import Letter
from sandbox.team.story import Deal

CONVERSATIONS = 3


def between(deals: list[Deal], now: datetime, chance: random.Random, serial: Iterator[int]) -> list[Letter]:
    """Letters to two people of one customer who each have an open deal with us."""
    pairs: dict[str, list[Deal]] = {}
    for deal in deals:
        if deal.plot not in CLOSED:
            pairs.setdefault(deal.company.domain, []).append(deal)
    both = [(one, two) for one, two in (pair for pair in pairs.values() if len(pair) == 2)]
    both.sort(key=lambda pair: max(pair[0].created, pair[1].created))
    letters: list[Letter] = []
    for (one, two), turns in zip(both[:CONVERSATIONS], words_of.scenes("en")["both"], strict=False):
        begin = max(one.created, two.created) + timedelta(hours=7)
        step = min(timedelta(hours=20), (now - begin) / (len(turns) + 1))
        before: Letter | None = None
        for number, turn in enumerate(turns):
            at = begin + step * number
            before = _letter(one, two, turn, at, before, chance, serial)
            letters.append(before)
    return letters


def _letter(
    one: Deal,
    two: Deal,
    turn: words_of.Turn,
    at: datetime,
    before: Letter | None,
    chance: random.Random,
    serial: Iterator[int],
) -> Letter:
    rep, first, second = one.rep, one.person, two.person
    fill = {"co": one.company.name, "first": first.name.split()[0], "second": second.name.split()[0]}
    fill |= {"rep": rep[0].split()[0], "site": one.company.site}
    lines = [f"Hello {fill['first']}, hello {fill['second']}," if turn.ours else f"Hello {fill['rep']},", ""]
    for paragraph in turn.paragraphs:
        lines += [paragraph.format(**fill), ""]
    lines += ["Best wishes", fill["rep"] if turn.ours else first.name]
    ours, theirs, copied = (rep[0], rep[1]), (first.name, first.email), (second.name, second.email)
    domain = "brightpath.example" if turn.ours else one.company.domain
    return Letter(
        sender=ours if turn.ours else theirs,
        to=[theirs, copied] if turn.ours else [ours],
        cc=[] if turn.ours else [copied],
        subject=before.subject if before and before.subject.startswith("Re:") else _subject(before, fill["co"]),
        text="\n".join(lines) + "\n",
        at=at,
        message_id=f"{next(serial)}.{chance.getrandbits(40):x}@{domain}",
        answers=before,
    )


def _subject(before: Letter | None, company: str) -> str:
    return f"Re: {before.subject}" if before else f"Both projects at {company}"
