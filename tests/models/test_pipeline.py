"""Pipelines and what their stages mean."""

from __future__ import annotations

import pytest

from models.db import Database
from models.errors import Invalid, NotFound
from models.pipeline import add_pipeline, default_pipeline, stage_by_name, stage_of_meaning, stages_of


def test_the_default_pipeline_is_there_once(any_db: Database) -> None:
    with any_db.write() as session:
        first, again = default_pipeline(session), default_pipeline(session)
        assert first is again and first.is_default
        meanings = [stage.meaning for stage in stages_of(session, first.id or 0)]
        assert meanings == ["lead", "contacted", "qualified", "proposal", "won", "lost", "fridge"]


def test_a_second_pipeline_is_not_the_default_one(any_db: Database) -> None:
    with any_db.write() as session:
        made = add_pipeline(session, " Partners ", [("Intro", "lead", 7), ("Signed", "won", 0)])
        assert (made.name, made.is_default) == ("Partners", False)
        assert default_pipeline(session).id != made.id


def test_a_stage_is_found_by_its_name_before_its_meaning(any_db: Database) -> None:
    with any_db.write() as session:
        made = add_pipeline(session, "Odd", [("Won", "lead", 7), ("Signed", "won", 0)])
        assert stage_by_name(session, made.id or 0, " won ").meaning == "lead"
        assert stage_by_name(session, made.id or 0, "SIGNED").meaning == "won"
        assert stage_by_name(session, made.id or 0, "lead").name == "Won"
        found = stage_of_meaning(session, made.id or 0, "won")
        assert found is not None and found.name == "Signed"
        assert stage_of_meaning(session, made.id or 0, "fridge") is None
        with pytest.raises(NotFound, match="Signed"):
            stage_by_name(session, made.id or 0, "Proposal")


@pytest.mark.parametrize(
    ("name", "stages"),
    [("", [("A", "lead", 1)]), ("X", []), ("X", [("A", "nothing", 1)]), ("X", [("A", "lead", -1)])],
)
def test_a_pipeline_that_makes_no_sense_is_refused(db: Database, name: str, stages: list[tuple[str, str, int]]) -> None:
    with db.write() as session, pytest.raises(Invalid):
        add_pipeline(session, name, stages)
