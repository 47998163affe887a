"""The `--set` commands that exercises name fit the configs of every variant."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nnzoo.lessons import training
from nnzoo.lessons.schema import LANGUAGES, Lesson, catalog
from nnzoo.lessons.training import train_lesson

COMMAND = re.compile(r"--set ([\w.]+=(?:\[[^\]]*\]|[\w.\-]*\w))")
SET = {
    lesson.name: sorted({found for language in LANGUAGES for found in COMMAND.findall(lesson.texts(language).exercise)})
    for lesson in catalog().values()
}


@pytest.mark.parametrize("lesson", [each for each in catalog().values() if SET[each.name]], ids=lambda each: each.name)
def test_exercises_can_be_done(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[Any] = []
    monkeypatch.setattr(training, "_train", lambda name, config, given: changed.append(config))
    for command in SET[lesson.name]:
        train_lesson(lesson, overrides=[command])
    assert len(changed) == len(SET[lesson.name]) * len(lesson.variants)
