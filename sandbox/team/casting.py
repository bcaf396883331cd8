"""Who lives through what: which customer has which deals, with which of its people, told when.

Every customer has one open deal; a few have a second one at the same time, with somebody else there. What was won or lost is
over before the customer's open deal begins. So a mail says by its people and its date to which deal it belongs, except for
the few conversations of `sandbox/team/between.py`.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from sandbox.team import words_of
from sandbox.team.story import REPS, Deal
from sandbox.team.words_of import Company, Person

CLOSED = {"won": 8, "lost": 7}
OPEN = {
    "shelved": 3,
    "lead": 4,
    "contacted": 7,
    "qualified": 5,
    "proposal": 6,
    "lead>contacted": 4,
    "contacted>qualified": 4,
    "qualified>proposal": 4,
    "proposal>won": 3,
    "proposal>lost": 1,
    "proposal>fridge": 1,
    "contacted>silence": 3,
}
"""How many deals of each plot. ``a>b``: the CRM still says a."""
ABROAD = {
    "de": ("contacted>qualified", "proposal>won"),
    "nl": ("qualified>proposal", "proposal>fridge"),
    "fr": ("lead>contacted", "qualified>proposal"),
    "es": ("contacted>qualified", "proposal>lost"),
}
"""Plots that must happen in a language, so that each of them has something the CRM has not caught up with."""
_SUFFIX = {"won": " (pilot)", "lost": " (first round)"}


def cast(chance: random.Random) -> list[Deal]:
    """The open deals, then those won and lost, nothing of them told yet."""
    companies = list(words_of.companies())
    open_deals = _open(companies, chance)
    past = [plot for plot, count in CLOSED.items() for _ in range(count)]
    hosts = chance.sample(companies, len(past))
    closed = [
        _deal(company, plot, company.people, _SUFFIX[plot], chance) for company, plot in zip(hosts, past, strict=True)
    ]
    deals = open_deals + closed
    for number, deal in enumerate(deals):
        deal.number = f"Q-{2600 + number}"
    return deals


def end_of(deal: Deal, deals: list[Deal], now: datetime, chance: random.Random) -> datetime:
    """When a story has ended: just now for what the CRM has not caught up with; long ago, and before the customer's open
    deals began, for what was won or lost."""
    if deal.plot == "contacted>silence":
        return now - timedelta(days=chance.uniform(45, 70))
    if ">" in deal.plot:
        return now - timedelta(hours=chance.uniform(3, 60))
    if deal.plot in CLOSED:
        later = [one.created for one in deals if one.company is deal.company and one.plot not in CLOSED]
        return min([now - timedelta(days=chance.uniform(85, 125)), *(at - timedelta(days=6) for at in later)])
    if deal.plot == "shelved":
        return now - timedelta(days=chance.uniform(60, 90))
    return now - timedelta(days=chance.uniform(2, 8))


def alone(deals: list[Deal]) -> list[Company]:
    """The customers with one open deal only: mail that names nobody is clear there."""
    counts: dict[str, int] = {}
    for deal in deals:
        if deal.plot not in CLOSED:
            counts[deal.company.domain] = counts.get(deal.company.domain, 0) + 1
    return [one for one in words_of.companies() if counts.get(one.domain, 0) == 1]


def _open(companies: list[Company], chance: random.Random) -> list[Deal]:
    left = dict(OPEN)
    chosen: dict[str, str] = {}
    for language, plots in ABROAD.items():
        hosts = chance.sample([one for one in companies if one.language == language], len(plots))
        for company, plot in zip(hosts, plots, strict=True):
            chosen[company.domain] = plot
            left[plot] -= 1
    plots = [plot for plot, count in left.items() for _ in range(count)]
    chance.shuffle(plots)
    plots.sort(key=lambda plot: plot in ("lead", "contacted"))
    for company in companies:
        if company.domain not in chosen:
            chosen[company.domain] = plots.pop(0)
    pairs = [one for one in companies[1:] if len(one.people) > 1 and one.language == "en"]
    second = {company.domain: plot for company, plot in zip(chance.sample(pairs, len(plots)), plots, strict=True)}
    deals = []
    for company in companies:
        if company.domain in second:
            first, other = company.people[:1], company.people[1:2]
            deals.append(_deal(company, chosen[company.domain], first, "", chance))
            deals.append(_deal(company, second[company.domain], other, " (second site)", chance))
        else:
            deals.append(_deal(company, chosen[company.domain], company.people, "", chance))
    return deals


def _deal(company: Company, plot: str, people: tuple[Person, ...], suffix: str, chance: random.Random) -> Deal:
    product = words_of.product(company.product, company.language)[0]
    amount = chance.choice((6, 9, 12, 14, 18, 22, 27, 36, 48, 64)) * 1000 + chance.randint(0, 9) * 100
    rep = REPS[sum(map(ord, company.domain)) % 3]
    return Deal(company, rep, plot, f"{company.name}: {product}{suffix}", amount, "", people=people)
