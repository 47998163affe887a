from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler
from torch import Tensor

from nnzoo.builders import build_dataset
from nnzoo.config import load_config
from nnzoo.data import Dataset, Layout, Preprocess, Split, load_diabetes, load_digits, load_iris
from nnzoo.errors import CheckpointError, ConfigError, DataError

SHAPES: dict[Layout, tuple[int, ...]] = {"features": (5,), "sequence": (6, 3), "image": (2, 4, 3)}
FITS: dict[str, dict[str, Any]] = {
    "center": {"normalize": "center"},
    "standardize": {"normalize": "standardize"},
    "minmax": {"normalize": "minmax"},
    "pca": {"pca": 2},
    "whitened pca": {"normalize": "standardize", "pca": 3, "whiten": True},
    "zca": {"normalize": "minmax", "zca": True},
    "robust": {"normalize": "robust"},
    "quantile": {"normalize": "quantile"},
}


def _dataset(layout: Layout, num_samples: int = 60, *, lengths: bool = False) -> Dataset:
    """Returns correlated inputs far from the origin, with train, val and test splits."""
    generator = torch.Generator().manual_seed(3)
    shape = SHAPES[layout]
    mix = torch.randn(shape[-1], shape[-1], generator=generator)

    def split() -> Split:
        inputs = torch.randn(num_samples, *shape, generator=generator) @ mix * 3 + 7
        targets = torch.randn(num_samples, 2, generator=generator) * 50 - 200
        if not lengths:
            return Split(inputs, targets)
        steps = torch.randint(1, shape[0] + 1, (num_samples,), generator=generator)
        beyond = torch.arange(shape[0]) >= steps.unsqueeze(1)
        return Split(inputs.masked_fill(beyond.unsqueeze(2), 0), targets, steps)

    return Dataset({name: split() for name in ("train", "val", "test")}, task="regression", layout=layout)


def _rows(split: Split) -> Tensor:
    """Returns the (M, F) valid rows; for images one column per channel."""
    inputs = split.inputs
    if inputs.ndim == 4:
        return inputs.movedim(1, -1).flatten(0, 2)
    if split.lengths is not None:
        return inputs[torch.arange(inputs.shape[1]) < split.lengths.unsqueeze(1)]
    return inputs.flatten(0, -2)


def _bits(preprocess: Preprocess) -> dict[str, list[int]]:
    return {name: tensor.view(torch.int64).flatten().tolist() for name, tensor in preprocess.state_dict().items()}


CASES = [("features", False), ("sequence", False), ("sequence", True), ("image", False)]


@pytest.mark.parametrize(("layout", "lengths"), CASES)
class TestNormalize:
    def test_standardize(self, layout: Layout, lengths: bool) -> None:
        dataset = _dataset(layout, lengths=lengths)
        rows = _rows(Preprocess.fit(dataset, normalize="standardize").transform(dataset).train)
        torch.testing.assert_close(rows.mean(dim=0), torch.zeros(rows.shape[1]), atol=1e-5, rtol=0)
        torch.testing.assert_close(rows.std(dim=0, correction=0), torch.ones(rows.shape[1]), atol=1e-5, rtol=0)

    def test_center(self, layout: Layout, lengths: bool) -> None:
        dataset = _dataset(layout, lengths=lengths)
        rows = _rows(Preprocess.fit(dataset, normalize="center").transform(dataset).train)
        torch.testing.assert_close(rows.mean(dim=0), torch.zeros(rows.shape[1]), atol=1e-4, rtol=0)
        torch.testing.assert_close(rows.std(dim=0), _rows(dataset.train).std(dim=0))

    def test_minmax(self, layout: Layout, lengths: bool) -> None:
        dataset = _dataset(layout, lengths=lengths)
        rows = _rows(Preprocess.fit(dataset, normalize="minmax").transform(dataset).train)
        torch.testing.assert_close(rows.amin(dim=0), torch.zeros(rows.shape[1]))
        torch.testing.assert_close(rows.amax(dim=0), torch.ones(rows.shape[1]))

    @pytest.mark.parametrize("normalize", ["center", "standardize", "minmax"])
    def test_constant_columns_become_zero_and_stay_bounded(self, layout: Layout, lengths: bool, normalize: Any) -> None:
        dataset = _dataset(layout, lengths=lengths)
        axis = 1 if layout == "image" else -1
        for split in dataset.splits.values():
            split.inputs.select(axis, 1).fill_(0.1)
        dataset.splits["val"].inputs.select(axis, 1).fill_(1.1)
        transformed = Preprocess.fit(dataset, normalize=normalize).transform(dataset)
        assert _rows(transformed.train).isfinite().all()
        assert _rows(transformed.train)[:, 1].eq(0).all()
        val = _rows(transformed.splits["val"])[:, 1]
        torch.testing.assert_close(val, torch.ones_like(val))


