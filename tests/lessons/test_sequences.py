"""The functions over sequences and trees, on tiny networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnzoo.lessons.functions.sequences import Sequences
from nnzoo.lessons.functions.trained import Trained
from nnzoo.lessons.schema import Lesson
from nnzoo.lessons.training import Variant, train_lesson

TEXTS = dict.fromkeys(("title", "claim", "text", "reading", "exercise", "answer", "today"), "x")


def trained(**keys: Any) -> dict[str, Variant]:
    """Returns the variants of a lesson without figures."""
    measure = {"one": {"value": "1", "expect": 1, "en": "x", "zh": "x"}}
    plain = {"number": 1, "name": "tiny", "seconds": 1, "measure": measure, "en": TEXTS, "zh": TEXTS, **keys}
    return train_lesson(Lesson.model_validate(plain))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_recurrence_gives_the_states_of_the_network(cell: str) -> None:
    data = {"name": "adding", "length": 5, "samples": 40, "split": {"val": 0, "test": 0.25}}
    variants = trained(runs={"data": data, "model": {"name": cell, "hidden_size": 3}, "train": {"epochs": 1}})
    found = Sequences(Trained(variants)).recurrence("network")
    assert found["h"].shape == (10, 5, 3)
    layer: Any = variants["network"].module.get_submodule("recurrent.0")
    inputs = Trained(variants).inputs("network", "test")
    with torch.no_grad():
        states = layer(torch.tensor(inputs, dtype=torch.float32))[0]
    assert np.allclose(found["h"], states.numpy(), atol=1e-5)
    if cell == "lstm":
        before = np.concatenate([np.zeros((10, 1, 3)), found["c"][:, :-1]], axis=1)
        assert np.allclose(found["c"], found["f"] * before + found["i"] * found["g"])
        assert np.allclose(found["h"], found["o"] * np.tanh(found["c"]))


def test_labels_of_trees() -> None:
    trees = "(3 (2 so) (3 good))\n(1 (2 so) (1 bad))\n"
    data = {"name": "trees", "path": "trees.txt", "test_path": "trees.txt", "split": {"val": 0}}
    train = {"epochs": 60, "batch_size": "full", "early_stopping": None, "monitor": "train/loss"}
    model = {"name": "recursive", "hidden_size": 4}
    runs = {"data": data, "model": model, "optimizer": {"name": "adam", "lr": 0.1}, "train": train}
    functions = Sequences(Trained(trained(files={"trees.txt": trees}, runs=runs)))
    assert [functions.tree_labels("network", index) for index in (0, 1)] == [[3, 2, 3], [1, 2, 1]]
    assert functions.node_accuracy("network") == 1
