"""Confidence intervals: compared with SciPy, and their coverage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nnzoo.cli.app import run as nnzoo
from nnzoo.experiment.evaluate.confidence import intervals, wilson
from nnzoo.experiment.train.run import train
from nnzoo.training.measures.decoding import Decoder


@pytest.mark.parametrize(("hits", "num_samples"), [(0, 10), (10, 10), (7, 9), (300, 1000)])
def test_wilson_equals_scipy(hits: int, num_samples: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(hits, num_samples).proportion_ci(0.95, method="wilson")
    assert wilson(hits / num_samples, num_samples) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_bootstrap_of_a_mean_is_close_to_the_normal_interval() -> None:
    generator = torch.Generator().manual_seed(1)
    outputs, targets = torch.zeros(2000, 1), torch.randn(2000, 1, generator=generator)
    errors = targets.abs()
    half = 1.96 * float(errors.std()) / 2000**0.5
    low, high = intervals(
        {"loss": 1.0, "mae": float(errors.mean())}, Decoder("regression", "values"), outputs, targets
    )["mae"]
    assert low == pytest.approx(float(errors.mean()) - half, abs=0.1 * half)
    assert high == pytest.approx(float(errors.mean()) + half, abs=0.1 * half)


def test_at_least_nine_of_ten_intervals_contain_the_true_value() -> None:
    """The intervals of 40 samples from a classifier whose accuracy is 0.8."""
    held = 0
    for seed in range(40):
        right = torch.rand(150, generator=torch.Generator().manual_seed(seed)) < 0.8
        low, high = wilson(float(right.float().mean()), 150)
        held += low <= 0.8 <= high
    assert held >= 36


def test_eval_shows_the_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {
        "name": "r",
        "data": "iris",
        "model": "mlp",
        "train": {"epochs": 3, "metrics": ["accuracy", "f1", "auroc"]},
    }
    train(settings, quiet=True)
    assert nnzoo(["eval", "r", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["confidence"]) == ["accuracy", "f1", "auroc"]
    for name, (low, high) in found["confidence"].items():
        assert 0 <= low < high <= 1
        assert low <= found["metrics"][name] <= high
    assert nnzoo(["eval", "r"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[3:7]] == ["model", "95", "95", "baseline"]
