"""Fixtures of all tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _no_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips report.html at the end of training, except in tests of the page: thousands of tests train a network."""
    if "nnzoo.api" in sys.modules and request.node.get_closest_marker("page") is None:
        monkeypatch.setattr("nnzoo.api.write_report", lambda _: None)


@pytest.fixture(autouse=True)
def _no_verdicts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips the diagnosis at the end of training, except in tests of it: most trainings of tests are too short."""
    if "nnzoo.api" in sys.modules and request.node.get_closest_marker("verdicts") is None:
        monkeypatch.setattr("nnzoo.api.verdicts", lambda _: [])


@pytest.fixture(autouse=True)
def _no_boosting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips gradient boosting, except in tests of it: importing it takes longer than most trainings."""
    if "nnzoo.experiment.reference.baselines" in sys.modules and request.node.get_closest_marker("boosting") is None:
        monkeypatch.setattr("nnzoo.experiment.reference.baselines.fit_boosting", lambda *_: None)


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Returns a function that schedules an action after a number of optimizer steps of later runs."""
    from nnzoo.training.progress import Progress

    plain = Progress.step

    def arrange(number: int, action: Callable[[], Any]) -> None:
        count = 0

        def step(self: Progress) -> None:
            nonlocal count
            plain(self)
            count += 1
            if count == number:
                action()

        monkeypatch.setattr(Progress, "step", step)

    return arrange
