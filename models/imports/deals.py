"""Rows of deals: one with a known external id, else with a known name at the same company, is brought up to date; every other
is new. A closed deal keeps its dates: it enters the pipeline when it was created and is decided on its closing day."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlmodel import Session, col, select

from models.db import chunks
from models.deal import Actor, Deal, DealContact, add_deal, check_amount, move_deal
from models.imports.cells import read_amount, read_date, text_of
from models.imports.columns import simple
from models.imports.firms import Firms
from models.imports.people import People, addresses_in, domains_in
from models.imports.rows import Cells, Fault, Outcome, Plan
from models.pipeline import FINAL, Pipeline, Stage, default_pipeline
from models.user import User

BY_IMPORT = Actor(None, "import")
_MEANINGS = {
    "lead": "lead, new, open, prospect, prospecting, prospection, inbox, backlog, neu, nieuw, nouveau, nuevo, offen, "
    "new lead, lead in, interessent, unqualified, potential, pipeline",
    "contacted": "contacted, contact made, contact, engaging, engaged, attempted to contact, connected, kontaktiert, "
    "gecontacteerd, contacte, contactado, appointment scheduled, appointmentscheduled, meeting scheduled, discovery, demo, "
    "demo scheduled, first meeting, erstgesprach",
    "qualified": "qualified, qualification, qualified to buy, qualifiedtobuy, sql, needs analysis, needs defined, value proposition, "
    "id decision makers, qualifiziert, gekwalificeerd, qualifie, calificado, presentation scheduled, presentationscheduled",
    "proposal": "proposal, proposal made, proposal sent, proposal price quote, quote, quote sent, offer, offer sent, negotiation, "
    "negotiation review, negotiations started, negotiating, contract sent, contractsent, decision maker bought in, "
    "decisionmakerboughtin, angebot, angebot versendet, offerte, offerte verstuurd, verhandlung, onderhandeling, devis, "
    "devis envoye, proposition, negociation, propuesta, negociacion, presupuesto, perception analysis, contract",
    "won": "won, closed won, closedwon, win, successful, gewonnen, gagne, gagnee, ganado, ganada, signed, true",
    "lost": "lost, closed lost, closedlost, loss, unsuccessful, verloren, perdu, perdue, perdido, perdida, disqualified, "
    "abgelehnt, dead, abandoned",
    "fridge": "fridge, on hold, onhold, postponed, paused, parked, nurture, nurturing, zuruckgestellt, uitgesteld, en pause, "
    "en espera, stalled, later",
}
_BY_WORD = {word.strip(): meaning for meaning, words in _MEANINGS.items() for word in words.split(",")}


@dataclass
class Chance:
    """A row as it was read."""

    external_id: str
    name: str
    company: str
    domains: list[str]
    contacts: list[str]
    emails: list[str]
    owner: str
    pipeline: str
    stage: str
    status: str
    amount_minor: int | None
    currency: str
    created_at: datetime | None
    expected: date | None
    closed_at: datetime | None
    won_at: datetime | None
    lost_at: datetime | None
    stage_since: datetime | None
    reason: str
    next_step: str
    said: list[str] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """What the row is known by."""
        named = "\0".join((self.name.casefold(), self.company.casefold(), *self.domains[:1]))
        return [f"id\0{self.external_id}" if self.external_id else named]

    def leave_out(self, addresses: set[str], why: str) -> None:
        """The deal comes without these people."""
        if len(self.contacts) == len(self.emails):
            pairs = zip(self.contacts, self.emails, strict=True)
            self.contacts = [name for name, address in pairs if address not in addresses]
        else:
            self.contacts = []
        self.emails = [address for address in self.emails if address not in addresses]
        self.said.append(why)


def read_chance(cells: Cells) -> Chance:
    """Pure. Raises Fault."""
    domains, said = domains_in(cells)
    emails, bad = addresses_in(cells, "contact_emails")
    company = cells.text("company")
    if "company" in cells and not company and not domains:
        said.append(f"There is no company in the column {cells.plan.columns[cells.plan.places['company'][0]]}.")
    money = cells.amount("amount", read_amount)
    _check(money)
    expected, closed = cells.date("expected_close", read_date), cells.date("close_date", read_date)
    return Chance(
        external_id=cells.text("external_id", 100),
        name=_name(cells, company, domains),
        company=company,
        domains=domains,
        contacts=_names(cells),
        emails=emails,
        owner=cells.text("owner"),
        pipeline=cells.text("pipeline"),
        stage=cells.text("stage"),
        status=cells.text("status"),
        amount_minor=money[0] if money else None,
        currency=_currency(cells, money),
        created_at=cells.date("created_at", read_date),
        expected=(expected or closed).date() if expected or closed else None,  # pyright: ignore[reportOptionalMemberAccess]
        closed_at=closed,
        won_at=cells.date("won_at", read_date),
        lost_at=cells.date("lost_at", read_date),
        stage_since=cells.date("stage_since", read_date),
        reason=cells.text("close_reason", 500),
        next_step=cells.text("next_step", 2_000),
        said=said + [f"{one!r} is not an e-mail address and is left out." for one in bad],
    )


class Stages:
    """Every pipeline's stages, and what the words of a file mean among them. ``chosen``: stage id by value, as a person
    said."""

    def __init__(self, session: Session, chosen: dict[str, int]) -> None:
        self._default = default_pipeline(session).id or 0
        self._pipelines = {row.id or 0: row.name for row in session.exec(select(Pipeline))}
        self._stages = list(session.exec(select(Stage).order_by(col(Stage.position))))
        self._by_id = {stage.id or 0: stage for stage in self._stages}
        self._chosen = chosen

    def pipeline(self, name: str) -> int | None:
        """The pipeline with a name, None when there is none of it."""
        if not name:
            return self._default
        return next((key for key, known in self._pipelines.items() if known.casefold() == name.casefold()), None)

    def find(self, pipeline_id: int, value: str) -> tuple[Stage | None, bool]:
        """(stage, whether that is certain) of a value: as a person said, else by name or meaning, else by the words that
        other programs use for it."""
        chosen = self._by_id.get(self._chosen.get(value, 0))
        if chosen is not None:
            return chosen, True
        here, words = self.of(pipeline_id), simple(value)
        named = next((stage for stage in here if simple(stage.name) == words), None)
        if named is not None:
            return named, True
        meaning = words if words in _MEANINGS else _BY_WORD.get(words, "")
        return next((stage for stage in here if stage.meaning == meaning), None), words in _MEANINGS

    def of(self, pipeline_id: int) -> list[Stage]:
        """A pipeline's stages in order."""
        return [stage for stage in self._stages if stage.pipeline_id == pipeline_id]

    def final(self, pipeline_id: int, meaning: str) -> Stage:
        """The stage for won or lost deals. Raises Fault when the pipeline has none."""
        found = next((stage for stage in self.of(pipeline_id) if stage.meaning == meaning), None)
        if found is None:
            raise Fault(f"The pipeline {self._pipelines.get(pipeline_id, '')!r} has no stage for {meaning} deals.")
        return found

    def first(self, pipeline_id: int) -> Stage:
        """Where a deal enters a pipeline."""
        return next(stage for stage in self.of(pipeline_id) if stage.meaning not in (*FINAL, "fridge"))

    @property
    def default(self) -> int:
        """The default pipeline's id."""
        return self._default