@pytest.mark.parametrize(("normalize", "scaler"), [("standardize", StandardScaler), ("minmax", MinMaxScaler)])
def test_normalizing_equals_scikit_learn(normalize: Any, scaler: Callable[[], Any]) -> None:
    dataset = load_diabetes()
    expected = scaler().fit_transform(dataset.train.inputs.double().numpy())
    inputs = Preprocess.fit(dataset, normalize=normalize).transform(dataset).train.inputs
    torch.testing.assert_close(inputs, torch.tensor(expected, dtype=torch.float32), atol=1e-5, rtol=1e-5)


@given(
    offset=st.floats(-1e6, 1e6),
    spread=st.sampled_from([0.0, 1e-42, 1e-30, 1e-3, 1.0, 1e4]),
    normalize=st.sampled_from(["center", "standardize", "minmax"]),
)
def test_columns_stay_bounded(offset: float, spread: float, normalize: Any) -> None:
    column = offset + spread * torch.linspace(-1, 1, 7).unsqueeze(1)
    dataset = Dataset({"train": Split(column, torch.arange(7) % 2)}, task="classification", layout="features")
    outputs = Preprocess.fit(dataset, normalize=normalize).transform(dataset).train.inputs
    assert outputs.isfinite().all()
    if normalize != "center":
        assert outputs.abs().max() <= 3


@pytest.mark.parametrize(("layout", "lengths"), CASES)
class TestProjection:
    def _covariance(self, split: Split) -> Tensor:
        rows = split.inputs.flatten(1) if split.inputs.ndim == 4 else _rows(split)
        return rows.double().T.cov()

    @pytest.mark.parametrize("normalize", ["none", "standardize"])
    def test_whitened_covariance_is_the_identity(self, layout: Layout, lengths: bool, normalize: Any) -> None:
        dataset = _dataset(layout, lengths=lengths)
        most = 24 if layout == "image" else SHAPES[layout][-1]
        options: list[dict[str, Any]] = [{"pca": most, "whiten": True}, {"zca": True}]
        for each in options:
            preprocess = Preprocess.fit(dataset, normalize=normalize, **each)
            covariance = self._covariance(preprocess.transform(dataset).train)
            torch.testing.assert_close(covariance, torch.eye(most, dtype=torch.float64), atol=1e-3, rtol=0)

    def test_pca_keeps_the_largest_variances_in_order(self, layout: Layout, lengths: bool) -> None:
        dataset = _dataset(layout, lengths=lengths)
        transformed = Preprocess.fit(dataset, pca=2).transform(dataset)
        covariance = self._covariance(transformed.train)
        largest = torch.linalg.eigvalsh(self._covariance(dataset.train)).flip(0)[:2]
        torch.testing.assert_close(covariance, largest.diag(), atol=1e-3 * float(largest[0]), rtol=0)

    def test_shapes(self, layout: Layout, lengths: bool) -> None:
        dataset = replace(_dataset(layout, lengths=lengths), feature_names=("a", "b"))
        reduced = Preprocess.fit(dataset, pca=2).transform(dataset)
        assert reduced.layout == ("sequence" if layout == "sequence" else "features")
        assert reduced.input_shape == ((6, 2) if layout == "sequence" else (2,))
        assert reduced.feature_names == ()
        whitened = Preprocess.fit(dataset, zca=True).transform(dataset)
        assert (whitened.layout, whitened.input_shape) == (layout, SHAPES[layout])
        assert whitened.feature_names == ("a", "b")


