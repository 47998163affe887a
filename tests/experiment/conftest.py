"""What tests of interrupted trainings share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nnzoo.training.progress import Progress


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has something done after a number of steps of all runs to come."""
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
