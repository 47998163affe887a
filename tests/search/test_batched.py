"""Trials that are trained at the same time have the results that each has alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("optuna")

from nnzoo.cli.app import run
from nnzoo.config import dump, load_config
from nnzoo.experiment.load import load
from nnzoo.experiment.train.run import train
from nnzoo.experiment.train.together import common_part, train_together, why_not_together
from nnzoo.run.history import History

BASE = {
    "data": {"name": "blobs", "samples": 90, "split": {"val": 0.3, "test": 0.2}},
    "model": {"name": "mlp", "hidden": [5, 4], "activation": "tanh"},
    "train": {"epochs": 6, "batch_size": 16, "baselines": False, "early_stopping": {"patience": 2}, "ema": 0.9},
}
MEMBERS: list[dict[str, Any]] = [
    {"optimizer.lr": 0.1, "seed": 3},
    {"optimizer.lr": 0.01, "optimizer.weight_decay": 0.3, "model.dropout": 0.4},
    {"optimizer.lr": 0.03, "init.name": "orthogonal", "model.dropout": 0.1, "scheduler.name": "cosine"},
    {"optimizer.lr": 1e-3, "scheduler.name": "plateau", "scheduler.patience": 1},
    {"optimizer.lr": 0.02, "scheduler.name": "exponential", "scheduler.gamma": 0.5, "scheduler.warmup_epochs": 1},
]
OPTIMIZERS = [
    {"name": "sgd", "momentum": 0.9, "nesterov": True},
    {"name": "nadam", "decoupled_weight_decay": True},
    {"name": "adagrad", "lr_decay": 0.1},
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda each: each["name"])
def test_each_network_has_the_result_that_it_has_alone(optimizer: dict[str, Any], tmp_path: Path) -> None:
    configs = [
        load_config({**BASE, "optimizer": optimizer}, {**own, "name": f"member-{index}"})
        for index, own in enumerate(MEMBERS)
    ]
    results = train_together(configs, tmp_path, quiet=True)
    for index, (config, result) in enumerate(zip(configs, results, strict=True)):
        alone = train(config, runs_dir=tmp_path / "alone", quiet=True, show=lambda _: None)
        history = History.read(tmp_path / f"member-{index}" / "metrics.csv")
        assert (result["status"], result["epochs"], result["best_epoch"]) == (
            *(alone.result["status"], alone.result["epochs"]),
            alone.result["best_epoch"],
        )
        for column in set(history) - {"seconds"}:
            assert history[column] == pytest.approx(alone.history[column], rel=1e-4, abs=1e-5), (index, column)
        assert result["metrics"] == pytest.approx(alone.result["metrics"], rel=1e-4, abs=1e-5)
        weights = load(tmp_path / f"member-{index}").module.state_dict()
        for name, tensor in alone.model.module.state_dict().items():
            torch.testing.assert_close(weights[name], tensor, rtol=1e-4, atol=1e-5)
        assert dump(load_config(tmp_path / f"member-{index}")) == dump(alone.config)


def test_a_network_continues_alone_from_its_checkpoint(tmp_path: Path) -> None:
    configs = [load_config(BASE, {**own, "name": f"member-{index}"}) for index, own in enumerate(MEMBERS[:2])]
    train_together(configs, tmp_path, quiet=True)
    longer = {"train.epochs": 9}
    own = train(configs[1], overrides=longer, runs_dir=tmp_path, resume=True, quiet=True, show=lambda _: None)
    whole = train(configs[1], overrides=longer, runs_dir=tmp_path / "alone", quiet=True, show=lambda _: None)
    assert len(own.history.rows) == 9
    assert own.history["train/loss"] == pytest.approx(whole.history["train/loss"], rel=1e-4, abs=1e-5)


def test_what_can_be_batched() -> None:
    first = load_config(BASE)
    assert why_not_together(first) is None
    for own in MEMBERS:
        assert common_part(load_config(BASE, own)) == common_part(first)
    for key, value in (("model.hidden", [5]), ("optimizer.name", "sgd"), ("train.batch_size", 8)):
        assert common_part(load_config(BASE, {key: value})) != common_part(first)
    for changes, reason in (
        ({"optimizer.name": "lbfgs", "train.batch_size": "full"}, "lbfgs is not batched with several learning rates"),
        ({"scheduler.name": "one_cycle"}, "one_cycle changes the momentum"),
        ({"regularization.l1": 0.1}, "regularization.l1 is applied with the learning rate of one network"),
        ({"train.max_minutes": 1}, "train.max_minutes limits the time of one network"),
        ({"train.restarts": 2}, "train.restarts and train.folds train several networks per trial"),
    ):
        assert why_not_together(load_config(BASE, changes)) == reason


def test_a_batched_sweep_has_the_results_of_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(json.dumps(BASE))
    space = ["optimizer.lr=log(1e-3,0.3)", "model.dropout=uniform(0,0.5)", "model.hidden=[4],[5,4]", "--no-prune"]
    arguments = ["sweep", "small.yaml", *space, "--method", "random", "--trials", "6"]
    assert run([*arguments, "--name", "batched"]) == 0
    out, err = capsys.readouterr()
    assert "up to 6 trials are trained at the same time" in err
    assert "trained in batches" in out
    assert run([*arguments, "--name", "alone", "--no-batch"]) == 0
    assert "trials are trained one after another: --no-batch" in capsys.readouterr().err
    batched, alone = (json.loads(Path(f"runs/{name}/result.json").read_text()) for name in ("batched", "alone"))
    assert [trial["values"] for trial in batched["trials"]] == [trial["values"] for trial in alone["trials"]]
    expected = [trial["value"] for trial in alone["trials"]]
    assert [trial["value"] for trial in batched["trials"]] == pytest.approx(expected, rel=1e-3)
    sizes = [trial["batch"] for trial in batched["trials"]]
    hidden = [str(trial["values"]["model.hidden"]) for trial in batched["trials"]]
    assert sizes == [hidden.count(each) for each in hidden]
    assert {trial["batch"] for trial in alone["trials"]} == {1}
    assert run(["sweep", "small.yaml", "model.hidden=[2],[3]", "train.epochs=1"]) == 0
    reason = r"one after another: they differ in model\.hidden; only networks of the same shape can be batched"
    assert re.search(reason, capsys.readouterr().err)


def test_a_network_that_diverges_does_not_disturb_the_others(tmp_path: Path) -> None:
    values: list[dict[str, Any]] = [{"optimizer.lr": 1e38}, {"optimizer.lr": 0.05}]
    config = {**BASE, "optimizer": {"name": "sgd"}, "model": {"name": "mlp", "hidden": [4]}}
    configs = [load_config(config, {**own, "name": f"member-{index}"}) for index, own in enumerate(values)]
    diverged, fine = train_together(configs, tmp_path, quiet=True)
    assert (diverged["status"], diverged["best_epoch"]) == ("diverged", None)
    alone = train(configs[1], runs_dir=tmp_path / "alone", quiet=True, show=lambda _: None)
    assert fine["metrics"] == pytest.approx(alone.result["metrics"], rel=1e-4, abs=1e-5)