@pytest.mark.parametrize("whiten", [False, True])
def test_pca_equals_scikit_learn_up_to_sign(whiten: bool) -> None:
    dataset = load_iris()
    expected = torch.tensor(PCA(3, whiten=whiten).fit_transform(dataset.train.inputs.double().numpy()))
    preprocess = Preprocess.fit(dataset, pca=3, whiten=whiten)
    outputs = preprocess.transform(dataset).train.inputs.double()
    torch.testing.assert_close(outputs, expected * (outputs * expected).sum(dim=0).sign(), atol=1e-4, rtol=0)
    components = preprocess.state_dict()["components"]
    assert components.gather(0, components.abs().argmax(dim=0, keepdim=True)).gt(0).all()


def test_zca_whitening_is_symmetric_and_positive() -> None:
    whitening = Preprocess.fit(_dataset("features"), zca=True).state_dict()["whitening"]
    torch.testing.assert_close(whitening, whitening.T)
    assert torch.linalg.eigvalsh(whitening).min() > 0


@pytest.mark.parametrize("how", [{"zca": True}, {"pca": 64, "whiten": True}])
def test_directions_without_variance_stay_bounded(how: dict[str, Any]) -> None:
    dataset = load_digits()  # three pixels are always 0
    preprocess = Preprocess.fit(dataset, **how)
    one_pixel = torch.zeros(1, 1, 8, 8)
    one_pixel[0, 0, 0, 0] = 1
    assert preprocess.transform(dataset).train.inputs.isfinite().all()
    assert (preprocess(one_pixel) - preprocess(torch.zeros_like(one_pixel))).abs().max() <= 1.001


def test_rounding_errors_are_not_whitened() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(50, 2, generator=generator) @ torch.randn(2, 8, generator=generator)  # rank 2
    dataset = Dataset({"train": Split(inputs, torch.zeros(50, 1))}, task="regression", layout="features")
    off_the_plane = inputs + torch.randn(50, 8, generator=generator)
    assert Preprocess.fit(dataset, pca=8, whiten=True)(off_the_plane).abs().max() < 20
    assert Preprocess.fit(dataset, zca=True)(off_the_plane).abs().max() < 20


def test_pca_of_constant_inputs_is_zero() -> None:
    dataset = Dataset({"train": Split(torch.ones(5, 3), torch.zeros(5, 1))}, task="regression", layout="features")
    assert Preprocess.fit(dataset, pca=2, whiten=True).transform(dataset).train.inputs.eq(0).all()


@pytest.mark.parametrize(
    ("layout", "lengths", "options"),
    [
        pytest.param(layout, lengths, options, id=f"{layout}-{lengths}-{name}")
        for layout, lengths in CASES
        for name, options in FITS.items()
        if layout != "image" or name not in ("robust", "quantile")
    ],
)
class TestEveryFit:
    def test_only_the_train_split_is_used(self, layout: Layout, lengths: bool, options: dict[str, Any]) -> None:
        dataset = _dataset(layout, lengths=lengths)
        other = {
            name: replace(split, inputs=split.inputs * 9 + 1, targets=split.targets * 9 + 1)
            for name, split in dataset.splits.items()
            if name != "train"
        }
        changed = replace(dataset, splits=dataset.splits | other)
        fit = Preprocess.fit(dataset, scale_target=True, **options)
        assert _bits(fit) == _bits(Preprocess.fit(changed, scale_target=True, **options))

    def test_inputs_are_not_modified(self, layout: Layout, lengths: bool, options: dict[str, Any]) -> None:
        dataset, untouched = _dataset(layout, lengths=lengths), _dataset(layout, lengths=lengths)
        Preprocess.fit(dataset, scale_target=True, **options).transform(dataset)
        for name, split in dataset.splits.items():
            assert torch.equal(split.inputs, untouched.splits[name].inputs)
            assert torch.equal(split.targets, untouched.splits[name].targets)

    def test_state_dict_restores_the_transform(self, layout: Layout, lengths: bool, options: dict[str, Any]) -> None:
        dataset = _dataset(layout, lengths=lengths)
        fit = Preprocess.fit(dataset, scale_target=True, **options)
        assert all(tensor.dtype == torch.float64 for tensor in fit.state_dict().values())
        restored = Preprocess(fit.state_dict())
        val = dataset.splits["val"]
        assert torch.equal(restored(val.inputs, val.lengths), fit(val.inputs, val.lengths))
        assert torch.equal(restored.scale_targets(val.targets), fit.scale_targets(val.targets))


