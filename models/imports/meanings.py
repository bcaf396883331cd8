"""What the words of a file mean here: its stages among ours, in the words that other programs use, and its owners among our users."""

import re

from sqlmodel import Session, col, select

from models.imports.columns import simple
from models.imports.rows import Fault
from models.pipeline import FINAL, Pipeline, Stage, default_pipeline
from models.user import User

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


def meaning_of(word: str) -> str:
    """The meaning of a stage's or status's name in another program; empty for an unknown one."""
    words = simple(word)
    return words if words in _MEANINGS else _BY_WORD.get(words, "")


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
        meaning = meaning_of(value)
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


def _fold(word: str) -> str:
    return " ".join(word.casefold().split())
