"""`nnzoo doctor CONFIG`: planted faults are named, sound data is not complained of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nnzoo.cli.app import run as nnzoo
from nnzoo.config import load_config
from nnzoo.data import Split
from nnzoo.doctor import Examination, examine_config
from nnzoo.doctor.network import probe
from nnzoo.errors import DataError

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def examined(x: Any, y: Any, **words: Any) -> Examination:
    np.savez("data.npz", x=x, y=y)
    return examine_config(load_config({"data": {"name": "arrays", "path": "data.npz"}, "model": "mlp"} | words))


def divided(**split: Any) -> dict[str, Any]:
    return {"name": "arrays", "path": "data.npz", "split": split}


def found(examination: Examination) -> set[tuple[str, str]]:
    return {(finding.severity, finding.topic) for finding in examination.findings}


def noisy_classes(num_samples: int = 400, num_columns: int = 5) -> tuple[Any, Any]:
    x = RANDOM.standard_normal((num_samples, num_columns))
    return x, (x[:, 0] + x[:, 1] + RANDOM.standard_normal(num_samples) > 0).astype(int)


def test_sound_data_has_nothing_that_spoils() -> None:
    examination = examined(*noisy_classes())
    assert {severity for severity, _ in found(examination)} <= {"note"}
    assert examination.baseline["accuracy"] < 0.65 < examination.linear["accuracy"]
    assert sum(examination.data["splits"].values()) == 400
    assert set(examination.data["classes"]["0"]) == {"train", "val", "test"}


def test_duplicates_across_splits_are_named_by_row() -> None:
    x, y = noisy_classes(200)
    examination = examined(np.concatenate([x, x]), np.concatenate([y, y]))
    assert ("spoils", "duplicates") in found(examination)
    across = next(finding for finding in examination.findings if finding.topic == "duplicates")
    for named in across.samples:
        rows = [int(name.split()[-1]) for name in named.split(" = ")]
        assert len({row % 200 for row in rows}) == 1
        assert len({name.split()[0] for name in named.split(" = ")}) == 2


def leaking_files(source: str) -> dict[str, Any]:
    """60 training samples, of which 12 are among the 20 of the given test split, too, and some stand there twice."""
    x, y = noisy_classes(70)
    train, test = [*range(60), *range(5)], [*range(12), *range(60, 68)]
    if source == "arrays":
        np.savez("data.npz", x=x[train], y=y[train], x_test=x[test], y_test=y[test])
        return {"name": "arrays", "path": "data.npz"}
    if source == "image_folder":
        pixels = RANDOM.integers(0, 255, (70, 6, 6, 3)).astype(np.uint8)
        for part, rows in {"train": train, "test": test}.items():
            for index, row in enumerate(rows):
                path = Path(f"photos/{part}/{y[row]}/{index}.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels[row]).save(path)
        return {"name": "image_folder", "path": "photos"}
    for part, rows in {"train": train, "test": test}.items():
        cells = [(f"w{row} of v{row}" if source == "text" else f"{x[row, 0]},{x[row, 1]}", y[row]) for row in rows]
        head = "text,y\n" if source == "text" else "a,b,y\n"
        Path(f"{part}.csv").write_text(head + "".join(f"{cell},{label}\n" for cell, label in cells))
    return {"name": source, "path": "train.csv", "test_path": "test.csv", "target": "y"}


@pytest.mark.parametrize("source", ["arrays", "csv", "text", "image_folder"])
def test_to_deduplicate_helps_against_samples_that_a_given_test_split_has_too(source: str) -> None:
    data = leaking_files(source)
    config = {"data": data, "model": "gru" if source == "text" else "mlp"}
    leaking = examine_config(load_config({**config, "data": {**data, "split": {"val": 0}}}))
    assert ("spoils", "duplicates") in found(leaking)
    assert leaking.data["splits"] == {"train": 65, "test": 20}
    sound = examine_config(load_config({**config, "data": {**data, "split": {"val": 0, "deduplicate": True}}}))
    assert "duplicates" not in {topic for _, topic in found(sound)}
    assert sound.data["splits"] == {"train": 48, "test": 20}


def test_nothing_is_left_where_all_is_in_the_test_split() -> None:
    x, y = noisy_classes(20)
    np.savez("data.npz", x=x, y=y, x_test=x, y_test=y)
    data = {"name": "arrays", "path": "data.npz", "split": {"val": 0, "deduplicate": True}}
    with pytest.raises(DataError, match=r"data\.split\.deduplicate: every train sample is in val or test"):
        examine_config(load_config({"data": data, "model": "mlp"}))
    ones = y == 1
    np.savez("data.npz", x=x, y=y, x_test=x[ones], y_test=y[ones])
    with pytest.raises(DataError, match="every train sample of '1' is in val or test"):
        examine_config(load_config({"data": data, "model": "mlp"}))


def test_a_few_duplicates_are_a_warning() -> None:
    x, y = noisy_classes(400)
    x[1] = x[0]
    y[1] = 1 - y[0]
    examination = examined(
        x, y, data={"name": "arrays", "path": "data.npz", "split": {"val": 0, "test": 0.1, "seed": 3}}
    )
    kinds = found(examination)
    assert ("note", "duplicates") in kinds or ("warning", "duplicates") in kinds
    assert not examination.spoiling


def test_equal_inputs_of_different_classes() -> None:
    x = np.repeat(RANDOM.standard_normal((20, 3)), 10, axis=0)
    assert ("warning", "label noise") in found(examined(x, np.tile([0, 1], 100)))


def test_a_wrong_label_is_pointed_at() -> None:
    x = np.concatenate([RANDOM.standard_normal((200, 2)) - 4, RANDOM.standard_normal((200, 2)) + 4])
    y = np.repeat([0, 1], 200)
    y[7] = 1
    examination = examined(
        x, y, data={"name": "arrays", "path": "data.npz", "split": {"val": 0.1, "test": 0, "seed": 1}}
    )
    hint = next(finding for finding in examination.findings if finding.topic == "label noise")
    assert hint.samples == ("train row 7: 1, or 0?",)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_column_that_is_the_target(task: str) -> None:
    x, y = noisy_classes()
    leaking = np.column_stack([x, 3 * y + 1])
    if task == "regression":
        y = x @ RANDOM.standard_normal(5) + RANDOM.standard_normal(400)
        leaking = np.column_stack([x, 2 * y - 1])
    examination = examined(leaking, y)
    assert [finding.topic for finding in examination.spoiling] == ["leak"]
    assert "the column 5 alone" in examination.spoiling[0].message


def test_columns_of_other_scales_and_constant_ones() -> None:
    x, y = noisy_classes()
    x[:, 2] *= 1e4
    x[:, 3] = 7.0
    raw = found(examined(x, y, preprocess={"normalize": "none"}))
    assert {("warning", "unscaled columns"), ("warning", "constant columns")} <= raw
    assert ("warning", "unscaled columns") not in found(examined(x, y))


def test_rare_classes() -> None:
    x, _ = noisy_classes(1000)
    y = (np.arange(1000) % 50 == 0).astype(int)
    assert ("warning", "class balance") in found(examined(x, y))


def deep(activation: str, init: Any, units: int = 20, depth: int = 20) -> dict[str, Any]:
    return {"model": {"name": "mlp", "hidden": [units] * depth, "activation": activation}, "init": init}


@pytest.mark.parametrize(
    ("words", "topic"),
    [
        (deep("sigmoid", {"name": "normal", "std": 0.01}), "vanishing gradients"),
        (deep("relu", {"name": "normal", "std": 1.0}), "initialisation"),
        (deep("relu", "zeros", depth=2), "symmetry"),
        (deep("relu", {"name": "kaiming_normal", "bias": -50.0}, depth=2), "dead units"),
        (deep("tanh", {"name": "normal", "std": 50.0}, depth=1), "saturation"),
        (deep("tanh", "xavier_normal"), None),
        (deep("relu", "auto", depth=6), None),
    ],
)
def test_networks_that_will_not_learn(words: dict[str, Any], topic: str | None) -> None:
    topics = {finding.topic for finding in examined(*noisy_classes(), **words).findings}
    faults = {"vanishing gradients", "exploding gradients", "initialisation", "symmetry", "dead units", "saturation"}
    assert (topic in topics) if topic else not topics & faults


@pytest.mark.parametrize(
    "data",
    [
        "xor",
        {"name": "sine", "samples": 100},
        {"name": "random", "shape": [5, 3], "samples": 60, "targets": 2},
        {"name": "random", "shape": [2, 9, 9], "samples": 60, "classes": 3},
    ],
)
def test_every_kind_of_data(data: Any, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.yaml").write_text(f"data: {json.dumps(data)}\nmodel: mlp\n")
    assert nnzoo(["doctor", "c.yaml"]) == 0
    assert "baseline" in capsys.readouterr().out
    assert list(Path().iterdir()) == [Path("c.yaml")]


def test_several_labels_and_tokens() -> None:
    x = RANDOM.integers(0, 9, (100, 6))
    y = RANDOM.integers(0, 2, (100, 3))
    words = {"data": {"name": "arrays", "path": "data.npz", "task": "multilabel"}, "model": "lstm"}
    assert examined(x, y, **words).linear == {}
    assert examined(x, y[:, 0], model="lstm").linear.keys() == {"accuracy"}


def test_exit_codes_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = noisy_classes()
    np.savez("good.npz", x=x, y=y)
    np.savez("bad.npz", x=np.column_stack([x, y]), y=y)
    for name, code in (("good", 0), ("bad", 5)):
        Path("c.yaml").write_text(f"data: {{name: arrays, path: {name}.npz}}\nmodel: mlp\n")
        assert nnzoo(["doctor", "c.yaml", "--json"]) == code
        said = json.loads(capsys.readouterr().out)
        assert said["ok"] == (code == 0)
        assert nnzoo(["doctor", "c.yaml"]) == code
        assert ("leak" in capsys.readouterr().err) == (code == 5)
    assert nnzoo(["doctor", "nothing.yaml"]) == 2
    assert nnzoo(["doctor", "c.yaml", "data.path=none.npz"]) == 3


@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_column_of_words_that_is_the_target(num_classes: int) -> None:
    y = RANDOM.integers(0, num_classes, 200)
    other = RANDOM.integers(0, 3, 200)
    rows = [f"{RANDOM.normal()},{'rgb'[other[i]]},{'pqr'[y[i]]},{y[i]}" for i in range(200)]
    Path("t.csv").write_text("\n".join(["size,colour,answer,y", *rows]))
    words = {"data": {"name": "csv", "path": "t.csv", "target": "y", "task": "classification"}, "model": "mlp"}
    spoiling = examine_config(load_config(words)).spoiling
    assert [finding.message.split(" alone")[0] for finding in spoiling] == ["the column answer"]


def test_made_data_has_no_leak_however_far_its_classes_lie_apart() -> None:
    config = load_config({"data": {"name": "blobs", "classes": 2, "noise": 0.1}, "model": "mlp"})
    assert not examine_config(config).spoiling


def test_a_loss_that_is_summed_counts_a_sample() -> None:
    examination = examined(*noisy_classes(), loss={"name": "cross_entropy", "reduction": "sum"})
    assert examination.network["loss"] < 3
    assert ("warning", "initialisation") not in found(examination)


def test_numbers_too_large_for_a_linear_model() -> None:
    x = RANDOM.standard_normal((60, 3)) * 1e30
    assert examined(x, x[:, 0], preprocess={"normalize": "none"}).linear == {}


def test_a_last_layer_of_zeros_is_not_a_vanished_gradient() -> None:
    words = {"model": {"name": "mlp", "hidden": [8], "output": {"init": "zeros"}}}
    assert ("spoils", "vanishing gradients") not in found(examined(*noisy_classes(), **words))


def test_samples_come_from_all_over_a_split_and_are_few_where_they_are_large() -> None:
    seen = []

    class Spy(torch.nn.Flatten):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            seen.append(inputs)
            return super().forward(inputs)

    net = torch.nn.Sequential(Spy(), torch.nn.Linear(200_000, 2))
    inputs = torch.arange(20.0).view(20, 1).expand(20, 200_000)
    probe(net, torch.nn.CrossEntropyLoss(), Split(inputs, torch.zeros(20, dtype=torch.long)))
    assert seen[0][:, 0].tolist() == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]


def test_trees_are_not_counted_by_their_nodes_and_their_last_layer_is_the_last() -> None:
    Path("trees.txt").write_text("(3 (2 It) (2 (2 's) (2 fun)))\n(1 (2 so) (2 (2 very) (2 dull)))\n" * 20)
    words = {"data": {"name": "trees", "path": "trees.txt"}, "model": {"name": "tree_lstm", "hidden_size": 4}}
    examination = examine_config(load_config(words))
    assert "class balance" not in {topic for _, topic in found(examination)}
    assert list(examination.network["gradients"])[-1] == "output.linear.weight"


def test_blanks_and_line_ends_are_seen_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    Path("text.txt").write_text("a b\n" * 200)
    Path("c.yaml").write_text("data: {name: language, path: text.txt, sequence_length: 8}\nmodel: rnn\n")
    nnzoo(["doctor", "c.yaml"])
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert {line.split("  ")[0] for line in table} == {"class of a step", "<unknown>", "a", "b", "' '", "'\\n'"}