@pytest.mark.parametrize("options", FITS.values(), ids=FITS)
def test_padding_stays_zero_and_changes_nothing(options: dict[str, Any]) -> None:
    dataset = _dataset("sequence", lengths=True)
    train = dataset.train
    longer = replace(train, inputs=torch.cat([train.inputs, torch.zeros(len(train), 4, 3)], dim=1))
    fit = Preprocess.fit(dataset, **options)
    padded = Preprocess.fit(replace(dataset, splits={"train": longer}), **options)
    for name, tensor in fit.state_dict().items():
        torch.testing.assert_close(padded.state_dict()[name], tensor)
    outputs = fit(longer.inputs, longer.lengths)
    assert outputs[:, 6:].eq(0).all()
    torch.testing.assert_close(outputs[:, :6], fit.transform(dataset).train.inputs)
    assert train.lengths is not None
    assert outputs[train.lengths == 1][:, 1:].eq(0).all()


@pytest.mark.parametrize("options", FITS.values(), ids=FITS)
def test_results_do_not_depend_on_the_block_size(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = _dataset("sequence", lengths=True)
    in_one = Preprocess.fit(dataset, **options)
    expected = in_one.transform(dataset).splits["test"].inputs
    monkeypatch.setattr("nnzoo.data.dataset._BLOCK_ENTRIES", 50)
    in_blocks = Preprocess.fit(dataset, **options)
    for name, tensor in in_one.state_dict().items():
        torch.testing.assert_close(in_blocks.state_dict()[name], tensor)
    torch.testing.assert_close(in_blocks.transform(dataset).splits["test"].inputs, expected, atol=1e-5, rtol=1e-5)


class TestTargets:
    def test_targets_are_standardized_and_restored(self) -> None:
        dataset = _dataset("features")
        preprocess = Preprocess.fit(dataset, scale_target=True)
        transformed = preprocess.transform(dataset)
        torch.testing.assert_close(transformed.train.targets.mean(dim=0), torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(transformed.train.targets.std(dim=0, correction=0), torch.ones(2))
        back = preprocess.unscale_targets(transformed.splits["test"].targets)
        torch.testing.assert_close(back, dataset.splits["test"].targets.double(), atol=1e-3, rtol=0)
        exact = transformed.splits["test"].exact
        assert exact is not None
        assert torch.equal(exact, dataset.splits["test"].targets.double())

    def test_targets_without_scaling_are_unchanged(self) -> None:
        dataset = _dataset("features")
        preprocess = Preprocess.fit(dataset, normalize="standardize")
        assert torch.equal(preprocess.scale_targets(dataset.train.targets), dataset.train.targets.double())
        assert torch.equal(preprocess.unscale_targets(dataset.train.targets), dataset.train.targets.double())

    def test_constant_target_is_not_divided_by_zero(self) -> None:
        dataset = Dataset(
            {"train": Split(torch.ones(3, 1), torch.full((3, 1), 0.1))}, task="regression", layout="features"
        )
        assert Preprocess.fit(dataset, scale_target=True).transform(dataset).train.targets.eq(0).all()


def test_without_fitted_transforms_data_is_unchanged() -> None:
    tokens = torch.randint(0, 9, (4, 5), generator=torch.Generator().manual_seed(0))
    dataset = Dataset({"train": Split(tokens, torch.arange(4))}, task="classification", layout="tokens")
    preprocess = Preprocess.fit(dataset)
    assert preprocess.state_dict() == {}
    assert preprocess.transform(dataset).train.inputs is tokens
    assert preprocess(tokens) is tokens


TOKENS = Dataset(
    {"train": Split(torch.zeros(4, 5, dtype=torch.int64), torch.arange(4))}, task="classification", layout="tokens"
)
HUGE = Dataset(
    {"train": Split(torch.tensor([[-1.7e308], [1.7e308]], dtype=torch.float64), torch.zeros(2, 1))},
    task="regression",
    layout="features",
)
WIDE = Dataset({"train": Split(torch.zeros(2, 10_001), torch.zeros(2, 1))}, task="regression", layout="features")


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (TOKENS, {"normalize": "standardize"}, "tokens are indices"),
        (TOKENS, {"pca": 2}, "tokens are indices"),
        (TOKENS, {"zca": True}, "tokens are indices"),
        (load_iris(), {"pca": 2, "zca": True}, r"pca \(got 2\) and zca exclude each other"),
        (load_iris(), {"whiten": True}, "whiten scales the components of pca"),
        (load_iris(), {"scale_target": True}, r"scale_target is for regression \(got classification\)"),
        (load_iris(), {"pca": 5}, r"pca .*\(got 5; allowed 1 to 4, for 150 training rows and 4 columns\)"),
        (load_iris(), {"pca": 0}, r"pca .*\(got 0; allowed 1 to 4"),
        (_dataset("features", 3), {"pca": 3}, r"pca .*\(got 3; allowed 1 to 2, for 3 training rows and 5 columns\)"),
        (_dataset("features", 1), {"zca": True}, "at least two training rows"),
        (_dataset("image", 9), {"pca": 9}, r"\(got 9; allowed 1 to 8, for 9 training rows and 24 columns\)"),
        (_dataset("sequence", 1), {"pca": 4}, r"\(got 4; allowed 1 to 3, for 6 training rows and 3 columns\)"),
        (WIDE, {"pca": 1}, r"too many columns \(got 10001; allowed 10000\)"),
        (HUGE, {"normalize": "robust"}, "the range of a column is too large for float64"),
        (HUGE, {"normalize": "quantile"}, "the range of a column is too large for float64"),
        (HUGE, {"normalize": "minmax"}, "the range of a column is too large for float64"),
        (HUGE, {"pca": 1}, "the inputs are too large for pca and zca. Set .*standardize"),
    ],
)
def test_transforms_that_do_not_fit_the_data_are_refused(
    dataset: Dataset, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=f"preprocess: .*{message}"):
        Preprocess.fit(dataset, **options)


