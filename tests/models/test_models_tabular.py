"""Embeddings of numbers, and ensembles that share most of their weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nnzoo
from nnzoo.errors import ConfigError
from nnzoo.experiment.describe import describe_network
from nnzoo.models.tabular import Heads, Members, Periodic, PiecewiseLinear, TabularNet, bin_edges
from nnzoo.training.measures.losses import CrossEntropyLoss, SampleWeightedLoss
from nnzoo.training.measures.members import loss_of, mean_output


def test_bins_have_about_as_many_values_each() -> None:
    values = torch.randn(4000, generator=torch.Generator().manual_seed(0)).exp()
    edges = bin_edges(values, 8)
    counts = torch.histogram(values.double(), edges)[0]
    assert len(edges) == 9
    assert (edges[0], edges[-1]) == (values.min(), values.max())
    assert counts.min() > 490
    assert counts.max() < 510


def test_a_frequent_value_takes_one_bin_and_few_values_are_the_edges() -> None:
    values = torch.cat([torch.zeros(900), torch.arange(1.0, 101)])
    edges = bin_edges(values, 10)
    assert len(edges) == 10  # quantiles would be 0, 0, ..., 0, 100
    assert float(edges[1:].diff().max()) < 15
    assert bin_edges(torch.tensor([3.0, 1.0, 3.0, 2.0]), 10).tolist() == [1, 2, 3]
    assert bin_edges(torch.tensor([5.0, 5.0]), 4).tolist() == [5]


def test_piecewise_linear_encoding() -> None:
    embedding = PiecewiseLinear(2, size=3, num_bins=3)
    embedding.fit(torch.tensor([[0.0, 1.0], [1.0, 1.0], [3.0, 1.0], [7.0, 1.0]]))
    assert embedding.edges.tolist() == [[0, 1, 3, 7], [1, 1, 1, 1]]
    with torch.no_grad():
        embedding.slope.zero_()
        embedding.weight[0] = torch.eye(3)
        embedding.weight[1] = 1
        outputs = embedding(torch.tensor([[2.0, 1.0], [-5.0, 9.0], [99.0, 0.0]]))
    assert outputs.tolist() == [[1, 0.5, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]]


def test_periodic_encoding() -> None:
    embedding = Periodic(1, size=2, num_frequencies=1, sigma=1.0)
    with torch.no_grad():
        embedding.frequencies.fill_(0.5)
        embedding.weight[0] = torch.eye(2)
        outputs = embedding(torch.tensor([[0.25], [1.0]]))
    root = math.sqrt(0.5)
    torch.testing.assert_close(outputs, torch.tensor([[root, root], [0.0, 0.0]]), atol=1e-6, rtol=0)


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    """Each member is an MLP with the shared weights, whose inputs are multiplied by its scales."""
    torch.manual_seed(0)
    net = TabularNet(4, 3, one_hot=[(1, 3)], embedding_size=2, num_bins=5, hidden=[6], dropout=0.0, ensemble=3)
    inputs = torch.randn(7, 4)
    each, members, heads = net.train()(inputs), net.members, net.output
    assert each.shape == (7, 3, 3)
    assert net.numbers is not None
    assert isinstance(members, Members)
    assert set(members.weight.flatten().tolist()) == {-1, 1}
    assert isinstance(heads, Heads)
    features = torch.cat([net.numbers(inputs[:, [0, 3]]), inputs[:, [1, 2]]], 1)
    linear = net.hidden[0].linear
    for k in range(3):
        hidden = torch.relu(linear(features * members.weight[k]))  # type: ignore[operator]
        expected = hidden @ heads.weight.view(3, 3, 6)[:, k].T + heads.bias.view(3, 3)[:, k]
        torch.testing.assert_close(each[:, k], expected)
    torch.testing.assert_close(net.eval()(inputs), each.mean(1))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_of_an_ensemble_is_the_mean_of_its_members(reduction: Any) -> None:
    outputs, targets = torch.randn(5, 4, 3), torch.tensor([0, 2, 1, 1, 0])
    loss = CrossEntropyLoss(reduction=reduction, class_weights=torch.tensor([1.0, 2.0, 0.5]))
    expected = torch.stack([loss(outputs[:, k], targets) for k in range(4)]).mean()
    torch.testing.assert_close(loss_of(loss, outputs, targets), expected)
    torch.testing.assert_close(mean_output(outputs, targets), outputs.mean(1))
    weighted, weights = SampleWeightedLoss(loss), torch.rand(5)
    expected = torch.stack([weighted(outputs[:, k], targets, weights) for k in range(4)]).mean()
    torch.testing.assert_close(loss_of(weighted, outputs, targets, weights), expected)
    values = torch.randn(5, 2)
    mse = nn.MSELoss(reduction=reduction)
    expected = torch.stack([mse(outputs[:, k, :2], values) for k in range(4)]).mean()
    torch.testing.assert_close(loss_of(mse, outputs[..., :2], values), expected)


def test_outputs_per_step_are_not_an_ensemble() -> None:
    outputs, targets = torch.randn(5, 4, 3), torch.zeros(5, 4, dtype=torch.int64)
    assert mean_output(outputs, targets) is outputs
    loss = CrossEntropyLoss()
    torch.testing.assert_close(loss_of(loss, outputs, targets), loss(outputs, targets))


def test_an_activation_of_the_outputs_is_applied_per_member() -> None:
    net = TabularNet(3, 2, hidden=[4], ensemble=5, output_activation=nn.Softmax(dim=1))
    torch.testing.assert_close(net(torch.randn(6, 3)).sum(-1), torch.ones(6, 5))
    torch.testing.assert_close(net.eval()(torch.randn(6, 3)).sum(-1), torch.ones(6))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with a skewed column, categories, booleans and missing values; the target depends on all of them."""
    rng = np.random.default_rng(0)
    count = 400
    gain = np.where(rng.random(count) < 0.8, 0, rng.exponential(1000, count)).round(1)
    color, flag, age = rng.choice(["red", "green", "blue"], count), rng.random(count) < 0.5, rng.normal(40, 10, count)
    score = (gain > 500) * 2 + (color == "red") * flag * 2 + np.abs(age - 40) / 10
    label = np.where(score + rng.normal(0, 0.1, count) > 1.5, "yes", "no")
    rows = [
        f"{g},{c},{str(bool(f)).lower()},{'' if i % 9 == 0 else round(a, 2)},{y}"
        for i, (g, c, f, a, y) in enumerate(zip(gain, color, flag, age, label, strict=True))
    ]
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_text("gain,color,flag,age,label\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def run(table: Path) -> nnzoo.Run:
    config = {
        "name": "tab",
        "data": {"name": "csv", "path": str(table), "target": "label"},
        "model": {"name": "tabular", "hidden": [32], "bins": 16, "ensemble": 4},
        "train": {"epochs": 25, "batch_size": 32, "restarts": 1},
    }
    return nnzoo.train(config, runs_dir=table.parent / "runs", quiet=True)


def test_a_table_is_learned_and_predicted_from_raw_rows(run: nnzoo.Run, table: Path) -> None:
    assert run.metrics["test/accuracy"] > 0.85
    module = run.model.module
    assert isinstance(module, TabularNet)
    assert module.columns.tolist() == [0, 5]
    assert module.kept.tolist() == [1, 2, 3, 4, 6]
    assert isinstance(module.numbers, PiecewiseLinear)
    assert len(set(module.numbers.edges[0].tolist())) > 12
    again = nnzoo.load(run.run_dir / "best.safetensors")
    rows = [
        {"gain": 3000, "color": "red", "flag": True, "age": None},
        {"gain": 0, "color": "?", "flag": False, "age": 40},
    ]
    assert again.predict(rows).tolist() == ["yes", "no"]
    assert again.outputs(table).equal(run.model.outputs(table))
    assert describe_network(str(run.run_dir)).summary.num_parameters == run.result["num_parameters"]


def test_the_report_says_why_it_cannot_be_tried_in_the_page(run: nnzoo.Run) -> None:
    page = (run.run_dir / "report.html").read_text()
    assert "the page can&#x27;t compute TabularNet" in page
    assert "Permutation importance" in page


def test_a_killed_run_ends_with_the_same_bits(run: nnzoo.Run, table: Path) -> None:
    config = nnzoo.load_config(run.run_dir / "config.yaml")
    first = nnzoo.train(config, overrides={"train.epochs": 10}, runs_dir=table.parent / "again", quiet=True)
    second = nnzoo.train(config, runs_dir=table.parent / "again", resume=True, quiet=True)
    assert first.run_dir == second.run_dir
    ours, theirs = second.model.module.state_dict(), run.model.module.state_dict()
    assert all(theirs[name].equal(tensor) for name, tensor in ours.items())


def test_weights_are_transferred_by_the_names_of_columns_and_categories(run: nnzoo.Run, table: Path) -> None:
    """With another order of the columns, and without the weights of a new column, the outputs are the same."""
    header, *rows = (line.split(",") for line in table.read_text().splitlines())
    assert header == ["gain", "color", "flag", "age", "label"]
    changed = [f"{i % 7},{age},{flag},{color},{gain},{y}" for i, (gain, color, flag, age, y) in enumerate(rows)]
    path = table.parent / "more.csv"
    path.write_text("extra,age,flag,color,gain,label\n" + "\n".join(changed) + "\n")
    config = nnzoo.load_config(run.run_dir / "config.yaml")
    overrides = {"data.path": str(path), "model.pretrained": str(run.run_dir), "train.epochs": 1, "optimizer.lr": 1e-30}
    again = nnzoo.train(config, overrides=overrides, name="more", runs_dir=table.parent / "runs", quiet=True)
    module = again.model.module
    reading = {each.name: each for each in module.input_weights()}  # type: ignore[operator]
    names = again.model.metadata.feature_names
    assert names == ("extra", "age", "age is missing", "flag", "color=blue", "color=green", "color=red", "gain")
    new = [entry for entry, index in enumerate(reading["hidden.0.linear.weight"].inputs) if names[index] == "extra"]
    assert len(new) == 8
    with torch.no_grad():
        module.hidden[0].linear.weight[:, new] = 0  # type: ignore[union-attr, index]
    torch.testing.assert_close(again.model.outputs(path), run.model.outputs(table))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "tabular", "bins": 1}, "bins"),
        ({"name": "tabular", "hidden": []}, "hidden"),
        ({"name": "tabular", "numbers": "linear"}, "numbers"),
        ({"name": "tabular", "ensemble": 0}, "ensemble"),
    ],
)
def test_invalid_settings_are_config_errors(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        nnzoo.load_config({"data": "iris", "model": model})


@pytest.mark.page
@pytest.mark.parametrize("data", ["moons", "sine"])
def test_the_page_shows_the_units_of_an_ensemble(data: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = {"data": data, "model": {"name": "tabular", "hidden": [8]}, "train": {"epochs": 2}}
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    assert "could not be made" not in caplog.text
    page = (run.run_dir / "report.html").read_text()
    assert "could not be made" not in page
    assert ("Decision regions" if data == "moons" else "The fitted curve") in page
