"""Tests that numbers keep float64 precision up to the network, and in metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor

from nnzoo.data import Dataset, OnDisk, Preprocess, Split, load_arrays
from nnzoo.data.baseline import baseline
from nnzoo.errors import DataError
from nnzoo.training.measures.decoding import Decoder
from nnzoo.training.measures.metrics import MetricSums

RANDOM = np.random.default_rng(7)
VALUES = ("mae", "mse", "rmse", "r2", "mape")


def features(column: NDArray[np.float64], others: NDArray[np.float64] | None = None) -> Dataset:
    """Returns a regression dataset whose only feature is also the target, optionally with a test split."""
    splits = {"train": column} | ({} if others is None else {"test": others})
    parts = {
        name: Split(torch.tensor(values)[:, None], torch.tensor(values)[:, None]) for name, values in splits.items()
    }
    return Dataset(parts, task="regression", layout="features", target_names=("y",))


def standardized(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardizes a column in extended precision."""
    x = column.astype(np.longdouble)
    centred = x - x.mean()
    unit = np.abs(centred).max()
    result = centred / (np.sqrt(np.square(centred / unit).mean()) * unit)
    return np.asarray(result, dtype=np.float64)


@pytest.mark.parametrize(
    ("offset", "spread"),
    [
        *[(1e9, 1.0), (1e9, 3.0), (1_700_000_000.0, 10.0), (1e15, 1.0), (-1e12, 0.25)],
        *[(1e-12, 1e-15), (1e-300, 1e-303), (0.0, 1e-300), (0.0, 1e300), (1e300, 1e296), (-1e300, 1e290)],
        *[(0.0, 1e-320), (1e5, 1e-8), (2.0**53, 2.0)],
    ],
)
def test_a_column_of_any_offset_and_spread_is_standardized(offset: float, spread: float) -> None:
    column = offset + spread * RANDOM.standard_normal(500)
    preprocess = Preprocess.fit(features(column), normalize="standardize", scale_target=True)
    train = preprocess.transform(features(column)).train
    # The fitted mean and deviation have float64 precision.
    tolerance = 1e-6 + 4 * float(np.spacing(abs(column).max())) / spread
    for found in (train.inputs, train.targets):
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found[:, 0].numpy(), standardized(column), atol=tolerance)
    back = preprocess.unscale_targets(train.targets)[:, 0].numpy()
    np.testing.assert_allclose(back - offset, column - offset, atol=1e-6 * spread + 8 * np.spacing(abs(column).max()))


@settings(max_examples=200, deadline=None)
@given(
    base=st.floats(-300, 300),
    distance=st.floats(0, 12),
    sign=st.sampled_from([-1.0, 1.0]),
    seed=st.integers(0, 1000),
    normalize=st.sampled_from(["standardize", "minmax", "center"]),
)
def test_scales_of_any_size(base: float, distance: float, sign: float, seed: int, normalize: Any) -> None:
    spread = 10.0**base
    offset = sign * spread * 10.0**distance if base + distance < 307 else 0.0
    column = offset + spread * np.random.default_rng(seed).uniform(-1, 1, 40)
    if normalize == "center" and not 1e-30 < spread < 1e37:  # the range of float32
        return
    preprocess = Preprocess.fit(features(column), normalize=normalize, scale_target=True)
    inputs = preprocess.transform(features(column)).train.inputs[:, 0]
    x = column.astype(np.longdouble)
    if normalize == "standardize":
        expected = standardized(column).astype(np.longdouble)
    else:
        expected = (x - x.min()) / (x.max() - x.min()) if normalize == "minmax" else x - x.mean()
    size = spread if normalize == "center" else 1.0
    tolerance = 1e-6 + 4 * float(np.spacing(abs(column).max())) / spread
    np.testing.assert_allclose(inputs.numpy() / size, (expected / size).astype(np.float64), atol=tolerance)


@pytest.mark.parametrize("gap", [np.spacing(1e9), np.spacing(1.0), 5e-324])
@pytest.mark.parametrize("normalize", ["standardize", "minmax"])
def test_a_column_is_constant_only_if_all_values_are_equal(gap: float, normalize: Any) -> None:
    low = {np.spacing(1e9): 1e9, np.spacing(1.0): 1.0, 5e-324: 0.0}[gap]
    varying, constant = np.array([low, low + gap] * 4), np.full(8, low)
    inputs = Preprocess.fit(features(varying), normalize=normalize).transform(features(varying)).train.inputs
    assert len(set(inputs[:, 0].tolist())) == 2
    assert inputs.abs().max() <= 2
    assert (
        Preprocess.fit(features(constant), normalize=normalize).transform(features(constant)).train.inputs.eq(0).all()
    )
    assert Preprocess.fit(features(constant), normalize=normalize).units(1, 1)[1].item() == 1


