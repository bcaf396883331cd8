"""What every test of the worker leaves behind tidily."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worker import scene


@pytest.fixture(autouse=True)
def _closed_connections() -> Iterator[None]:
    """The connections of a test's workers end with it."""
    yield
    while scene.AT_WORK:
        scene.AT_WORK.pop().close()
