"""Changing a pipeline without losing a deal: a stage leaves only when no deal stands in it."""

from dataclasses import dataclass

from sqlmodel import Session, col, func, or_, select

from models.deal import Deal
from models.errors import Conflict, Invalid, NotFound
from models.pipeline import FINAL, MEANINGS, Pipeline, Stage, stages_of
from models.suggestion import Suggestion


@dataclass(frozen=True)
class StagePlan:
    """A stage as it is to be. ``id`` None: a new one."""

    name: str
    meaning: str
    patience_days: int = 14
    id: int | None = None


def change_stages(session: Session, pipeline: Pipeline, plans: list[StagePlan]) -> None:
    """Make ``plans`` the pipeline's stages, in this order. Raises Invalid, NotFound (another pipeline's stage), Conflict
    (a deal stands where a stage would leave or would open or close it)."""
    check_stages(plans)
    have = {stage.id: stage for stage in stages_of(session, pipeline.id or 0)}
    for plan in plans:
        if plan.id is not None and plan.id not in have:
            raise NotFound(f"This pipeline has no stage {plan.id}.")
    kept = {plan.id for plan in plans}
    for stage in [stage for key, stage in have.items() if key not in kept]:
        _require_empty(session, stage, f"The stage {stage.name!r} cannot be removed")
        _withdraw_suggestions(session, stage)
        session.delete(stage)
    for position, plan in enumerate(plans):
        _place(session, pipeline, have.get(plan.id), plan, position)
    session.flush()


def remove_pipeline(session: Session, pipeline: Pipeline) -> None:
    """Delete a pipeline that has no deals. Raises Conflict."""
    if pipeline.is_default:
        raise Conflict("New deals go to this pipeline. Make another one the default first.")
    deals = _count(session, Deal.pipeline_id == pipeline.id)
    if deals:
        raise Conflict(f"{deals} deals are in this pipeline. Delete them or keep the pipeline.")
    for stage in stages_of(session, pipeline.id or 0):
        session.delete(stage)
    session.flush()
    session.delete(pipeline)
    session.flush()


def make_default(session: Session, pipeline: Pipeline) -> None:
    """From now on new deals go to this pipeline."""
    for other in session.exec(select(Pipeline).where(col(Pipeline.is_default), Pipeline.id != pipeline.id)):
        other.is_default = False
        session.add(other)
    pipeline.is_default = True
    session.add(pipeline)


def check_stages(plans: list[StagePlan]) -> None:
    """Raises Invalid for stages that cannot be told apart, mean nothing or leave no way in."""
    names = [plan.name.strip().lower() for plan in plans]
    if not any(plan.meaning not in (*FINAL, "fridge") for plan in plans):
        raise Invalid("A pipeline needs at least one stage for deals that are open.", "stages")
    if "" in names:
        raise Invalid("A stage needs a name.", "stages")
    if len(set(names)) < len(names):
        raise Invalid("Two stages of a pipeline cannot have the same name.", "stages")
    known = [plan.id for plan in plans if plan.id is not None]
    if len(set(known)) < len(known):
        raise Invalid("The same stage stands twice in the list.", "stages")
    for plan in plans:
        if plan.meaning not in MEANINGS:
            raise Invalid(f"The meaning of {plan.name!r} must be one of {', '.join(MEANINGS)}.", "stages")


def _place(session: Session, pipeline: Pipeline, stage: Stage | None, plan: StagePlan, position: int) -> None:
    if stage is not None and stage.meaning != plan.meaning and (stage.meaning in FINAL or plan.meaning in FINAL):
        _require_empty(session, stage, f"The stage {stage.name!r} cannot mean {plan.meaning} from now on")
    stage = stage or Stage(pipeline_id=pipeline.id or 0, name="", meaning="", position=position)
    stage.name, stage.meaning = plan.name.strip(), plan.meaning
    stage.position, stage.patience_days = position, plan.patience_days
    session.add(stage)


def _require_empty(session: Session, stage: Stage, sentence: str) -> None:
    deals = _count(session, or_(Deal.stage_id == stage.id, Deal.shelved_from_id == stage.id))
    if deals:
        raise Conflict(
            f"{sentence}: {deals} deals stand in it or were shelved from it. Move them to another stage first."
        )


def _withdraw_suggestions(session: Session, stage: Stage) -> None:
    for row in session.exec(select(Suggestion).where(Suggestion.to_stage_id == stage.id, Suggestion.state == "open")):
        row.state = "stale"
        session.add(row)


def _count(session: Session, condition: object) -> int:
    return session.exec(select(func.count()).select_from(Deal).where(condition)).one()  # pyright: ignore