@pytest.mark.parametrize("whiten", [False, True])
def test_pca_far_from_the_origin(whiten: bool) -> None:
    x = 1e9 + RANDOM.standard_normal((300, 4)) @ RANDOM.standard_normal((4, 4))
    dataset = Dataset({"train": Split(torch.tensor(x), torch.zeros(300, 1))}, task="regression", layout="features")
    outputs = Preprocess.fit(dataset, pca=3, whiten=whiten).transform(dataset).train.inputs.double().numpy()
    expected = PCA(3, whiten=whiten).fit_transform(x - 1e9)
    np.testing.assert_allclose(np.abs(outputs), np.abs(expected), atol=1e-4)


@pytest.mark.parametrize("where", ["train", "test"])
def test_values_beyond_float32_are_refused(where: str) -> None:
    small, large = np.arange(5.0), np.array([0.0, 1.0, 1e39])
    dataset = features(large if where == "train" else small, small if where == "train" else large)
    with pytest.raises(DataError, match=rf"{where} row 2: .*got 1e\+39.*normalize: standardize"):
        Preprocess.fit(dataset).transform(dataset)
    with pytest.raises(DataError, match=rf"{where} row 2: a target .*scale_target: true"):
        Preprocess.fit(dataset, normalize="minmax" if where == "train" else "none").transform(
            Dataset(
                {name: Split(torch.zeros(len(each), 1), each.targets) for name, each in dataset.splits.items()},
                task="regression",
                layout="features",
            )
        )


class TestMetrics:
    """Tests metrics of targets of any magnitude, such as Unix timestamps."""

    def measure(self, truth: Tensor, outputs: Tensor, preprocess: Preprocess) -> dict[str, float]:
        sums = MetricSums(VALUES, Decoder("regression", "values", preprocess=preprocess))
        for start in range(0, len(truth), 7):
            rows = slice(start, start + 7)
            sums.add(outputs[rows], truth[rows])
        return sums.result()

    @pytest.mark.parametrize("exact", [True, False])
    @pytest.mark.parametrize(("offset", "spread"), [(1.7e9, 10.0), (0.0, 1e-9), (1e12, 1e3), (-5e9, 0.5)])
    def test_the_mean_has_an_r2_of_0(self, offset: float, spread: float, exact: bool) -> None:
        truth = offset + spread * RANDOM.standard_normal(80)
        preprocess = Preprocess.fit(features(truth), scale_target=True)
        targets = torch.tensor(truth)[:, None]
        sums = MetricSums(VALUES, Decoder("regression", "values", preprocess=preprocess))
        scaled = preprocess.scale_targets(targets).float()
        sums.add(torch.zeros(80, 1), targets if exact else scaled)
        found = sums.result()
        assert found["r2"] == pytest.approx(0, abs=1e-6)
        assert found["rmse"] == pytest.approx(truth.std(), rel=1e-6)
        assert baseline(features(truth), "train")["rmse"] == pytest.approx(found["rmse"], rel=1e-6)

    @pytest.mark.parametrize("scale", [True, False])
    @pytest.mark.parametrize(("offset", "spread"), [(1.7e9, 1e3), (0.0, 1.0), (3.0, 1e-4), (1e6, 10.0)])
    def test_metrics_equal_scikit_learn(self, offset: float, spread: float, scale: bool) -> None:
        truth = offset + spread * RANDOM.standard_normal((60, 2))
        dataset = Dataset({"train": Split(torch.zeros(60, 1), torch.tensor(truth))}, "regression", "features")
        preprocess = Preprocess.fit(dataset, scale_target=scale)
        outputs = (
            preprocess.scale_targets(torch.tensor(truth)) + 0.1 * torch.tensor(RANDOM.standard_normal((60, 2)))
        ).float()
        values = preprocess.unscale_targets(outputs).numpy()
        assert self.measure(torch.tensor(truth), outputs, preprocess) == pytest.approx(
            {
                "mae": sklearn.metrics.mean_absolute_error(truth, values),
                "mse": sklearn.metrics.mean_squared_error(truth, values),
                "rmse": sklearn.metrics.root_mean_squared_error(truth, values),
                "r2": sklearn.metrics.r2_score(truth, values),
                "mape": sklearn.metrics.mean_absolute_percentage_error(truth, values),
            },
            rel=1e-7,
        )

    def test_mape_with_targets_of_zero(self) -> None:
        truth = torch.tensor([0.0, 0.3, 1.1, 0.0], dtype=torch.float64)[:, None]
        preprocess = Preprocess.fit(features(truth[:, 0].numpy()), scale_target=True)
        outputs = preprocess.scale_targets(truth + 0.1).float()
        expected = sklearn.metrics.mean_absolute_percentage_error(truth, preprocess.unscale_targets(outputs))
        assert self.measure(truth, outputs, preprocess)["mape"] == pytest.approx(expected, rel=1e-6)

    @settings(max_examples=100, deadline=None)
    @given(base=st.floats(-300, 300), seed=st.integers(0, 100))
    def test_metrics_at_any_scale(self, base: float, seed: int) -> None:
        drawn = np.random.default_rng(seed)
        truth = 10.0**base * drawn.standard_normal(30)
        preprocess = Preprocess.fit(features(truth), scale_target=True)
        outputs = torch.tensor(drawn.standard_normal((30, 1)), dtype=torch.float32)
        found = self.measure(torch.tensor(truth)[:, None], outputs, preprocess)
        error = preprocess.unscale_targets(outputs)[:, 0].numpy() / 10.0**base - truth / 10.0**base
        assert found["rmse"] / 10.0**base == pytest.approx(np.sqrt(np.square(error).mean()), rel=1e-9)
        assert found["r2"] == pytest.approx(1 - np.square(error).mean() / (truth / 10.0**base).var(), rel=1e-9)
        constant = baseline(features(truth), "train")
        assert constant["rmse"] / 10.0**base == pytest.approx((truth / 10.0**base).std(), rel=1e-9)
        assert constant["r2"] == pytest.approx(0, abs=1e-9)

    def test_one_sample_has_no_r2(self) -> None:
        one = torch.tensor([[3.0]], dtype=torch.float64)
        assert np.isnan(self.measure(one, torch.zeros(1, 1), Preprocess())["r2"])
        assert np.isnan(baseline(features(np.array([1.0, 2.0]), np.array([3.0])), "test")["r2"])


