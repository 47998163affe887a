"""The parts of the page about the inside of a network: their numbers are those of torch and scikit-learn."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.inspection import permutation_importance

import nnzoo
from nnzoo.report.charts import Bars, Drawing, Heatmap, Images, Scatter
from nnzoo.report.inside.activations import feature_map_parts, hidden_state_parts
from nnzoo.report.inside.importance import columns_of, importance_parts, importances
from nnzoo.report.inside.network import Network, network_of
from nnzoo.report.inside.regions import GRID, function_parts
from nnzoo.report.inside.representation import representation_parts
from nnzoo.report.inside.saliency import input_gradients, saliency_parts
from nnzoo.report.inside.section import inside_section, network_section
from nnzoo.report.inside.weights import weight_parts
from nnzoo.report.reading import read_run

pytestmark = pytest.mark.page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def trained(config: object, folder: Path, epochs: int = 5) -> Network:
    run = nnzoo.train(config, overrides={"train.epochs": epochs}, runs_dir=folder)  # type: ignore[arg-type]
    network = network_of(read_run(str(run.run_dir), str(folder)))
    assert network is not None
    return network


def pixels(png: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_decision_regions_have_the_colors_of_the_predictions(folder: Path) -> None:
    network = trained("moons_mlp", folder)
    found = function_parts(network)
    assert not isinstance(found, str)
    drawing, *maps = found
    assert isinstance(drawing, Drawing)
    assert all(isinstance(part, Images) for part in maps)
    assert [len(part.items) for part in maps if isinstance(part, Images)] == [16, 16]
    model = nnzoo.load(network.run.folder)
    raw = network.run.raw_inputs("train")
    assert raw is not None
    low, high = raw.amin(0).numpy(), raw.amax(0).numpy()
    low, high = low - 0.1 * (high - low), high + 0.1 * (high - low)
    png = drawing.svg.partition("base64,")[2].partition('"')[0]
    shown = pixels(base64.b64decode(png)).astype(int)
    assert shown.shape == (GRID, GRID, 3)
    for row, column in ((0, 0), (10, 70), (79, 5), (40, 40), (79, 79)):
        x = low[0] + (high[0] - low[0]) * column / (GRID - 1)
        y = high[1] - (high[1] - low[1]) * row / (GRID - 1)
        probability = float(model.predict_proba([[x, y]])[0, 1])
        red, _, blue = shown[row, column]
        assert (red > blue) == (probability > 0.5)  # class 1 is orange, class 0 is blue
    test = network.experiment.splits["test"]
    wrong = int((model.predict(network.dataset.splits["test"].inputs) != test.targets.numpy().astype(str)).sum())
    assert f"wrong prediction ({wrong})" in drawing.caption


def test_the_fitted_curve_is_that_of_predict(folder: Path) -> None:
    network = trained("sine_mlp", folder)
    found = function_parts(network)
    assert not isinstance(found, str)
    curve, units = found
    assert isinstance(curve, Scatter)
    x, y = curve.groups["network"]
    predicted = nnzoo.load(network.run.folder).predict(np.array(x)[:, None])
    assert np.allclose(predicted, y, atol=1e-6)
    assert "8 units of 32" in units.caption  # type: ignore[union-attr]


class _Zero(np.random.RandomState):
    """Gives scikit-learn the seed 0 for its shuffles."""

    def randint(self, *_: object, **__: object) -> int:  # type: ignore[override]
        return 0


class _Accuracy(BaseEstimator):  # type: ignore[misc]
    def __init__(self, network: Network) -> None:
        self.network = network

    def fit(self, x: object, y: object) -> None:
        raise NotImplementedError

    def score(
        self, x: np.ndarray[tuple[int, int], np.dtype[np.float32]], y: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> float:
        with torch.no_grad():
            return float((self.network.module(torch.from_numpy(x)).argmax(1).numpy() == y).mean())


def test_permutation_importance_is_that_of_scikit_learn(folder: Path) -> None:
    network = trained("wine_mlp", folder, epochs=3)
    val = network.experiment.splits["val"]
    expected = permutation_importance(
        _Accuracy(network), val.inputs.numpy(), val.targets.numpy(), n_repeats=5, random_state=_Zero(0)
    )
    falls = importances(network, columns_of(network))
    assert np.allclose(falls, expected.importances, atol=1e-12)
    assert falls.max() > 0
    bars = importance_parts(network)[0]
    assert isinstance(bars, Bars)
    means = dict(zip(bars.labels, next(iter(bars.series.values())), strict=True))
    names = network.dataset.feature_names
    assert means == pytest.approx(dict(zip(names, expected.importances_mean, strict=True)))
    spread = dict(zip(bars.labels, next(iter(bars.errors.values())), strict=True))
    assert spread == pytest.approx(dict(zip(names, expected.importances_std, strict=True)))


def test_categories_of_a_column_are_shuffled_together(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    groups, noises = generator.choice(list("abc"), 300), generator.normal(size=300)
    rows = [f"{group},{noise:.3f},{int(group != 'a')}" for group, noise in zip(groups, noises, strict=True)]
    (tmp_path / "table.csv").write_text("\n".join(["group,noise,label", *rows]))
    config = {"data": {"name": "csv", "path": str(tmp_path / "table.csv"), "target": "label"}, "model": "mlp"}
    config |= {"model": {"name": "mlp", "hidden": [8]}, "optimizer": {"name": "adam", "lr": 0.05}}
    network = trained(config, tmp_path / "runs", epochs=20)
    assert {name: len(indices) for name, indices in columns_of(network).items()} == {"group": 3, "noise": 1}
    group, noise = importances(network, columns_of(network)).mean(1)
    assert group > 0.2
    assert abs(noise) < 0.1


def test_the_last_hidden_layer_is_the_pca_of_scikit_learn(folder: Path) -> None:
    network = trained("digits_mlp", folder)
    scatter = representation_parts(network)[0]
    assert isinstance(scatter, Scatter)
    with torch.no_grad():
        hidden = network.module.hidden(network.split.inputs.flatten(1))  # type: ignore[operator]
    pca = PCA(2, svd_solver="full").fit(hidden.double().numpy())
    points = pca.transform(hidden.double().numpy())
    labels = network.split.targets.numpy()
    for digit in range(10):
        x, y = (np.array(values) for values in scatter.groups[str(digit)])
        expected = points[labels == digit]
        assert np.allclose(np.abs(x), np.abs(expected[:, 0]), atol=1e-6)
        assert np.allclose(np.abs(y), np.abs(expected[:, 1]), atol=1e-6)
    assert f"{pca.explained_variance_ratio_[0]:.0%}" in scatter.x_label


def test_saliency_is_the_gradient_by_finite_differences(folder: Path) -> None:
    network = trained("digits_mlp", folder, epochs=2)
    inputs = network.inputs(network.split, slice(0, 2))
    gradients = input_gradients(network, inputs)
    network.module.double()
    try:
        step, exact = 1e-6, inputs.double()
        for place in ((0, 0, 3, 4), (1, 0, 5, 2)):
            up, down = exact.clone(), exact.clone()
            up[place] += step
            down[place] -= step
            with torch.no_grad():
                change = (network.module(up).amax(1) - network.module(down).amax(1)).sum() / (2 * step)
            assert float(gradients[place]) == pytest.approx(float(change), rel=1e-3, abs=1e-5)
    finally:
        network.module.float()
    images = saliency_parts(network)[0]
    assert isinstance(images, Images)
    strongest = gradients[0, 0].abs().argmax()
    assert pixels(images.items[1].png).argmax() == strongest


def test_feature_maps_and_filters_are_those_of_the_convolution(folder: Path) -> None:
    network = trained("digits_cnn", folder, epochs=1)
    parts = [part for part in feature_map_parts(network) if isinstance(part, Images)]
    with torch.no_grad():
        maps = network.module.blocks[0](network.inputs(network.split, slice(0, 1)))[0]  # type: ignore[index, operator]
    assert len(parts[1].items) == len(maps)
    for item, expected in zip(parts[1].items, maps, strict=True):
        scaled = (expected - expected.min()) / (expected.max() - expected.min()).clamp_min(1e-12) * 255
        assert np.abs(pixels(item.png) - scaled.numpy()).max() <= 1
    filters = weight_parts(network)[0]
    assert isinstance(filters, Images)
    weights = network.module.blocks[0].conv.weight.detach()  # type: ignore[index, union-attr]
    shown = pixels(filters.items[0].png).astype(int)
    clear = weights[0, 0].abs() > 0.05 * weights.abs().max()
    blue = torch.from_numpy(shown[..., 2] > shown[..., 0])
    assert torch.equal(blue[clear], (weights[0, 0] > 0)[clear])


def test_the_hidden_state_over_time_is_that_of_the_lstm(folder: Path) -> None:
    network = trained("digits_lstm", folder, epochs=1)
    heatmap = hidden_state_parts(network)[0]
    assert isinstance(heatmap, Heatmap)
    rows = network.inputs(network.split, slice(0, 1)).transpose(1, 2).flatten(2)
    with torch.no_grad():
        states = network.module.recurrent[0](rows)[0][0]  # type: ignore[index, operator]
    assert np.allclose(np.array(heatmap.values), states.T.numpy(), atol=1e-6)


def test_the_sections_say_why_a_part_is_missing(folder: Path) -> None:
    network = trained("xor_mlp", folder, epochs=2)
    section, drawing = inside_section(network.run), network_section(network.run)
    assert section is not None
    assert drawing is not None
    reasons = [part.text for part in section.parts[-1].parts]  # type: ignore[union-attr]
    assert "Permutation importance is measured on val, and there is no val split." in reasons
    assert "Feature maps are for images." in reasons
    assert isinstance(drawing.parts[0], Drawing)
