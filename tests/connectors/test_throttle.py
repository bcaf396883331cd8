"""The meter of provider units, on a clock of its own."""

from __future__ import annotations

import threading

import pytest

from connectors.errors import TryLater
from connectors.throttle import Pace, Throttle


class Time:
    """A clock that only moves when somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.now, self.slept = 1_000.0, 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def meter(units: int, time: Time, **options: object) -> Throttle:
    return Throttle(units, clock=time, sleep=time.sleep, **options)  # type: ignore[arg-type]


def test_a_minutes_units_are_spent_at_once() -> None:
    time = Time()
    budget = meter(100, time)
    for _ in range(5):
        budget.spend(20)
    assert (time.slept, budget.spent_total) == (0.0, 100)


def test_the_next_units_wait_for_the_window() -> None:
    time = Time()
    budget = meter(100, time, patience=120)
    budget.spend(60)
    time.now += 40
    budget.spend(40)
    budget.spend(60)
    assert time.slept == pytest.approx(20)


def test_a_wait_beyond_patience_is_told_instead() -> None:
    time = Time()
    budget = meter(100, time, patience=10)
    budget.spend(100)
    with pytest.raises(TryLater) as caught:
        budget.spend(1)
    assert caught.value.after == pytest.approx(60)
    assert caught.value.throttled
    assert (time.slept, budget.spent_total) == (0.0, 100)


def test_a_reserve_is_for_what_is_urgent() -> None:
    time = Time()
    budget = meter(100, time, reserve=40, patience=1)
    budget.spend(60)
    with pytest.raises(TryLater):
        budget.spend(20)
    budget.spend(40, urgent=True)


def test_a_call_dearer_than_the_window_goes_alone() -> None:
    time = Time()
    budget = meter(100, time, patience=120)
    budget.spend(400)
    budget.spend(400)
    assert time.slept == pytest.approx(60)


def test_nothing_is_spent_while_the_provider_wants_a_rest() -> None:
    time = Time()
    budget = meter(100, time, patience=120)
    budget.penalise(30)
    budget.penalise(10)
    budget.spend(1, urgent=True)
    assert time.slept == pytest.approx(30)


def test_the_projects_meter_holds_every_mailbox() -> None:
    time = Time()
    project = meter(100, time, patience=5)
    one, other = meter(80, time, parent=project), meter(80, time, parent=project)
    one.spend(80)
    with pytest.raises(TryLater):
        other.spend(40)
    assert other.spent_total == 0
    other.spend(20)
    assert project.spent_total == 100


def test_what_a_mailbox_may_not_spend_costs_the_project_nothing() -> None:
    time = Time()
    project = meter(1_000, time)
    mailbox = meter(50, time, parent=project, patience=5)
    mailbox.spend(50)
    with pytest.raises(TryLater):
        mailbox.spend(50)
    assert project.spent_total == 50


def test_eight_threads_never_pass_the_limit() -> None:
    time = Time()
    budget = meter(200, time, patience=0)
    allowed: list[int] = []

    def work() -> None:
        for _ in range(50):
            try:
                budget.spend(1)
            except TryLater:
                return
            allowed.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(allowed) == 200


def test_a_pace_halves_at_a_complaint_and_grows_by_one() -> None:
    pace = Pace(20)
    sizes = []
    for complains in (True, True, True, False, False):
        pace.complaint() if complains else pace.clean()
        sizes.append(pace.size)
    assert sizes == [10, 5, 5, 6, 7]


def test_a_pace_never_passes_its_most() -> None:
    pace = Pace(3)
    pace.clean()
    pace.complaint()
    assert pace.size == 3
