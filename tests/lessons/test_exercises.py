"""The `--set` commands that exercises name fit the configs of every variant."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
from torch import nn

from nnzoo.lessons import training
from nnzoo.lessons.schema import LANGUAGES, Lesson, catalog
from nnzoo.lessons.training import Replica, Variant, train_lesson
from nnzoo.run.history import History

COMMAND = re.compile(r"--set ([\w.]+=(?:\[[^\]]*\]|[\w.\-]*\w))")
SET = {
    lesson.name: sorted({found for language in LANGUAGES for found in COMMAND.findall(lesson.texts(language).exercise)})
    for lesson in catalog().values()
}


@pytest.mark.parametrize("lesson", [each for each in catalog().values() if SET[each.name]], ids=lambda each: each.name)
def test_exercises_can_be_done(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[Any] = []

    def without_training(name: str, config: Any, *_: Any) -> Variant:
        changed.append(config)
        start = Replica(history=History(), status="completed", weights={}, last={})
        return Variant(name, config, cast("Any", None), nn.Identity(), [start], 0, {})

    monkeypatch.setattr(training, "_train", without_training)
    for command in SET[lesson.name]:
        train_lesson(lesson, overrides=[command])
    assert len(changed) == len(SET[lesson.name]) * len(lesson.variants)
