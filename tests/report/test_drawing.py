"""The drawing of a network: its numbers are those of the network, and it is one readable SVG file."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import torch
from torch import nn

import nnzoo
from nnzoo.cli.app import run
from nnzoo.models.trees import RecursiveNet, TreeLSTM
from nnzoo.report.drawing import draw_network
from nnzoo.report.network_blocks import MAX_BLOCKS, blocks_of
from nnzoo.summaries.collect import record

pytestmark = pytest.mark.page

SVG = "{http://www.w3.org/2000/svg}"
MODELS = [
    ({"name": "mlp", "hidden": [256, 128], "batch_norm": True, "dropout": 0.2}, (28, 28)),
    ({"name": "linear", "kernel": "rbf"}, (8,)),
    ({"name": "cnn", "blocks": [{"conv": {"out_channels": 4, "kernel_size": 3}}], "head": [8]}, (1, 8, 8)),
    ("lenet5", (1, 28, 28)),
    ("resnet20", (3, 32, 32)),
    pytest.param("resnet110", (3, 32, 32), marks=pytest.mark.slow),
    pytest.param("vgg16", (3, 64, 64), marks=pytest.mark.slow),
    ({"name": "rnn", "hidden_size": 8}, (5, 3)),
    ({"name": "lstm", "hidden_size": 8, "num_layers": 2, "bidirectional": True}, (5, 3)),
    ({"name": "gru", "hidden_size": 8, "pooling": "mean"}, (5, 3)),
    pytest.param({"name": "torchvision", "arch": "mobilenet_v3_small"}, (3, 64, 64), marks=pytest.mark.slow),
    pytest.param({"name": "torchvision", "arch": "densenet121"}, (3, 64, 64), marks=pytest.mark.slow),
    pytest.param({"name": "torchvision", "arch": "convnext_tiny"}, (3, 64, 64), marks=pytest.mark.slow),
    pytest.param({"name": "torchvision", "arch": "googlenet"}, (3, 64, 64), marks=pytest.mark.slow),
    pytest.param({"name": "torchvision", "arch": "vit_b_16"}, (3, 224, 224), marks=pytest.mark.slow),
]


def build(model: object, shape: tuple[int, ...], classes: int = 10) -> nn.Module:
    return nnzoo.build_model({"data": {"name": "random", "shape": list(shape), "classes": classes}, "model": model})


def texts(svg: str) -> list[str]:
    return [element.text or element[0].tail or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize(("model", "shape"), MODELS, ids=str)
def test_the_blocks_have_all_parameters_of_the_network(model: object, shape: tuple[int, ...]) -> None:
    net = build(model, shape)
    drawing = draw_network(net, shape, name="net")
    num_parameters = sum(p.numel() for p in net.parameters())
    blocks = blocks_of(record(net, shape, torch.float32))
    assert sum(block.num_parameters for block in blocks) == num_parameters
    assert len(blocks) <= MAX_BLOCKS + 2  # and up to two lines with parameters of a part of their own
    assert f"{num_parameters:,} parameters" in texts(drawing.svg)
    assert not drawing.by_units


def test_the_3_3_2_2_network_has_its_weights_on_the_edges() -> None:
    layers = [{"units": 3, "activation": "sigmoid"}, {"units": 2, "activation": "relu"}]
    net = build({"name": "mlp", "layers": layers, "output": {"activation": "softmax"}}, (3,), classes=2)
    drawing = draw_network(net, (3,), name="small", inputs=("age", "fare", "sex"), outputs=("no", "yes"))
    assert drawing.by_units
    root = ET.fromstring(drawing.svg)
    edges = []
    for line in root.iter(f"{SVG}line"):
        weight = float(line[0].text.partition(": ")[2])  # type: ignore[union-attr]
        edges.append((weight, line.get("stroke", ""), float(line.get("stroke-width", ""))))
    weights = torch.cat([p.detach().flatten() for name, p in net.named_parameters() if name.endswith("weight")])
    assert sorted(weight for weight, _, _ in edges) == pytest.approx(sorted(weights.tolist()), rel=1e-5)
    assert all(("negative" in color) == (weight < 0) for weight, color, _ in edges)
    by_size = sorted(edges, key=lambda edge: abs(edge[0]))
    assert [width for _, _, width in by_size] == sorted(width for _, _, width in edges)
    assert by_size[-1][2] > 3 * by_size[0][2]
    shown = texts(drawing.svg)
    assert {"age", "fare", "sex", "no", "yes", "26 parameters", "3 units, sigmoid", "2 units, softmax"} <= set(shown)
    assert {f"{w:.2f}".replace("-", "−") for w in weights.tolist() if abs(w) >= 0.01} <= set(shown)
    assert sum(text.startswith("b = ") for text in shown) == 7


def test_weights_that_are_not_finite_are_drawn() -> None:
    net = build({"name": "mlp", "hidden": [2]}, (2,))
    with torch.no_grad():
        next(net.parameters()).fill_(torch.nan)
    drawing = draw_network(net, (2,))
    ET.fromstring(drawing.svg)
    assert "nan" in drawing.svg


def test_the_stages_of_a_resnet_have_shortcuts() -> None:
    drawing = draw_network(build("resnet20", (3, 32, 32)), (3, 32, 32))
    assert texts(drawing.svg).count("3 × Basic block") == 3
    assert texts(drawing.svg).count("shortcut,") == 3
    assert {"16 × 32 × 32", "32 × 16 × 16", "64 × 8 × 8"} <= set(texts(drawing.svg))
    assert drawing.description.count("with a shortcut that adds the input") == 3


def test_the_first_block_of_a_mobilenet_stage_has_no_shortcut() -> None:
    net = build({"name": "torchvision", "arch": "mobilenet_v3_small"}, (3, 64, 64))
    drawing = draw_network(net, (3, 64, 64))
    adding = sum(getattr(module, "use_res_connect", False) for module in net.modules())
    stages = [(int(a), int(b)) for a, b in re.findall(r"in (\d) of</text>.*?>the (\d) blocks", drawing.svg)]
    assert sum(count for count, _ in stages) == adding == 6
    assert all(count == repeat - 1 for count, repeat in stages)


@pytest.mark.parametrize("kind", [RecursiveNet, TreeLSTM])
def test_a_network_over_trees_returns_to_its_nodes(kind: type[RecursiveNet] | type[TreeLSTM]) -> None:
    net = kind(100, 5, hidden_size=8)
    drawing = draw_network(net, (7, 3), dtype=torch.long)
    assert "reads the states of its two children" in texts(drawing.svg)
    assert f"{sum(p.numel() for p in net.parameters()):,} parameters" in texts(drawing.svg)


def test_a_custom_module_with_a_layer_that_is_called_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.shared, self.scale = nn.Linear(4, 40), nn.Linear(40, 40), nn.Parameter(torch.ones(1))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.shared(self.shared(self.first(inputs)).relu())
            return hidden * self.scale

    drawing = draw_network(Twice(), (4,))
    assert f"{4 * 40 + 40 + 40 * 40 + 40 + 1:,} parameters" in texts(drawing.svg)
    assert "called more than once" in texts(drawing.svg)
    assert "Twice: parameters of its own: 1" in texts(drawing.svg)


def test_hostile_names_are_escaped_and_cut() -> None:
    hostile = '<script>alert("1")</script>' + "x" * 10_000
    drawing = draw_network(
        build({"name": "mlp", "hidden": [3]}, (2,), 2), (2,), name=hostile, outputs=(hostile, "\u202e")
    )
    assert "<script" not in drawing.svg
    assert "\u202e" not in drawing.svg
    assert max(map(len, texts(drawing.svg))) < 100


def test_long_lists_of_names_say_how_many_are_left_out() -> None:
    names = [f"feature {i}" for i in range(30)]
    shown = texts(draw_network(build({"name": "mlp", "hidden": [40]}, (30,)), (30,), inputs=names).svg)
    listed = [text for text in shown if "feature" in text]
    count = ",".join(listed).count("feature")
    assert len(listed) == 3
    assert listed[-1].endswith(f"and {30 - count} more")


def test_summary_writes_the_drawing_of_a_config_and_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["summary", "iris_mlp", "--plot", "config.svg"]) == 0
    assert "drawing written to config.svg" in capsys.readouterr().err
    assert "input 1" in texts(Path("config.svg").read_text())
    assert run(["train", "iris_mlp", "train.epochs=1"]) == 0
    assert run(["summary", "runs/iris_mlp", "--plot", "run.svg", "--json"]) == 0
    shown = texts(Path("run.svg").read_text())
    assert {"petal width (cm)", "setosa", "131 parameters"} <= set(shown)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("net.png", r"must end in \.svg \(got \.png\)"),
        ("net", r"must end in \.svg \(got no ending\)"),
        ("folder.svg", "is a folder"),
        ("missing/net.svg", "the folder missing does not exist"),
    ],
)
def test_a_file_that_can_not_be_a_drawing(
    file: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.svg").mkdir()
    assert run(["summary", "iris_mlp", "--plot", file]) == 2
    assert re.search(reason, capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.svg"]
