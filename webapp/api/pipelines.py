"""Pipelines and their stages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import MaxLen
from fastapi import Query
from pydantic import Field
from sqlmodel import col, select

from models.errors import Invalid
from models.existing import existing
from models.pipeline import Pipeline, add_pipeline
from models.stages import StagePlan, change_stages, check_stages, make_default, remove_pipeline
from webapp import present
from webapp.api.cursors import page
from webapp.api.idempotency import api_router
from webapp.api.inputs import Asked, Body, Id, Line, given, left
from webapp.deps import Given
from webapp.security import policy

router = api_router("pipelines")
Meaning = Literal["lead", "contacted", "qualified", "proposal", "won", "lost", "fridge"]


class NewStage(Body):
    """A step. ``patience_days``: how long a deal may stand here before it is slow; 0: no limit."""

    name: Line
    meaning: Meaning
    patience_days: Annotated[int, Field(ge=0, le=3_650)] = 14


class StageChanged(NewStage):
    """A step as it is to be. ``id``: the stage that it is now; none for a new one."""

    id: Id | None = None


class NewPipeline(Body):
    """A pipeline to add, with its stages in order."""

    name: Line
    stages: Annotated[list[NewStage], MaxLen(50)]


class ChangedPipeline(Body):
    """What is to change. ``stages`` are all stages in order: one that is left out is removed."""

    name: Line = left()
    is_default: Literal[True] = left()
    stages: Annotated[list[StageChanged], MaxLen(50)] = left()


@router.get("")
@policy("rep")
def list_pipelines(deps: Given, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """Pipelines with their stages."""
    with deps.db.read() as session:
        rows, after = page(session, select(Pipeline), asked, col(Pipeline.id))
        return {"items": present.pipelines(session, rows), "next": after}


@router.post("", status_code=201)
@policy("manager")
def create_pipeline(deps: Given, body: NewPipeline) -> dict[str, Any]:
    """Add a pipeline."""
    check_stages([StagePlan(one.name, one.meaning, one.patience_days) for one in body.stages])
    with deps.db.write() as session:
        stages = [(one.name, str(one.meaning), one.patience_days) for one in body.stages]
        return present.pipelines(session, [add_pipeline(session, body.name, stages)])[0]


@router.get("/{pipeline_id}")
@policy("rep")
def read_pipeline(deps: Given, pipeline_id: Id) -> dict[str, Any]:
    """One pipeline with its stages."""
    with deps.db.read() as session:
        return present.pipelines(session, [existing(session, Pipeline, pipeline_id, "pipeline")])[0]


@router.patch("/{pipeline_id}")
@policy("manager")
def change_pipeline(deps: Given, pipeline_id: Id, body: ChangedPipeline) -> dict[str, Any]:
    """Rename a pipeline, make it the default, or change its stages; no deal loses its stage."""
    changes = given(body)
    with deps.db.write() as session:
        pipeline = existing(session, Pipeline, pipeline_id, "pipeline")
        if "name" in changes:
            if not body.name:
                raise Invalid("A pipeline needs a name.", "name")
            pipeline.name = body.name
            session.add(pipeline)
        if "is_default" in changes:
            make_default(session, pipeline)
        if "stages" in changes:
            plans = [StagePlan(one.name, one.meaning, one.patience_days, one.id) for one in body.stages]
            change_stages(session, pipeline, plans)
        return present.pipelines(session, [pipeline])[0]


@router.delete("/{pipeline_id}", status_code=204)
@policy("manager")
def delete_pipeline(deps: Given, pipeline_id: Id) -> None:
    """Delete a pipeline that has no deals."""
    with deps.db.write() as session:
        remove_pipeline(session, existing(session, Pipeline, pipeline_id, "pipeline"))
