"""Every fault of the provider contract, section 8, in every leg (bench/fault_cases.py): after each, the invariants of 8.1 hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.fault_cases import CANNOT, EXPECT, HOW, LEGS, Case, every_case
from bench.faults import lines, told_of, written
from bench.rehearsal import Company
from sandbox.presets import PRESETS

CASES = list(every_case())


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    playing = Company()
    yield playing
    playing.close()


@pytest.mark.parametrize("case", [c for c in CASES if not c.cannot], ids=lambda case: f"{case.name}-{case.leg}")
def test_after_a_fault_the_invariants_hold(company: Company, case: Case) -> None:
    outcome = company.play(case)
    assert outcome.broken == []


def test_every_fault_of_googles_in_the_contract_is_played() -> None:
    assert {f"F{number:02d}" for number in range(1, 43)} | {"F60"} <= {case.fault for case in CASES}


def test_every_preset_is_played_in_every_leg_or_says_why_not() -> None:
    assert {(case.fault, case.leg) for case in CASES} == {(fault, leg) for fault in PRESETS for leg in LEGS}
    assert all(len(why) > 20 for legs in CANNOT.values() for why in legs.values())


def test_the_tables_name_no_fault_that_does_not_exist() -> None:
    named = {name.partition("-") for name in EXPECT} | {(name, "", "") for name in (*CANNOT, *HOW)}
    for fault, _, variant in named:
        assert fault in PRESETS
        assert variant in ("", *PRESETS[fault].variants)


def test_the_page_about_faults_tells_of_each_case_and_of_no_other() -> None:
    """Mended by: python -m bench.faults"""
    rows = written("google")
    assert told_of(rows) == [(case.name, case.leg) for case in CASES]
    assert "**broken" not in rows
    for line in lines([case for case in CASES if case.cannot]):
        assert line in rows
