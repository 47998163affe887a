"""Fixtures for interrupted trainings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nnzoo.training.progress import Progress


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Returns a function that schedules an action after a number of optimizer steps of later runs."""
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
