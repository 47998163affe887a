"""Common mistakes in configs, and their messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnzoo.config import load_config
from nnzoo.errors import ConfigError


def problem(text: str, path: Path) -> str:
    """Returns the only problem of a config, without its place."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    (found,) = caught.value.problems
    place, message = found.split("\n")[0].split(": ", 1)
    assert place.startswith(str(path))
    return message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("model: [mlp]", "model: expected a name or a mapping with a name, got a list. (perceptron, linear,"),
        ("model:", "model: expected a name or a mapping with a name, got null. (perceptron, linear,"),
        ("model: 3", "model: expected a name or a mapping with a name, got 3. (perceptron, linear,"),
        (
            "model: {mlp: {hidden: [3]}}",
            "model: `name` is missing. Write `name: mlp`, with its fields on the same level. (p",
        ),
        (
            "model: {type: mlp}",
            "model: `name` is missing. Write `name` instead of 'type'. (perceptron, linear,",
        ),
        ("model: {hidden: [3]}", "model: `name` is missing. Add it. (perceptron, linear,"),
        ("model: {}", "model: `name` is missing. Add it. (perceptron, linear,"),
        ("model: {name: [mlp]}", "model.name: a list is not a model. (perceptron, linear,"),
        ("model: {name: mlp, hidden: 64}", "model.hidden: expected a list or null, got 64. Write [64]."),
        (
            "model: {name: mlp, hidden: '64, 32'}",
            "model.hidden: expected a list or null, got '64, 32'. Write [64, 32].",
        ),
        ("model: {name: mlp, hidden: {a: 3}}", "model.hidden: expected a list or null, got a mapping."),
        ("model: {name: mlp, layers: 3}", "model.layers: expected a list or null, got 3."),
        (
            "model: {name: mlp, layers: [3]}",
            "model.layers.0: expected a mapping, got 3. (units, activation, init, bias",
        ),
        ("model: {name: mlp, layers: [{}]}", "model.layers.0.units: missing required key. (number of units)"),
        ("model: {name: mlp, freeze: [1]}", "model.freeze.0: expected text, got 1. Put it in quotes."),
        ("model: custom", "model: custom is only for modules passed from Python: nnzoo.train(config, model=...)."),
        (
            "model: {name: mlp, activation: null}",
            "model.activation: expected a name or a mapping with a name, got null.",
        ),
        ("model: {name: mlp, dropout: 1.0}", "model.dropout: expected less than 1, got 1.0."),
        ("model: {name: mlp, dropout: -0.1}", "model.dropout: expected at least 0, got -0.1."),
    ],
)
def test_mistakes_in_the_model(line: str, message: str, tmp_path: Path) -> None:
    assert problem(f"data: digits\n{line}\n", tmp_path / "c.yaml").startswith(message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "data: {digits: {}}",
            "data: `name` is missing. Write `name: digits`, with its fields on the same level. (xor,",
        ),
        ("data: my.csv", "data: 'my.csv' is not a data source. Did you mean 'csv'? (xor,"),
        ("data: {name: arrays}", "data.path: missing required key. (an .npz file"),
        ("data: {name: arrays, path: ''}", "data.path: expected some text, got ''."),
        ("data: {name: arrays, path: 3}", "data.path: expected text, got 3. Put it in quotes."),
        ("data: {name: csv, path: x.csv}", "data.target: missing required key. (column or columns to predict,"),
        ("data: {name: csv, path: x.csv, target: []}", "data.target: expected at least 1 items, got a list."),
        ("data: {name: csv, path: x.csv, target: -1}", "data.target.0: expected a name, or a position from 0, got -1."),
        (
            "data: {name: csv, path: x.csv, target: y, delimiter: tab}",
            "data.delimiter: expected auto, or characters such as",
        ),
        (
            "data: {name: csv, path: x.csv, target: y, encoding: utf9}",
            "data.encoding: there is no encoding 'utf9'. Try",
        ),
        ("data: {name: csv, path: x.csv, target: y, header: names}", "data.header: expected auto, true or false, got"),
        ("data: {name: csv, path: x.csv, target: y, replace: {a: [b]}}", "data.replace: expected text, got a list."),
        ("data: {name: csv, path: x.csv, target: y, label: z}", "data.label: unknown key. Did you mean 'target'?"),
        ("data: {name: digits, split: 0.2}", "data.split: expected a mapping, got 0.2. (val, test, stratify, seed,"),
        ("data: {name: digits, split: {val: 15}}", "data.split.val: expected less than 1, got 15."),
        ("data: {name: random, shape: 8}", "data.shape: expected a list, got 8. Write [8]."),
        ("data: {name: spirals, classes: 1}", "data.classes: expected at least 2, got 1."),
        ("data: {name: moons, seed: -1}", "data.seed: expected at least 0, got -1."),
    ],
)
def test_mistakes_in_the_data(line: str, message: str, tmp_path: Path) -> None:
    assert problem(f"{line}\nmodel: mlp\n", tmp_path / "c.yaml").startswith(message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seed: -1", "seed: expected at least 0, got -1."),
        ("seed: 9223372036854775808", "seed: expected less than 9223372036854775808, got 9223372036854775808."),
        ("seed: true", "seed: expected an integer, got true."),
        ("1: 2", "1: unknown key. (name, seed,"),
        ("name: 5", "name: expected text, got 5. Put it in quotes."),
        ("name: null", "name: expected text, got null. Remove the key to use its default."),
        ("name: ../evil", "name: expected at most 100 letters, digits, '_', '-' and '.', got '../evil'."),
        ("name: /tmp/evil", "name: expected at most 100 letters"),
        ("name: my run", "name: expected at most 100 letters, digits, '_', '-' and '.', got 'my run'."),
        ("name: ..", "name: expected at most 100 letters"),
        ("name: ''", "name: expected at most 100 letters"),
        ("name: " + "x" * 101, "name: expected at most 100 letters"),
        (
            "loss:",
            "loss: expected a name or a mapping with a name, got null. Remove the key to use its default. (auto,",
        ),
        (
            "augment: [noisy]",
            "augment.0: 'noisy' is not an augmentation. Did you mean 'noise'? (horizontal_flip, random_crop,",
        ),
        ("augment: noise", "augment: expected a list, got 'noise'."),
        ("augment: [random_crop]", "augment.0.padding: missing required key. (padding in pixels: one number for all"),
        ("augment: [{name: erasing, value: red}]", "augment.0.value: expected a number or random, got 'red'."),
        ("preprocess: {pca: 3}", "preprocess.pca: expected a mapping or null, got 3. (n_components, whiten)"),
        (
            "preprocess: {scale_target: yes}",
            "preprocess.scale_target: expected auto, true or false, got 'yes'. Did you",
        ),
        ("preprocess: {zca: off}", "preprocess.zca: expected true or false, got 'off'. Did you mean false?"),
        ("init: {name: constant}", "init.val: missing required key. (the value)"),
        ("init: {bias: {name: normal, std: -1}}", "init.bias.std: expected at least 0, got -1."),
        ("init: {bias: [1]}", "init.bias: expected a number, a name or a mapping with a name, got a list."),
        ("init: {bias: {std: 1}}", "init.bias: `name` is missing. Add it. (zeros, ones,"),
        ("init: {name: values, values: [[1, 2], [3]]}", "init.values: rows must not be empty and must all have the"),
        ("init: {name: values, values: [x]}", "init.values: expected numbers in nested lists, got 'x'."),
        ("init: {name: values, values: [.inf]}", "init.values: expected numbers up to 1e+38."),
        ("optimizer: {name: adam, betas: [0.9]}", "optimizer.betas: expected two numbers, got 1."),
        ("optimizer: {name: adam, betas: [0.9, 1]}", "optimizer.betas.1: expected less than 1, got 1."),
        ("optimizer: {lr: 1e300}", "optimizer.lr: expected at most 1e+38, got 1e+300."),
        ("init: {name: constant, val: -1e300}", "init.val: expected at least -1e+38, got -1e+300."),
        ("optimizer: {lr: '1e-3'}", "optimizer.lr: expected a number, got '1e-3'. Remove the quotes."),
        ("optimizer: {adam: {lr: 1}}", "optimizer.adam: unknown key. Did you mean `name: adam`?"),
        ("scheduler: {cosine: 3}", "scheduler.cosine: unknown key. Did you mean `name: cosine`?"),
        ("scheduler: {name: step, step_size: 0}", "scheduler.step_size: expected at least 1 or null, got 0."),
        ("scheduler: {name: plateau, factor: 1}", "scheduler.factor: expected less than 1, got 1."),
    ],
)
def test_mistakes_in_other_sections(line: str, message: str, tmp_path: Path) -> None:
    assert problem(f"data: digits\nmodel: mlp\n{line}\n", tmp_path / "c.yaml").startswith(message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("batch_size: fulll", "batch_size: expected an integer, full or auto, got 'fulll'. Did you mean full?"),
        ("batch_size: 0", "batch_size: expected at least 1, full or auto, got 0."),
        ("metrics: accuracy", "metrics: expected auto or a list, got 'accuracy'. Write [accuracy]."),
        (
            "metrics: [acc]",
            "metrics.0: expected accuracy, balanced_accuracy, top5_accuracy, precision, recall, f1, auroc, "
            "average_precision, perplexity, mae, mape, mse, rmse or r2, got 'acc'. Did",
        ),
        ("mode: maximum", "mode: expected auto, min or max, got 'maximum'. Did you mean max?"),
        ("device: gpu", "device: expected auto, cpu, cuda, cuda:N or mps, got 'gpu'. Did you mean 'cuda'?"),
        ("compile: yes", "compile: expected true, false or cuda_graphs, got 'yes'. Did you mean true?"),
        ("amp: true", "amp: unknown key. Did you mean 'precision'?"),
        ("precision: bf16", "precision: expected fp32, bf16-mixed or fp16-mixed, got 'bf16'. Did you mean bf16-mixed?"),
        ("precision: half", "precision: expected fp32, bf16-mixed or fp16-mixed, got 'half'. Did you mean fp16-mixed?"),
        ("restarts: 0", "restarts: expected at least 1, got 0."),
        (
            "early_stopping: false",
            "early_stopping: expected a mapping or null, got false. Did you mean null? (patience",
        ),
        ("early_stopping: 5", "early_stopping: expected a mapping or null, got 5. (patience, min_delta)"),
        (
            "checkpoint: null",
            "checkpoint: expected a mapping, got null. Remove the key to use its default. (every_epoc",
        ),
        ("clip_grad_norm: 0", "clip_grad_norm: expected more than 0"),
        ("max_minutes: -1", "max_minutes: expected more than 0"),
    ],
)
def test_mistakes_in_training(words: str, message: str, tmp_path: Path) -> None:
    text = f"data: digits\nmodel: mlp\ntrain: {{{words}}}\n"
    assert problem(text, tmp_path / "c.yaml").startswith(f"train.{message}")


def test_data_in_place_of_a_config_says_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("age,sold\n3,yes\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"`nnzoo init \S+people\.csv` writes a config"):
        load_config(tmp_path / "people.csv")
    (tmp_path / "list.yaml").write_text("- digits\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"such as `data: digits`\.\n"):
        load_config(tmp_path / "list.yaml")