class TestArrays:
    @pytest.mark.parametrize("cache", ["memory", "disk"])
    @pytest.mark.parametrize("dtype", [np.float64, np.int64])
    def test_arrays_are_exact_up_to_the_transform(self, cache: Any, dtype: Any, tmp_path: Path) -> None:
        x = (1_700_000_000 + RANDOM.integers(0, 9, (50, 3))).astype(dtype)
        np.save(tmp_path / "x.npy", x)
        np.save(tmp_path / "y.npy", x[:, 0].astype(np.float64))
        dataset = load_arrays(path=tmp_path, cache=cache, layout="features")
        train = Preprocess.fit(dataset, normalize="standardize", scale_target=True).transform(dataset).train
        assert isinstance(train.inputs, OnDisk) == (cache == "disk")
        assert train.inputs.dtype == train.inputs[:2].dtype == torch.float32
        expected = np.stack([standardized(column.astype(np.float64)) for column in x.T], axis=1)
        np.testing.assert_allclose(train.inputs[:].numpy(), expected, atol=1e-6)
        np.testing.assert_allclose(train.targets[:, 0].numpy(), expected[:, 0], atol=1e-6)

    def test_values_beyond_float32_on_disk_are_refused(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.array([[1.0], [1e39], [2.0]]))
        np.save(tmp_path / "y.npy", np.array([0, 1, 0]))
        dataset = load_arrays(path=tmp_path, cache="disk")
        with pytest.raises(DataError, match=r"x\.npy: .*float32.*normalize: standardize"):
            Preprocess.fit(dataset).transform(dataset).train.inputs[:]
        assert Preprocess.fit(dataset, normalize="minmax").transform(dataset).train.inputs[1].item() == 1

    @pytest.mark.parametrize(("values", "count"), [([2**53 + 1, 1, 2**60], 1), ([2**63 - 1, -(2**63), 2**53], 1)])
    def test_integers_that_float64_rounds_are_counted(self, values: list[int], count: int, tmp_path: Path) -> None:
        np.savez(tmp_path / "d.npz", x=np.array(values)[:, None], y=np.array([0, 1, 0]))
        (warning,) = load_arrays(path=tmp_path / "d.npz", layout="features").warnings
        assert f"{count} of 3 integers are larger than 2^53" in warning

    def test_labels_are_compared_exactly(self, tmp_path: Path) -> None:
        ids = np.array([2**60, 2**60 + 1, 2**60, 2**60 + 1])
        np.savez(tmp_path / "d.npz", x=np.ones((4, 2)), y=ids, x_val=np.ones((2, 2)), y_val=ids[:2])
        dataset = load_arrays(path=tmp_path / "d.npz")
        assert dataset.classes == (str(2**60), str(2**60 + 1))
        assert dataset.splits["val"].targets.tolist() == [0, 1]
