"""Every fault of Microsoft's in the provider contract, section 8, in every leg (bench/outlook_cases.py): after each, the invariants
of 8.1 hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlmodel import col, delete, select

from bench import outlook_plot
from bench.fault_cases import LEGS, Case
from bench.faults import lines, told_of, written
from bench.outlook_cases import CANNOT, EXPECT, FAULTS, HOW, SCRIPT, WIRE, every_case
from bench.outlook_stage import OutlookStage
from bench.rehearsal import Company
from bench.truth import ahead_of_ledger, differences
from models.account import Source
from models.ledger import LedgerEntry
from sandbox.microsoft.presets import MICROSOFT
from sandbox.microsoft.refusals import AADSTS

CASES = list(every_case())


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    playing = Company(SCRIPT)
    yield playing
    playing.close()


@pytest.mark.parametrize("case", [c for c in CASES if not c.cannot], ids=lambda case: f"{case.name}-{case.leg}")
def test_after_a_fault_the_invariants_hold(company: Company, case: Case) -> None:
    outcome = company.play(case)
    assert outcome.broken == []


@pytest.mark.parametrize("kind", ["mail", "calendar"])
def test_what_a_ledger_has_lost_does_not_stay_unseen(company: Company, kind: str) -> None:
    """The judges judge: a ledger with a hole is behind its cursor."""
    with company.theatre.stage(begin=SCRIPT.before, at="read") as made:
        assert isinstance(made, OutlookStage)
        assert ahead_of_ledger(made) == differences(made) == []
        with made.house.db.write() as session:
            source = session.exec(select(Source).where(Source.kind == kind)).one()
            single = made.letters[0] if kind == "mail" else outlook_plot.named(made, "Demo")
            session.execute(
                delete(LedgerEntry).where(col(LedgerEntry.source_id) == source.id, col(LedgerEntry.item_id) == single)
            )
        assert ahead_of_ledger(made) == [f"the cursor passed {single} of {kind}"]
        if kind == "calendar":
            made.outlook.calendar.remove(single)
        assert len(differences(made)) == 1


def test_every_fault_of_microsofts_in_the_contract_is_played() -> None:
    assert {f"F{number:02d}" for number in (*range(28, 31), *range(43, 60))} <= {case.fault for case in CASES}


def test_every_preset_is_played_in_every_leg_or_says_why_not() -> None:
    assert {*MICROSOFT, *WIRE} == {*FAULTS}
    expected = {
        (fault, variant, leg) for fault, one in FAULTS.items() for variant in ("", *one.variants) for leg in LEGS
    }
    assert {(case.fault, case.variant, case.leg) for case in CASES} == expected
    assert all(len(why) > 20 for legs in CANNOT.values() for why in legs.values())


def test_every_number_of_entras_has_a_meaning() -> None:
    assert {f"STS-{number}" for number in AADSTS} <= {*EXPECT}


def test_the_tables_name_no_fault_that_does_not_exist() -> None:
    for fault, _, variant in {name.partition("-") for name in (*EXPECT, *CANNOT, *HOW)}:
        assert fault in FAULTS
        assert variant in ("", *FAULTS[fault].variants)


def test_the_page_about_faults_tells_of_each_case_and_of_no_other() -> None:
    """Mended by: python -m bench.faults"""
    rows = written("microsoft")
    assert told_of(rows) == [(case.name, case.leg) for case in CASES]
    assert "**broken" not in rows
    for line in lines([case for case in CASES if case.cannot]):
        assert line in rows