class Owners:
    """Who owns what: users by address or by name. ``chosen``: user id by value, as a person said."""

    def __init__(self, session: Session, chosen: dict[str, int]) -> None:
        users = list(session.exec(select(User).order_by(col(User.disabled_at).is_not(None), col(User.id))))
        self._by_name: dict[str, int] = {}
        for user in users:
            for word in (user.email, user.name):
                self._by_name.setdefault(_fold(word), user.id or 0)
        self._ids, self._chosen = {user.id or 0 for user in users}, chosen

    def find(self, value: str) -> int | None:
        """A user's id; None for nobody we know."""
        chosen = self._chosen.get(value)
        if chosen is not None:
            return chosen if chosen in self._ids else None
        inner = re.search(r"<([^>]+)>", value)
        return self._by_name.get(_fold(value)) or (self._by_name.get(_fold(inner[1])) if inner else None)


class Deals:
    """The deals that a part of an import may mean, read at once. ``changed``: whose people or company are new."""

    def __init__(
        self, session: Session, plan: Plan, chances: Iterable[Chance], firms: Firms, people: People, *, now: datetime
    ) -> None:
        self._session, self._plan, self._firms, self._people, self._now = session, plan, firms, people, now
        self._stages = Stages(session, dict(plan.stages))
        self._owners = Owners(session, dict(plan.owners))
        self.changed: list[int] = []
        rows = list(chances)
        self._by_id: dict[str, Deal] = {}
        self._by_name: dict[tuple[str, int | None], list[Deal]] = {}
        for part in chunks({row.external_id for row in rows if row.external_id}):
            for deal in session.exec(select(Deal).where(col(Deal.external_id).in_(part)).order_by(col(Deal.id).desc())):
                self._by_id[deal.external_id] = deal
        for part in chunks({row.name for row in rows}):
            for deal in session.exec(select(Deal).where(col(Deal.name).in_(part)).order_by(col(Deal.id))):
                self._by_name.setdefault((deal.name, deal.company_id), []).append(deal)

    def take(self, chance: Chance) -> tuple[Outcome, list[str]]:
        """Make or update the deal of a row. Raises Fault, Invalid."""
        noted: list[str] = []
        stage, final = self._where(chance, noted)
        company_id, said = self._firms.find(chance.company, chance.domains, chance.emails[0] if chance.emails else "")
        said += noted
        owner_id = self._owners.find(chance.owner) if chance.owner else None
        deal = self._known(chance, company_id)
        people = self._parts(chance, company_id, said)
        if deal is None:
            deal = self._add(chance, company_id, owner_id, stage, final, people, said)
            return "created", said
        return self._update(
            deal, chance, company_id, owner_id, final or (stage if chance.stage else None), people
        ), said

    def _where(self, chance: Chance, said: list[str]) -> tuple[Stage, Stage | None]:
        """(the stage in which a deal stands or stood while it was open, the final stage if it is decided)."""
        pipeline_id = self._stages.pipeline(chance.pipeline)
        if pipeline_id is None:
            said.append(f"There is no pipeline {chance.pipeline!r}; the usual one is taken.")
            pipeline_id = self._stages.default
        stage = self._stages.find(pipeline_id, chance.stage)[0] if chance.stage else None
        if chance.stage and stage is None:
            raise Fault(f"The stage {chance.stage!r} is none of the pipeline's. Say which of its stages it means.")
        if stage is not None and stage.meaning in FINAL:
            return self._stages.first(stage.pipeline_id), stage
        where = stage or self._stages.first(pipeline_id)
        meaning = _BY_WORD.get(simple(chance.status), "")
        if not meaning and not chance.stage and not chance.status:
            meaning = "won" if chance.won_at else "lost" if chance.lost_at else ""
        return where, self._stages.final(where.pipeline_id, meaning) if meaning in FINAL else None

    def _known(self, chance: Chance, company_id: int | None) -> Deal | None:
        if chance.external_id and chance.external_id in self._by_id:
            return self._by_id[chance.external_id]
        found = self._by_name.get((chance.name, company_id), [])
        found = [deal for deal in found if not (chance.external_id and deal.external_id)]
        if len(found) > 1:
            raise Fault(
                f"{len(found)} deals are called {chance.name!r} at this company; an external id would tell which."
            )
        return found[0] if found else None

    def _add(
        self,
        chance: Chance,
        company_id: int | None,
        owner_id: int | None,
        stage: Stage,
        final: Stage | None,
        people: list[int],
        said: list[str],
    ) -> Deal:
        created, closed = self._dates(chance, final, said)
        deal = add_deal(
            self._session,
            name=chance.name,
            now=self._now,
            stage=stage,
            company_id=company_id,
            owner_id=owner_id,
            amount_minor=chance.amount_minor,
            currency=chance.currency or self._plan.currency,
            expected_close=chance.expected if final is None else None,
            contacts=[(key, "") for key in people],
            created_at=created,
            stage_since=max(created, chance.stage_since) if chance.stage_since and final is None else created,
            actor=BY_IMPORT,
            external_id=chance.external_id,
            quiet=not self._plan.announce,
        )
        deal.next_step = chance.next_step
        if final is not None:
            self._move(deal, final, closed, chance.reason)
        self._remember(deal)
        self.changed.append(deal.id or 0)
        return deal

    def _dates(self, chance: Chance, final: Stage | None, said: list[str]) -> tuple[datetime, datetime]:
        """(created, closed); a decision without a day is taken for made on the last day known."""
        closed = _closing_day(chance, final)
        created = chance.created_at or closed or chance.stage_since or self._now
        if final is None:
            return created, created
        if closed is None:
            closed = max(created, chance.stage_since or created)
            said.append(f"It is {final.meaning} without a closing date; {closed.date()} is taken for it.")
        if closed < created:
            said.append("It was closed before it was created; the closing date is taken for both.")
            created = closed
        return created, closed

    def _update(
        self,
        deal: Deal,
        chance: Chance,
        company_id: int | None,
        owner_id: int | None,
        stage: Stage | None,
        people: list[int],
    ) -> Outcome:
        wanted = {
            "name": chance.name,
            "external_id": chance.external_id,
            "company_id": company_id,
            "owner_id": owner_id,
            "amount_minor": chance.amount_minor,
            "currency": chance.currency,
            "next_step": chance.next_step,
            "expected_close": None if deal.closed_at or (stage and stage.meaning in FINAL) else chance.expected,
        }
        changes = {name: value for name, value in wanted.items() if value not in (None, "", getattr(deal, name))}
        for name, value in changes.items():
            setattr(deal, name, value)
        self._session.add(deal)
        moved = stage is not None and stage.id != deal.stage_id and stage.pipeline_id == deal.pipeline_id
        if moved and stage is not None:
            at = _closing_day(chance, stage) if stage.meaning in FINAL else chance.stage_since
            self._move(deal, stage, max(at or self._now, deal.stage_since), chance.reason)
        joined = self._join(deal, people)
        if joined or "company_id" in changes:
            self.changed.append(deal.id or 0)
        return "updated" if changes or moved or joined else "same"

    def _move(self, deal: Deal, stage: Stage, at: datetime, reason: str) -> None:
        move_deal(self._session, deal, stage, actor=BY_IMPORT, now=at, reason=reason, quiet=not self._plan.announce)
        deal.suggest_at = None if stage.meaning in FINAL else self._now
        self._session.add(deal)

    def _parts(self, chance: Chance, company_id: int | None, said: list[str]) -> list[int]:
        """The ids of the people in a deal: by address, made when new; by name only where one of the company's has it."""
        paired = len(chance.contacts) == len(chance.emails)
        names = chance.contacts if paired else [""] * len(chance.emails)
        found = [
            self._people.of_address(address, name, company_id)
            for address, name in zip(chance.emails, names, strict=True)
        ]
        for name in [] if paired else chance.contacts:
            named = self._people.named(name, company_id)
            if len(named) == 1:
                found += named
            elif not chance.emails:
                why = "several contacts" if named else "no contact"
                said.append(f"{why.capitalize()} of this company is called {name!r}; the deal goes without.")
        return list(dict.fromkeys(found))

    def _join(self, deal: Deal, people: list[int]) -> bool:
        """Let people take part who do not yet; nobody is taken off."""
        if not people:
            return False
        have = set(self._session.exec(select(DealContact.contact_id).where(DealContact.deal_id == deal.id)).all())
        fresh = [key for key in people if key not in have]
        self._session.add_all([DealContact(deal_id=deal.id or 0, contact_id=key) for key in fresh])
        self._session.flush()
        return bool(fresh)

    def _remember(self, deal: Deal) -> None:
        if deal.external_id:
            self._by_id[deal.external_id] = deal
        self._by_name.setdefault((deal.name, deal.company_id), []).append(deal)


