"""Pipelines and their stages. A stage's *meaning* lets rules work on any names; its *patience* says when a deal is slow."""

from sqlmodel import Field, Session, SQLModel, col, select

from models.errors import Invalid, NotFound

MEANINGS = ("lead", "contacted", "qualified", "proposal", "won", "lost", "fridge")
FINAL = ("won", "lost")
DEFAULT_STAGES = (
    ("Lead", "lead", 14),
    ("Contacted", "contacted", 14),
    ("Qualified", "qualified", 21),
    ("Proposal", "proposal", 21),
    ("Won", "won", 0),
    ("Lost", "lost", 0),
    ("Fridge", "fridge", 0),
)


class Pipeline(SQLModel, table=True):
    """An ordered way from a lead to a decision."""

    id: int | None = Field(default=None, primary_key=True)
    name: str
    is_default: bool = False


class Stage(SQLModel, table=True):
    """A step of a pipeline. ``patience_days`` 0: no limit."""

    id: int | None = Field(default=None, primary_key=True)
    pipeline_id: int = Field(foreign_key="pipeline.id", index=True, ondelete="CASCADE")
    name: str
    meaning: str
    position: int
    patience_days: int = 14


def add_pipeline(session: Session, name: str, stages: list[tuple[str, str, int]]) -> Pipeline:
    """A pipeline with its stages as (name, meaning, patience in days). Raises Invalid."""
    if not name.strip():
        raise Invalid("A pipeline needs a name.", "name")
    if not stages:
        raise Invalid("A pipeline needs at least one stage.", "stages")
    for stage_name, meaning, patience in stages:
        if meaning not in MEANINGS:
            raise Invalid(f"The meaning of {stage_name!r} must be one of {', '.join(MEANINGS)}.", "stages")
        if patience < 0:
            raise Invalid(f"The patience of {stage_name!r} is in days and not negative.", "stages")
    first = session.exec(select(Pipeline.id)).first() is None
    pipeline = Pipeline(name=name.strip(), is_default=first)
    session.add(pipeline)
    session.flush()
    for position, (stage_name, meaning, patience) in enumerate(stages):
        session.add(
            Stage(
                pipeline_id=pipeline.id or 0,
                name=stage_name,
                meaning=meaning,
                position=position,
                patience_days=patience,
            )
        )
    session.flush()
    return pipeline


def default_pipeline(session: Session) -> Pipeline:
    """The pipeline that new deals go to; made with the default stages when there is none."""
    found = session.exec(select(Pipeline).where(col(Pipeline.is_default))).first()
    return found or add_pipeline(session, "Sales", list(DEFAULT_STAGES))


def stages_of(session: Session, pipeline_id: int) -> list[Stage]:
    """A pipeline's stages in order."""
    return list(session.exec(select(Stage).where(Stage.pipeline_id == pipeline_id).order_by(col(Stage.position))).all())


def stage_by_name(session: Session, pipeline_id: int, name: str) -> Stage:
    """A stage by its name or, failing that, by its meaning; case does not matter. Raises NotFound."""
    stages = stages_of(session, pipeline_id)
    wanted = name.strip().lower()
    for stage in stages:
        if stage.name.lower() == wanted:
            return stage
    for stage in stages:
        if stage.meaning == wanted:
            return stage
    raise NotFound(f"The pipeline has no stage {name!r}; it has {', '.join(stage.name for stage in stages)}.")


def stage_of_meaning(session: Session, pipeline_id: int, meaning: str) -> Stage | None:
    """The first stage with a meaning."""
    return next((stage for stage in stages_of(session, pipeline_id) if stage.meaning == meaning), None)
