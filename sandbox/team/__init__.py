"""The invented team of the demonstration: three reps of Brightpath, one of them in Outlook, forty customers, sixty deals,
half a year of mail.

Everything in it is made up, by us. `build` fills a world; `Live` goes on with the stories while somebody watches.
"""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.team import words_of
from sandbox.team.beside import joint, strangers
from sandbox.team.between import between
from sandbox.team.casting import alone, cast, end_of
from sandbox.team.letters import Letter
from sandbox.team.noise import Noise
from sandbox.team.post import box_of, meet, move_in
from sandbox.team.story import REPS, Deal, Teller
from sandbox.world import World

_NEXT = {"lead": "reply", "contacted": "qa", "qualified": "quote", "proposal": "yes"}


def build(world: World, *, seed: int = 7) -> list[Deal]:
    """Mailboxes, calendars and the CRM (`world.crm`) as of the world's clock; the same seed tells the same stories."""
    chance = random.Random(seed)
    serial = itertools.count(1)
    now = world.clock.moment()
    move_in(world)
    deals = cast(chance)
    for deal in deals:
        Teller(deal, chance, serial).tell(end_of(deal, deals, now, chance))
        for letter in deal.letters:
            if letter.at < now:
                put(world, letter, history=False)
        for one in deal.meetings:
            meet(world, one.organizer, one.guests, one.start, one.end, one.summary, names=one.names)
    for letter in between(deals, now, chance, serial):
        put(world, letter, history=False)
    Noise(world, chance, serial, alone(deals)).fill(now - timedelta(days=182), now)
    for letter in (*joint(world, deals, now, chance, serial), *strangers(now, chance, serial)):
        put(world, letter, history=False)
    _calendars(world, now)
    world.crm = _crm(deals, now)
    return deals


def put(world: World, letter: Letter, *, history: bool = True) -> None:
    """A letter into every mailbox of ours that it concerns."""
    raw = letter.bytes()
    people = {letter.sender[1], *(one[1] for one in (*letter.to, *letter.cc))}
    for _, email, _ in REPS:
        if email in people:
            labels = ["SENT"] if email == letter.sender[1] else ["INBOX", "UNREAD"]
            box_of(world, email).deliver(raw, labels, letter.at.timestamp(), history=history)


class Live:
    """What happens while the demonstration runs: every `step` is one more mail, most of them about deals."""

    def __init__(self, world: World, deals: list[Deal], *, seed: int = 11) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.serial = itertools.count(1_000_000)
        self.noise = Noise(world, self.chance, self.serial, alone(deals))
        self.waiting = [deal for deal in deals if deal.plot in _NEXT and deal.company.language == "en"]
        self.chance.shuffle(self.waiting)
        self.count = 0

    def step(self) -> None:
        self.count += 1
        now = self.world.clock.moment()
        if self.count % 4 == 0 or not self.waiting:
            self.noise.one(self.chance.choice(REPS), now)
            return
        deal = self.waiting.pop(0)
        teller = Teller(deal, self.chance, self.serial)
        teller.last = deal.letters[-1] if deal.letters else None
        letter = teller.next_letter(_NEXT[deal.plot], now)
        if letter is not None:
            put(self.world, letter)
        if deal.plot in ("contacted",):
            self.waiting.append(deal)


def _calendars(world: World, now: datetime) -> None:
    """What else stands in the reps' calendars: a weekly round of the team, a private one, a day off, a coming meeting."""
    monday = (now - timedelta(days=now.weekday() + 140)).replace(hour=9, minute=0, second=0, microsecond=0)
    emails = [rep[1] for rep in REPS]
    meet(world, emails[0], emails, monday, monday + timedelta(minutes=30), "Sales round", rule="FREQ=WEEKLY;BYDAY=MO")
    for rep in REPS:
        evening = (now + timedelta(days=3)).replace(hour=18, minute=0, second=0, microsecond=0)
        meet(world, rep[1], [rep[1]], evening, evening + timedelta(hours=1), "Physiotherapist", private=True)
    company = words_of.companies()[0]
    start = (now + timedelta(days=2)).replace(hour=10, minute=0, second=0, microsecond=0)
    guests = [person.email for person in company.people]
    names = {person.email: person.name for person in company.people}
    meet(world, REPS[0][1], guests, start, start + timedelta(hours=1), "Site visit Leeds", names=names)


def _crm(deals: list[Deal], now: datetime) -> dict[str, Any]:
    """Companies, contacts and deals as a team would have entered them."""
    companies = [{"name": one.name, "domains": [one.domain]} for one in words_of.companies()]
    contacts = [
        {"name": person.name, "emails": [person.email], "title": person.title, "company": company.name}
        for company in words_of.companies()
        for person in company.people
    ]
    return {"companies": companies, "contacts": contacts, "deals": [_crm_deal(deal, now) for deal in deals]}


def _crm_deal(deal: Deal, now: datetime) -> dict[str, Any]:
    created = min(deal.created, now - timedelta(days=1))
    close = (now + timedelta(days=20 + len(deal.name))).date()
    return {
        "name": deal.name,
        "company": deal.company.name,
        "owner": deal.rep[1],
        "stage": deal.stage,
        "amount": deal.amount,
        "currency": "GBP" if deal.company.language == "en" else "EUR",
        "expected_close": close.isoformat(),
        "created": created.astimezone(UTC).isoformat(),
        "stage_since": max(created, min(deal.since, now)).astimezone(UTC).isoformat(),
        "contacts": [{"email": person.email, "role": person.role} for person in deal.people],
    }
