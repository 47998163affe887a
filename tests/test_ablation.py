"""scripts/ablation.py: one row per change, differences for the same seed, and a cache that continues."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

import nnzoo

ROOT = Path(__file__).parents[1]
SETTINGS = ["--set", "train.epochs=2", "optimizer.lr=0.1", "--seeds", "2"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ablation", ROOT / "scripts" / "ablation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rows_are_means_over_seeds_and_are_not_trained_twice(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache.json"
    change = "optimizer.lr=0.001 train.ema=0.9"
    command = ["ablation", "iris_mlp", *SETTINGS, "--vary", change, "--cache", str(cache)]
    monkeypatch.setattr(sys, "argv", command)
    script.main()
    first = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in first.splitlines()]
    assert [row[0] for row in rows[2:]] == ["nothing", f"`{change}`"]
    reached = [each["value"] for each in json.loads(cache.read_text()).values()]
    overrides = ["train.epochs=2", "optimizer.lr=0.1", *change.split(), "seed=1"]
    run = nnzoo.train("iris_mlp", overrides=overrides, runs_dir=tmp_path, quiet=True)
    assert reached[3] == run.metrics["test/accuracy"]
    before, after = sum(reached[:2]) / 2, sum(reached[2:]) / 2
    assert rows[2][1].startswith(f"{before:.4f} ± ")
    assert rows[3][1].startswith(f"{after:.4f} ± ")
    assert rows[3][2].startswith(f"{after - before:+.4f} ± ")
    assert after < before
    assert len(reached) == 4
    monkeypatch.setattr(nnzoo, "train", None)
    script.main()
    assert capsys.readouterr().out == first


def test_without_changes_each_ingredient_of_the_config_is_switched_off(script: ModuleType) -> None:
    overrides = ["train.ema=0.9", "scheduler=one_cycle", "loss={name: cross_entropy, label_smoothing: 0.1}"]
    config = nnzoo.load_config("digits_cnn", overrides)
    assert script.switched_off(config) == [["scheduler=constant"], ["loss.label_smoothing=0"], ["train.ema=null"]]