@pytest.mark.parametrize("normalize", ["robust", "quantile"])
def test_quantiles_of_images_are_refused(normalize: Any) -> None:
    with pytest.raises(DataError, match=f"{normalize} is for columns"):
        Preprocess.fit(_dataset("image"), normalize=normalize)
    with pytest.raises(ConfigError, match=f"{normalize} is for columns"):
        load_config({"data": "digits", "model": "mlp", "preprocess": {"normalize": normalize}})


def test_quantiles_equal_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    train = torch.randn(3000, 2, generator=generator, dtype=torch.float64).exp()
    dataset = Dataset({"train": Split(train, torch.zeros(3000, 1))}, task="regression", layout="features")
    preprocess = Preprocess.fit(dataset, normalize="quantile")
    new = torch.cat([torch.rand(500, 2, generator=generator, dtype=torch.float64) * 4, torch.tensor([[-9.0, 1e9]])])
    expected = QuantileTransformer(n_quantiles=100, output_distribution="normal").fit(train.numpy()).transform(new)
    # The noise of the fit moves the smallest values the most.
    torch.testing.assert_close(preprocess(new).double(), torch.tensor(expected), atol=0.1, rtol=0)
    assert preprocess(new)[-1].tolist() == pytest.approx([-5.1993376, 5.1993376])


def test_quantiles_map_a_frequent_value_to_the_middle_of_its_rows() -> None:
    column = torch.cat([torch.zeros(900), torch.arange(1.0, 101)]).unsqueeze(1)
    dataset = Dataset({"train": Split(column, torch.zeros(1000, 1))}, task="regression", layout="features")
    zero = Preprocess.fit(dataset, normalize="quantile")(torch.zeros(1, 1, dtype=torch.float64))
    assert torch.special.ndtr(zero).item() == pytest.approx(0.45, abs=0.02)


def test_robust_scaling_is_that_of_realmlp() -> None:
    column = torch.arange(9.0, dtype=torch.float64).unsqueeze(1)  # median 4, quartiles 2 and 6
    flag = torch.tensor([0.0] * 8 + [5.0], dtype=torch.float64).unsqueeze(1)  # equal quartiles, range 5
    inputs = torch.cat([column, flag], 1)
    dataset = Dataset({"train": Split(inputs, torch.zeros(9, 1))}, task="regression", layout="features")
    scaled = torch.stack([(column[:, 0] - 4) / 4, flag[:, 0] / 2.5], 1)
    outputs = Preprocess.fit(dataset, normalize="robust")(inputs)
    torch.testing.assert_close(outputs, (scaled / (1 + (scaled / 3) ** 2).sqrt()).float())


