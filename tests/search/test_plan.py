"""The plan of a sweep: what is searched, and what is refused before a trial starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nnzoo.cli.app import run
from nnzoo.errors import ConfigError, UsageError
from nnzoo.search.plan import Options, plan_sweep
from nnzoo.search.points import config_values, points_of
from nnzoo.search.space import Range, Values, parse_dimension

LR = "optimizer.lr=0.1,0.01"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1,1e-2", Values((0.1, 0.01))),
        ("relu,tanh", Values(("relu", "tanh"))),
        ("[64],[64, 64]", Values(([64], [64, 64]))),
        ("null,1.0", Values((None, 1.0))),
        ("{name: sgd, momentum: 0.9},adamw", Values(({"name": "sgd", "momentum": 0.9}, "adamw"))),
        ("'a,b',c", Values(("a,b", "c"))),
        ("log(1e-5, 1e-1)", Range("log", 1e-5, 0.1)),
        ("uniform(0,0.5)", Range("uniform", 0.0, 0.5)),
        ("uniform(0,1,0.25)", Range("uniform", 0.0, 1.0, 0.25)),
        ("int(8,64)", Range("int", 8, 64)),
        ("logint(8,512)", Range("logint", 8, 512)),
    ],
)
def test_values_and_ranges(text: str, expected: Values | Range) -> None:
    found = parse_dimension("key", text)
    assert found == expected
    assert parse_dimension("key", str(found)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("log(0,1)", "the logarithm of 0.0 does not exist"),
        ("uniform(1,0)", "must be less than the upper one (got 1 and 0)"),
        ("uniform(1,1)", "must be less than the upper one"),
        ("int(1.5,4)", "expected integers in int(LOW,HIGH[,STEP]), got 1.5"),
        ("uniform(a,1)", "expected numbers in uniform(LOW,HIGH[,STEP]), got a"),
        ("uniform(0,.inf)", "expected numbers"),
        ("log(1,2,3)", "expected log(LOW,HIGH)."),
        ("int(1,8,9)", "the step must be more than 0, and at most 7 (got 9)"),
        ("lgo(1,2)", "'lgo' is not a range. Did you mean 'log'?"),
        ("loguniform(1,2)", "Did you mean 'log'?"),
        ("choice(1,2)", "values are listed without 'choice()'"),
        ("0.1,log(1e-3,1)", "a range can't be mixed with values"),
        ("1,2,1", "the value 1 is listed twice"),
        ("1,[2", "the bracket that starts here is never closed"),
    ],
)
def test_wrong_ranges_are_explained(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_dimension("key", text)
    assert message in str(error.value)
    assert str(error.value).startswith("key")


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        (["optimizer.lrr=0.1,0.2"], {}, "optimizer.lrr: unknown key. Did you mean 'lr'?"),
        (["optimizer.lr=0.1,fast"], {}, "optimizer.lr: expected a number, got 'fast'"),
        (["model.dropout=uniform(0,1.5)"], {}, "model.dropout: expected less than 1, got 1.5"),
        (["train.batch_size=uniform(8,64)"], {}, "train.batch_size: expected"),
        (["optimizer=sgd,adamw", "optimizer.momentum=0,0.9"], {}, "optimizer.momentum: unknown key"),
        (["optimizer.lr=0.1"], {}, "there is nothing to search"),
        (["loss=cross_entropy,focal"], {}, "changes the loss that trials are compared by"),
        (["data.split.seed=0,1"], {}, "changes the samples that trials are compared on"),
        (["train.device=cpu,cuda"], {}, "is not a hyperparameter"),
        ([LR], {"metric": "test/accuracy"}, "trials are never chosen by metrics of the test split"),
        ([LR], {"metric": "val/acuracy"}, "Did you mean 'val/accuracy'?"),
        ([LR], {"trials": 3}, "the space has only 2 combinations (got 3 trials)"),
        ([LR], {"trials": 0}, "expected an integer of at least 1, got 0"),
        ([LR], {"trials": 1, "method": "grid"}, "a grid has as many trials as combinations: 2"),
        (["optimizer.lr=log(1e-3,1)"], {"method": "grid"}, "a grid needs a list of values"),
        (["model.hidden"], {}, "'model.hidden' is not a key with values"),
    ],
)
def test_mistakes_are_refused_before_anything_starts(changes: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        plan_sweep("iris_mlp", changes, Options(**options))
    assert message in str(error.value)


def test_the_command_reports_a_misspelt_key_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["sweep", "iris_mlp", "optimizer.learning_rate=0.1,0.2", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "config"
    assert not list(tmp_path.iterdir())


def test_defaults_of_method_and_trials() -> None:
    grid = plan_sweep("iris_mlp", [LR, "model.activation=relu,tanh,gelu", "train.epochs=3"], Options())
    assert (grid.method, grid.trials, grid.mode, grid.config.train.epochs) == ("grid", 6, "min", 3)
    assert points_of(grid, 6) == [
        {"optimizer.lr": lr, "model.activation": name} for lr in ("0.1", "0.01") for name in ("relu", "tanh", "gelu")
    ]
    ranges = plan_sweep("iris_mlp", ["optimizer.lr=log(1e-4,1)"], Options(metric="val/accuracy"))
    assert (ranges.method, ranges.trials, ranges.mode, ranges.metric) == ("tpe", 32, "max", "val/accuracy")
    assert points_of(ranges, 2) is None


def test_random_points_are_inside_and_do_not_depend_on_their_number() -> None:
    space = ["optimizer.lr=log(1e-4,1)", "model.dropout=uniform(0,0.5)", "train.batch_size=logint(4,64)"]
    plan = plan_sweep("iris_mlp", [*space, "model.activation=relu,tanh"], Options(method="random", trials=200))
    points = points_of(plan, 200)
    assert points is not None
    assert points_of(plan, 20) == points[:20]
    rates = sorted(point["optimizer.lr"] for point in points)
    assert 1e-4 <= rates[0] < 1e-3 < 0.1 < rates[-1] <= 1
    assert 3e-3 < rates[100] < 3e-2
    assert {type(point["train.batch_size"]) for point in points} == {int}
    assert all(4 <= point["train.batch_size"] <= 64 for point in points)
    assert {config_values(plan, point)["model.activation"] for point in points} == {"relu", "tanh"}


def test_random_points_of_a_finite_space_are_distinct() -> None:
    plan = plan_sweep("iris_mlp", ["model.hidden=[4],[8],[16]", LR], Options(method="random", trials=6))
    points = points_of(plan, 6)
    assert points is not None
    assert len({tuple(point.items()) for point in points}) == 6


def test_a_sweep_file_has_the_same_content(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("data: {name: csv, path: rows.csv, target: y}\nmodel: mlp\n")
    file = tmp_path / "search.yaml"
    file.write_text(
        "config: base.yaml\nspace:\n  optimizer.lr: log(1e-4, 1e-1)\n  model.hidden: [[8], [8, 8]]\n"
        "  model.activation: relu,tanh\noverrides: {train.epochs: 4}\nmethod: random\ntrials: 5\nmetric: val/loss\n"
    )
    plan = plan_sweep(str(file), ["optimizer.weight_decay=0,0.1"], Options(trials=7))
    assert (plan.name, plan.method, plan.trials, plan.metric) == ("base-sweep", "random", 7, "val/loss")
    assert [*plan.space] == ["optimizer.lr", "model.hidden", "model.activation", "optimizer.weight_decay"]
    assert plan.config.train.epochs == 4
    written = tmp_path / "again.yaml"
    written.write_text(plan.as_yaml())
    assert plan_sweep(str(written), [], Options()).identity() == plan.identity()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "config: iris_mlp\nspace: {optimizer.lr: [1, 2]}\ntrails: 3\n",
            ":3:1: trails: unknown key. Did you mean 'trials'?",
        ),
        ("config: iris_mlp\nspace: [optimizer.lr]\n", ":2:8: space: expected a mapping"),
        ("space: {optimizer.lr: [1, 2]}\n", "config: missing required key"),
        ("config: iris_mlp\nspace: {optimizer.lr: [1, 2]}\ntrials: many\n", "trials: expected an integer"),
        ("config: iris_mlp\nspace: {optimizer.lr: [1, 2]}\nmethod: bayes\n", "method: 'bayes' is not a method"),
    ],
)
def test_mistakes_in_a_sweep_file(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        plan_sweep(str(file), [], Options())
    assert message in str(error.value)


def test_combinations_are_checked_together() -> None:
    layers = "[{units: 4}],null"
    with pytest.raises(ConfigError) as error:
        plan_sweep("iris_mlp", [f"model.layers={layers}", "model.hidden=[4],[]"], Options())
    assert "model.layers" in str(error.value)
