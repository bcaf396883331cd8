"""Rows of deals: one with a known external id, else with a known name at the same company, is brought up to date; every other
is new. A closed deal keeps its dates: it enters the pipeline when it was created and is decided on its closing day."""

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, select

from models.db import chunks
from models.deal import Actor, Deal, DealContact, add_deal, move_deal
from models.imports.chance import Chance
from models.imports.firms import Firms
from models.imports.meanings import Owners, Stages, meaning_of
from models.imports.people import People
from models.imports.rows import Fault, Outcome, Plan
from models.pipeline import FINAL, Stage

BY_IMPORT = Actor(None, "import")


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
        meaning = meaning_of(chance.status)
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