def _closing_day(chance: Chance, final: Stage | None) -> datetime | None:
    own = {"won": chance.won_at, "lost": chance.lost_at}.get(final.meaning if final else "")
    return own or chance.closed_at


def _name(cells: Cells, company: str, domains: list[str]) -> str:
    """A deal's name; without one, what is sold; else to whom."""
    name = (
        cells.text("name") or cells.text("product") or company or "".join(domains[:1]) or cells.text("external_id", 100)
    )
    if not name:
        raise Fault("There is nothing in this row that could name the deal.")
    return name


def _names(cells: Cells) -> list[str]:
    whole = ";".join(text_of(cell) for _, cell in cells.filled("contact_names"))
    return [name for name in (" ".join(part.split()) for part in re.split(r"[;|\n]", whole)) if name][:50]


def _currency(cells: Cells, money: tuple[int, str] | None) -> str:
    said = cells.text("currency", 40)
    found = re.search(r"\b([A-Za-z]{3})\b", said) if said else None
    signs = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY"}
    if said and not found and said not in signs:
        raise Fault(f"{said!r} is not a currency; three letters are, such as EUR.")
    return found[1].upper() if found else signs.get(said, "") or (money[1] if money else "")


def _check(money: tuple[int, str] | None) -> None:
    if money is not None:
        check_amount(money[0])


def _fold(word: str) -> str:
    return " ".join(word.casefold().split())
