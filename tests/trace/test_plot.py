"""The loss over one and two weights, with the path of the steps."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import accessibility
import numpy as np
import pytest
import torch

from nnzoo.cli.app import run
from nnzoo.trace.explain import Trace
from nnzoo.trace.html import html
from nnzoo.trace.run import trace_config
from nnzoo.trace.surface import find_weights, surface_of

IMAGES = {"name": "random", "shape": [1, 5, 5], "classes": 3, "samples": 12, "split": {"val": 0, "test": 0}}
BLOCKS = [{"conv": {"out_channels": 2, "kernel_size": 2, "batch_norm": True, "dropout": 0.5}}]
CNN = {"data": IMAGES, "model": {"name": "cnn", "blocks": BLOCKS}, "optimizer": "sgd", "train": {"batch_size": 4}}


def watched(config: Any, names: str | None = None, num_steps: int = 1) -> Trace:
    return trace_config(config, num_steps=num_steps, watch=lambda recording: find_weights(recording, names))


def test_the_loss_of_one_unit_over_its_two_weights(capsys: pytest.CaptureFixture[str]) -> None:
    """Against E = (sigmoid(x w) - y)^2 / 2 with x = (.1, .3), y = .2, written out."""
    assert run(["trace", "one_unit", "--steps", "3", "--plot", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    surface = found["surface"]
    assert surface["weights"] == ["w1", "w2"]
    w1, w2 = (np.array(axis) for axis in surface["axes"])

    def loss(a: Any, b: Any) -> Any:
        return (1 / (1 + np.exp(-(0.1 * a + 0.3 * b))) - 0.2) ** 2 / 2

    np.testing.assert_allclose(surface["curve"], loss(w1, 0.5), rtol=1e-12)
    columns = np.linspace(w1[0], w1[-1], len(surface["grid"][0]))
    np.testing.assert_allclose(surface["grid"], loss(columns[None], w2[:, None]), rtol=1e-12)
    path = np.array(surface["path"])
    assert path.shape == (4, 2)
    assert path[0].tolist() == [-0.8, 0.5]
    assert path[1] - path[0] == pytest.approx([-0.0039638031, -0.0118914092], abs=5e-11)
    np.testing.assert_allclose(surface["losses"], loss(path[:, 0], path[:, 1]), rtol=1e-12)
    assert surface["losses"][:3] == pytest.approx([each["loss"] for each in found["losses"]], rel=1e-12)
    assert surface["slope"] == pytest.approx(0.0039638031 / 0.5, abs=1e-10)
    assert min(w1) < min(path[:, 0]) <= max(path[:, 0]) < max(w1)


@pytest.mark.parametrize(
    ("names", "parameters"),
    [
        (None, [("output.linear.weight", (0, 1)), ("output.linear.weight", (1, 1))]),
        ("w5", [("output.linear.weight", (0, 0))]),
        ("w7, w1", [("output.linear.weight", (1, 0)), ("hidden.0.linear.weight", (0, 0))]),
        ("output.linear.weight[1,0]", [("output.linear.weight", (1, 0))]),
        ("hidden.0.linear.weight[0, 1],w8", [("hidden.0.linear.weight", (0, 1)), ("output.linear.weight", (1, 1))]),
    ],
)
def test_weights_are_chosen_by_symbol_or_index(names: str | None, parameters: list[tuple[str, Any]]) -> None:
    trace = watched("backpropagation", names)
    assert trace.recording.path is not None
    assert [(each.parameter, each.index) for each in trace.recording.path.weights] == parameters


def test_drawing_does_not_change_the_training() -> None:
    """Batch norm uses the batch, dropout is off, and neither the random numbers nor the running statistics change."""
    plain = trace_config(CNN, num_steps=3)
    trace = watched(CNN, num_steps=3)
    before = {name: each.clone() for name, each in trace.setup.state.model.state_dict().items()}
    surface = surface_of(trace.recording)
    for name, each in trace.setup.state.model.state_dict().items():
        assert torch.equal(each, before[name]), name
        assert torch.equal(each, plain.setup.state.model.state_dict()[name]), name
    assert trace.recording.losses == plain.recording.losses
    # The curve and the path start at the same loss, with the slope of the curve there.
    axis, middle = surface.axes[0], float(surface.path[0, 0])
    near = int((axis - middle).abs().argmin())
    distance = float(axis[near]) - middle
    expected = surface.losses[0] + surface.slope * distance
    assert float(surface.curve[near]) == pytest.approx(expected, abs=10 * distance**2 + 1e-9)
    assert surface.grid is not None
    assert surface.grid.isfinite().all()


@pytest.mark.parametrize("model", [{"name": "lstm", "hidden_size": 2}, {"name": "gru", "hidden_size": 2}])
def test_recurrent_networks(model: dict[str, Any]) -> None:
    data = {"name": "random", "shape": [4, 2], "classes": 2, "samples": 8, "split": {"val": 0, "test": 0}}
    trace = watched({"data": data, "model": model, "train": {"batch_size": "full"}}, num_steps=2)
    surface = surface_of(trace.recording)
    assert surface.losses[:2] == pytest.approx([loss for loss, _ in trace.recording.losses], rel=1e-12)
    assert not math.isclose(float(surface.curve[0]), float(surface.curve[-1]))


def test_the_page_has_the_chart_and_the_map() -> None:
    trace = watched("backpropagation", "w5,w7", num_steps=12)
    page = html(trace, surface_of(trace.recording))
    assert accessibility.problems_of(page) == []
    assert "<h3><bdi>E over w5</bdi></h3>" in page
    assert "<h3><bdi>E over w5 and w7</bdi></h3>" in page
    assert "slope 0.0821670406" in page
    map_of_loss = page[page.index('class="nn-panel"') :]
    assert map_of_loss[: map_of_loss.index("</svg>")].count("<circle") == 12 + 1 + 1  # steps, start, and its ring
    (one,) = [each for each in html(trace, None).split("<section") if 'id="losses"' in each]
    assert "E of each step" in one


def test_text_has_its_plots_in_a_page_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("trace_one_unit.html", "trace_one_unit-2.html"):
        assert run(["trace", "one_unit", "--plot", "--weights", "w2"]) == 0
        shown = capsys.readouterr()
        assert shown.err == f"plots written to {name}\n"
        assert shown.out.startswith("one_unit: linear with 2 parameters")
        assert "E over w2" in Path(name).read_text(encoding="utf-8")
    assert len(list(tmp_path.iterdir())) == 2
