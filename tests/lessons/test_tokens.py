"""Functions over tokens, steps and classical models, and variants that start from others."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnzoo.errors import UsageError
from nnzoo.lessons.functions.classical import linear_svm, logistic_regression, support_vectors
from nnzoo.lessons.results import LessonResult, run_lesson
from nnzoo.lessons.schema import Lesson, find_lesson


@pytest.fixture(scope="module")
def language() -> LessonResult:
    """A lesson with a language model."""
    return run_lesson(find_lesson("sequence-likelihood"))


def shortened(name: str, variants: list[str], **changes: object) -> Lesson:
    """Returns a lesson with some of its variants, without measures of the others."""
    lesson = find_lesson(name)
    vary = {each: dict(lesson.vary[each]) for each in variants}
    runs = {**(lesson.runs or {}), **changes}
    return lesson.model_copy(update={"vary": vary, "runs": runs, "let": {}, "measure": {}, "check": ()})


def test_tokens_are_the_inputs_of_the_words_that_they_predict(language: LessonResult) -> None:
    names = language.evaluate('classes("network")')
    inputs = language.evaluate('tokens("network", "the cat sat")')
    targets = language.evaluate('token_targets("network", "the cat sat")')
    assert [names[each] for each in targets] == ["the", "cat", "sat", "<end>"]
    assert inputs[0] == 0
    assert [names[each - 1] for each in inputs[1:]] == ["the", "cat", "sat"]
    with pytest.raises(UsageError, match="'netwrk' is not a variant"):
        language.evaluate('tokens("netwrk", "the cat")')


def test_the_gradient_of_a_step_is_that_of_a_finite_difference() -> None:
    lesson = shortened("rnn", ["many to one"])
    result = run_lesson(lesson)
    change = 1e-3
    before = result.evaluate('outputs("many to one", [[[1.0], [0.0], [0.0], [0.5]]], at="start")')[0][0]
    after = result.evaluate(f'outputs("many to one", [[[1.0], [{change}], [0.0], [0.5]]], at="start")')[0][0]
    norms = result.evaluate('step_gradients("many to one", [[[1.0], [0.0], [0.0], [0.5]]], at="start")')
    assert norms.shape == (4,)
    assert abs(after - before) / change == pytest.approx(norms[1], rel=0.02, abs=1e-4)


def test_a_variant_starts_from_the_weights_of_an_earlier_one() -> None:
    short = {"epochs": 1, "batch_size": "full", "early_stopping": None, "probes": False}
    lesson = shortened("fine-tuning", ["source", "20 frozen"], train=short)
    lesson.vary["source"]["train.epochs"] = 3
    result = run_lesson(lesson)
    moved = result.evaluate('weights("20 frozen", "hidden.*", at="last") - weights("source", "hidden.*")')
    assert not moved.any()
    with pytest.raises(UsageError, match="'source' is not an earlier variant"):
        run_lesson(shortened("fine-tuning", ["20 frozen"], train=short))


def test_classical_models_have_the_penalty_of_nnzoo() -> None:
    rows, classes, l2 = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1], 0.05
    assert linear_svm(rows, classes, l2) == pytest.approx([1.0, 0.0], abs=1e-4)
    assert support_vectors(rows, classes, l2).tolist() == [1, 2]
    weight, bias = logistic_regression(rows, classes, l2)
    pulls = [x / (1 + math.exp(x * weight)) for x in (1.0, 2.0)]
    assert bias == pytest.approx(0, abs=1e-6)
    assert 2 * l2 * weight == pytest.approx(np.mean(pulls), rel=1e-4)