@pytest.mark.parametrize("normalize", ["standardize", "robust", "quantile", "minmax", "center"])
def test_categories_booleans_and_indicators_stay_0_and_1(normalize: Any, tmp_path: Path) -> None:
    rows = [f"{i % 7},{'abc'[i % 3]},{'yes' if i % 4 else 'no'},{i if i % 5 else ''},{i % 2}" for i in range(60)]
    (tmp_path / "t.csv").write_text("n,c,b,m,y\n" + "\n".join(rows))
    config = load_config({"data": {"name": "csv", "path": str(tmp_path / "t.csv"), "target": "y"}, "model": "mlp"})
    dataset = build_dataset(config)
    names = ("n", "c=a", "c=b", "c=c", "b", "m", "m is missing")
    assert (dataset.feature_names, dataset.one_hot) == (names, ((1, 4), (4, 5), (6, 7)))
    outputs = Preprocess.fit(dataset, normalize=normalize).transform(dataset).train.inputs
    kept = [1, 2, 3, 4, 6]
    assert outputs[:, kept].equal(dataset.train.inputs[:, kept].float())
    assert not outputs[:, 5].equal(dataset.train.inputs[:, 5].float())
    whitened = Preprocess.fit(dataset, normalize=normalize, pca=2)
    if normalize == "standardize":  # principal components are those of the correlations
        assert whitened.scale is not None
        assert (whitened.scale != 1).all()


def _ones(*shape: int) -> Tensor:
    return torch.ones(*shape, dtype=torch.float64)


ONES = _ones(3)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"offset": ONES}, "unknown fitted transform.*'offset'.*shift"),
        ({"shift": ONES, "scale": ONES * torch.nan}, "scale .*not finite float64"),
        ({"shift": ONES.float(), "scale": ONES}, "shift .*not finite float64.*float32"),
        ({"shift": ONES, "scale": ONES * 0}, "scale .*not positive"),
        ({"target_shift": ONES, "target_scale": -ONES}, "target_scale .*not positive"),
        ({"shift": ONES}, "shapes"),
        ({"scale": ONES}, "shapes"),
        ({"shift": ONES, "scale": ONES[:2]}, "shapes"),
        ({"shift": ONES[0], "scale": ONES[0]}, "shapes"),
        ({"shift": _ones(3, 2, 1), "scale": _ones(3, 2, 1)}, "shapes"),
        ({"target_shift": ONES[:, None], "target_scale": ONES[:, None]}, "shapes"),
        ({"shift": ONES, "scale": ONES, "clip": ONES[:2]}, "shapes"),
        ({"shift": ONES, "scale": ONES, "clip": -ONES}, "shapes"),
        ({"clip": ONES}, "shapes"),
        ({"quantiles": ONES}, "quantiles .*not in order"),
        ({"quantiles": torch.stack([ONES, -ONES])}, "quantiles .*not in order"),
        ({"quantiles": _ones(2, 3), "shift": ONES, "scale": ONES}, "shapes"),
        ({"mean": ONES}, "shapes"),
        ({"components": _ones(3, 2)}, "shapes"),
        ({"mean": ONES, "components": _ones(2, 3)}, "shapes"),
        ({"mean": ONES, "whitening": _ones(3, 2)}, "shapes"),
        ({"mean": ONES, "whitening": _ones(3, 3), "components": _ones(3, 2)}, "shapes"),
        ({"mean": _ones(3, 3), "whitening": _ones(3, 3)}, "shapes"),
    ],
)
def test_damaged_state_is_refused(state: dict[str, Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        Preprocess(state)


@settings(max_examples=25)
@given(st.integers(2, 12), st.integers(1, 6), st.integers(0, 100))
def test_pca_of_every_size_is_orthonormal(num_samples: int, num_features: int, seed: int) -> None:
    inputs = torch.randn(num_samples, num_features, generator=torch.Generator().manual_seed(seed))
    dataset = Dataset({"train": Split(inputs, torch.zeros(num_samples, 1))}, task="regression", layout="features")
    num_components = min(num_samples - 1, num_features)
    components = Preprocess.fit(dataset, pca=num_components).state_dict()["components"]
    torch.testing.assert_close(components.T @ components, torch.eye(num_components).double(), atol=1e-12, rtol=0)
