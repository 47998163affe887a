"""`init: whitening`: filters that whiten the patches of the training images, computed from those images only."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import nnzoo
from nnzoo.doctor.examine import examine
from nnzoo.models.whitening import MAX_IMAGES, whitening_filters

FILTERS = "blocks.0.conv.weight"
BLOCKS = [{"conv": {"out_channels": 8, "kernel_size": 2, "init": "whitening"}}, {"global_pool": "avg"}]
CONFIG: dict[str, Any] = {
    "name": "white",
    "data": "digits",
    "model": {"name": "cnn", "blocks": BLOCKS, "freeze": FILTERS},
    "train": {"epochs": 2, "batch_size": 128, "early_stopping": None, "baselines": False},
}


def smooth_images(count: int, channels: int = 2, side: int = 9) -> Tensor:
    """Images whose neighbouring pixels and channels are correlated, with a mean that is not 0."""
    noise = torch.randn(count, channels, side + 2, side + 2, generator=torch.Generator().manual_seed(0))
    noise[:, -1] += noise[:, 0]
    return functional.avg_pool2d(noise, 3, stride=1) + 0.5


def test_the_outputs_are_uncorrelated_with_variance_one() -> None:
    images = smooth_images(50)
    filters = whitening_filters(images, 16, (2, 2), eps=1e-9)
    outputs = functional.conv2d(images, filters[::2]).transpose(0, 1).flatten(1)
    torch.testing.assert_close(outputs.cov(correction=0), torch.eye(8), rtol=0, atol=1e-3)
    torch.testing.assert_close(filters[1::2], -filters[::2])
    assert (filters[::2].flatten(1) @ (1 / torch.arange(1, 9)) > 0).all()
    # The variance of component v is 1 / |w|^2, for w = v / sqrt(variance).
    variances = 1 / filters[::2].flatten(1).square().sum(1)
    assert variances.tolist() == sorted(variances.tolist(), reverse=True)


def test_filters_in_closed_form() -> None:
    values = torch.tensor([-2.0, -1.0, 0.0, 3.0]).reshape(4, 1, 1, 1)
    images = torch.cat([values, values], dim=1).expand(4, 2, 3, 3)
    # One component has the variance 2 * 3.5, the other has none.
    expected = torch.tensor([1.0, 1.0]) / math.sqrt(2) / math.sqrt(7 + 0.01)
    first, second, third, _ = whitening_filters(images, 4, (1, 1), eps=0.01).flatten(1)
    torch.testing.assert_close(first, expected)
    torch.testing.assert_close(second, -expected)
    torch.testing.assert_close(third.norm(), torch.tensor(10.0))


def test_patches_have_the_spacing_of_the_convolution() -> None:
    images = smooth_images(50, channels=1)
    filters = whitening_filters(images, 8, (2, 2), dilation=(1, 3), eps=1e-9)
    outputs = functional.conv2d(images, filters[::2], dilation=(1, 3)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(outputs.cov(correction=0), torch.eye(4), rtol=0, atol=1e-3)


def test_some_of_the_patches_of_large_images_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    images = smooth_images(20, channels=1, side=60)
    monkeypatch.setattr("nnzoo.models.whitening.MAX_PATCHES", 10_000)
    some = whitening_filters(images, 8, (2, 2), eps=1e-9)
    outputs = functional.conv2d(images, some[::2]).transpose(0, 1).flatten(1)
    torch.testing.assert_close(outputs.cov(), torch.eye(4), rtol=0, atol=0.1)
    monkeypatch.undo()
    assert not whitening_filters(images, 8, (2, 2), eps=1e-9).equal(some)


def arrays(val_scale: float = 1.0) -> dict[str, Any]:
    x = smooth_images(MAX_IMAGES + 200, side=4).numpy()
    y = np.arange(len(x)) % 3
    other = {
        f"{name}_{split}": values
        for split in ("val", "test")
        for name, values in (("x", x[:30] * val_scale), ("y", y[:30]))
    }
    return {"x": x, "y": y, **other}


def test_the_filters_come_from_the_train_split_alone(tmp_path: Path) -> None:
    config = {"model": CONFIG["model"], "preprocess": {"normalize": "none"}, "train": {**CONFIG["train"], "epochs": 1}}
    found = [
        nnzoo.train(config, data=arrays(scale), runs_dir=tmp_path, quiet=True).model.module.get_parameter(FILTERS)
        for scale in (1.0, 50.0)
    ]
    assert found[0].equal(found[1])
    rows = np.arange(MAX_IMAGES) * (MAX_IMAGES + 200) // MAX_IMAGES
    torch.testing.assert_close(
        found[0].detach(), whitening_filters(torch.from_numpy(arrays()["x"][rows]), 8, (2, 2), eps=5e-4)
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return nnzoo.train(CONFIG, runs_dir=tmp_path_factory.mktemp("runs"), quiet=True)


def test_frozen_filters_stay_the_same_and_trained_ones_start_from_them(run: Any, tmp_path: Path) -> None:
    start = nnzoo.build_model(CONFIG).get_parameter(FILTERS)
    assert run.model.module.get_parameter(FILTERS).equal(start)
    assert nnzoo.load(run.run_dir).module.get_parameter(FILTERS).equal(start)
    trained = nnzoo.train(CONFIG, overrides={"model.freeze": []}, runs_dir=tmp_path, quiet=True)
    change = (trained.model.module.get_parameter(FILTERS) - start).detach().abs().max()
    assert 0 < float(change) < 0.1


def test_augmentation_and_restarts_do_not_change_the_filters(run: Any, tmp_path: Path) -> None:
    changed = {"augment": [{"name": "random_crop", "padding": 1}], "train.restarts": 2, "train.epochs": 1}
    other = nnzoo.train(CONFIG, overrides=changed, runs_dir=tmp_path, quiet=True)
    torch.testing.assert_close(other.model.module.get_parameter(FILTERS), run.model.module.get_parameter(FILTERS))


def test_a_stopped_run_ends_with_the_same_bits(
    tmp_path: Path, at_step: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    def crash() -> None:
        raise Crash

    monkeypatch.setattr("nnzoo.training.checkpoints.MIN_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    options: dict[str, Any] = {"overrides": {"model.freeze": []}, "quiet": True}
    whole = nnzoo.train(CONFIG, runs_dir=tmp_path / "whole", **options)
    at_step(6, crash)
    with pytest.raises(Crash):
        nnzoo.train(CONFIG, runs_dir=tmp_path / "parts", **options)
    resumed = nnzoo.train(CONFIG, runs_dir=tmp_path / "parts", resume=True, **options)
    assert (resumed.run_dir / "best.safetensors").read_bytes() == (whole.run_dir / "best.safetensors").read_bytes()


def test_new_data_keeps_the_filters_of_the_checkpoint(run: Any, tmp_path: Path) -> None:
    config = {**CONFIG, "data": {"name": "digits", "split": {"seed": 1}}}
    changed = {"model.pretrained": str(run.run_dir), "train.epochs": 1}
    tuned = nnzoo.train(config, overrides=changed, runs_dir=tmp_path, quiet=True)
    assert tuned.model.module.get_parameter(FILTERS).equal(run.model.module.get_parameter(FILTERS))


def test_without_data_the_filters_are_orthogonal() -> None:
    weight = nnzoo.build_model(CONFIG, input_shape=(1, 5, 5), num_outputs=2).get_parameter(FILTERS).detach().flatten(1)
    torch.testing.assert_close(weight.T @ weight, torch.eye(4))


def test_doctor_does_not_take_fixed_filters_for_random_ones(run: Any) -> None:
    assert "frozen layers" not in {finding.topic for finding in examine(str(run.run_dir)).findings}
