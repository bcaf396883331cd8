"""What every test of the worker leaves behind tidily."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import house as building
import sandbox
from tests.sandbox.receiver import Receiver
from tests.worker import scene
from tests.worker.ringing import Rung

Make = Callable[..., building.House]


@pytest.fixture(autouse=True)
def _closed_connections() -> Iterator[None]:
    """The connections of a test's workers end with it."""
    yield
    while scene.AT_WORK:
        scene.AT_WORK.pop().close()


@pytest.fixture
def rung(make_house: Make, world: sandbox.World, tmp_path: Path) -> Iterator[Rung]:
    """Rae's mailbox, which rings through a subscription that a worker of ours reads."""
    made = Rung(make_house, world, tmp_path)
    yield made
    assert made.reader is not None
    made.reader.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Where a calendar may ring."""
    with Receiver() as running:
        yield running


@pytest.fixture
def belled(make_house: Make, world: sandbox.World, tmp_path: Path, receiver: Receiver) -> Rung:
    """Rae's calendar, which rings at a receiver; no topic, so mailboxes are polled."""
    none = {"google_pubsub_topic": "", "google_pubsub_subscription": "", "google_pubsub_credentials_file": None}
    base = receiver.url.removesuffix("/push")
    return Rung(make_house, world, tmp_path, base_url=base, google_calendar_push="on", **none)
